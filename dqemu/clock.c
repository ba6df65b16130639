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
 * leans towards none. What is possible is much wider than what is likely: its width is that of
 * round trips, while the middle is wrong by what they vary.
 */
#define USUAL_RATE 50e-6
#define LIKELY 8

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
    double doubt = (c->most - c->least) / LIKELY / USUAL_RATE;

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

/* Bounds of the offset at a local time, if the remote clock gains between `least` and `most`. */
static void bound_offset(const struct dq_clock *c, int64_t local, double least, double most,
                         struct dq_clock_offset *o)
{
    o->least = INT64_MIN;
    o->most = INT64_MAX;
    for (unsigned i = 0; i < c->count; i++) {
        const struct dq_clock_sample *s = &c->samples[i];
        int64_t lower = s->answered - s->heard, upper = s->received - s->sent;

        lower += (int64_t)((double)(local - s->heard) * (least - DQ_CLOCK_WANDER));
        upper += (int64_t)((double)(local - s->sent) * (most + DQ_CLOCK_WANDER));
        o->least = MAX(o->least, lower);
        o->most = MIN(o->most, upper);
    }
}

struct dq_clock_offset dq_clock_offset_at(const struct dq_clock *c, int64_t local)
{
    double doubt = (c->most - c->least) / 2 / LIKELY;
    struct dq_clock_offset o, likely;

    dq_assert(c->count > 0);
    bound_offset(c, local, c->least, c->most, &o);
    bound_offset(c, local, c->rate - doubt, c->rate + doubt, &likely);
    o.middle = likely.least + (likely.most - likely.least) / 2;
    o.middle = CLAMP(o.middle, o.least, o.most);
    return o;
}

static int64_t slope_of(double gain)
{
    return (int64_t)(gain * 4294967296.0);
}

void dq_clock_steer(struct dq_clock *c, int64_t now, int64_t unread)
{
    struct dq_clock_offset o = dq_clock_offset_at(c, now);
    int64_t value = now + o.middle, term = DQ_CLOCK_SLEW_NS;
    double slew;

    if (c->started && unread == 0) {
        value = MAX(dq_clock_read(&c->line, now), now + o.least);
    } else if (c->started) {
        value = MAX(value, dq_clock_read(&c->line, now) - unread);
    }
    if (c->started) { /* until about the next time */
        term = CLAMP(now - c->line.from, DQ_CLOCK_SLEW_NS / 20, DQ_CLOCK_SLEW_NS);
    }
    slew = (double)(now + o.middle - value) / (double)term;
    slew = CLAMP(slew, -DQ_CLOCK_SLEW, DQ_CLOCK_SLEW);
    c->line = (struct dq_clock_line){
        .from = now,
        .value = value,
        .slewed = term,
        .slope = slope_of(c->rate + slew),
        .after = slope_of(c->rate),
    };
    c->started = true;
}

int64_t dq_clock_pause(unsigned samples)
{
    return samples < 16 ? INT64_C(62500000) << samples / 4 : 1000000000;
}

int64_t dq_clock_distance_follow(struct dq_clock_distance *d, int64_t least, int64_t most)
{
    int64_t before = d->known ? d->ns : least;

    if (!d->known || d->ns < least || d->ns > most) {
        d->ns = least;
    }
    d->known = true;
    return d->ns - before;
}
