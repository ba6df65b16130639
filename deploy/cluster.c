/*
 * One run, from the start of its nodes to their end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/family.h"
#include "deploy/logs.h"
#include "deploy/say.h"
#include "deploy/spawn.h"
#include "deploy/witness.h"

#define MS G_GINT64_CONSTANT(1000)

/* A fault shows at its witnesses before its cause can be waited for: the kernel closes the
 * sockets of a dying process first. On a loaded machine that takes some milliseconds. */
#define SETTLE_MS 200
#define SETTLE_HOSTS_MS 1000 /* through an agent and ssh as well */
/* A node that is said to be lost, on a host that still talks, may have a word to say itself. */
#define SETTLE_WORD_MS 3000
/* Starting and loading a program, on a machine with many more nodes than processors. */
#define START_MS 60000
/* How long a guest may take after SIGTERM, and slaves for their last reports. */
#define GRACE_MS 1000
#define GRACE_NODE_MS 50         /* and for each node: many share the processors */
#define SECOND_INTERRUPT_MS 5000 /* as mpirun's */
/* A process that does not die of SIGKILL is stuck in the kernel: nothing more can be done. */
#define STUCK_MS 1000

void dq_cluster_prepare(struct dq_cluster *run, struct dq_launch *launch)
{
    sigset_t set;

    *run = (struct dq_cluster){.launch = launch};
    sigfillset(&set); /* what the guest sends to its process group must not end this process */
    sigprocmask(SIG_BLOCK, &set, &launch->signals);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0) {
        dq_say_die(DQ_STATUS_FAULT, "signalfd: %s; raise the limits of open files or memory",
                   g_strerror(errno));
    }
    int rc = dq_witness_start();
    if (rc < 0) {
        dq_say_die(DQ_STATUS_FAULT, "cannot start a process: %s; raise the limit of processes",
                   g_strerror(-rc));
    }
    if (launch->options->nodes > 1) {
        dq_family_open();
    }
}

void dq_cluster_free(struct dq_cluster *run)
{
    for (int i = 0; i < run->nodes; i++) {
        dq_member_free(&run->members[i]);
    }
    close(run->signals);
    dq_witness_end();
}

/* ---- the verdict ---- */

static void signal_all(struct dq_cluster *run, int first, int signal)
{
    for (int i = first; i < run->nodes; i++) {
        dq_member_signal(&run->members[i], signal);
    }
}

static int64_t grace(const struct dq_cluster *run)
{
    return (GRACE_MS + GRACE_NODE_MS * (int64_t)run->nodes) * MS;
}

static void decide(struct dq_cluster *run, int status, int64_t kill_at)
{
    run->decided = true;
    run->status = status;
    run->kill_at = kill_at;
}

static void fail(struct dq_cluster *run, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct dq_cluster *run, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = g_strdup_vprintf(format, args);
    va_end(args);
    run->failed = true;
    decide(run, status, g_get_monotonic_time());
    if (dq_logs_folder()) {
        dq_say("%s; logs are in %s", text, dq_logs_folder());
    } else {
        dq_say("%s", text);
    }
    g_free(text);
}

static const char *remedy(int signal)
{
    switch (signal) {
    case SIGKILL:
        return "if nobody killed it, the machine ran out of memory (see dmesg)";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
        return "send signals to dqemu-launch, which passes them to the program";
    default:
        return "that is a fault of dqemu, please report it";
    }
}

/* When a node's host was last heard of; "" for one of this machine. */
static const char *contact_of(const struct dq_member *m)
{
    static char text[256];

    text[0] = '\0';
    if (m->remote && !m->remote->here) {
        char *last = dq_remote_last_contact(m->remote);
        g_snprintf(text, sizeof(text), " (host %s: %s)", m->remote->host->name, last);
        g_free(last);
    }
    return text;
}

static const char *ending_of(int wait_status)
{
    static char text[64];

    if (WIFSIGNALED(wait_status)) {
        g_snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(wait_status));
    } else {
        g_snprintf(text, sizeof(text), "ended with status %d", WEXITSTATUS(wait_status));
    }
    return text;
}

/* 1: node 0 has ended, and its status is the run's. */
static bool judge_master(struct dq_cluster *run)
{
    struct dq_member *master = &run->members[0];
    int64_t now = g_get_monotonic_time();

    if (!master->ended || dq_member_explained(master)) {
        return false;
    }
    run->wall_seconds = (double)(now - run->started) / 1e6;
    if (WIFSIGNALED(master->wait_status) && !run->going) {
        fail(run, DQ_STATUS_FAULT, "node 0 (%s) was lost before the run began: %s; %s",
             master->place, ending_of(master->wait_status), remedy(WTERMSIG(master->wait_status)));
    } else if (!run->going && run->launch->options->wrap) {
        int status = WEXITSTATUS(master->wait_status);
        fail(run, status ? status : DQ_STATUS_FAULT,
             "node 0 (%s) ended with status %d before the run began; see that the command of "
             "--wrap runs the words that follow it",
             master->place, status);
    } else if (WIFSIGNALED(master->wait_status)) {
        decide(run, 128 + WTERMSIG(master->wait_status), now + grace(run));
    } else {
        decide(run, WEXITSTATUS(master->wait_status), now + grace(run));
    }
    return true;
}

/* 2 */
static bool judge_killed(struct dq_cluster *run)
{
    for (int i = 1; i < run->nodes; i++) {
        struct dq_member *m = &run->members[i];
        if (!m->ended || dq_member_explained(m)) {
            continue;
        }
        if (m->cut) {
            fail(run, DQ_STATUS_FAULT,
                 "node %d (%s) was lost: %s%s; check that machine and the way "
                 "to it",
                 i, m->place, m->remote->why, contact_of(m));
            return true;
        }
        if (WIFSIGNALED(m->wait_status)) {
            fail(run, DQ_STATUS_FAULT, "node %d (%s) was lost: %s%s; %s", i, m->place,
                 ending_of(m->wait_status), contact_of(m), remedy(WTERMSIG(m->wait_status)));
            return true;
        }
    }
    return false;
}

static bool is_abnormal(const struct dq_cluster *run, const struct dq_member *m)
{
    return m->node != 0 && m->ended && (!run->going || m->wait_status != 0);
}

/* 3: the first that came */
static const struct dq_member *find_error(const struct dq_cluster *run)
{
    const struct dq_member *found = NULL;
    for (int i = 0; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        if (m->status != 0 && (!found || m->explained_at < found->explained_at)) {
            found = m;
        }
    }
    return found;
}

/* 4 */
static const struct dq_member *find_ended(const struct dq_cluster *run)
{
    for (int i = 1; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        if (is_abnormal(run, m) && !dq_member_explained(m)) {
            return m;
        }
    }
    return NULL;
}

/*
 * Who has lost a peer leaves, and is lost by the others in turn. So the loss of a node that has said
 * nothing (0) is believed before that of one that has, and of these those who have lost each
 * other (1), but not for having left.
 */
static int doubt_of(const struct dq_cluster *run, const struct dq_member *m)
{
    const struct dq_member *lost = &run->members[m->lost_node];

    if (!dq_member_explained(lost)) {
        return 0;
    }
    return lost->lost_node == m->node && !m->lost_left ? 1 : 2;
}

/* 5: the first that came of those with the least doubt. */
static const struct dq_member *find_witness(const struct dq_cluster *run)
{
    const struct dq_member *found = NULL;
    int found_doubt = 0;

    for (int i = 0; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        if (m->lost_node < 0) {
            continue;
        }
        int doubt = doubt_of(run, m);
        if (!found || doubt < found_doubt ||
            (doubt == found_doubt && m->explained_at < found->explained_at)) {
            found = m;
            found_doubt = doubt;
        }
    }
    return found;
}

static void judge_reports(struct dq_cluster *run)
{
    const struct dq_member *m;

    if ((m = find_error(run))) {
        fail(run, m->status, "%s", m->text);
    } else if ((m = find_ended(run))) {
        fail(run, DQ_STATUS_FAULT, "node %d (%s) was lost%s: %s; see what it says with -v", m->node,
             m->place, run->going ? "" : " before the run began", ending_of(m->wait_status));
    } else if ((m = find_witness(run))) {
        fail(run, DQ_STATUS_FAULT,
             "node %d (%s) was lost by node %d: %s%s; check the network between them", m->lost_node,
             run->members[m->lost_node].place, m->node, m->lost_why,
             contact_of(&run->members[m->lost_node]));
    }
}

static bool has_reports(const struct dq_cluster *run)
{
    for (int i = 0; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        if (dq_member_explained(m) || is_abnormal(run, m)) {
            return true;
        }
    }
    return false;
}

/* The node that would be told as lost can still say why it left, or be told as lost with its host. */
static bool awaits_word(const struct dq_cluster *run)
{
    const struct dq_member *witness = find_witness(run);

    if (find_error(run) || find_ended(run) || !witness) {
        return false;
    }
    const struct dq_member *lost = &run->members[witness->lost_node];
    return lost->remote && !lost->ended && !dq_member_explained(lost);
}

static void judge(struct dq_cluster *run)
{
    int64_t now = g_get_monotonic_time();

    if (run->decided || judge_master(run) || judge_killed(run) || !has_reports(run)) {
        return;
    }
    if (run->settled == 0) {
        run->settled = now + (run->launch->rack ? SETTLE_HOSTS_MS : SETTLE_MS) * MS;
    } else if (now >= run->settled + SETTLE_WORD_MS * MS ||
               (now >= run->settled && !awaits_word(run))) {
        judge_reports(run);
    }
}

/* ---- the start ---- */

static void start(struct dq_cluster *run, int node)
{
    int rc = dq_member_start(&run->members[node], run->launch);
    if (rc < 0 && !run->decided) {
        fail(run, DQ_STATUS_FAULT,
             "cannot start node %d: %s; close other programs or raise the "
             "limits of processes and open files",
             node, g_strerror(-rc));
    }
}

/* How many nodes have come at least so far. */
static int count_stage(const struct dq_cluster *run, enum dq_stage stage)
{
    int count = 0;
    for (int i = 0; i < run->nodes; i++) {
        count += run->members[i].stage >= stage;
    }
    return count;
}

static void tell_peers(struct dq_cluster *run)
{
    for (int i = 0; i < run->nodes; i++) {
        if (run->launch->options->config.verbose > 0) {
            dq_say("node %d is process %d and listens on %s port %d", i, (int)run->members[i].pid,
                   run->members[i].address, run->members[i].port);
        }
        dq_member_send_peers(&run->members[i], run->members, run->nodes);
    }
}

static void begin_guest(struct dq_cluster *run)
{
    const struct dq_options *o = run->launch->options;

    for (int i = 0; run->nodes > 1 && i < run->nodes; i++) {
        dq_member_send_go(&run->members[i]);
    }
    run->going = true;
    run->start_limit = 0;
    if (o->timeout > 0) {
        run->time_limit = g_get_monotonic_time() + (int64_t)(o->timeout * 1e6);
    }
    if (o->config.verbose > 0) {
        dq_say("%d of %d nodes are ready, the program starts", run->nodes, run->nodes);
    }
}

/* Each step follows once from what the members have said. */
static void advance(struct dq_cluster *run, bool *told)
{
    if (run->decided || run->going) {
        return;
    }
    if (run->members[0].stage >= DQ_STAGE_LISTENING && run->members[1].stage == DQ_STAGE_ABSENT) {
        dq_spawn_release();
        for (int i = 1; i < run->nodes; i++) {
            start(run, i);
        }
    }
    if (!*told && count_stage(run, DQ_STAGE_LISTENING) == run->nodes) {
        *told = true;
        tell_peers(run);
    }
    if (count_stage(run, DQ_STAGE_READY) == run->nodes) {
        begin_guest(run);
    }
}

/* ---- signals ---- */

/* What was for the whole process group, by the terminal, the guest or anybody, node 0 has got. */
static bool reached_master(const struct dq_cluster *run, const struct signalfd_siginfo *info)
{
    bool has_left = getpgid(run->members[0].pid) != getpgrp(); /* by its own doing, or a --wrap's */

    return dq_witness_saw(info) && !(has_left && run->launch->options->wrap);
}

static bool ends_a_start(int signal)
{
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

/* SIGPIPE of our own: nobody reads stderr any more, and the run goes on. */
static bool is_forwarded(const struct signalfd_siginfo *info)
{
    return info->ssi_signo != SIGCHLD &&
           !(info->ssi_signo == SIGPIPE && info->ssi_pid == (uint32_t)getpid());
}

/* On hosts the second Ctrl-C within a short time ends a program that does not at the first. */
static bool is_second_interrupt(struct dq_cluster *run)
{
    int64_t now = g_get_monotonic_time(), before = run->interrupted;

    run->interrupted = now;
    return before && now - before < SECOND_INTERRUPT_MS * MS;
}

static void pass_on(struct dq_cluster *run, const struct signalfd_siginfo *info)
{
    int signal = (int)info->ssi_signo;

    if (run->decided) {
        return;
    }
    if (run->launch->rack && run->going && signal == SIGINT && is_second_interrupt(run)) {
        fail(run, 128 + SIGINT,
             "interrupted twice within %d s: the program on nodes 0 to %d was "
             "ended",
             SECOND_INTERRUPT_MS / 1000, run->nodes - 1);
        return;
    }
    if (!run->going && ends_a_start(signal)) {
        run->failed = true; /* what --wrap has started goes as well */
        decide(run, 128 + signal, g_get_monotonic_time());
        return;
    }
    if (signal == SIGCONT) {
        signal_all(run, 1, SIGCONT);
    }
    run->stops = signal == SIGTSTP || (run->stops && signal != SIGCONT);
    if (!reached_master(run, info)) {
        dq_member_signal(&run->members[0], signal);
    }
}

/* Is this the job that somebody at a terminal sees? */
static bool is_in_foreground(void)
{
    int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool is = terminal >= 0 && tcgetpgrp(terminal) == getpgrp();

    if (terminal >= 0) {
        close(terminal);
    }
    return is;
}

/* Must a shell see this process stop, as it would see the program? */
static bool stops_the_job(const struct dq_cluster *run, int signal)
{
    return signal == SIGTTIN || signal == SIGTTOU ||
           (signal == SIGTSTP && (run->stops || is_in_foreground()));
}

/* Returns when the job goes on. */
static void stop_the_job(struct dq_cluster *run, int signal)
{
    sigset_t set;

    if (run->launch->rack) {
        dq_rack_rest(run->launch->rack, true);
    }
    sigemptyset(&set);
    sigaddset(&set, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* Also when the kernel would not stop us: nobody would continue an orphaned group. */
    run->stops = false;
    if (run->launch->rack) {
        dq_rack_rest(run->launch->rack, false);
    }
    signal_all(run, 0, SIGCONT);
}

/*
 * Node 0 was stopped: the guest's threads elsewhere must not run on. Whoever has stopped it alone
 * will continue it alone, which is seen here; so only a stop of the job stops this process too.
 */
static void follow_stop(struct dq_cluster *run)
{
    int signal = run->members[0].stop_signal;

    run->members[0].stop_signal = 0;
    signal_all(run, 1, SIGSTOP);
    if (stops_the_job(run, signal)) {
        stop_the_job(run, signal);
    }
}

static void follow_continue(struct dq_cluster *run)
{
    run->members[0].continued = false;
    signal_all(run, 1, SIGCONT);
}

/* Also what the guest has orphaned, which this process has adopted. */
static void reap(struct dq_cluster *run)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (run->launch->rack && dq_rack_changed(run->launch->rack, pid, status)) {
            continue;
        }
        for (int i = 0; i < run->nodes; i++) {
            if (run->members[i].pid == pid && !run->members[i].remote && !run->members[i].ended) {
                dq_member_changed(&run->members[i], status);
            }
        }
    }
}

static void read_signals(struct dq_cluster *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof(info)) == sizeof(info)) {
        if (is_forwarded(&info)) {
            pass_on(run, &info);
        }
    }
    reap(run);
    if (run->members[0].stop_signal != 0) {
        follow_stop(run);
    }
    if (run->members[0].continued) {
        follow_continue(run);
    }
}

/* ---- time ---- */

static const struct dq_member *slowest(const struct dq_cluster *run)
{
    const struct dq_member *m = &run->members[0];
    for (int i = 1; i < run->nodes; i++) {
        m = run->members[i].stage < m->stage ? &run->members[i] : m;
    }
    return m;
}

/* The agents first: who leads to them is family, too, and would be killed before they heard. */
static void end_all(struct dq_cluster *run, int64_t now)
{
    struct dq_rack *rack = run->launch->rack;

    if (!run->killed) {
        run->killed = true;
        signal_all(run, 0, SIGKILL);
        if (rack) {
            dq_rack_bye(rack);
        }
    }
    if (!rack || dq_rack_is_over(rack) || now >= run->kill_at + DQ_RACK_END_MS * MS) {
        run->left = run->failed ? dq_family_kill() : 0;
        if (rack) {
            dq_rack_kill(rack);
        }
    }
    reap(run);
}

static void expire(struct dq_cluster *run)
{
    int64_t now = g_get_monotonic_time();

    if (!run->decided && run->start_limit && now >= run->start_limit) {
        const struct dq_member *m = slowest(run);
        fail(run, DQ_STATUS_FAULT,
             "node %d (%s) is not ready after %d s; see what it waits for "
             "with -v, or raise -o handshake_ms",
             m->node, m->place, (int)((now - run->started) / 1000000));
    }
    if (!run->decided && run->time_limit && now >= run->time_limit) {
        dq_member_signal(&run->members[0], SIGTERM);
        dq_member_signal(&run->members[0], SIGCONT);
        decide(run, DQ_STATUS_TIMEOUT, now + grace(run));
        dq_say("the program did not end within %g s (--timeout)", run->launch->options->timeout);
    }
    if (run->decided && now >= run->kill_at) {
        end_all(run, now);
    }
}

/* Whose host is lost has ended, as far as anybody here will know. */
static bool all_ended(const struct dq_cluster *run)
{
    for (int i = 0; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        bool started = m->remote ? m->stage != DQ_STAGE_ABSENT && !m->remote->gone : m->pid > 0;
        if (started && !m->ended) {
            return false;
        }
    }
    return true;
}

static int64_t stuck_at(const struct dq_cluster *run)
{
    return run->kill_at + (STUCK_MS + (run->launch->rack ? DQ_RACK_END_MS : 0)) * MS;
}

static bool is_over(struct dq_cluster *run)
{
    struct dq_rack *rack = run->launch->rack;
    bool ended = run->decided && all_ended(run);

    if (ended && rack) {
        dq_rack_bye(rack);
        ended = dq_rack_is_over(rack);
    }
    return run->decided && ((ended && run->left == 0) || g_get_monotonic_time() >= stuck_at(run));
}

/* Milliseconds until something is due; -1: nothing is. */
static int next_due(const struct dq_cluster *run)
{
    int64_t now = g_get_monotonic_time(), due = INT64_MAX;

    if (run->decided) {
        due = now < run->kill_at ? run->kill_at : stuck_at(run);
        if (run->launch->rack && now >= run->kill_at && now < run->kill_at + DQ_RACK_END_MS * MS) {
            due = run->kill_at + DQ_RACK_END_MS * MS;
        }
    } else {
        due = run->start_limit ? MIN(due, run->start_limit) : due;
        due = run->time_limit ? MIN(due, run->time_limit) : due;
        if (run->settled) {
            due = MIN(due, now < run->settled ? run->settled : run->settled + SETTLE_WORD_MS * MS);
        }
    }
    due = MIN(due, run->beat);
    if (due == INT64_MAX) {
        return -1;
    }
    return (int)CLAMP((due - now + MS - 1) / MS, 0, G_MAXINT);
}

/* ---- all of it ---- */

static void poll_rack(struct dq_cluster *run, const struct pollfd *fds)
{
    dq_rack_ready(run->launch->rack, fds);
    run->beat = dq_rack_tick(run->launch->rack);
    for (int i = 1; i < run->nodes; i++) {
        if (run->members[i].remote->gone && run->members[i].stage != DQ_STAGE_ABSENT) {
            dq_member_cut(&run->members[i]);
        }
    }
}

static void wait_and_read(struct dq_cluster *run)
{
    struct pollfd fds[DQ_MAX_NODES + 1 + DQ_RACK_FDS];
    struct pollfd *rack = fds + run->nodes + 1;
    int count = run->nodes + 1;

    for (int i = 0; i < run->nodes; i++) {
        fds[i] = (struct pollfd){.fd = run->members[i].fd, .events = POLLIN};
    }
    fds[run->nodes] = (struct pollfd){.fd = run->signals, .events = POLLIN};
    if (run->launch->rack) {
        count += dq_rack_fill(run->launch->rack, rack);
    }
    if (poll(fds, (nfds_t)count, next_due(run)) < 0) {
        return;
    }
    for (int i = 0; i < run->nodes; i++) {
        if (fds[i].revents) {
            dq_member_read(&run->members[i]);
        }
    }
    if (fds[run->nodes].revents) {
        read_signals(run);
    }
    if (run->launch->rack) {
        poll_rack(run, rack);
    }
}

/* ---- hosts ---- */

/* A line on the stderr of a node elsewhere: for the user as if it were here, and for its log. */
static void show_words(const struct dq_cluster *run, const struct dq_member *m, const char *text)
{
    const char *host = m->remote->host->name;

    dq_logs_node(m->node, host, text);
    if (run->launch->options->tag_output) {
        dq_say_plain("[%d,%s] %s", m->node, host, text);
    } else {
        dq_say_plain("%s", text);
    }
}

static void hear_agent(struct dq_remote *r, const char *type, const json_t *object)
{
    struct dq_cluster *run = r->ctx;
    json_int_t node = json_integer_value(json_object_get(object, "node"));
    const char *text = json_string_value(json_object_get(object, "text"));
    struct dq_member *m = node > 0 && node < run->nodes ? &run->members[node] : NULL;

    if (!m || m->remote != r) {
        dq_remote_lose(r, "its agent speaks of a node that is not there");
    } else if (strcmp(type, "says") == 0 && text) {
        show_words(run, m, text);
    } else if (!dq_member_hear(m, type, object)) {
        dq_remote_lose(r, "its agent says what dqemu-launch does not understand");
    }
}

static void hear_way(struct dq_remote *r, const char *text)
{
    dq_logs_host(r->host->name, text);
}

static void show_map(const struct dq_cluster *run)
{
    const struct dq_hosts *hosts = run->launch->rack->hosts;

    for (int i = 0; i < run->nodes; i++) {
        const struct dq_host *host = dq_hosts_of(hosts, i);
        if (run->launch->options->display_map) {
            dq_say("node %d: host %s, %s", i, host->name, run->members[i].address);
        }
        dq_logs_node(i, host->name, run->members[i].place);
    }
}

static void open_hosts(struct dq_cluster *run)
{
    struct dq_rack *rack = run->launch->rack;

    for (int i = 0; rack && i < rack->count; i++) {
        rack->remotes[i].hear = hear_agent;
        rack->remotes[i].words = hear_way;
        rack->remotes[i].ctx = run;
    }
    if (rack && rack->remotes[0].host->nodes == 1) {
        dq_remote_bye(&rack->remotes[0]); /* node 0 needs no agent */
    }
    if (rack) {
        show_map(run);
    }
}

int dq_cluster_run(struct dq_cluster *run)
{
    bool told = false;

    run->nodes = run->launch->options->nodes;
    for (int i = 0; i < run->nodes; i++) {
        dq_member_init(&run->members[i], i, run->launch);
    }
    open_hosts(run);
    run->beat = INT64_MAX;
    run->started = g_get_monotonic_time();
    run->start_limit =
        run->started + (START_MS + (int64_t)run->launch->options->config.handshake_ms) * MS;
    start(run, 0);
    if (run->nodes == 1) {
        dq_spawn_release();
        begin_guest(run);
    }
    while (!is_over(run)) {
        wait_and_read(run);
        advance(run, &told);
        judge(run);
        expire(run);
    }
    if (run->wall_seconds == 0) {
        run->wall_seconds = (double)(g_get_monotonic_time() - run->started) / 1e6;
    }
    return run->status;
}
