/*
 * dqemu-launch: runs one guest program on several nodes of this machine.
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
#include <unistd.h>

#include "deploy/limits.h"
#include "deploy/options.h"
#include "deploy/permission.h"
#include "deploy/program.h"
#include "deploy/report.h"
#include "deploy/cluster.h"
#include "deploy/say.h"
#include "deploy/transport.h"

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

static char *find_node_binary(const struct dq_options *options)
{
    const char *isa =
        options->program ? dq_program_isa(options->program[0]) : dq_program_default_isa();

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

int main(int argc, char **argv)
{
    static struct dq_options options;
    static struct dq_cluster run;
    struct dq_launch launch = {.options = &options};

    fill_standard_descriptors();
    signal(SIGCHLD, SIG_DFL); /* ignored ones could not be waited for */
    dq_options_read(&options, argc, argv);
    char *node_binary = find_node_binary(&options);
    if (!options.program) {
        show_emulator_help(&options, node_binary);
    }
    if (options.nodes > 1) {
        dq_limits_check(options.nodes);
        dq_permission_check();
        dq_transport_choose(&options);
    }
    FILE *file = open_stats(options.stats ? options.stats_file : NULL);
    launch.node_binary = node_binary;
    make_secret(launch.secret);
    dq_cluster_prepare(&run, &launch);
    int status = report(&run, file, dq_cluster_run(&run));
    dq_cluster_free(&run);
    return status;
}
