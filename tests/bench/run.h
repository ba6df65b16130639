/*
 * Running one command with a time limit, in a way that nothing outlives: the child gets a signal
 * when this process dies, and is ended when the limit is reached or the user interrupts.
 *
 * One run at a time, one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <glib.h>
#include <stdbool.h>

struct run {
    char *const *argv;
    double limit_s;
    const char *cpus;        /* "0,1": run there; NULL: anywhere */
    bool finish;             /* an interrupt waits for its end */
    void (*tick)(void *ctx); /* while it runs, every tick_ms; may be NULL */
    void *ctx;
    unsigned tick_ms;
    char *out, *err; /* what it said; set by run_command(), freed by run_clear() */
};

/* Once: SIGINT, SIGTERM and SIGHUP interrupt the run instead of ending this process. */
void run_catch_signals(void);
bool run_interrupted(void);

/* True when it ended with status 0. Else *why is a clause to print; the caller frees it. */
bool run_command(struct run *r, char **why);
void run_clear(struct run *r);

#endif
