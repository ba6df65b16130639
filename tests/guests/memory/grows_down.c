/*
 * Memory that grows downwards grows with accesses below it: before there are other threads, by
 * remote threads, and by the main thread afterwards. It keeps its content; what is mapped below
 * stays where it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

#define P ((size_t)GUEST_PAGE)

enum { RESERVED = 1024, ROOM = 400, AT_FIRST = 2, THREADS = 4 };

/* A mapping of AT_FIRST pages up to the result, with room below, in which no thread's stack fits. */
static unsigned char *map(void)
{
    unsigned char *m = mmap(NULL, RESERVED * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *end = m + RESERVED * P;

    CHECK(m != MAP_FAILED && munmap(end - ROOM * P, ROOM * P) == 0);
    CHECK(mmap(end - AT_FIRST * P, AT_FIRST * P, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1,
               0) == end - AT_FIRST * P);
    return end;
}

static void use(unsigned char *end, size_t from, size_t to)
{
    for (size_t page = from; page <= to; page++) {
        CHECK(*(end - page * P) == 0);
        *(end - page * P) = (unsigned char)page;
    }
    for (size_t page = 1; page <= to; page++) {
        CHECK(*(end - page * P) == (unsigned char)page);
    }
}

static unsigned char *old;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *arg)
{
    CHECK(pthread_mutex_lock(&one_at_a_time) == 0);
    if (arg) {
        use(map(), 1, 100);
    } else {
        use(old, 51, 100);
    }
    CHECK(pthread_mutex_unlock(&one_at_a_time) == 0);
    return arg;
}

int main(void)
{
    old = map();
    use(old, 1, 50);
    guest_run(THREADS, work);
    use(old, 101, 150);
    work((void *)1);
    puts("grows_down: grown");
    return 0;
}
