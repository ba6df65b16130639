/*
 * The worker: one thread for jobs that may wait for the emulator's locks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* The loop, the worker, and one that the emulator has (peek.c, core.c). None of them ends. */
#define MOST_OWN 3

static int own[MOST_OWN]; /* atomic; 0: none */
static int own_count;     /* atomic */

struct start {
    void *(*run)(void *arg);
    sem_t known;
};

static void *begin(void *arg)
{
    struct start *s = arg;
    void *(*run)(void *) = s->run;
    int n = __atomic_fetch_add(&own_count, 1, __ATOMIC_RELAXED);

    __atomic_store_n(&own[n], (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    sem_post(&s->known);
    return run(NULL);
}

bool dq_node_owns_thread(int tid)
{
    for (int i = 0; i < MOST_OWN && tid > 0; i++) {
        if (__atomic_load_n(&own[i], __ATOMIC_ACQUIRE) == tid) {
            return true;
        }
    }
    return false;
}

int dq_node_own_threads(void)
{
    return __atomic_load_n(&own_count, __ATOMIC_RELAXED);
}

int dq_worker_thread(void *(*run)(void *arg), const char *name)
{
    struct start s = {.run = run};
    sigset_t all, before;
    pthread_t thread;
    int err;

    sem_init(&s.known, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, NULL, begin, &s);
    if (!err) {
        sem_wait(&s.known);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sem_destroy(&s.known);
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
    memset(own, 0, sizeof(own));
    own_count = 0;
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
