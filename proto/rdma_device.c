/*
 * The RDMA device of a node: its queues, the memory it may use, and what happens to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/rdma.h"

/* Packets of one peer: enough to keep a link busy, and few for each where there are many. */
#define ROOM_ALL 2048u
#define ROOM_LEAST 32u
#define ROOM_MOST 256u
/* Where every connection has buffers of its own, strangers' too. */
#define ROOM_MOST_OWN 128u
/* A device that cannot have so few is of no use. */
#define ROOM_NEEDED 8u

/* To send without a copy by the device: all messages without trailing bytes but the longest. */
#define INLINE_BYTES 256u

/* ---- sizes */

static unsigned buffers_of(const struct dq_rdma *r, uint32_t room, bool own)
{
    unsigned each = room + DQ_RDMA_EXTRA;

    return own ? r->conn_most * each : r->peers * each + (r->conn_most - r->peers) * 2;
}

static uint32_t sends_of(uint32_t room, bool iwarp)
{
    /* a placed packet takes two where no immediate value travels with a write */
    return room * (iwarp ? 2 : 1) + DQ_RDMA_CONTROL;
}

static unsigned completions_of(const struct dq_rdma *r, uint32_t room, bool own)
{
    return buffers_of(r, room, own) + r->peers * sends_of(room, r->iwarp) +
           (r->conn_most - r->peers) * DQ_RDMA_CONTROL;
}

static bool fits(const struct dq_rdma *r, const struct ibv_device_attr *a, uint32_t room, bool own)
{
    uint32_t most = (uint32_t)a->max_qp_wr;

    return sends_of(room, r->iwarp) <= most &&
           completions_of(r, room, own) <= (unsigned)a->max_cqe &&
           (own ? room + DQ_RDMA_EXTRA <= most
                : buffers_of(r, room, own) <= (unsigned)a->max_srq_wr);
}

/* How much of everything, within what the device can have. 0 or -errno. */
static int choose_sizes(struct dq_rdma *r, bool *own)
{
    uint32_t each = ROOM_ALL / MAX(r->peers, 1u);
    struct ibv_device_attr a;

    if (ibv_query_device(r->verbs, &a)) {
        return -errno;
    }
    r->iwarp = r->verbs->device->transport_type == IBV_TRANSPORT_IWARP;
    *own = r->iwarp || a.max_srq == 0;
    r->room = CLAMP(each, ROOM_LEAST, *own ? ROOM_MOST_OWN : ROOM_MOST);
    while (!fits(r, &a, r->room, *own) && r->room >= ROOM_NEEDED) {
        r->room /= 2;
    }
    if (r->room < ROOM_NEEDED || r->conn_most > (unsigned)a.max_qp) {
        snprintf(r->common.why, sizeof(r->common.why),
                 "RDMA device %s has too few queues for %d nodes; use --transport tcp",
                 ibv_get_device_name(r->verbs->device), r->common.cfg.nodes);
        return -ENOSPC;
    }
    r->sends = sends_of(r->room, r->iwarp);
    r->area = CLAMP(DQ_RDMA_AREAS / MAX(r->peers, 1u), DQ_RDMA_AREA_LEAST, DQ_RDMA_AREA_MOST) /
              DQ_PAGE_SIZE * DQ_PAGE_SIZE;
    r->slot_count = buffers_of(r, r->room, *own);
    return 0;
}

/* ---- memory */

/*
 * A forked child must have none of this: what it shared with the device would be copied for the
 * parent when either writes, and the device would go on with the old pages.
 */
static uint8_t *map_private(size_t bytes)
{
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    madvise(p, bytes, MADV_DONTFORK);
    return p;
}

static int map_memory(struct dq_rdma *r)
{
    size_t slots = (size_t)r->slot_count * DQ_RDMA_SLOT;
    size_t controls = (size_t)r->conn_most * DQ_RDMA_CONTROL * DQ_RDMA_CONTROL_BYTES;
    size_t before = (slots + controls + DQ_PAGE_SIZE - 1) / DQ_PAGE_SIZE * DQ_PAGE_SIZE;

    r->landings_bytes = (size_t)r->peers * r->area;
    r->memory_bytes = before + r->landings_bytes;
    r->memory = map_private(r->memory_bytes);
    r->landings = r->landings_bytes ? map_private(r->landings_bytes) : NULL;
    if (!r->memory || (r->landings_bytes && !r->landings)) {
        return -ENOMEM;
    }
    r->slots = r->memory;
    r->controls = r->memory + slots;
    for (int i = 0, k = 0; i < r->common.cfg.nodes; i++) {
        if (i != r->common.cfg.node) {
            r->links[i].staging = r->memory + before + (size_t)k * r->area;
            r->links[i].landing = r->landings + (size_t)k * r->area;
            k++;
        }
    }
    return 0;
}

/* Each peer may write to its own landing area and nowhere else. */
static int register_memory(struct dq_rdma *r)
{
    r->mr = ibv_reg_mr(r->pd, r->memory, r->memory_bytes, IBV_ACCESS_LOCAL_WRITE);
    for (int i = 0; r->mr && i < r->common.cfg.nodes; i++) {
        struct dq_rdma_link *l = &r->links[i];

        if (l->landing) {
            l->landing_mr = ibv_reg_mr(r->pd, l->landing, r->area,
                                       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
            if (!l->landing_mr) {
                break;
            }
        }
        if (i == r->common.cfg.nodes - 1) {
            return 0;
        }
    }
    int err = errno;

    dq_rdma_why_memory(r, r->memory_bytes + r->landings_bytes, err);
    return -err;
}

/*
 * The queues that verbs have mapped from the device hold its file open, and with it the
 * connections, for as long as a child lives that has them too.
 */
static void hide_queues(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    while (maps && fgets(line, sizeof(line), maps)) {
        uintptr_t from, to;

        if (strstr(line, "/dev/infiniband/uverbs") &&
            sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2) {
            madvise((void *)from, to - from, MADV_DONTFORK);
        }
    }
    if (maps) {
        fclose(maps);
    }
}

/* ---- rights */

/*
 * Soft devices (rxe, siw) are given their work by write(), which the kernel refuses to threads whose
 * credentials are not those that the device was opened with (drivers/infiniband/core/uverbs_main.c,
 * ib_uverbs_write(): ib_safe_file_access()): guests give up their rights, a thread at a time. It looks
 * at that first, so nothing need be written to find it out.
 */
bool dq_rdma_device_lets_us(const struct dq_rdma *r)
{
    return r->gone || write(r->verbs->cmd_fd, "", 0) >= 0 || errno != EACCES;
}

/* ---- buffers */

static void post_buffer(struct dq_rdma *r, struct dq_rdma_conn *c, unsigned slot)
{
    struct ibv_sge sge = {
        .addr = (uintptr_t)(r->slots + (size_t)slot * DQ_RDMA_SLOT),
        .length = DQ_RDMA_SLOT,
        .lkey = r->mr->lkey,
    };
    struct ibv_recv_wr wr = {.wr_id = dq_rdma_receive_id(c, slot), .sg_list = &sge, .num_sge = 1};
    struct ibv_recv_wr *bad;

    /* A queue that refuses is one whose device or connection is lost, which is told otherwise. */
    if (c) {
        ibv_post_recv(c->qp, &wr, &bad);
    } else {
        ibv_post_srq_recv(r->srq, &wr, &bad);
    }
}

void dq_rdma_device_repost(struct dq_rdma *r, struct dq_rdma_conn *c, unsigned slot)
{
    if (!r->gone) {
        post_buffer(r, r->srq ? NULL : c, slot);
    }
}

static void post_all(struct dq_rdma *r, struct dq_rdma_conn *c)
{
    unsigned each = c ? r->room + DQ_RDMA_EXTRA : r->slot_count;
    unsigned first = c ? c->place * each : 0;

    for (unsigned i = 0; i < each; i++) {
        post_buffer(r, c, first + i);
    }
}

/* ---- what happens to the device */

void dq_rdma_device_gone(struct dq_rdma *r, const char *how)
{
    char why[256];

    if (r->gone) {
        return;
    }
    snprintf(why, sizeof(why), "RDMA device %s of this node %s",
             r->verbs ? ibv_get_device_name(r->verbs->device) : "", how);
    r->gone = true;
    while (!g_queue_is_empty(&r->strangers)) {
        dq_rdma_join_failed(g_queue_peek_head(&r->strangers), why);
    }
    for (int i = 0; i < r->common.cfg.nodes; i++) {
        if (i != r->common.cfg.node) {
            dq_rdma_link_lost(&r->links[i], why);
        }
    }
    if (r->async_event) {
        event_del(r->async_event);
        event_del(r->cq_event);
    }
    dq_transport_unwatch(&r->common);
}

static void queue_broken(struct dq_rdma *r, struct ibv_qp *qp)
{
    struct dq_rdma_conn *c = g_hash_table_lookup(r->by_qp, GUINT_TO_POINTER(qp->qp_num));

    if (c && !c->failed) {
        c->failed = true;
        c->status = IBV_WC_FATAL_ERR;
        dq_rdma_poll_all(r);
    }
}

static void on_async(evutil_socket_t fd, short what, void *arg)
{
    struct dq_rdma *r = arg;
    struct ibv_async_event e;

    (void)fd, (void)what;
    if (ibv_get_async_event(r->verbs, &e)) {
        if (errno != EAGAIN && errno != EINTR) {
            dq_rdma_device_gone(r, "is gone");
        }
        return;
    }
    ibv_ack_async_event(&e);
    switch (e.event_type) {
    case IBV_EVENT_DEVICE_FATAL:
        dq_rdma_device_gone(r, "is gone, or has failed");
        break;
    case IBV_EVENT_CQ_ERR:
        dq_rdma_device_gone(r, "has lost completions");
        break;
    case IBV_EVENT_PORT_ERR:
        dq_transport_note(&r->common, "the port of RDMA device %s is down",
                          ibv_get_device_name(r->verbs->device));
        break;
    case IBV_EVENT_COMM_EST: {
        struct dq_rdma_conn *c =
            g_hash_table_lookup(r->by_qp, GUINT_TO_POINTER(e.element.qp->qp_num));

        /* The last message of the connection's set-up is missing, but others have come. */
        if (c) {
            rdma_notify(c->id, e.event_type);
        }
        break;
    }
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
        queue_broken(r, e.element.qp);
        break;
    default:
        break;
    }
}

/* ---- opening, closing */

static int open_queues(struct dq_rdma *r, bool own)
{
    struct ibv_srq_init_attr shared = {.attr = {.max_wr = r->slot_count, .max_sge = 1}};

    r->completions = ibv_create_comp_channel(r->verbs);
    r->cq = r->completions ? ibv_create_cq(r->verbs, (int)completions_of(r, r->room, own), NULL,
                                           r->completions, 0)
                           : NULL;
    if (!r->cq) {
        return -errno;
    }
    if (!own) {
        r->srq = ibv_create_srq(r->pd, &shared);
        if (!r->srq) {
            return -errno;
        }
        post_all(r, NULL);
    }
    return 0;
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int watch_device(struct dq_rdma *r)
{
    int err = set_nonblocking(r->completions->fd);

    if (err == 0) {
        err = set_nonblocking(r->verbs->async_fd);
    }
    if (err == 0 && ibv_req_notify_cq(r->cq, 0)) {
        err = -EIO;
    }
    if (err) {
        return err;
    }
    r->cq_event =
        event_new(r->common.base, r->completions->fd, EV_READ | EV_PERSIST, dq_rdma_poll_event, r);
    event_add(r->cq_event, NULL);
    r->async_event =
        event_new(r->common.base, r->verbs->async_fd, EV_READ | EV_PERSIST, on_async, r);
    event_add(r->async_event, NULL);
    dq_rdma_contact_start(r);
    return 0;
}

int dq_rdma_device_open(struct dq_rdma *r, struct rdma_cm_id *id)
{
    bool own = false;
    int err;

    r->verbs = id->verbs;
    err = choose_sizes(r, &own);
    if (err) {
        return err;
    }
    r->inline_bytes = INLINE_BYTES;
    r->pd = ibv_alloc_pd(r->verbs);
    err = r->pd ? map_memory(r) : -errno;
    if (err == 0) {
        err = register_memory(r);
    }
    if (err == 0) {
        err = open_queues(r, own);
    }
    if (err == 0) {
        err = watch_device(r);
    }
    hide_queues();
    return err;
}

static void close_queues(struct dq_rdma *r)
{
    if (r->srq) {
        ibv_destroy_srq(r->srq);
    }
    if (r->cq) {
        ibv_ack_cq_events(r->cq, r->unacked);
        ibv_destroy_cq(r->cq);
    }
    if (r->completions) {
        ibv_destroy_comp_channel(r->completions);
    }
}

void dq_rdma_device_close(struct dq_rdma *r)
{
    if (r->async_event) {
        event_free(r->cq_event);
        event_free(r->async_event);
    }
    close_queues(r);
    for (int i = 0; i < r->common.cfg.nodes; i++) {
        if (r->links[i].landing_mr) {
            ibv_dereg_mr(r->links[i].landing_mr);
        }
    }
    if (r->mr) {
        ibv_dereg_mr(r->mr);
    }
    if (r->pd) {
        ibv_dealloc_pd(r->pd);
    }
    if (r->memory) {
        munmap(r->memory, r->memory_bytes);
    }
    if (r->landings) {
        munmap(r->landings, r->landings_bytes);
    }
}

int dq_rdma_device_connect(struct dq_rdma *r, struct dq_rdma_conn *c)
{
    for (;;) {
        struct ibv_qp_init_attr a = {
            .qp_context = c,
            .send_cq = r->cq,
            .recv_cq = r->cq,
            .srq = r->srq,
            .cap = {.max_send_wr = r->sends,
                    .max_recv_wr = r->srq ? 0 : r->room + DQ_RDMA_EXTRA,
                    .max_send_sge = 1,
                    .max_recv_sge = 1,
                    .max_inline_data = r->inline_bytes},
            .qp_type = IBV_QPT_RC,
        };

        if (rdma_create_qp(c->id, r->pd, &a) == 0) {
            break;
        }
        /* How much a device takes inline cannot be asked, only tried. */
        if (r->inline_bytes == 0) {
            return -errno;
        }
        r->inline_bytes = r->inline_bytes > 32 ? r->inline_bytes / 2 : 0;
    }
    c->qp = c->id->qp;
    g_hash_table_insert(r->by_qp, GUINT_TO_POINTER(c->qp->qp_num), c);
    if (!r->srq) {
        post_all(r, c);
    }
    hide_queues();
    return 0;
}
