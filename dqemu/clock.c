/*
 * The estimate of another machine's clock, and the clock that follows it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/clock.h"

#include <glib.h>
#include <string.h>

#include "dqemu/assert.h"

/*
 * Rates are usually alike to this degree. As long as little is known of the difference, the guess
 * leans towards none.
 */
#define USUAL_RATE 50e-6

void dq_clock_init(struct dq_clock *c)
{
    *c = (struct dq_clock){.least = -DQ_CLOCK_MOST_RATE, .most = DQ_CLOCK_MOST_RATE};
}

static void forget_oldest(struct dq_clock *c)
{
    c->count--;
    memmove(&c->samples[0], &c->samples[1], c->count * sizeof(c->samples[0]));
}

/* Bounds of the remote clock's gain, from two samples of which the first is the earlier. */
static void bound_rate(const struct dq_clock_sample *a, const struct dq_clock_sample *b,
                       double *least, double *most)
{
    int64_t gain_least = (b->answered - b->heard) - (a->received - a->sent);
    int64_t gain_most = (b->received - b->sent) - (a->answered - a->heard);
    int64_t ends = b->heard - a->sent, apart = b->sent - a->heard;

    if (apart > 0) {
        *least = MAX(*least, (double)gain_least / (double)ends);
        *most = MIN(*most, (double)gain_most / (double)apart);
    }
}

/* The rates that all pairs of samples leave possible. False: they contradict each other. */
static bool bound_rates(struct dq_clock *c)
{
    double least = -DQ_CLOCK_MOST_RATE, most = DQ_CLOCK_MOST_RATE;

    for (unsigned b = 1; b < c->count; b++) {
        for (unsigned a = 0; a < b; a++) {
            bound_rate(&c->samples[a], &c->samples[b], &least, &most);
        }
    }
    c->least = least;
    c->most = most;
    return least <= most;
}

/* The middle, drawn towards no difference by as much as it is in doubt. */
static double guess_rate(const struct dq_clock *c)
{
    double doubt = (c->most - c->least) / 4 / USUAL_RATE;

    return (c->least + c->most) / 2 / (1 + doubt * doubt);
}

bool dq_clock_add(struct dq_clock *c, const struct dq_clock_sample *sample)
{
    if (sample->heard < sample->sent || sample->answered < sample->received ||
        (c->count && sample->sent < c->samples[c->count - 1].heard)) {
        return false;
    }
    while (c->count == DQ_CLOCK_SAMPLES ||
           (c->count && sample->heard - c->samples[0].heard > DQ_CLOCK_WINDOW_NS)) {
        forget_oldest(c);
    }
    c->samples[c->count++] = *sample;
    while (!bound_rates(c)) { /* one alone is always possible */
        forget_oldest(c);
    }
    c->rate = guess_rate(c);
    return true;
}

struct dq_clock_offset dq_clock_offset_at(const struct dq_clock *c, int64_t local)
{
    struct dq_clock_offset o = {INT64_MIN, INT64_MAX, 0};

    dq_assert(c->count > 0);
    for (unsigned i = 0; i < c->count; i++) {
        const struct dq_clock_sample *s = &c->samples[i];
        int64_t lower = s->answered - s->heard, upper = s->received - s->sent;

        lower += (int64_t)((double)(local - s->heard) * (c->least - DQ_CLOCK_WANDER));
        upper += (int64_t)((double)(local - s->sent) * (c->most + DQ_CLOCK_WANDER));
        o.least = MAX(o.least, lower);
        o.most = MIN(o.most, upper);
    }
    o.middle = o.least + (o.most - o.least) / 2;
    return o;
}

static int64_t slope_of(double gain)
{
    return (int64_t)(gain * 4294967296.0);
}

void dq_clock_steer(struct dq_clock *c, int64_t now, int64_t unread)
{
    struct dq_clock_offset o = dq_clock_offset_at(c, now);
    int64_t value = now + o.middle;
    double slew;

    if (c->started && unread == 0) {
        value = MAX(dq_clock_read(&c->line, now), now + o.least);
    } else if (c->started) {
        value = MAX(value, dq_clock_read(&c->line, now) - unread);
    }
    slew = (double)(now + o.middle - value) / DQ_CLOCK_SLEW_NS;
    slew = CLAMP(slew, -DQ_CLOCK_SLEW, DQ_CLOCK_SLEW);
    c->line = (struct dq_clock_line){
        .from = now,
        .value = value,
        .slewed = DQ_CLOCK_SLEW_NS,
        .slope = slope_of(c->rate + slew),
        .after = slope_of(c->rate),
    };
    c->started = true;
}
