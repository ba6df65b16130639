/*
 * Running one command.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MERCY_S 5.0 /* between the polite signal and the other one */

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

void run_catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = on_signal};

    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &sa, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

bool run_interrupted(void)
{
    return interrupted;
}

static double now_s(void)
{
    return (double)g_get_monotonic_time() / 1e6;
}

static void set_cpus(const char *cpus)
{
    char **list = g_strsplit(cpus, ",", -1);
    cpu_set_t set;

    CPU_ZERO(&set);
    for (char **c = list; *c; c++) {
        CPU_SET(atoi(*c), &set);
    }
    sched_setaffinity(0, sizeof(set), &set);
    g_strfreev(list);
}

/* A group of its own: the terminal's Ctrl-C comes to us alone, and we pass it on once. */
static pid_t start(const struct run *r, int out, int err)
{
    pid_t parent = getpid(), child = fork();

    if (child != 0) {
        return child;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(127);
    }
    signal(SIGPIPE, SIG_DFL);
    if (r->cpus) {
        set_cpus(r->cpus);
    }
    int null = open("/dev/null", O_RDONLY);

    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    execv(r->argv[0], r->argv);
    dprintf(2, "cannot run %s: %s\n", r->argv[0], strerror(errno));
    _exit(127);
}

static char *contents(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = g_malloc0((gsize)size + 1);

    if (pread(fd, text, (size_t)size, 0) < 0) {
        text[0] = '\0';
    }
    close(fd);
    return text;
}

/* The last line that it said, or nothing. */
static char *last_words(const char *err)
{
    char *text = g_strchomp(g_strdup(err)), *line = strrchr(text, '\n'), *words;

    line = line ? line + 1 : text;
    words = *line ? g_strdup_printf(": %.200s", line) : g_strdup("");
    g_free(text);
    return words;
}

static char *reason(const struct run *r, int status, bool late)
{
    char *words = last_words(r->err), *text;

    if (interrupted && !r->finish) {
        text = g_strdup("interrupted");
    } else if (late) {
        text = g_strdup_printf("still running after %.0f s%s", r->limit_s, words);
    } else if (WIFSIGNALED(status)) {
        text = g_strdup_printf("killed by signal %d%s", WTERMSIG(status), words);
    } else {
        text = g_strdup_printf("status %d%s", WEXITSTATUS(status), words);
    }
    g_free(words);
    return text;
}

static void pause_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

/*
 * True if it ended by itself within the limit. One that even SIGKILL does not end, because the
 * kernel holds it, is left behind: `*status` says that it was killed.
 */
static bool await(const struct run *r, pid_t child, int *status)
{
    double limit = now_s() + r->limit_s, asked = 0;
    bool late = false;

    while (waitpid(child, status, WNOHANG) != child) {
        if (!late && ((interrupted && !r->finish) || now_s() > limit)) {
            late = true;
            kill(child, SIGTERM);
            asked = now_s();
        } else if (late && now_s() > asked + MERCY_S) {
            kill(-child, SIGKILL);
        }
        if (late && now_s() > asked + 3 * MERCY_S) {
            *status = SIGKILL;
            break;
        }
        if (r->tick) {
            r->tick(r->ctx);
        }
        pause_ms(r->tick ? r->tick_ms : 5);
    }
    return !late;
}

bool run_command(struct run *r, char **why)
{
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    int status = 0;
    bool late;
    pid_t child = start(r, out, err);

    if (child < 0) {
        *why = g_strdup_printf("cannot fork: %s", g_strerror(errno));
        close(out);
        close(err);
        return false;
    }
    late = !await(r, child, &status);
    r->out = contents(out);
    r->err = contents(err);
    if (!late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    *why = reason(r, status, late);
    return false;
}

void run_clear(struct run *r)
{
    g_clear_pointer(&r->out, g_free);
    g_clear_pointer(&r->err, g_free);
}
