/*
 * hot_pages.c, position-independent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* cflags: -static-pie -fPIE */
#include "hot_pages.c"
