/*
 * The way from hosts to a run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/onhosts.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/logs.h"
#include "deploy/preflight.h"
#include "deploy/say.h"

#define MS G_GINT64_CONSTANT(1000)

static char *own_path(void)
{
    char *path = g_file_read_link("/proc/self/exe", NULL);
    return path ? path : g_strdup("dqemu-launch");
}

/* On the hosts as it is here, or below --prefix as "make install" puts it there. */
static char *installed_path(const struct dq_options *o, const char *own)
{
    return o->prefix ? g_build_filename(o->prefix, "bin", "dqemu-launch", NULL) : g_strdup(own);
}

static void describe(struct dq_push_file *file, const char *path)
{
    int rc = dq_push_describe(file, path);
    if (rc < 0) {
        dq_say_die(DQ_STATUS_FAULT, "--push: %s: %s; it must be readable", path, g_strerror(-rc));
    }
}

static void choose_way(struct dq_way *way, const struct dq_options *o, const char *installed)
{
    way->kind = o->rsh ? DQ_WAY_COMMAND : o->hosts.slurm ? DQ_WAY_SRUN : DQ_WAY_SSH;
    way->words = o->rsh ? o->rsh : o->ssh;
    way->installed = installed;
    if (way->kind == DQ_WAY_SSH && !way->words) {
        dq_say_die(DQ_STATUS_FAULT, "--ssh is empty; name an ssh client");
    }
}

static void open_logs(const char *dir)
{
    int rc = dq_logs_open(dir);

    if (rc < 0) {
        dq_say_die(DQ_STATUS_FAULT, "cannot keep logs in %s: %s; name a folder with --log-dir",
                   dir ? dir : g_get_tmp_dir(), g_strerror(-rc));
    }
}

/* Everything that was started ends: asked first, then killed. */
static void end_rack(struct dq_rack *rack)
{
    int64_t limit = g_get_monotonic_time() + DQ_RACK_END_MS * MS;
    int status;
    pid_t pid;

    dq_rack_bye(rack);
    while (!dq_rack_is_over(rack)) {
        struct pollfd fds[DQ_RACK_FDS];
        int n = dq_rack_fill(rack, fds);
        if (poll(fds, (nfds_t)n, 20) >= 0) {
            dq_rack_ready(rack, fds);
        }
        if (g_get_monotonic_time() >= limit) {
            dq_rack_kill(rack);
        }
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            dq_rack_changed(rack, pid, status);
        }
    }
}

/* -1: the run may begin. */
static int tell(const struct dq_preflight *p, const struct dq_options *o, int result)
{
    if (result > 0) {
        return 128 + result;
    }
    if (o->check) {
        dq_preflight_table(p, stdout);
    } else if (result < 0) {
        dq_preflight_table(p, stderr);
    }
    dq_preflight_troubles(p);
    if (o->check) {
        return result == 0 ? 0 : DQ_STATUS_FAULT;
    }
    return result == 0 ? -1 : DQ_STATUS_FAULT;
}

/* --transport auto */
static void choose_transport(const struct dq_preflight *p, struct dq_options *o)
{
    const char *text;

    if (o->auto_transport) {
        bool rdma = dq_preflight_has_rdma(p, &text) && o->config.protect != DQ_PROTECT_ENCRYPT;
        o->config.transport = rdma ? DQ_CARRIER_RDMA : DQ_CARRIER_TCP;
        if (o->config.verbose > 0) {
            dq_say("transport: %s (%s)", dq_config_transport_name(o->config.transport), text);
        }
    }
}

int dq_on_hosts(struct dq_rack *rack, const struct dq_launch *launch, struct dq_options *options,
                int signals)
{
    static struct dq_push_file launcher, node;
    const struct dq_options *o = options;
    char *own = own_path(), *installed = installed_path(o, own);
    struct dq_preflight p = {
        .rack = rack,
        .nodes = o->nodes,
        .isa = launch->isa,
        .node_binary = o->node_binary,
        .interface = o->interface,
        .first_port = o->first_port,
        .rdma = o->config.transport == DQ_CARRIER_RDMA,
        .signals = signals,
    };

    dq_rack_init(rack, &o->hosts);
    rack->contact_ms = (int)o->config.contact_ms;
    choose_way(&rack->way, o, installed);
    if (o->push) {
        describe(&launcher, own);
        describe(&node, launch->node_binary);
        rack->way.push = &launcher;
        p.push = &node;
    }
    open_logs(o->log_dir);
    int status = tell(&p, o, dq_preflight_run(&p));
    if (status >= 0) {
        end_rack(rack);
    } else {
        choose_transport(&p, options);
        if (o->config.placement != DQ_PLACEMENT_MASTER_ONLY) {
            dq_preflight_processors(&p, o->bind_cores, options->config.processors);
        }
    }
    return status; /* own and installed live as long as the rack's way */
}
