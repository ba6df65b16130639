/*
 * The turn, and the count of answers that are still to come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/map.h"

#include <errno.h>
#include <pthread.h>

#include "dqemu/node.h"

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* Guards `awaited`; innermost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static unsigned awaited;

void dq_map_begin(void)
{
    pthread_mutex_lock(&turn);
}

void dq_map_end(void)
{
    pthread_mutex_unlock(&turn);
}

static void expect(unsigned answers)
{
    pthread_mutex_lock(&lock);
    awaited += answers;
    pthread_mutex_unlock(&lock);
}

void dq_map_tell(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    struct dq_msg_map m = {.start = start, .length = length, .op = op, .flags = flags};

    expect((unsigned)dq_node_count() - 1);
    for (int n = 1; n < dq_node_count(); n++) {
        dq_node_send(n, DQ_MSG_MAP, &m, sizeof(m));
    }
}

void dq_map_tell_globals(const void *globals, size_t length)
{
    struct dq_msg_cookie m = {0};

    expect((unsigned)dq_node_count() - 1);
    for (int n = 1; n < dq_node_count(); n++) {
        dq_node_send2(n, DQ_MSG_GLOBALS, &m, sizeof(m), globals, length);
    }
}

void dq_map_wait(void)
{
    pthread_mutex_lock(&lock);
    while (awaited) {
        pthread_cond_wait(&answered, &lock);
    }
    pthread_mutex_unlock(&lock);
}

int dq_map_message(const struct dq_msg_cookie *m)
{
    int err = 0;

    (void)m;
    pthread_mutex_lock(&lock);
    if (!awaited) {
        err = -EPROTO;
    } else if (--awaited == 0) {
        pthread_cond_signal(&answered);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

void dq_map_forked(void)
{
    pthread_mutex_init(&turn, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&answered, NULL);
    awaited = 0;
}
