#!/usr/bin/env bash
# The simulators find mistakes in the engine itself, and in splitter and mover: each line below
# changes their source in one place, and some schedule must fail. A line that changes nothing is a
# failure too.
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
    "dir|a page on its way counts as arrived|s/!(b \&\& b->requester == l->node)/true/"
    "dir|a page that moves still belongs to its old owner|/^static bool start_move/,/^}/s/make_exclusive(d, page, r);//"
    "dir|a page is not busy while it moves|/^static bool start_move/,/^}/s/return true/return false/"
    "dir|a run goes on in a file's pages|s/MIN(MIN(window + run, chunk + DQ_CHUNK_PAGES), high)/MIN(window + run, chunk + DQ_CHUNK_PAGES)/"
    "dir|a file's pages are granted in runs|s/= file ? 1 : wish/= wish/"
    "dir|any node is granted pages of a file|s/(r == MASTER || !has_file(d, page))/true/"
    "dir|pages of a file stay such|/^void dq_dir_reset/,/^}/s/dq_ranges_clear/(void)/"
    "dir|what has become a file's pages is not reset|/^void dq_dir_reset/,/^}/s/each_touched(/if (!file) each_touched(/"
    "cache|the master sends a page of a file and forgets that it has it|/^static bool own_file/,/^}/s/set_state(c, page, DQ_EXCLUSIVE);//"
    "cache|a page of a file is filled again when others fetch it|s/if (dq_cache_state(c, m->page) == DQ_INVALID \&\& !own_file/if (!own_file/"
    "cache|a holder that is not the home says DONE|/^static void home_is_done/,/^}/s/is_home(c, a->page)/true/"
    "cache|the home says DONE while others still drop their copies|s/else if (a->due == DQ_MSG_FETCH_M)/else/"
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
    "splitter|one node need not answer|s/if (!e->awaited) {/if (!(e->awaited \& ~UINT64_C(1))) {/"
    "splitter|granules are opened before they have moved|s/move(s, e, DQ_SPLIT_OPEN);/tell(s, e, DQ_SPLIT_OPEN);/"
    "splitter|the page is opened before it has moved|s/move(s, e, DQ_JOIN_OPEN);/tell(s, e, DQ_JOIN_OPEN);/"
    "splitter|a refusal is not heeded|s/e->refused |= m->refused;//"
    "splitter|a join that comes early is forgotten|/^void dq_splitter_join/,/^}/s/e->join = true;//"
    "splitter|an exclusion forgets what is on the way|/^static bool join_excluded/,/^}/s/e->join = true;//"
    "splitter|an exclusion does not wait|s/!join_excluded(s)) {/(join_excluded(s), true)) {/"
    "splitter|excluded pages are split|s/is_excluded(s, page) ||//"
    "splitter|two pages get one slot|s/if (s->slots.*== FREE) {/{/"
    "splitter|a slot is used again at once|s/retire(s, e->slot);/s->slots[e->slot] = FREE;/"
    "splitter|slots are used again when one node has answered|/^static int on_retired/,/^}/s/if (!s->retiring) {/{/"
    "splitter|slots that retire later are used again with the others|s/change_slots(s, RETIRING, FREE);/& change_slots(s, RETIRED, FREE);/"
    "splitter|slots that have been retired are not used again|s/change_slots(s, RETIRING, FREE);//"
    "splitter|two pages get one place in the tables|s/s->taken.page % DQ_SPLIT_MOST. ||//"
    "mover|what has left is not asked for again|/^void dq_mover_came/,/^}/s/go_on(m);/{ move_content(m); m->ops->moved(m->ctx, m); }/"
    "mover|one granule is left behind|/^static void copy_granules/,/^}/s/unsigned i = 0/unsigned i = 1/"
    "mover|granules lie at the wrong offset|s/DQ_PAGE_SIZE + i [*] size/DQ_PAGE_SIZE/"
    "mover|the page itself is not asked for|/^static void go_on/,/^}/s/i <= granules(m)/i < granules(m)/;/^static bool has_all/,/^}/s/i <= granules(m)/i < granules(m)/"
)

echo "1..$((${#mutants[@]} + 1))"
cd "$root" || exit 1
read -ra flags < <(pkg-config --cflags glib-2.0)
read -ra libs < <(pkg-config --libs glib-2.0)
flags+=(-std=gnu11 -O1 -w -I.)
for f in dqemu/{ranges,dir,cache,splitter,mover}.c tests/sim/{sim,split_sim}.c; do
    gcc "${flags[@]}" -c "$f" -o "$work/$(basename "$f" .c).o" || exit 1
done

# The simulator that tests a file, and all that it is made of.
parts_of() {
    case $1 in
        dir | cache) echo sim ranges dir cache ;;
        *) echo split_sim ranges dir cache splitter mover ;;
    esac
}

n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}

gcc "$work"/{sim,ranges,dir,cache}.o "${libs[@]}" -o "$work/sim" &&
    gcc "$work"/{split_sim,ranges,dir,cache,splitter,mover}.o "${libs[@]}" -o "$work/split_sim" &&
    timeout 60 "$work/sim" --seeds 1..5000 > "$work/out" 2>&1 &&
    timeout 60 "$work/split_sim" --seeds 1..5000 > "$work/out" 2>&1
report $? "no failure without a change"

for mutant in "${mutants[@]}"; do
    IFS='|' read -r file what expression <<< "$mutant"
    read -ra parts < <(parts_of "$file")
    objects=("${parts[@]/#/$work/}")
    objects=("${objects[@]/%/.o}")
    objects=("${objects[@]/%\/$file.o/\/mutant.o}")
    sed "$expression" "dqemu/$file.c" > "$work/mutant.c"
    if cmp -s "dqemu/$file.c" "$work/mutant.c"; then
        report 1 "$what: the change does not apply any more"
        continue
    fi
    gcc "${flags[@]}" "$work/mutant.c" -c -o "$work/mutant.o" &&
        gcc "${objects[@]}" "${libs[@]}" -o "$work/mutant"
    built=$?
    timeout 60 "$work/mutant" --seeds 1..20000 > "$work/out" 2>&1
    status=$?
    # a failed check, or the engine's own assertion
    [ $built -eq 0 ] && { [ $status -eq 1 ] || [ $status -eq 134 ]; }
    report $? "found: $what"
    tail -n 1 "$work/out" | cut -c 1-200 | sed 's/^/# /'
done
