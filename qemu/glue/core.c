/*
 * Core files: threads that run elsewhere stand in them with their own registers.
 *
 * QEMU writes the file from the CPU objects of this process. Those of proxies have the registers of the
 * moment when the thread was made, or told them last. So the slaves are asked. Each stops its threads as
 * QEMU has stopped those of the master by then, in its exclusive section, and never lets them go on:
 * what the file shows of memory is of that moment, too. Threads that wait there, in a system call or
 * for a page, are where they wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/rcu_queue.h"
#include "dqemu/runtime.h"
#include "dqemu/split.h"
#include "master/map.h"
#include "split.h"

/* ---------------------------------------------------------------- on a slave */

static void tell_state(CPUArchState *env, const struct dq_thread *t)
{
    struct dq_msg_thread m = {.tid = t->remote.tid};
    g_autoptr(GByteArray) state = g_byte_array_new();

    dq_state_pack(env, state);
    dq_node_send2(0, DQ_MSG_STATE, &m, sizeof(m), state->data, state->len);
}

static void *stop_and_tell(void *arg)
{
    struct dq_msg_thread no_more = {0};

    current_cpu = env_cpu(dq_template_env()); /* the exclusive section asks for it */
    start_exclusive();
    dq_thread_each(tell_state);
    dq_node_send(0, DQ_MSG_STATE, &no_more, sizeof(no_more));
    for (;;) { /* nor does the section end */
        pause();
    }
    return NULL;
}

/*
 * Neither the loop nor the worker may wait for threads, which may wait for pages: of this node, or of
 * another one that is stopping, too.
 */
void dq_core_stop(void)
{
    int err = dq_worker_thread(stop_and_tell, "dqemu-core");

    if (err) {
        struct dq_msg_thread no_more = {0};

        dq_node_send(0, DQ_MSG_STATE, &no_more, sizeof(no_more)); /* it can be written without */
    }
}

/* ---------------------------------------------------------------- on the master */

/* A node whose threads do not stop shall not keep the program from ending. */
#define MOST_SECONDS 10

struct state {
    int node;
    GByteArray *bytes;
};

/* Guards what follows. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_told = PTHREAD_COND_INITIALIZER;
static GHashTable *states; /* tid -> struct state; NULL: nobody has asked */
static int awaited;        /* nodes */

int dq_core_message(int from, const struct dq_msg_thread *m, size_t length)
{
    int err = 0;

    pthread_mutex_lock(&lock);
    if (!states) {
        err = -EPROTO;
    } else if (m->tid == 0) {
        if (--awaited == 0) {
            pthread_cond_signal(&all_told);
        }
    } else {
        struct state *s = g_new0(struct state, 1);

        s->node = from;
        s->bytes = g_byte_array_new();
        g_byte_array_append(s->bytes, (const guint8 *)(m + 1), length - sizeof(*m));
        g_hash_table_insert(states, GUINT_TO_POINTER(m->tid), s);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

static void ask(void)
{
    struct dq_msg_cookie m = {0};

    pthread_mutex_lock(&lock);
    states = g_hash_table_new(NULL, NULL);
    awaited = dq_config.nodes - 1;
    pthread_mutex_unlock(&lock);
    for (int n = 1; n < dq_config.nodes; n++) {
        dq_node_send(n, DQ_MSG_STATES_ASK, &m, sizeof(m));
    }
}

/* With the lock. */
static void await(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MOST_SECONDS;
    while (awaited && !pthread_cond_clockwait(&all_told, &lock, CLOCK_MONOTONIC, &until)) {
    }
}

/* With both locks. A thread that is on its way, here or there, has no state or another node's. */
static void take_over(CPUState *cpu)
{
    TaskState *ts = cpu->opaque;
    const struct dq_thread *t = ts ? ts->dq : NULL;
    const struct state *s =
        t && t->is_proxy ? g_hash_table_lookup(states, GUINT_TO_POINTER(t->proxy.tid)) : NULL;

    if (s && s->node == t->node && dq_state_unpack(cpu_env(cpu), s->bytes->data, s->bytes->len)) {
        dq_control_error(
            125, "node %d sent a malformed thread; install the same dqemu on every node", s->node);
        _exit(125);
    }
}

static void collect_states(void)
{
    CPUState *cpu;

    ask();
    pthread_mutex_lock(&lock);
    await();
    cpu_list_lock();
    CPU_FOREACH(cpu)
    {
        take_over(cpu);
    }
    cpu_list_unlock();
    pthread_mutex_unlock(&lock);
}

/*
 * The process is about to die: the turn is not given back. Debuggers take the first thread in the file
 * for the one that has ended it, and the signal from there.
 */
void dq_core_dump(void)
{
    cpu_list_lock();
    QTAILQ_REMOVE_RCU(&cpus_queue, thread_cpu, node);
    QTAILQ_INSERT_HEAD_RCU(&cpus_queue, thread_cpu, node);
    cpu_list_unlock();
    if (dq_config.nodes > 1 && dq_engaged && !dq_on_slave()) {
        dq_map_begin();
        dq_split_exclude(0, DQ_ALL_PAGES);
        collect_states(); /* joining pages needs threads that go on */
    }
}
