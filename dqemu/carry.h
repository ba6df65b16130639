/*
 * The memory of a delegated system call, as bytes that travel with it: the ranges that the call reads and
 * writes, the overlay that stands for them where it is executed, and what comes back.
 *
 * The slave lists the ranges and packs them with their bytes (struct dq_carry in proto/wire.h); the proxy
 * lays them over the guest's memory for the time of the call; the slave stores what has changed before
 * its thread goes on. So no page moves for a call's names, structures and buffers.
 *
 * Ranges of a list do not overlap: those that do become one, which then has all that either was for. So a
 * call that reads and writes the same memory finds it the same. What the call fills cannot be joined with
 * anything, for only its result tells how much of it is meant.
 *
 * Pure but for dq_carry_ops. Any thread; nothing is shared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CARRY_H
#define DQ_CARRY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

/* Ranges of one call. Who has more of them (in a list of buffers) has them moved as pages. */
#define DQ_CARRY_MOST 64u
/* And bytes: more move as pages, for a message is stored at both ends before anything is done. */
#define DQ_CARRY_BYTES (256u * 1024)

/* The guest's memory. May block. */
struct dq_carry_ops {
    /* Some of this range is going to be stored. */
    void (*begin)(uint64_t addr, size_t length);
    /* False: the memory has gone. */
    bool (*store)(uint64_t addr, const uint8_t *bytes, size_t length);
};

/* Store those of `now` that differ from `before`. False: some could not be. */
bool dq_carry_changes(uint64_t addr, const uint8_t *now, const uint8_t *before, size_t length,
                      bool (*store)(uint64_t addr, const uint8_t *bytes, size_t length));

/* ------------------------------------------------ at the slave */

struct dq_carry_list {
    unsigned count;
    size_t bytes; /* of all ranges */
    struct dq_carry_range range[DQ_CARRY_MOST];
};

/*
 * One more range; nothing if it is empty. `unit`: of FILLED. False: there are too many, or too many bytes,
 * or what the call fills overlaps with something: the list is of no use then.
 */
bool dq_carry_add(struct dq_carry_list *l, uint64_t addr, uint64_t length, enum dq_carry_use use,
                  unsigned unit);

/* What follows struct dq_msg_syscall: so long. */
size_t dq_carry_size(const struct dq_carry_list *l);
/*
 * Its content (at a DQ_CARRY_ALIGNed address), each byte that the call reads fetched by `load`. False:
 * that has failed.
 */
bool dq_carry_pack(const struct dq_carry_list *l, void *message,
                   bool (*load)(uint64_t addr, uint8_t *to, size_t length));
/*
 * The answer to that message has come: store what it brings. *stored: all of it was. -EPROTO, with nothing
 * stored: no proxy answers so.
 */
int dq_carry_unpack(const void *message, const void *answer, size_t length,
                    const struct dq_carry_ops *ops, bool *stored);

/* ------------------------------------------------ at the proxy */

struct dq_overlay {
    unsigned count;
    const struct dq_carry_range *range; /* in the message */
    const struct dq_carry_ops *ops;
    uint8_t *memory; /* of those that are written */
    struct {
        uint8_t *ours; /* what stands for it; in the message if it is only read */
        uint8_t *sent; /* IN_OUT: what it was, in the message */
        bool used;     /* somebody has its address */
        bool gone;     /* the memory itself is used from now on */
    } place[DQ_CARRY_MOST];
};

/*
 * From a message, which belongs to the overlay until dq_overlay_close(). -EPROTO: no slave sends such a
 * one.
 */
int dq_overlay_open(struct dq_overlay *o, void *message, size_t length,
                    const struct dq_carry_ops *ops);
/*
 * What stands for this memory; NULL: it itself. An access that is only partly within a range, or writes
 * what was said to be read, ends that range: what has changed in it so far is stored, and what
 * changes later will be by dq_overlay_answer(), so that the call is as right as without an overlay.
 */
uint8_t *dq_overlay_find(struct dq_overlay *o, uint64_t addr, uint64_t length, bool write);
/* The length of the string there; -1: it, or its end, is not in the overlay. */
ssize_t dq_overlay_strlen(const struct dq_overlay *o, uint64_t addr);
/* The call has returned `value`: append what goes with the answer. False: memory has gone meanwhile. */
bool dq_overlay_answer(struct dq_overlay *o, int64_t value, GByteArray *out);
void dq_overlay_close(struct dq_overlay *o);

#endif
