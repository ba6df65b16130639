/*
 * The guest's memory for other processes: see peek.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "qemu/rcu.h"
#include "dqemu/build_id.h"
#include "dqemu/runtime.h"
#include "peek.h"

/* Data of one message; the kernel's buffers hold several of them. */
#define PART 32768

enum what { HELLO, READ, WRITE };

struct question {
    uint32_t what;
    uint32_t length;
    uint64_t at;
    uint64_t secret[4]; /* but of HELLO */
    char build[64];
    char data[PART]; /* of WRITE; else it ends before */
};

struct answer {
    uint64_t secret_at; /* HELLO: where in the process it lies */
    uint32_t length;    /* that was read or written */
    char data[PART];    /* of READ */
};

static socklen_t name_of(pid_t pid, struct sockaddr_un *name)
{
    int n;

    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "dqemu-memory-%d", (int)pid);
    return offsetof(struct sockaddr_un, sun_path) + 1 + n;
}

static void set_build(char build[64])
{
    memset(build, 0, 64);
    strncpy(build, dq_build_id, 63);
}

/* ---------------------------------------------------------------- who is asked */

static int server = -1;
static dq_peek_fn *access_memory;
static uint64_t secret[4]; /* written before the name is given, and never again */

void dq_peek_prepare(void)
{
    if (getrandom(secret, sizeof(secret), 0) == sizeof(secret)) {
        server = dq_node_high_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    }
}

static bool is_good(const struct question *q, ssize_t n)
{
    const ssize_t head = offsetof(struct question, data);
    char build[64];

    set_build(build);
    if (n < head || memcmp(q->build, build, sizeof(build))) {
        return false;
    }
    return q->what == HELLO ||
           (q->length <= PART && !memcmp(q->secret, secret, sizeof(secret)) &&
            (q->what == READ || (q->what == WRITE && n == head + (ssize_t)q->length)));
}

static size_t answer_to(struct question *q, struct answer *a)
{
    a->secret_at = 0;
    a->length = 0;
    switch (q->what) {
    case HELLO:
        a->secret_at = (uintptr_t)secret;
        break;
    case READ:
        a->length = access_memory(q->at, a->data, q->length, true);
        return offsetof(struct answer, data) + a->length;
    default:
        a->length = access_memory(q->at, q->data, q->length, false);
        break;
    }
    return offsetof(struct answer, data);
}

/* Who does not take its answer does not get it; nobody waits for that. */
static void *serve(void *arg)
{
    static struct question q;
    static struct answer a;

    rcu_register_thread();
    for (;;) {
        struct sockaddr_un from;
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(server, &q, sizeof(q), 0, (void *)&from, &from_len);

        if (n < 0 && errno != EINTR) {
            break; /* closed by the guest's end */
        }
        if (is_good(&q, n)) {
            sendto(server, &a, answer_to(&q, &a), MSG_DONTWAIT | MSG_NOSIGNAL, (void *)&from,
                   from_len);
        }
    }
    rcu_unregister_thread();
    return NULL;
}

void dq_peek_serve(dq_peek_fn *access)
{
    struct sockaddr_un name;
    socklen_t len = name_of(getpid(), &name);

    access_memory = access;
    if (server >= 0 && dq_worker_thread(serve, "dqemu-memory") == 0) {
        bind(server, (void *)&name, len); /* a name that somebody has taken: nobody finds us */
    }
}

void dq_peek_in_child(void)
{
    memset(secret, 0, sizeof(secret));
    server = -1;
}

/* ---------------------------------------------------------------- who asks */

/* By its "stat", behind the name in parentheses. */
static bool is_stopped(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text = NULL;
    const char *state = g_file_get_contents(path, &text, NULL, NULL) ? strrchr(text, ')') : NULL;

    return !state || (state[1] == ' ' && strchr("TtZX", state[2]));
}

/* From that process, as the kernel says. -1: there is none. */
static ssize_t receive(const struct dq_peek *p, struct answer *a)
{
    const int look_ms = 200;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec data = {a, sizeof(*a)};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct pollfd ready = {.fd = p->socket, .events = POLLIN};
    const struct cmsghdr *c;
    struct ucred who;
    ssize_t n;

    while (poll(&ready, 1, look_ms) <= 0) {
        if (is_stopped(p->pid)) {
            return -1;
        }
    }
    n = recvmsg(p->socket, &m, MSG_DONTWAIT);
    c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_CREDENTIALS || n < (ssize_t)offsetof(struct answer, data)) {
        return -1;
    }
    memcpy(&who, CMSG_DATA(c), sizeof(who));
    return who.pid == p->pid ? n : -1;
}

static bool ask(const struct dq_peek *p, struct question *q, struct answer *a)
{
    size_t length = offsetof(struct question, data) + (q->what == WRITE ? q->length : 0);
    ssize_t n;

    set_build(q->build);
    memcpy(q->secret, p->secret, sizeof(q->secret));
    if (send(p->socket, q, length, MSG_NOSIGNAL) != (ssize_t)length) {
        return false;
    }
    n = receive(p, a);
    return n >= 0 && a->length <= q->length &&
           (q->what != READ || n == (ssize_t)(offsetof(struct answer, data) + a->length));
}

/* A name of its own, to be answered; and the other's. */
static int connected(pid_t pid)
{
    struct sockaddr_un name, own = {.sun_family = AF_UNIX};
    socklen_t len = name_of(pid, &name);
    int on = 1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
        bind(fd, (void *)&own, sizeof(own.sun_family)) == 0 &&
        connect(fd, (void *)&name, len) == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool dq_peek_open(struct dq_peek *p, pid_t pid, int memory)
{
    g_autofree struct question *q = g_new0(struct question, 1);
    g_autofree struct answer *a = g_new(struct answer, 1);
    bool done;

    *p = (struct dq_peek){.socket = connected(pid), .pid = pid};
    if (p->socket < 0) {
        return false;
    }
    q->what = HELLO;
    done = ask(p, q, a) &&
           pread(memory, p->secret, sizeof(p->secret), (off_t)a->secret_at) == sizeof(p->secret);
    if (!done) {
        dq_peek_close(p);
    }
    return done;
}

size_t dq_peek_access(struct dq_peek *p, uint64_t at, void *data, size_t len, bool reads)
{
    g_autofree struct question *q = g_new0(struct question, 1);
    g_autofree struct answer *a = g_new(struct answer, 1);
    size_t done = 0;

    while (done < len) {
        size_t n = MIN(len - done, PART);

        q->what = reads ? READ : WRITE;
        q->at = at + done;
        q->length = n;
        if (!reads) {
            memcpy(q->data, (char *)data + done, n);
        }
        if (!ask(p, q, a)) {
            break;
        }
        if (reads) {
            memcpy((char *)data + done, a->data, a->length);
        }
        done += a->length;
        if (a->length < n) {
            break;
        }
    }
    return done;
}

void dq_peek_close(struct dq_peek *p)
{
    close(p->socket);
}
