/*
 * Programs that the guest executes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/resource.h>
#include <sys/syscall.h>
#include "qemu/path.h"
#include "user/safe-syscall.h"
#include "exec.h"
#include "root.h"
#include "dqemu/cpu_time.h"
#include "dqemu/handover.h"
#include "dqemu/image.h"

/* The kernel follows so many scripts that are run by scripts. */
#define MOST_SCRIPTS 5

static struct {
    char *self;         /* the path of this node program */
    char *folder;       /* where relative paths of its options begin */
    char **argv;        /* main()'s: the options end with `exec_path` */
    char **environment; /* as this emulator was started; those of its own count */
    bool handed;        /* an emulator has handed over to this one */
    const char *isa;    /* the instruction set of the program that the user has started */
    int fd;             /* the program that it has opened; -1: none, or taken */
    GPtrArray
        *beside; /* with a root of the guest's own: the instruction sets of those beside `self` */
} emulator = {.isa = TARGET_NAME, .fd = -1};

/* ---------------------------------------------------------------- processor time */

/* The process stays the same, and so does what it has used, on nodes that the next emulator does not have, too. */
static char **set_used(char **environment)
{
    struct dq_cpu_time used;
    g_autofree char *value = NULL;

    dq_cpu_time_elsewhere(0, -1, true, &used);
    if (used.ns == 0) {
        return environment;
    }
    value = g_strdup_printf("%d:%" PRIu64 ":%" PRIu64 ":%" PRIu64, (int)getpid(), used.ns,
                            used.user_us, used.system_us);
    return g_environ_setenv(environment, DQ_HANDOVER_USED, value, true);
}

static void take_used(void)
{
    const char *value = getenv(DQ_HANDOVER_USED);
    struct dq_cpu_time used;
    int pid;

    if (value &&
        sscanf(value, "%d:%" SCNu64 ":%" SCNu64 ":%" SCNu64, &pid, &used.ns, &used.user_us,
               &used.system_us) == 4 &&
        pid == getpid()) {
        dq_cpu_time_set_before(&used);
    }
    unsetenv(DQ_HANDOVER_USED);
}

/* ---------------------------------------------------------------- taking over */

/* The node program for that instruction set lies beside this one, if there is one. */
static char *node_of(const char *isa)
{
    g_autofree char *folder = g_path_get_dirname(emulator.self);
    g_autofree char *name = g_strconcat("dqemu-", isa, NULL);

    return g_build_filename(folder, name, NULL);
}

void dq_exec_init(char **argv)
{
    const char *value = getenv(DQ_HANDOVER_VARIABLE);
    const char *colon = value ? strchr(value, ':') : NULL;

    emulator.self = g_file_read_link("/proc/self/exe", NULL);
    emulator.folder = g_get_current_dir();
    emulator.argv = argv;
    emulator.environment = g_get_environ();
    if (colon) {
        emulator.handed = true;
        emulator.isa = g_strdup(colon + 1);
        emulator.fd = atoi(value);
        if (fcntl(emulator.fd, F_SETFD, FD_CLOEXEC)) {
            emulator.fd = -1;
        }
        unsetenv(DQ_HANDOVER_VARIABLE);
        take_used();
    }
}

/* Once in the guest's root nobody can look. */
static void find_nodes(void)
{
    emulator.beside = g_ptr_array_new();
    for (const char *const *isa = dq_image_isas; emulator.self && *isa; isa++) {
        g_autofree char *node = node_of(*isa);

        if (access(node, X_OK) == 0) {
            g_ptr_array_add(emulator.beside, (char *)*isa);
        }
    }
}

int dq_exec_open(const char *path)
{
    if (dq_root_exists()) {
        find_nodes();
        dq_root_enter();
    }
    return emulator.fd >= 0 ? emulator.fd : open(path, O_RDONLY);
}

char *dq_exec_realpath(const char *path, char *resolved)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", emulator.fd);
    ssize_t n;

    if (emulator.fd < 0) {
        return realpath(path, resolved);
    }
    n = readlink(link, resolved, PATH_MAX - 1);
    resolved[MAX(n, 0)] = 0;
    return n < 0 ? NULL : resolved;
}

char **dq_exec_environ(char **environment)
{
    if (!emulator.handed) {
        return environment;
    }
    g_strfreev(environment);
    return dq_handover_guest(emulator.environment);
}

void dq_exec_loaded(void)
{
    if (emulator.fd >= 0) {
        close(emulator.fd);
        emulator.fd = -1;
    }
}

/* ---------------------------------------------------------------- finding out what it is */

/* What execve() shall start. */
struct program {
    int fd;          /* of a program of ours, open for reading; -1: it is none */
    const char *isa; /* its instruction set */
    char *node;      /* the node program for that */
    char *name;      /* as the program finds it in its auxiliary vector */
    GPtrArray *argv; /* strings of its own, without a NULL at the end */
};

static void forget(struct program *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    g_free(p->node);
    g_free(p->name);
    g_ptr_array_free(p->argv, true);
}

/* With an offset of its own also if the guest has that file open. */
static int open_program(int dirfd, const char *name, int flags)
{
    const int how = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", dirfd);

    if (*name == 0 && (flags & AT_EMPTY_PATH)) {
        return open(link, how);
    }
    return openat(dirfd, path(name), how | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
}

/* May it be executed? The kernel would look at the real file in the same way. */
static bool is_executable(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, link, X_OK, AT_EACCESS) == 0;
}

/* The name by which an interpreter finds a script again: by its descriptor if that stays open. */
static char *name_of(int dirfd, const char *name, bool at)
{
    if (!at || *name == '/' || dirfd == AT_FDCWD) {
        return g_strdup(name);
    }
    return g_strdup_printf("/dev/fd/%d%s%s", dirfd, *name ? "/" : "", name);
}

/* The next emulator for that instruction set. NULL: there is none. */
static char *find_node(const char *isa)
{
    g_autofree char *node = node_of(isa);

    if (strcmp(isa, TARGET_NAME) == 0) {
        return g_strdup(emulator.self);
    }
    if (emulator.beside ? !g_ptr_array_find(emulator.beside, isa, NULL) : access(node, X_OK) != 0) {
        return NULL;
    }
    return g_steal_pointer(&node);
}

#if defined(__x86_64__)
#define HOST_ISA "x86_64"
#elif defined(__aarch64__)
#define HOST_ISA "aarch64"
#else
#define HOST_ISA ""
#endif

/* The shell that C libraries start for system() and popen(): it may be told to start a program of ours. */
static bool is_shell(int fd)
{
    struct stat st, shell;

    return fstat(fd, &st) == 0 && stat("/bin/sh", &shell) == 0 && st.st_dev == shell.st_dev &&
           st.st_ino == shell.st_ino;
}

/* A program of the host runs by itself, in a run of another instruction set. */
static bool is_native(const struct program *p)
{
    return strcmp(p->isa, HOST_ISA) == 0 && strcmp(emulator.isa, HOST_ISA) != 0 && !is_shell(p->fd);
}

/* The file is a script: go on with what interprets it. False: it is not, or that cannot be opened. */
static bool enter_script(struct program *p, const char *head, size_t length, const char *script)
{
    char *interpreter, *argument;

    if (!dq_image_script(head, length, &interpreter, &argument)) {
        return false;
    }
    close(p->fd);
    p->fd = open_program(AT_FDCWD, interpreter, 0);
    if (p->argv->len) {
        g_ptr_array_remove_index(p->argv, 0);
    }
    g_ptr_array_insert(p->argv, 0, g_strdup(script));
    if (argument) {
        g_ptr_array_insert(p->argv, 0, argument);
    }
    g_ptr_array_insert(p->argv, 0, interpreter);
    return p->fd >= 0;
}

/* Follow scripts to a program. False: there is none that dqemu runs, so the kernel shall look. */
static bool look_into(struct program *p)
{
    g_autofree char *script = g_strdup(p->name);

    for (int depth = 0; p->fd >= 0 && is_executable(p->fd) && depth <= MOST_SCRIPTS; depth++) {
        char head[DQ_IMAGE_HEAD];
        const ssize_t length = pread(p->fd, head, sizeof(head), 0);

        p->isa = dq_image_isa(head, MAX(length, 0));
        if (p->isa) {
            p->node = is_native(p) ? NULL : find_node(p->isa);
            return p->node != NULL;
        }
        if (!enter_script(p, head, MAX(length, 0), script)) {
            return false;
        }
        g_free(script);
        script = g_strdup(p->argv->pdata[0]);
    }
    return false;
}

/* Its dynamic linker must be there: 0, or the error. */
static int check_loader(int fd)
{
    g_autofree char *loader = dq_image_loader(fd);
    int found = loader ? open_program(AT_FDCWD, loader, 0) : -1;

    if (loader && found < 0) {
        return errno;
    }
    if (found >= 0) {
        close(found);
    }
    return 0;
}

/* ---------------------------------------------------------------- handing over */

/* The options that this emulator was started with. */
static char **options_for(const struct dq_handover *from)
{
    int count = 0;

    while (emulator.argv[1 + count] && emulator.argv[1 + count] != exec_path) {
        count++;
    }
    return dq_handover_options(from, emulator.argv + 1, count);
}

static void add_words(GPtrArray *all, char *const *words)
{
    for (; *words; words++) {
        g_ptr_array_add(all, g_strdup(*words));
    }
}

/*
 * With the nodes of this run the launcher starts it, which opens it by its path. False: it has none any
 * more, so that one node must do.
 */
static bool take_nodes(struct program *p)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", p->fd);
    g_autofree char *path = dq_config.children ? g_file_read_link(link, NULL) : NULL;

    if (!path || access(path, R_OK)) {
        return false;
    }
    g_free(p->name);
    p->name = g_steal_pointer(&path);
    return true;
}

/*
 * The command line: emulator or launcher, the guest's root if it has one (descriptor `root`), options,
 * -0 argv[0], --, name, argv[1], ...
 */
static char **command_for(const struct program *p, const struct dq_handover *from, bool nodes,
                          int root)
{
    char *emulator_word[] = {p->node, NULL};
    GPtrArray *all = g_ptr_array_new();
    g_auto(GStrv) options = options_for(from);

    add_words(all, nodes ? dq_config.children : emulator_word);
    if (root >= 0) {
        g_ptr_array_add(all, g_strdup_printf("--dqemu-root=%d", root));
    }
    add_words(all, options);
    g_ptr_array_add(all, g_strdup("-0"));
    g_ptr_array_add(all, g_strdup(p->argv->len ? p->argv->pdata[0] : ""));
    g_ptr_array_add(all, g_strdup("--"));
    g_ptr_array_add(all, g_strdup(p->name));
    for (unsigned i = 1; i < p->argv->len; i++) {
        g_ptr_array_add(all, g_strdup(p->argv->pdata[i]));
    }
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, false);
}

/* Where the guest does not look for free descriptors. */
static int move_high(int fd)
{
    struct rlimit limit;
    int high, least = 3;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        least = MAX(3, MIN(limit.rlim_cur, 1024) / 2);
    }
    high = fcntl(fd, F_DUPFD, least);
    close(fd);
    return high;
}

/* As execve(), by safe_syscall(): what becomes of this process finds its libraries in the host's root. */
static int execute_outside(int root, char **command, char **environment)
{
    int ret = -1, err;

    if (dq_root_leave(root)) {
        ret = safe_syscall(SYS_execve, command[0], command, environment);
        dq_root_return(root);
    }
    err = errno;
    close(root);
    errno = err;
    return ret;
}

static int hand_over(struct program *p, char **envp)
{
    const struct dq_handover from = {emulator.folder, emulator.isa,
                                     strcmp(p->isa, TARGET_NAME) == 0};
    const int missing = check_loader(p->fd);
    const bool nodes = take_nodes(p);
    g_auto(GStrv) command = NULL, environment = NULL;
    int root = -1;

    if (missing) {
        errno = missing;
        return -1;
    }
    if (!nodes) {
        p->fd = move_high(p->fd);
        if (p->fd < 0) {
            return -1;
        }
    }
    if (dq_root_exists()) {
        root = move_high(dq_root_descriptor());
        if (root < 0) {
            return -1;
        }
    }
    dq_missing_tell();
    command = command_for(p, &from, nodes, root);
    environment =
        set_used(dq_handover_environ(&from, emulator.environment, envp, nodes ? -1 : p->fd));
    return root >= 0 ? execute_outside(root, command, environment)
                     : safe_syscall(SYS_execve, command[0], command, environment);
}

int dq_exec(int dirfd, const char *name, const char *file, char **argv, char **envp, int flags,
            bool at)
{
    struct program p = {.fd = -1, .name = name_of(dirfd, name, at), .argv = g_ptr_array_new()};
    int ret, err;

    g_ptr_array_set_free_func(p.argv, g_free);
    add_words(p.argv, argv);
    if (emulator.self && !(flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))) {
        p.fd = open_program(dirfd, file, flags);
    }
    if (dq_config.nodes == 1) {
        dq_report(); /* if it succeeds, nobody will be left to tell */
    }
    if (look_into(&p)) {
        ret = hand_over(&p, envp);
    } else if (at) {
        ret = safe_syscall(SYS_execveat, dirfd, path(file), argv, envp, flags);
    } else {
        ret = safe_syscall(SYS_execve, path(file), argv, envp);
    }
    err = errno;
    forget(&p);
    errno = err;
    return ret;
}
