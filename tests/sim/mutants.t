#!/usr/bin/env bash
# The simulator finds mistakes in the engine itself: each line below changes the engine's source
# in one place, and some schedule must fail. A line that changes nothing is a failure too.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# file | what goes wrong | sed expression
mutants=(
    "dir|an entry is not kept busy while a copy is sent|/make_shared(d, page, r);/,/return true/s/return true/return false/"
    "dir|WAIT counts the requester's own copy|s/(unsigned)(holders - has)/(unsigned)holders/"
    "dir|one sharer is not told to drop its copy|s/if (n != r) {/if (n != r \&\& n != d->nodes - 1) {/"
    "dir|an upgrade is sent data|s/has ? NOBODY : keeper_for/keeper_for/"
    "dir|a run goes over touched pages|s/ \&\& !holders_of(d, to + 1)//"
    "dir|a reset does not wait for the last holder|s/if (remove_holder(d, m->page, from)) {/remove_holder(d, m->page, from); {/"
    "dir|only one waiter is served|/^static void finish/,/^}/s/while ((w/if ((w/"
    "dir|an owner stays the only holder when a copy is given out|/^static void make_shared/,/^}/s/b->exclusive &= .*/b->touched += 0;/;/^static void make_shared/,/^}/s/set_add(/(void)(/"
    "dir|a page on its way counts as arrived|s/ \&\& !(b \&\& b->requester == l->node)//"
    "dir|a page that moves still belongs to its old owner|/^static bool start_move/,/^}/s/make_exclusive(d, page, r);//"
    "dir|a page is not busy while it moves|/^static bool start_move/,/^}/s/return true/return false/"
    "cache|a holder that is not the home says DONE|/^static void send_page/,/^}/s/is_home(c, a->page) \&\& //"
    "cache|the home says DONE while others still drop their copies|s/is_home(c, a->page) \&\& type != DQ_MSG_DATA_X/is_home(c, a->page)/"
    "cache|what a read has moved may be written at once|/^static int on_data_m/,/^}/s/data, write);/data, true);/"
    "cache|the first write to a clean page goes unnoticed|/^static bool may_access/,/^}/s/set_state(c, page, DQ_EXCLUSIVE);//"
    "cache|write access wanted meanwhile is forgotten|s/a->escalate = true;/a->escalate = false;/"
    "cache|a frozen page is given away|s/(c->frozen \&\& !reads)/false/"
    "cache|a page is dropped as soon as released, frozen or not|s/if (!c->frozen) {/if (true) {/"
    "cache|thawing forgets what is due|/^void dq_cache_thaw/,/^}/s/give_all(c, now);/(void)now;/"
    "cache|a copy that came with a run is installed twice|/^static int on_data_s/,/^}/s/if (dq_cache_state(c, a->page) == DQ_INVALID) {/{/"
    "cache|DONE is not sent after a read|/^static int on_data_s/,/^}/s/answered_by(c, a, from, 0, now)/answered(c, a, now)/"
    "cache|answers of the last request still count|/^static void answered/,/^}/s/a->got = 0;//"
    "cache|a run answers every request for its pages|s/if (a == asked) {/if (a \&\& a->get) {/"
    "cache|a page may be written before all copies are gone|/^static int on_data_x/,/^}/s/c->ops->install(c->ctx, a->page, 1, data, last)/c->ops->install(c->ctx, a->page, 1, data, true)/"
    "cache|an owner goes on writing after it gave out a copy|/^static void give(/,/^}/s/c->ops->make_readonly(c->ctx, a->page);//"
    "cache|a page that rests counts as one of several|/^bool dq_cache_rest/,/^}/s/DQ_CLEAN/DQ_SHARED/"
    "cache|a page that rests may still be written to|/^bool dq_cache_rest/,/^}/s/c->ops->make_readonly(c->ctx, page);//"
    "cache|a page that rests was not written to, as it says|s/ \&\& !dq_cache_is_rested(c, a->page)//"
    "cache|the timer is not set again|s/c->timer = 0;\$/(void)now;/"
)

echo "1..$((${#mutants[@]} + 1))"
cd "$root" || exit 1
read -ra flags < <(pkg-config --cflags glib-2.0)
read -ra libs < <(pkg-config --libs glib-2.0)
flags+=(-std=gnu11 -O1 -w -I.)
gcc "${flags[@]}" -c tests/sim/sim.c -o "$work/sim.o" || exit 1
for f in dir cache; do
    gcc "${flags[@]}" -c "dqemu/$f.c" -o "$work/$f.o" || exit 1
done

n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}

gcc "$work/sim.o" "$work/dir.o" "$work/cache.o" "${libs[@]}" -o "$work/sim" &&
    timeout 60 "$work/sim" --seeds 1..5000 > "$work/out" 2>&1
report $? "no failure without a change"

for mutant in "${mutants[@]}"; do
    IFS='|' read -r file what expression <<< "$mutant"
    other=dir
    [ "$file" = dir ] && other=cache
    sed "$expression" "dqemu/$file.c" > "$work/mutant.c"
    if cmp -s "dqemu/$file.c" "$work/mutant.c"; then
        report 1 "$what: the change does not apply any more"
        continue
    fi
    gcc "${flags[@]}" "$work/mutant.c" -c -o "$work/mutant.o" &&
        gcc "$work/sim.o" "$work/mutant.o" "$work/$other.o" "${libs[@]}" -o "$work/mutant"
    built=$?
    timeout 60 "$work/mutant" --seeds 1..20000 > "$work/out" 2>&1
    status=$?
    # a failed check, or the engine's own assertion
    [ $built -eq 0 ] && { [ $status -eq 1 ] || [ $status -eq 134 ]; }
    report $? "found: $what"
    tail -n 1 "$work/out" | cut -c 1-200 | sed 's/^/# /'
done
