/*
 * What this program was built from, as a text: nodes of one run must agree on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_BUILD_ID_H
#define DQ_BUILD_ID_H

extern const char dq_build_id[];

#endif
