/*
 * Whether hosts can reach each other: the part of the facts that takes more than one host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/facts.h"
#include "proto/address.h"
#include "proto/wire.h"

/* A connection between hosts that takes longer than that is none to run threads across. */
#define REACH_MS 3000

/* -1 with errno. */
static int open_socket(const char *address, uint16_t port, struct sockaddr_storage *sa,
                       socklen_t *length)
{
    if (dq_address_read(address, port, sa, length)) {
        errno = EINVAL;
        return -1;
    }
    return socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* ---- listening ---- */

static int listen_on(const char *address, uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t size;
    int on = 1, fd = open_socket(address, *port, &sa, &size);

    if (fd < 0) {
        return -1;
    }
    /* as the node will (proto/tcp_join.c): what lingers of an earlier run does not count */
    if (*port) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (bind(fd, (struct sockaddr *)&sa, size) < 0 || listen(fd, DQ_MAX_NODES) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &size) < 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    /* the port stands at the same place in both families */
    *port = g_ntohs(((struct sockaddr_in *)&sa)->sin_port);
    return fd;
}

int dq_facts_listen(const char *address, const json_t *ports, uint16_t *port, char **why)
{
    int fd = -1;
    size_t i;
    json_t *value;

    json_array_foreach(ports, i, value)
    {
        if (fd >= 0) {
            close(fd);
        }
        *port = (uint16_t)json_integer_value(value);
        fd = listen_on(address, port);
        if (fd < 0) {
            *why = *port ? g_strdup_printf("port %d is not free on %s: %s; give another "
                                           "--port-range, or none",
                                           *port, address, g_strerror(errno))
                         : g_strdup_printf("it cannot listen on %s: %s; give one of its own "
                                           "addresses",
                                           address, g_strerror(errno));
            return -1;
        }
    }
    return fd;
}

/* ---- connecting ---- */

struct attempt {
    int fd, error;
    gint64 took; /* microseconds; -1: not yet */
};

static void begin(struct attempt *a, const json_t *peer)
{
    struct sockaddr_storage sa;
    socklen_t size;

    *a = (struct attempt){.took = -1};
    a->fd = open_socket(json_string_value(json_object_get(peer, "address")),
                        (uint16_t)json_integer_value(json_object_get(peer, "port")), &sa, &size);
    if (a->fd < 0) {
        a->error = errno;
        return;
    }
    if (connect(a->fd, (struct sockaddr *)&sa, size) < 0 && errno != EINPROGRESS) {
        a->error = errno;
    }
}

static void look(struct attempt *a, gint64 took)
{
    socklen_t size = sizeof(a->error);

    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &a->error, &size);
    a->took = took;
}

/* One round; false when nobody is left to wait for. */
static bool wait_for(struct attempt *all, size_t count, gint64 started)
{
    struct pollfd fds[DQ_MAX_NODES + 1];
    size_t left = 0;
    gint64 now = g_get_monotonic_time();
    int ms = (int)((started + REACH_MS * 1000 - now) / 1000);

    for (size_t i = 0; i < count; i++) {
        bool waits = all[i].took < 0 && !all[i].error;
        fds[i] = (struct pollfd){.fd = waits ? all[i].fd : -1, .events = POLLOUT};
        left += waits;
    }
    if (left == 0 || ms <= 0) {
        return false;
    }
    if (poll(fds, count, ms) > 0) {
        now = g_get_monotonic_time();
        for (size_t i = 0; i < count; i++) {
            if (fds[i].fd >= 0 && fds[i].revents) {
                look(&all[i], now - started);
            }
        }
    }
    return true;
}

static json_t *result_of(const struct attempt *a)
{
    if (a->error) {
        return json_string(g_strerror(a->error));
    }
    if (a->took < 0) {
        return json_string("no answer");
    }
    return json_real((double)a->took / 1000);
}

json_t *dq_facts_reach(const json_t *peers)
{
    struct attempt all[DQ_MAX_NODES + 1];
    size_t count = MIN(json_array_size(peers), G_N_ELEMENTS(all));
    gint64 started = g_get_monotonic_time();
    json_t *results = json_array();

    for (size_t i = 0; i < count; i++) {
        begin(&all[i], json_array_get(peers, i));
    }
    while (wait_for(all, count, started)) {
        /* until all have answered, or the time is up */
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(results, result_of(&all[i]));
        if (all[i].fd >= 0) {
            close(all[i].fd);
        }
    }
    return results;
}
