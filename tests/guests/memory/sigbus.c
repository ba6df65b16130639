/*
 * Touching a mapped file past its end is SIGBUS with BUS_ADRERR, in any thread; once the file has
 * grown, the same access works.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <setjmp.h>

#include "guest.h"

enum { THREADS = 4 };

static unsigned char *map;
static pthread_barrier_t gate;
static __thread sigjmp_buf back;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGBUS && info->si_code == BUS_ADRERR);
    CHECK((unsigned char *)info->si_addr >= map + GUEST_PAGE);
    CHECK((unsigned char *)info->si_addr < map + 2 * GUEST_PAGE);
    siglongjmp(back, 1);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    volatile unsigned char *byte = map + GUEST_PAGE + me;

    map[me] = me;
    if (sigsetjmp(back, 1) == 0) {
        *byte = 1;
        guest_fail(__FILE__, __LINE__, "no fault");
    }
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    *byte = me + 1;
    CHECK(*byte == me + 1);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    int fd = guest_tmpfile();

    CHECK(ftruncate(fd, GUEST_PAGE) == 0);
    map = mmap(NULL, 2 * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    guest_handler(SIGBUS, on_bus, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    CHECK(ftruncate(fd, 2 * GUEST_PAGE) == 0);
    pthread_barrier_wait(&gate);
    guest_join(threads, THREADS);
    puts("sigbus: past the end, and no longer");
    return 0;
}
