/*
 * What a clock of another machine shows: an estimate from messages that went there and back, and
 * a clock of this node's that follows the estimate and never goes back.
 *
 * Pure: no threads, no clock and no I/O of its own. All times are nanoseconds; "local" is a clock
 * of this machine's, "remote" the one to follow. Who owns a struct dq_clock passes it to one
 * function at a time; a struct dq_clock_line is plain data, to be copied and read anywhere.
 *
 * The estimate. A sample is a question and its answer (Cristian, "Probabilistic clock
 * synchronization", 1989; the four times of NTP, RFC 5905). It says for certain: the offset
 * (remote - local) was at most received - sent, since the question took longer than nothing, and
 * at least answered - heard, since the answer did. Such intervals are intersected (Marzullo's
 * way, RFC 5905 section 11.2.1), each direction by itself, so that one quick question and another
 * quick answer make a good pair. Clocks also run at different rates; two samples bound the
 * difference, the more narrowly the further apart they are, and the bounds of older samples
 * move, and widen, by the rates that all pairs leave possible. Samples older than
 * DQ_CLOCK_WINDOW_NS do not count, nor those that contradict newer ones (a clock was paused, or
 * began to be disciplined). The offset is the middle of what remains (with the rates that are
 * likely; what is possible bounds it).
 *
 * The error. Let the quickest question of the window have taken Q and the quickest answer A. The
 * middle is wrong by (Q - A) / 2, so by less than half of the round trip: ahead by less than
 * Q / 2, or behind by less than A / 2. (Plus what the rates change within the window, and what
 * has not been slewed away yet.)
 *
 * Why threads that synchronise do not see the clock go back. Say a thread reads it here, and
 * tells a thread of the remote machine, which reads its own. If the clock here is ahead by less
 * than Q / 2, the second reading is greater provided that the telling took at least Q / 2: that
 * no message from here to there is twice as quick as the quickest question of the window.
 * Likewise back, with A. Between two nodes that both follow the same remote clock, the telling
 * must take longer than their two errors together: true where ways are alike in both directions,
 * as on a switch. It is not guaranteed where a way from node to node is much shorter than half of
 * the difference between going to the remote machine and coming back from it.
 *
 * The clock that follows. It is slewed by at most DQ_CLOCK_SLEW beside the estimated difference
 * of rates, so that it neither goes back nor jumps. Two exceptions: it begins with the estimate;
 * and when an answer proves that it is behind (it was sent at a later time than is shown on
 * arrival), it is set forward by as much, as Lamport's clocks are (1978).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CLOCK_H
#define DQ_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Long enough to tell rates apart to a few millionths; short, as rates change with temperature. */
#define DQ_CLOCK_WINDOW_NS 32000000000
#define DQ_CLOCK_SAMPLES 64u /* one a second, and those of the start */
/* The most that rates differ: the kernel disciplines its clock by up to 500 millionths. */
#define DQ_CLOCK_MOST_RATE 500e-6
/* How much the difference of rates may change within the window. */
#define DQ_CLOCK_WANDER 1e-6
/* How much faster or slower the clock runs to catch up, and for how long at most. */
#define DQ_CLOCK_SLEW 500e-6
#define DQ_CLOCK_SLEW_NS 1000000000

struct dq_clock_sample {
    int64_t sent;     /* local */
    int64_t received; /* remote */
    int64_t answered; /* remote, not before received */
    int64_t heard;    /* local, not before sent */
};

/* A clock as a function of local time. Slopes are what it gains per ns, as a part of 2^32. */
struct dq_clock_line {
    int64_t from, value; /* at local time `from` it shows `value` */
    int64_t slewed;      /* for so long the slope is `slope`, then it is `after` */
    int64_t slope, after;
};

struct dq_clock {
    struct dq_clock_sample samples[DQ_CLOCK_SAMPLES]; /* oldest first */
    unsigned count;
    double rate;        /* what the remote clock gains on the local one, per ns */
    double least, most; /* what is possible */
    struct dq_clock_line line;
    bool started;
};

/* What is known of the offset (remote - local) at a local time: bounds, and the best guess. */
struct dq_clock_offset {
    int64_t least, most, middle;
};

/* Nothing is known yet. */
void dq_clock_init(struct dq_clock *c);

/* Add a sample, sent after all others were heard. False: it cannot be one (times out of order). */
bool dq_clock_add(struct dq_clock *c, const struct dq_clock_sample *sample);

/* The offset at a local time not before the latest sample was heard. At least one sample. */
struct dq_clock_offset dq_clock_offset_at(const struct dq_clock *c, int64_t local);

/*
 * Make c->line follow what is known at the local time `now`, from which on it is to be read. The
 * new line begins where the old one is by then. `unread`: nobody has read the clock for so long;
 * if not 0, it may be set, back by as much at most (the first time: set to anything).
 */
void dq_clock_steer(struct dq_clock *c, int64_t now, int64_t unread);

/*
 * How long to wait before the next sample, after so many since the start (a burst counts as none):
 * a sixteenth of a second at first, a second in the end. So the clock is not wrong for long by
 * what the rates differ, which only samples that are apart from each other tell.
 */
int64_t dq_clock_pause(unsigned samples);

/*
 * How far one remote clock is ahead of another one there (REALTIME, of MONOTONIC): constant until
 * somebody sets it. Zeroed: not known.
 */
struct dq_clock_distance {
    int64_t ns;
    bool known;
};

/*
 * The two were read one after the other: the distance is within these limits. It is taken as
 * small as it may be, and grows as limits narrow: unless the clock was set, it never shrinks.
 * Returns by how much it has changed; 0 the first time.
 */
int64_t dq_clock_distance_follow(struct dq_clock_distance *d, int64_t least, int64_t most);

/* What it shows. Never less for a greater local time. Any thread, on a copy. */
static inline int64_t dq_clock_read(const struct dq_clock_line *l, int64_t local)
{
    int64_t all = local - l->from, slewed = all < l->slewed ? all : l->slewed;
    __int128 gained = (__int128)slewed * l->slope + (__int128)(all - slewed) * l->after;

    return l->value + all + (int64_t)(gained >> 32);
}

#endif
