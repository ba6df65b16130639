/*
 * What every transport has: the wake-up of the loop, messages to oneself, notes, addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/transport_common.h"

#include <errno.h>
#include <event2/event.h>
#include <gnutls/crypto.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/frame.h"

/* A queue to oneself that has grown beyond this gives its memory back when it is empty. */
#define SELF_KEEP (1u << 20)
/* Silence is looked for ten times in the limit, at least so often. */
#define MOST_TICK_MS 1000u
/* A flood of strangers must not become a flood of notes. */
#define NOTES_PER_SECOND 20

/* The transport that this thread is the loop of, once it has had a turn. */
static _Thread_local const struct dq_transport *turning;

/* ---- the loop's attention */

bool dq_transport_gathers(const struct dq_transport *t)
{
    return turning == t;
}

void dq_transport_wake(struct dq_transport *t)
{
    uint64_t one = 1;

    /* An eventfd holds 2^64 - 2: with one write per wake-up it never refuses. */
    if (!atomic_exchange(&t->woken, true) && write(t->wake_fd, &one, sizeof(one)) < 0) {
        perror("dqemu: eventfd");
        abort();
    }
}

void dq_transport_call(struct dq_transport *t)
{
    atomic_store(&t->links_call, true);
    dq_transport_wake(t);
}

void dq_transport_maybe_ready(struct dq_transport *t)
{
    if (t->connecting && !t->ready && t->up == t->cfg.nodes - 1) {
        t->ready = true;
        t->events.ready(t->ctx);
    }
}

static void tell(struct dq_transport *t, void (*event)(void *ctx, int node, const char *why),
                 int node, const char *why)
{
    t->taken |= UINT64_C(1) << node;
    event(t->ctx, node, why);
}

void dq_transport_lost(struct dq_transport *t, int node, const char *why)
{
    tell(t, t->events.lost, node, why);
}

void dq_transport_broken(struct dq_transport *t, int node, const char *why)
{
    tell(t, t->events.broken ? t->events.broken : t->events.lost, node, why);
}

/* ---- silence */

unsigned dq_transport_tick_ms(const struct dq_transport *t)
{
    return MIN(MOST_TICK_MS, MAX(1, t->cfg.contact_ms / 10));
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct dq_transport *t = arg;

    (void)fd, (void)what;
    t->look(t);
}

void dq_transport_watch(struct dq_transport *t, void (*look)(struct dq_transport *t))
{
    const unsigned ms = dq_transport_tick_ms(t);
    const struct timeval tick = {ms / 1000, ms % 1000 * 1000};

    if (t->cfg.contact_ms > 0 && t->cfg.nodes > 1) {
        t->look = look;
        t->tick = event_new(t->base, -1, EV_PERSIST, on_tick, t);
        event_add(t->tick, &tick);
    }
}

void dq_transport_unwatch(struct dq_transport *t)
{
    if (t->tick) {
        event_free(t->tick);
        t->tick = NULL;
    }
}

void dq_transport_silence(const struct dq_transport *t, char to[DQ_TRANSPORT_SILENCE])
{
    snprintf(to, DQ_TRANSPORT_SILENCE, "nothing heard from it for %g s", t->cfg.contact_ms / 1e3);
}

/* ---- the loop is called */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct dq_transport *t = arg;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0) {
        return;
    }
    /* From here on a new call writes again: nothing that comes after the looks below is missed. */
    atomic_store(&t->woken, false);
    if (atomic_exchange(&t->links_call, false)) {
        t->called(t);
    }
    dq_transport_deliver(t);
    dq_transport_maybe_ready(t);
}

/* ---- messages */

int dq_transport_frame(struct dq_frame *f, struct iovec iov[3], int to, unsigned type,
                       const void *body, size_t length, const void *pages, unsigned count)
{
    const size_t more = (size_t)count * DQ_PAGE_SIZE;

    *f = (struct dq_frame){.length = length + more, .type = type};
    if (length > DQ_MAX_BODY || type > UINT16_MAX || dq_frame_check(f)) {
        fprintf(stderr, "dqemu: bug: message %s (%u) with %zu bytes and %u pages to node %d\n",
                dq_msg_name(type), type, length, count, to);
        abort();
    }
    iov[0] = (struct iovec){f, sizeof(*f)};
    iov[1] = (struct iovec){(void *)body, length};
    iov[2] = (struct iovec){(void *)pages, more};
    return count ? 3 : 2;
}

void dq_transport_self_send(struct dq_transport *t, const struct iovec *iov, int count,
                            size_t length)
{
    static const uint8_t zeroes[8];

    pthread_mutex_lock(&t->self_lock);
    for (int i = 0; i < count; i++) {
        g_byte_array_append(t->self_in, iov[i].iov_base, iov[i].iov_len);
    }
    g_byte_array_append(t->self_in, zeroes, dq_transport_padded(length) - length);
    pthread_mutex_unlock(&t->self_lock);
    if (!dq_transport_gathers(t)) {
        dq_transport_wake(t);
    }
}

/* What is sent while this runs waits for the next turn of the loop: sockets get theirs too. */
bool dq_transport_deliver(struct dq_transport *t)
{
    GByteArray *todo;
    bool any;

    pthread_mutex_lock(&t->self_lock);
    todo = t->self_in;
    t->self_in = t->self_out;
    pthread_mutex_unlock(&t->self_lock);

    any = todo->len > 0;
    for (size_t at = 0; at < todo->len;) {
        struct dq_frame f;

        memcpy(&f, todo->data + at, sizeof(f));
        t->events.message(t->ctx, t->cfg.node, f.type, todo->data + at + sizeof(f), f.length);
        at += dq_transport_padded(sizeof(f) + f.length);
    }
    if (todo->len > SELF_KEEP) {
        g_byte_array_unref(todo);
        todo = g_byte_array_new();
    }
    g_byte_array_set_size(todo, 0);
    t->self_out = todo;
    return any;
}

int dq_transport_dial(struct dq_transport *t, const struct dq_peer_addr *peers,
                      int (*dial)(struct dq_transport *t, int node,
                                  const struct dq_peer_addr *addr))
{
    t->connecting = true;
    for (int i = 0; i < t->cfg.node; i++) {
        int err = dial(t, i, &peers[i]);

        if (err) {
            return err;
        }
    }
    /* All may have come already, or there are none: ready() is called from the loop. */
    dq_transport_wake(t);
    return 0;
}

bool dq_transport_turn_ends(struct dq_transport *t, void (*flush)(struct dq_transport *t, int node))
{
    for (uint64_t left = t->gathered; left; left &= left - 1) {
        flush(t, __builtin_ctzll(left));
    }
    t->gathered = 0;
    bool more;

    turning = t;
    pthread_mutex_lock(&t->self_lock);
    more = t->self_in->len > 0;
    pthread_mutex_unlock(&t->self_lock);
    return more;
}

void dq_transport_traffic(struct dq_transport *t, uint64_t *bytes_in, uint64_t *bytes_out)
{
    *bytes_in = atomic_load_explicit(&t->bytes_in, memory_order_relaxed);
    *bytes_out = atomic_load_explicit(&t->bytes_out, memory_order_relaxed);
}

const char *dq_transport_why(struct dq_transport *t)
{
    return *t->why ? t->why : NULL;
}

/* ---- notes, names */

void dq_transport_note(struct dq_transport *t, const char *format, ...)
{
    gint64 now = g_get_monotonic_time();
    char text[512];
    va_list ap;

    if (now - t->notes_since >= G_USEC_PER_SEC) {
        t->notes_since = now;
        t->notes = 0;
    }
    if (++t->notes > NOTES_PER_SECOND) {
        return;
    }
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    t->events.note(t->ctx, text);
    if (t->notes == NOTES_PER_SECOND) {
        t->events.note(t->ctx, "too many strangers: no more notes about them in this second");
    }
}

void dq_transport_name(char to[DQ_TRANSPORT_NAME], const struct sockaddr *sa, socklen_t length)
{
    char host[64], port[16];

    if (getnameinfo(sa, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV)) {
        strcpy(to, "an unknown address");
        return;
    }
    snprintf(to, DQ_TRANSPORT_NAME, "%s port %s", host, port);
}

struct dq_auth_config dq_transport_auth(struct dq_transport *t, int peer)
{
    bool dialled = peer >= 0;

    return (struct dq_auth_config){
        .role = dialled ? DQ_ROLE_CONNECTOR : DQ_ROLE_ACCEPTOR,
        .node = t->cfg.node,
        .nodes = t->cfg.nodes,
        .secret = t->cfg.secret,
        .build_id = t->build_id,
        .protect = t->cfg.protect,
        .peer = dialled ? peer : 0,
        .taken = &t->taken,
    };
}

/* ---- life */

int dq_transport_open(struct dq_transport *t, struct event_base *base,
                      const struct dq_transport_config *cfg,
                      const struct dq_transport_events *events, void *ctx,
                      void (*called)(struct dq_transport *t))
{
    int fd;

    if (cfg->nodes < 1 || cfg->nodes > DQ_MAX_NODES || cfg->node < 0 || cfg->node >= cfg->nodes ||
        strlen(cfg->build_id) >= DQ_BUILD_ID_SIZE || cfg->protect >= DQ_PROTECT_COUNT) {
        return -EINVAL;
    }
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    t->cfg = *cfg;
    t->cfg.build_id = t->build_id = g_strdup(cfg->build_id);
    t->events = *events;
    t->ctx = ctx;
    t->base = base;
    t->called = called;
    /* Only higher numbers connect to this node. */
    t->taken = (UINT64_C(2) << cfg->node) - 1;
    pthread_mutex_init(&t->self_lock, NULL);
    t->self_in = g_byte_array_new();
    t->self_out = g_byte_array_new();
    t->wake_fd = fd;
    t->wake = event_new(base, fd, EV_READ | EV_PERSIST, on_wake, t);
    event_add(t->wake, NULL);
    return 0;
}

void dq_transport_close(struct dq_transport *t)
{
    dq_transport_unwatch(t);
    event_free(t->wake);
    close(t->wake_fd);
    pthread_mutex_destroy(&t->self_lock);
    g_byte_array_unref(t->self_in);
    g_byte_array_unref(t->self_out);
    gnutls_memset(t->cfg.secret, 0, sizeof(t->cfg.secret));
    g_free(t->build_id);
}

void dq_transport_forked(struct dq_transport *t)
{
    close(t->wake_fd);
}
