/*
 * timerfd: armed by one thread, read by others; single and periodic, relative and absolute.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/timerfd.h>

#include "guest.h"

enum { THREADS = 4 };

static void *worker(void *arg)
{
    struct itimerspec spec = {.it_value = {.tv_nsec = 15000000}}, left;
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t ticks;

    CHECK(fd >= 0 && timerfd_settime(fd, 0, &spec, NULL) == 0);
    CHECK(read(fd, &ticks, 8) == 8 && ticks == 1);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 15000000);

    spec.it_interval = spec.it_value = (struct timespec){.tv_nsec = 5000000};
    start = guest_now_ns(CLOCK_MONOTONIC);
    CHECK(timerfd_settime(fd, 0, &spec, NULL) == 0);
    for (uint64_t sum = 0; sum < 5; sum += ticks) {
        CHECK(read(fd, &ticks, 8) == 8 && ticks >= 1);
    }
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 25000000);
    CHECK(timerfd_gettime(fd, &left) == 0 && left.it_interval.tv_nsec == 5000000);

    int64_t until = guest_now_ns(CLOCK_MONOTONIC) + 15000000;
    spec = (struct itimerspec){.it_value = {until / 1000000000, until % 1000000000}};
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
    CHECK(read(fd, &ticks, 8) == 8);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) >= until);
    CHECK(close(fd) == 0);
    return arg;
}

int main(void)
{
    guest_run(THREADS, worker);
    puts("timerfd: single, periodic and absolute");
    return 0;
}
