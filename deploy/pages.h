/*
 * The pages of the guest that were asked for most, of all nodes, and what lies in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PAGES_H
#define DQ_PAGES_H

#include <stdint.h>

#include "deploy/cluster.h"
#include "dqemu/control.h"

struct dq_page_report {
    uint64_t address;       /* the guest's */
    uint64_t asked, writes; /* requests to the home: all, and those for writing */
    uint64_t nodes;         /* who asked: a bit per node */
    int home;   /* of the page, or of its parts where it was split, if they were asked for more */
    bool split; /* at some time */
    char *what; /* symbols, or what kind of memory it is */
};

/* As many as one node tells of, most asked for first. How many; they are the caller's to dq_pages_free(). */
unsigned dq_pages_collect(const struct dq_cluster *run,
                          struct dq_page_report pages[DQ_CONTROL_PAGES]);
void dq_pages_free(struct dq_page_report *pages, unsigned count);

#endif
