/*
 * What --help, --print-tunables and --version print (stdout), from the tables of options and tunables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_HELP_H
#define DQ_HELP_H

#include "dqemu/config.h"

void dq_help_print(void);
void dq_help_tunables(const struct dq_config *config); /* NAME=VALUE lines, each with its meaning */
void dq_help_version(void);

#endif
