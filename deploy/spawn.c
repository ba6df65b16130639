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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/member.h"
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

/* [wrap] node-binary --dqemu-control=FD [emulator's options] PROGRAM ARGS; never freed. */
static char **build_argv(const struct dq_launch *launch, int node, int control)
{
    const struct dq_options *o = launch->options;
    GPtrArray *argv = g_ptr_array_new();

    for (char **w = o->wrap; w && *w; w++) {
        g_ptr_array_add(argv, expand(*w, node));
    }
    g_ptr_array_add(argv, (char *)launch->node_binary);
    g_ptr_array_add(argv, g_strdup_printf("--dqemu-control=%d", control));
    add_all(argv, node == 0 ? o->emulator : o->emulator_slave);
    if (o->program[0][0] == '-') {
        g_ptr_array_add(argv, "--");
    }
    add_all(argv, o->program);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

static void report_exec(int control, const char *what)
{
    const char *remedy = "check the path and its permissions";
    char *text = g_strdup_printf("cannot start %s: %s; %s", what, g_strerror(errno), remedy);
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

static _Noreturn void become_node(const struct dq_launch *launch, int node, int control,
                                  pid_t launcher, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launcher) {
        _exit(DQ_STATUS_FAULT);
    }
    if (node != 0) {
        detach_slave(control);
    }
    fcntl(control, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, &launch->signals, NULL);
    if (launch->options->wrap) {
        execvp(argv[0], argv);
    } else {
        execv(argv[0], argv); /* a path, and no shell for what the kernel does not know */
    }
    report_exec(control, argv[0]);
    _exit(DQ_STATUS_FAULT);
}

pid_t dq_spawn_node(const struct dq_launch *launch, int node, int control)
{
    char **argv = build_argv(launch, node, control);
    pid_t launcher = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        become_node(launch, node, control, launcher, argv);
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
