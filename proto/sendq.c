/*
 * Bytes that wait to be sent, in chunks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/sendq.h"

#include <glib.h>
#include <string.h>

/* Room for 15 pages with their frames: few writev() pieces, little waste for a short queue. */
#define CHUNK_BYTES (64u * 1024 - 64)

/*
 * What one turn of the loop gathers. Chunks that came and went would have malloc() return pages to
 * the kernel and take them again, which costs more than all else that is done with their bytes.
 */
#define MOST_SPARES 3u

struct dq_sendq_chunk {
    struct dq_sendq_chunk *next;
    size_t start; /* first byte not yet sent */
    size_t end;   /* past the last byte queued */
    char bytes[CHUNK_BYTES];
};

static struct dq_sendq_chunk *last_with_room(struct dq_sendq *q)
{
    struct dq_sendq_chunk *c = q->tail;

    if (c && c->end < CHUNK_BYTES) {
        return c;
    }
    c = q->spare;
    if (c) {
        q->spare = c->next;
        q->spares--;
    } else {
        c = g_malloc(sizeof(*c));
    }
    c->next = NULL;
    c->start = c->end = 0;
    if (q->tail) {
        q->tail->next = c;
    } else {
        q->head = c;
    }
    q->tail = c;
    return c;
}

static void push_piece(struct dq_sendq *q, const char *bytes, size_t length)
{
    while (length > 0) {
        struct dq_sendq_chunk *c = last_with_room(q);
        size_t n = MIN(length, CHUNK_BYTES - c->end);

        memcpy(c->bytes + c->end, bytes, n);
        c->end += n;
        q->bytes += n;
        bytes += n;
        length -= n;
    }
}

void dq_sendq_push(struct dq_sendq *q, const struct iovec *iov, int count, size_t skip)
{
    for (int i = 0; i < count; i++) {
        size_t over = MIN(skip, iov[i].iov_len);

        push_piece(q, (const char *)iov[i].iov_base + over, iov[i].iov_len - over);
        skip -= over;
    }
}

int dq_sendq_peek(const struct dq_sendq *q, struct iovec *iov, int max)
{
    int n = 0;

    for (struct dq_sendq_chunk *c = q->head; c && n < max; c = c->next) {
        iov[n++] = (struct iovec){c->bytes + c->start, c->end - c->start};
    }
    return n;
}

static void retire(struct dq_sendq *q, struct dq_sendq_chunk *c)
{
    if (q->spares == MOST_SPARES) {
        g_free(c);
        return;
    }
    c->next = q->spare;
    q->spare = c;
    q->spares++;
}

void dq_sendq_drop(struct dq_sendq *q, size_t length)
{
    q->bytes -= length;
    while (q->head && length >= q->head->end - q->head->start) {
        struct dq_sendq_chunk *c = q->head;

        length -= c->end - c->start;
        q->head = c->next;
        if (!q->head) {
            q->tail = NULL;
        }
        retire(q, c);
    }
    if (q->head) {
        q->head->start += length;
    }
}

void dq_sendq_clear(struct dq_sendq *q)
{
    dq_sendq_drop(q, q->bytes);
    while (q->spare) {
        struct dq_sendq_chunk *c = q->spare;

        q->spare = c->next;
        g_free(c);
    }
    q->spares = 0;
}
