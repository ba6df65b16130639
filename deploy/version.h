/*
 * The product's version.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_VERSION_H
#define DQ_VERSION_H

#define DQ_VERSION "0.1.0"

#endif
