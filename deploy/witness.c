/*
 * The witness, which collects its signals and answers questions about them; and its parent, a child of the
 * launcher's in a session of its own, which sees it stop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/wire.h"

#define ANSWER_MS 1000
#define MOST_SEEN 1024 /* real-time signals that nobody has asked for yet */

struct seen {
    int32_t signal, code, pid;
    int32_t value;
};

struct question {
    uint32_t number;
    struct seen what;
};

struct answer {
    uint32_t number, seen;
};

/* What the launcher and the watcher share. */
struct followers {
    int count; /* atomic: so many have been entered */
    pid_t pids[DQ_MAX_NODES];
};

static int way = -1;  /* between launcher and witness */
static pid_t watcher; /* the witness's parent */
static struct followers *followers;

/* ---- in the witness ---- */

static GArray *all_seen; /* struct seen, the eldest first */

static bool is_queued(int signal)
{
    return signal >= SIGRTMIN;
}

/* As in the kernel, several of an ordinary signal are one. */
static void note(const siginfo_t *info)
{
    struct seen s = {info->si_signo, info->si_code, info->si_pid, info->si_value.sival_int};

    for (guint i = 0; !is_queued(s.signal) && i < all_seen->len; i++) {
        if (g_array_index(all_seen, struct seen, i).signal == s.signal) {
            g_array_remove_index(all_seen, i);
            break;
        }
    }
    if (all_seen->len < MOST_SEEN) {
        g_array_append_val(all_seen, s);
    }
}

static void collect(void)
{
    const struct timespec at_once = {0};
    sigset_t all;
    siginfo_t info;

    sigfillset(&all);
    while (sigtimedwait(&all, &info, &at_once) > 0) {
        note(&info);
    }
}

static bool take(const struct seen *what)
{
    for (guint i = 0; i < all_seen->len; i++) {
        if (memcmp(&g_array_index(all_seen, struct seen, i), what, sizeof(*what)) == 0) {
            g_array_remove_index(all_seen, i);
            return true;
        }
    }
    return false;
}

static _Noreturn void testify(void)
{
    struct question q;

    all_seen = g_array_new(FALSE, FALSE, sizeof(struct seen));
    while (recv(way, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
        collect();
        struct answer a = {q.number, take(&q.what)};
        if (send(way, &a, sizeof(a), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    _exit(0);
}

/* It ends with its parent, and holds nothing that somebody may wait for the end of, but `way`. */
static void leave_alone(pid_t parent)
{
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null < 0 || getppid() != parent) {
        _exit(1);
    }
    way = dup2(way, 3);
    for (int fd = 0; fd < 3; fd++) {
        dup2(null, fd);
    }
    close_range(4, ~0u, 0);
}

/* ---- in the watcher ---- */

static void signal_followers(int signal)
{
    int count = __atomic_load_n(&followers->count, __ATOMIC_ACQUIRE);

    for (int i = 0; i < count; i++) {
        kill(followers->pids[i], signal);
    }
}

/*
 * The launcher has stopped, too, and reaps nobody: each number is still that node's. Who goes on is told by
 * the launcher as well, but may have been stopped here after that.
 */
static _Noreturn void watch(void)
{
    pid_t self = getpid(), witness = fork();
    int status;

    if (witness == 0) {
        leave_alone(self);
        testify();
    }
    close(way);
    /*
     * Not a group of its own in this session: then the witness alone might keep the launcher's group from being
     * orphaned, and the kernel hangs that up when it ends and somebody in the group is stopped.
     */
    setsid();
    while (witness > 0 && waitpid(witness, &status, WUNTRACED | WCONTINUED) == witness &&
           !WIFEXITED(status) && !WIFSIGNALED(status)) {
        signal_followers(WIFSTOPPED(status) ? SIGSTOP : SIGCONT);
    }
    _exit(0);
}

/* ---- in the launcher ---- */

int dq_witness_start(void)
{
    pid_t parent = getpid();
    int ends[2];

    followers =
        mmap(NULL, sizeof(*followers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (followers == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    watcher = fork();
    if (watcher == 0) {
        way = ends[1];
        leave_alone(parent);
        watch();
    }
    way = ends[0];
    close(ends[1]);
    return watcher < 0 ? -errno : 0;
}

void dq_witness_follow(pid_t node)
{
    int count = followers->count;

    if (count < DQ_MAX_NODES) {
        followers->pids[count] = node;
        __atomic_store_n(&followers->count, count + 1, __ATOMIC_RELEASE);
    }
}

static bool await_answer(uint32_t number)
{
    struct pollfd fd = {.fd = way, .events = POLLIN};
    struct answer a;

    while (poll(&fd, 1, ANSWER_MS) > 0 && recv(way, &a, sizeof(a), 0) == (ssize_t)sizeof(a)) {
        if (a.number == number) {
            return a.seen;
        }
    }
    return false;
}

bool dq_witness_saw(const struct signalfd_siginfo *info)
{
    static uint32_t number;
    struct question q = {
        .number = number + 1,
        .what = {(int32_t)info->ssi_signo, info->ssi_code, (int32_t)info->ssi_pid, info->ssi_int},
    };

    number = q.number;
    return send(way, &q, sizeof(q), MSG_NOSIGNAL) == (ssize_t)sizeof(q) && await_answer(number);
}

void dq_witness_end(void)
{
    if (watcher > 0) {
        kill(watcher, SIGKILL); /* and with it the witness */
        waitpid(watcher, NULL, 0);
        close(way);
    }
}
