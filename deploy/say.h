/*
 * What the launcher says to its user: lines on stderr that begin with "dqemu: ". Never stdout,
 * which is the guest's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SAY_H
#define DQ_SAY_H

/* Faults of the launcher itself, by the conventions of env(1) and timeout(1). */
#define DQ_STATUS_TIMEOUT 124
#define DQ_STATUS_FAULT 125
#define DQ_STATUS_CANNOT_RUN 126
#define DQ_STATUS_NOT_FOUND 127

/* One line, written at once (no newline in the format). */
void dq_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a line that is not ours: as it is. */
void dq_say_plain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, then exit. Only while no node runs. */
_Noreturn void dq_say_die(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
