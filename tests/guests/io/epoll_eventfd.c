/*
 * A server's event loop spread over threads: workers wait on one epoll for eventfds, each event is
 * taken by one worker (one-shot, edge-triggered), and counters and semaphores of eventfd hold.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum { WORKERS = 6, SOURCES = 10, EVENTS = 20 };

static int ep, sources[SOURCES], stop;
static atomic_int handled[SOURCES];
static sem_t progress;

static void *worker(void *arg)
{
    struct epoll_event event;

    for (;;) {
        int n = epoll_wait(ep, &event, 1, -1);
        CHECK(n == 1 && (event.events & EPOLLIN));
        if (event.data.u32 == SOURCES) {
            return arg;
        }
        uint64_t value;
        int s = event.data.u32;
        CHECK(read(sources[s], &value, 8) == 8 && value == (uint64_t)s + 1);
        atomic_fetch_add(&handled[s], 1);
        event = (struct epoll_event){.events = EPOLLIN | EPOLLET | EPOLLONESHOT, .data.u32 = s};
        CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, sources[s], &event) == 0);
        CHECK(sem_post(&progress) == 0);
    }
}

static void *semaphore_like(void *arg)
{
    uint64_t value;
    int fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);

    CHECK(fd >= 0);
    for (int i = 0; i < 3; i++) {
        CHECK(read(fd, &value, 8) == 8 && value == 1);
    }
    CHECK(read(fd, &value, 8) == -1 && errno == EAGAIN);
    CHECK(epoll_wait(ep, &(struct epoll_event){0}, 1, 0) == 0);
    CHECK(close(fd) == 0);
    return arg;
}

int main(void)
{
    pthread_t threads[WORKERS];

    ep = epoll_create1(EPOLL_CLOEXEC);
    CHECK(ep >= 0 && sem_init(&progress, 0, 0) == 0);
    for (uint32_t s = 0; s < SOURCES; s++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET | EPOLLONESHOT, .data.u32 = s};
        sources[s] = eventfd(0, EFD_NONBLOCK);
        CHECK(sources[s] >= 0);
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, sources[s], &event) == 0);
    }
    guest_elsewhere(semaphore_like, NULL);

    guest_start(threads, WORKERS, worker);
    for (int e = 0; e < EVENTS; e++) {
        for (int s = 0; s < SOURCES; s++) {
            uint64_t value = s + 1;
            CHECK(write(sources[s], &value, 8) == 8);
        }
        for (int s = 0; s < SOURCES; s++) {
            guest_sem_wait(&progress);
        }
    }
    /* Level-triggered and never read: every worker sees it. */
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SOURCES};
    stop = eventfd(1, 0);
    CHECK(stop >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, stop, &event) == 0);
    guest_join(threads, WORKERS);
    for (int s = 0; s < SOURCES; s++) {
        CHECK(handled[s] == EVENTS);
    }
    printf("epoll_eventfd: %d events\n", SOURCES * EVENTS);
    return 0;
}
