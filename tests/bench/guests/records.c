/*
 * An array of records of 48 bytes, each of which belongs to one random thread.
 *
 *   records mixed|grouped THREADS KIB UPDATES SETTLE_MS MS
 *
 * Each thread goes round its own records, in the order of the array, and updates each UPDATES times
 * before the next. mixed: one array of KIB KiB; neighbours belong to whom they belong to, records
 * keep to no cache lines or pages. grouped: each thread's records, as many, stand together on pages
 * of its own. What counts is the rate in the MS that follow the first SETTLE_MS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "window.h"

enum { MOST = 64 };

struct record {
    volatile uint64_t owner, updates, sum, last;
    uint64_t unused[2];
};

_Static_assert(sizeof(struct record) == 48, "as the rows say");

static int threads, updates;
static OWN_PAGE struct {
    struct record **list; /* on pages that nobody writes to any more */
    uint64_t count;
} of[MOST];

static void update(struct record *r)
{
    for (int i = 0; i < updates; i++) {
        r->updates++;
        r->sum += r->owner;
        r->last = r->sum;
    }
}

static uint64_t go_round(enum window state, int index, uint64_t visits)
{
    struct record **list = of[index].list;
    uint64_t count = of[index].count, at = visits % count;

    while (window_is(state)) {
        update(list[at]);
        visits++;
        at = at + 1 < count ? at + 1 : 0;
    }
    return visits;
}

static void *worker(void *arg)
{
    window_work((int)(intptr_t)arg, go_round);
    return NULL;
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + GUEST_PAGE - 1) / GUEST_PAGE * GUEST_PAGE;
}

/* Who has which record is the same in every run, and the same mixed or grouped. */
static void deal(bool grouped, int count)
{
    size_t size = whole_pages(count * sizeof(struct record));
    struct record *array[MOST];
    uint64_t seed = 1;

    for (int i = 0; i < threads; i++) {
        array[i] = grouped || i == 0 ? guest_map(size, PROT_READ | PROT_WRITE) : array[0];
        of[i].list = guest_map(whole_pages(count * sizeof(*of[i].list)), PROT_READ | PROT_WRITE);
    }
    for (int i = 0; i < count; i++) {
        int owner = (int)(guest_random(&seed) % (uint32_t)threads);
        struct record *r = array[owner] + (grouped ? of[owner].count : (uint64_t)i);

        r->owner = (uint64_t)owner + 1; /* a sum tells it */
        of[owner].list[of[owner].count++] = r;
    }
}

static void check(int index)
{
    uint64_t visits = window_done[index].after, count = of[index].count;

    for (uint64_t i = 0; i < count; i++) {
        const struct record *r = of[index].list[i];
        uint64_t here = visits / count + (i < visits % count);

        CHECK(r->owner == (uint64_t)index + 1);
        CHECK(r->updates == here * (uint64_t)updates);
        CHECK(r->sum == r->updates * r->owner && r->last == r->sum);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread[MOST];
    int kib, settle_ms, ms;
    double per_second;
    bool grouped;

    CHECK(argc == 7);
    grouped = strcmp(argv[1], "grouped") == 0;
    CHECK(grouped || strcmp(argv[1], "mixed") == 0);
    threads = bench_arg(argv, 2);
    kib = bench_arg(argv, 3);
    updates = bench_arg(argv, 4);
    settle_ms = bench_arg(argv, 5);
    ms = bench_arg(argv, 6);
    CHECK(threads <= MOST && kib <= 1024);
    deal(grouped, kib * 1024 / (int)sizeof(struct record));
    for (int i = 0; i < threads; i++) {
        CHECK(of[i].count > 0);
    }
    bench_start(thread, threads, worker);
    per_second = window_per_second(thread, threads, settle_ms, ms);
    for (int i = 0; i < threads; i++) {
        check(i);
    }
    bench_say("updates_per_second", per_second * updates, "/s");
    return 0;
}
