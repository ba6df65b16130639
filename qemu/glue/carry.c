/*
 * System calls whose memory travels with them: a slave's thread makes a call, and the pages of its
 * arguments stay where they are. Otherwise they would move to the master for the call, and back for the
 * thread's next use of them: often its stack.
 *
 * The table below says what each call reads and writes, and only makes calls fast: what it does not name, or
 * names too short, is used in place (dq_overlay_find()). A call that is not plain (memory that is
 * not accessible, or the master's own, or too much of it) goes the ordinary way as a whole, and finds its
 * errors there.
 *
 * What is read is fetched when the call begins, as the kernel does. What is written is stored when it has
 * ended, before the thread goes on or one of its handlers runs, and only where it has changed: other
 * threads may write beside it, and calls leave alone some of what they may write. A call that is
 * interrupted and made again sends what is there by then. Nothing is pinned while a call sleeps.
 *
 * Calls that copy the process or the thread, replace the program, or change the map are not here; nor is
 * anything whose content the kernel uses beyond the call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/utsname.h>
#include "bounce.h"
#include "carry.h"
#include "split.h"

/* ---------------------------------------------------------------- the table */

/* How long a piece is. `size` bytes, `times` the argument of that number. */
enum piece_kind {
    NOTHING,
    FIXED,   /* size */
    TIMES,   /* size for each of the argument's count */
    BEHIND,  /* as the uint32_t says that the argument points to */
    BITS,    /* as many bits, in words of the guest */
    STRING,  /* up to its NUL */
    NAME,    /* of a socket: as the argument says */
    SIZED,   /* as its first uint32_t says, at least size */
    VECTOR,  /* struct iovec, as many; `use` is that of the buffers */
    HEADER,  /* struct msghdr; `use` is that of the buffers */
    HEADERS, /* struct mmsghdr, as many */
    MASK,    /* pselect6's: where a set is, and its size */
    IOCTL,   /* as the request says, which is the argument */
};

struct piece {
    uint8_t kind;
    uint8_t use; /* enum dq_carry_use */
    uint8_t arg; /* where it is */
    uint8_t by;
    uint32_t size;
};

/* clang-format off */
#define IN(arg, type) {FIXED, DQ_CARRY_IN, arg, 0, sizeof(type)}
#define OUT(arg, type) {FIXED, DQ_CARRY_IN_OUT, arg, 0, sizeof(type)}
#define PATH(arg) {STRING, DQ_CARRY_IN, arg, 0, 0}
#define IN_BYTES(arg, by) {TIMES, DQ_CARRY_IN, arg, by, 1}
#define IN_OUT_EACH(arg, by, type) {TIMES, DQ_CARRY_IN_OUT, arg, by, sizeof(type)}
#define FILLED(arg, by) {TIMES, DQ_CARRY_FILLED, arg, by, 1}
#define FILLED_EACH(arg, by, type) {TIMES, DQ_CARRY_FILLED, arg, by, sizeof(type)}
#define FD_SET_OF(arg) {BITS, DQ_CARRY_IN_OUT, arg, 0, 0}
/* A buffer whose size is behind a pointer, and that size. */
#define SIZE_BEHIND(arg, by) {BEHIND, DQ_CARRY_IN_OUT, arg, by, 0}, OUT(by, abi_uint)
#define SOCKET_NAME(arg, by) {NAME, DQ_CARRY_IN, arg, by, 0}
#define BUFFERS(arg, by, use) {VECTOR, use, arg, by, 0}
#define MESSAGE(arg, use) {HEADER, use, arg, 0, 0}
#define MESSAGES(arg, by, use) {HEADERS, use, arg, by, 0}
#define MASK_OF_SELECT(arg) {MASK, DQ_CARRY_IN, arg, 0, 0}
/* clang-format on */

#define MOST_PIECES 5

#if defined(TARGET_ARM) && defined(TARGET_ABI32)
typedef struct target_eabi_stat64 stat64_of_guest;
#elif defined(TARGET_HAS_STRUCT_STAT64)
typedef struct target_stat64 stat64_of_guest;
#else
typedef struct target_stat stat64_of_guest;
#endif
typedef struct target_timespec timespec_of_guest;
typedef struct target__kernel_timespec timespec64;
typedef struct target__kernel_itimerspec itimerspec64;
typedef abi_int pair_of_fds[2];

static const struct piece table[][MOST_PIECES] = {
    /* files: bytes */
    [TARGET_NR_read] = {FILLED(1, 2)},
    [TARGET_NR_pread64] = {FILLED(1, 2)},
    [TARGET_NR_readv] = {BUFFERS(1, 2, DQ_CARRY_FILLED)},
    [TARGET_NR_preadv] = {BUFFERS(1, 2, DQ_CARRY_FILLED)},
    [TARGET_NR_write] = {IN_BYTES(1, 2)},
    [TARGET_NR_pwrite64] = {IN_BYTES(1, 2)},
    [TARGET_NR_writev] = {BUFFERS(1, 2, DQ_CARRY_IN)},
    [TARGET_NR_pwritev] = {BUFFERS(1, 2, DQ_CARRY_IN)},
    [TARGET_NR_sendfile] = {OUT(2, abi_long)},
#ifdef TARGET_NR_sendfile64
    [TARGET_NR_sendfile64] = {OUT(2, int64_t)},
#endif

    /* files: names, and what they are */
    [TARGET_NR_openat] = {PATH(1)},
    [TARGET_NR_faccessat] = {PATH(1)},
    [TARGET_NR_unlinkat] = {PATH(1)},
    [TARGET_NR_readlinkat] = {PATH(1), FILLED(2, 3)},
    [TARGET_NR_getcwd] = {FILLED(0, 1)},
    [TARGET_NR_getdents64] = {FILLED(1, 2)},
    [TARGET_NR_statx] = {PATH(1), OUT(4, struct target_statx)},
    [TARGET_NR_fstat] = {OUT(1, struct target_stat)},
#ifdef TARGET_NR_newfstatat
    [TARGET_NR_newfstatat] = {PATH(1), OUT(2, stat64_of_guest)},
#endif
#ifdef TARGET_NR_fstatat64
    [TARGET_NR_fstatat64] = {PATH(1), OUT(2, stat64_of_guest)},
#endif
#ifdef TARGET_NR_fstat64
    [TARGET_NR_fstat64] = {OUT(1, stat64_of_guest)},
    [TARGET_NR_stat64] = {PATH(0), OUT(1, stat64_of_guest)},
    [TARGET_NR_lstat64] = {PATH(0), OUT(1, stat64_of_guest)},
#endif
#ifdef TARGET_NR_stat
    [TARGET_NR_stat] = {PATH(0), OUT(1, struct target_stat)},
    [TARGET_NR_lstat] = {PATH(0), OUT(1, struct target_stat)},
#endif
#ifdef TARGET_NR_open
    [TARGET_NR_open] = {PATH(0)},
    [TARGET_NR_access] = {PATH(0)},
    [TARGET_NR_unlink] = {PATH(0)},
    [TARGET_NR_readlink] = {PATH(0), FILLED(1, 2)},
#endif
    [TARGET_NR_ioctl] = {{IOCTL, DQ_CARRY_IN_OUT, 2, 1, 0}},
    [TARGET_NR_pipe2] = {OUT(0, pair_of_fds)},
#ifdef TARGET_NR_pipe
    [TARGET_NR_pipe] = {OUT(0, pair_of_fds)},
#endif

    /* sockets, and queues of messages */
    [TARGET_NR_socketpair] = {OUT(3, pair_of_fds)},
    [TARGET_NR_bind] = {SOCKET_NAME(1, 2)},
    [TARGET_NR_connect] = {SOCKET_NAME(1, 2)},
    [TARGET_NR_accept4] = {SIZE_BEHIND(1, 2)},
#ifdef TARGET_NR_accept
    [TARGET_NR_accept] = {SIZE_BEHIND(1, 2)},
#endif
    [TARGET_NR_getsockname] = {SIZE_BEHIND(1, 2)},
    [TARGET_NR_getpeername] = {SIZE_BEHIND(1, 2)},
    [TARGET_NR_getsockopt] = {SIZE_BEHIND(3, 4)},
    [TARGET_NR_setsockopt] = {IN_BYTES(3, 4)},
    [TARGET_NR_sendto] = {IN_BYTES(1, 2), SOCKET_NAME(4, 5)},
    [TARGET_NR_recvfrom] = {FILLED(1, 2), SIZE_BEHIND(4, 5)},
#ifdef TARGET_NR_send
    [TARGET_NR_send] = {IN_BYTES(1, 2)},
    [TARGET_NR_recv] = {FILLED(1, 2)},
#endif
    [TARGET_NR_sendmsg] = {MESSAGE(1, DQ_CARRY_IN)},
    [TARGET_NR_recvmsg] = {MESSAGE(1, DQ_CARRY_FILLED)},
    [TARGET_NR_sendmmsg] = {MESSAGES(1, 2, DQ_CARRY_IN)},
    [TARGET_NR_recvmmsg] = {MESSAGES(1, 2, DQ_CARRY_IN_OUT)},
    [TARGET_NR_mq_timedsend] = {IN_BYTES(1, 2), OUT(4, timespec_of_guest)},
    [TARGET_NR_mq_timedreceive] = {FILLED(1, 2), OUT(3, abi_uint), OUT(4, timespec_of_guest)},
#ifdef TARGET_NR_mq_timedsend_time64
    [TARGET_NR_mq_timedsend_time64] = {IN_BYTES(1, 2), OUT(4, timespec64)},
    [TARGET_NR_mq_timedreceive_time64] = {FILLED(1, 2), OUT(3, abi_uint), OUT(4, timespec64)},
#endif

    /* waiting */
    [TARGET_NR_ppoll] = {IN_OUT_EACH(0, 1, struct target_pollfd), OUT(2, timespec_of_guest),
                         IN(3, target_sigset_t)},
    [TARGET_NR_pselect6] = {FD_SET_OF(1), FD_SET_OF(2), FD_SET_OF(3), OUT(4, timespec_of_guest),
                            MASK_OF_SELECT(5)},
    [TARGET_NR_epoll_ctl] = {IN(3, struct target_epoll_event)},
    [TARGET_NR_epoll_pwait] = {FILLED_EACH(1, 2, struct target_epoll_event),
                               IN(4, target_sigset_t)},
    [TARGET_NR_nanosleep] = {IN(0, timespec_of_guest), OUT(1, timespec_of_guest)},
    [TARGET_NR_clock_nanosleep] = {IN(2, timespec_of_guest), OUT(3, timespec_of_guest)},
    [TARGET_NR_wait4] = {OUT(1, abi_int), OUT(3, struct target_rusage)},
    [TARGET_NR_waitid] = {OUT(2, target_siginfo_t), OUT(4, struct target_rusage)},
#ifdef TARGET_NR_ppoll_time64
    [TARGET_NR_ppoll_time64] = {IN_OUT_EACH(0, 1, struct target_pollfd), OUT(2, timespec64),
                                IN(3, target_sigset_t)},
    [TARGET_NR_pselect6_time64] = {FD_SET_OF(1), FD_SET_OF(2), FD_SET_OF(3), OUT(4, timespec64),
                                   MASK_OF_SELECT(5)},
    [TARGET_NR_clock_nanosleep_time64] = {IN(2, timespec64), OUT(3, timespec64)},
#endif
#ifdef TARGET_NR_poll
    [TARGET_NR_poll] = {IN_OUT_EACH(0, 1, struct target_pollfd)},
#endif
#ifdef TARGET_NR_epoll_wait
    [TARGET_NR_epoll_wait] = {FILLED_EACH(1, 2, struct target_epoll_event)},
#endif
#ifdef TARGET_NR__newselect
    [TARGET_NR__newselect] = {FD_SET_OF(1), FD_SET_OF(2), FD_SET_OF(3),
                              OUT(4, struct target_timeval)},
#elif defined(TARGET_NR_select)
    [TARGET_NR_select] = {FD_SET_OF(1), FD_SET_OF(2), FD_SET_OF(3), OUT(4, struct target_timeval)},
#endif

    /* signals */
    [TARGET_NR_rt_sigaction] = {IN(1, struct target_sigaction), OUT(2, struct target_sigaction)},
    [TARGET_NR_rt_sigpending] = {OUT(0, target_sigset_t)},
    [TARGET_NR_rt_sigsuspend] = {IN(0, target_sigset_t)},
    [TARGET_NR_rt_sigtimedwait] = {IN(0, target_sigset_t), OUT(1, target_siginfo_t),
                                   IN(2, timespec_of_guest)},
#ifdef TARGET_NR_rt_sigtimedwait_time64
    [TARGET_NR_rt_sigtimedwait_time64] = {IN(0, target_sigset_t), OUT(1, target_siginfo_t),
                                          IN(2, timespec64)},
#endif
    [TARGET_NR_rt_sigqueueinfo] = {IN(2, target_siginfo_t)},
    [TARGET_NR_rt_tgsigqueueinfo] = {IN(3, target_siginfo_t)},
    [TARGET_NR_signalfd4] = {IN(1, target_sigset_t)},

    /* timers */
    [TARGET_NR_getitimer] = {OUT(1, struct target_itimerval)},
    [TARGET_NR_setitimer] = {IN(1, struct target_itimerval), OUT(2, struct target_itimerval)},
    [TARGET_NR_timer_create] = {IN(1, struct target_sigevent), OUT(2, target_timer_t)},
    [TARGET_NR_timer_settime] = {IN(2, struct target_itimerspec), OUT(3, struct target_itimerspec)},
    [TARGET_NR_timer_gettime] = {OUT(1, struct target_itimerspec)},
    [TARGET_NR_timerfd_settime] = {IN(2, struct target_itimerspec),
                                   OUT(3, struct target_itimerspec)},
    [TARGET_NR_timerfd_gettime] = {OUT(1, struct target_itimerspec)},
#ifdef TARGET_NR_timer_settime64
    [TARGET_NR_timer_settime64] = {IN(2, itimerspec64), OUT(3, itimerspec64)},
    [TARGET_NR_timer_gettime64] = {OUT(1, itimerspec64)},
    [TARGET_NR_timerfd_settime64] = {IN(2, itimerspec64), OUT(3, itimerspec64)},
    [TARGET_NR_timerfd_gettime64] = {OUT(1, itimerspec64)},
#endif

    /* clocks, where the slave does not know them */
    [TARGET_NR_clock_gettime] = {OUT(1, timespec_of_guest)},
    [TARGET_NR_clock_getres] = {OUT(1, timespec_of_guest)},
#ifdef TARGET_NR_clock_gettime64
    [TARGET_NR_clock_gettime64] = {OUT(1, timespec64)},
    [TARGET_NR_clock_getres_time64] = {OUT(1, timespec64)},
#endif

    /* the process, and the machine */
    [TARGET_NR_uname] = {OUT(0, struct new_utsname)},
    [TARGET_NR_sysinfo] = {OUT(0, struct target_sysinfo)},
    [TARGET_NR_times] = {OUT(0, struct target_tms)},
    [TARGET_NR_getrusage] = {OUT(1, struct target_rusage)},
    [TARGET_NR_prlimit64] = {IN(2, struct target_rlimit64), OUT(3, struct target_rlimit64)},
#ifdef TARGET_NR_getrlimit
    [TARGET_NR_getrlimit] = {OUT(1, struct target_rlimit)},
#endif
#ifdef TARGET_NR_ugetrlimit
    [TARGET_NR_ugetrlimit] = {OUT(1, struct target_rlimit)},
#endif
    [TARGET_NR_setrlimit] = {IN(1, struct target_rlimit)},
    [TARGET_NR_sched_setscheduler] = {IN(2, struct target_sched_param)},
    [TARGET_NR_sched_setparam] = {IN(1, struct target_sched_param)},
    [TARGET_NR_sched_getparam] = {OUT(1, struct target_sched_param)},
    [TARGET_NR_sched_setattr] = {{SIZED, DQ_CARRY_IN_OUT, 1, 0,
                                  offsetof(struct target_sched_attr, sched_util_min)}},
    [TARGET_NR_sched_getattr] = {IN_OUT_EACH(1, 2, uint8_t)},
    [TARGET_NR_sched_setaffinity] = {IN_BYTES(2, 1)},
    [TARGET_NR_sched_getaffinity] = {FILLED(2, 1)},
};

/* ---------------------------------------------------------------- the guest's memory */

static bool is_foreign(abi_ulong addr, size_t len)
{
    abi_ulong last = (addr + len - 1) & TARGET_PAGE_MASK;

    for (abi_ulong page = addr & TARGET_PAGE_MASK; page <= last; page += TARGET_PAGE_SIZE) {
        if (dq_is_foreign(page)) {
            return true;
        }
    }
    return false;
}

static void begin_store(uint64_t addr, size_t length)
{
    dq_split_pin(addr, length);
}

static bool store(uint64_t addr, const uint8_t *bytes, size_t length)
{
    return dq_bounce_copy(addr, (uint8_t *)bytes, length, true);
}

/* What a call reads has mostly been written just before, so it is here: nothing is asked for ahead. */
static bool load(uint64_t addr, uint8_t *to, size_t length)
{
    dq_split_pin(addr, length);
    return dq_guest_copy(to, g2h_untagged(addr), length);
}

static const struct dq_carry_ops ops = {.begin = begin_store, .store = store};

/* ---------------------------------------------------------------- on the slave: what a call uses */

struct gathering {
    CPUState *cpu;
    const abi_long *arg;
    struct dq_carry_list list;
};

/* Like the rest here, false: the call goes the ordinary way. `addr` may bear a tag. */
static bool add(struct gathering *g, abi_ulong addr, abi_ulong len, enum dq_carry_use use,
                unsigned unit)
{
    if (len == 0) {
        return true;
    }
    return len <= DQ_CARRY_BYTES &&
           access_ok(g->cpu, use == DQ_CARRY_IN ? VERIFY_READ : VERIFY_WRITE, addr, len) &&
           !is_foreign(cpu_untagged_addr(g->cpu, addr), len) &&
           dq_carry_add(&g->list, cpu_untagged_addr(g->cpu, addr), len, use, unit);
}

static bool add_plain(struct gathering *g, abi_ulong addr, abi_ulong len, enum dq_carry_use use)
{
    return add(g, addr, len, use, use == DQ_CARRY_FILLED);
}

static bool fetch(const struct gathering *g, abi_ulong addr, void *to, size_t len)
{
    return access_ok(g->cpu, VERIFY_READ, addr, len) &&
           !is_foreign(cpu_untagged_addr(g->cpu, addr), len) &&
           load(cpu_untagged_addr(g->cpu, addr), to, len);
}

static bool fetch32(const struct gathering *g, abi_ulong addr, uint32_t *value)
{
    bool good = fetch(g, addr, value, sizeof(*value));

    *value = tswap32(*value);
    return good;
}

static bool add_times(struct gathering *g, const struct piece *p)
{
    abi_ulong count = g->arg[p->by];

    return count <= DQ_CARRY_BYTES / p->size &&
           add(g, g->arg[p->arg], count * p->size, p->use, p->use == DQ_CARRY_FILLED ? p->size : 0);
}

static bool add_bits(struct gathering *g, const struct piece *p)
{
    abi_long bits = g->arg[0];

    return bits >= 0 && bits <= DQ_CARRY_BYTES &&
           add(g, g->arg[p->arg], DIV_ROUND_UP(bits, TARGET_ABI_BITS) * (TARGET_ABI_BITS / 8),
               p->use, 0);
}

static bool add_string(struct gathering *g, const struct piece *p)
{
    abi_ulong addr = g->arg[p->arg], len = 0;
    uint8_t some[256];

    while (len < PATH_MAX) {
        /* not beyond what surely is there if the last byte was */
        size_t n = MIN(sizeof(some), -(addr + len) & (DQ_PAGE_SIZE - 1) ?: DQ_PAGE_SIZE);
        const uint8_t *end;

        if (!fetch(g, addr + len, some, n)) {
            return false;
        }
        end = memchr(some, 0, n);
        if (end) {
            return add(g, addr, len + (end - some) + 1, p->use, 0);
        }
        len += n;
    }
    return false;
}

/* Of a name that is too short to end with a NUL, QEMU looks at the byte behind it. */
static bool add_name(struct gathering *g, abi_ulong addr, uint32_t len, enum dq_carry_use use)
{
    uint16_t family;

    if (len >= sizeof(family) && len < sizeof(struct sockaddr_un)) {
        if (!fetch(g, addr, &family, sizeof(family))) {
            return false;
        }
        len += tswap16(family) == AF_UNIX;
    }
    return add(g, addr, len, use, 0);
}

static bool add_behind(struct gathering *g, const struct piece *p)
{
    uint32_t len;

    return fetch32(g, g->arg[p->by], &len) && add(g, g->arg[p->arg], len, p->use, 0);
}

static bool add_sized(struct gathering *g, const struct piece *p)
{
    uint32_t len;

    return fetch32(g, g->arg[p->arg], &len) && add(g, g->arg[p->arg], MAX(len, p->size), p->use, 0);
}

static bool add_vector(struct gathering *g, abi_ulong addr, abi_ulong count, enum dq_carry_use use)
{
    struct target_iovec v[DQ_CARRY_MOST];
    bool good = count <= DQ_CARRY_MOST && (count == 0 || fetch(g, addr, v, count * sizeof(*v))) &&
                add(g, addr, count * sizeof(*v), DQ_CARRY_IN, 0);

    for (abi_ulong i = 0; good && i < count; i++) {
        good = add_plain(g, tswapal(v[i].iov_base), tswapal(v[i].iov_len), use);
    }
    return good;
}

static bool add_header(struct gathering *g, abi_ulong addr, enum dq_carry_use use)
{
    enum dq_carry_use parts = use == DQ_CARRY_IN ? DQ_CARRY_IN : DQ_CARRY_IN_OUT;
    struct target_msghdr m;

    return fetch(g, addr, &m, sizeof(m)) && add(g, addr, sizeof(m), parts, 0) &&
           (!m.msg_name || add_name(g, tswapal(m.msg_name), tswap32(m.msg_namelen), parts)) &&
           (!m.msg_control ||
            add(g, tswapal(m.msg_control), tswapal(m.msg_controllen), parts, 0)) &&
           add_vector(g, tswapal(m.msg_iov), tswapal(m.msg_iovlen), use);
}

/* What is received is told for each by itself: so buffers go there and back. */
static bool add_headers(struct gathering *g, const struct piece *p)
{
    abi_ulong addr = g->arg[p->arg], count = (uint32_t)g->arg[p->by];
    bool good = count <= DQ_CARRY_MOST &&
                add(g, addr, count * sizeof(struct target_mmsghdr), DQ_CARRY_IN_OUT, 0);

    for (abi_ulong i = 0; good && i < count; i++) {
        good = add_header(g, addr + i * sizeof(struct target_mmsghdr), p->use);
    }
    return good;
}

static bool add_mask(struct gathering *g, const struct piece *p)
{
    abi_ulong set[2];

    return fetch(g, g->arg[p->arg], set, sizeof(set)) &&
           add(g, g->arg[p->arg], sizeof(set), p->use, 0) &&
           (!set[0] || add(g, tswapal(set[0]), tswapal(set[1]), p->use, 0));
}

static bool add_ioctl(struct gathering *g, const struct piece *p)
{
    switch ((uint32_t)g->arg[p->by]) {
    case TARGET_FIONREAD:
    case TARGET_FIONBIO:
        return add(g, g->arg[p->arg], sizeof(abi_int), p->use, 0);
    case TARGET_TIOCGWINSZ:
        return add(g, g->arg[p->arg], sizeof(struct target_winsize), p->use, 0);
    case TARGET_TCGETS:
        return add(g, g->arg[p->arg], sizeof(struct target_termios), p->use, 0);
    default:
        return true;
    }
}

static bool add_piece(struct gathering *g, const struct piece *p)
{
    if (!g->arg[p->arg]) { /* none, or the call fails */
        return true;
    }
    switch ((enum piece_kind)p->kind) {
    case FIXED:
        return add(g, g->arg[p->arg], p->size, p->use, 0);
    case TIMES:
        return add_times(g, p);
    case BEHIND:
        return add_behind(g, p);
    case BITS:
        return add_bits(g, p);
    case STRING:
        return add_string(g, p);
    case NAME:
        return add_name(g, g->arg[p->arg], g->arg[p->by], p->use);
    case SIZED:
        return add_sized(g, p);
    case VECTOR:
        return add_vector(g, g->arg[p->arg], g->arg[p->by], p->use);
    case HEADER:
        return add_header(g, g->arg[p->arg], p->use);
    case HEADERS:
        return add_headers(g, p);
    case MASK:
        return add_mask(g, p);
    case IOCTL:
        return add_ioctl(g, p);
    case NOTHING:
        break;
    }
    return true;
}

static bool gather(struct gathering *g, int num)
{
    if (num < 0 || num >= ARRAY_SIZE(table)) {
        return false;
    }
    for (unsigned i = 0; i < MOST_PIECES && table[num][i].kind != NOTHING; i++) {
        if (!add_piece(g, &table[num][i])) {
            return false;
        }
    }
    return g->list.count;
}

/* ---------------------------------------------------------------- on the slave */

bool dq_carry_begin(CPUArchState *env, int num, const abi_long arg[8], struct dq_carried *c)
{
    struct gathering g;
    bool good;

    g.cpu = env_cpu(env);
    g.arg = arg;
    g.list.count = 0;
    g.list.bytes = 0;
    good = gather(&g, num);
    if (good) {
        c->length = sizeof(*c->call) + dq_carry_size(&g.list);
        c->call = g_malloc(c->length);
        *c->call = (struct dq_msg_syscall){
            .tid = dq_this_thread()->remote.tid,
            .number = num | DQ_SYSCALL_CARRIES,
        };
        for (int i = 0; i < 8; i++) {
            c->call->arg[i] = arg[i];
        }
        good = dq_carry_pack(&g.list, c->call + 1, load);
        if (!good) {
            g_free(c->call);
        }
    }
    dq_split_unpin(); /* what was fetched; the call may sleep */
    return good;
}

abi_long dq_carry_end(struct dq_carried *c, struct dq_remote *remote)
{
    struct dq_msg_result *r = remote->result;
    size_t head = sizeof(*r) + r->signals * sizeof(struct dq_frame_of_signal);
    bool stored;

    if (remote->result_length < head ||
        dq_carry_unpack(c->call + 1, (char *)r + head, remote->result_length - head, &ops,
                        &stored)) {
        dq_control_error(125,
                         "node %d got a malformed result; install the same dqemu on every node",
                         dq_config.node);
        _exit(125);
    }
    dq_split_unpin();
    remote->result_length = head;
    g_free(c->call);
    return stored || is_error(r->value) ? r->value : -TARGET_EFAULT;
}

/* ---------------------------------------------------------------- at the proxy */

/* Of the call that this proxy executes; NULL: its memory is used in place. */
static __thread struct dq_overlay *overlay;

int dq_carry_open(void *message, size_t length)
{
    static __thread struct dq_overlay of_thread;

    if (dq_overlay_open(&of_thread, message, length, &ops)) {
        return -EPROTO;
    }
    overlay = &of_thread;
    return 0;
}

abi_long dq_carry_close(abi_long ret, GByteArray *out)
{
    struct dq_overlay *o = overlay;
    bool good;

    overlay = NULL;
    good = dq_overlay_answer(o, is_error(ret) ? 0 : ret, out);
    dq_overlay_close(o);
    dq_split_unpin();
    return good || is_error(ret) ? ret : -TARGET_EFAULT;
}

void *dq_carry_lock(abi_ulong addr, ssize_t len, bool write)
{
    return overlay && len > 0 ? dq_overlay_find(overlay, addr, len, write) : NULL;
}

ssize_t dq_carried_strlen(abi_ulong addr)
{
    return overlay ? dq_overlay_strlen(overlay, cpu_untagged_addr(thread_cpu, addr)) : -1;
}
