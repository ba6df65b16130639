/*
 * Merge sort: each thread sorts a part of its own with a sequential merge sort, then at each level
 * all threads merge pairs of runs together, each an equal share of the output, found by a binary
 * search along the merge path (Odeh, Green, Mwassi, Shmueli, Birk, Merge Path, 2012). All data goes
 * once through all threads per level.
 *
 * The number of parts is fixed, so the amount of work is the same for any number of threads.
 *
 * Checked: the result is in order and is a permutation of the input (sum and sum of squares).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { PARTS = 64, KEYS = KERNEL_PAGE / sizeof(uint64_t) /* in a page */ };

static const struct {
    int part, rounds; /* keys in each; sorts of other keys */
} sizes[SIZES] = {[TEST] = {1 << 13, 1}, [SMALL] = {1 << 15, 2}, [LARGE] = {1 << 17, 5}};

static long part, total;
static int rounds;
static uint64_t *keys, *other;

static uint64_t input(int round, long i)
{
    return kernel_random(round, i);
}

static void merge(const uint64_t *a, const uint64_t *a_end, const uint64_t *b,
                  const uint64_t *b_end, uint64_t *to, uint64_t *to_end)
{
    while (to < to_end) {
        *to++ = b == b_end || (a < a_end && *a <= *b) ? *a++ : *b++;
    }
}

/* Sort N keys, a power of two, between A and B; the result is in A. */
static void sort_part(uint64_t *a, uint64_t *b, long n)
{
    if (n <= 16) {
        for (long i = 1; i < n; i++) {
            uint64_t key = a[i];
            long j = i;
            for (; j > 0 && a[j - 1] > key; j--) {
                a[j] = a[j - 1];
            }
            a[j] = key;
        }
        return;
    }
    sort_part(a, b, n / 2);
    sort_part(a + n / 2, b + n / 2, n / 2);
    memcpy(b, a, n * sizeof(*a));
    merge(b, b + n / 2, b + n / 2, b + n, a, a + n);
}

/* How many of the first OUT keys that two runs of WIDTH have merged come from A. */
static long on_path(const uint64_t *a, const uint64_t *b, long width, long out)
{
    long low = out > width ? out - width : 0, high = out < width ? out : width;

    while (low < high) {
        long i = low + (high - low) / 2;
        if (a[i] <= b[out - 1 - i]) {
            low = i + 1;
        } else {
            high = i;
        }
    }
    return low;
}

/* Make the keys FIRST up to END of TO, which has runs of 2 WIDTH, from FROM's runs of WIDTH. */
static void merge_share(const uint64_t *from, uint64_t *to, long width, long first, long end)
{
    while (first < end) {
        long start = first / (2 * width) * 2 * width;
        long stop = end < start + 2 * width ? end : start + 2 * width;
        const uint64_t *a = from + start, *b = a + width;
        long i = on_path(a, b, width, first - start);
        merge(a + i, b, b + (first - start - i), b + width, to + first, to + stop);
        first = stop;
    }
}

/* One round; six levels are an even number of exchanges, so the result is in keys[]. */
static void sort(struct share parts, struct share pages)
{
    uint64_t *from = keys, *to = other;

    for (long p = parts.first; p < parts.end; p++) {
        sort_part(keys + p * part, other + p * part, part);
    }
    for (long width = part; width < total; width *= 2) {
        kernel_barrier();
        merge_share(from, to, width, pages.first * KEYS, pages.end * KEYS);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    kernel_barrier();
}

static void work(int me)
{
    struct share parts = kernel_share(PARTS, me), pages = kernel_share(total / KEYS, me);

    memset(other + parts.first * part, 0, (parts.end - parts.first) * part * sizeof(*other));
    for (int round = 0; round < rounds; round++) {
        for (long i = parts.first * part; i < parts.end * part; i++) {
            keys[i] = input(round, i);
        }
        if (round == 0) {
            kernel_region_begins(me);
        }
        sort(parts, pages);
    }
    kernel_region_ends(me);
}

int main(int argc, char **argv)
{
    uint64_t sum = 0, squares = 0;

    kernel_options(argc, argv);
    part = sizes[kernel.size].part;
    rounds = sizes[kernel.size].rounds;
    total = part * PARTS;
    keys = kernel_alloc(total * sizeof(*keys));
    other = kernel_alloc(total * sizeof(*other));
    kernel_run(work);
    for (long i = 0; i < total; i++) {
        uint64_t was = input(rounds - 1, i);
        CHECK(i == 0 || keys[i - 1] <= keys[i]);
        sum += was - keys[i];
        squares += was * was - keys[i] * keys[i];
    }
    CHECK(sum == 0 && squares == 0);
    printf("mergesort: %ld keys, median %016llx, all %016llx\n", total,
           (unsigned long long)keys[total / 2],
           (unsigned long long)kernel_hash(KERNEL_HASH, keys, total));
    return 0;
}
