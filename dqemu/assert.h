/*
 * dq_assert: for the invariants of our own code only, never for what a peer or a guest sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_ASSERT_H
#define DQ_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define dq_assert(condition)                                                                       \
    ((condition) ? (void)0 : dq_assert_failed(#condition, __FILE__, __LINE__))

static inline _Noreturn void dq_assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "dqemu: internal error: %s (%s:%d)\n", what, file, line);
    abort();
}

#endif
