/*
 * The pager, the engine and the transport together, tortured by raw threads in several
 * processes. Run without arguments: all tests, as TAP. With the name of a test: that one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cluster.h"
#include "dqemu/node.h"
#include "dqemu/stats.h"

#define PAGE 4096u
#define WORDS (PAGE / sizeof(uint64_t))
#define RUN_MS 700 /* how long the tests that have no natural end go on */

static _Atomic uint64_t *word(uint64_t page, unsigned index)
{
    return (_Atomic uint64_t *)guest(page) + index;
}

static int everyone(void)
{
    return dq_node_count() * NODE_THREADS;
}

static int me(int index)
{
    return dq_node_self() * NODE_THREADS + index;
}

/* ---- two nodes see each other's writes */

static void hello(int node)
{
    if (node == 0) {
        *word(100, 7) = 42;
    }
    barrier();
    check(*word(100, 7) == 42);
    barrier();
    if (node == 1) {
        *word(100, 7) = 43;
    }
    barrier();
    check(*word(100, 7) == 43 && *word(101, 0) == 0);
    check(node == 0 || dq_stat_get(pages_in) > 0);
}

/* ---- atomic increments of shared counters lose nothing */

enum { COUNTERS = 16, COUNTER_PAGES = 4, TALLY_PAGE = 64 };

static void increment(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) + 1, done = 0;

    (void)arg;
    do {
        uint64_t r = rnd(&state);

        atomic_fetch_add(word(r % COUNTER_PAGES, (r >> 8) % COUNTERS), 1);
        done++;
    } while (!time_is_up(RUN_MS));
    *word(TALLY_PAGE, (unsigned)me(index)) = done;
}

static void counters(int node)
{
    uint64_t counted = 0, done = 0;

    (void)node;
    threads(NODE_THREADS, increment, NULL);
    barrier();
    for (unsigned p = 0; p < COUNTER_PAGES; p++) {
        for (unsigned i = 0; i < COUNTERS; i++) {
            counted += *word(p, i);
        }
    }
    for (int i = 0; i < everyone(); i++) {
        done += *word(TALLY_PAGE, (unsigned)i);
    }
    check(counted == done);
}

/* ---- seized pages: what is no atomic access is one, also towards those that are */

enum { SEIZED_AT = 21000 };

/* As the emulator's exclusive section, which nobody of the same node is beside. */
static pthread_rwlock_t exclusive = PTHREAD_RWLOCK_INITIALIZER;

static void seize_and_count(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) + 7, done = 0;

    (void)arg;
    while (!time_is_up(RUN_MS)) {
        uint64_t first = SEIZED_AT + rnd(&state) % 2;
        unsigned count = 1 + (unsigned)rnd(&state) % 2;

        if (index) { /* the others of the node, of which only one may seize */
            pthread_rwlock_rdlock(&exclusive);
            atomic_fetch_add(word(first, 4), 1);
            pthread_rwlock_unlock(&exclusive);
            done++;
            continue;
        }
        pthread_rwlock_wrlock(&exclusive);
        dq_pager_seize(first, count);
        for (uint64_t p = first; p < first + count; p++) {
            uint64_t was = *word(p, 4);
            *word(p, 4) = was + 1;
            done++;
        }
        dq_pager_yield(first, count);
        pthread_rwlock_unlock(&exclusive);
    }
    *word(TALLY_PAGE, (unsigned)me(index)) = done;
}

static void seizures(int node)
{
    uint64_t counted = 0, done = 0;

    (void)node;
    threads(NODE_THREADS, seize_and_count, NULL);
    barrier();
    for (uint64_t p = SEIZED_AT; p < SEIZED_AT + 3; p++) {
        counted += *word(p, 4);
    }
    for (int i = 0; i < everyone(); i++) {
        done += *word(TALLY_PAGE, (unsigned)i);
    }
    check(counted == done);
}

/* ---- words of one page, each written by one thread, keep their values */

static void own_word(int index, void *arg)
{
    uint64_t value = 0;
    unsigned at = (unsigned)me(index) * 3;

    (void)arg;
    while (!time_is_up(RUN_MS)) {
        for (int i = 0; i < 50; i++) {
            check(*word(7, at) == value);
            *word(7, at) = ++value;
        }
    }
}

static void false_sharing(int node)
{
    (void)node;
    threads(NODE_THREADS, own_word, NULL);
}

/* ---- a message written before its flag is there when the flag is */

enum { ROUNDS = 300, BOX = 200, FLAG = 300 };

/* A ring over all threads: thread i writes box i for thread i + 1. */
static void pass_on(int index, void *arg)
{
    int i = me(index), before = (i + everyone() - 1) % everyone();
    uint64_t state = (uint64_t)i;

    (void)arg;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        unsigned at = (unsigned)(rnd(&state) % (WORDS - 8));

        for (unsigned k = 1; k < 8; k++) {
            atomic_store_explicit(word(BOX + (uint64_t)i, at + k), round * 8 + k,
                                  memory_order_relaxed);
        }
        atomic_store_explicit(word(FLAG, (unsigned)i), round << 16 | at, memory_order_release);
        for (;;) {
            uint64_t flag =
                atomic_load_explicit(word(FLAG, (unsigned)before), memory_order_acquire);
            if (flag >> 16 >= round) {
                for (unsigned k = 1; k < 8; k++) {
                    uint64_t got = atomic_load_explicit(
                        word(BOX + (uint64_t)before, (unsigned)(flag & 0xffff) + k),
                        memory_order_relaxed);
                    check(got >= (flag >> 16) * 8 + k || flag >> 16 > round);
                }
                break;
            }
            sched_yield();
        }
        /* Nobody gets more than a round ahead of who reads its box. */
        atomic_store_explicit(word(FLAG + 1, (unsigned)i), round, memory_order_release);
        while (atomic_load_explicit(word(FLAG + 1, (unsigned)((i + 1) % everyone())),
                                    memory_order_acquire) < round) {
            sched_yield();
        }
    }
}

static void message_passing(int node)
{
    (void)node;
    threads(NODE_THREADS, pass_on, NULL);
}

/* ---- versions of pages never go back, and are never torn the wrong way */

enum { VERSIONED = 40, VERSIONED_AT = 1000 };

/* Words are written upwards and read downwards: an earlier word is never older than a later. */
static uint64_t read_version(uint64_t page)
{
    uint64_t last = 0;

    for (int i = WORDS - 1; i >= 0; i -= 73) {
        uint64_t v = *word(page, (unsigned)i);

        check(v >= last);
        last = v;
    }
    return last;
}

static void write_version(uint64_t page, uint64_t version)
{
    for (unsigned i = (WORDS - 1) % 73; i < WORDS; i += 73) {
        *word(page, i) = version;
    }
}

static void versions_thread(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) + 77, seen[VERSIONED] = {0}, mine = 0;

    (void)arg;
    while (!time_is_up(RUN_MS)) {
        uint64_t r = rnd(&state), i = r % VERSIONED;

        if (i % (uint64_t)everyone() == (uint64_t)me(index)) {
            seen[i] = ++mine;
            write_version(VERSIONED_AT + i, mine);
        } else {
            uint64_t v = read_version(VERSIONED_AT + i);

            check(v >= seen[i]);
            seen[i] = v;
        }
    }
}

static void versions(int node)
{
    (void)node;
    threads(NODE_THREADS, versions_thread, NULL);
}

/* ---- the same, while signals interrupt the threads that wait for pages */

static _Atomic bool pest_stop;
static pthread_t pested[NODE_THREADS];
static _Atomic int pest_ready;

static void on_signal(int sig)
{
    (void)sig;
}

static void *pest(void *arg)
{
    struct timespec pause = {0, 200000};

    while (!pest_stop) {
        for (int i = 0; i < NODE_THREADS; i++) {
            pthread_kill(pested[i], SIGUSR1);
        }
        nanosleep(&pause, NULL);
    }
    return arg;
}

static void pested_thread(int index, void *arg)
{
    pested[index] = pthread_self();
    pest_ready++;
    while (pest_ready < NODE_THREADS + 1) {
        sched_yield();
    }
    versions_thread(index, arg);
    pest_ready++;
    while (!pest_stop) {
        if (pest_ready == 2 * NODE_THREADS + 1) {
            pest_stop = true;
        }
        sched_yield();
    }
}

static void *pest_after_start(void *arg)
{
    while (pest_ready < NODE_THREADS) {
        sched_yield();
    }
    pest_ready++;
    return pest(arg);
}

static void signals(int node)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    (void)node;
    sigaction(SIGUSR1, &action, NULL);
    check(pthread_create(&thread, NULL, pest_after_start, NULL) == 0);
    threads(NODE_THREADS, pested_thread, NULL);
    /* The pest may be about to signal a thread that has ended but is not joined: threads()
     * joined them, so it must be gone first; pest_stop was set before they ended. */
    pthread_join(thread, NULL);
}

/* ---- a reset leaves zeroes everywhere, whoever held the pages */

enum { RESET_AT = 2000, RESET_PAGES = 600, RESET_ROUNDS = 12 };

static void touch_some(int index, void *arg)
{
    uint64_t state = *(uint64_t *)arg + (uint64_t)me(index);

    for (int i = 0; i < 120; i++) {
        uint64_t r = rnd(&state), page = RESET_AT + r % RESET_PAGES;

        if (r >> 32 & 1) {
            *word(page, (unsigned)(r >> 40) % WORDS) = r;
        } else {
            (void)*word(page, 0);
        }
    }
}

static void resets(int node)
{
    for (uint64_t round = 0; round < RESET_ROUNDS; round++) {
        uint64_t seed = round * 1000, from = RESET_AT + round % 3 * 100;

        threads(NODE_THREADS, touch_some, &seed);
        barrier();
        if (node == 0) {
            dq_pager_reset(from, RESET_PAGES / 2);
        }
        barrier();
        for (uint64_t p = from; p < from + RESET_PAGES / 2; p++) {
            if (p % (uint64_t)dq_node_count() == (uint64_t)node || round % 4 == 0) {
                for (unsigned i = 0; i < WORDS; i++) {
                    check(*word(p, i) == 0);
                }
            }
        }
        barrier();
    }
}

/* ---- pages of a file have its content when they are touched, whoever does it */

enum { FILE_AT = 16000, FILE_PAGES = 300, FILE_ROUNDS = 12, FILE_WORD = 300 };

/* A private mapping of a file of so many pages, and its words, writable. The master's. */
static uint64_t *make_file(size_t pages, const void **file)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    uint64_t *words;

    check(fd >= 0 && ftruncate(fd, (off_t)(pages * PAGE)) == 0);
    words = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *file = mmap(NULL, pages * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    check(words != MAP_FAILED && *file != MAP_FAILED);
    close(fd);
    return words;
}

static uint64_t in_file(uint64_t round, uint64_t page)
{
    return round % 3 == 2 ? 0 : round * 100000 + page; /* in each third round there is no file */
}

static void touch_file(int index, void *arg)
{
    uint64_t round = *(uint64_t *)arg, state = round * 1000 + (uint64_t)me(index);

    for (int i = 0; i < 120; i++) {
        uint64_t r = rnd(&state), page = FILE_AT + r % FILE_PAGES;

        if (r >> 32 & 1) {
            *word(page, (unsigned)me(index)) = r;
        }
        check(*word(page, FILE_WORD) == in_file(round, page));
    }
}

static void files(int node)
{
    const void *file = NULL;
    uint64_t *words = node == 0 ? make_file(FILE_PAGES, &file) : NULL;

    for (uint64_t round = 0; round < FILE_ROUNDS; round++) {
        for (uint64_t p = 0; node == 0 && p < FILE_PAGES; p++) {
            words[p * WORDS + FILE_WORD] = round * 100000 + FILE_AT + p;
        }
        if (node == 0 && round % 3 == 2) {
            dq_pager_reset(FILE_AT, FILE_PAGES);
        } else if (node == 0) {
            dq_pager_reset_file(FILE_AT, FILE_PAGES, file);
        }
        barrier();
        threads(NODE_THREADS, touch_file, &round);
        barrier();
        for (uint64_t p = FILE_AT; p < FILE_AT + FILE_PAGES; p++) {
            check(*word(p, FILE_WORD) == in_file(round, p) && *word(p, WORDS - 1) == 0);
        }
        barrier();
    }
}

/* ---- a reset of pages that are in use: afterwards all nodes see the same */

static const void *reset_file; /* the master's, that pages come from in every other round */

static void hammer(int index, void *arg)
{
    uint64_t round = 0;

    (void)arg;
    if (index == 0 && dq_node_self() == 0) {
        do { /* once at least: the file may have taken all of the time */
            uint64_t first = round % RESET_PAGES / 2, count = 1 + round % 7 * 40;

            if (round % 2) {
                dq_pager_reset(RESET_AT + first, count);
            } else {
                dq_pager_reset_file(RESET_AT + first, count,
                                    (const uint8_t *)reset_file + first * PAGE);
            }
            round++;
        } while (!time_is_up(RUN_MS));
        return;
    }
    while (!time_is_up(RUN_MS)) {
        touch_some(index, &round);
        round += 1000;
    }
}

enum { SUMS = 3000 };

static void resets_in_use(int node)
{
    uint64_t sum = 0;

    if (node == 0) {
        uint64_t *words = make_file(RESET_PAGES, &reset_file);

        for (uint64_t i = 0; i < RESET_PAGES * WORDS; i++) {
            words[i] = i;
        }
    }
    threads(NODE_THREADS, hammer, NULL);
    barrier();
    for (uint64_t p = RESET_AT; p < RESET_AT + RESET_PAGES; p++) {
        for (unsigned i = 0; i < WORDS; i++) {
            sum = sum * 31 + *word(p, i);
        }
    }
    *word(SUMS, (unsigned)node) = sum;
    barrier();
    check(*word(SUMS, 0) == sum);
}

/* ---- the kernel reads and writes pages that are elsewhere */

enum { IO_AT = 4000, IO_PAGES = 64 };

static void system_calls(int node)
{
    int fd = memfd_create("io", MFD_CLOEXEC);
    size_t size = (size_t)IO_PAGES * PAGE;
    uint8_t *bytes = malloc(size);

    check(fd >= 0 && bytes && ftruncate(fd, (off_t)size) == 0);
    for (int turn = 0; turn < 2 * dq_node_count(); turn++) {
        if (turn % dq_node_count() == node) {
            memset(bytes, 'a' + turn, size);
            check(pwrite(fd, bytes, size, 0) == (ssize_t)size);
            if (turn & 1) {
                dq_pager_want(IO_AT, IO_PAGES, true);
            }
            check(pread(fd, guest(IO_AT), size, 0) == (ssize_t)size);
        }
        barrier();
        check(pwrite(fd, guest(IO_AT), size, 0) == (ssize_t)size);
        check(pread(fd, bytes, size, 0) == (ssize_t)size);
        for (size_t i = 0; i < size; i++) {
            check(bytes[i] == 'a' + turn);
        }
        barrier();
    }
    free(bytes);
    close(fd);
}

/* ---- a fetched page is readable although its holder's guest has forbidden it */

static void forbidden(int node)
{
    if (node == 1) {
        *word(50, 1) = 11;
        guest_allow(50, 1, PROT_NONE);
    }
    barrier();
    if (node != 1) {
        check(*word(50, 1) == 11);
    }
    barrier();
    if (node == 0) {
        *word(50, 2) = 12;
    }
    barrier();
    if (node == 1) {
        guest_allow(50, 1, PROT_READ);
        check(*word(50, 1) == 11 && *word(50, 2) == 12);
    }
}

/* ---- a prefetch of many pages brings them all */

enum { MANY_AT = 8000, MANY = 3000 };

static void want_many(int node)
{
    for (uint64_t p = MANY_AT; p < MANY_AT + MANY; p++) {
        if (p % 3 == 0 && p % (uint64_t)dq_node_count() == (uint64_t)node) {
            *word(p, 0) = p;
        }
    }
    barrier();
    if (node == 0) {
        dq_pager_want(MANY_AT, MANY, false);
        uint64_t faults = dq_stat_get(faults_read);

        for (uint64_t p = MANY_AT; p < MANY_AT + MANY; p++) {
            check(*word(p, 0) == (p % 3 ? 0 : p));
        }
        check(dq_stat_get(faults_read) == faults);
    }
    barrier();
}

/* ---- a forked child has all memory as of the fork; the cluster goes on */

enum { FORK_AT = 12000, FORK_PAGES = 300, FORKS = 4 };

static void write_on(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) * 5, mine = 0;

    (void)arg;
    while (*word(FORK_AT - 1, 0) < FORKS) {
        write_version(VERSIONED_AT + (uint64_t)me(index), ++mine);
        (void)read_version(VERSIONED_AT + rnd(&state) % (uint64_t)everyone());
    }
}

static int child_checks(uint64_t round, const uint64_t *seen)
{
    dq_node_forked();
    dq_pager_want(0, 10, true);
    dq_code_hold(5, 1);
    dq_code_unhold();
    for (uint64_t p = FORK_AT; p < FORK_AT + FORK_PAGES; p++) {
        check(*word(p, 3) == (p + round) * 2);
        *word(p, 3) = 0; /* nobody else sees this */
    }
    for (int i = NODE_THREADS; i < everyone(); i++) {
        check(read_version(VERSIONED_AT + (uint64_t)i) >= seen[i]);
    }
    /* Where the node's descriptors are; the lower ones belong to the program. */
    for (int fd = 512; fd < 1024; fd++) {
        check(fcntl(fd, F_GETFD) < 0);
    }
    return 0;
}

static void fork_once(uint64_t round)
{
    uint64_t seen[MAX_CLUSTER * NODE_THREADS];
    int status;
    pid_t pid;

    for (int i = NODE_THREADS; i < everyone(); i++) {
        seen[i] = read_version(VERSIONED_AT + (uint64_t)i);
    }
    dq_pager_gather(0, DQ_ALL_PAGES);
    pid = fork();
    if (pid == 0) {
        _exit(child_checks(round, seen));
    }
    check(waitpid(pid, &status, 0) == pid && status == 0);
    dq_pager_thaw();
}

/* The other nodes change their pages of FORK_AT in between, and others all the time. */
static void forks_change(int index, void *arg)
{
    (void)arg;
    if (index == 0) {
        for (uint64_t round = 0; round < FORKS; round++) {
            while (*word(FORK_AT - 1, 0) < round) {
                sched_yield();
            }
            for (uint64_t p = FORK_AT; p < FORK_AT + FORK_PAGES; p++) {
                if (p % (uint64_t)(dq_node_count() - 1) + 1 == (uint64_t)dq_node_self()) {
                    *word(p, 3) = (p + round) * 2;
                }
            }
            atomic_fetch_add(word(FORK_AT - 1, 1), 1);
        }
    }
    write_on(index, arg);
}

static void forks(int node)
{
    if (node != 0) {
        threads(NODE_THREADS, forks_change, NULL);
        return;
    }
    for (uint64_t round = 0; round < FORKS; round++) {
        while (*word(FORK_AT - 1, 1) < (round + 1) * (uint64_t)(dq_node_count() - 1)) {
            sched_yield();
        }
        fork_once(round);
        *word(FORK_AT - 1, 0) = round + 1;
    }
}

/* ---- pages of code: no page goes while it is held, none changes while it is translated */

enum { CODE_AT = 20000, CODE_PAGES = 6 };

static _Atomic int code_held[CODE_PAGES];
static _Atomic uint64_t code_translated[CODE_PAGES]; /* the content that was translated, 0: none */
static _Atomic unsigned code_drops;

static void code_drop(uint64_t page)
{
    check(page >= CODE_AT && page < CODE_AT + CODE_PAGES);
    check(code_held[page - CODE_AT] == 0);
    code_translated[page - CODE_AT] = 0;
    code_drops++;
}

static void translate_page(uint64_t i)
{
    uint64_t now = *word(CODE_AT + i, 9) + 1, was = code_translated[i];

    check(was == 0 || was == now);
    code_translated[i] = now;
    check(*word(CODE_AT + i, 9) + 1 == now);
}

/* One page, or two for code that goes on behind the first. */
static void code_user(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) + 3;

    (void)arg;
    while (!time_is_up(RUN_MS)) {
        uint64_t first = rnd(&state) % CODE_PAGES;
        unsigned count = first + 1 < CODE_PAGES ? 1 + rnd(&state) % 2 : 1;

        dq_code_hold(CODE_AT + first, count);
        for (uint64_t i = first; i < first + count; i++) {
            code_held[i]++;
        }
        for (uint64_t i = first; i < first + count; i++) {
            translate_page(i);
        }
        for (uint64_t i = first; i < first + count; i++) {
            code_held[i]--;
        }
        dq_code_unhold();
        dq_code_unhold();
    }
}

static void code_writer(int index, void *arg)
{
    uint64_t state = (uint64_t)me(index) + 3;

    (void)arg;
    while (!time_is_up(RUN_MS)) {
        atomic_fetch_add(word(CODE_AT + rnd(&state) % CODE_PAGES, 9), 1);
    }
}

static void code(int node)
{
    cluster_drop_code = code_drop;
    threads(NODE_THREADS, node == 0 ? code_writer : code_user, NULL);
    check(node == 0 || code_drops > 0);
}

/* ---- engagement: what the master had before becomes everybody's */

enum { BEFORE_AT = 500, BEFORE = 3000 };

/* A thread of the master that is at work, on new pages, all the time. */
static void *early_thread(void *arg)
{
    for (uint64_t p = BEFORE_AT + 1; p < BEFORE_AT + BEFORE; p += 2) {
        *word(p, 1) = p;
    }
    return arg;
}

static void engagement(int node)
{
    uintptr_t base = guest_map();
    pthread_t early = 0;

    guest_allow(0, GUEST_PAGES, PROT_READ | PROT_WRITE);
    if (node == 0) {
        for (uint64_t p = BEFORE_AT; p < BEFORE_AT + BEFORE; p += 2) {
            *word(p, 1) = p;
        }
        check(pthread_create(&early, NULL, early_thread, NULL) == 0);
    }
    dq_pager_open(base);
    check(dq_pager_register(0, (uint64_t)GUEST_PAGES * PAGE) == 0);
    if (node == 0) {
        check(dq_pager_own(0, (uint64_t)GUEST_PAGES * PAGE) == 0);
        pthread_join(early, NULL);
    }
    barrier();
    for (uint64_t p = BEFORE_AT; p < BEFORE_AT + BEFORE; p++) {
        check(*word(p, 1) == p);
    }
    barrier();
    counters(node);
}

/* ---- a node without work uses no processor time */

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void idle(int node)
{
    struct timespec interval = {0, 500000000};
    double before;

    false_sharing(node);
    barrier();
    before = cpu_seconds();
    nanosleep(&interval, NULL);
    check(cpu_seconds() - before < 0.005);
}

/* ---- one node: nothing is opened, nothing traps, every call returns at once */

static void alone(int node)
{
    *word(3, 3) = 1;
    check(node == 0 && dq_node_count() == 1 && dq_pager_own(0, PAGE) == 0);
    dq_pager_want(0, 10, true);
    dq_code_hold(3, 1);
    dq_code_unhold();
    dq_pager_reset(3, 1);
    dq_pager_gather(0, DQ_ALL_PAGES);
    dq_pager_thaw();
    dq_node_work(NULL, NULL);
    check(*word(3, 3) == 1);
    for (int fd = 512; fd < 1024; fd++) {
        check(fcntl(fd, F_GETFD) < 0 || fd == 512);
    }
}

/* ---- faults of the run itself */

static void wait_for_ever(int node)
{
    (void)node;
    for (;;) {
        pause();
    }
}

static bool test_lost(void)
{
    struct cluster c;
    const char *said;
    bool good;
    int status[3];

    cluster_start(&c, 3, wait_for_ever, false);
    kill(c.pid[2], SIGKILL);
    said = cluster_error(&c, 0);
    good = strstr(said, "\"lost\"") && strstr(said, "\"node\":2,") && strstr(said, "connection");
    for (int n = 0; n < 3; n++) {
        waitpid(c.pid[n], &status[n], 0);
        close(c.control[n]);
    }
    return good && WEXITSTATUS(status[0]) == 125 && status[1] == 0;
}

static bool test_launcher_gone(void)
{
    struct cluster c;
    int status[2];

    cluster_start(&c, 2, wait_for_ever, false);
    for (int n = 0; n < 2; n++) {
        close(c.control[n]);
    }
    for (int n = 0; n < 2; n++) {
        waitpid(c.pid[n], &status[n], 0);
    }
    return WIFSIGNALED(status[0]) && WTERMSIG(status[0]) == SIGKILL;
}

/* ---- */

#define NO_HOLD "\"hold_us\":0"
#define LONG_RUNS "\"run_pages\":512"
#define SHORT_RUNS "\"run_pages\":1,\"hold_us\":1000"

static const struct test {
    const char *name;
    int nodes;
    void (*body)(int node);
    const char *options;
    bool bare;
    bool (*whole)(void); /* instead of the others */
} tests[] = {
    {.name = "hello", 2, hello},
    {.name = "counters", 3, counters},
    {.name = "counters without hold time", 3, counters, NO_HOLD},
    {.name = "seizures", 3, seizures},
    {.name = "seizures without hold time", 3, seizures, NO_HOLD},
    {.name = "false sharing", 3, false_sharing},
    {.name = "message passing", 3, message_passing},
    {.name = "versions", 4, versions},
    {.name = "versions without hold time", 4, versions, NO_HOLD},
    {.name = "signals", 2, signals},
    {.name = "resets", 3, resets},
    {.name = "resets, long runs", 3, resets, LONG_RUNS},
    {.name = "resets, short runs", 3, resets, SHORT_RUNS},
    {.name = "pages of files", 3, files},
    {.name = "pages of files, no hold time", 4, files, NO_HOLD},
    {.name = "pages of files, checked", 3, files, "\"check.pages\":1"},
    {.name = "resets of pages in use", 3, resets_in_use},
    {.name = "resets of pages in use, no hold time", 3, resets_in_use, NO_HOLD},
    {.name = "resets of pages in use, long runs", 3, resets_in_use, LONG_RUNS},
    {.name = "system calls", 3, system_calls},
    {.name = "forbidden", 3, forbidden},
    {.name = "want many", 3, want_many},
    {.name = "forks", 3, forks},
    {.name = "forks without hold time", 3, forks, NO_HOLD},
    {.name = "code", 3, code},
    {.name = "code without hold time", 3, code, NO_HOLD},
    {.name = "engagement", 3, engagement, .bare = true},
    {.name = "engagement, long runs", 3, engagement, LONG_RUNS, .bare = true},
    {.name = "idle", 2, idle},
    {.name = "alone", 1, alone},
    {.name = "a lost node", .whole = test_lost},
    {.name = "a lost launcher", .whole = test_launcher_gone},
};

static bool run(const struct test *t)
{
    struct cluster c;

    if (t->whole) {
        return t->whole();
    }
    cluster_options = t->options ? t->options : "";
    cluster_start(&c, t->nodes, t->body, t->bare);
    return cluster_end(&c);
}

int main(int argc, char **argv)
{
    unsigned count = sizeof(tests) / sizeof(*tests), ran = 0;
    bool all = true;

    for (unsigned i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0) {
            continue;
        }
        bool good = run(&tests[i]);

        all &= good;
        printf("%s %u - %s\n", good ? "ok" : "not ok", ++ran, tests[i].name);
        fflush(stdout);
    }
    printf("1..%u\n", ran);
    return all && ran ? 0 : 1;
}
