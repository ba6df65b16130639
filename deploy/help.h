/*
 * What --help and --version print (stdout), from the tables of options and tunables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_HELP_H
#define DQ_HELP_H

void dq_help_print(void);
void dq_help_version(void);

#endif
