/*
 * Page splitting: one page of two granules, the master's splitter and mover, N nodes with a table
 * entry each, system calls that need the page as it is, and a call that maps it anew.
 *
 * Coherence is coherence.pml's matter. Here a place (the page, or a granule's shadow page) goes to
 * the node that accesses it, and what counts is whether the master has it. Closing a table leaves
 * requests behind: they are served some time, when nobody has a use for them, and take a place away.
 * Master() is dqemu/splitter.c and dqemu/mover.c; Node() is what SPLIT does at a node, and a thread.
 *
 * Contents are not counted: a copy of a granule either is the last write or is not. Every access
 * counts as a read and a write, and what a move leaves behind as old at once. So accesses, splits,
 * joins and map calls are as many as you like; at any moment, `over`, nothing new begins.
 *
 * Checked: an access meets the place where the content is, and there the last write; zeroes (again
 * the last write) after mapping anew; no message comes where none is expected; no deadlock; and
 * when nothing can happen any more nobody waits, and every table is open.
 *
 *   spin -a split.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * The switches PLANT_* plant a fault each; every one of them must be found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define N 3                     /* the alternatives below are written out for 3 */
#ifndef CALLERS
#define CALLERS 2               /* a bit per node that makes system calls with a buffer there */
#endif
#ifndef MAXS
#define MAXS 1                  /* requests for one place left behind at a time */
#endif
#define MASTER 0                /* the node of the splitter, the mover and the memory map */
#define ALL 7                   /* a bit per node */

#define PAGE 0                  /* places; 1 + g is the shadow page of granule g */
#define NOWHERE 255

mtype = { ENTIRE, GRANULES, CLOSED };       /* a node's table: accesses go to the page, ... */
mtype = { NONE, CLOSING, APART, OPENING, SPLIT, TOGETHER };             /* the splitter's entry */
mtype = { SPLIT_CLOSE, SPLIT_OPEN, JOIN_CLOSE, JOIN_OPEN,       /* master -> node, and back: done */
          JOIN_ASK,                                             /* node -> master: please join */
          FORBID, ALLOW,                                        /* master -> node: the memory map */
          MAPPED };                                             /* node -> master: done that */
mtype = { IDLE, WANTS, ASKED, PINNED };     /* a system call with a buffer there: it has noted its
                                             * pin; asked for a join; may access it */
mtype = { EXCLUDING, FORBIDDING, RESETTING, ALLOWING };         /* a map call */

chan to_node[N]   = [2] of { mtype };
chan to_master[N] = [3] of { mtype, bool }; /* refused */

mtype tab[N] = ENTIRE;
bool mapped[N] = true;
byte at[N] = NOWHERE;           /* the place that a thread is going to access */
mtype sys[N] = IDLE;
bool held[3] = true;            /* the master has the place */
byte stale[3];                  /* requests of other nodes that nobody waits for any more */
mtype state = NONE, call = NONE;
bool gathering;
bool over;

/* ghosts */
bool fresh[4];                  /* is it the last write? The page's two granules, the shadows' */
bool apart;                     /* the content is on the shadow pages */

/* Read and write, with the place here: one step, as the base protocol gives it. */
inline access(place, copy) {
    assert(fresh[copy]);
    held[place] = (me == MASTER)
}

/* An access that is on its way comes to nothing and begins anew, but it may have asked already. */
inline trap() {
    if
    :: at[me] == NOWHERE -> skip
    :: at[me] != NOWHERE -> at[me] = NOWHERE
    :: at[me] != NOWHERE && me != MASTER && stale[at[me]] < MAXS ->
           stale[at[me]]++; at[me] = NOWHERE
    fi
}

#ifndef PLANT_PIN_UNSEEN
#define refuses (sys[me] != IDLE || !mapped[me])
#else
#define refuses (!mapped[me])
#endif

/* Who refuses lets accesses that are on their way go on, but lets no others begin. */
inline close_page() {
    tab[me] = CLOSED;
    if
    :: refuses -> to_master[me]!SPLIT_CLOSE, true
    :: else ->
#ifndef PLANT_LATE_ACCESS
           trap();
#endif
#ifdef PLANT_DONE_LOST
           if :: to_master[me]!SPLIT_CLOSE, false :: skip fi
#else
           to_master[me]!SPLIT_CLOSE, false
#endif
    fi
}

inline open_as(how, done) {
    assert(tab[me] == CLOSED);
    tab[me] = how;
    if :: sys[me] == ASKED -> sys[me] = WANTS :: else -> skip fi;
    to_master[me]!done, false
}

inline forbid() {
    mapped[me] = false; trap();
    /* an error for the system call */
    if :: sys[me] != IDLE -> sys[me] = IDLE :: else -> skip fi;
    to_master[me]!MAPPED, false
}

#ifndef PLANT_PIN_ANYWAY
#define may_pin (tab[me] == ENTIRE)
#else
#define may_pin true
#endif

proctype Node(byte me) {
    mtype m;
end:
    do
    /* a thread looks at the table, later it accesses the place, unless closing made it trap */
    :: atomic { !over && at[me] == NOWHERE && mapped[me] && tab[me] == ENTIRE -> at[me] = PAGE }
    :: atomic { !over && at[me] == NOWHERE && mapped[me] && tab[me] == GRANULES ->
           if :: at[me] = 1 :: at[me] = 2 fi }
    :: atomic { at[me] == PAGE ->
           if :: access(PAGE, 0) :: access(PAGE, 1) fi; at[me] = NOWHERE }
    :: atomic { at[me] == 1 -> access(1, 2); at[me] = NOWHERE }
    :: atomic { at[me] == 2 -> access(2, 3); at[me] = NOWHERE }
    /* a system call notes its pin, then looks: if the page is split, it asks for a join and waits */
    :: atomic { !over && (CALLERS >> me & 1) && sys[me] == IDLE -> sys[me] = WANTS }
    :: atomic { sys[me] == WANTS && !mapped[me] -> sys[me] = IDLE }
    :: atomic { sys[me] == WANTS && mapped[me] && may_pin -> sys[me] = PINNED }
    :: atomic { sys[me] == WANTS && mapped[me] && tab[me] == GRANULES ->
           sys[me] = ASKED; to_master[me]!JOIN_ASK, false }
    :: atomic { sys[me] == PINNED ->
           if :: access(PAGE, 0) :: access(PAGE, 1) fi; sys[me] = IDLE }
    /* the master speaks */
    :: atomic { to_node[me]?m ->
           if
           :: m == SPLIT_CLOSE -> assert(tab[me] == ENTIRE); close_page()
           :: m == SPLIT_OPEN -> open_as(GRANULES, SPLIT_OPEN)
           :: m == JOIN_CLOSE -> assert(tab[me] == GRANULES);
#ifndef PLANT_JOIN_KEEPS_GRANULES_OPEN
                  trap();
#endif
                  tab[me] = CLOSED; to_master[me]!JOIN_CLOSE, false
           :: m == JOIN_OPEN -> open_as(ENTIRE, JOIN_OPEN)
           :: m == FORBID -> forbid()
           :: m == ALLOW -> mapped[me] = true; to_master[me]!MAPPED, false
           fi;
           m = 0 }
    od
}

/* ---- the master ---- */

inline send_all(type) {
    to_node[0]!type; to_node[1]!type; to_node[2]!type
}

inline tell(what) {
    op = what; awaited = ALL;
    state = (what == SPLIT_CLOSE || what == JOIN_CLOSE -> CLOSING : OPENING);
    send_all(what)
}

inline join() {
    if
    :: state == SPLIT -> tell(JOIN_CLOSE)
#ifndef PLANT_JOIN_FORGOTTEN
    :: state != SPLIT && state != NONE -> join_later = true
    :: state == NONE -> skip
#else
    :: else -> skip
#endif
    fi
}

/* a page that left while the others came reads as anything, and what is written there is lost */
inline copy_granule(from, to, from_place, to_place) {
    if
    :: held[to_place] -> fresh[to] = fresh[from] && held[from_place]
    :: else -> skip
    fi;
    fresh[from] = false
}

inline copy_apart() {
    copy_granule(0, 2, PAGE, 1);
#ifndef PLANT_GRANULE_LEFT_BEHIND
    copy_granule(1, 3, PAGE, 2);
#endif
    apart = true
}

inline copy_together() {
    copy_granule(2, 0, 1, PAGE);
    copy_granule(3, 1, 2, PAGE);
    apart = false
}

/* The answer op of all nodes is there. */
inline all_have_answered() {
    if
    :: op == SPLIT_CLOSE && refused ->
           refused = false;
#ifndef PLANT_REFUSED_STAYS_CLOSED
           tell(JOIN_OPEN)
#else
           state = NONE; join_later = false
#endif
    :: op == SPLIT_CLOSE && !refused ->
#if defined(PLANT_OPEN_BEFORE_MOVED)
           gathering = true; tell(SPLIT_OPEN)
#elif defined(PLANT_MOVE_BEFORE_ALL_CLOSED)
           if :: apart -> tell(SPLIT_OPEN) :: else -> state = APART; gathering = true fi
#else
           state = APART; gathering = true
#endif
    :: op == SPLIT_OPEN ->
           state = SPLIT; op = 0;
           if :: join_later -> tell(JOIN_CLOSE) :: else -> skip fi
    :: op == JOIN_CLOSE -> state = TOGETHER; gathering = true
    :: op == JOIN_OPEN -> state = NONE; op = 0; join_later = false
    fi
}

inline incoming(n) {
    atomic { to_master[n]?m, no ->
        if
        :: m == JOIN_ASK -> join()
        :: m == MAPPED -> assert(call == FORBIDDING || call == ALLOWING);
               assert(to_map >> n & 1);
               to_map = to_map & ~(1 << n)
        :: else ->
               assert(state == CLOSING || state == OPENING);
               assert(m == op && (awaited >> n & 1) && (!no || op == SPLIT_CLOSE));
               awaited = awaited & ~(1 << n);
#ifdef PLANT_DONE_COUNTS_TWICE
               awaited = awaited & (awaited - 1);
#endif
#ifndef PLANT_REFUSAL_IGNORED
               refused = refused || no;
#endif
#ifdef PLANT_MOVE_BEFORE_ALL_CLOSED
               gathering = gathering || (op == SPLIT_CLOSE && !refused && awaited);
               gathering = gathering && !refused;
#endif
               if :: !awaited -> all_have_answered() :: else -> skip fi
        fi;
        m = 0; no = false }
}

#define holds_all (held[0] && held[1] && held[2])
#define awaits_none (!wanted[0] && !wanted[1] && !wanted[2])

inline comes(place) {
    atomic { wanted[place] -> wanted[place] = false; held[place] = true }
}

/* A request that a node made before it closed is served now. */
inline leaves(place) {
    atomic { stale[place] -> stale[place]--; held[place] = false }
}

proctype Master() {
    mtype op, m;
    byte awaited, to_map;
    bool refused, no, join_later, asked, excluded;
    bool wanted[3];
end:
    do
    :: incoming(0)
    :: incoming(1)
    :: incoming(2)
    /* the splitter's owner wants a page split, or joined */
#ifndef PLANT_SPLIT_DURING_EXCLUSION
    :: atomic { !over && state == NONE && !excluded -> tell(SPLIT_CLOSE) }
#else
    :: atomic { !over && state == NONE -> tell(SPLIT_CLOSE) }
#endif
    :: atomic { !over && state != NONE && !join_later -> join() }
    /* the mover */
    :: atomic { gathering && !asked ->
           asked = true; wanted[0] = !held[0]; wanted[1] = !held[1]; wanted[2] = !held[2] }
    :: comes(0)
    :: comes(1)
    :: comes(2)
    :: leaves(0)
    :: leaves(1)
    :: leaves(2)
#ifndef PLANT_NO_REGATHER
    :: atomic { asked && awaits_none && !holds_all -> asked = false }
    :: atomic { asked && awaits_none && holds_all ->
#else
    :: atomic { asked && awaits_none ->
#endif
           gathering = false; asked = false;
           if :: apart -> copy_together() :: else -> copy_apart() fi;
           if
           :: state == APART -> tell(SPLIT_OPEN)
           :: state == TOGETHER -> tell(JOIN_OPEN)
           :: else -> skip      /* only where a fault is planted */
           fi }
    /* a map call */
    :: atomic { !over && call == NONE -> call = EXCLUDING; excluded = true;
#ifndef PLANT_UNMAP_WITHOUT_EXCLUSION
           join()
#endif
           }
#ifndef PLANT_UNMAP_WITHOUT_EXCLUSION
    :: atomic { call == EXCLUDING && state == NONE ->
#else
    :: atomic { call == EXCLUDING ->
#endif
           call = FORBIDDING; to_map = ALL; send_all(FORBID) }
    :: atomic { call == FORBIDDING && !to_map -> call = RESETTING }
    :: atomic { call == RESETTING ->
           held[PAGE] = false;
           fresh[0] = true; fresh[1] = true; fresh[2] = false; fresh[3] = false;
           call = ALLOWING; to_map = ALL; send_all(ALLOW) }
    :: atomic { call == ALLOWING && !to_map -> call = NONE; excluded = false }
    /* what has begun may end */
    :: atomic { !over -> over = true }
    od
}

/* when nothing more can happen, nobody waits */
#define is_quiet(n) (tab[n] != CLOSED && mapped[n] && at[n] == NOWHERE && sys[n] == IDLE)

proctype Quiet() {
    timeout ->
    assert(is_quiet(0) && is_quiet(1) && is_quiet(2));
    assert((state == NONE || state == SPLIT) && call == NONE && !gathering)
}

init {
    atomic {
        fresh[0] = true; fresh[1] = true;
        run Master(); run Node(0); run Node(1); run Node(2); run Quiet()
    }
}
