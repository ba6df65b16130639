/*
 * Shared pages that are unmapped and mapped again, moved, made read-only and writable again, thrown
 * away, and replaced by others, from one of the nodes that write them; other pages are kept in use
 * by all meanwhile. A write that finds its page read-only or gone is a SIGSEGV, as on hardware.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { PAGES = 2, WORDS = GUEST_PAGE / sizeof(uint64_t), LENGTH = PAGES * GUEST_PAGE, TURNS = 2 };

/* Thread t has words t and 256 + t of both pages. */
static volatile uint64_t *area;
static OWN_PAGE volatile uint64_t kept[WORDS];
static pthread_barrier_t gate;
static OWN_PAGE atomic_int forbidden, faults;
static __thread volatile bool faulted;

static volatile uint64_t *word(int i, int me)
{
    return &area[i / 2 * WORDS + i % 2 * (WORDS / 2) + me];
}

/* All my words from n on, for a while. */
static uint64_t use(int me, uint64_t n)
{
    int64_t end = guest_now_ns(CLOCK_MONOTONIC) + 4 * 1000000;
    uint64_t next = n;

    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < 2 * PAGES; i++) {
            next = split_steps(word(i, me), n);
        }
        n = next;
    }
    return n;
}

static void expect(int me, uint64_t n)
{
    for (int i = 0; i < 2 * PAGES; i++) {
        CHECK(*word(i, me) == n);
    }
}

/* The words are zero afterwards, as is everything in the pages. */
static void map_again(void)
{
    CHECK(munmap((void *)area, LENGTH) == 0);
    CHECK(mmap((void *)area, LENGTH, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
}

static void map_over(void)
{
    CHECK(mmap((void *)area, LENGTH, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
}

static void throw_away(void)
{
    CHECK(madvise((void *)area, LENGTH, MADV_DONTNEED) == 0);
}

static unsigned char *raw_brk(const volatile void *to)
{
    return (unsigned char *)syscall(SYS_brk, to);
}

static void cut_break(void)
{
    CHECK(raw_brk(area) == (unsigned char *)area);
    CHECK(raw_brk(area + PAGES * WORDS) == (unsigned char *)(area + PAGES * WORDS));
}

/* The words are as they were. */
static void move(void)
{
    /* A hole for it, so that it has to move. */
    void *hole = guest_map(LENGTH, PROT_NONE);
    volatile uint64_t *from = area;

    area = mremap((void *)from, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
    CHECK(area == hole);
    /* Where it was is nothing. */
    CHECK(mincore((void *)from, GUEST_PAGE, (unsigned char[1]){0}) == -1 && errno == ENOMEM);
}

static void forbid_and_allow(void)
{
    CHECK(mprotect((void *)area, LENGTH, PROT_READ) == 0);
    CHECK(mprotect((void *)area, LENGTH, PROT_READ | PROT_WRITE) == 0);
}

static const struct change {
    void (*make)(void);
    bool keeps;
} changes[] = {
    {map_again, false}, {map_over, false},        {throw_away, false},
    {move, true},       {forbid_and_allow, true},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

/* Change, and use again, TURNS times, each time by another thread. */
static void *changed(int me, const struct change *c)
{
    uint64_t n = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        pthread_barrier_wait(&gate);
        n = use(me, n);
        pthread_barrier_wait(&gate);
        if (me == turn % SPLIT_HALF) {
            c->make();
        }
        pthread_barrier_wait(&gate);
        n = c->keeps ? n : 0;
        expect(me, n);
        n = use(me, n);
        expect(me, n);
    }
    return NULL;
}

static void *by_mapping(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = 0; i < CHANGES; i++) {
        changed(me, &changes[i]);
        pthread_barrier_wait(&gate);
        if (me == 0) {
            map_over();
        }
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

static void *by_break(void *arg)
{
    return changed((intptr_t)arg, &(struct change){cut_break, false});
}

/* A write that is not allowed waits here until it is. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)area;

    (void)context;
    CHECK(sig == SIGSEGV && info->si_code == SEGV_ACCERR);
    CHECK(offset < LENGTH);
    faulted = true;
    atomic_fetch_add(&faults, 1);
    while (atomic_load(&forbidden)) {
        sched_yield();
    }
}

/* Until each of the others has had its fault, their words do not change. */
static void forbid_for_a_while(int me, uint64_t n)
{
    atomic_store(&faults, 0);
    atomic_store(&forbidden, 1);
    CHECK(mprotect((void *)area, LENGTH, PROT_READ) == 0);
    while (atomic_load(&faults) != SPLIT_HALF - 1) {
        expect(me, n);
        sched_yield();
    }
    CHECK(mprotect((void *)area, LENGTH, PROT_READ | PROT_WRITE) == 0);
    atomic_store(&forbidden, 0);
}

/* One forbids writes, the others write until they have had their faults. */
static void *by_protection(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t n = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        n = use(me, n);
        pthread_barrier_wait(&gate);
        faulted = false;
        if (me == turn % SPLIT_HALF) {
            forbid_for_a_while(me, n);
        } else {
            while (!faulted) {
                n = use(me, n);
            }
        }
        pthread_barrier_wait(&gate);
        expect(me, n);
    }
    return NULL;
}

/* A file that is shared takes the place of the pages; it is there for all. */
static void *by_file(void *arg)
{
    int me = (intptr_t)arg;
    static int fd;
    uint64_t n = use(me, 0);

    pthread_barrier_wait(&gate);
    if (me == 0) {
        fd = guest_tmpfile();
        CHECK(ftruncate(fd, LENGTH) == 0);
        CHECK(mmap((void *)area, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
              area);
    }
    pthread_barrier_wait(&gate);
    expect(me, 0);
    n = use(me, 0);
    uint64_t stored;
    CHECK(pread(fd, &stored, sizeof(stored), me * sizeof(stored)) == sizeof(stored));
    CHECK(stored == n);
    pthread_barrier_wait(&gate);
    if (me == 0) {
        map_over();
        CHECK(close(fd) == 0);
    }
    pthread_barrier_wait(&gate);
    expect(me, 0);
    return NULL;
}

static void *keeper(void *arg)
{
    split_count(&kept[(intptr_t)arg]);
    return NULL;
}

static void fresh_area(void)
{
    area = guest_map(LENGTH, PROT_READ | PROT_WRITE);
}

int main(void)
{
    pthread_t keepers[SPLIT_HALF];

    guest_handler(SIGSEGV, on_fault, 0);
    CHECK(pthread_barrier_init(&gate, NULL, SPLIT_HALF) == 0);
    guest_start(keepers, SPLIT_HALF, keeper);
    fresh_area();
    guest_run(SPLIT_HALF, by_mapping);
    fresh_area();
    guest_run(SPLIT_HALF, by_protection);
    fresh_area();
    guest_run(SPLIT_HALF, by_file);
    /* The room left keeps malloc from moving the break meanwhile. */
    area = (void *)(((uintptr_t)raw_brk(NULL) + 16 * GUEST_PAGE) & -GUEST_PAGE);
    CHECK(raw_brk(area + PAGES * WORDS) == (unsigned char *)(area + PAGES * WORDS));
    guest_run(SPLIT_HALF, by_break);
    atomic_store(&split_done, SPLIT_HALF);
    guest_join(keepers, SPLIT_HALF);
    printf("split_maps: %d changes by each of %d threads\n", CHANGES + 3, TURNS);
    return 0;
}
