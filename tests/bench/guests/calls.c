/*
 * System calls with small arguments, by threads of nodes 1 and 2, which the master executes: a round
 * between the two, or a call of the first.
 *
 *   calls sigqueue|socket|poll|sleep|fstat COUNT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { SIG = 40 };

static int count, file;
static OWN_PAGE int ends[2];
static OWN_PAGE pthread_t threads[2];

/* ---- one half of a round; `arrives` is what the other's half makes happen */

static void signal_other(int me)
{
    CHECK(pthread_sigqueue(threads[!me], SIG, (union sigval){.sival_int = 7}) == 0);
}

static void signal_arrives(int me)
{
    sigset_t set;
    siginfo_t info;

    (void)me;
    sigemptyset(&set);
    sigaddset(&set, SIG);
    CHECK(sigwaitinfo(&set, &info) == SIG && info.si_value.sival_int == 7);
}

static void send_bytes(int me)
{
    char bytes[64] = {1};

    CHECK(send(ends[me], bytes, sizeof(bytes), 0) == sizeof(bytes));
}

static void bytes_arrive(int me)
{
    char bytes[64];

    CHECK(recv(ends[me], bytes, sizeof(bytes), 0) == sizeof(bytes));
}

static void polled_bytes_arrive(int me)
{
    struct pollfd p = {.fd = ends[me], .events = POLLIN};

    CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
    bytes_arrive(me);
}

/* ---- calls of one thread */

static void sleep_shortly(int me)
{
    struct timespec t = {.tv_nsec = 1000};

    (void)me;
    CHECK(nanosleep(&t, NULL) == 0);
}

static void ask_file(int me)
{
    struct stat st;

    (void)me;
    CHECK(fstat(file, &st) == 0 && S_ISREG(st.st_mode));
}

static const struct kind {
    const char *name;
    void (*call)(int me);
    void (*arrives)(int me); /* NULL: one thread alone */
} kinds[] = {
    {"sigqueue", signal_other, signal_arrives},
    {"socket", send_bytes, bytes_arrive},
    {"poll", send_bytes, polled_bytes_arrive},
    {"sleep", sleep_shortly, NULL},
    {"fstat", ask_file, NULL},
};
static const struct kind *kind;

static void *caller(void *arg)
{
    int me = (int)(intptr_t)arg;
    int64_t *ns = calloc(count, sizeof(*ns));

    CHECK(ns);
    for (int i = 0; i < count && (me == 0 || kind->arrives); i++) {
        int64_t start = bench_now();

        if (me) {
            kind->arrives(me);
        }
        kind->call(me);
        if (!me && kind->arrives) {
            kind->arrives(me);
        }
        ns[i] = bench_now() - start;
    }
    if (!me) {
        bench_say_samples("call", ns, count);
        bench_say_clock();
    }
    free(ns);
    return NULL;
}

int main(int argc, char **argv)
{
    sigset_t set;

    CHECK(argc == 3);
    count = bench_arg(argv, 2);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = strcmp(argv[1], kinds[i].name) == 0 ? &kinds[i] : kind;
    }
    CHECK(kind);
    file = guest_tmpfile();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIG);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    bench_start(threads, 2, caller);
    guest_join(threads, 2);
    return 0;
}
