/*
 * Trials: the quicker way is found, kept for a while, and found anew when things change.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/trial.h"

/* So many jobs, which take so long one way and the other; how many were done the second way. */
static unsigned work(struct dq_trial *t, unsigned jobs, uint64_t plain, uint64_t other)
{
    unsigned second = 0;

    for (unsigned i = 0; i < jobs; i++) {
        bool way = dq_trial_way(t);

        second += way;
        dq_trial_took(t, way ? other : plain);
    }
    return second;
}

static void test_finds_the_better(void)
{
    struct dq_trial t = {0};
    const unsigned trial = 2 * DQ_TRIAL_SAMPLES;

    g_assert_cmpuint(work(&t, trial, 100, 60), ==, DQ_TRIAL_SAMPLES);
    g_assert_cmpuint(work(&t, DQ_TRIAL_TERM, 100, 60), ==, DQ_TRIAL_TERM);
    /* things have changed */
    g_assert_cmpuint(work(&t, trial, 100, 130), ==, DQ_TRIAL_SAMPLES);
    g_assert_cmpuint(work(&t, DQ_TRIAL_TERM, 100, 130), ==, 0);
    g_assert_cmpuint(work(&t, trial, 100, 130), ==, DQ_TRIAL_SAMPLES);
}

static void test_little_is_not_enough(void)
{
    struct dq_trial t = {0};

    work(&t, 2 * DQ_TRIAL_SAMPLES, 100, 95);
    g_assert_false(dq_trial_way(&t));
}

static void test_outliers_do_not_decide(void)
{
    struct dq_trial t = {0};

    for (unsigned i = 0; i < 2 * DQ_TRIAL_SAMPLES; i++) {
        uint64_t usual = dq_trial_way(&t) ? 60 : 100;

        dq_trial_took(&t, i % 3 ? usual : 100000);
    }
    g_assert_true(dq_trial_way(&t));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trial/better", test_finds_the_better);
    g_test_add_func("/trial/little", test_little_is_not_enough);
    g_test_add_func("/trial/outliers", test_outliers_do_not_decide);
    return g_test_run();
}
