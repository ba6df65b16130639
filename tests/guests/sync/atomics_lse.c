/*
 * Atomics by single instructions (AArch64's Large System Extensions: ldadd, swp, cas, casp; and what
 * others have: amoadd, lock xadd, cmpxchg16b, laa, cdsg).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
/* cflags aarch64: -march=armv8.1-a+lse */
#include "atomics.h"

#if defined(__aarch64__) && !defined(__ARM_FEATURE_ATOMICS)
#error "meant to be built with the atomics extension"
#endif
