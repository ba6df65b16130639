/*
 * Starting the process of a node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/member.h"
#include "deploy/options.h"
#include "deploy/root.h"
#include "deploy/say.h"

/* A word of --wrap: %n is the node's number, %% a per cent sign. */
static char *expand(const char *word, int node)
{
    GString *out = g_string_new(NULL);

    for (; *word; word++) {
        if (word[0] == '%' && word[1] == 'n') {
            g_string_append_printf(out, "%d", node);
            word++;
        } else {
            g_string_append_c(out, *word);
            word += word[0] == '%' && word[1] == '%';
        }
    }
    return g_string_free(out, FALSE);
}

static void add_all(GPtrArray *list, char *const *words)
{
    for (; words && *words; words++) {
        g_ptr_array_add(list, *words);
    }
}

/*
 * Node 0 finds the program in its root, by the path that was found there, and gives it the name that the
 * user has; the others, which load none, get a file that is there for certain.
 */
static void add_rooted(GPtrArray *words, const struct dq_launch *launch, int node)
{
    char **program = launch->options->program;

    g_ptr_array_add(words, "-0");
    g_ptr_array_add(words, program[0]);
    add_all(words, node == 0 ? launch->options->emulator : launch->options->emulator_slave);
    g_ptr_array_add(words, "--");
    if (node == 0) {
        g_ptr_array_add(words, (char *)launch->root->path);
        add_all(words, program + 1);
    } else {
        g_ptr_array_add(words, (char *)launch->node_binary);
    }
}

char **dq_spawn_arguments(const struct dq_launch *launch, int node)
{
    const struct dq_options *options = launch->options;
    GPtrArray *words = g_ptr_array_new();

    if (launch->root) {
        add_rooted(words, launch, node);
    } else {
        add_all(words, node == 0 ? options->emulator : options->emulator_slave);
        if (options->program[0][0] == '-') {
            g_ptr_array_add(words, "--");
        }
        add_all(words, options->program);
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/*
 * Where the stack has no limit, the kernel lays a new program's mappings out from a third of all
 * addresses upwards, which are the guest's; with any limit, from their end downwards. So a node starts with
 * the kernel's own limit, and is told to set its user's again (qemu/glue/node.c).
 */
#define STACK_LIMIT (8u << 20)

static bool stack_is_unlimited(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

static void limit_stack(void)
{
    const struct rlimit limit = {STACK_LIMIT, RLIM_INFINITY};

    if (stack_is_unlimited()) {
        setrlimit(RLIMIT_STACK, &limit);
    }
}

/* [wrap] node-binary --dqemu-control=FD arguments; never freed. */
static char **build_argv(const struct dq_spawn *spawn)
{
    GPtrArray *argv = g_ptr_array_new();

    for (char *const *w = spawn->wrap; w && *w; w++) {
        g_ptr_array_add(argv, expand(*w, spawn->node));
    }
    g_ptr_array_add(argv, (char *)spawn->binary);
    g_ptr_array_add(argv, g_strdup_printf("--dqemu-control=%d%s", spawn->control,
                                          stack_is_unlimited() ? ",stack" : ""));
    if (spawn->root) {
        g_ptr_array_add(
            argv, g_strdup_printf("--dqemu-root=%d,%d", spawn->root->inside, spawn->root->wdir));
    }
    add_all(argv, spawn->arguments);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

static void report(int control, const char *verb, const char *what, const char *remedy)
{
    char *text = g_strdup_printf("cannot %s %s: %s; %s", verb, what, g_strerror(errno), remedy);
    char *valid = g_utf8_make_valid(text, -1);
    json_t *object =
        json_pack("{s:s, s:i, s:s}", "type", "error", "status", DQ_STATUS_FAULT, "text", valid);
    char *line = g_strconcat(json_dumps(object, JSON_COMPACT), "\n", NULL);
    if (send(control, line, strlen(line), MSG_NOSIGNAL) < 0) {
        /* The launcher is gone: nobody is left to tell. */
    }
}

/* The guest's files are node 0's business: a pipe held open here would never end for others. */
static void detach_slave(int control)
{
    int null = open("/dev/null", O_RDONLY);

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO);
    if (control > 3) {
        close_range(3, (unsigned)control - 1, 0);
    }
    close_range((unsigned)control + 1, ~0u, 0);
    setpgid(0, 0);
    unsetenv("QEMU_GDB");
}

struct dq_share dq_spawn_share(int share, int shares, int count)
{
    const int from = share * count / shares;

    return (struct dq_share){from, MAX((share + 1) * count / shares, from + 1)};
}

/* The processors that this process may use, in as many parts as nodes here share them. */
static void bind_processors(int share, int shares)
{
    cpu_set_t all, mine;
    int seen = 0;

    if (shares == 0 || sched_getaffinity(0, sizeof(all), &all) < 0) {
        return;
    }
    const struct dq_share part = dq_spawn_share(share, shares, CPU_COUNT(&all));
    CPU_ZERO(&mine);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            if (seen >= part.from && seen < part.to) {
                CPU_SET(cpu, &mine);
            }
            seen++;
        }
    }
    sched_setaffinity(0, sizeof(mine), &mine);
}

static void change_surroundings(const struct dq_spawn *spawn)
{
    for (char *const *e = spawn->environment; e && *e; e++) {
        putenv(*e);
    }
    if (spawn->folder && chdir(spawn->folder) < 0) {
        /* a slave opens no file of the guest's: as good as any other */
    }
    bind_processors(spawn->share, spawn->shares);
}

static _Noreturn void become_node(const struct dq_spawn *spawn, pid_t parent, char **argv)
{
    int rc = spawn->root ? dq_root_enter(spawn->root) : 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of rights would undo it */
    if (rc < 0) {
        errno = -rc;
        report(spawn->control, "enter", "the root of the program", "run as root");
        _exit(DQ_STATUS_FAULT);
    }
    if (getppid() != parent) {
        _exit(DQ_STATUS_FAULT);
    }
    if (spawn->words >= 0) {
        dup2(spawn->words, STDERR_FILENO);
    }
    if (spawn->node != 0) {
        detach_slave(spawn->control);
    }
    change_surroundings(spawn);
    limit_stack();
    fcntl(spawn->control, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, spawn->signals, NULL);
    if (spawn->wrap) {
        execvp(argv[0], argv);
    } else {
        execv(argv[0], argv); /* a path, and no shell for what the kernel does not know */
    }
    report(spawn->control, "start", argv[0], "check the path and its permissions");
    _exit(DQ_STATUS_FAULT);
}

pid_t dq_spawn_node(const struct dq_spawn *spawn)
{
    char **argv = build_argv(spawn);
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        become_node(spawn, parent, argv);
    }
    g_free(argv);
    return pid;
}

void dq_spawn_release(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        close(null);
    }
    /* What the launcher opened itself is close-on-exec; what it was given is not. */
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) {
            close(fd);
        }
    }
    if (folder) {
        closedir(folder);
    }
}
