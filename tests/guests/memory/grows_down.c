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

enum { ROOM = 1024, AT_FIRST = 2, THREADS = 4 };

/*
 * A mapping of AT_FIRST pages up to the result, with room below: far from all that is placed by
 * itself, the emulator's own memory, too.
 */
static unsigned char *map(void)
{
    static uintptr_t next = (uintptr_t)1 << 37;
    unsigned char *end = (unsigned char *)(next += ROOM * P);

    CHECK(mmap(end - AT_FIRST * P, AT_FIRST * P, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1,
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
