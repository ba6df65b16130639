/*
 * Anonymous memory shared by parent and children, with a process-shared mutex, condition and
 * semaphore in it; remote threads of the parent take part.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { CHILDREN = 2, THREADS = 3, ROUNDS = 50 };

static struct shared {
    pthread_mutex_t lock;
    pthread_cond_t turn;
    sem_t started;
    long a, b;
    int holder;
    char text[64];
} * shared;

static void count(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&shared->lock) == 0);
        CHECK(shared->a == -shared->b);
        shared->a++;
        shared->b--;
        CHECK(pthread_mutex_unlock(&shared->lock) == 0);
    }
}

/* Parent's thread and child take turns by the shared condition variable. */
static void take_turns(int side)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&shared->lock) == 0);
        while (shared->holder % 2 != side) {
            CHECK(pthread_cond_wait(&shared->turn, &shared->lock) == 0);
        }
        CHECK(shared->holder == 2 * i + side);
        shared->holder++;
        CHECK(pthread_cond_broadcast(&shared->turn) == 0);
        CHECK(pthread_mutex_unlock(&shared->lock) == 0);
    }
}

static void *worker(void *arg)
{
    count();
    if ((intptr_t)arg == 0) {
        take_turns(0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_mutexattr_t mutex_attr;
    pthread_condattr_t cond_attr;
    pid_t pids[CHILDREN];
    int status;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK(pthread_mutexattr_init(&mutex_attr) == 0 && pthread_condattr_init(&cond_attr) == 0);
    CHECK(pthread_mutexattr_setpshared(&mutex_attr, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setpshared(&cond_attr, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutex_init(&shared->lock, &mutex_attr) == 0);
    CHECK(pthread_cond_init(&shared->turn, &cond_attr) == 0);
    CHECK(sem_init(&shared->started, 1, 0) == 0);

    guest_start(threads, THREADS, worker);
    for (int c = 0; c < CHILDREN; c++) {
        pids[c] = fork();
        CHECK(pids[c] >= 0);
        if (pids[c] == 0) {
            CHECK(sem_post(&shared->started) == 0);
            count();
            if (c == 0) {
                take_turns(1);
                strcpy(shared->text, "from the child");
            }
            _exit(0);
        }
    }
    for (int c = 0; c < CHILDREN; c++) {
        guest_sem_wait(&shared->started);
    }
    guest_join(threads, THREADS);
    for (int c = 0; c < CHILDREN; c++) {
        CHECK(waitpid(pids[c], &status, 0) == pids[c] && status == 0);
    }
    CHECK(shared->a == (THREADS + CHILDREN) * ROUNDS && shared->holder == 2 * ROUNDS);
    printf("shared_anonymous: %ld counts, %d turns, text %s\n", shared->a, shared->holder,
           shared->text);
    return 0;
}
