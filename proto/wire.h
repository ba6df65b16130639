/*
 * Every message that travels between nodes: its number, layout and direction.
 *
 * Byte order: all integers are little-endian; hosts of the other order are refused at build
 * time. A message is a struct dq_frame, then the fixed body named in DQ_MESSAGES, then (where
 * the table says so) trailing bytes. Nothing in a message is believed before dq_frame_check()
 * has compared its length with this table.
 *
 * Units: addresses are guest addresses in bytes, pages are guest page numbers
 * (address >> DQ_PAGE_BITS), lengths are bytes, counts are pages unless said otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_WIRE_H
#define DQ_PROTO_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define DQ_PROTO_VERSION 8
#define DQ_PROTO_MAGIC 0x756d657164ull /* "dqemu" */

#define DQ_PAGE_BITS 12
#define DQ_PAGE_SIZE (1u << DQ_PAGE_BITS)
#define DQ_MAX_NODES 64

/* The longest body: a thread's state with every vector register in use, or a list of runs. */
#define DQ_MAX_BODY (1u << 20)

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire format is little-endian");

struct dq_frame {
    uint32_t length; /* bytes that follow this header */
    uint16_t type;   /* enum dq_msg */
    uint16_t zero;
};
static_assert(sizeof(struct dq_frame) == 8, "dq_frame");

/*
 * The handshake, before any frame: hello both ways, the connector's proof, the acceptor's
 * verdict (proto/auth.h). Its layout is the same in every version of the protocol, version
 * field included, so that nodes of different versions can still prove who they are and then
 * refuse each other by name.
 */
#define DQ_BUILD_ID_SIZE 72 /* with its NUL */

enum dq_role { DQ_ROLE_CONNECTOR = 1, DQ_ROLE_ACCEPTOR = 2 };

/* What a connection does for the frames on it (proto/tls.h); the same on all nodes of a run. */
enum dq_protect {
    DQ_PROTECT_NONE,      /* nothing: they never leave the machine */
    DQ_PROTECT_INTEGRITY, /* they arrive as sent, or the connection ends */
    DQ_PROTECT_ENCRYPT,   /* and nobody on the way can read them */
    DQ_PROTECT_COUNT
};

/* Both ways: the connector's first, the acceptor's in answer to it. */
struct dq_hello {
    uint64_t magic;   /* DQ_PROTO_MAGIC */
    uint32_t version; /* DQ_PROTO_VERSION of the sender */
    uint16_t role;    /* enum dq_role of the sender */
    uint16_t nodes;   /* how many the sender counts in this run */
    uint16_t node;    /* the sender */
    uint16_t peer;    /* connector: whom it means to reach; acceptor: as in the hello it got */
    uint32_t protect; /* enum dq_protect of the sender */
    uint8_t nonce[32];
    char build[DQ_BUILD_ID_SIZE]; /* NUL-terminated, the rest NUL */
};
static_assert(sizeof(struct dq_hello) == 128, "dq_hello");
static_assert(offsetof(struct dq_hello, version) == 8, "dq_hello.version");
static_assert(offsetof(struct dq_hello, protect) == 20, "dq_hello.protect");
static_assert(offsetof(struct dq_hello, nonce) == 24, "dq_hello.nonce");

/* Connector -> acceptor. */
struct dq_proof {
    uint8_t mac[32];
};
static_assert(sizeof(struct dq_proof) == 32, "dq_proof");

enum dq_verdict_code {
    DQ_VERDICT_OK,     /* with the acceptor's own proof */
    DQ_VERDICT_SECRET, /* your proof is wrong; no proof of mine */
    DQ_VERDICT_PLACE,  /* your number is taken or not expected here; with my proof */
};
/* Acceptor -> connector. After DQ_VERDICT_OK frames follow, after the others the end. */
struct dq_verdict {
    uint32_t code; /* enum dq_verdict_code */
    uint32_t zero;
    uint8_t mac[32];
};
static_assert(sizeof(struct dq_verdict) == 40, "dq_verdict");

/*
 * Bodies.
 */

/*
 * Coherence: see the table in dqemu/coherence.h. A message of count pages is short for as many
 * messages of one page each, in ascending order, with the same type, node and flags. (The counts
 * of GRANT_ZERO and WAIT mean something else.)
 */
struct dq_msg_page {
    uint64_t page;
    uint32_t count; /* at least 1; GRANT_ZERO: pages of the run; WAIT: replies to expect */
    uint16_t node;  /* FETCH_*, INV: the requester that gets the answer (DQ_NODE_MAP: the home);
                     * GET_*: 1 + the byte of the page that is wanted (0: not known); GRANT_ZERO:
                     * DQ_NODE_FILE if the page begins with a file's content; else zero */
    uint16_t flags; /* GRANT_ZERO: which page of the run was asked for (0: the first); GET_*: the
                     * run that is wished for if the page is untouched, as a power of two (0: the
                     * home's choice); DATA_M, DONE: DQ_PAGE_CLEAN; else zero */
};
static_assert(sizeof(struct dq_msg_page) == 16, "dq_msg_page");
#define DQ_NODE_MAP 0xffffu /* in place of a requester: the answer to an INV goes to the home */
#define DQ_NODE_FILE 1u     /* not zeroes: the master, who gets this, has the page's file */
#define DQ_PAGE_CLEAN 1u    /* who had the page last did not write to it */
/* The longest message of pages: enough to hide what a message costs, little enough to overlap
 * sending, receiving and installing. */
#define DQ_MOST_PAGES 16u

/* A request about a range of pages, and its answer. */
struct dq_msg_range {
    uint64_t page;
    uint64_t count;
    uint64_t cookie; /* chosen by who asks, returned with the answer */
};
static_assert(sizeof(struct dq_msg_range) == 24, "dq_msg_range");

struct dq_run {
    uint64_t page;
    uint64_t count;
};

/* The memory map: applied by the nodes that the master sends it to. */
enum dq_map_op {
    DQ_MAP_SET,     /* the range is mapped with `flags` */
    DQ_MAP_FORBID,  /* the range is not mapped: no access, no new faults */
    DQ_MAP_FOREIGN, /* mapped with `flags`, but usable on the master alone */
};
struct dq_msg_map {
    uint64_t cookie;
    uint64_t start;  /* bytes */
    uint64_t length; /* bytes */
    uint16_t op;     /* enum dq_map_op */
    uint16_t quiet;  /* 1: no MAPPED is awaited */
    uint32_t flags;  /* page flags of the emulator; opaque outside qemu/glue */
};
static_assert(sizeof(struct dq_msg_map) == 32, "dq_msg_map");
static_assert(offsetof(struct dq_msg_map, flags) == 28, "dq_msg_map.flags");

/* A thread has met addresses that its node knows nothing of. */
struct dq_msg_map_ask {
    uint32_t tid;
    uint32_t zero;
    uint64_t start;  /* bytes */
    uint64_t length; /* bytes */
};
static_assert(sizeof(struct dq_msg_map_ask) == 24, "dq_msg_map_ask");

/* Splitting: see dqemu/splitter.h. */
enum dq_split_op {
    DQ_SPLIT_CLOSE,  /* nobody accesses the page any more: it is going to be split */
    DQ_SPLIT_OPEN,   /* its granules are on the slot's shadow pages: accesses go there */
    DQ_JOIN_CLOSE,   /* nobody accesses those any more: they are going to be one page again */
    DQ_JOIN_OPEN,    /* they are (or it has never been split): accesses go to the page */
    DQ_SPLIT_RETIRE, /* no thread may know addresses of slots that are in no use (page, slot: 0) */
};
struct dq_msg_split {
    uint64_t page;
    uint32_t slot;
    uint8_t shift;   /* granule size, as a power of two */
    uint8_t op;      /* enum dq_split_op; SPLIT_ASK: SPLIT_CLOSE or JOIN_CLOSE */
    uint8_t refused; /* SPLIT_DONE of SPLIT_CLOSE: 1 if the node needs the page as it is */
    uint8_t left;    /* SPLIT_ASK to join: 1 + the node that has all parts, as it seems, or
                   * DQ_SPLIT_REGRET: splitting was not worth it; else zero */
};
#define DQ_SPLIT_REGRET 255u
static_assert(sizeof(struct dq_msg_split) == 16, "dq_msg_split");
static_assert(offsetof(struct dq_msg_split, op) == 13, "dq_msg_split.op");

struct dq_msg_cookie {
    uint64_t cookie;
};
static_assert(sizeof(struct dq_msg_cookie) == 8, "dq_msg_cookie");

/* A thread, named by its guest tid (the host tid of its proxy on the master). */
struct dq_msg_thread {
    uint32_t tid;
    uint32_t arg; /* EXIT: status; TAKE: 1 if a synchronous signal follows; else zero */
};
static_assert(sizeof(struct dq_msg_thread) == 8, "dq_msg_thread");

struct dq_msg_syscall {
    uint32_t tid;
    uint32_t number; /* the guest's, perhaps with DQ_SYSCALL_CARRIES */
    uint64_t arg[8];
};
#define DQ_SYSCALL_CARRIES (1u << 31) /* a struct dq_carry follows: the call's memory travels */
static_assert(sizeof(struct dq_msg_syscall) == 72, "dq_msg_syscall");

/*
 * What travels with a call in place of pages: see dqemu/carry.h. So many ranges follow, then the bytes of
 * those that are read, in the same order, each filled up to DQ_CARRY_ALIGN bytes, and as many zeroes.
 *
 * In the answer, behind the frames: for each range that is written a uint32_t, how many bytes of it come
 * (0: none is stored; of IN_OUT else all), then these.
 */
struct dq_carry {
    uint32_t count;
    uint32_t zero;
};
static_assert(sizeof(struct dq_carry) == 8, "dq_carry");

enum dq_carry_use {
    DQ_CARRY_IN,     /* read */
    DQ_CARRY_IN_OUT, /* read, and what has changed is stored */
    DQ_CARRY_FILLED, /* written from its begin on, as far as the call returns */
    DQ_CARRY_USES
};
struct dq_carry_range {
    uint64_t addr;
    uint32_t length;
    uint16_t use;  /* enum dq_carry_use */
    uint16_t unit; /* FILLED: bytes that a result of one stands for; else zero */
};
static_assert(sizeof(struct dq_carry_range) == 16, "dq_carry_range");
static_assert(offsetof(struct dq_carry_range, use) == 12, "dq_carry_range.use");
#define DQ_CARRY_ALIGN 8u

struct dq_msg_result {
    uint32_t tid;
    uint32_t signals; /* signal frames that follow; then what a call brings that carries */
    int64_t value;    /* as do_syscall returned it */
    uint64_t mask;    /* the thread's signal mask after those frames; valid if signals > 0 */
    uint32_t go;      /* 1: it is to come to the master when it has dealt with this */
    uint32_t zero;
};
static_assert(sizeof(struct dq_msg_result) == 32, "dq_msg_result");

/* Futexes: see dqemu/futex.h. */
struct dq_msg_futex {
    uint64_t addr;
    uint64_t cookie; /* names the request at its sender; the answer returns it */
    uint64_t to;     /* HOLD, MOVE: the address that waiters of addr move to; else zero */
    uint32_t count;  /* WAKE, MOVE: to wake at most; WOKEN, MOVED: woken; REGISTERED: 1 if alone */
    uint32_t bitset; /* WAKE: which waiters; WOKEN, REVOKED, HELD: DQ_FUTEX_IDLE, DQ_FUTEX_ALONE */
    uint32_t moves;  /* MOVE: to move at most; MOVED: moved; else zero */
    uint32_t zero;
};
static_assert(sizeof(struct dq_msg_futex) == 40, "dq_msg_futex");
static_assert(offsetof(struct dq_msg_futex, moves) == 32, "dq_msg_futex.moves");
#define DQ_FUTEX_IDLE 1u  /* to the master: nobody waits here, forget this node's interest */
#define DQ_FUTEX_ALONE 2u /* from the master: no other node is interested, the lease is yours */
#define DQ_FUTEX_BY_MASTER (1ull << 63) /* in a cookie: the master asked, not a node */

/*
 * Clocks: see dqemu/clocks.h. Readings in ns, of the sender's CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
 * CLOCK_REALTIME and CLOCK_BOOTTIME.
 */
struct dq_msg_time_ask {
    uint64_t monotonic, raw;
    uint64_t kernel[2]; /* the sender's boot, a UUID; zero: its clocks are like no others */
    uint64_t space;     /* its time namespace in that kernel */
};
static_assert(sizeof(struct dq_msg_time_ask) == 40, "dq_msg_time_ask");

struct dq_msg_time {
    uint64_t monotonic_asked, raw_asked; /* as in the question; zero: nobody asked */
    uint64_t monotonic, raw, realtime, boottime, monotonic_after; /* read in this order */
    uint32_t same;   /* 1: both nodes read the same clocks anyway */
    uint32_t differ; /* 1: some node reads others */
};
static_assert(sizeof(struct dq_msg_time) == 64, "dq_msg_time");

/* Processor time that a node, or one of its threads, has used: see dqemu/cpu_time.h. */
struct dq_msg_cpu_ask {
    uint64_t cookie; /* the answer's */
    uint32_t tid;    /* the guest's; 0: all threads */
    uint32_t parts;  /* 1: user and system time of a thread, too */
};
static_assert(sizeof(struct dq_msg_cpu_ask) == 16, "dq_msg_cpu_ask");

struct dq_msg_cpu {
    uint64_t cookie;
    uint64_t ns;                 /* zero: no such thread here */
    uint64_t user_us, system_us; /* of all threads, or as asked */
};
static_assert(sizeof(struct dq_msg_cpu) == 32, "dq_msg_cpu");

/* How a thread is to be scheduled: as the master's kernel schedules its proxy. */
struct dq_msg_sched {
    uint32_t tid;
    uint32_t policy; /* Linux's SCHED_*, without SCHED_DEADLINE */
    int32_t nice;
    uint32_t priority; /* of SCHED_FIFO and SCHED_RR */
};
static_assert(sizeof(struct dq_msg_sched) == 16, "dq_msg_sched");

/* The touched pages that a node is the home of. */
struct dq_msg_memory {
    uint64_t cookie;      /* of the question */
    uint64_t pages, most; /* now, and ever at once */
};
static_assert(sizeof(struct dq_msg_memory) == 24, "dq_msg_memory");

/*
 * X(NAME, body, trailing, direction and meaning). Trailing: 0 none; DQ_PAGES one to
 * DQ_MOST_PAGES pages; DQ_ANY up to DQ_MAX_BODY in all.
 */
#define DQ_ANY 0xffffffffu
#define DQ_PAGES 0xfffffffeu
#define DQ_MESSAGES(X)                                                                             \
    /* requester -> home */                                                                        \
    X(GET_S, dq_msg_page, 0, "a copy to read, please")                                             \
    X(GET_X, dq_msg_page, 0, "the page to write, please")                                          \
    X(DONE, dq_msg_page, 0, "the transaction is over, the entry may move on")                      \
    /* home -> requester */                                                                        \
    X(GRANT_ZERO, dq_msg_page, 0, "a run of untouched pages is yours to write: zeroes")            \
    X(GRANT_UP, dq_msg_page, 0, "you hold it already: it is yours to write")                       \
    X(WAIT, dq_msg_page, 0, "it is yours once this many holders have answered you")                \
    /* home -> holder */                                                                           \
    X(FETCH_S, dq_msg_page, 0, "send the requester a copy, keep yours to read")                    \
    X(FETCH_X, dq_msg_page, 0, "send the requester the page, drop yours; others drop theirs")      \
    X(FETCH_M, dq_msg_page, 0, "yours is the only copy: it moves to the requester")                \
    X(INV, dq_msg_page, 0, "drop your copy, tell the requester (or the home)")                     \
    /* holder -> requester */                                                                      \
    X(DATA_S, dq_msg_page, DQ_PAGES, "a copy to read")                                             \
    X(DATA_X, dq_msg_page, DQ_PAGES, "the page; counts as one answer")                             \
    X(DATA_M, dq_msg_page, DQ_PAGES, "the only copy is yours")                                     \
    X(ACK, dq_msg_page, 0, "my copy is gone")                                                      \
    /* holder -> home */                                                                           \
    X(RACK, dq_msg_page, 0, "my copy is gone, for the map's reset")                                \
    /* master -> home, and back */                                                                 \
    X(OWN, dq_msg_range, 0, "these pages are the master's, exclusively; count = pages")            \
    X(RESET, dq_msg_range, 0, "forget these pages: untouched from now on, and of no file")         \
    X(RESET_FILE, dq_msg_range, 0, "likewise, and they begin with the content of a file")          \
    X(RESET_DONE, dq_msg_range, 0, "home -> master: nobody holds any of them")                     \
    X(LIST, dq_msg_range, 0, "which of your pages of the range does the sender not hold?")         \
    X(LISTED, dq_msg_range, DQ_ANY, "struct dq_run each; count = 1 if more follow")                \
    /* master -> nodes that know of the range, and back: the memory map */                         \
    X(MAP, dq_msg_map, 0, "apply, before any later RESULT; then answer MAPPED")                    \
    X(MAPPED, dq_msg_cookie, 0, "applied")                                                         \
    X(GLOBALS, dq_msg_cookie, DQ_ANY, "what the loader set up; answered by MAPPED")                \
    /* splitting */                                                                                \
    X(SPLIT_ASK, dq_msg_split, 0, "any node -> master: please split, or join, this page")          \
    X(SPLIT, dq_msg_split, 0, "master -> every node: apply, then answer SPLIT_DONE")               \
    X(SPLIT_DONE, dq_msg_split, 0, "applied, or refused")                                          \
    /* threads: master -> slave */                                                                 \
    X(START, dq_msg_thread, DQ_ANY, "run this thread; its clock and state follow")                 \
    X(RESULT, dq_msg_result, DQ_ANY, "a syscall's result, or the answer to TAKE; frames follow")   \
    X(KICK, dq_msg_thread, 0, "a signal is pending: ask with TAKE")                                \
    /* threads: slave -> master */                                                                 \
    X(SYSCALL, dq_msg_syscall, DQ_ANY,                                                             \
      "execute; a clone or fork carries the state, others their memory")                           \
    X(TAKE, dq_msg_thread, DQ_ANY, "which signals are pending? The mask follows, perhaps a fault") \
    X(EXIT, dq_msg_thread, 0, "the thread ends")                                                   \
    X(MOVE, dq_msg_thread, DQ_ANY, "the thread goes on at the master; its state follows")          \
    /* futexes */                                                                                  \
    X(FUTEX_REGISTER, dq_msg_futex, 0, "node -> master: threads here will wait on addr")           \
    X(FUTEX_REGISTERED, dq_msg_futex, 0, "master -> node: count = 1: you are alone (lease)")       \
    X(FUTEX_REVOKE, dq_msg_futex, 0, "master -> node: the lease ends, others are interested")      \
    X(FUTEX_REVOKED, dq_msg_futex, 0, "node -> master: from now on wakes come to you")             \
    X(FUTEX_HOLD, dq_msg_futex, 0, "node -> master, and on: a requeue begins, waiters stay put")   \
    X(FUTEX_HELD, dq_msg_futex, 0, "the answer to either; the requester now reads the word")       \
    X(FUTEX_MOVE, dq_msg_futex, 0, "node -> master, and on: the requeue (of none, too) ends so")   \
    X(FUTEX_MOVED, dq_msg_futex, 0, "the answer to either; count = threads woken")                 \
    X(FUTEX_WAKE, dq_msg_futex, 0, "node -> master, and master -> interested node")                \
    X(FUTEX_WOKEN, dq_msg_futex, 0, "the answer to either; count = threads woken")                 \
    /* the run */                                                                                  \
    X(END, dq_msg_cookie, 0, "master -> slave: the guest has ended; report and leave")             \
    /* clocks */                                                                                   \
    X(TIME_ASK, dq_msg_time_ask, 0, "slave -> master: what time is it?")                           \
    X(TIME, dq_msg_time, 0, "the answer; also unasked, when the master's realtime was set")        \
    /* processor time */                                                                           \
    X(CPU_ASK, dq_msg_cpu_ask, 0, "any node -> any other: how much has been used there?")          \
    X(CPU, dq_msg_cpu, 0, "the answer")                                                            \
    /* the check of pages */                                                                       \
    X(SUMS, dq_msg_page, DQ_ANY, "holder -> requester: 64 bits each of the pages that come next")  \
    /* scheduling */                                                                               \
    X(SCHED, dq_msg_sched, DQ_ANY,                                                                 \
      "master -> slave: so, on the processors of the mask that follows (64 a word)")               \
    /* memory */                                                                                   \
    X(MEMORY_ASK, dq_msg_cookie, 0, "master -> slave: how much is homed at you?")                  \
    X(MEMORY, dq_msg_memory, 0, "the answer")                                                      \
    /* core files */                                                                               \
    X(STATES_ASK, dq_msg_cookie, 0, "master -> slave: stop your threads, and tell where they are") \
    X(STATE, dq_msg_thread, DQ_ANY, "a thread's state follows; tid = 0: there are no more")        \
    /* touched pages */                                                                            \
    X(RESIDENT_ASK, dq_msg_range, 0, "master -> every node: which of these are touched?")          \
    X(RESIDENT, dq_msg_range, DQ_ANY, "the answer: bits, see dqemu/resident.c")                    \
    /* the memory map, for who does not know it */                                                 \
    X(MAP_ASK, dq_msg_map_ask, 0, "slave -> master: what is there? MAPs come, then RESULT")

enum dq_msg {
    DQ_MSG_NONE,
#define X(name, body, trailing, help) DQ_MSG_##name,
    DQ_MESSAGES(X)
#undef X
        DQ_MSG_COUNT
};

#endif
