/*
 * The kernel's account of this process, without its start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slave/cpu_time.h"

#include <sys/resource.h>
#include <time.h>

#include "dqemu/node.h"
#include "slave/threads.h"

static struct dq_msg_cpu start;

static uint64_t us_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static void read_process(struct dq_msg_cpu *m)
{
    struct timespec t = {0};
    struct rusage r = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    getrusage(RUSAGE_SELF, &r);
    m->ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    m->user_us = us_of(&r.ru_utime);
    m->system_us = us_of(&r.ru_stime);
}

void dq_cpu_time_begin(void)
{
    read_process(&start);
}

/* User and system time are parts of the whole, which the kernel may come to see differently. */
static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

void dq_cpu_time_asked(const struct dq_msg_cpu_ask *m)
{
    struct dq_msg_cpu answer = {0};

    if (m->tid) {
        answer.ns = dq_remote_cpu_ns(m->tid);
    } else {
        read_process(&answer);
        answer.ns = since(start.ns, answer.ns);
        answer.user_us = since(start.user_us, answer.user_us);
        answer.system_us = since(start.system_us, answer.system_us);
    }
    answer.cookie = m->cookie;
    dq_node_send(0, DQ_MSG_CPU, &answer, sizeof(answer));
}
