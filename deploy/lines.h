/*
 * JSON objects, one a line, over a pair of descriptors that never block: the conversation of the
 * launcher with an agent, at both of its ends.
 *
 * What cannot be written yet is queued, without a limit: the launcher sends little, and an agent
 * whose launcher does not read is about to end. Bytes that are no line (a file that follows its
 * announcement) go through the same queue.
 *
 * One thread; nothing blocks. The caller polls: for input always, for output when
 * dq_lines_waits().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_LINES_H
#define DQ_LINES_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct dq_lines {
    int in, out; /* -1: closed, or that side has ended */
    GByteArray *input, *queue;
    size_t sent;  /* bytes of the queue that are on their way */
    size_t taken; /* bytes of the input that were given out */
};

/* Takes over both descriptors (they may be the same one). */
void dq_lines_open(struct dq_lines *l, int in, int out);
/* Closes what is open, forgets the rest. */
void dq_lines_close(struct dq_lines *l);

/* Queue an object, which is released, or `size` bytes; what can be written is written. */
void dq_lines_send(struct dq_lines *l, json_t *object);
void dq_lines_send_bytes(struct dq_lines *l, const void *bytes, size_t size);

/* Is there something that could not be written yet? */
bool dq_lines_waits(const struct dq_lines *l);
void dq_lines_flush(struct dq_lines *l);

/* Takes in some of what has arrived, true if it did; at the end of the input `in` is -1. */
bool dq_lines_receive(struct dq_lines *l);

/*
 * The next whole line that has arrived, without its newline and valid until the next call on `l`;
 * NULL: none. *length excludes the terminating NUL.
 */
const char *dq_lines_next(struct dq_lines *l, size_t *length);

/* Of the bytes that have arrived, at most `most`: their number and place, given out by this. */
size_t dq_lines_take(struct dq_lines *l, size_t most, const void **bytes);

/* Longer than any line; input without a newline that has grown beyond it is no conversation. */
#define DQ_LINES_LIMIT ((size_t)256 * 1024)
bool dq_lines_is_too_long(const struct dq_lines *l);

#endif
