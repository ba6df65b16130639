/*
 * What system calls read and write in memory, for threads of other nodes: arguments that lie across pages of
 * another node's, that are too short or not there, that overlap, or beside which other threads write. All
 * of it is as on one machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>

enum { PAGES = 32, LENGTH = PAGES * GUEST_PAGE, ROUNDS = 4, WORDS = 16 };

#include "across.h"

/* Behind the area: a page that cannot be accessed, and one that can be read. */
static char *forbidden, *readable;

static bool is_filled(const char *from, char with, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (from[i] != with) {
            return false;
        }
    }
    return true;
}

/* ---- sockets */

static void names(void)
{
    struct sockaddr_in *in = ACROSS(struct sockaddr_in), *got = ACROSS(struct sockaddr_in);
    socklen_t *length = ACROSS(socklen_t);
    int listener = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0), accepted;

    memset(in, 0, sizeof(*in));
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)in, sizeof(*in)) == 0 && listen(listener, 1) == 0);
    *length = sizeof(*got);
    CHECK(getsockname(listener, (struct sockaddr *)got, length) == 0 && *length == sizeof(*got));
    CHECK(got->sin_port != 0 && got->sin_addr.s_addr == in->sin_addr.s_addr);
    in->sin_port = got->sin_port;
    CHECK(connect(out, (struct sockaddr *)in, sizeof(*in)) == 0);
    memset(got, 'x', sizeof(*got));
    *length = 4; /* too short: the rest stays, and the true length is told */
    accepted = accept(listener, (struct sockaddr *)got, length);
    CHECK(accepted >= 0 && *length == sizeof(*got) && got->sin_family == AF_INET);
    CHECK(got->sin_addr.s_addr == 0x78787878);
    *length = sizeof(*got);
    CHECK(getpeername(accepted, (struct sockaddr *)got, length) == 0);
    CHECK(got->sin_addr.s_addr == in->sin_addr.s_addr);
    *length = 0;
    CHECK(getpeername(accepted, (struct sockaddr *)got, length) == 0);
    CHECK(*length == sizeof(*got));
    CHECK(close(accepted) == 0 && close(out) == 0 && close(listener) == 0);
}

/* Unix sockets, with names that end without a NUL, and a byte behind that is one or is not. */
static void unix_names(void)
{
    struct sockaddr_un *name = ACROSS(struct sockaddr_un), *from = ACROSS(struct sockaddr_un);
    socklen_t *length = ACROSS(socklen_t);
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
    char *data = across(64), path[64];
    size_t n;

    n = snprintf(path, sizeof(path), "/tmp/dqemu-call-%d-%d", getpid(), gettid());
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, n + 1);
    CHECK(bind(a, (struct sockaddr *)name, offsetof(struct sockaddr_un, sun_path) + n) == 0);
    *data = 'd';
    CHECK(sendto(b, data, 1, 0, (struct sockaddr *)name,
                 offsetof(struct sockaddr_un, sun_path) + n + 1) == 1);
    memset(data, 'x', 64);
    *length = sizeof(*from);
    CHECK(recvfrom(a, data, 64, 0, (struct sockaddr *)from, length) == 1);
    CHECK(data[0] == 'd' && is_filled(data + 1, 'x', 63) && *length < sizeof(*from));
    CHECK(unlink(path) == 0 && close(a) == 0 && close(b) == 0);
}

static void messages(void)
{
    struct msghdr *m = ACROSS(struct msghdr);
    struct iovec *v = across(4 * sizeof(*v));
    char *data = across(100), *more = across(20), *control = across(CMSG_SPACE(sizeof(int)));
    struct cmsghdr *c = (struct cmsghdr *)control;
    int ends[2], fd = guest_tmpfile(), got;
    struct stat here, there;

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    memcpy(data, "0123456789", 10);
    memcpy(more, "abcdef", 6);
    v[0] = (struct iovec){data, 10};
    v[1] = (struct iovec){NULL, 0};
    v[2] = (struct iovec){more, 6};
    v[3] = (struct iovec){data, 3}; /* again */
    memset(m, 0, sizeof(*m));
    m->msg_iov = v;
    m->msg_iovlen = 4;
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(sizeof(int));
    memset(control, 0, CMSG_SPACE(sizeof(int)));
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    CHECK(sendmsg(ends[0], m, 0) == 19);
    memset(control, 0, CMSG_SPACE(sizeof(int)));
    memset(data, 'x', 100);
    memset(more, 'y', 20);
    v[0].iov_len = 4;
    v[2].iov_len = 20;
    m->msg_iovlen = 3;
    m->msg_flags = 0;
    CHECK(recvmsg(ends[1], m, 0) == 19);
    CHECK(memcmp(data, "0123xxxx", 8) == 0 && memcmp(more, "456789abcdef012yyyyy", 20) == 0);
    CHECK(m->msg_controllen >= CMSG_LEN(sizeof(int)) && c->cmsg_type == SCM_RIGHTS);
    memcpy(&got, CMSG_DATA(c), sizeof(got));
    CHECK(fstat(fd, &here) == 0 && fstat(got, &there) == 0 && here.st_ino == there.st_ino);
    CHECK(close(got) == 0);

    /* a packet that is longer than the buffers */
    CHECK(send(ends[0], "0123456789", 10, 0) == 10);
    CHECK(recv(ends[1], more, 3, MSG_PEEK | MSG_TRUNC) == 10 && memcmp(more, "012a", 3) == 0);
    v[0].iov_len = 2;
    v[2].iov_len = 3;
    memset(more, 'y', 20);
    m->msg_control = NULL;
    m->msg_controllen = 0;
    CHECK(recvmsg(ends[1], m, MSG_TRUNC) == 10 && m->msg_flags & MSG_TRUNC);
    CHECK(memcmp(data, "0123", 4) == 0 && memcmp(more, "234yyy", 6) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(fd) == 0);
}

/* Two packets at once, and a queue of messages. */
static void many_messages(void)
{
    struct mmsghdr *mm = across(3 * sizeof(*mm));
    struct iovec *v = across(3 * sizeof(*v));
    char *data = across(90), *message = across(64), name[32];
    unsigned *priority = ACROSS(unsigned);
    struct mq_attr *attr = ACROSS(struct mq_attr);
    int ends[2];
    mqd_t queue;

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    memset(mm, 0, 3 * sizeof(*mm));
    memset(data, 'x', 90);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){data + 30 * i, 10 + i};
        mm[i].msg_hdr.msg_iov = &v[i];
        mm[i].msg_hdr.msg_iovlen = 1;
        data[30 * i] = '0' + i;
    }
    CHECK(sendmmsg(ends[0], mm, 2, 0) == 2 && mm[0].msg_len == 10 && mm[1].msg_len == 11);
    memset(data, 'y', 90);
    v[1].iov_len = 30;
    CHECK(recvmmsg(ends[1], mm, 3, MSG_DONTWAIT, NULL) == 2);
    CHECK(mm[0].msg_len == 10 && mm[1].msg_len == 11 && mm[2].msg_len == 0);
    CHECK(memcmp(data, "0xxxxxxxxxy", 11) == 0 && memcmp(data + 30, "1xxxxxxxxxxy", 12) == 0);
    CHECK(is_filled(data + 60, 'y', 30));
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);

    snprintf(name, sizeof(name), "/dqemu-call-%d-%d", getpid(), gettid());
    memset(attr, 0, sizeof(*attr));
    attr->mq_maxmsg = 2;
    attr->mq_msgsize = 64;
    queue = mq_open(name, O_RDWR | O_CREAT, 0600, attr);
    if (queue == -1) { /* not on every machine */
        return;
    }
    CHECK(mq_unlink(name) == 0);
    memcpy(message, "abc", 4);
    CHECK(mq_send(queue, message, 4, 3) == 0);
    memset(message, 'z', 64);
    CHECK(mq_receive(queue, message, 64, priority) == 4 && *priority == 3);
    CHECK(memcmp(message, "abc\0zzz", 7) == 0 && mq_close(queue) == 0);
}

static void options(void)
{
    struct linger *linger = ACROSS(struct linger);
    socklen_t *length = ACROSS(socklen_t);
    int *value = ACROSS(int), *ends = across(2 * sizeof(int));

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && ends[0] >= 0 && ends[1] > ends[0]);
    *linger = (struct linger){.l_onoff = 1, .l_linger = 7};
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, linger, sizeof(*linger)) == 0);
    memset(linger, 0, sizeof(*linger));
    *length = sizeof(*linger);
    CHECK(getsockopt(ends[0], SOL_SOCKET, SO_LINGER, linger, length) == 0);
    CHECK(linger->l_onoff == 1 && linger->l_linger == 7 && *length == sizeof(*linger));
    *value = 0x55555555;
    *length = 1;
    CHECK(getsockopt(ends[0], SOL_SOCKET, SO_TYPE, value, length) == 0 && *length == 1);
    CHECK(*value == 0x55555501);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* ---- files */

static void vectors(void)
{
    struct iovec *v = across(2 * sizeof(*v));
    char *data = across(40);
    int fd = guest_tmpfile();

    memcpy(data, "0123456789", 10);
    v[0] = (struct iovec){data, 10};
    v[1] = (struct iovec){data + 5, 5};
    CHECK(writev(fd, v, 2) == 15);
    memset(data, 'x', 40);
    v[0] = (struct iovec){data, 10};
    v[1] = (struct iovec){data + 5, 10}; /* over the first */
    CHECK(preadv(fd, v, 2, 0) == 15);
    CHECK(memcmp(data, "0123456789xxx", 10) == 0 && data[10] == 'x');
    memset(data, 'x', 40);
    v[1] = (struct iovec){data + 20, 20};
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, v, 2) == 15);
    CHECK(memcmp(data, "0123456789xxxxxxxxxx56789xxx", 28) == 0);
    CHECK(read(fd, data, 40) == 0 && memcmp(data, "0123456789x", 11) == 0);
    CHECK(close(fd) == 0);
}

static void file_names(void)
{
    char *name = across(40), *at_end = forbidden - 10, *link = across(100), *cwd = across(PATH_MAX);
    struct stat *st = ACROSS(struct stat);
    struct statx *stx = ACROSS(struct statx);
    char *entries = across(4096), *long_name = area;
    int fd;

    strcpy(name, "/dev/null");
    strcpy(at_end, "/dev/null"); /* its NUL is the last byte that there is */
    fd = open(name, O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0 && access(at_end, R_OK) == 0);
    fd = open(at_end, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, st) == 0 && S_ISCHR(st->st_mode) && close(fd) == 0);
    CHECK(stat(name, st) == 0 && S_ISCHR(st->st_mode));
    CHECK(statx(AT_FDCWD, at_end, 0, STATX_BASIC_STATS, stx) == 0 && S_ISCHR(stx->stx_mode));
    /* the name beside the buffer, in one page */
    memmove(name, "/dev/null", 10);
    CHECK(syscall(SYS_statx, AT_FDCWD, name, 0, STATX_BASIC_STATS, name + 10) == 0);
    CHECK(strcmp(name, "/dev/null") == 0);
    at_end[9] = 'x'; /* now it has no end */
    CHECK(open(at_end, O_RDONLY) == -1 && errno == EFAULT);
    CHECK(open("/dev/none", O_RDONLY) == -1 && errno == ENOENT);
    memset(long_name, 'n', 2 * GUEST_PAGE);
    long_name[2 * GUEST_PAGE] = 0;
    CHECK(open(long_name, O_RDONLY) == -1 && errno == ENAMETOOLONG);
    memset(link, 'x', 100);
    CHECK(readlink("/proc/self/cwd", link, 1) == 1 && link[0] == '/' && link[1] == 'x');
    CHECK(syscall(SYS_getcwd, cwd, PATH_MAX) > 1 && cwd[0] == '/');
    fd = open("/dev", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && syscall(SYS_getdents64, fd, entries, 4096) > 0);
    CHECK(close(fd) == 0);
}

/* ---- waiting */

static void waiting(void)
{
    struct pollfd *p = across(3 * sizeof(*p));
    struct epoll_event *e = across(4 * sizeof(*e));
    fd_set *set = ACROSS(fd_set), *same = ACROSS(fd_set);
    struct timespec *t = ACROSS(struct timespec);
    struct itimerspec *its = ACROSS(struct itimerspec);
    int *ends = across(2 * sizeof(int)), *n = ACROSS(int), epoll = epoll_create1(0), timer;
    static const struct timespec shortly = {.tv_nsec = 1};

    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    p[0] = (struct pollfd){.fd = ends[0], .events = POLLIN};
    p[1] = (struct pollfd){.fd = -1, .revents = 77};
    p[2] = (struct pollfd){.fd = ends[1], .events = POLLOUT | POLLIN};
    *t = (struct timespec){.tv_sec = 5};
    CHECK(ppoll(p, 3, t, NULL) == 2);
    CHECK(p[0].revents == POLLIN && p[1].revents == 0 && p[2].revents == POLLOUT);
    *e = (struct epoll_event){.events = EPOLLIN, .data.u64 = 0x0123456789abcdef};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], e) == 0);
    memset(e, 'x', 4 * sizeof(*e));
    CHECK(epoll_wait(epoll, e, 4, -1) == 1 && e->data.u64 == 0x0123456789abcdef);
    CHECK(is_filled((char *)(e + 1), 'x', 3 * sizeof(*e)));
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL) == 0);
    FD_ZERO(same);
    FD_SET(ends[0], same);
    *set = *same;
    CHECK(select(ends[0] + 1, set, NULL, same, NULL) == 1 && FD_ISSET(ends[0], set));
    CHECK(!FD_ISSET(ends[0], same));
    CHECK(pselect(0, NULL, NULL, NULL, &shortly, NULL) == 0);
    *n = 0;
    CHECK(ioctl(ends[0], FIONREAD, n) == 0 && *n == 1);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    *its = (struct itimerspec){.it_value.tv_sec = 1000};
    CHECK(timerfd_settime(timer, 0, its, NULL) == 0);
    memset(its, 'x', sizeof(*its));
    CHECK(timerfd_gettime(timer, its) == 0 && its->it_value.tv_sec >= 900);
    CHECK(its->it_interval.tv_sec == 0 && its->it_value.tv_sec <= 1000);
    *t = (struct timespec){.tv_nsec = 1000};
    CHECK(nanosleep(t, t) == 0 && t->tv_nsec == 1000);
    CHECK(nanosleep(&shortly, NULL) == 0 && nanosleep(t, (void *)8) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, t, t) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(epoll) == 0 && close(timer) == 0);
}

/* ---- the process, and the machine */

static void questions(void)
{
    struct utsname *u = ACROSS(struct utsname);
    struct sysinfo *info = ACROSS(struct sysinfo);
    struct tms *tms = ACROSS(struct tms);
    struct rusage *usage = ACROSS(struct rusage);
    struct rlimit *limit = ACROSS(struct rlimit);
    struct sched_param *param = ACROSS(struct sched_param);
    cpu_set_t *cpus = ACROSS(cpu_set_t);

    CHECK(uname(u) == 0 && strcmp(u->sysname, "Linux") == 0);
    CHECK(sysinfo(info) == 0 && info->totalram > 0 && info->procs > 0);
    memset(tms, 'x', sizeof(*tms));
    CHECK(times(tms) != -1 && tms->tms_cutime == 0);
    memset(usage, 'x', sizeof(*usage));
    CHECK(getrusage(RUSAGE_CHILDREN, usage) == 0 && usage->ru_utime.tv_sec == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 0);
    CHECK(setrlimit(RLIMIT_NOFILE, limit) == 0);
    param->sched_priority = 77;
    CHECK(sched_getparam(0, param) == 0 && param->sched_priority == 0);
    memset(cpus, 0, sizeof(*cpus));
    CHECK(sched_getaffinity(0, sizeof(*cpus), cpus) == 0 && CPU_COUNT(cpus) > 0);
    CHECK(sched_setaffinity(0, sizeof(*cpus), cpus) == 0);
}

/* ---- memory that is not there */

/* A pointer that is bad: none, forbidden, for reading alone, or good only for its first bytes. */
static void bad_pointers(void)
{
    int ends[2], fd = guest_tmpfile();
    void *bad[] = {(void *)8, forbidden, forbidden - 2};
    char byte = 'x';

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(write(ends[1], "x", 1) == 1 && write(fd, "x", 1) == 1);
    for (int i = 0; i < 3; i++) {
        void *p = bad[i];
        struct iovec v[2] = {{&byte, 1}, {p, 100}};

        CHECK(syscall(SYS_fstat, fd, p) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_uname, p) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_pipe2, p, 0) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_nanosleep, p, NULL) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_ppoll, p, 1, NULL, NULL, 8) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_sendto, ends[0], p, 100, 0, NULL, 0) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_recvfrom, ends[0], p, 100, 0, NULL, NULL) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_sendmsg, ends[0], p, 0) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_recvmsg, ends[0], p, 0) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_connect, ends[0], p, 16) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_writev, fd, p, 1) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_pread64, fd, p, 100, 0) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_getsockname, ends[0], &byte, p) == -1 && errno == EFAULT);
        CHECK(syscall(SYS_rt_sigtimedwait, p, NULL, NULL, 8) == -1 && errno == EFAULT);
        CHECK(writev(fd, v, 2) == 1); /* as far as there is something */
    }
    CHECK(syscall(SYS_fstat, fd, readable) == -1 && errno == EFAULT);
    CHECK(pread(fd, readable, 1, 0) == -1 && errno == EFAULT);
    CHECK(pwrite(fd, readable, 1, 0) == 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(fd) == 0);
}

static void *try_all(void *arg)
{
    names();
    unix_names();
    messages();
    many_messages();
    options();
    vectors();
    file_names();
    waiting();
    questions();
    bad_pointers();
    return arg;
}

/* ---- beside what another thread writes */

static OWN_PAGE struct {
    struct stat st;
    atomic_int beside_stat;
    struct pollfd p;
    atomic_int beside_poll;
    char bytes[16];
    atomic_int beside_bytes;
} shared;
static OWN_PAGE atomic_bool done;
static int zero;

static void *write_beside(void *arg)
{
    do {
        atomic_fetch_add(&shared.beside_stat, 1);
        atomic_fetch_add(&shared.beside_poll, 1);
        atomic_fetch_add(&shared.beside_bytes, 1);
        CHECK(shared.beside_stat == shared.beside_poll &&
              shared.beside_bytes == shared.beside_poll);
        sched_yield();
    } while (!atomic_load(&done));
    return arg;
}

static void *call_beside(void *arg)
{
    for (int i = 0; i < 200; i++) {
        CHECK(fstat(zero, &shared.st) == 0 && S_ISCHR(shared.st.st_mode));
        shared.p = (struct pollfd){.fd = zero, .events = POLLIN};
        CHECK(poll(&shared.p, 1, -1) == 1 && shared.p.revents == POLLIN);
        CHECK(read(zero, shared.bytes, 3 + i % 13) == 3 + i % 13);
        CHECK(shared.bytes[0] == 0);
        shared.bytes[0] = 'x';
    }
    atomic_store(&done, true);
    return arg;
}

static void *beside(void *arg)
{
    return (intptr_t)arg % 2 ? call_beside(arg) : write_beside(arg);
}

int main(void)
{
    area = guest_map(LENGTH + 2 * GUEST_PAGE, PROT_READ | PROT_WRITE);
    forbidden = area + LENGTH;
    readable = forbidden + GUEST_PAGE;
    CHECK(mprotect(forbidden, GUEST_PAGE, PROT_NONE) == 0);
    CHECK(mprotect(readable, GUEST_PAGE, PROT_READ) == 0);
    zero = open("/dev/zero", O_RDONLY);
    for (int i = 0; i < ROUNDS; i++) {
        write_area(NULL);
        guest_elsewhere(try_all, NULL);
        guest_elsewhere(write_area, NULL);
        try_all(NULL);
    }
    guest_run(2, beside);
    CHECK(shared.beside_stat > 0 && shared.beside_stat == shared.beside_bytes);
    puts("all calls found their memory");
    return 0;
}
