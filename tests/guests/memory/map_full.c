/*
 * The kernel has no more areas (vm.max_map_count): mapping, protecting and unmapping fail with ENOMEM,
 * nothing is lost by that, and the program goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=120 */
#include "guest.h"

#define P ((size_t)GUEST_PAGE)

enum { USUAL = 65530, PAGES = 70000, ROOM = 200 };

static unsigned char *fragments, *hole;
static sem_t begin;

/* Make areas of pages FROM on, until there can be no more; the first page that is none. */
static size_t fill(size_t from)
{
    size_t i = from;

    while (i < PAGES && mprotect(fragments + i * P, P, PROT_READ) == 0) {
        i += 2;
    }
    CHECK(i >= PAGES || errno == ENOMEM);
    return i;
}

static void *work(void *arg)
{
    guest_sem_wait(&begin);
    if (!arg) {
        return NULL;
    }
    fill((intptr_t)arg);
    CHECK(munmap(hole + 20 * P, P) == -1 && errno == ENOMEM && hole[20 * P] == 1);
    CHECK(mprotect(hole + 20 * P, P, PROT_READ) == -1 && errno == ENOMEM);
    hole[20 * P] = 2;
    CHECK(mprotect(fragments, PAGES * P, PROT_READ | PROT_WRITE) == 0);
    CHECK(munmap(hole + 20 * P, P) == 0 && hole[19 * P] == 1 && hole[21 * P] == 1);
    return NULL;
}

/* Where there can be more than usual, this would take too long. */
static int is_usual(void)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    int most = 0;

    CHECK(f && fscanf(f, "%d", &most) == 1);
    fclose(f);
    return most <= USUAL;
}

int main(void)
{
    pthread_t thread;
    size_t full = 0;

    CHECK(sem_init(&begin, 0, 0) == 0);
    hole = guest_map(64 * P, PROT_READ | PROT_WRITE);
    memset(hole, 1, 64 * P);
    fragments = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(fragments != MAP_FAILED);
    if (is_usual()) {
        full = fill(0);
        CHECK(full > 20000 && full < PAGES);
        full -= ROOM; /* for the thread */
        CHECK(mprotect(fragments + full * P, ROOM * P, PROT_READ | PROT_WRITE) == 0);
    }
    CHECK(pthread_create(&thread, NULL, work, (void *)full) == 0);
    CHECK(sem_post(&begin) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(munmap(fragments, PAGES * P) == 0);
    puts("map_full: went on");
    return 0;
}
