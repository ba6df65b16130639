/*
 * --root: the tree, and the way into it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/options.h"
#include "deploy/say.h"

bool dq_volume_read(const char *text, struct dq_volume *volume, char **why)
{
    char **parts = g_strsplit(text, ":", 3);
    const unsigned n = g_strv_length(parts);
    const char *how = n > 2 ? parts[2] : "rw";

    *why = NULL;
    if (n == 0 || *parts[0] == '\0') {
        *why = g_strdup("it names nothing to mount; write SRC, SRC:DST or SRC:DST:ro");
    } else if (n > 1 && *parts[1] != '/') {
        *why = g_strdup_printf("the place \"%s\" in the root is not absolute; write SRC:/DST or "
                               "SRC:/DST:ro",
                               parts[1]);
    } else if (strcmp(how, "ro") != 0 && strcmp(how, "rw") != 0) {
        *why = g_strdup_printf("\"%s\" is no way to mount; write ro, rw or nothing", how);
    } else {
        volume->from = g_canonicalize_filename(parts[0], NULL);
        volume->to = n > 1 ? g_canonicalize_filename(parts[1], "/") : g_strdup(volume->from);
        volume->read_only = strcmp(how, "ro") == 0;
        if (strcmp(volume->to, "/") == 0) {
            *why = g_strdup("it would hide the whole root; name a place below /, or give that "
                            "directory with --root");
        }
    }
    g_strfreev(parts);
    return !*why;
}

/* ---- what cannot be is said before anything is made ---- */

static void check_root(const char *path)
{
    struct stat st, own;

    if (stat(path, &st) < 0) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--root %s: %s; name the directory that holds the program's system", path,
                   g_strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--root %s: it is not a directory; name the one that holds the program's system",
                   path);
    }
    if (stat("/", &own) == 0 && own.st_dev == st.st_dev && own.st_ino == st.st_ino) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--root %s: that is the root already; leave --root out, or name another", path);
    }
}

static void check_volumes(const struct dq_options *o)
{
    for (const struct dq_volume *v = o->volumes; v->from; v++) {
        if (access(v->from, F_OK) < 0) {
            dq_say_die(DQ_STATUS_FAULT, "--volume %s: %s; name a file or directory of this machine",
                       v->from, g_strerror(errno));
        }
    }
}

/* ---- namespaces ---- */

static bool reads_as(const char *file, const char *value)
{
    char *text = NULL;
    bool is = g_file_get_contents(file, &text, NULL, NULL) && strcmp(g_strstrip(text), value) == 0;

    g_free(text);
    return is;
}

/* Who may have no user namespace learns what forbids it. */
static _Noreturn void die_forbidden(int err)
{
    static const struct {
        const char *file, *value, *setting;
    } known[] = {
        {"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"},
        {"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
         "kernel.apparmor_restrict_unprivileged_userns=0"},
    };

    if (err == ENOSYS) {
        dq_say_die(DQ_STATUS_FAULT, "--root needs Linux 5.12 or later, which this kernel is not");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (reads_as(known[i].file, known[i].value)) {
            dq_say_die(
                DQ_STATUS_FAULT,
                "--root needs a user namespace, which a setting of this machine forbids; have "
                "an administrator allow them (sysctl %s), or run as root",
                known[i].setting);
        }
    }
    dq_say_die(DQ_STATUS_FAULT,
               "--root needs a user namespace with mounts of its own: %s; run as root, or, in a "
               "container, allow the system calls unshare, setns and mount",
               g_strerror(err));
}

/* fd may be -1; errno stays. */
static void drop(int fd)
{
    int err = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = err;
}

static bool write_file(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    drop(fd);
    return done;
}

/* Everybody is in there who he is outside. */
static bool map_own(uid_t uid, gid_t gid)
{
    char *users = g_strdup_printf("%u %u 1", uid, uid),
         *groups = g_strdup_printf("%u %u 1", gid, gid);
    /* else a user could get rid of groups that shut him out of something */
    bool done = write_file("/proc/self/setgroups", "deny") &&
                write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
    int err = errno;

    g_free(users);
    g_free(groups);
    errno = err;
    return done;
}

static int open_or_die(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0) {
        dq_say_die(DQ_STATUS_FAULT, "--root: %s: %s; it is needed here", path, g_strerror(errno));
    }
    return fd;
}

/*
 * In his namespace a user may do more with his own files than outside: what is made and found for him is
 * to be what he could have made and found.
 */
static bool keep_only_mounting(void)
{
    const uint64_t kept = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_CHROOT;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)kept, .permitted = (uint32_t)kept}};

    return syscall(SYS_capset, &header, data) == 0;
}

static void separate(struct dq_root *r)
{
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    const bool privileged = unshare(CLONE_NEWNS) == 0;

    if (!privileged &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !map_own(uid, gid) || !keep_only_mounting())) {
        die_forbidden(errno);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        die_forbidden(errno);
    }
    r->users = privileged ? -1 : open_or_die("/proc/self/ns/user", O_RDONLY);
    r->mounts = open_or_die("/proc/self/ns/mnt", O_RDONLY);
    r->outside = open_or_die("/", O_PATH | O_DIRECTORY);
    r->folder = open_or_die(".", O_PATH | O_DIRECTORY);
}

/* ---- the tree ---- */

/* In `root`, whatever symbolic links say. A descriptor, or -1 with errno. */
static int open_inside(int root, const char *path, int flags)
{
    const struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* A directory or an empty file. False with errno. */
static bool make_in(int in, const char *name, bool folder)
{
    return (folder ? mkdirat(in, name, 0755) : mknodat(in, name, S_IFREG | 0644, 0)) == 0;
}

/* A copy of what is mounted there now, with all below it. A descriptor, or -1 with errno. */
static int copy_tree(const char *path)
{
    return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static bool is_folder(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool forbid_writing(int tree)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == 0;
}

/*
 * A directory in which this user may make nothing gets room for mount points nevertheless: a file system in
 * memory takes its place, with everything mounted in it that was there. It is closed in the end, so
 * that the program makes nothing there either.
 */
struct tree {
    int root;
    GArray *rooms; /* descriptors of those file systems */
};

/* All descriptors stay the caller's. */
static bool mount_on(int tree, int point)
{
    return move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

static bool copy_link(int from, int to, const char *name)
{
    char target[PATH_MAX] = "";

    return readlinkat(from, name, target, sizeof(target) - 1) > 0 &&
           symlinkat(target, to, name) == 0;
}

/* One entry of the directory `from` is found in `to`, too. */
static bool carry_over(int from, int to, const char *name)
{
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return false;
    }
    if (S_ISLNK(st.st_mode)) {
        return copy_link(from, to, name);
    }
    if (!make_in(to, name, S_ISDIR(st.st_mode))) {
        return false;
    }
    int tree = open_tree(from, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    int point = openat(to, name, O_PATH | O_CLOEXEC);
    bool done = tree >= 0 && point >= 0 && mount_on(tree, point);
    drop(tree);
    drop(point);
    return done;
}

static bool carry_all_over(int from, int to)
{
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    bool done = folder != NULL;
    struct dirent *entry;

    while (done && (entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            done = carry_over(from, to, entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return done;
}

/* A descriptor, or -1 with errno. */
static int memory_file_system(void)
{
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;

    if (context >= 0 && fsconfig(context, FSCONFIG_SET_STRING, "mode", "755", 0) == 0 &&
        fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
    }
    drop(context);
    return fd;
}

/* The same directory of the same mount? */
static bool is_same(int a, int b)
{
    struct statx x, y;

    return statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x) == 0 &&
           statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &y) == 0 &&
           x.stx_mnt_id == y.stx_mnt_id && x.stx_ino == y.stx_ino;
}

/* In place of the directory `in`: a descriptor that stays the tree's, or -1 with errno. */
static int make_room(struct tree *t, int in)
{
    const bool is_root = is_same(in, t->root);
    int room = memory_file_system();

    if (room < 0 || !mount_on(room, in) || !carry_all_over(in, room)) {
        drop(room);
        return -1;
    }
    g_array_append_val(t->rooms, room);
    if (is_root) {
        t->root = room;
    }
    return room;
}

static void close_rooms(struct tree *t)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    for (guint i = 0; i < t->rooms->len; i++) {
        if (mount_setattr(g_array_index(t->rooms, int, i), "", AT_EMPTY_PATH, &attr, sizeof(attr)) <
            0) {
            die_forbidden(errno);
        }
    }
    g_array_free(t->rooms, TRUE);
}

/*
 * Make a directory or an empty file there. `parents`: at any price, with its parents too. It is opened, or
 * -1 with errno.
 */
static int make_point(struct tree *t, const char *path, bool folder, bool parents)
{
    char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
    int in = open_inside(t->root, parent, O_PATH | O_DIRECTORY);

    if (in < 0 && errno == ENOENT && parents) {
        in = make_point(t, parent, true, true);
    }
    bool made = in >= 0 && make_in(in, name, folder);
    if (in >= 0 && !made && parents && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        int room = make_room(t, in);
        made = room >= 0 && make_in(room, name, folder);
    }
    drop(in);
    g_free(parent);
    g_free(name);
    return made ? open_inside(t->root, path, O_PATH) : -1;
}

/* What is to be mounted, until the root itself is. */
struct part {
    const char *to;
    int tree;
    bool read_only;
    bool volume; /* as the user asked; the others are everybody's */
};

static _Noreturn void die_part(const char *root, const struct part *p, const char *what)
{
    if (errno == ENOSYS) {
        die_forbidden(errno);
    }
    dq_say_die(DQ_STATUS_FAULT, "--root %s: %s %s there: %s; %s", root, what, p->to,
               g_strerror(errno),
               p->volume ? "name another place with --volume SRC:DST, or make that one"
                         : "make it, or run as who owns that directory");
}

static void attach(struct tree *t, const char *name, const struct part *p)
{
    const bool folder = is_folder(p->tree), needed = folder || p->volume;
    int point = open_inside(t->root, p->to, O_PATH);

    if (point < 0 && errno == ENOENT) {
        point = make_point(t, p->to, folder, needed);
    }
    if (point < 0 && !needed) {
        return; /* a system without network, or with files of its own for it */
    }
    if (point < 0) {
        die_part(name, p, "cannot make");
    }
    if ((p->read_only && !forbid_writing(p->tree)) || !mount_on(p->tree, point)) {
        die_part(name, p, "cannot mount");
    }
    close(point);
    close(p->tree);
}

/* All that is taken from this machine, as it is before anything is changed. */
static GArray *take_parts(const struct dq_options *o)
{
    static const struct part usual[] = {
        {.to = "/proc"},
        {.to = "/sys", .read_only = true},
        {.to = "/dev"},
        {.to = "/tmp"},
        {.to = "/etc/resolv.conf", .read_only = true},
        {.to = "/etc/hosts", .read_only = true},
    };
    GArray *parts = g_array_new(FALSE, FALSE, sizeof(struct part));

    for (size_t i = 0; i < G_N_ELEMENTS(usual); i++) {
        struct part p = usual[i];

        p.tree = copy_tree(p.to);
        if (p.tree >= 0) {
            g_array_append_val(parts, p);
        } else if (errno != ENOENT) {
            die_forbidden(errno);
        }
    }
    for (const struct dq_volume *v = o->volumes; v->from; v++) {
        struct part p = {v->to, copy_tree(v->from), v->read_only, true};

        if (p.tree < 0) {
            dq_say_die(DQ_STATUS_FAULT, "--volume %s: cannot mount it: %s; name another directory",
                       v->from, g_strerror(errno));
        }
        g_array_append_val(parts, p);
    }
    return parts;
}

static void build(const struct dq_options *o, struct dq_root *r)
{
    GArray *parts = take_parts(o);

    r->inside = copy_tree(o->root);
    if (r->inside < 0 || move_mount(r->inside, "", AT_FDCWD, o->root,
                                    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0) {
        die_forbidden(errno);
    }
    struct tree t = {r->inside, g_array_new(FALSE, FALSE, sizeof(int))};
    for (guint i = 0; i < parts->len; i++) {
        attach(&t, o->root, &g_array_index(parts, struct part, i));
    }
    close_rooms(&t);
    r->inside = t.root;
    g_array_free(parts, TRUE);
}

/* ---- what is in there ---- */

static void go_inside(const struct dq_options *o, struct dq_root *r, const char *folder)
{
    if (fchdir(r->inside) < 0 || chroot(".") < 0) {
        die_forbidden(errno);
    }
    if (chdir(o->wdir ? o->wdir : folder) < 0) {
        if (o->wdir) {
            dq_say_die(DQ_STATUS_FAULT,
                       "--wdir %s: %s in the root %s; name a directory that is there", o->wdir,
                       g_strerror(errno), o->root);
        }
        if (chdir("/") < 0) {
            die_forbidden(errno);
        }
    }
    r->wdir = open_or_die(".", O_PATH | O_DIRECTORY);
}

/* The PATH that PROGRAM is going to have: -E is QEMU's, and takes NAME=VALUE,... */
static const char *guest_path(const struct dq_options *o)
{
    const char *path = g_getenv("PATH");

    for (char **w = o->emulator; w[0] && w[1]; w++) {
        if (strcmp(w[0], "-E") != 0 && strcmp(w[0], "--E") != 0) {
            continue;
        }
        char **settings = g_strsplit(w[1], ",", -1);
        for (char **s = settings; *s; s++) {
            if (g_str_has_prefix(*s, "PATH=")) {
                path = g_intern_string(*s + strlen("PATH="));
            }
        }
        g_strfreev(settings);
    }
    return path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* As a shell would: a word with a slash is a path. NULL: there is none. */
static char *look_up(const char *name, const char *path)
{
    char **folders = g_strsplit(path, ":", -1), *found = NULL;

    if (strchr(name, '/')) {
        found = access(name, F_OK) == 0 || errno != ENOENT ? g_strdup(name) : NULL;
    }
    for (char **f = folders; *f && !found && !strchr(name, '/'); f++) {
        found = g_build_filename(**f ? *f : ".", name, NULL);
        if (!is_program(found)) {
            g_clear_pointer(&found, g_free);
        }
    }
    g_strfreev(folders);
    return found;
}

static void find_program(const struct dq_options *o, struct dq_root *r)
{
    const char *name = o->program[0], *path = guest_path(o);
    char *found = look_up(name, path);

    if (!found && strchr(name, '/')) {
        dq_say_die(
            DQ_STATUS_NOT_FOUND,
            "%s: no such file in the root %s; name a program that is there, or mount it with "
            "--volume",
            name, o->root);
    }
    if (!found) {
        dq_say_die(DQ_STATUS_NOT_FOUND,
                   "%s: no such program in the PATH %s in the root %s; name its path there", name,
                   path, o->root);
    }
    r->program = open(found, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (r->program < 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s: %s; the program must be readable", found,
                   g_strerror(errno));
    }
    g_strlcpy(r->path, found, sizeof(r->path));
    g_free(found);
}

/* ---- from outside ---- */

/*
 * In a process of its own, because nobody who has gone into a user namespace comes back. It leaves
 * descriptors in the launcher's table, and their numbers in memory that both have.
 */
const struct dq_root *dq_root_make(const struct dq_options *o)
{
    struct dq_root *r =
        mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *folder = g_get_current_dir();
    int status = 0;

    check_root(o->root);
    check_volumes(o);
    if (r == MAP_FAILED) {
        dq_say_die(DQ_STATUS_FAULT, "--root: %s; raise the limits of memory", g_strerror(errno));
    }
    *r = (struct dq_root){-1, -1, -1, -1, -1, -1, -1, ""};
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        separate(r);
        build(o, r);
        go_inside(o, r, folder);
        if (o->program) {
            find_program(o, r);
        }
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--root: cannot start a process: %s; raise the limit of processes",
                   g_strerror(errno));
    }
    if (!WIFEXITED(status)) {
        dq_say_die(DQ_STATUS_FAULT, "--root: a process was killed by signal %d; try again",
                   WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        exit(WEXITSTATUS(status)); /* it has said why */
    }
    g_free(folder);
    return r;
}

const struct dq_root *dq_root_inherit(const struct dq_options *o)
{
    struct dq_root *r = g_new(struct dq_root, 1);

    *r = (struct dq_root){-1, -1, -1, -1, o->root_fd, -1, -1, ""};
    fcntl(r->inside, F_SETFD, FD_CLOEXEC);
    g_strlcpy(r->path, o->program[0], sizeof(r->path));
    r->program = open_inside(r->inside, r->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (r->program < 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s: %s; the program must be readable", r->path,
                   g_strerror(errno));
    }
    return r;
}

static bool enter_namespaces(const struct dq_root *r)
{
    return (r->users < 0 || setns(r->users, CLONE_NEWUSER) == 0) &&
           setns(r->mounts, CLONE_NEWNS) == 0 && fchdir(r->outside) == 0 && chroot(".") == 0 &&
           fchdir(r->folder) == 0 && fcntl(r->wdir, F_SETFD, 0) == 0;
}

/* An exec by anybody but root keeps only what is ambient. */
static int keep_chroot(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (geteuid() == 0) {
        return 0;
    }
    if (syscall(SYS_capget, &header, data) < 0) {
        return -errno;
    }
    data[CAP_TO_INDEX(CAP_SYS_CHROOT)].inheritable |= CAP_TO_MASK(CAP_SYS_CHROOT);
    if (syscall(SYS_capset, &header, data) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) < 0) {
        return -errno;
    }
    return 0;
}

int dq_root_enter(const struct dq_root *r)
{
    if ((r->mounts >= 0 && !enter_namespaces(r)) || fcntl(r->inside, F_SETFD, 0) < 0) {
        return -errno;
    }
    return keep_chroot();
}

int dq_root_open(const struct dq_root *r, const char *path)
{
    return open_inside(r->inside, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}
