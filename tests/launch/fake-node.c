/*
 * A node program without an emulator, to test the launcher with: it speaks the control channel
 * through the product's own code, keeps a connection to node 0 as real nodes do, and
 * misbehaves as its arguments say.
 *
 *   fake-node --dqemu-control=FD [options] PROGRAM [NODE@PHASE:ACTION[=VALUE]]...
 *
 * A phase is one of start (configured), listening, ready (about to say so), run. Node 0 ends with status 0 after
 * its actions in `run`; the others wait for its end. Actions are the table at the end. One more can
 * stand in the variable FAKE_NODE_ACT: nodes on hosts are not given the program's arguments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dqemu/build_id.h"
#include "dqemu/control.h"
#include "dqemu/hot.h"
#include "dqemu/stats.h"
#include "proto/transport.h"

static struct dq_config cfg;
static int listener = -1;
static int links[DQ_MAX_NODES]; /* node 0: to every slave; a slave: [0] */
static int nlinks;
static char **words; /* PROGRAM and what follows */
static char **all_words;

static void leave(int status)
{
    for (int i = 0; i < nlinks && cfg.node == 0; i++) {
        (void)!send(links[i], "E", 1, MSG_NOSIGNAL);
    }
    dq_control_stats();
    exit(status);
}

static void lose(int node)
{
    dq_control_lost(node, true, "connection reset");
    _exit(125);
}

/* Until the orderly end (a slave's), or until something is lost. timeout as poll()'s. */
static void serve(int timeout)
{
    struct pollfd fds[DQ_MAX_NODES + 1] = {{.fd = dq_control_fd(), .events = POLLIN}};
    char byte;

    for (;;) {
        for (int i = 0; i < nlinks; i++) {
            fds[i + 1] = (struct pollfd){.fd = links[i], .events = POLLIN};
        }
        int n = poll(fds, (nfds_t)nlinks + 1, timeout);
        if (n == 0) {
            return;
        }
        if (n < 0) {
            continue;
        }
        if (fds[0].revents) {
            _exit(99);
        }
        for (int i = 0; i < nlinks; i++) {
            if (fds[i + 1].revents == 0) {
                continue;
            }
            if (recv(links[i], &byte, 1, 0) == 1) {
                leave(0);
            }
            lose(cfg.node == 0 ? i + 1 : 0);
        }
    }
}

/* ---- actions ---- */

static void do_exit(const char *value)
{
    leave(atoi(value));
}

static void do_die(const char *value) /* exit without a word */
{
    _exit(atoi(value));
}

static void do_kill(const char *value)
{
    signal(atoi(value), SIG_DFL);
    raise(atoi(value));
}

static void do_error(const char *value)
{
    dq_control_error(atoi(value), "%s", strchr(value, ',') + 1);
    _exit(atoi(value));
}

static void do_lost(const char *value)
{
    lose(atoi(value));
}

static void do_raw(const char *value)
{
    dprintf(dq_control_fd(), "%s\n", value);
}

static void do_long(const char *value) /* a line without an end */
{
    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < atoi(value); i++) {
        (void)!send(dq_control_fd(), bytes, sizeof(bytes), MSG_NOSIGNAL);
    }
}

static void do_hang(const char *value)
{
    (void)value;
    serve(-1);
}

static void do_deaf(const char *value) /* hangs, and does not even see the launcher go */
{
    (void)value;
    for (;;) {
        pause();
    }
}

static void do_say(const char *value)
{
    (void)!write(STDOUT_FILENO, value, strlen(value));
}

static void do_cat(const char *value)
{
    char bytes[4096];
    ssize_t n;
    (void)value;
    while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0) {
        (void)!write(STDOUT_FILENO, bytes, (size_t)n);
    }
}

static void do_argv(const char *value)
{
    (void)value;
    for (char **w = all_words; *w; w++) {
        printf("%s\n", *w);
    }
    fflush(stdout);
}

static void do_config(const char *value)
{
    (void)value;
    printf("node %d of %d bind %s port %d placement %s verbose %d hold_us %u\n", cfg.node,
           cfg.nodes, cfg.bind, cfg.port, dq_config_placement_name(cfg.placement), cfg.verbose,
           cfg.hold_us);
    fflush(stdout);
}

static void do_protect(const char *value)
{
    (void)value;
    printf("%s\n", dq_config_protect_name(cfg.protect));
    fflush(stdout);
}

static void do_fds(const char *value) /* the descriptors a guest would find open */
{
    (void)value;
    for (int fd = 0; fd < 256; fd++) {
        if (fd != listener && fcntl(fd, F_GETFD) >= 0) {
            bool link = false;
            for (int i = 0; i < nlinks; i++) {
                link |= links[i] == fd;
            }
            if (!link) {
                dprintf(STDOUT_FILENO, "%d ", fd);
            }
        }
    }
    dprintf(STDOUT_FILENO, "\n");
}

static void do_close(const char *value)
{
    close(atoi(value));
}

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
    caught = sig;
}

static void do_wait_signal(const char *value) /* say "ready", and its number when it comes */
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t block, old;

    sigemptyset(&block);
    sigaddset(&block, atoi(value));
    sigprocmask(SIG_BLOCK, &block, &old);
    sigaction(atoi(value), &sa, NULL);
    dprintf(STDOUT_FILENO, "ready\n");
    while (!caught) {
        sigsuspend(&old);
    }
    dprintf(STDOUT_FILENO, "signal %d\n", (int)caught);
    caught = 0;
}

static void do_ignore(const char *value)
{
    signal(atoi(value), SIG_IGN);
}

static void do_pid(const char *value) /* to a file: FILE, a line per node */
{
    int fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    dprintf(fd, "%d %d\n", cfg.node, (int)getpid());
    close(fd);
}

static void do_count(const char *value)
{
    dq_stat_add(threads, atoi(value));
    dq_stat_add(pages_in, 10 + cfg.node);
}

static void do_ask(const char *value) /* PAGE,NODE,TIMES: that node asks this one, to write */
{
    unsigned page, node, times;

    if (sscanf(value, "%x,%u,%u", &page, &node, &times) == 3) {
        while (times--) {
            dq_hot_asked(page, (int)node, true);
        }
    }
}

static void do_log(const char *value)
{
    dq_control_log("%s", value);
}

static void do_exec(const char *value) /* as a guest's execve: an orderly end for the others */
{
    for (int i = 0; i < nlinks; i++) {
        (void)!send(links[i], "E", 1, MSG_NOSIGNAL);
    }
    dq_control_stats();
    execl("/bin/sh", "sh", "-c", value, (char *)NULL);
}

static void do_daemon(const char *value) /* a child that outlives the guest; its pid to FILE */
{
    pid_t pid = fork();
    if (pid == 0) {
        dq_control_forked();
        setsid();
        for (int fd = 0; fd < 1024; fd++) {
            close(fd);
        }
        for (;;) {
            pause();
        }
    }
    int fd = open(value, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    dprintf(fd, "%d\n", (int)pid);
    close(fd);
}

static const struct {
    const char *name;
    void (*act)(const char *value);
} actions[] = {
    {"exit", do_exit},
    {"die", do_die},
    {"kill", do_kill},
    {"error", do_error},
    {"lost", do_lost},
    {"raw", do_raw},
    {"long", do_long},
    {"hang", do_hang},
    {"deaf", do_deaf},
    {"say", do_say},
    {"cat", do_cat},
    {"argv", do_argv},
    {"config", do_config},
    {"fds", do_fds},
    {"protect", do_protect},
    {"close", do_close},
    {"wait-signal", do_wait_signal},
    {"ignore", do_ignore},
    {"pid", do_pid},
    {"count", do_count},
    {"log", do_log},
    {"exec", do_exec},
    {"daemon", do_daemon},
    {"ask", do_ask},
};

/* NODE@PHASE:ACTION[=VALUE], if it is for that phase of this node. */
static void act_word(const char *word, const char *phase)
{
    char prefix[32];
    int n = snprintf(prefix, sizeof(prefix), "%d@%s:", cfg.node, phase);
    const char *action = word + n;

    if (strncmp(word, prefix, (size_t)n) != 0) {
        return;
    }
    size_t length = strcspn(action, "=");
    for (size_t a = 0; a < sizeof(actions) / sizeof(*actions); a++) {
        if (strlen(actions[a].name) == length && strncmp(actions[a].name, action, length) == 0) {
            actions[a].act(action[length] ? action + length + 1 : "");
        }
    }
}

static void act(const char *phase)
{
    const char *variable = getenv("FAKE_NODE_ACT");

    for (char **w = words; *w; w++) {
        act_word(*w, phase);
    }
    if (variable) {
        act_word(variable, phase);
    }
}

/* ---- a run ---- */

static void fatal(const char *what)
{
    dq_control_error(125, "fake node %d: %s: %s", cfg.node, what, strerror(errno));
    _exit(125);
}

static void open_listener(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(cfg.port)};
    socklen_t length = sizeof(a);

    inet_pton(AF_INET, cfg.bind, &a.sin_addr);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0) {
        dq_control_error(125,
                         "node %d cannot listen on %s port %d: %s; choose another --port-range",
                         cfg.node, cfg.bind, cfg.port, strerror(errno));
        _exit(125);
    }
    if (listen(listener, DQ_MAX_NODES) < 0 ||
        getsockname(listener, (struct sockaddr *)&a, &length) < 0) {
        fatal("listen");
    }
    dq_control_listening(cfg.bind, ntohs(a.sin_port));
}

static void meet(const struct dq_peer_addr *peers)
{
    if (cfg.node == 0) {
        for (int i = 1; i < cfg.nodes; i++) {
            int fd = accept(listener, NULL, NULL);
            unsigned char k;
            if (fd < 0 || recv(fd, &k, 1, 0) != 1) {
                fatal("accept");
            }
            links[k - 1] = fd;
            nlinks++;
        }
        return;
    }
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(peers[0].port)};
    unsigned char k = (unsigned char)cfg.node;
    inet_pton(AF_INET, peers[0].address, &a.sin_addr);
    links[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(links[0], (struct sockaddr *)&a, sizeof(a)) < 0 ||
        send(links[0], &k, 1, MSG_NOSIGNAL) != 1) {
        fatal("connect");
    }
    nlinks = 1;
}

int main(int argc, char **argv)
{
    struct dq_peer_addr *peers;
    int fd = -1;

    if (argc == 2 && strcmp(argv[1], "--dqemu-build") == 0) {
        puts(dq_build_id);
        return 0;
    }
    all_words = argv;
    for (words = argv + 1; *words && (*words)[0] == '-'; words++) {
        sscanf(*words, "--dqemu-control=%d", &fd);
        words += strlen(*words) == 2 && strchr("LEU0sd", (*words)[1]);
    }
    signal(SIGPIPE, SIG_IGN);
    if (dq_control_open(fd, &cfg) < 0) {
        return 125;
    }
    act("start");
    if (cfg.nodes > 1) {
        open_listener();
        act("listening");
        if (dq_control_peers(&peers, cfg.nodes) < 0) {
            return 98;
        }
        meet(peers);
        free(peers);
        act("ready");
        dq_control_ready();
        if (dq_control_wait_go() < 0) {
            return 98;
        }
    }
    act("run");
    if (cfg.node != 0) {
        serve(-1);
    }
    leave(0);
}
