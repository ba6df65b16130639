/*
 * A tree that several threads build together, over and over: each brings leaves of its own, takes out
 * leaves that others have put in, subdivides them, moves their children below other boxes, and puts
 * them back. Every pointer is written under one lock, so that no two threads can disagree on the tree.
 * Boxes have stamps that grow with each change; whoever has the lock checks those of all boxes that it
 * passes, and each thread checks all of them, parents, counts, and the sum of all leaves, between the
 * phases, which are kept apart by a mutex and a condition variable. Then the boxes are counted from
 * the leaves up, each thread its own, by condition variables in the boxes: a box with a wrong parent
 * would leave somebody waiting for good.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=60 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 6, ITEMS = 48, BOXES = 700, FULL = 6, ARITY = 4, LEVELS = 20 };

/* Neighbours share pages: what one thread counts lies beside what others link. */
struct box {
    uint32_t stamp; /* changes of any pointer of the box */
    bool is_parent, in_tree;
    int owner, slot, items, children, counted;
    struct box *parent, *child[ARITY];
    uint32_t item[FULL];
    pthread_cond_t all_counted;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the tree and all its boxes */
static struct box boxes[THREADS][BOXES];
static int used[THREADS];
static struct box *root;
static uint32_t stamps_of[THREADS][BOXES]; /* as they were after the last change of each box */
static uint64_t merges, moves;

static pthread_mutex_t phase_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t phase_over = PTHREAD_COND_INITIALIZER;
static int arrived, phase;

static void end_phase(void)
{
    CHECK(pthread_mutex_lock(&phase_lock) == 0);
    int now = phase;
    if (++arrived == THREADS) {
        arrived = 0;
        phase++;
        CHECK(pthread_cond_broadcast(&phase_over) == 0);
    }
    while (phase == now) {
        CHECK(pthread_cond_wait(&phase_over, &phase_lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&phase_lock) == 0);
}

/* ---- boxes, with the lock */

static uint32_t *stamp_of(const struct box *b)
{
    return &stamps_of[b->owner][b - boxes[b->owner]];
}

static void check_stamp(const struct box *b)
{
    CHECK(b->stamp == *stamp_of(b));
}

static void changed(struct box *b)
{
    check_stamp(b);
    b->stamp++;
    ++*stamp_of(b);
}

static struct box *make_box(int me)
{
    CHECK(used[me] < BOXES);
    struct box *b = &boxes[me][used[me]++];
    uint32_t stamp = b->stamp;

    *b = (struct box){.stamp = stamp, .owner = me};
    CHECK(pthread_cond_init(&b->all_counted, NULL) == 0);
    changed(b);
    return b;
}

/* Which child an item belongs to, by two of its bits. */
static int slot_of(uint32_t item, int level)
{
    CHECK(level < LEVELS);
    return item * 2654435761u >> (30 - level % 15 * 2) & (ARITY - 1);
}

static void put_in(struct box *b, struct box *parent, int slot)
{
    CHECK(!b->in_tree && !parent->child[slot]);
    parent->child[slot] = b;
    parent->children++;
    b->parent = parent;
    b->slot = slot;
    b->in_tree = true;
    changed(parent);
    changed(b);
}

static void take_out(struct box *b)
{
    struct box *parent = b->parent;

    CHECK(b->in_tree && parent && parent->child[b->slot] == b);
    parent->child[b->slot] = NULL;
    parent->children--;
    b->parent = NULL;
    b->in_tree = false;
    changed(parent);
    changed(b);
}

static void insert(int me, struct box *b, uint32_t item, int level);

/* A leaf that is full becomes a parent; its items go to leaves below it. */
static void subdivide(int me, struct box *b, int level)
{
    b->is_parent = true;
    changed(b);
    for (int i = 0; i < FULL; i++) {
        insert(me, b, b->item[i], level);
    }
    b->items = 0;
}

static void insert(int me, struct box *b, uint32_t item, int level)
{
    while (b->is_parent) {
        int slot = slot_of(item, level++);

        check_stamp(b);
        if (!b->child[slot]) {
            put_in(make_box(me), b, slot);
        }
        CHECK(b->child[slot]->parent == b && b->child[slot]->slot == slot);
        b = b->child[slot];
    }
    if (b->items == FULL) {
        subdivide(me, b, level);
        insert(me, b, item, level);
        return;
    }
    b->item[b->items++] = item;
    changed(b);
}

/* ---- merging: the steps between which the lock is free are those at which others come between */

/* Move what hangs below `from`, which is not in the tree, below `to`, which is. */
static void move_children(int me, struct box *from, struct box *to, int level)
{
    for (int slot = 0; slot < ARITY; slot++) {
        struct box *b = from->child[slot], *there = to->child[slot];

        if (!b) {
            continue;
        }
        take_out(b);
        if (!there) {
            put_in(b, to, slot);
            moves++;
        } else if (b->is_parent && there->is_parent) {
            move_children(me, b, there, level + 1);
        } else if (b->is_parent) {
            take_out(there);
            put_in(b, to, slot);
            for (int i = 0; i < there->items; i++) {
                insert(me, b, there->item[i], level + 1);
            }
        } else {
            for (int i = 0; i < b->items; i++) {
                insert(me, there, b->item[i], level + 1);
            }
        }
    }
}

/* Take a leaf of the root out, let others run, and put it back, merged with what came meanwhile. */
static void swap_leaf(int me, int slot)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    struct box *b = root->child[slot];
    if (b) {
        take_out(b);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
    if (!b) {
        return;
    }
    sched_yield();
    CHECK(pthread_mutex_lock(&lock) == 0);
    check_stamp(b);
    if (!root->child[slot]) {
        put_in(b, root, slot);
    } else {
        struct box *holder = make_box(me);

        holder->is_parent = true;
        put_in(b, holder, slot);
        move_children(me, holder, root, 0);
    }
    merges++;
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

static void build(int me, int round)
{
    uint64_t seed = round * THREADS + me + 1;

    for (int i = 0; i < ITEMS; i++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        insert(me, root, (uint32_t)(me * ITEMS + i + 1), 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
        if (i % 4 == 0) {
            swap_leaf(me, guest_random(&seed) % ARITY);
        }
    }
}

/* ---- between the phases: nobody writes */

static uint64_t check_tree(const struct box *b)
{
    uint64_t sum = 0;
    int children = 0;

    check_stamp(b);
    CHECK(b->in_tree);
    for (int slot = 0; slot < ARITY; slot++) {
        if (b->child[slot]) {
            CHECK(b->child[slot]->parent == b && b->child[slot]->slot == slot);
            sum += check_tree(b->child[slot]);
            children++;
        }
    }
    CHECK(children == b->children && (b->is_parent ? !b->items : !children));
    for (int i = 0; i < b->items; i++) {
        sum += b->item[i];
    }
    return sum;
}

/* ---- counting from the leaves up */

/* The boxes of this thread at one depth, or deeper. */
static void count_box(struct box *b)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    while (b->counted < b->children) {
        CHECK(pthread_cond_wait(&b->all_counted, &lock) == 0);
    }
    CHECK(b->counted == b->children);
    if (b->parent) {
        b->parent->counted++;
        CHECK(pthread_cond_broadcast(&b->parent->all_counted) == 0);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

/* Children first, so that no thread waits for a box of its own. */
static void count_own(int me, struct box *b)
{
    for (int slot = 0; slot < ARITY; slot++) {
        if (b->child[slot]) {
            count_own(me, b->child[slot]);
        }
    }
    if (b->owner == me) {
        count_box(b);
    }
}

static void new_root(void)
{
    memset(used, 0, sizeof(used));
    root = make_box(0);
    root->is_parent = root->in_tree = true;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    const uint64_t all = (uint64_t)THREADS * ITEMS * (THREADS * ITEMS + 1) / 2;

    for (int round = 0; round < ROUNDS; round++) {
        if (me == round % THREADS) {
            new_root();
        }
        end_phase();
        build(me, round);
        end_phase();
        CHECK(check_tree(root) == all);
        count_own(me, root);
        end_phase();
        CHECK(root->counted == root->children);
        end_phase();
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    CHECK(merges > 0);
    printf("tree_merge: %d rounds, %d items\n", ROUNDS, THREADS * ITEMS);
    return 0;
}
