/*
 * Parallel merge sort: threads sort their parts in place, then pairs are merged by fewer and fewer
 * threads, so that all data moves between the nodes several times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { PARTS = 8, LENGTH = 8192, TOTAL = PARTS * LENGTH };

static OWN_PAGE uint32_t data[TOTAL];
static OWN_PAGE uint32_t other[TOTAL];
static int width;
static uint32_t *from = data, *to = other;

static int compare(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

    return (a > b) - (a < b);
}

static void *sort_part(void *arg)
{
    qsort(data + (intptr_t)arg * LENGTH, LENGTH, sizeof(data[0]), compare);
    return NULL;
}

static void *merge_parts(void *arg)
{
    size_t start = (intptr_t)arg * 2 * width;
    size_t a = start, mid = start + width, b = mid, end = mid + width;

    for (size_t i = start; i < end; i++) {
        to[i] = b == end || (a < mid && from[a] <= from[b]) ? from[a++] : from[b++];
    }
    return NULL;
}

int main(void)
{
    uint64_t random = 42, before = 0, after = 0;

    for (int i = 0; i < TOTAL; i++) {
        data[i] = guest_random(&random);
        before += data[i];
    }
    guest_run(PARTS, sort_part);
    for (width = LENGTH; width < TOTAL; width *= 2) {
        guest_run(TOTAL / width / 2, merge_parts);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (int i = 0; i < TOTAL; i++) {
        CHECK(i == 0 || from[i - 1] <= from[i]);
        after += from[i];
    }
    CHECK(before == after);
    printf("sort_merge: %u %u %u\n", from[0], from[TOTAL / 2], from[TOTAL - 1]);
    return 0;
}
