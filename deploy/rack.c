/*
 * The hosts of a run together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/rack.h"

#include <signal.h>

void dq_rack_init(struct dq_rack *rack, const struct dq_hosts *hosts)
{
    *rack = (struct dq_rack){.hosts = hosts, .count = hosts->count};
    for (int i = 0; i < rack->count; i++) {
        rack->remotes[i].host = &hosts->list[i];
        rack->remotes[i].here = i == 0;
    }
}

void dq_rack_start(struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        int rc = dq_remote_start(&rack->remotes[i], &rack->way);
        if (rc < 0) {
            dq_remote_lose(&rack->remotes[i],
                           "its agent cannot be started: %s; close other programs or raise the "
                           "limits of processes and open files",
                           g_strerror(-rc));
        }
    }
}

int dq_rack_fill(const struct dq_rack *rack, struct pollfd *fds)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_fill(&rack->remotes[i], fds + DQ_REMOTE_FDS * i);
    }
    return DQ_REMOTE_FDS * rack->count;
}

void dq_rack_ready(struct dq_rack *rack, const struct pollfd *fds)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_ready(&rack->remotes[i], fds + DQ_REMOTE_FDS * i);
    }
}

bool dq_rack_changed(struct dq_rack *rack, pid_t pid, int wait_status)
{
    for (int i = 0; i < rack->count; i++) {
        if (rack->remotes[i].pid == pid) {
            dq_remote_changed(&rack->remotes[i], wait_status);
            return true;
        }
    }
    return false;
}

void dq_rack_beat(struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_beat(&rack->remotes[i], rack->contact_ms);
    }
}

int64_t dq_rack_tick(struct dq_rack *rack)
{
    int64_t due = INT64_MAX;

    for (int i = 0; i < rack->count; i++) {
        int64_t next = dq_remote_tick(&rack->remotes[i], rack->contact_ms);
        due = MIN(due, next);
    }
    return due;
}

void dq_rack_rest(struct dq_rack *rack, bool on)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_send(&rack->remotes[i], json_pack("{s:s, s:b}", "type", "rest", "on", on));
    }
}

void dq_rack_bye(struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_bye(&rack->remotes[i]);
    }
}

void dq_rack_kill(struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        if (rack->remotes[i].pid > 0) {
            kill(rack->remotes[i].pid, SIGKILL);
        }
    }
}

bool dq_rack_is_over(const struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        if (rack->remotes[i].pid > 0) {
            return false;
        }
    }
    return true;
}

struct dq_remote *dq_rack_of(struct dq_rack *rack, int node)
{
    return &rack->remotes[dq_hosts_of(rack->hosts, node) - rack->hosts->list];
}

void dq_rack_free(struct dq_rack *rack)
{
    for (int i = 0; i < rack->count; i++) {
        dq_remote_free(&rack->remotes[i]);
    }
}
