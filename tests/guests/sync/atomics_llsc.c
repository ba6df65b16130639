/*
 * Atomics by exclusive loads and stores (LL/SC).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
/* cflags aarch64: -march=armv8-a -mno-outline-atomics */
#include "atomics.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_ATOMICS)
#error "meant to be built without the atomics extension"
#endif
