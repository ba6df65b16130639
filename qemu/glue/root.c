/*
 * A root directory of the guest's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "root.h"

static const char OPTION[] = "--dqemu-root=";

#define INDEX CAP_TO_INDEX(CAP_SYS_CHROOT)
#define MASK CAP_TO_MASK(CAP_SYS_CHROOT)

static struct {
    bool exists;
    bool hidden;      /* the guest has not got the capability */
    int fd, folder;   /* until dq_root_enter(); folder -1: the working directory stays */
    struct stat host; /* the host's root */
} root = {.fd = -1, .folder = -1};

/* What a thread has, for the time in which it has more. */
static __thread struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3];

bool dq_root_exists(void)
{
    return root.exists;
}

bool dq_root_is_hidden(void)
{
    return qatomic_read(&root.hidden);
}

/* ---------------------------------------------------------------- capabilities, of this thread */

static void get_capabilities(struct __user_cap_data_struct *data)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    if (syscall(SYS_capget, &header, data)) {
        memset(data, 0, sizeof(kept));
    }
}

static bool set_capabilities(const struct __user_cap_data_struct *data)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capset, &header, data) == 0;
}

/* It is permitted and no more, and nobody gets it by an exec. */
static void hide(void)
{
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_SYS_CHROOT, 0, 0);
    get_capabilities(data);
    data[INDEX].effective &= ~MASK;
    data[INDEX].inheritable &= ~MASK;
    set_capabilities(data);
}

/* All others go. */
static void keep_it_alone(void)
{
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    get_capabilities(data);
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= i == INDEX ? MASK : 0;
        data[i].effective = 0;
    }
    set_capabilities(data);
}

static void raise_capability(void)
{
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    get_capabilities(kept);
    memcpy(data, kept, sizeof(data));
    data[INDEX].effective |= MASK;
    set_capabilities(data);
}

static void lower_capability(void)
{
    if (!(kept[INDEX].inheritable & MASK)) {
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_SYS_CHROOT, 0, 0);
    }
    set_capabilities(kept);
}

/* The next program has it, too; root has it anyway. */
static bool pass_on(void)
{
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (geteuid() == 0) {
        return true;
    }
    get_capabilities(data);
    data[INDEX].inheritable |= MASK;
    return set_capabilities(data) &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) == 0;
}

/* ---------------------------------------------------------------- in */

void dq_root_args(int *argc, char **argv)
{
    const char *comma;

    if (*argc < 2 || !g_str_has_prefix(argv[1], OPTION)) {
        return;
    }
    root.exists = true;
    root.fd = atoi(argv[1] + strlen(OPTION));
    comma = strchr(argv[1], ',');
    root.folder = comma ? atoi(comma + 1) : -1;
    fcntl(root.fd, F_SETFD, FD_CLOEXEC);
    fcntl(root.folder, F_SETFD, FD_CLOEXEC);
    memmove(&argv[1], &argv[2], (*argc - 1) * sizeof(*argv));
    (*argc)--;
    if (stat("/", &root.host)) {
        memset(&root.host, 0, sizeof(root.host));
    }
    if (geteuid() != 0) {
        root.hidden = true;
        hide();
    }
}

/* Of a directory that is open. It may be one that could not be opened any more, or searched. */
static bool change_root(const char *proc, int fd)
{
    g_autofree char *path = g_strdup_printf("%s/self/fd/%d", proc, fd);

    return chroot(path) == 0;
}

void dq_root_enter(void)
{
    bool done;

    if (root.fd < 0) {
        return;
    }
    dq_node_load_unwinder(); /* the last of what is loaded from the host */
    raise_capability();
    done = change_root("/proc", root.fd);
    lower_capability();
    if (!done || (root.folder >= 0 && fchdir(root.folder) && chdir("/"))) {
        dq_control_error(125,
                         "the program's root cannot be entered: %s; it needs the capability "
                         "CAP_SYS_CHROOT and a /proc",
                         strerror(errno));
        exit(125);
    }
    close(root.fd);
    if (root.folder >= 0) {
        close(root.folder);
    }
    root.fd = root.folder = -1;
}

/* ---------------------------------------------------------------- and out */

int dq_root_descriptor(void)
{
    return open("/", O_PATH | O_DIRECTORY);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * The host's root lies above the guest's, wherever in its own the guest is now. Parent by parent up
 * from there, with a root that is not on the way, at which the kernel would stop. Takes fd over;
 * returns another or -1 with errno.
 */
static int climb(int fd)
{
    struct stat here, above;

    if (fstat(fd, &here)) {
        return -1;
    }
    while (!is_same(&here, &root.host)) {
        int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int err = errno;

        close(fd);
        if (parent < 0 || fstat(parent, &above)) {
            errno = parent < 0 ? err : errno;
            return -1;
        }
        if (is_same(&here, &above)) { /* another namespace, after the guest's unshare() */
            return parent;
        }
        fd = parent;
        here = above;
    }
    return fd;
}

bool dq_root_leave(int fd)
{
    int host = -1, err;
    bool done;

    raise_capability();
    done = unshare(CLONE_FS) == 0 && chroot("/proc") == 0;
    if (done) {
        host = climb(fcntl(fd, F_DUPFD_CLOEXEC, 0));
        done = host >= 0 && change_root("", host) && pass_on();
        err = errno;
        if (host >= 0) {
            close(host);
        }
        errno = err;
    }
    if (!done) {
        err = errno;
        if (!change_root("", fd)) { /* below /proc still */
            change_root("/proc", fd);
        }
        lower_capability();
        errno = err;
    }
    return done;
}

void dq_root_return(int fd)
{
    const int err = errno;

    change_root("/proc", fd);
    lower_capability();
    errno = err;
}

/* ---------------------------------------------------------------- what the guest sees of it */

int dq_capget(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data)
{
    int ret = syscall(SYS_capget, header, data);

    if (ret == 0 && data && dq_root_is_hidden() &&
        (header->pid == 0 || header->pid == getpid() || header->pid == (int)gettid())) {
        data->permitted &= ~MASK; /* with the old version there is but this one */
    }
    return ret;
}

/* The guest gives up what it has: nothing more, and never what is ours. */
int dq_capset(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data)
{
    struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3];
    bool gone = false;
    int ret;

    QEMU_BUILD_BUG_ON(INDEX != 0);
    if (root.exists && data) {
        if (dq_root_is_hidden() && (data->permitted | data->effective | data->inheritable) & MASK) {
            errno = EPERM;
            return -1;
        }
        get_capabilities(own);
        gone = own[INDEX].permitted & MASK && !(data->permitted & MASK);
        data->permitted |= own[INDEX].permitted & MASK;
    }
    ret = syscall(SYS_capset, header, data);
    if (ret == 0 && gone) {
        qatomic_set(&root.hidden, true);
    }
    return ret;
}

char *dq_root_status(const char *line)
{
    uint64_t permitted;

    if (!dq_root_is_hidden() || !g_str_has_prefix(line, "CapPrm:\t")) {
        return NULL;
    }
    permitted = g_ascii_strtoull(line + strlen("CapPrm:\t"), NULL, 16);
    return g_strdup_printf("CapPrm:\t%016" PRIx64, permitted & ~(UINT64_C(1) << CAP_SYS_CHROOT));
}

/* ---------------------------------------------------------------- root becomes somebody else */

static __thread struct {
    bool was_root, keeps;
} user;

static bool changes_user(int num)
{
    switch (num) {
    case TARGET_NR_setuid:
    case TARGET_NR_setreuid:
#ifdef TARGET_NR_setresuid
    case TARGET_NR_setresuid:
#endif
#ifdef TARGET_NR_setuid32
    case TARGET_NR_setuid32:
    case TARGET_NR_setreuid32:
    case TARGET_NR_setresuid32:
#endif
        return root.exists && !dq_root_is_hidden();
    default:
        return false;
    }
}

static bool is_root(void)
{
    uid_t real, effective, saved;

    return getresuid(&real, &effective, &saved) == 0 && (!real || !effective || !saved);
}

void dq_root_call_begin(int num)
{
    if (changes_user(num)) {
        user.was_root = is_root();
        user.keeps = prctl(PR_GET_KEEPCAPS) == 1;
        prctl(PR_SET_KEEPCAPS, 1);
    }
}

void dq_root_call_end(int num)
{
    if (!changes_user(num)) {
        return;
    }
    prctl(PR_SET_KEEPCAPS, user.keeps);
    if (user.was_root && !is_root() && !user.keeps) { /* as the kernel does it */
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        keep_it_alone();
        qatomic_set(&root.hidden, true);
        hide();
    }
}
