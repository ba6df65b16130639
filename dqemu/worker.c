/*
 * The worker: one thread for jobs that may wait for the emulator's locks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <signal.h>

#include "dqemu/jobs.h"
#include "dqemu/runtime.h"

static struct dq_jobs jobs = DQ_JOBS_INIT(jobs);
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER; /* with jobs.lock: there are jobs */

static void *work(void *arg)
{
    (void)arg;
    for (;;) {
        struct dq_job *list;

        pthread_mutex_lock(&jobs.lock);
        while (!jobs.first) {
            pthread_cond_wait(&wake, &jobs.lock);
        }
        list = dq_jobs_take(&jobs);
        pthread_mutex_unlock(&jobs.lock);
        dq_awake_was_begun();
        dq_jobs_run(list);
        dq_awake_end();
    }
    return NULL;
}

int dq_worker_thread(void *(*run)(void *arg), const char *name)
{
    sigset_t all, before;
    pthread_t thread;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        return -err;
    }
    pthread_setname_np(thread, name);
    pthread_detach(thread);
    return 0;
}

int dq_worker_open(void)
{
    return dq_worker_thread(work, "dqemu-worker");
}

void dq_worker_forked(void)
{
    dq_jobs_forked(&jobs);
    pthread_cond_init(&wake, NULL);
}

void dq_node_work(void (*fn)(void *arg), void *arg)
{
    if (dq_node_is_live() && dq_jobs_put(&jobs, fn, arg)) {
        dq_awake_begin_other(); /* the worker, for this list of jobs: who waits awake makes room */
        pthread_cond_signal(&wake);
    }
}
