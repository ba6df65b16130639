/*
 * Atomics by single instructions (the Large System Extensions: ldadd, swp, cas, casp).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
/* cflags: -march=armv8.1-a+lse */
#include "atomics.h"

#ifndef __ARM_FEATURE_ATOMICS
#error "meant to be built with the atomics extension"
#endif
