/*
 * What the bytes of each page were while nobody could write to them: a record that finds a write
 * that was lost, or one that came where none was allowed. For the check of check.h; pure.
 *
 * A page whose bytes stand still is `kept` with their sum. Each later look at it must find the same
 * sum, until the page is `let go`: somebody may write to it, or it is not here any more.
 *
 * One thread at a time. Nothing here blocks. Memory: some 200 bytes for each page that was ever
 * seen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SUMS_H
#define DQ_SUMS_H

#include <stdbool.h>
#include <stdint.h>

struct dq_sums;

#define DQ_SUMS_NOBODY (-1) /* in place of a node: the step is this node's own */

struct dq_sums *dq_sums_new(void);
void dq_sums_free(struct dq_sums *s);

/* The sum of a page's bytes. */
uint64_t dq_sums_of(const void *bytes);

/*
 * The page was looked at and had this sum. `step` says when (a string that stays, such as "protected"),
 * `node` to whom it went or from whom it came, `now` is in ns. keep: its bytes stand still from
 * now on, if they did not already.
 * NULL, or what is wrong: the page had another sum and nobody could write to it. It is the
 * caller's (g_free), and says the sums and the latest steps.
 */
char *dq_sums_look(struct dq_sums *s, uint64_t page, uint64_t sum, bool keep, const char *step,
                   int node, uint64_t now);

/* Its bytes may change from now on, or are gone. Pages that were never seen: no effect. */
void dq_sums_let_go(struct dq_sums *s, uint64_t page, const char *step, uint64_t now);

bool dq_sums_is_kept(const struct dq_sums *s, uint64_t page);

/* The latest steps of the page in words, the oldest first; the caller's (g_free). */
char *dq_sums_steps(const struct dq_sums *s, uint64_t page, uint64_t now);

#endif
