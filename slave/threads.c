/*
 * The table of the threads that run here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slave/threads.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dqemu/node.h"

/* Guards the table and what the loop does to its entries. Innermost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *threads; /* tid -> struct dq_remote, not owned */
static int kick_signal;

void dq_remote_init(int signal)
{
    kick_signal = signal;
    threads = g_hash_table_new(NULL, NULL);
}

void dq_remote_open(struct dq_remote *r)
{
    r->kicked = 0;
    r->go = 0;
    r->host_tid = 0;
    r->sched = NULL;
    r->answered.word = DQ_GATE_OPEN; /* nothing is awaited */
    r->result = NULL;
    r->room = 0;
    pthread_mutex_lock(&lock);
    g_hash_table_insert(threads, GUINT_TO_POINTER(r->tid), r);
    pthread_mutex_unlock(&lock);
}

bool dq_remote_begin(struct dq_remote *r, int host_tid)
{
    bool kicked;

    pthread_mutex_lock(&lock);
    r->host_tid = host_tid;
    if (r->sched) {
        dq_sched_apply(r->sched, host_tid);
    }
    kicked = r->kicked;
    pthread_mutex_unlock(&lock);
    return kicked;
}

void dq_remote_close(struct dq_remote *r)
{
    pthread_mutex_lock(&lock);
    /* the tid may have been given to a new thread that has started here already */
    if (g_hash_table_lookup(threads, GUINT_TO_POINTER(r->tid)) == r) {
        g_hash_table_remove(threads, GUINT_TO_POINTER(r->tid));
    }
    pthread_mutex_unlock(&lock);
    g_free(r->result);
    r->result = NULL;
    g_free(r->sched);
    r->sched = NULL;
}

const struct dq_msg_result *dq_remote_call(struct dq_remote *r, unsigned type, const void *body,
                                           size_t length, const void *more, size_t more_length)
{
    __atomic_store_n(&r->answered.word, DQ_GATE_CLOSED, __ATOMIC_SEQ_CST);
    if (more_length) {
        dq_node_send2(0, type, body, length, more, more_length);
    } else {
        dq_node_send(0, type, body, length);
    }
    dq_gate_wait_for(&r->answered, DQ_SPIN_RESULT);
    return r->result;
}

struct dq_msg_result *dq_remote_take_result(struct dq_remote *r)
{
    r->room = 0;
    return g_steal_pointer(&r->result);
}

bool dq_remote_was_kicked(struct dq_remote *r)
{
    return __atomic_exchange_n(&r->kicked, 0, __ATOMIC_ACQ_REL);
}

/* As glibc and the kernel make the clock of a thread of this process: clock_getcpuclockid(3). */
static clockid_t cpu_clock_of(int host_tid)
{
    return (clockid_t)(~(unsigned)host_tid << 3 | 6);
}

/* Fields 14 and 15 of its "stat"; the second one is a name in parentheses. */
static void read_parts(int host_tid, struct dq_cpu_time *t)
{
    const uint64_t us_a_tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/stat", host_tid);
    g_autofree char *text = NULL;
    const char *behind_name;
    unsigned long user, system;

    if (g_file_get_contents(path, &text, NULL, NULL) && (behind_name = strrchr(text, ')')) &&
        sscanf(behind_name, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
               &system) == 2) {
        t->user_us = user * us_a_tick;
        t->system_us = system * us_a_tick;
    }
}

void dq_remote_cpu_time(uint32_t tid, bool parts, struct dq_cpu_time *used)
{
    const struct dq_remote *r;
    struct timespec t = {0};
    uint64_t before = 0;

    pthread_mutex_lock(&lock); /* it does not end meanwhile */
    r = g_hash_table_lookup(threads, GUINT_TO_POINTER(tid));
    before = r ? r->before_ns + 1 : 0;
    if (r && r->host_tid) {
        clock_gettime(cpu_clock_of(r->host_tid), &t);
        if (parts) {
            read_parts(r->host_tid, used);
        }
    }
    pthread_mutex_unlock(&lock);
    used->ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + before;
}

static int result_arrived(struct dq_remote *r, const void *body, size_t length)
{
    if (dq_gate_is_open(&r->answered)) {
        return -EPROTO;
    }
    if (length > r->room) {
        r->result = g_realloc(r->result, length);
        r->room = length;
    }
    memcpy(r->result, body, length);
    r->go |= r->result->go != 0;
    r->result_length = length;
    dq_gate_open(&r->answered);
    return 0;
}

int dq_remote_sched(const void *body, size_t length)
{
    const struct dq_msg_sched *m = body;
    struct dq_sched *s = dq_sched_read(m, length);
    struct dq_remote *r;

    if (!s) {
        return -EPROTO;
    }
    if (m->priority) {
        dq_node_outrun((int)m->priority);
    }
    pthread_mutex_lock(&lock);
    r = g_hash_table_lookup(threads, GUINT_TO_POINTER(m->tid));
    if (r && r->host_tid) {
        dq_sched_apply(s, r->host_tid);
    } else if (r) {
        g_free(r->sched);
        r->sched = g_steal_pointer(&s);
    }
    pthread_mutex_unlock(&lock);
    g_free(s);
    return 0;
}

int dq_remote_message(unsigned type, const void *body, size_t length)
{
    struct dq_remote *r;
    uint32_t tid;
    int err = 0;

    memcpy(&tid, body, sizeof(tid));
    pthread_mutex_lock(&lock);
    r = g_hash_table_lookup(threads, GUINT_TO_POINTER(tid));
    if (type == DQ_MSG_KICK) {
        /* none is needed for a thread that has just ended or moved away */
        if (r) {
            __atomic_store_n(&r->kicked, 1, __ATOMIC_RELEASE);
            if (r->host_tid) {
                syscall(SYS_tgkill, getpid(), r->host_tid, kick_signal);
            }
        }
    } else if (!r) {
        err = -EPROTO;
    } else {
        err = result_arrived(r, body, length);
    }
    pthread_mutex_unlock(&lock);
    return err;
}
