/*
 * A program in a root directory of its own (dqemu-launch --root): what it sees there, that the emulator's
 * means to change the root are not its own, and that the programs that it starts stay there.
 *
 *   rooted look             what is mounted there, who it is, and where
 *   rooted names            what lies in the root and in the working directory, a line each
 *   rooted threads          on other nodes
 *   rooted start [WORD...]  programs, by /bin/rooted, from any thread, and with all descriptors closed
 *   rooted become FILE      another program, by a thread, after an execve() that fails; FILE is outside
 *   rooted deeper FOLDER    root changes its root once more, and starts a program there
 *   rooted drop             root becomes an ordinary user
 *   rooted write FILE
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dirent.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include "guest.h"

enum { THREADS = 6, USER = 4711 };

static void capabilities(uint64_t *permitted, uint64_t *effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    CHECK(syscall(SYS_capget, &header, data) == 0);
    CHECK(data[0].inheritable == 0 && data[1].inheritable == 0);
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    *effective = data[0].effective | (uint64_t)data[1].effective << 32;
}

/* A number of /proc/self/status, in hexadecimal. */
static uint64_t status_of(const char *name)
{
    char line[256];
    uint64_t value = UINT64_MAX;
    FILE *f = fopen("/proc/self/status", "r");

    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, name, strlen(name))) {
            value = strtoull(line + strlen(name) + 1, NULL, 16);
        }
    }
    fclose(f);
    return value;
}

/* An ordinary user: nothing that he could change the root with. */
static void check_ordinary(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.permitted = 1 << CAP_SYS_CHROOT}};
    uint64_t permitted, effective;

    capabilities(&permitted, &effective);
    CHECK(permitted == 0 && effective == 0);
    CHECK(status_of("CapPrm") == 0 && status_of("CapEff") == 0 && status_of("CapInh") == 0 &&
          status_of("CapAmb") == 0);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_CHROOT, 0, 0) == 0);
    CHECK(chroot("/") == -1 && errno == EPERM);
    CHECK(syscall(SYS_capset, &header, data) == -1 && errno == EPERM);
    data[0].effective = data[0].permitted;
    CHECK(syscall(SYS_capset, &header, data) == -1 && errno == EPERM);
    memset(data, 0, sizeof(data));
    CHECK(syscall(SYS_capset, &header, data) == 0); /* as programs do that give up all */
    CHECK(chroot("/") == -1 && errno == EPERM);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) == -1 &&
          errno == EPERM);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, by_name);

    CHECK(n >= 2);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            printf(" %s", names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    putchar('\n');
}

static void names(void)
{
    char folder[PATH_MAX];

    CHECK(getcwd(folder, sizeof(folder)));
    printf("/:");
    list("/");
    printf("%s:", folder);
    list(".");
}

static void check_device(const char *path, mode_t type)
{
    struct stat st;

    CHECK(stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type);
}

static void look(void)
{
    char text[PATH_MAX] = "";
    char byte = 1;
    int fd;

    if (getuid() != 0) {
        check_ordinary();
    }
    for (const char *const *name =
             (const char *const[]){"null", "zero", "full", "random", "urandom", "tty", NULL};
         *name; name++) {
        snprintf(text, sizeof(text), "/dev/%s", *name);
        check_device(text, S_IFCHR);
    }
    check_device("/dev/pts", S_IFDIR);
    check_device("/dev/shm", S_IFDIR);
    check_device("/dev/fd", S_IFDIR);
    check_device("/dev/fd/0", S_IFCHR);
    fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    fd = open("/dev/zero", O_RDONLY);
    CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0);
    close(fd);
    fd = guest_tmpfile();
    close(fd);
    CHECK(access("/sys/devices", R_OK) == 0);
    CHECK(mkdir("/sys/dqemu-guest", 0777) == -1 && errno == EROFS);
    memset(text, 0, sizeof(text));
    CHECK(readlink("/proc/self/exe", text, sizeof(text) - 1) > 0 && !strcmp(text, "/bin/rooted"));
    CHECK(access("/etc/hosts", R_OK) == 0);
    CHECK(access("/proc/self/maps", R_OK) == 0);
    printf("uid %d gid %d\n", (int)getuid(), (int)getgid());
}

static _Atomic uint64_t sum;

static void *add(void *arg)
{
    sum += (intptr_t)arg + 1;
    if (getuid() != 0) {
        CHECK(chroot("/") == -1 && errno == EPERM);
    }
    CHECK(access("/bin/rooted", X_OK) == 0);
    return NULL;
}

/* Waits for a child that ran another program: it has to have found all as it should be. */
static void check_child(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void start_by(const char *path, bool closes)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (closes) {
            closefrom(3);
        }
        execl(path, "rooted", "names", NULL);
        CHECK(!"execve");
    }
    check_child(pid);
}

static void *start_all(void *arg)
{
    start_by("/bin/rooted", false);
    start_by("/bin/rooted", true);
    start_by("/proc/self/exe", false);
    start_by("/bin/script", true);
    return arg;
}

static void start(char **words)
{
    pid_t pid;

    start_all(NULL);
    guest_elsewhere(start_all, NULL);
    pid = fork();
    if (pid == 0) { /* where nobody may go */
        CHECK(mkdir("closed", 0777) == 0 && chdir("closed") == 0 && chmod(".", 0) == 0);
        execl("/bin/rooted", "rooted", "look", NULL);
        CHECK(!"execve");
    }
    check_child(pid);
    CHECK(rmdir("closed") == 0);
    if (words[0]) { /* a chain of programs, the last of which lists */
        fflush(stdout);
        execv("/bin/rooted", words - 1);
        CHECK(!"execve");
    }
}

static void *become(void *arg)
{
    size_t size = 64u << 20;
    char *huge = malloc(size);

    CHECK(huge);
    memset(huge, 'x', size - 1);
    huge[size - 1] = '\0';
    CHECK(execl("/bin/rooted", "rooted", huge, NULL) == -1 && errno == E2BIG);
    CHECK(execl("/bin/missing", "missing", NULL) == -1 && errno == ENOENT);
    CHECK(access("/bin/rooted", X_OK) == 0 && access(arg, F_OK) == -1);
    if (getuid() != 0) {
        check_ordinary();
    }
    execl("/bin/rooted", "rooted", "look", NULL);
    CHECK(!"execve");
    return NULL;
}

static void drop(void)
{
    uint64_t permitted, effective;
    pid_t pid;

    CHECK(getuid() == 0);
    capabilities(&permitted, &effective);
    CHECK(effective & 1 << CAP_SYS_CHROOT);
    CHECK(chroot("/") == 0 && chdir("/") == 0);
    CHECK(setresuid(0, USER, 0) == 0 && chroot("/") == -1 && errno == EPERM);
    start_by("/bin/rooted", false);
    CHECK(setresuid(0, 0, 0) == 0 && chroot("/") == 0);
    CHECK(setresuid(USER, USER, USER) == 0);
    check_ordinary();
    start_all(NULL);
    pid = fork();
    if (pid == 0) {
        execl("/bin/rooted", "rooted", "look", NULL);
        CHECK(!"execve");
    }
    check_child(pid);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "look")) {
        look();
    } else if (!strcmp(what, "names")) {
        names();
    } else if (!strcmp(what, "threads")) {
        guest_run(THREADS, add);
        printf("sum %d\n", (int)sum);
    } else if (!strcmp(what, "start")) {
        start(argv + 2);
    } else if (!strcmp(what, "become")) {
        CHECK(argc > 2);
        guest_elsewhere(become, argv[2]);
    } else if (!strcmp(what, "deeper")) {
        CHECK(argc > 2 && chroot(argv[2]) == 0 && chdir("/") == 0);
        start_by("/bin/rooted", true);
    } else if (!strcmp(what, "drop")) {
        drop();
    } else if (!strcmp(what, "write")) {
        CHECK(argc > 2);
        FILE *f = fopen(argv[2], "w");
        if (!f) {
            printf("%s\n", strerror(errno));
            return 1;
        }
        fprintf(f, "written inside\n");
        CHECK(fclose(f) == 0);
    } else {
        return 2;
    }
    return 0;
}
