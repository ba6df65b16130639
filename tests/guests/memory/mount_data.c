/*
 * The data of mount() lies on a page that another node has: it is found there, by the main thread and by a
 * remote one, also where what is mapped ends soon behind it; and is refused where nothing is. Where the user
 * may mount (in a namespace of his own), it also means what it says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"
#include <sys/mount.h>
#include <sys/stat.h>

#define P ((size_t)GUEST_PAGE)

static const char missing[] = "/proc/there/is/no/such/place";
static bool may_mount;
static char folder[] = "/tmp/dqemu-guest-XXXXXX";

static void *write_data(void *arg)
{
    strcpy(arg, "mode=0710");
    return NULL;
}

static void *try_mount(void *data)
{
    CHECK(mount("none", missing, "tmpfs", 0, data) == -1 && errno == ENOENT);
    return NULL;
}

static void *mount_there(void *data)
{
    struct stat s;

    CHECK(mount("none", folder, "tmpfs", 0, data) == 0);
    CHECK(stat(folder, &s) == 0 && (s.st_mode & 07777) == 0710);
    CHECK(umount(folder) == 0);
    return NULL;
}

static void both(char *data)
{
    guest_elsewhere(write_data, data);
    try_mount(data);
    write_data(data);
    guest_elsewhere(try_mount, data);
    if (may_mount) {
        guest_elsewhere(write_data, data);
        mount_there(data);
        write_data(data);
        guest_elsewhere(mount_there, data);
    }
}

int main(void)
{
    char *m = guest_map(2 * P, PROT_READ | PROT_WRITE);

    CHECK(mprotect(m + P, P, PROT_NONE) == 0);
    CHECK(mkdtemp(folder));
    may_mount = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    both(m);
    both(m + P - 16);
    CHECK(mount("none", missing, "tmpfs", 0, m + P) == -1 && errno == EFAULT);
    CHECK(mprotect(m, P, PROT_NONE) == 0);
    CHECK(mount("none", missing, "tmpfs", 0, m) == -1 && errno == EFAULT);
    rmdir(folder);
    puts("mount_data: found");
    return 0;
}
