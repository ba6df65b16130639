/*
 * The guest's memory for other processes of the master's machine that read or write /proc/PID/mem: a
 * forked child, a guest of another run, a debugger that is a guest.
 *
 * The kernel knows this process alone. What it finds there is right while no other node has the page; it
 * cannot fetch one where the userfaultfd serves threads alone, and of a split page it finds what was
 * there before. So who reads asks the process itself, and the kernel where nobody answers.
 *
 * The process answers on a Unix datagram socket with an abstract name, by its process number. Who may read its
 * memory the kernel decides, as ever, when the file is opened: the caller proves that it has such a file by
 * reading a secret through it. The answers prove by the kernel's credentials from whom they are. A message
 * is a struct that both sides have from one build; others are not answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_PEEK_H
#define DQEMU_PEEK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads or writes guest memory at the host's address `at`, as far as it is mapped: how many bytes. */
typedef size_t dq_peek_fn(uint64_t at, void *data, size_t len, bool reads);

/* Master, before there are threads: the socket, which has no name yet. Without one nobody is answered. */
void dq_peek_prepare(void);
/* The cluster is engaged: answer from now on, on a thread of ours. `access` may wait for other nodes. */
void dq_peek_serve(dq_peek_fn *access);

/* A forked child is another process. */
void dq_peek_in_child(void);

/* One who asks; on its own stack. */
struct dq_peek {
    int socket;
    pid_t pid;
    uint64_t secret[4];
};

/*
 * Any process: `memory` is open, /proc/PID/mem of that process. False: the kernel's answer is right, or the
 * best there is. Waits for the process, but not while it is stopped.
 */
bool dq_peek_open(struct dq_peek *p, pid_t pid, int memory);
/* As dq_peek_fn; less also if the process has ended. */
size_t dq_peek_access(struct dq_peek *p, uint64_t at, void *data, size_t len, bool reads);
void dq_peek_close(struct dq_peek *p);

#endif
