/*
 * What an emulator hands to the one that takes its place when the guest executes a program: the
 * emulator's own options, and the guest's environment beside the emulator's own.
 *
 * An emulator is a program of the host, which reads variables (LD_PRELOAD, QEMU_CPU, ...) that may be
 * meant for the guest's programs. The guest's of such names travel with a prefix; without it they are
 * the emulator's own, as the user set them. DQ_HANDOVER_VARIABLE says that an environment is of that kind.
 *
 * Pure functions on words. Any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_HANDOVER_H
#define DQ_HANDOVER_H

#include <stdbool.h>

/*
 * Its value is the descriptor of the program, open for reading, or -1: it is opened by name; a colon;
 * and the instruction set of the run, of which the emulator may run a program of another.
 */
#define DQ_HANDOVER_VARIABLE "DQEMU_EXEC"

/* Who hands over, and the processor time that other nodes have used for it: "PID:NS:USER_US:SYSTEM_US". */
#define DQ_HANDOVER_USED DQ_HANDOVER_VARIABLE "_USED"

/* Is that variable ("NAME=VALUE") one that a program of the host reads? */
bool dq_handover_is_own(const char *variable);

/* The emulator that goes. */
struct dq_handover {
    const char *folder; /* where relative paths of its options begin */
    const char *isa;    /* the instruction set of the run */
    bool same_isa;      /* the next one is for the same instruction set as this one */
};

/*
 * The environment for the next emulator, NULL-terminated, the caller's to g_strfreev(): the variables of
 * `emulator` that are its own, with those that are options treated like those below, and all that the
 * guest gives. fd: of the program; -1: by name.
 */
char **dq_handover_environ(const struct dq_handover *from, char *const *emulator,
                           char *const *guest, int fd);

/* The guest's part of such an environment, to be freed likewise: as it was given, byte for byte. */
char **dq_handover_guest(char *const *environment);

/*
 * The emulator's options for the next program, of these `count` words: without those that were about
 * this program alone (its environment and name, a debugger's port), with absolute paths, and for another
 * instruction set without what is about this one. It gets a log file of its own, because opening
 * empties one. NULL-terminated, to be freed likewise.
 */
char **dq_handover_options(const struct dq_handover *from, char *const *words, int count);

#endif
