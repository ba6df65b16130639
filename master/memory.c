/*
 * One question at a time, and the answers that it still lacks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/memory.h"

#include <errno.h>
#include <pthread.h>

#include "dqemu/node.h"

/* Who asks has this lock until all have answered; outside of `lock`. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
/* Guards what follows. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static uint64_t cookie;
static int awaited;
static struct dq_memory sum;

static void ask(void)
{
    struct dq_msg_cookie m;

    pthread_mutex_lock(&lock);
    m.cookie = ++cookie;
    awaited = dq_node_count() - 1;
    sum = (struct dq_memory){0};
    pthread_mutex_unlock(&lock);
    for (int n = 1; n < dq_node_count(); n++) {
        dq_node_send(n, DQ_MSG_MEMORY_ASK, &m, sizeof(m));
    }
}

struct dq_memory dq_memory_count(void)
{
    struct dq_memory all;

    pthread_mutex_lock(&turn);
    ask();
    struct dq_pager_pages own = dq_pager_ask_count();
    pthread_mutex_lock(&lock);
    while (awaited) {
        pthread_cond_wait(&answered, &lock);
    }
    all = sum;
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&turn);
    all.touched += own.homed;
    all.most += own.most_homed;
    all.here = own.held;
    return all;
}

int dq_memory_message(const struct dq_msg_memory *m)
{
    int err = 0;

    pthread_mutex_lock(&lock);
    if (!awaited || m->cookie != cookie) {
        err = -EPROTO;
    } else {
        sum.touched += m->pages;
        sum.most += m->most;
        if (--awaited == 0) {
            pthread_cond_broadcast(&answered);
        }
    }
    pthread_mutex_unlock(&lock);
    return err;
}
