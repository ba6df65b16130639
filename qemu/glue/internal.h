/*
 * What the files of the glue share. The glue is where dqemu meets QEMU: the only code that
 * includes QEMU's headers, compiled inside QEMU's build, once per instruction set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_INTERNAL_H
#define DQEMU_INTERNAL_H

#include "qemu/osdep.h"
#include "qemu.h"
#include "user-internals.h"
#include "signal-common.h"
#include "user/signal.h"
#include "dqemu/hooks.h"
#include "arch.h"

#include "dqemu/config.h"
#include "dqemu/control.h"
#include "dqemu/node.h"
#include "dqemu/spin.h"
#include "dqemu/stats.h"
#include "master/threads.h"
#include "proto/wire.h"
#include "slave/threads.h"

/*
 * A page flag of ours, beside those of QEMU: the page is memory of the master's kernel
 * (MAP_SHARED, System V). On a slave it is all that is known of the page, and a thread that
 * touches it moves to the master.
 */
#define DQ_PAGE_FOREIGN 0x10000
/* Likewise: memory that grows downwards (grow.c). */
#define DQ_PAGE_GROWS 0x20000
/* Likewise: the emulator's own addresses, between the guest's (wide.h). */
#define DQ_PAGE_HOLE 0x40000

/* What comes first in a START and in a MOVE, before the thread's state. */
struct dq_moved {
    uint64_t used_ns; /* the thread's clock */
};

/* How a frame of a signal travels from the proxy to where the thread runs. */
struct dq_frame_of_signal {
    int sig;
    struct target_sigaction sa;
    target_siginfo_t info;
    target_sigset_t set; /* the mask to restore */
};

/* What follows TAKE, before the fault of the thread if there is one, and that before its state. */
struct dq_take {
    uint64_t mask; /* the thread's, from now on: as a MASK before it */
};

struct dq_sync_signal {
    int sig;
    int no_handler; /* the frame of SIGSEGV itself could not be built */
    target_siginfo_t info;
};

/* The latest fault that was not believed: see dq_learn_fault(). */
struct dq_doubt {
    bool any;
    unsigned applied; /* dq_maps_applied, then */
    abi_ulong page;
};

/*
 * A thread beyond QEMU's TaskState (ts->dq): every thread of a run of several nodes. Used by the thread
 * itself alone, but for `wanted` and `processors`.
 */
struct dq_thread {
    int node; /* where it runs */
    /* on the master */
    int wanted;                /* 1 + the node that it is to go to; 0: none. Atomic */
    unsigned long *processors; /* see processors.c */
    /* proxy */
    struct dq_proxy proxy;
    bool is_proxy;
    bool kicked;    /* the slave has been told of a pending signal and will ask, or is to come */
    GArray *frames; /* struct dq_frame_of_signal, to be sent */
    /* on its slave */
    struct dq_remote remote;
    uint64_t told_mask; /* the mask that the proxy knows */
    struct dq_doubt doubt;
    unsigned waited_ns; /* for results, not yet counted: less than a microsecond */
    /*
     * A wait was interrupted by a kick: the call is repeated unless a handler runs that
     * does not ask for that (1: SA_RESTART decides, 2: never repeated after a handler).
     */
    int interrupted;
    int sigsegv_failed; /* see struct dq_sync_signal */
};

extern struct dq_config dq_config;

/* The master tells the launcher its counters; what it tells last counts. By any thread. */
void dq_report(void);

/* A forked child: a plain emulator, in the address space of a node. Changes once, at the fork. */
extern bool dq_is_child;
/* The cluster shares this process's memory. Changes once, in the exclusive section. */
extern bool dq_engaged;
/* Some memory is foreign. Changes once, with the turn; on a slave, on the worker. */
extern bool dq_foreign;
/* On a slave: the pid that the guest has (the master's). */
extern int dq_slave_pid;

static inline bool dq_on_slave(void)
{
    return dq_config.node != 0;
}

static inline struct dq_thread *dq_this_thread(void)
{
    return get_task_state(thread_cpu)->dq;
}

static inline bool dq_is_foreign(abi_ulong addr)
{
    return qatomic_read(&dq_foreign) &&
           (page_get_flags(cpu_untagged_addr(thread_cpu, addr)) & DQ_PAGE_FOREIGN);
}

/* The first 64 signals of a mask, as the nodes exchange it. */
static inline uint64_t dq_mask_pack(const sigset_t *set)
{
    uint64_t mask;

    memcpy(&mask, set, sizeof(mask));
    return mask;
}

static inline void dq_mask_unpack(sigset_t *set, uint64_t mask)
{
    sigemptyset(set);
    memcpy(set, &mask, sizeof(mask));
}

/* ------------------------------------------------------------------ missing.c */

/* A call of the guest was answered with ENOSYS. Any emulated thread. */
void dq_missing_count(int num);
/* Tell the launcher of those that have not been told yet. Any thread. */
void dq_missing_tell(void);

/* ------------------------------------------------------------------ state.c */

/* Append the position-independent state of a thread. */
void dq_state_pack(CPUArchState *env, GByteArray *out);
/* Make env (and its TaskState) that thread. 0, or -EPROTO with env in an unknown state. */
int dq_state_unpack(CPUArchState *env, const void *data, size_t length);

/* ------------------------------------------------------------------ arch.c */

/* As cpu_loop() does after do_syscall(): the result, or step back to the instruction. */
void dq_arch_syscall_result(CPUArchState *env, abi_long ret);
/* A call that was stepped back returns -EINTR after all. */
void dq_arch_syscall_interrupted(CPUArchState *env);
/* Is this prctl() about registers of the calling thread alone? */
bool dq_arch_prctl_is_local(abi_long option);

/* Does it change which pointers are valid, so that the proxy must do the same? */
bool dq_arch_prctl_is_about_pointers(abi_long option);
/* What belongs to the thread, but lies behind end_reset_fields. */
uint64_t dq_arch_beyond_head(CPUArchState *env);
void dq_arch_set_beyond_head(CPUArchState *env, uint64_t value);
/* Is there more to such a page than its bytes, so that threads must come to the master? */
bool dq_arch_page_is_masters(int page_flags);
/* Is this system call about registers of the calling thread alone (its second argument a pointer)? */
bool dq_arch_syscall_is_local(int num);
/* Must a thread come to the master to make it? It may change the map. */
bool dq_arch_syscall_is_masters(int num);

/* ------------------------------------------------------------------ engage.c */

/* The first thread goes elsewhere: share the memory. Takes the exclusive section. */
void dq_engage(void);
void dq_engage_prepare(void); /* on the master, before the guest runs */
void dq_engage_in_child(void);
/* GLOBALS, on a slave's worker. */
void dq_globals_apply(const void *globals, size_t length);

/* ------------------------------------------------------------------ map.c */

/* MAP, on a slave's worker. */
void dq_map_apply(const struct dq_msg_map *m);
/* How many MAPs this slave has applied. Atomic; counts the worker. */
extern unsigned dq_maps_applied;
/* How a range with these page flags is told to the others, and with which flags. */
enum dq_map_op dq_map_op(int page_flags);
int dq_map_told(int page_flags);
/* A system call's buffer is not split until dq_split_unpin(). */
void dq_map_pin(abi_ulong addr, ssize_t len);
/* Fetch a buffer that is about to be used, the first so many bytes of it in one request. Blocks. */
#define DQ_PREFETCH_BYTES ((size_t)64 * DQ_PAGE_SIZE)
void dq_map_prefetch(abi_ulong addr, ssize_t len, bool write);
/* Is this a system call that changes the map? */
bool dq_map_call(int num, abi_long arg);
/* ... that attaches System V memory? */
bool dq_map_attaches(int num, abi_long arg);

/* ------------------------------------------------------------------ grow.c */

/* Some memory grows downwards. Changes once, as dq_foreign does. */
extern bool dq_grows;
/* An access to `addr`, where nothing is mapped, may be about to let memory grow. In a signal handler. */
bool dq_grow_may(abi_ptr addr);
/*
 * Let it, so that the access can be made again; or it is a fault when it is made again. Blocks; does
 * not return if the thread goes to the master for that.
 */
void dq_grow(CPUState *cpu, abi_ptr addr);

/* ------------------------------------------------------------------ mlock.c */

/* On the master: locking and unlocking of memory. True: done, *ret is the result. Blocks. */
bool dq_mlock_call(int num, const abi_long arg[8], abi_long *ret);
void dq_mlock_in_child(void);

/* ------------------------------------------------------------------ advice.c */

/* After a fork, in the child: nothing is locked, and the kernel knows the rest. */
void dq_advice_in_child(void);

/* ------------------------------------------------------------------ thread.c */

/* START, on a slave's loop. */
int dq_thread_start(const void *body, size_t length);
/* The slave's first CPU, of which the others are copies. */
void dq_thread_template(CPUArchState *env);
CPUArchState *dq_template_env(void);
TaskState *dq_template_task(void);
/* fn(), which must not block, for each thread that runs on this slave; none ends meanwhile. */
void dq_thread_each(void (*fn)(CPUArchState *env, const struct dq_thread *t));
/* The thread with this TaskState (on the master) ends; frees ts->dq. */
void dq_thread_gone(CPUArchState *env);
/* This thread goes on at the master; does not return. On a slave. */
void dq_thread_move(CPUArchState *env) G_NORETURN;
/*
 * The thread, which does not end meanwhile, goes to that node between two of its instructions, or when
 * the system call that it is in has ended. On the master, with the lock of QEMU's list of CPUs; does not
 * block.
 */
void dq_thread_want(CPUState *cpu, int node);
/* A thread of the master's is about to go on: it does not return if it is to do so elsewhere. */
void dq_thread_passes(CPUArchState *env);
void dq_thread_exit(CPUArchState *env, int status) G_NORETURN;

/* ------------------------------------------------------------------ core.c */

/* STATES_ASK, on a slave's loop: its threads stop for good, and it tells where they are. */
void dq_core_stop(void);
/* STATE, on the master's loop. -EPROTO: nobody has asked. */
int dq_core_message(int from, const struct dq_msg_thread *m, size_t length);

/* ------------------------------------------------------------------ cpus.c */

void dq_cpus_forked(void); /* in a forked child, which has none of the kept objects */

/* ------------------------------------------------------------------ signal.c */

/* The host's signal mask of a thread on a slave. */
void dq_slave_mask(void);

/* ------------------------------------------------------------------ clock.c */

void dq_clock_open(void); /* once, before threads; with several nodes */
void dq_clock_in_child(void);

/*
 * Does this clock count the processor time of the whole program (*tid = 0), or of one of its threads? A
 * number below zero is that of a process or thread, as clock_getcpuclockid(3) makes it.
 */
bool dq_is_cpu_clock(clockid_t clock, uint32_t *tid);

/* A thread that is about to sleep on a word while it is 0, until a time by the guest's clock. */
struct dq_sleeper {
    bool followed; /* the clock is another machine's: *until is by CLOCK_MONOTONIC */
    uint32_t *word;
    QLIST_ENTRY(dq_sleeper) link;
};
/*
 * False: the time `at` has come. Else sleep until *until, by the same clock or as s->followed
 * says, then call dq_clock_sleep_end(), and begin anew if followed and the word is still 0.
 */
bool dq_clock_sleep_begin(struct dq_sleeper *s, uint32_t *word, bool realtime,
                          const struct timespec *at, struct timespec *until);
void dq_clock_sleep_end(struct dq_sleeper *s);

/* ------------------------------------------------------------------ cpu_timers.c */

void dq_timers_open(void); /* on the master, before the guest runs */
void dq_timers_in_child(void);
/* execve() is about to be called: the host's kernel takes over; it has failed: it does not. */
void dq_timers_exec(void);
void dq_timers_exec_failed(void);

/* ------------------------------------------------------------------ scheduling.c */

void dq_scheduling_open(void); /* on the master, before there are threads */
/* The calling proxy's thread begins elsewhere: its node hears how it is scheduled. */
void dq_scheduling_begin(const struct dq_thread *t);
/* This system call has succeeded: if it was about scheduling, the nodes hear of it. */
void dq_scheduling_changed(int num, abi_long arg);

/* ------------------------------------------------------------------ futex.c */

void dq_futex_open(void);   /* once, before threads */
void dq_futex_engage(void); /* with the turn, in the exclusive section */
void dq_futex_in_child(void);
/* Not for the host's kernel on the master (foreign memory, priority inheritance). */
bool dq_futex_is_ours(abi_ulong uaddr, int op);

#endif
