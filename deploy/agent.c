/*
 * The agent: the launcher's hand on a host.
 *
 * One thread, poll(). Nothing but the facts and the disk blocks, and these before a run only. Its
 * output is never waited for: a launcher that does not read must not keep this from ending.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/facts.h"
#include "deploy/family.h"
#include "deploy/lines.h"
#include "deploy/program.h"
#include "deploy/push.h"
#include "deploy/say.h"
#include "deploy/spawn.h"
#include "dqemu/build_id.h"
#include "proto/transport.h"

#define MS G_GINT64_CONSTANT(1000)
/* Until the launcher has said how long it may be silent: it is still meeting other hosts. */
#define FIRST_CONTACT_MS 60000
/* What was killed is gone within that, unless the kernel holds it. */
#define STUCK_MS 1000

struct child {
    int node;
    pid_t pid; /* 0: none, or it has ended */
    struct dq_lines control;
    struct dq_lines words; /* its stderr; nothing goes out */
};

static struct agent {
    struct dq_lines launcher;
    struct child children[DQ_MAX_NODES];
    int count;
    char *node_path;
    char hash[DQ_PUSH_HASH_SIZE]; /* of the node program that is to come; "": none is */
    struct dq_push_store store;   /* while it comes */
    bool storing;
    int listener; /* -1: none */
    int signals;
    sigset_t mask;               /* that this process was started with */
    gint64 contact, heard, beat; /* microseconds: allowed silence; last word; next beat due */
    bool rests;                  /* the launcher is stopped: its silence means nothing */
    bool over;
} agent = {.listener = -1};

static void send_line(json_t *object)
{
    dq_lines_send(&agent.launcher, object);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int int_of(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

/* ---- before the run ---- */

/* Where the node program is: named, kept by its hash, or installed beside this program. */
static bool find_node_program(const json_t *probe, json_t *facts)
{
    const char *named = text_of(probe, "node_binary"), *hash = text_of(probe, "hash");
    const char *isa = text_of(probe, "isa");
    char *name = g_strconcat("dqemu-", isa ? isa : "", NULL);

    g_free(agent.node_path);
    if (hash && strlen(hash) < sizeof(agent.hash)) {
        agent.node_path = dq_push_cached(hash, name);
        if (!dq_push_is_cached(agent.node_path, hash)) {
            g_strlcpy(agent.hash, hash, sizeof(agent.hash));
            json_object_set_new(facts, "wants", json_true());
        }
    } else {
        agent.node_path = named ? g_strdup(named) : dq_program_find_node_binary(isa);
    }
    if (!agent.node_path) {
        char *text = g_strdup_printf("the node program %s is missing beside dqemu-launch", name);
        json_object_set_new(facts, "node_trouble", json_string(text));
        g_free(text);
    }
    g_free(name);
    return agent.node_path && !agent.hash[0];
}

static void hear_probe(const json_t *probe)
{
    json_t *facts = dq_facts_gather(probe);

    agent.contact = MAX(json_integer_value(json_object_get(probe, "contact_ms")), 100) * MS;
    agent.beat = 0; /* more often than until now */
    if (find_node_program(probe, facts)) {
        dq_facts_add_node(facts, agent.node_path);
    }
    json_object_set_new(facts, "realtime_us", json_integer(g_get_real_time()));
    send_line(facts);
}

static void hear_file(const json_t *object)
{
    json_int_t size = json_integer_value(json_object_get(object, "size"));

    if (agent.hash[0] && size > 0) {
        dq_push_store_open(&agent.store, agent.node_path, (size_t)size);
        agent.storing = true;
    }
}

static void end_of_file(void)
{
    int rc = dq_push_store_close(&agent.store, agent.hash);
    json_t *stored = json_pack("{s:s}", "type", "stored");

    agent.storing = false;
    if (rc == 0) {
        dq_facts_add_node(stored, agent.node_path);
    } else {
        char *text = g_strdup_printf("cannot keep the node program in %s: %s; %s", agent.node_path,
                                     rc == -EBADMSG ? "it was altered on the way" : g_strerror(-rc),
                                     DQ_PUSH_REMEDY);
        json_object_set_new(stored, "store_trouble", json_string(text));
        g_free(text);
    }
    send_line(stored);
}

static void store_what_came(void)
{
    const void *bytes;
    size_t size;

    while (agent.storing && (size = dq_lines_take(&agent.launcher, agent.store.left, &bytes)) > 0) {
        dq_push_store_write(&agent.store, bytes, size);
        if (agent.store.left == 0) {
            end_of_file();
        }
    }
}

static void stop_listening(void)
{
    if (agent.listener >= 0) {
        close(agent.listener);
        agent.listener = -1;
    }
}

static void hear_listen(const json_t *object)
{
    const char *address = text_of(object, "address");
    uint16_t port = 0;
    char *why = NULL, rdma[256] = "";

    stop_listening();
    agent.listener = dq_facts_listen(address, json_object_get(object, "ports"), &port, &why);
    json_t *said = json_pack("{s:s}", "type", "listening");
    if (agent.listener >= 0) {
        json_object_set_new(said, "port", json_integer(port));
    } else {
        json_object_set_new(said, "why", json_string(why));
    }
    bool has_rdma = address && dq_rdma_probe(address, rdma, sizeof(rdma)) == 0;
    json_object_set_new(said, has_rdma ? "rdma" : "no_rdma", json_string(rdma));
    send_line(said);
    g_free(why);
}

static void hear_reach(const json_t *object)
{
    send_line(json_pack("{s:s, s:o}", "type", "reached", "results",
                        dq_facts_reach(json_object_get(object, "peers"))));
}

/* ---- the nodes ---- */

static struct child *find_child(const json_t *object)
{
    for (int i = 0; i < agent.count; i++) {
        if (agent.children[i].node == int_of(object, "node")) {
            return &agent.children[i];
        }
    }
    return NULL;
}

/* The words of a list, and one more or NULL, which all stay; the list is the caller's to g_free(). */
static char **words_of(const json_t *object, const char *key, char *last)
{
    json_t *list = json_object_get(object, key), *value;
    GPtrArray *words = g_ptr_array_new();
    size_t i;

    json_array_foreach(list, i, value)
    {
        g_ptr_array_add(words, (char *)json_string_value(value));
    }
    if (last) {
        g_ptr_array_add(words, last);
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

static int spawn_child(struct child *c, const json_t *object)
{
    int control[2], words[2];
    char **wrap = words_of(object, "wrap", NULL);
    /* the emulator wants to open a program, though it loads none here: it gets a file that is there */
    char **arguments = words_of(object, "arguments", agent.node_path);
    char **environment = words_of(object, "environment", NULL);
    struct dq_spawn spawn = {.node = c->node,
                             .wrap = wrap[0] ? wrap : NULL,
                             .binary = agent.node_path,
                             .arguments = arguments,
                             .environment = environment,
                             .folder = text_of(object, "folder"),
                             .signals = &agent.mask,
                             .share = int_of(object, "share"),
                             .shares = int_of(object, "shares")};
    int rc = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0) {
        rc = -errno;
    } else if (pipe2(words, O_CLOEXEC) < 0) {
        rc = -errno;
        close(control[0]);
        close(control[1]);
    } else {
        spawn.control = control[1];
        spawn.words = words[1];
        pid_t pid = dq_spawn_node(&spawn);
        rc = pid < 0 ? -errno : 0;
        close(control[1]);
        close(words[1]);
        dq_lines_open(&c->control, control[0], control[0]);
        dq_lines_open(&c->words, words[0], words[0]);
        c->pid = MAX(pid, 0);
    }
    g_free(wrap);
    g_free(arguments);
    g_free(environment);
    return rc;
}

static void hear_start(const json_t *object)
{
    if (agent.count == DQ_MAX_NODES || find_child(object)) {
        agent.over = true; /* no launcher of ours */
        return;
    }
    struct child *c = &agent.children[agent.count++];
    *c = (struct child){.node = int_of(object, "node")};
    stop_listening();
    int rc = spawn_child(c, object);
    if (rc < 0) {
        agent.count--;
        send_line(json_pack("{s:s, s:i, s:s}", "type", "started", "node", c->node, "why",
                            g_strerror(-rc)));
        return;
    }
    send_line(json_pack("{s:s, s:i, s:i}", "type", "started", "node", c->node, "pid", (int)c->pid));
}

static void hear_to(const json_t *object)
{
    struct child *c = find_child(object);
    const char *text = text_of(object, "text");

    if (c && text) {
        dq_lines_send_bytes(&c->control, text, strlen(text));
        dq_lines_send_bytes(&c->control, "\n", 1);
    }
}

static void hear_signal(const json_t *object)
{
    struct child *c = find_child(object);

    if (c && c->pid > 0) {
        kill(c->pid, int_of(object, "signal"));
    }
}

static void relay(struct child *c, struct dq_lines *from, const char *type)
{
    const char *line;
    size_t length;

    while ((line = dq_lines_next(from, &length))) {
        char *valid = g_utf8_make_valid(line, (gssize)length);
        send_line(json_pack("{s:s, s:i, s:s}", "type", type, "node", c->node, "text", valid));
        g_free(valid);
    }
}

/* What a node said last may have no newline. */
static void relay_rest(struct child *c)
{
    const void *bytes;
    size_t size = dq_lines_take(&c->words, DQ_LINES_LIMIT, &bytes);

    if (size > 0) {
        char *valid = g_utf8_make_valid(bytes, (gssize)size);
        send_line(json_pack("{s:s, s:i, s:s}", "type", "says", "node", c->node, "text", valid));
        g_free(valid);
    }
}

/* True: something came. */
static bool read_child(struct child *c)
{
    bool some = dq_lines_receive(&c->control);

    relay(c, &c->control, "from");
    some |= dq_lines_receive(&c->words);
    relay(c, &c->words, "says");
    return some;
}

/* All that it has said is here: the kernel delivers before it tells of the end. */
static void child_ended(struct child *c, int status)
{
    while (read_child(c)) {
        /* until there is no more */
    }
    c->pid = 0;
    relay_rest(c);
    dq_lines_close(&c->control);
    dq_lines_close(&c->words);
    send_line(json_pack("{s:s, s:i, s:i}", "type", "changed", "node", c->node, "status", status));
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < agent.count; i++) {
            if (agent.children[i].pid == pid) {
                child_ended(&agent.children[i], status);
            }
        }
    }
}

static void signal_children(int signal)
{
    for (int i = 0; i < agent.count; i++) {
        if (agent.children[i].pid > 0) {
            kill(agent.children[i].pid, signal);
        }
    }
}

/* Nothing that was started here lives on, whatever happens to the words about it. */
static void end_children(void)
{
    gint64 limit = g_get_monotonic_time() + STUCK_MS * MS;
    struct pollfd signals = {.fd = agent.signals, .events = POLLIN};

    signal_children(SIGKILL);
    while (dq_family_kill() > 0 && g_get_monotonic_time() < limit) {
        poll(&signals, 1, 10);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
            /* gone */
        }
    }
}

/* ---- the launcher ---- */

static void hear(const json_t *object)
{
    static const struct {
        const char *type;
        void (*hear)(const json_t *object);
    } table[] = {{"probe", hear_probe},  {"file", hear_file},   {"listen", hear_listen},
                 {"reach", hear_reach},  {"start", hear_start}, {"to", hear_to},
                 {"signal", hear_signal}};
    const char *type = text_of(object, "type");

    for (size_t i = 0; type && i < G_N_ELEMENTS(table); i++) {
        if (strcmp(type, table[i].type) == 0) {
            table[i].hear(object);
            return;
        }
    }
    if (type && strcmp(type, "rest") == 0) {
        agent.rests = json_is_true(json_object_get(object, "on"));
    } else if (!type || strcmp(type, "beat") != 0) {
        agent.over = true; /* bye, or no launcher of ours */
    }
}

static void hear_launcher(void)
{
    const char *line;
    size_t length;

    dq_lines_receive(&agent.launcher);
    agent.heard = g_get_monotonic_time();
    store_what_came();
    while (!agent.over && !agent.storing && (line = dq_lines_next(&agent.launcher, &length))) {
        json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
        hear(object);
        json_decref(object);
        store_what_came();
    }
    if (agent.launcher.in < 0 || (!agent.storing && dq_lines_is_too_long(&agent.launcher))) {
        agent.over = true;
    }
}

static void read_signals(void)
{
    struct signalfd_siginfo info;

    while (read(agent.signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            reap();
        } else if (info.ssi_signo != SIGPIPE) {
            agent.over = true;
        }
    }
}

/* It may be we who were away, at work or stopped: what was said meanwhile is still to be read. */
static bool is_waiting(int fd)
{
    struct pollfd input = {.fd = fd, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static void expire(void)
{
    gint64 now = g_get_monotonic_time();

    if (!agent.rests && now >= agent.heard + agent.contact && !is_waiting(agent.launcher.in)) {
        dq_say("the launcher was not heard of for %d s: the nodes here end",
               (int)(agent.contact / (1000 * MS)));
        agent.over = true;
    }
    if (now >= agent.beat) {
        agent.beat = now + agent.contact / DQ_AGENT_BEATS;
        send_line(json_pack("{s:s}", "type", "beat"));
    }
}

static int next_due(void)
{
    gint64 due = agent.rests ? agent.beat : MIN(agent.beat, agent.heard + agent.contact);
    return (int)MAX((due - g_get_monotonic_time() + MS - 1) / MS, 0);
}

/* A launcher that has much to read is waited for here only: what nodes say meanwhile stays there. */
static bool is_full(void)
{
    return agent.launcher.queue->len > 4 * DQ_LINES_LIMIT;
}

static void turn(void)
{
    struct pollfd fds[2 * DQ_MAX_NODES + 3];
    int n = 0;

    fds[n++] = (struct pollfd){.fd = agent.launcher.in, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = dq_lines_waits(&agent.launcher) ? agent.launcher.out : -1,
                               .events = POLLOUT};
    fds[n++] = (struct pollfd){.fd = agent.signals, .events = POLLIN};
    for (int i = 0; i < agent.count && !is_full(); i++) {
        struct child *c = &agent.children[i];
        short out = dq_lines_waits(&c->control) ? POLLOUT : 0;
        fds[n++] = (struct pollfd){.fd = c->pid > 0 ? c->control.in : -1, .events = POLLIN | out};
        fds[n++] = (struct pollfd){.fd = c->pid > 0 ? c->words.in : -1, .events = POLLIN};
    }
    if (poll(fds, (nfds_t)n, next_due()) < 0) {
        return;
    }
    dq_lines_flush(&agent.launcher);
    if (fds[0].revents) {
        hear_launcher();
    }
    for (int i = 3; i < n; i++) {
        struct child *c = &agent.children[(i - 3) / 2];
        if (fds[i].revents && c->pid > 0) {
            dq_lines_flush(&c->control);
            read_child(c);
        }
    }
    if (fds[2].revents) {
        read_signals();
    }
    expire();
}

static bool open_agent(void)
{
    static const int caught[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    sigset_t set;

    if (isatty(STDIN_FILENO)) {
        dq_say("--agent is what dqemu-launch starts on other hosts by itself; see --hosts");
        return false;
    }
    sigemptyset(&set);
    for (size_t i = 0; i < G_N_ELEMENTS(caught); i++) {
        sigaddset(&set, caught[i]);
    }
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &set, &agent.mask);
    agent.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (agent.signals < 0) {
        dq_say("signalfd: %s; raise the limits of open files or memory", g_strerror(errno));
        return false;
    }
    dq_family_open();
    /* the nodes and their families must not hold these open */
    dq_lines_open(&agent.launcher, fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3),
                  fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    dup2(STDERR_FILENO, STDOUT_FILENO);
    agent.contact = FIRST_CONTACT_MS * MS;
    agent.heard = g_get_monotonic_time();
    return true;
}

int dq_agent_main(void)
{
    if (!open_agent()) {
        return DQ_STATUS_FAULT;
    }
    send_line(json_pack("{s:s, s:i, s:s}", "type", "hello", "version", DQ_AGENT_VERSION, "build",
                        dq_build_id));
    while (!agent.over) {
        turn();
    }
    end_children();
    dq_lines_flush(&agent.launcher);
    return 0;
}
