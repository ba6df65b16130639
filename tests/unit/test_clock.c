/*
 * Clocks that follow another machine's, over simulated networks: the error stays below the round
 * trip, the clock never goes back, and no message arrives before it was sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/clock.h"

#define US 1000
#define MS 1000000
#define SECOND 1000000000

enum { MOST_SLAVES = 3, BURST = 8 };

/* A way: what a message takes at least, and more: mostly little. Some take much longer. */
struct way {
    int64_t least, more, much_more;
    double late; /* how many */
};

/* The true time is the master's clock. A slave's own runs at another rate, from another origin. */
struct slave {
    struct way up, down;
    double drift;     /* its rate is 1 + drift */
    int64_t origin;   /* its own time ... */
    int64_t since;    /* ... at this true time */
    int64_t next;     /* the next question, true time */
    unsigned samples; /* since the burst */
    int64_t shown;    /* the latest reading */
    struct dq_clock clock;
};

struct world {
    GRand *random;
    int64_t now; /* true time */
    int count;
    struct slave slaves[MOST_SLAVES];
};

static int64_t travel(struct world *w, const struct way *way)
{
    double u = g_rand_double(w->random);
    int64_t d = way->least + (int64_t)((double)way->more * 5 * u * u * u * u);

    if (g_rand_double(w->random) < way->late) {
        d += (int64_t)((double)way->much_more * g_rand_double(w->random));
    }
    return d;
}

static int64_t own_time(const struct slave *s, int64_t now)
{
    return s->origin + (now - s->since) + (int64_t)((double)(now - s->since) * s->drift);
}

static void change_drift(struct world *w, struct slave *s, double drift)
{
    s->origin = own_time(s, w->now);
    s->since = w->now;
    s->drift = drift;
}

/* One question and its answer; returns the true time at which it has come. */
static int64_t ask(struct world *w, struct slave *s, int64_t at)
{
    int64_t received = at + travel(w, &s->up),
            answered = received + g_rand_int_range(w->random, 50, 900);
    int64_t heard = answered + travel(w, &s->down);
    struct dq_clock_sample sample = {own_time(s, at), received, answered, own_time(s, heard)};

    g_assert_true(dq_clock_add(&s->clock, &sample));
    return heard;
}

static int64_t shows(const struct slave *s, int64_t now)
{
    return dq_clock_read(&s->clock.line, own_time(s, now));
}

/* As clocks.c does: a burst, then with pauses. */
static void begin(struct world *w, struct slave *s)
{
    for (int i = 0; i < BURST; i++) {
        w->now = ask(w, s, w->now);
    }
    dq_clock_steer(&s->clock, own_time(s, w->now), 0);
    s->next = w->now + dq_clock_pause(s->samples++);
    s->shown = shows(s, w->now);
}

static void go_on(struct world *w, struct slave *s)
{
    if (w->now >= s->next) {
        /* the answer comes while others read the clock: it counts when they have */
        int64_t heard = ask(w, s, s->next);

        w->now = MAX(w->now, heard);
        dq_clock_steer(&s->clock, own_time(s, w->now), 0);
        s->next = w->now + dq_clock_pause(s->samples++);
    }
}

static void world_init(struct world *w, int count, uint32_t seed)
{
    *w = (struct world){
        .random = g_rand_new_with_seed(seed), .now = 5000 * (int64_t)SECOND, .count = count};
    for (int i = 0; i < count; i++) {
        struct slave *s = &w->slaves[i];

        s->up = s->down = (struct way){.least = 40 * US, .more = 10 * US};
        s->origin =
            (int64_t)g_rand_int(w->random) * (int64_t)g_rand_int_range(w->random, 1, 1000000);
        s->since = w->now;
        dq_clock_init(&s->clock);
    }
}

/* What the error may be: ahead by less than a question's least, behind by less than an answer's. */
static void check_error(struct world *w, struct slave *s, int64_t ahead, int64_t behind)
{
    int64_t shown = shows(s, w->now);

    g_assert_cmpint(shown, >=, s->shown);
    g_assert_cmpint(shown - w->now, <, ahead);
    g_assert_cmpint(w->now - shown, <, behind);
    s->shown = shown;
}

static void run(struct world *w, int seconds, int64_t ahead, int64_t behind)
{
    for (int64_t end = w->now + (int64_t)seconds * SECOND; w->now < end; w->now += 500 * US) {
        go_on(w, &w->slaves[0]);
        check_error(w, &w->slaves[0], ahead, behind);
    }
}

static const double drifts[] = {0, 1e-6, -20e-6, 50e-6, -100e-6, 100e-6};

static void test_symmetric(void)
{
    for (unsigned i = 0; i < 6 * G_N_ELEMENTS(drifts); i++) {
        struct world w;

        world_init(&w, 1, i);
        w.slaves[0].drift = drifts[i % G_N_ELEMENTS(drifts)];
        begin(&w, &w.slaves[0]);
        run(&w, 40, 40 * US, 40 * US);
        run(&w, 20, 20 * US, 20 * US); /* the rates are known by now */
        g_rand_free(w.random);
    }
}

/* Half of what the ways differ by is beyond anybody's knowledge; and it does no harm. */
static void test_asymmetric(void)
{
    for (unsigned i = 0; i < 6 * G_N_ELEMENTS(drifts); i++) {
        struct world w;
        bool up = i & 1;

        world_init(&w, 1, i);
        w.slaves[0].drift = drifts[i % G_N_ELEMENTS(drifts)];
        *(up ? &w.slaves[0].up : &w.slaves[0].down) =
            (struct way){.least = 400 * US, .more = 20 * US};
        begin(&w, &w.slaves[0]);
        run(&w, 60, up ? 300 * US : 40 * US, up ? 40 * US : 300 * US);
        g_rand_free(w.random);
    }
}

/* Most messages are late, by up to 20 ms, all the time. */
static void test_jitter(void)
{
    for (unsigned i = 0; i < 30; i++) {
        struct world w;

        world_init(&w, 1, i);
        w.slaves[0].drift = drifts[i % 4];
        w.slaves[0].up = w.slaves[0].down =
            (struct way){.least = 100 * US, .more = 50 * US, .late = 0.6, .much_more = 20 * MS};
        begin(&w, &w.slaves[0]);
        run(&w, 60, 5 * MS, 5 * MS);
        g_rand_free(w.random);
    }
}

/* A clock begins to be disciplined, and ends to be. */
static void test_drift_changes(void)
{
    for (unsigned i = 0; i < 20; i++) {
        struct world w;

        world_init(&w, 1, i);
        begin(&w, &w.slaves[0]);
        run(&w, 40, 40 * US, 40 * US);
        change_drift(&w, &w.slaves[0], i & 1 ? 80e-6 : -80e-6);
        run(&w, 5, 300 * US, 300 * US);
        run(&w, 40, 100 * US, 100 * US);
        run(&w, 20, 40 * US, 40 * US);
        change_drift(&w, &w.slaves[0], 0);
        run(&w, 5, 300 * US, 300 * US);
        run(&w, 40, 100 * US, 100 * US);
        g_rand_free(w.random);
    }
}

/* Under a constant drift the true offset is within the bounds, whatever the network does. */
static void test_bounds_hold(void)
{
    for (unsigned i = 0; i < 200; i++) {
        struct world w;
        struct slave *s;

        world_init(&w, 1, i);
        s = &w.slaves[0];
        s->drift = g_rand_double_range(w.random, -400e-6, 400e-6);
        s->up.late = s->down.late = g_rand_double(w.random);
        s->up.much_more = s->down.much_more = g_rand_int_range(w.random, 1, 100) * MS;
        for (int k = 0; k < 100; k++) {
            struct dq_clock_offset o;

            w.now = ask(&w, s, w.now + g_rand_int_range(w.random, 0, 2 * SECOND));
            w.now += g_rand_int_range(w.random, 0, 2 * SECOND);
            o = dq_clock_offset_at(&s->clock, own_time(s, w.now));
            g_assert_cmpint(o.least - 2, <=, w.now - own_time(s, w.now));
            g_assert_cmpint(o.most + 2, >=, w.now - own_time(s, w.now));
            g_assert_cmpint(o.least, <=, o.middle + 2);
            g_assert_cmpint(o.most, >=, o.middle - 2);
        }
        g_rand_free(w.random);
    }
}

/* ---- threads that synchronise ---- */

static int64_t read_at(struct world *w, int node, int64_t at)
{
    return node == 0 ? at : shows(&w->slaves[node - 1], at);
}

/* Messages at random, between all; each brings a reading, which must be in the past there. */
static void exchange(struct world *w, int seconds, const struct way *direct)
{
    for (int64_t end = w->now + (int64_t)seconds * SECOND; w->now < end;) {
        int from = g_rand_int_range(w->random, 0, w->count + 1);
        int to = g_rand_int_range(w->random, 0, w->count + 1);
        int64_t sent;

        for (int i = 0; i < w->count; i++) {
            go_on(w, &w->slaves[i]);
        }
        sent = read_at(w, from, w->now);
        w->now += from == to  ? 0
                  : from == 0 ? travel(w, &w->slaves[to - 1].down)
                  : to == 0   ? travel(w, &w->slaves[from - 1].up)
                              : travel(w, direct);
        g_assert_cmpint(read_at(w, to, w->now), >=, sent);
    }
}

static void all_begin(struct world *w, double most_drift)
{
    for (int k = 0; k < w->count; k++) {
        w->slaves[k].drift = g_rand_double_range(w->random, -most_drift, most_drift);
    }
    for (int k = 0; k < w->count; k++) {
        begin(w, &w->slaves[k]);
    }
}

/* Processors' clocks mostly differ by less than this: right from the first moment. */
static void test_messages_at_the_start(void)
{
    const struct way direct = {.least = 40 * US, .more = 10 * US};

    for (unsigned i = 0; i < 20; i++) {
        struct world w;

        world_init(&w, MOST_SLAVES, i);
        all_begin(&w, 40e-6);
        exchange(&w, 10, &direct);
        g_rand_free(w.random);
    }
}

/* Bad ones: once their rates are known. */
static void test_messages_with_drift(void)
{
    const struct way direct = {.least = 40 * US, .more = 10 * US};

    for (unsigned i = 0; i < 20; i++) {
        struct world w;

        world_init(&w, MOST_SLAVES, i);
        all_begin(&w, 100e-6);
        exchange(&w, 2, &(struct way){.least = 150 * US});
        exchange(&w, 10, &direct);
        g_rand_free(w.random);
    }
}

/* Ways that are three times as long in one direction; those between slaves are as any other. */
static void test_messages_asymmetric(void)
{
    const struct way longer = {.least = 120 * US, .more = 10 * US};

    for (unsigned i = 0; i < 20; i++) {
        struct world w;

        world_init(&w, MOST_SLAVES, i);
        for (int k = 0; k < MOST_SLAVES; k++) {
            struct slave *s = &w.slaves[k];

            *(g_rand_boolean(w.random) ? &s->up : &s->down) = longer;
        }
        all_begin(&w, 40e-6);
        exchange(&w, 10, &longer);
        g_rand_free(w.random);
    }
}

/* ---- exceptions ---- */

/* A machine stands still for a while: its clock is proved to be behind, and set forward. */
static void test_pause(void)
{
    struct world w;
    struct slave *s;

    world_init(&w, 1, 1);
    s = &w.slaves[0];
    begin(&w, s);
    run(&w, 10, 40 * US, 40 * US);
    s->since += 3 * (int64_t)SECOND; /* its own time is what it was three seconds ago */
    w.now += 3 * (int64_t)SECOND;
    s->next = w.now;
    go_on(&w, s);
    run(&w, 5, 60 * US, 60 * US);
    g_rand_free(w.random);
}

/* The master stands still: here that looks as if this clock were ahead, and it must not go back. */
static void test_masters_pause(void)
{
    struct world w;
    struct slave *s;
    int64_t ahead;

    world_init(&w, 1, 1);
    s = &w.slaves[0];
    begin(&w, s);
    run(&w, 10, 40 * US, 40 * US);
    s->origin += 20 * MS;
    s->shown = shows(s, w.now);
    run(&w, 10, 21 * MS, 40 * US);
    ahead = s->shown - w.now; /* 0.0005 of each second until then */
    g_assert_cmpint(ahead, <, 17 * MS);
    run(&w, 60, 21 * MS, 40 * US);
    run(&w, 10, 60 * US, 60 * US);
    g_rand_free(w.random);
}

/* After a rest it may be set, but not to before what it had shown. */
static void test_rest(void)
{
    for (int i = 0; i < 20; i++) {
        struct world w;
        struct slave *s;
        int64_t last;

        world_init(&w, 1, (uint32_t)i);
        s = &w.slaves[0];
        begin(&w, s);
        run(&w, 3, 40 * US, 40 * US);
        last = s->shown;
        change_drift(&w, s, i & 1 ? 400e-6 : -400e-6);
        w.now += 100 * (int64_t)SECOND;
        for (int k = 0; k < BURST; k++) {
            w.now = ask(&w, s, w.now);
        }
        dq_clock_steer(&s->clock, own_time(s, w.now), 100 * (int64_t)SECOND);
        g_assert_cmpint(shows(s, w.now), >=, last);
        s->shown = shows(s, w.now);
        check_error(&w, s, 40 * US, 40 * US);
        g_rand_free(w.random);
    }
}

static void test_rest_too_short(void)
{
    struct dq_clock c;

    dq_clock_init(&c);
    g_assert_true(dq_clock_add(&c, &(struct dq_clock_sample){0, 1000 * MS, 1000 * MS, 1 * MS}));
    dq_clock_steer(&c, 1 * MS, 0);
    g_assert_cmpint(ABS(dq_clock_read(&c.line, 1 * MS) - 1000 * MS - MS / 2), <, US);
    /* the remote clock is 500 ms less all of a sudden */
    g_assert_true(
        dq_clock_add(&c, &(struct dq_clock_sample){100 * MS, 600 * MS, 600 * MS, 100 * MS}));
    dq_clock_steer(&c, 100 * MS, 99 * MS);
    g_assert_cmpint(dq_clock_read(&c.line, 100 * MS), >=, 1000 * MS);
    g_assert_cmpint(dq_clock_read(&c.line, 100 * MS), <, 1002 * MS);
}

static void test_disorder_is_refused(void)
{
    static const struct dq_clock_sample good = {100, 5000, 5010, 200};
    static const struct dq_clock_sample bad[] = {
        {300, 5000, 5010, 299}, /* heard before it was asked */
        {300, 5010, 5000, 400}, /* answered before the question came */
        {199, 5100, 5110, 300}, /* asked before the one before was heard */
    };
    struct dq_clock c;

    dq_clock_init(&c);
    g_assert_true(dq_clock_add(&c, &good));
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(dq_clock_add(&c, &bad[i]));
    }
    g_assert_cmpuint(c.count, ==, 1);
    g_assert_cmpint(dq_clock_offset_at(&c, 200).least, ==, 4810);
    g_assert_cmpint(dq_clock_offset_at(&c, 200).most, ==, 4900);
}

/* A line never goes back, where slopes change and far beyond. */
static void test_line(void)
{
    const int64_t least = -(int64_t)(1000e-6 * 4294967296.0);
    const struct dq_clock_line l = {
        .from = 1000, .value = -77, .slewed = SECOND, .slope = least, .after = -least};
    int64_t last = dq_clock_read(&l, 0);

    g_assert_cmpint(dq_clock_read(&l, 1000), ==, -77);
    for (int64_t t = SECOND - 5000; t < SECOND + 5000; t++) {
        int64_t now = dq_clock_read(&l, t);

        g_assert_cmpint(now, >=, last);
        last = now;
    }
    g_assert_cmpint(dq_clock_read(&l, 1000 + SECOND), ==, -77 + SECOND - MS);
    /* a hundred years */
    g_assert_cmpint(dq_clock_read(&l, (int64_t)3153600000 * SECOND), >,
                    (int64_t)3155000000 * SECOND);
}

/* ---- the distance of two clocks ---- */

static void test_distance(void)
{
    struct dq_clock_distance d = {0};
    GRand *random = g_rand_new_with_seed(1);
    const int64_t steps[] = {1700000000 * (int64_t)SECOND, 1700003600 * (int64_t)SECOND,
                             1699990000 * (int64_t)SECOND, 1699990000 * (int64_t)SECOND + 2 * MS};

    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        for (int k = 0; k < 1000; k++) {
            /* the truth is within the limits, some of which are wide */
            int64_t below = g_rand_int_range(random, 0, k % 10 ? 300 : 500 * US);
            int64_t above = g_rand_int_range(random, 0, k % 10 ? 300 : 500 * US);
            bool was_known = d.known;
            int64_t moved = dq_clock_distance_follow(&d, steps[i] - below, steps[i] + above);

            g_assert_cmpint(d.ns, <=, steps[i]);
            g_assert_cmpint(steps[i] - d.ns, <=, below);
            if (k == 0 && was_known) {
                g_assert_cmpint(ABS(moved - (steps[i] - steps[i - 1])), <=, 1000 * US);
            } else {
                g_assert_cmpint(moved, >=, 0);
                g_assert_cmpint(moved, <=, 500 * US);
            }
        }
    }
    g_rand_free(random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/symmetric", test_symmetric);
    g_test_add_func("/clock/asymmetric", test_asymmetric);
    g_test_add_func("/clock/jitter", test_jitter);
    g_test_add_func("/clock/drift-changes", test_drift_changes);
    g_test_add_func("/clock/bounds-hold", test_bounds_hold);
    g_test_add_func("/clock/messages-at-the-start", test_messages_at_the_start);
    g_test_add_func("/clock/messages-with-drift", test_messages_with_drift);
    g_test_add_func("/clock/messages-asymmetric", test_messages_asymmetric);
    g_test_add_func("/clock/pause", test_pause);
    g_test_add_func("/clock/masters-pause", test_masters_pause);
    g_test_add_func("/clock/rest", test_rest);
    g_test_add_func("/clock/rest-too-short", test_rest_too_short);
    g_test_add_func("/clock/disorder", test_disorder_is_refused);
    g_test_add_func("/clock/line", test_line);
    g_test_add_func("/clock/distance", test_distance);
    return g_test_run();
}
