/*
 * Arguments of system calls on pages that another node's thread has written, each across the border of
 * two pages. The program defines how many PAGES there are, and LENGTH, their bytes; it maps `area`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACROSS_H
#define ACROSS_H

#include "guest.h"

static char *area;
static int next_page;

static void *write_area(void *arg)
{
    memset(area, 'm', LENGTH);
    return arg;
}

/* Room for so many bytes, of which about half are on each page. */
static void *across(size_t size)
{
    next_page = next_page % (PAGES - 1) + 1;
    return area + next_page * GUEST_PAGE - (size / 2 & ~(size_t)7);
}

#define ACROSS(type) ((type *)across(sizeof(type)))

#endif
