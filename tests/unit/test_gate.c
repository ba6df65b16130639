/*
 * Gates (dqemu/gate.h), opened before, while and after the waiter looks, lies down and sleeps;
 * and when a thread waits awake (dqemu/spin.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "dqemu/gate.h"

static uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Two threads that hand each other a turn. */
static struct dq_gate there, back;
static unsigned turns;

/* So that some gates are opened at once, some while their waiter looks, some when it sleeps. */
static void dawdle(unsigned i)
{
    for (volatile unsigned n = 0; n < i % 7 * (i % 5) * 500; n++) {
    }
}

static void *answer(void *arg)
{
    dq_awake_begin();
    for (unsigned i = 0; i < turns; i++) {
        dq_gate_wait(&there);
        there.word = DQ_GATE_CLOSED;
        dawdle(i);
        dq_gate_open(&back);
    }
    g_assert_true(dq_awake_end());
    return arg;
}

static void take_turns(unsigned spin_us, unsigned count)
{
    pthread_t other;

    dq_spin_init(spin_us);
    turns = count;
    there.word = back.word = DQ_GATE_CLOSED;
    dq_awake_begin();
    g_assert_cmpint(pthread_create(&other, NULL, answer, NULL), ==, 0);
    for (unsigned i = 0; i < turns; i++) {
        back.word = DQ_GATE_CLOSED;
        dawdle(i / 3);
        dq_gate_open(&there);
        dq_gate_wait(&back);
    }
    pthread_join(other, NULL);
    g_assert_true(dq_awake_end());
}

static void test_turns(void)
{
    take_turns(0, 20000);
    take_turns(5, 20000);
    take_turns(1000, 20000);
}

/* A waiter that gives up (a signal) while the opener comes: the gate opens once all the same. */
static void *open_there(void *arg)
{
    dawdle(GPOINTER_TO_UINT(arg));
    dq_gate_open(&there);
    return NULL;
}

static void test_get_up(void)
{
    for (unsigned i = 0; i < 300; i++) {
        pthread_t other;
        bool counted;

        there.word = DQ_GATE_CLOSED;
        dq_awake_begin();
        g_assert_cmpint(pthread_create(&other, NULL, open_there, GUINT_TO_POINTER(i)), ==, 0);
        do {
            counted = dq_awake_end();
            g_assert_true(counted);
            uint32_t asleep = dq_gate_lie_down(&there, counted);
            if (asleep) {
                dq_gate_get_up(&there, asleep);
            } else {
                dq_awake_begin();
            }
        } while (!dq_gate_is_open(&there));
        pthread_join(other, NULL);
        g_assert_true(dq_awake_end());
    }
}

/* When a thread waits awake at all: each case in a new thread, since threads learn. */
enum { SPIN_US = 2000 };

/* Has it waited awake for the word, in vain? Time that others take the processor does not count. */
static bool waits_awake(const int *stop)
{
    uint32_t never = 0;
    uint64_t start = thread_ns();

    g_assert_false(dq_spin(&never, stop, DQ_SPIN_MAIL));
    return thread_ns() - start > SPIN_US * 1000u / 20;
}

static void *wait_once(void *stop)
{
    return GINT_TO_POINTER(waits_awake(stop));
}

/* How many of ten threads. Some may be preempted, and stop then. */
static int wait_in_threads(int *stop)
{
    int count = 0;

    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *awake;

        g_assert_cmpint(pthread_create(&thread, NULL, wait_once, stop), ==, 0);
        pthread_join(thread, &awake);
        count += GPOINTER_TO_INT(awake);
    }
    return count;
}

static void *wait_often(void *arg)
{
    int count = 0;

    (void)arg;
    for (int i = 0; i < 100; i++) {
        count += waits_awake(NULL);
    }
    return GINT_TO_POINTER(count);
}

static void test_learning(void)
{
    pthread_t thread;
    void *count;

    dq_spin_init(SPIN_US);
    g_assert_cmpint(pthread_create(&thread, NULL, wait_often, NULL), ==, 0);
    pthread_join(thread, &count);
    g_assert_cmpint(GPOINTER_TO_INT(count), <, 10);
}

static void test_room(void)
{
    cpu_set_t all, one;
    int stop = 1;

    g_assert_cmpint(sched_getaffinity(0, sizeof(all), &all), ==, 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    g_assert_cmpint(sched_setaffinity(0, sizeof(one), &one), ==, 0);
    dq_spin_init(SPIN_US);
    g_assert_cmpint(wait_in_threads(NULL), ==, 0);

    g_assert_cmpint(sched_setaffinity(0, sizeof(all), &all), ==, 0);
    if (CPU_COUNT(&all) == 1) {
        g_test_skip("one processor");
        return;
    }
    dq_spin_init(SPIN_US);
    for (int tries = 0; wait_in_threads(NULL) == 0; tries++) {
        g_assert_cmpint(tries, <, 20);
    }
    g_assert_cmpint(wait_in_threads(&stop), ==, 0);
    dq_spin_init(0);
    g_assert_cmpint(wait_in_threads(NULL), ==, 0);

    /* as many run as leave one for the loop */
    dq_spin_init(SPIN_US);
    for (int i = 1; i < CPU_COUNT(&all); i++) {
        dq_awake_begin_other();
    }
    g_assert_cmpint(wait_in_threads(NULL), ==, 0);
    for (int i = 1; i < CPU_COUNT(&all); i++) {
        dq_awake_was_begun();
        g_assert_true(dq_awake_end());
        g_assert_false(dq_awake_end());
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(60);
    g_test_add_func("/gate/turns", test_turns);
    g_test_add_func("/gate/get-up", test_get_up);
    g_test_add_func("/spin/learning", test_learning);
    g_test_add_func("/spin/room", test_room);
    return g_test_run();
}
