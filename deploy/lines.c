/*
 * JSON objects, one a line, over descriptors that never block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_LIMIT ((size_t)256 * 1024)

void dq_lines_open(struct dq_lines *l, int in, int out)
{
    fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    *l = (struct dq_lines){
        .in = in, .out = out, .input = g_byte_array_new(), .queue = g_byte_array_new()};
}

static void close_output(struct dq_lines *l)
{
    if (l->out >= 0 && l->out != l->in) {
        close(l->out);
    }
    l->out = -1;
}

static void close_input(struct dq_lines *l)
{
    if (l->in >= 0 && l->in != l->out) {
        close(l->in);
    }
    l->in = -1;
}

void dq_lines_close(struct dq_lines *l)
{
    close_output(l);
    close_input(l);
    if (l->input) {
        g_byte_array_unref(l->input);
        g_byte_array_unref(l->queue);
        l->input = l->queue = NULL;
    }
}

/* ---- out ---- */

bool dq_lines_waits(const struct dq_lines *l)
{
    return l->out >= 0 && l->sent < l->queue->len;
}

void dq_lines_flush(struct dq_lines *l)
{
    size_t turn = FLUSH_LIMIT;

    /* not for as long as a fast reader likes: others have their turn, and who polls comes back */
    while (dq_lines_waits(l) && turn > 0) {
        ssize_t n = write(l->out, l->queue->data + l->sent, MIN(l->queue->len - l->sent, turn));
        if (n >= 0) {
            l->sent += (size_t)n;
            turn -= (size_t)n;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            close_output(l); /* the other end is gone, which its input tells */
        }
    }
    if (!dq_lines_waits(l)) {
        g_byte_array_set_size(l->queue, 0);
        l->sent = 0;
    }
}

void dq_lines_send_bytes(struct dq_lines *l, const void *bytes, size_t size)
{
    if (l->out >= 0) {
        g_byte_array_append(l->queue, bytes, (guint)size);
        dq_lines_flush(l);
    }
}

void dq_lines_send(struct dq_lines *l, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    char *line = g_strconcat(text, "\n", NULL);

    dq_lines_send_bytes(l, line, strlen(line));
    g_free(line);
    free(text);
    json_decref(object);
}

/* ---- in ---- */

bool dq_lines_receive(struct dq_lines *l)
{
    uint8_t bytes[16 * 1024];
    ssize_t n;

    /* one read: who polls comes back for the rest, and others have their turn */
    while (l->in >= 0) {
        n = read(l->in, bytes, sizeof(bytes));
        if (n > 0) {
            g_byte_array_append(l->input, bytes, (guint)n);
            return true;
        }
        if (n < 0 && errno == EAGAIN) {
            return false;
        }
        if (n == 0 || errno != EINTR) {
            close_input(l);
        }
    }
    return false;
}

static void forget_taken(struct dq_lines *l)
{
    if (l->taken > 0) {
        g_byte_array_remove_range(l->input, 0, (guint)l->taken);
        l->taken = 0;
    }
}

const char *dq_lines_next(struct dq_lines *l, size_t *length)
{
    forget_taken(l);
    char *end = memchr(l->input->data, '\n', l->input->len);
    if (!end) {
        return NULL;
    }
    *end = '\0';
    *length = (size_t)(end - (char *)l->input->data);
    l->taken = *length + 1;
    return (const char *)l->input->data;
}

size_t dq_lines_take(struct dq_lines *l, size_t most, const void **bytes)
{
    forget_taken(l);
    l->taken = MIN(most, (size_t)l->input->len);
    *bytes = l->input->data;
    return l->taken;
}

bool dq_lines_is_too_long(const struct dq_lines *l)
{
    return l->input->len - l->taken > DQ_LINES_LIMIT &&
           !memchr(l->input->data + l->taken, '\n', l->input->len - l->taken);
}
