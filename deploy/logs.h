/*
 * The logs of a run on several hosts: a folder with one file for each node (what it said on its
 * stderr, its notes, its reports) and for each host (what ssh and the agent said). The folder is
 * the user's (--log-dir), or one in the temporary folder that goes again when the run succeeds.
 *
 * One thread; blocks for the disk. A disk that is full is told once, and ends nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_LOGS_H
#define DQ_LOGS_H

#include <stdbool.h>

/* dir NULL: a temporary one. 0 or -errno. Without it, or after a failure, the rest does nothing. */
int dq_logs_open(const char *dir);

void dq_logs_node(int node, const char *host, const char *text);
void dq_logs_host(const char *host, const char *text);

/* The folder; NULL: there is none. */
const char *dq_logs_folder(void);

/* keep: a run that failed. True if something remains, in dq_logs_folder(). */
bool dq_logs_close(bool keep);

#endif
