/*
 * How RDMA peers meet: listening, dialling, and the handshake, until a connection becomes that
 * of a link or is dropped. The higher-numbered node of a pair connects to the lower-numbered one.
 *
 * A stranger costs a queue pair and a struct for at most handshake_ms, and there is a limit to
 * how many of them exist: a new one pushes out the oldest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "proto/rdma.h"

/* Events of the connection manager in one turn of the loop. */
#define EVENT_ROUNDS 16
/* If the peer has no buffer the hardware tries again without end, */
#define RETRIES_NO_BUFFER 7
/* ... after 0.64 ms, as the standard counts it. */
#define NO_BUFFER_PAUSE 12
/* How long a refused peer's last words may take. */
static const struct timeval leave_limit = {1, 0};

/* The first nudge; each pause is twice the one before. */
#define NUDGE_MS 250

#define CLOSED_EARLY "closed the connection during the handshake"

/* ---- one connection */

static void stop_nudging(struct dq_rdma_conn *c)
{
    if (c->nudge) {
        event_free(c->nudge);
        c->nudge = NULL;
    }
}

void dq_rdma_conn_free(struct dq_rdma_conn *c)
{
    struct dq_rdma *r = c->r;

    stop_nudging(c);
    g_queue_remove(&r->strangers, c);
    r->conns[c->place] = NULL;
    if (c->deadline) {
        event_free(c->deadline);
    }
    if (c->qp) {
        g_hash_table_remove(r->by_qp, GUINT_TO_POINTER(c->qp->qp_num));
        rdma_destroy_qp(c->id);
    }
    if (c->id) {
        rdma_destroy_id(c->id); /* tells the other end */
    }
    g_free(c);
}

/* A refused peer shall hear why before the connection ends under it. */
static void leave(struct dq_rdma_conn *c)
{
    struct dq_rdma *r = c->r;

    stop_nudging(c);
    if (c->controls == 0 || c->failed || r->gone) {
        dq_rdma_conn_free(c);
        return;
    }
    c->stage = DQ_RDMA_LEAVING;
    g_queue_remove(&r->strangers, c);
    g_queue_push_tail(&r->strangers, c);
    evtimer_add(c->deadline, &leave_limit);
}

void dq_rdma_join_failed(struct dq_rdma_conn *c, const char *why)
{
    struct dq_rdma *r = c->r;
    struct dq_rdma_link *l = c->link;
    char text[384];

    g_strlcpy(text, why, sizeof(text));
    if (c->stage == DQ_RDMA_LEAVING) {
        dq_rdma_conn_free(c);
        return;
    }
    if (!l && c->dialled) {
        l = &r->links[dq_auth_node(&c->auth)];
    }
    if (l && c->stage >= DQ_RDMA_PROVED) {
        dq_rdma_link_lost(l, text); /* frees the connection */
        return;
    }
    if (!l) {
        dq_transport_note(&r->common, "dropped a connection from %s: %s", c->name, text);
    }
    leave(c);
    if (l) {
        dq_rdma_link_lost(l, text);
    }
}

bool dq_rdma_conn_control(struct dq_rdma_conn *c, const void *bytes, size_t length)
{
    struct dq_rdma *r = c->r;
    unsigned slot = c->place * DQ_RDMA_CONTROL + c->control_next % DQ_RDMA_CONTROL;
    uint8_t *copy = r->controls + (size_t)slot * DQ_RDMA_CONTROL_BYTES;
    struct ibv_sge sge = {.addr = (uintptr_t)copy, .length = length, .lkey = r->mr->lkey};
    struct ibv_send_wr *bad, wr = {
                                 .sg_list = &sge,
                                 .num_sge = length ? 1 : 0,
                                 .opcode = IBV_WR_SEND,
                                 .send_flags = IBV_SEND_SIGNALED,
                             };

    if (c->controls >= DQ_RDMA_CONTROL || r->gone) {
        return false;
    }
    if (length <= r->inline_bytes) {
        wr.send_flags |= IBV_SEND_INLINE;
    }
    memcpy(copy, bytes, length);
    c->posted++;
    wr.wr_id = dq_rdma_send_id(c, true);
    if (ibv_post_send(c->qp, &wr, &bad)) {
        c->posted--;
        return false;
    }
    c->flagged = c->posted;
    c->controls++;
    c->control_next++;
    return true;
}

bool dq_rdma_conn_probe(struct dq_rdma_conn *c)
{
    struct dq_rdma *r = c->r;
    struct ibv_sge nothing = {.addr = (uintptr_t)r->memory, .lkey = r->mr->lkey};
    struct ibv_send_wr *bad, wr = {
                                 .sg_list = &nothing,
                                 .num_sge = 1,
                                 .opcode = r->iwarp ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
                                 .send_flags = IBV_SEND_SIGNALED,
                             };

    if (c->controls >= DQ_RDMA_CONTROL || r->gone) {
        return false;
    }
    wr.wr.rdma.remote_addr = c->link->peer_address;
    wr.wr.rdma.rkey = c->link->peer_key;
    c->posted++;
    wr.wr_id = dq_rdma_send_id(c, true);
    if (ibv_post_send(c->qp, &wr, &bad)) {
        c->posted--;
        return false;
    }
    c->flagged = c->posted;
    c->controls++;
    return true;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct dq_rdma_conn *c = arg;
    unsigned ms = c->r->common.cfg.handshake_ms;
    char why[256];

    (void)fd, (void)what;
    if (c->error) {
        snprintf(why, sizeof(why), "cannot be reached at %s: %s", c->name, g_strerror(c->error));
    } else if (c->stage == DQ_RDMA_CONNECTING) {
        snprintf(why, sizeof(why), "cannot be reached at %s: no answer within %u ms", c->name, ms);
    } else {
        snprintf(why, sizeof(why), "did not finish the handshake within %u ms", ms);
    }
    dq_rdma_join_failed(c, why);
}

static void drop_oldest_stranger(struct dq_rdma *r)
{
    struct dq_rdma_conn *c = g_queue_peek_head(&r->strangers);

    if (c->stage != DQ_RDMA_LEAVING) {
        dq_transport_note(&r->common,
                          "dropped a connection from %s: too many connections have not proved "
                          "themselves, this one for longest",
                          c->name);
    }
    dq_rdma_conn_free(c);
}

static unsigned free_place(const struct dq_rdma *r)
{
    unsigned place = 0;

    while (r->conns[place]) {
        place++;
    }
    return place;
}

/* peer: whom it has dialled; -1: it was called. NULL: no random numbers, and id is the caller's. */
static struct dq_rdma_conn *conn_new(struct dq_rdma *r, struct rdma_cm_id *id, int peer,
                                     const struct sockaddr *sa, socklen_t length, int error)
{
    unsigned ms = r->common.cfg.handshake_ms;
    struct timeval limit = {ms / 1000, ms % 1000 * 1000}, at_once = {0, 0};
    struct dq_auth_config cfg = dq_transport_auth(&r->common, peer);
    struct dq_rdma_conn *c = g_new0(struct dq_rdma_conn, 1);

    if (dq_auth_open(&c->auth, &cfg)) {
        g_free(c);
        return NULL;
    }
    while (g_queue_get_length(&r->strangers) >= r->conn_most - r->peers) {
        drop_oldest_stranger(r);
    }
    c->r = r;
    c->id = id;
    c->error = error;
    c->dialled = peer >= 0;
    c->stage = c->dialled ? DQ_RDMA_CONNECTING : DQ_RDMA_GREETING;
    c->place = free_place(r);
    c->serial = ++r->serials & 0xfffffu;
    r->conns[c->place] = c;
    if (id) {
        id->context = c;
    }
    dq_transport_name(c->name, sa, length);
    c->deadline = evtimer_new(r->common.base, on_deadline, c);
    evtimer_add(c->deadline, error ? &at_once : &limit);
    if (!c->dialled) {
        g_queue_push_tail(&r->strangers, c);
    }
    return c;
}

/* ---- the handshake */

/* False: the connection is no more. */
static bool send_due(struct dq_rdma_conn *c)
{
    const void *bytes;
    size_t length = dq_auth_take(&c->auth, &bytes);

    if (length > 0 && !dq_rdma_conn_control(c, bytes, length)) {
        dq_rdma_join_failed(c, CLOSED_EARLY);
        return false;
    }
    return true;
}

static void proved(struct dq_rdma_conn *c)
{
    struct dq_rdma *r = c->r;
    struct dq_rdma_link *l = &r->links[dq_auth_node(&c->auth)];
    struct dq_rdma_setup setup = {
        .head = {.length = sizeof(setup) - sizeof(setup.head), .kind = DQ_RDMA_SETUP},
        .address = (uintptr_t)l->landing,
        .key = l->landing_mr->rkey,
        .size = r->area,
        .room = r->room,
    };

    g_queue_remove(&r->strangers, c);
    r->common.taken |= UINT64_C(1) << l->node;
    c->stage = DQ_RDMA_PROVED;
    c->link = l;
    l->conn = c;
    if (!dq_rdma_conn_control(c, &setup, sizeof(setup))) {
        dq_rdma_link_lost(l, CLOSED_EARLY);
    }
}

static void set_up(struct dq_rdma_conn *c, const uint8_t *bytes, size_t length)
{
    struct dq_rdma *r = c->r;
    struct dq_rdma_setup setup;

    if (length != sizeof(setup)) {
        dq_rdma_join_failed(c, "sent a malformed message during the handshake");
        return;
    }
    memcpy(&setup, bytes, sizeof(setup));
    event_free(c->deadline);
    c->deadline = NULL;
    c->stage = DQ_RDMA_LINKED;
    r->common.up++;
    if (dq_rdma_link_up(c->link, &setup)) {
        dq_rdma_link_lost(c->link, "sent a malformed message during the handshake");
        return;
    }
    dq_transport_maybe_ready(&r->common);
}

void dq_rdma_join_received(struct dq_rdma_conn *c, const uint8_t *bytes, size_t length)
{
    enum dq_auth_result result;

    if (c->stage == DQ_RDMA_LEAVING || length == 0) { /* 0: a nudge */
        return;
    }
    stop_nudging(c);
    if (c->stage == DQ_RDMA_PROVED) {
        set_up(c, bytes, length);
        return;
    }
    result = dq_auth_feed(&c->auth, bytes, length);
    if (!send_due(c)) {
        return;
    }
    switch (result) {
    case DQ_AUTH_MORE:
        break;
    case DQ_AUTH_DONE:
        proved(c);
        break;
    case DQ_AUTH_REFUSED:
        c->link = &c->r->links[dq_auth_node(&c->auth)]; /* it is a node of the run */
        dq_rdma_join_failed(c, dq_auth_why(&c->auth));
        break;
    case DQ_AUTH_STRANGER:
        dq_rdma_join_failed(c, dq_auth_why(&c->auth));
        break;
    }
}

/* ---- dialling */

static void failed_with(struct dq_rdma_conn *c, const char *cause)
{
    char why[256];

    snprintf(why, sizeof(why), "cannot be reached at %s: %s", c->name, cause);
    dq_rdma_join_failed(c, why);
}

static void failed_at_once(struct dq_rdma_conn *c, int error)
{
    failed_with(c, error == ECONNREFUSED ? dq_rdma_why_event(RDMA_CM_EVENT_REJECTED, -error)
                                         : g_strerror(error));
}

int dq_rdma_join_dial(struct dq_transport *t, int node, const struct dq_peer_addr *addr)
{
    struct dq_rdma *r = dq_rdma_of(t);
    struct sockaddr_storage sa;
    struct rdma_cm_id *id;
    struct dq_rdma_conn *c;
    socklen_t length;
    int error = 0;
    int err = dq_address_read(addr->address, addr->port, &sa, &length);

    if (err) {
        return err;
    }
    if (rdma_create_id(r->channel, &id, NULL, RDMA_PS_TCP)) {
        return -errno;
    }
    /* From the address that it listens at: that leads over the same device. */
    if (rdma_resolve_addr(id, (struct sockaddr *)&r->bound, (struct sockaddr *)&sa,
                          (int)r->common.cfg.handshake_ms)) {
        error = errno;
    }
    c = conn_new(r, id, node, (struct sockaddr *)&sa, length, error);
    if (!c) {
        rdma_destroy_id(id);
        return -EIO;
    }
    return 0;
}

static void resolved(struct dq_rdma_conn *c)
{
    if (c->id->verbs != c->r->verbs) {
        failed_with(c, "the way there leads over another RDMA device than the one of this "
                       "node's address");
    } else if (rdma_resolve_route(c->id, (int)c->r->common.cfg.handshake_ms)) {
        failed_at_once(c, errno);
    }
}

static struct rdma_conn_param connection_parameters(void)
{
    return (struct rdma_conn_param){
        .responder_resources = 1,
        .initiator_depth = 1,
        .retry_count = DQ_RDMA_RETRIES,
        .rnr_retry_count = RETRIES_NO_BUFFER,
    };
}

static void routed(struct dq_rdma_conn *c)
{
    struct rdma_conn_param p = connection_parameters();

    dq_rdma_contact_tune(c->r, c->id);
    if (dq_rdma_device_connect(c->r, c) || rdma_connect(c->id, &p)) {
        failed_at_once(c, errno);
    }
}

static void arm_nudge(struct dq_rdma_conn *c)
{
    struct timeval pause = {c->nudge_ms / 1000, c->nudge_ms % 1000 * 1000};

    evtimer_add(c->nudge, &pause);
}

static void on_nudge(evutil_socket_t fd, short what, void *arg)
{
    struct dq_rdma_conn *c = arg;

    (void)fd, (void)what;
    if (dq_rdma_conn_control(c, "", 0)) {
        c->nudge_ms *= 2;
    }
    arm_nudge(c);
}

/*
 * siw, who accepts a connection, answers first and then begins to watch the socket: what came in between
 * stays unread until something else comes (drivers/infiniband/sw/siw/siw_cm.c, siw_accept(): the
 * answer is sent before siw_qp_socket_assoc()). Who has dialled speaks first and then waits, so it says
 * nothing, an empty message, until it is answered. The pauses are for the few buffers that a stranger
 * has; the deadline ends it.
 */
static void begin_nudging(struct dq_rdma_conn *c)
{
    c->nudge = evtimer_new(c->r->common.base, on_nudge, c);
    c->nudge_ms = NUDGE_MS;
    arm_nudge(c);
}

static void established(struct dq_rdma_conn *c)
{
    struct ibv_qp_attr a = {.min_rnr_timer = NO_BUFFER_PAUSE};

    if (!c->r->iwarp) {
        ibv_modify_qp(c->qp, &a, IBV_QP_MIN_RNR_TIMER); /* the default is half a second */
    }
    if (c->stage == DQ_RDMA_CONNECTING) {
        c->stage = DQ_RDMA_GREETING;
        if (send_due(c) && c->r->iwarp) {
            begin_nudging(c);
        }
    }
}

/* ---- listening */

static void called(struct dq_rdma *r, struct rdma_cm_id *id)
{
    struct rdma_conn_param p = connection_parameters();
    struct sockaddr *sa = rdma_get_peer_addr(id);
    socklen_t length =
        sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct dq_rdma_conn *c = r->gone ? NULL : conn_new(r, id, -1, sa, length, 0);
    char why[128];

    if (!c) {
        rdma_reject(id, NULL, 0);
        rdma_destroy_id(id);
        return;
    }
    dq_rdma_contact_tune(r, id);
    if (id->verbs != r->verbs) {
        dq_rdma_join_failed(c, "it came over another RDMA device");
    } else if (dq_rdma_device_connect(r, c) || rdma_accept(id, &p)) {
        snprintf(why, sizeof(why), "it cannot be accepted: %s", g_strerror(errno));
        dq_rdma_join_failed(c, why);
    }
}

static int bind_and_listen(struct dq_rdma *r, struct sockaddr *sa)
{
    struct rdma_cm_id *id = r->listener;

    if (rdma_bind_addr(id, sa)) {
        return -errno;
    }
    if (!id->verbs) {
        return -ENODEV;
    }
    int err = dq_rdma_device_open(r, id);

    return err ? err : rdma_listen(id, DQ_MAX_NODES) ? -errno : 0;
}

static void on_events(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    dq_rdma_join_events(arg);
}

static int open_channel(struct dq_rdma *r)
{
    int flags;

    r->channel = rdma_create_event_channel();
    if (!r->channel) {
        return -errno;
    }
    flags = fcntl(r->channel->fd, F_GETFL);
    if (flags < 0 || fcntl(r->channel->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    r->cm_event = event_new(r->common.base, r->channel->fd, EV_READ | EV_PERSIST, on_events, r);
    event_add(r->cm_event, NULL);
    return rdma_create_id(r->channel, &r->listener, NULL, RDMA_PS_TCP) ? -errno : 0;
}

static void remember_address(struct dq_rdma *r, const struct sockaddr_storage *sa)
{
    r->bound = *sa;
    if (sa->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&r->bound)->sin6_port = 0;
    } else {
        ((struct sockaddr_in *)&r->bound)->sin_port = 0;
    }
}

int dq_rdma_join_listen(struct dq_transport *t, const char *address, uint16_t *port)
{
    struct dq_rdma *r = dq_rdma_of(t);
    struct sockaddr_storage sa;
    socklen_t length;
    int err = dq_address_read(address, *port, &sa, &length);

    *t->why = '\0';
    if (err) {
        return err;
    }
    if (r->channel) {
        return -EISCONN; /* one address, once, whether it came to something or not */
    }
    err = open_channel(r);
    if (err == 0) {
        err = bind_and_listen(r, (struct sockaddr *)&sa);
    }
    if (err) {
        if (!*t->why) {
            dq_rdma_why_listen(r, address, -err);
        }
        return err;
    }
    remember_address(r, &sa);
    *port = ntohs(rdma_get_src_port(r->listener));
    return 0;
}

/* ---- what the connection manager says */

/* The other end has ended the connection; what it said before is heard first. */
static void disconnected(struct dq_rdma_conn *c)
{
    struct dq_rdma *r = c->r;
    unsigned place = c->place, serial = c->serial;

    c->closed = true;
    c->failed &= c->status != IBV_WC_WR_FLUSH_ERR;
    dq_rdma_poll_all(r);
    c = r->conns[place];
    if (!c || c->serial != serial) {
        return;
    }
    if (c->stage == DQ_RDMA_LINKED) {
        dq_rdma_link_lost(c->link, c->link->part ? "connection closed in the middle of a message"
                                                 : "connection closed");
    } else {
        dq_rdma_join_failed(c, CLOSED_EARLY);
    }
}

static void handle(struct dq_rdma *r, enum rdma_cm_event_type type, int status,
                   struct rdma_cm_id *id)
{
    struct dq_rdma_conn *c = id->context;

    if (type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
        dq_rdma_device_gone(r, "is gone");
        return;
    }
    if (type == RDMA_CM_EVENT_CONNECT_REQUEST) {
        called(r, id);
        return;
    }
    if (!c) {
        return; /* the listener's own */
    }
    switch (type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
        resolved(c);
        break;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        routed(c);
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        established(c);
        break;
    case RDMA_CM_EVENT_DISCONNECTED:
        disconnected(c);
        break;
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
        if (c->dialled) {
            failed_with(c, dq_rdma_why_event(type, status));
        } else {
            dq_rdma_join_failed(c, CLOSED_EARLY);
        }
        break;
    default:
        break;
    }
}

void dq_rdma_join_events(struct dq_rdma *r)
{
    struct rdma_cm_event *e;

    for (int i = 0; i < EVENT_ROUNDS && rdma_get_cm_event(r->channel, &e) == 0; i++) {
        enum rdma_cm_event_type type = e->event;
        struct rdma_cm_id *id = e->id;
        int status = e->status;

        /* Before an identifier can be freed, all its events must have been given back. */
        rdma_ack_cm_event(e);
        handle(r, type, status, id);
    }
}

/* ---- the end */

void dq_rdma_join_close(struct dq_rdma *r)
{
    for (unsigned i = 0; i < r->conn_most; i++) {
        struct dq_rdma_conn *c = r->conns[i];

        if (c && (!c->link || c->link->conn != c)) {
            dq_rdma_conn_free(c);
        }
    }
    if (r->listener) {
        rdma_destroy_id(r->listener);
    }
    if (r->cm_event) {
        event_free(r->cm_event);
    }
}
