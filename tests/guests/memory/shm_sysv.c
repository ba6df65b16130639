/*
 * System V shared memory attached by one thread and used by all, next to POSIX shared memory
 * behind a memfd mapped twice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/shm.h>

#include "guest.h"

enum { THREADS = 4, LENGTH = 2 * GUEST_PAGE };

static atomic_int *sysv, *posix_one, *posix_two;
static pthread_barrier_t gate;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    if (me == 0) {
        int id = shmget(IPC_PRIVATE, LENGTH, IPC_CREAT | 0600);
        CHECK(id >= 0);
        sysv = shmat(id, NULL, 0);
        CHECK(sysv != (void *)-1);
        CHECK(shmctl(id, IPC_RMID, NULL) == 0);
        int fd = memfd_create("guest", 0);
        CHECK(fd >= 0 && ftruncate(fd, LENGTH) == 0);
        posix_one = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        posix_two = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(posix_one != MAP_FAILED && posix_two != MAP_FAILED && close(fd) == 0);
    }
    pthread_barrier_wait(&gate);
    for (int i = 0; i < 50; i++) {
        atomic_fetch_add(&sysv[0], 1);
        atomic_fetch_add(i % 2 ? &posix_one[1025] : &posix_two[1025], 1);
    }
    pthread_barrier_wait(&gate);
    CHECK(sysv[0] == 50 * THREADS);
    CHECK(posix_one[1025] == 50 * THREADS && posix_two[1025] == 50 * THREADS);
    pthread_barrier_wait(&gate);
    if (me == 1) {
        CHECK(shmdt(sysv) == 0);
    }
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("shm_sysv: counted in both");
    return 0;
}
