/*
 * Memory that is read and written as a file, /proc/PID/mem: PAGES pages of words; behind them one that is closed to
 * all access, with "abc" in it; and one that is not mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MEMORY_FILE_H
#define MEMORY_FILE_H

#include "guest.h"

enum { PAGES = 40, WORDS = PAGES * GUEST_PAGE / sizeof(long) };

static long *words;
static char *closed, *gone;

static off_t place(const volatile void *address)
{
    return (off_t)(uintptr_t)address;
}

/* Before there are threads. */
static void make_memory(void)
{
    words = mmap(NULL, (PAGES + 3) * GUEST_PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(words != MAP_FAILED);
    closed = (char *)words + PAGES * GUEST_PAGE;
    gone = closed + GUEST_PAGE;
    strcpy(closed, "abc");
    strcpy(gone - 3, "..");
    CHECK(mprotect(closed, GUEST_PAGE, PROT_NONE) == 0 && munmap(gone, GUEST_PAGE) == 0);
}

#endif
