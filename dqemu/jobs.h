/*
 * A queue of jobs from any thread to one thread: what the loop and the worker are fed by.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_JOBS_H
#define DQ_JOBS_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

struct dq_job {
    struct dq_job *next;
    void (*fn)(void *arg);
    void *arg;
};

struct dq_jobs {
    pthread_mutex_t lock; /* guards the list; a leaf: nothing is locked inside it */
    struct dq_job *first, **end;
};

#define DQ_JOBS_INIT(jobs)                                                                         \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .end = &(jobs).first                                    \
    }

/* In a forked child, where another thread of the parent may have held the lock. */
static inline void dq_jobs_forked(struct dq_jobs *q)
{
    pthread_mutex_init(&q->lock, NULL);
    q->first = NULL;
    q->end = &q->first;
}

/* Append. True if the queue was empty: its thread may be asleep. */
static inline bool dq_jobs_put(struct dq_jobs *q, void (*fn)(void *arg), void *arg)
{
    struct dq_job *job = g_new(struct dq_job, 1);
    bool was_empty;

    *job = (struct dq_job){.fn = fn, .arg = arg};
    pthread_mutex_lock(&q->lock);
    was_empty = q->first == NULL;
    *q->end = job;
    q->end = &job->next;
    pthread_mutex_unlock(&q->lock);
    return was_empty;
}

/* Take all. Call with the lock held. */
static inline struct dq_job *dq_jobs_take(struct dq_jobs *q)
{
    struct dq_job *list = q->first;

    q->first = NULL;
    q->end = &q->first;
    return list;
}

/* Run them in the order in which they were put. */
static inline void dq_jobs_run(struct dq_job *list)
{
    while (list) {
        struct dq_job *job = list;

        list = job->next;
        job->fn(job->arg);
        g_free(job);
    }
}

#endif
