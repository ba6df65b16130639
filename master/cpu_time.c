/*
 * Questions that are under way, and the answers that each still lacks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/cpu_time.h"

#include <errno.h>
#include <pthread.h>

#include "dqemu/node.h"

struct question {
    struct question *next;
    uint64_t cookie;
    int awaited;
    struct dq_cpu_time sum;
};

/* Guards the list and what is in it, which lies on the stacks of those who ask. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct question *questions;

static struct question **find(uint64_t cookie)
{
    struct question **q = &questions;

    while (*q && (*q)->cookie != cookie) {
        q = &(*q)->next;
    }
    return q;
}

void dq_cpu_time_elsewhere(uint32_t tid, struct dq_cpu_time *sum)
{
    static uint64_t last;
    struct question q = {.awaited = dq_node_count() - 1};
    struct dq_msg_cpu_ask m = {.tid = tid};

    pthread_mutex_lock(&lock);
    m.cookie = q.cookie = ++last;
    q.next = questions;
    questions = &q;
    pthread_mutex_unlock(&lock);

    for (int n = 1; n < dq_node_count(); n++) {
        dq_node_send(n, DQ_MSG_CPU_ASK, &m, sizeof(m));
    }

    pthread_mutex_lock(&lock);
    while (q.awaited) {
        pthread_cond_wait(&answered, &lock);
    }
    *find(q.cookie) = q.next;
    pthread_mutex_unlock(&lock);
    *sum = q.sum;
}

int dq_cpu_time_message(const struct dq_msg_cpu *m)
{
    struct question *q;
    int err = 0;

    pthread_mutex_lock(&lock);
    q = *find(m->cookie);
    if (!q || !q->awaited) {
        err = -EPROTO;
    } else {
        q->sum.ns += m->ns;
        q->sum.user_us += m->user_us;
        q->sum.system_us += m->system_us;
        if (--q->awaited == 0) {
            pthread_cond_broadcast(&answered);
        }
    }
    pthread_mutex_unlock(&lock);
    return err;
}
