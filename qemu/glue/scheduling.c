/*
 * Scheduling: policies, priorities and affinity of threads that run elsewhere.
 *
 * The guest's calls are executed on the thread's proxy, whose kernel knows the rights and the errors, and
 * what they read is what it has. Afterwards the thread's node is told, and sets its own thread alike
 * (slave/sched.h). So threads of nodes on one machine are ordered by its kernel, whatever their
 * nodes; on several hosts a mask binds a thread where its node has some of the processors in it.
 *
 * Master only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sched.h>
#include <sys/syscall.h>
#include "dqemu/sched_attr.h"

#define MOST_WORDS 128 /* 8192 processors, as many as Linux has */

/* The processors that the process was started with. */
static cpu_set_t usual;

static bool read_attributes(pid_t tid, struct dq_sched_attr *a)
{
    return syscall(SYS_sched_getattr, tid, a, sizeof(*a), 0) == 0;
}

void dq_scheduling_open(void)
{
    sched_getaffinity(0, sizeof(usual), &usual);
}

static void tell(uint32_t tid, int node)
{
    unsigned long mask[MOST_WORDS];
    struct dq_msg_sched m = {.tid = tid};
    struct dq_sched_attr a;
    int length = dq_sched_getaffinity(tid, sizeof(mask), mask);

    if (length < 0 || !read_attributes(tid, &a) || a.policy == SCHED_DEADLINE) {
        return; /* it is gone; or there is no such policy for a thread that waits for others */
    }
    m.policy = a.policy;
    m.nice = a.nice;
    m.priority = a.priority;
    dq_node_send2(node, DQ_MSG_SCHED, &m, sizeof(m), mask, length);
}

/* As threads are that a loop makes. */
static bool is_usual(const struct dq_sched_attr *a, const cpu_set_t *mask)
{
    return a->policy == SCHED_OTHER && a->nice == 0 && CPU_EQUAL(mask, &usual);
}

void dq_scheduling_begin(const struct dq_thread *t)
{
    struct dq_sched_attr a;
    cpu_set_t mask;

    CPU_ZERO(&mask);
    sched_getaffinity(0, sizeof(mask), &mask);
    if (t->processors || (read_attributes(0, &a) && !is_usual(&a, &mask))) {
        tell(t->proxy.tid, t->node);
    }
}

/* The thread that a call is about; 0: it may be any. False: the call is about something else. */
static bool is_about(int num, abi_long arg, uint32_t *tid)
{
    *tid = get_task_state(thread_cpu)->ts_tid;
    switch (num) {
    case TARGET_NR_sched_setaffinity:
    case TARGET_NR_sched_setparam:
    case TARGET_NR_sched_setscheduler:
    case TARGET_NR_sched_setattr:
        *tid = arg ? arg : *tid;
        return true;
#ifdef TARGET_NR_nice
    case TARGET_NR_nice:
        return true;
#endif
    case TARGET_NR_setpriority:
        *tid = 0;
        return true;
    default:
        return false;
    }
}

void dq_scheduling_changed(int num, abi_long arg)
{
    g_autofree struct dq_where *where = NULL;
    struct dq_sched_attr a;
    unsigned count;
    uint32_t tid;

    if (!is_about(num, arg, &tid)) {
        return;
    }
    where = dq_proxies_list(&count);
    for (unsigned i = 0; i < count; i++) {
        if (tid == 0 || tid == where[i].tid) {
            tell(where[i].tid, where[i].node);
        }
    }
    if (tid && read_attributes(tid, &a) && a.priority) {
        dq_node_outrun(a.priority);
    }
}
