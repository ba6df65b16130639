/*
 * Which peers' machines still answer. A connection says nothing of that by itself: where a
 * cable is cut or a machine has died, no end comes. The peer's kernel acknowledges what it gets,
 * though, also for a process that is stopped, and the kernel of this machine counts what comes.
 *
 * A tick now and then looks at each link: is an answer due (data or a probe that is not
 * acknowledged), and has no segment at all come since the last tick? Then the silence is a tick
 * longer. Ticks are counted, not time: a node that was stopped itself blames nobody when it goes
 * on. Idle links have keep-alive probes, so that an answer is due at least once in a tick.
 *
 * Retransmissions come at growing intervals; the next to come may be seconds off when the limit
 * is reached, on a link that works again. So a peer is lost only once something that was sent
 * after the limit has found no answer either. Linux 6.15 lets the intervals be bounded, to a fifth
 * of the limit; before, this can take as long again as the silence until then.
 *
 * Not TCP_USER_TIMEOUT: it ends the connection to a stopped process whose window is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tcp.h"

#include <event2/event.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44 /* Linux 6.15 */
#endif
/* An answer takes no longer, on any network that nodes are joined by. */
#define ANSWER_MS 500u
/* As many as the kernel allows: it must not give up before the ticks do, nor while we stand. */
#define MOST_PROBES 127

void dq_tcp_contact_tune(const struct dq_transport *t, int fd)
{
    const int on = 1, probes = MOST_PROBES;
    const int every = MAX(1, (int)(t->cfg.contact_ms / 10000)); /* s */
    /* A fifth: the kernel's own limit, 15 retransmissions, is then more than twice ours. */
    const int rto_most = (int)MIN(120000, MAX(1000, t->cfg.contact_ms / 5));

    if (t->cfg.contact_ms == 0) {
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &every, sizeof(every));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_most, sizeof(rto_most));
}

/* One tick of a link: has the silence lasted too long? */
static bool is_silent(struct dq_tcp_link *l)
{
    const unsigned tick = dq_transport_tick_ms(l->t), limit = l->t->cfg.contact_ms / tick;
    struct dq_tcp_contact *c = &l->contact;
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &length)) {
        return false;
    }
    if (info.tcpi_segs_in != c->heard || (info.tcpi_unacked == 0 && info.tcpi_probes == 0)) {
        c->heard = info.tcpi_segs_in;
        c->silent = 0;
        return false;
    }
    if (c->silent == limit && info.tcpi_segs_out == c->said) {
        return false; /* nothing has been sent since: no silence yet */
    }
    c->silent++;
    c->said = info.tcpi_segs_out;
    return c->silent > limit + 1 + ANSWER_MS / tick;
}

/*
 * Closing with a reset: an end in good order would wait behind data that nobody acknowledges, and
 * a peer that can still hear should learn at once that it is not heard.
 */
static void lost_by_silence(struct dq_tcp_link *l)
{
    const struct linger reset = {.l_onoff = 1};
    char why[DQ_TRANSPORT_SILENCE];

    dq_transport_silence(l->t, why);
    setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    dq_tcp_link_broken(l, why);
}

static void look(struct dq_transport *t)
{
    for (int i = 0; i < t->cfg.nodes; i++) {
        struct dq_tcp_link *l = &dq_tcp_of(t)->links[i];

        if (l->state == DQ_TCP_UP && is_silent(l)) {
            lost_by_silence(l);
        }
    }
}

void dq_tcp_contact_start(struct dq_transport *t)
{
    dq_transport_watch(t, look);
}
