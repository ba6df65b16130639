/*
 * Streams: does a thread go through memory in even steps, and how far should pages be asked for
 * ahead of it? Read-ahead with growing windows, as file systems do it, for each thread.
 *
 * Three faults at equal distance (two, for neighbouring pages) make a stream; then pages are
 * asked for ahead of it, FIRST of them few. One page of each window is its marker: the caller
 * receives it like the others but does not show it to the thread, so that the thread faults on
 * it, and tells that it has got there. Then the window doubles. A stream that leaves a window
 * before its marker has wasted it: the thread must give more evidence for its next streams.
 *
 * Pure: no threads, no I/O, no clock. The loop of the node calls it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_STREAM_H
#define DQ_STREAM_H

#include <stdbool.h>
#include <stdint.h>

/* Pages to ask for: first, first + stride, ..., count of them. */
struct dq_ahead {
    uint64_t first;
    int stride;
    unsigned count;
    uint64_t marker; /* one of them */
};

struct dq_streams;

/* most: the longest window in pages; 0: never ask for any. */
struct dq_streams *dq_streams_new(unsigned most);
void dq_streams_free(struct dq_streams *s);

/*
 * The thread has faulted on the page: it was not here, or is a marker. True: *ahead is to be
 * asked for; the caller skips what it has.
 */
bool dq_streams_fault(struct dq_streams *s, uint32_t thread, uint64_t page, bool write,
                      struct dq_ahead *ahead);

/* A marker was taken away before it was used: its stream ends, and counts as wasted. */
void dq_streams_lost(struct dq_streams *s, uint64_t marker);

/* Pages asked for so far of which the thread has got to the marker behind them; or never will. */
uint64_t dq_streams_used(const struct dq_streams *s);
uint64_t dq_streams_wasted(const struct dq_streams *s);

#endif
