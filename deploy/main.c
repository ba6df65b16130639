/*
 * dqemu-launch: runs one guest program on several nodes, of this machine or of several hosts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/agent.h"
#include "deploy/limits.h"
#include "deploy/logs.h"
#include "deploy/onhosts.h"
#include "deploy/options.h"
#include "deploy/permission.h"
#include "deploy/program.h"
#include "deploy/report.h"
#include "deploy/cluster.h"
#include "deploy/root.h"
#include "deploy/say.h"
#include "deploy/transport.h"
#include "dqemu/handover.h"

/* Standard descriptors that are closed would go to our files, and the guest would find those. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* The emulator's own lists ("-cpu help") need neither a program nor nodes. */
static _Noreturn void show_emulator_help(const struct dq_options *options, char *node_binary)
{
    GPtrArray *argv = g_ptr_array_new();

    g_ptr_array_add(argv, node_binary);
    for (char **w = options->emulator; *w; w++) {
        g_ptr_array_add(argv, *w);
    }
    g_ptr_array_add(argv, NULL);
    execv(node_binary, (char **)argv->pdata);
    dq_say_die(DQ_STATUS_FAULT, "cannot start %s: %s; check the path and its permissions",
               node_binary, g_strerror(errno));
}

static const struct dq_root *find_root(const struct dq_options *options)
{
    if (options->root_fd >= 0 && options->program) {
        return dq_root_inherit(options);
    }
    return options->root && !options->emulator_help ? dq_root_make(options) : NULL;
}

static const char *find_isa(const struct dq_options *options, const struct dq_root *root)
{
    if (!options->program) {
        return dq_program_default_isa();
    }
    return root ? dq_program_isa_of(root->path, root->program)
                : dq_program_isa(options->program[0]);
}

static char *find_node_binary(const struct dq_options *options, const char *isa)
{
    if (options->node_binary) {
        dq_program_check_node_binary(options->node_binary);
        return g_strdup(options->node_binary);
    }
    return dq_program_node_binary(isa);
}

/* Opened before the run, so that a wrong name costs nothing. */
static FILE *open_stats(const char *path)
{
    FILE *file = path ? fopen(path, "we") : NULL;

    if (path && !file) {
        dq_say_die(DQ_STATUS_FAULT, "--stats=%s: %s; name a file that can be written", path,
                   g_strerror(errno));
    }
    return file;
}

static void make_secret(uint8_t secret[DQ_SECRET_SIZE])
{
    if (getrandom(secret, DQ_SECRET_SIZE, 0) != DQ_SECRET_SIZE) {
        dq_say_die(DQ_STATUS_FAULT, "no random numbers: %s; the kernel must provide getrandom",
                   g_strerror(errno));
    }
}

static int report(const struct dq_cluster *run, FILE *file, int status)
{
    const struct dq_options *options = run->launch->options;
    int rc;

    if (!options->stats) {
        return status;
    }
    if (!file) {
        dq_report_table(run, stderr);
        return status;
    }
    rc = dq_report_json(run, file);
    if (fclose(file) == EOF && rc == 0) {
        rc = -errno;
    }
    if (rc < 0) {
        dq_say("--stats=%s: %s; free some space or name another file", options->stats_file,
               g_strerror(-rc));
        return DQ_STATUS_FAULT;
    }
    return status;
}

/* What the processes of this machine need, where there is no preflight that looks. */
static void check_this_machine(int nodes)
{
    char *limits = dq_limits_trouble(nodes, nodes);
    const char *permission = dq_permission_trouble(NULL);

    if (limits) {
        dq_say_die(DQ_STATUS_FAULT, "%s", limits);
    }
    if (permission) {
        dq_say_die(DQ_STATUS_FAULT, "%s (-n 1 needs none)", permission);
    }
}

/* In a root of its own the program alone has that folder. */
static void change_folder(const struct dq_options *options)
{
    const char *wdir = options->root ? NULL : options->wdir;

    if (wdir && chdir(wdir) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "--wdir %s: %s; name a folder that is there", wdir,
                   g_strerror(errno));
    }
}

static int run_on_hosts(struct dq_cluster *run, struct dq_launch *launch,
                        struct dq_options *options)
{
    static struct dq_rack rack;

    launch->rack = &rack;
    launch->folder = g_get_current_dir();
    int status = dq_on_hosts(&rack, launch, options, run->signals);
    if (status < 0) {
        status = dq_cluster_run(run);
    }
    dq_rack_free(&rack);
    g_free(launch->folder);
    return status;
}

/*
 * Started by the guest, for a program of its own: who waits for that shall see the signal that has
 * ended it. The file with its memory has been written by then.
 */
static void end_like(const struct dq_cluster *run)
{
    const struct dq_member *master = &run->members[0];
    const struct rlimit no_core = {0};
    sigset_t set;

    if (!g_getenv(DQ_HANDOVER_VARIABLE) || run->failed || !master->ended ||
        !WIFSIGNALED(master->wait_status)) {
        return;
    }
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(master->wait_status), SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, WTERMSIG(master->wait_status));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(WTERMSIG(master->wait_status));
}

int main(int argc, char **argv)
{
    static struct dq_options options;
    static struct dq_cluster run;
    struct dq_launch launch = {.options = &options};

    fill_standard_descriptors();
    signal(SIGCHLD, SIG_DFL); /* ignored ones could not be waited for */
    if (argc == 2 && strcmp(argv[1], "--agent") == 0) {
        return dq_agent_main();
    }
    dq_options_read(&options, argc, argv);
    change_folder(&options);
    launch.root = find_root(&options);
    launch.isa = find_isa(&options, launch.root);
    char *node_binary = find_node_binary(&options, launch.isa);
    if (!options.program && !options.check) {
        show_emulator_help(&options, node_binary);
    }
    if (options.nodes > 1 && options.hosts.count == 0) {
        check_this_machine(options.nodes);
        dq_transport_choose(&options);
    }
    FILE *file = open_stats(options.stats ? options.stats_file : NULL);
    launch.node_binary = node_binary;
    make_secret(launch.secret);
    dq_cluster_prepare(&run, &launch);
    int status =
        options.hosts.count > 0 ? run_on_hosts(&run, &launch, &options) : dq_cluster_run(&run);
    status = run.nodes > 0 ? report(&run, file, status) : status;
    dq_logs_close(run.failed);
    end_like(&run);
    dq_cluster_free(&run);
    return status;
}
