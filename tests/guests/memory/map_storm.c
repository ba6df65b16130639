/*
 * Many threads map, protect, move, empty and unmap areas of their own at once, and pass some to
 * their neighbours: no area ever shows another's contents, and fresh memory is zero even where
 * something else stood a moment ago.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=40 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 40, PAGES = 6 };

struct area {
    unsigned char *at;
    int pages, stamp;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct area passed[THREADS];
static atomic_int done;

static void fill(unsigned char *at, int pages, int stamp)
{
    for (int p = 0; p < pages; p++) {
        at[p * GUEST_PAGE] = stamp;
        at[p * GUEST_PAGE + GUEST_PAGE - 1] = stamp + p;
    }
}

static void verify(const unsigned char *at, int pages, int stamp)
{
    for (int p = 0; p < pages; p++) {
        CHECK(at[p * GUEST_PAGE] == (unsigned char)stamp);
        CHECK(at[p * GUEST_PAGE + GUEST_PAGE - 1] == (unsigned char)(stamp + p));
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t random = me + 1;

    for (int i = 0; i < ROUNDS; i++) {
        int stamp = me * 31 + i, pages = 2 + guest_random(&random) % PAGES;
        size_t length = (size_t)pages * GUEST_PAGE;
        unsigned char *at = guest_map(length, PROT_READ | PROT_WRITE);

        for (size_t k = 0; k < length; k += GUEST_PAGE / 2) {
            CHECK(at[k] == 0);
        }
        fill(at, pages, stamp);
        switch (guest_random(&random) % 4) {
        case 0:
            CHECK(mprotect(at, length, PROT_READ) == 0);
            verify(at, pages, stamp);
            CHECK(mprotect(at, length, PROT_READ | PROT_WRITE) == 0);
            fill(at, pages, ++stamp);
            break;
        case 1:
            at = mremap(at, length, length * 4, MREMAP_MAYMOVE);
            CHECK(at != MAP_FAILED);
            verify(at, pages, stamp);
            CHECK(at[length] == 0 && at[4 * length - 1] == 0);
            CHECK(munmap(at + length, 3 * length) == 0);
            break;
        case 2:
            CHECK(madvise(at, length, MADV_DONTNEED) == 0);
            CHECK(at[0] == 0 && at[length - 1] == 0);
            fill(at, pages, ++stamp);
            break;
        case 3:
            /* A new mapping over part of the old one. */
            CHECK(mmap(at, GUEST_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
            CHECK(at[0] == 0 && at[GUEST_PAGE - 1] == 0);
            CHECK(at[GUEST_PAGE] == (unsigned char)stamp);
            fill(at, pages, ++stamp);
            break;
        }
        verify(at, pages, stamp);

        /* Leave this area to the neighbour, take what was left to me. */
        struct area mine = {at, pages, stamp};
        CHECK(pthread_mutex_lock(&lock) == 0);
        struct area old = passed[(me + 1) % THREADS];
        passed[(me + 1) % THREADS] = mine;
        struct area taken = passed[me];
        passed[me] = (struct area){0};
        CHECK(pthread_mutex_unlock(&lock) == 0);
        for (int k = 0; k < 2; k++) {
            struct area *a = k ? &taken : &old;
            if (a->at) {
                verify(a->at, a->pages, a->stamp);
                CHECK(munmap(a->at, (size_t)a->pages * GUEST_PAGE) == 0);
            }
        }
        atomic_fetch_add(&done, 1);
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    printf("map_storm: %d areas\n", done);
    return 0;
}
