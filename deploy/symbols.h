/*
 * Which of a program's objects lie in a part of its memory, by its ELF symbols (libdw).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SYMBOLS_H
#define DQ_SYMBOLS_H

#include <stdint.h>

/* A file as it lies in the guest's memory: where its first byte is. */
struct dq_image {
    const char *path;
    int fd; /* open for reading, which is taken over; -1: it is opened by its path */
    uint64_t base;
};

struct dq_symbols;

/* Reads all of them once. Those that cannot be read have no symbols. */
struct dq_symbols *dq_symbols_open(const struct dq_image *images, unsigned count);
void dq_symbols_close(struct dq_symbols *s);

/*
 * Objects and functions of the images between two addresses, in words: "a, b and 3 more (prog)". The
 * caller frees it. NULL: no image covers that, or it has no symbol there.
 */
char *dq_symbols_between(const struct dq_symbols *s, uint64_t start, uint64_t end);

#endif
