/*
 * Page coherence: one page, its home, N nodes, runs granted for a neighbour, and resets.
 *
 * The home serialises the transactions of a page; one that involves a third party keeps the
 * entry busy until the requester says DONE. Channels between two parties are FIFO; nothing is
 * assumed about the order between channels. A holder answers when it likes (hold time, freeze,
 * release of translations), except that it may not answer with anything but what it holds.
 * Home() is dqemu/dir.c, Node() is dqemu/cache.c, transition by transition.
 *
 * Checked: a writer excludes everybody else, every copy is the last write, no message comes
 * where none is expected, no deadlock, and when nothing can happen any more nobody waits.
 *
 *   spin -a coherence.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
 *
 * The switches PLANT_* plant a fault each; every one of them must be found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define N 3                     /* the alternatives below are written out for 3 */
#ifndef MAXW
#define MAXW 2                  /* writes that change the page, all nodes together */
#endif
#ifndef MAXR
#define MAXR 1                  /* resets: unmap, MADV_DONTNEED */
#endif
#ifndef MAXG
#define MAXG 1                  /* grants of the page in a run that was asked for a neighbour */
#endif
#ifndef MAXQ
#define MAXQ 5                  /* requests, all nodes together */
#endif
#define AT_HOME 0               /* the node that is the home, too */
#define MAP N                   /* the requester of a reset: the memory map on the master */

mtype = { I, S, C, X };                     /* a node's copy: none, read, the only one, write */
mtype = { U, SH, EX };                      /* directory: untouched, shared, exclusive */
mtype = { GET_S, GET_X, RESET,              /* requester -> home */
          GRANT_ZERO,                       /* home -> requester: untouched, zeroes, writable */
          GRANT_RUN,                        /* the same, but asked for a neighbour */
          GRANT_UP,                         /* home -> requester: you are the only holder */
          WAIT,                             /* home -> requester: count replies from holders */
          FETCH_S, FETCH_X, INV,            /* home -> holder: send a copy; send and drop; drop */
          FETCH_M, DATA_M,                  /* the only copy: send and drop */
          DATA_S, DATA_X, ACK,              /* holder -> requester */
          RACK,                             /* holder -> home: dropped for a reset */
          DONE };                           /* requester -> home: the entry may move on */

chan to_home[N]   = [3] of { mtype };
chan from_home[N] = [4] of { mtype, byte, byte };  /* type, requester, version or count */
chan peer[9]      = [2] of { mtype, byte };        /* [from * N + to]: type, version */
chan pending      = [N + MAXR] of { mtype, byte }; /* the queue of the entry: type, requester */

byte last;                      /* ghost: the version that a copy must have */
byte writes, resets, grants, requests;
mtype st[N] = I;
mtype want[N] = 0;              /* the request that is out */
byte ver[N];
bool busy;                      /* the directory entry is in a transaction */

#define sole(n) (st[n] == X || st[n] == C)

inline check() {
    /* a writer excludes everybody else; every copy is the last write */
    assert(!sole(0) || (st[1] == I && st[2] == I));
    assert(!sole(1) || (st[0] == I && st[2] == I));
    assert(!sole(2) || (st[0] == I && st[1] == I));
    assert(st[0] == I || ver[0] == last);
    assert(st[1] == I || ver[1] == last);
    assert(st[2] == I || ver[2] == last)
}

inline data_s() {
    assert(want[me] == GET_S && !sole(me) && due == 0);
    /* a run granted meanwhile, and shared since, may have brought it before */
    if :: st[me] == I -> st[me] = S; ver[me] = v :: else -> skip fi;
    want[me] = 0; check()
}

inline data_m() {
    assert(want[me] != 0 && st[me] == I && due == 0 && got == 0 && need == 255);
    /* who reads gets it Clean, and writes later without a message, or at once as if it wrote */
    if
    :: want[me] == GET_X -> st[me] = X
    :: want[me] == GET_S -> st[me] = C
    :: want[me] == GET_S -> st[me] = X
#ifdef PLANT_MOVED_IS_SHARED
    :: want[me] == GET_S -> st[me] = S
#endif
    fi;
    ver[me] = v; want[me] = 0; check()
}

inline from_peer(f) {
    atomic { peer[f * N + me]?m, v ->
        if
        :: m == DATA_S -> data_s();
#ifndef PLANT_MISSING_DONE
               to_home[me]!DONE
#endif
        :: m == DATA_X -> assert(want[me] == GET_X && st[me] == I && due == 0);
               /* the copies that others still have equal it: it may be read */
               st[me] = S; ver[me] = v; got++; check()
        :: m == DATA_M -> data_m(); to_home[me]!DONE
        :: m == ACK -> assert(want[me] == GET_X && !sole(me) && due == 0); got++
        fi;
        m = 0; v = 0 }
}

/* The node at the home sends on the home's channel, and says DONE for the requester. */
inline send_page(type) {
    if
    :: me == AT_HOME -> from_home[due_to]!type, 0, ver[me];
#ifndef PLANT_LATE_DONE
           assert(busy); busy = false
#else
           to_home[me]!DONE
#endif
    :: else ->
           peer[me * N + due_to]!type, ver[me]
#ifdef PLANT_DONE_FOR_OTHERS
           ; busy = false
#endif
    fi
}

inline answer_drop() {
    if
    :: due == FETCH_X -> peer[me * N + due_to]!DATA_X, ver[me]
    :: due == FETCH_M -> send_page(DATA_M)
    :: due == INV && due_to == MAP -> to_home[me]!RACK
    :: due == INV && due_to != MAP ->
#ifndef PLANT_DROPPED_ACK
           peer[me * N + due_to]!ACK, 0
#else
           skip
#endif
    fi
}

#define drops (due == FETCH_X || due == FETCH_M || due == INV)

proctype Node(byte me) {
    mtype m, due = 0;           /* what a holder was told to do and has not done yet */
    byte req, v, got, need = 255, due_to;
end:
    do
    /* a thread writes where it may */
    :: atomic { st[me] == X && writes < MAXW ->
           writes++; last++; ver[me] = last; check() }
    :: atomic { st[me] == C && writes < MAXW ->
           st[me] = X; writes++; last++; ver[me] = last; check() }
    /* the only copy rests: mapped for reading only, until somebody here or elsewhere wants it */
#ifndef PLANT_RESTED_IS_SHARED
    :: atomic { st[me] == X -> st[me] = C }
#else
    :: atomic { st[me] == X -> st[me] = S }
#endif
    /* a thread faults */
    :: atomic { st[me] == I && want[me] == 0 && requests < MAXQ ->
           requests++; want[me] = GET_S; to_home[me]!GET_S }
    :: atomic { !sole(me) && want[me] == 0 && requests < MAXQ ->
           requests++; want[me] = GET_X; to_home[me]!GET_X }
    /* the home speaks */
    :: atomic { from_home[me]?m, req, v ->
           if
           :: m == GRANT_ZERO -> assert(want[me] != 0 && st[me] == I && due == 0);
                  st[me] = X; ver[me] = v; want[me] = 0; check()
           :: m == GRANT_RUN -> assert(st[me] == I && due == 0);
#ifdef PLANT_RUN_ANSWERS
                  want[me] = 0;
#endif
                  st[me] = X; ver[me] = v; check()
           :: m == GRANT_UP ->
                  assert(sole(me) && want[me] != 0 || st[me] == S && want[me] == GET_X);
                  assert(due == 0);
                  if :: st[me] == S -> st[me] = X :: else -> skip fi;
                  want[me] = 0; check()
           :: m == WAIT -> assert(want[me] == GET_X && !sole(me) && due == 0); need = v
           :: m == DATA_S -> data_s()
           :: m == DATA_M -> data_m()
           :: else -> assert(st[me] != I && due == 0 && got == 0 && need == 255);
                  assert(m != FETCH_M || sole(me));
                  due = m; due_to = req
           fi;
           m = 0; req = 0; v = 0 }
    /* what is due is answered some time */
    :: atomic { due == FETCH_S ->
#ifndef PLANT_STILL_WRITABLE
           st[me] = S;
#endif
           send_page(DATA_S); due = 0; due_to = 0 }
    :: atomic { drops && sole(me) -> st[me] = S }
#ifndef PLANT_LATE_DROP
    :: atomic { drops && st[me] == S ->
           st[me] = I; answer_drop(); ver[me] = 0; due = 0; due_to = 0 }
#else
    :: atomic { drops && st[me] == S -> answer_drop(); due = RESET }
    :: atomic { due == RESET -> st[me] = I; due = 0; due_to = 0 }
#endif
    /* other holders speak, before or after the home's WAIT */
    :: from_peer(0)
    :: from_peer(1)
    :: from_peer(2)
    :: atomic { got == need ->
           assert(st[me] == S);
           got = 0; need = 255;
           st[me] = X; want[me] = 0; check(); to_home[me]!DONE }
    od
}

inline drop_all(r, keep) {
    /* every sharer but r drops its copy; keep (if any) sends it to r */
    i = 0;
    do
    :: i < N ->
           if
           :: sharer[i] && i != r ->
                  if
                  :: i == keep -> from_home[i]!FETCH_X, r, 0
#ifdef PLANT_LOST_INVALIDATION
                  :: i != keep && r != MAP && k > 1 -> k = 1
#endif
                  :: else -> from_home[i]!INV, r, 0
                  fi
           :: else -> skip
           fi;
           sharer[i] = false; i++
    :: else -> break
    od;
    i = 0
}

inline incoming(n) {
    atomic { to_home[n]?m ->
        if
        :: m == DONE -> assert(busy && acks == 0); busy = false
        :: m == RACK -> assert(busy && acks > 0); acks--;
               if
               :: acks == 0 -> busy = false; dir = U; last++; check()
#ifdef PLANT_FORGETFUL_RESET
               :: acks == 1 -> acks = 0; busy = false; dir = U; last++; check()
#endif
               :: else -> skip
               fi
        :: else -> pending!m, n
        fi;
        m = 0 }
}

inline grant_run(n) {
    grants++; dir = EX; owner = n; from_home[n]!GRANT_RUN, n, last
}

proctype Home() {
    mtype dir = U, m;
    byte owner, i, r, k, keeper, acks;
    bool sharer[N];
end:
    do
    :: incoming(0)
    :: incoming(1)
    :: incoming(2)
    :: atomic { resets < MAXR && nfull(pending) -> resets++; pending!RESET, MAP }
    /* a neighbour of the page is untouched too, and somebody asked for that one */
#ifndef PLANT_STALE_RUN
    :: atomic { grants < MAXG && !busy && dir == U && empty(pending) ->
#else
    :: atomic { grants < MAXG && !busy && empty(pending) ->
#endif
           if :: grant_run(0) :: grant_run(1) :: grant_run(2) fi }
    :: atomic { !busy && nempty(pending) ->
           pending?m, r;
           k = 0; keeper = N; i = 0;
           do                                   /* others that hold a read copy */
           :: i < N ->
                  if :: sharer[i] && i != r -> k++; keeper = i :: else -> skip fi; i++
           :: else -> break
           od;
           if
           :: m == RESET && dir == U -> skip
           :: m == RESET && dir == SH -> busy = true; acks = k; drop_all(MAP, N)
           :: m == RESET && dir == EX -> busy = true; acks = 1; from_home[owner]!INV, MAP, 0
           :: m != RESET && dir == U ->
                  dir = EX; owner = r; from_home[r]!GRANT_ZERO, r, last
           :: m != RESET && dir == EX && owner == r -> from_home[r]!GRANT_UP, r, 0
           :: m == GET_S && dir == SH ->
#ifndef PLANT_NO_BUSY
                  busy = true;
#endif
                  from_home[keeper]!FETCH_S, r, 0; sharer[r] = true
           /* whether a page is migratory is a guess: so both rows at any time */
           :: m != RESET && dir == EX && owner != r ->
#ifndef PLANT_EARLY_FETCH
                  busy = true;
#endif
                  from_home[owner]!FETCH_M, r, 0;
#ifndef PLANT_KEPT_OWNER
                  owner = r
#endif
           :: m == GET_S && dir == EX && owner != r ->
                  busy = true; from_home[owner]!FETCH_S, r, 0;
                  dir = SH; sharer[owner] = true; sharer[r] = true
           :: m == GET_X && dir == SH ->        /* k > 0: a Shared entry has two sharers or more */
                  assert(k > 0);
#ifdef PLANT_BARE_UPGRADE
                  if
                  :: sharer[r] -> from_home[r]!GRANT_UP, r, 0; k = 0; keeper = 0
                  :: else -> skip
                  fi;
#endif
                  if
                  :: k > 0 ->
                         busy = true;
#ifdef PLANT_MISCOUNTED_WAIT
                         from_home[r]!WAIT, r, (k > 1 -> k - 1 : k);
#elif defined(PLANT_LOST_INVALIDATION)
                         from_home[r]!WAIT, r, 1;
#else
                         from_home[r]!WAIT, r, k;
#endif
                         if :: sharer[r] -> keeper = N :: else -> skip fi;
                         drop_all(r, keeper)
                  :: else -> sharer[0] = false; sharer[1] = false; sharer[2] = false
                  fi;
                  dir = EX; owner = r
           fi;
           m = 0; r = 0; k = 0; keeper = 0; i = 0 }
    od
}

/* when nothing more can happen, nobody waits: every request was answered */
proctype Quiet() {
    timeout ->
    assert(!busy && want[0] == 0 && want[1] == 0 && want[2] == 0)
}

init { atomic { run Home(); run Node(0); run Node(1); run Node(2); run Quiet() } }
