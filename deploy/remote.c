/*
 * One host of a run as the launcher sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/agent.h"
#include "deploy/say.h"
#include "dqemu/build_id.h"

#define MS G_GINT64_CONSTANT(1000)
#define SSH_FAILED 255 /* ssh(1), EXIT STATUS: an error of its own */

/* ---- the command ---- */

static void add(GPtrArray *argv, const char *word)
{
    g_ptr_array_add(argv, g_strdup(word));
}

/* ssh gives its words to the login shell of the host, whichever that is: one quoted word for it. */
static void add_ssh(GPtrArray *argv, const struct dq_way *way, const char *host, const char *script)
{
    for (char *const *w = way->words; *w; w++) {
        add(argv, *w);
    }
    /* no terminal, no questions: there is nobody to answer them */
    for (const char *const *o = (const char *const[]){"-T", "-x", "-a", "-o", "BatchMode=yes", "-o",
                                                      "ConnectTimeout=10", NULL};
         *o; o++) {
        add(argv, *o);
    }
    add(argv, "--");
    add(argv, host);
    g_ptr_array_add(argv, g_strdup_printf("exec /bin/sh -c '%s'", script));
}

static void add_srun(GPtrArray *argv, const char *host, const char *script)
{
    /* beside other steps of the allocation, with all that it has there */
    for (const char *const *o =
             (const char *const[]){"srun", "--nodes=1", "--ntasks=1", "--overlap", "--mem=0",
                                   "--cpu-bind=none", "--unbuffered", "--quiet", NULL};
         *o; o++) {
        add(argv, *o);
    }
    g_ptr_array_add(argv, g_strdup_printf("--nodelist=%s", host));
    add(argv, "/bin/sh");
    add(argv, "-c");
    add(argv, script);
}

static void add_command(GPtrArray *argv, const struct dq_way *way, const char *host,
                        const char *script)
{
    for (char *const *w = way->words; *w; w++) {
        char **parts = g_strsplit(*w, "%h", -1);
        g_ptr_array_add(argv, g_strjoinv(host, parts));
        g_strfreev(parts);
    }
    add(argv, "/bin/sh");
    add(argv, "-c");
    add(argv, script);
}

static char **make_command(const struct dq_remote *r)
{
    GPtrArray *argv = g_ptr_array_new();
    char *script = dq_push_script(r->way->installed, r->way->push);
    const char *host = r->host->name;

    if (r->here) {
        add(argv, "/proc/self/exe");
        add(argv, "--agent");
    } else if (r->way->kind == DQ_WAY_SSH) {
        add_ssh(argv, r->way, host, script);
    } else if (r->way->kind == DQ_WAY_SRUN) {
        add_srun(argv, host, script);
    } else {
        add_command(argv, r->way, host, script);
    }
    g_ptr_array_add(argv, NULL);
    g_free(script);
    return (char **)g_ptr_array_free(argv, FALSE);
}

/* ---- the process ---- */

/*
 * In a session of its own: the terminal's signals are for the program, and ssh finds no terminal to
 * ask questions on. It ends with the launcher.
 */
static _Noreturn void become_command(char **argv, int in, int out, int err, pid_t launcher)
{
    sigset_t none;

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != launcher) {
        _exit(DQ_STATUS_FAULT);
    }
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close_range(3, ~0u, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], g_strerror(errno));
    _exit(DQ_STATUS_FAULT);
}

static int open_pipes(int pipes[3][2])
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0) {
            int error = errno;
            while (i-- > 0) {
                close(pipes[i][0]);
                close(pipes[i][1]);
            }
            return -error;
        }
    }
    return 0;
}

int dq_remote_start(struct dq_remote *r, const struct dq_way *way)
{
    int pipes[3][2]; /* its input, its output, its errors */
    pid_t launcher = getpid();
    int rc = open_pipes(pipes);

    if (rc < 0) {
        return rc;
    }
    r->way = way;
    char **argv = make_command(r);
    pid_t pid = fork();
    if (pid == 0) {
        become_command(argv, pipes[0][0], pipes[1][1], pipes[2][1], launcher);
    }
    rc = pid < 0 ? -errno : 0;
    g_strfreev(argv);
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    dq_lines_open(&r->lines, pipes[1][0], pipes[0][1]);
    dq_lines_open(&r->errors, pipes[2][0], pipes[2][0]);
    r->pid = MAX(pid, 0);
    return rc;
}

void dq_remote_lose(struct dq_remote *r, const char *format, ...)
{
    va_list args;

    if (!r->gone) {
        va_start(args, format);
        r->why = g_strdup_vprintf(format, args);
        va_end(args);
        r->gone = true;
        dq_remote_kill(r);
    }
}

void dq_remote_kill(struct dq_remote *r)
{
    if (r->lines.input) {
        dq_lines_close(&r->lines);
    }
    if (r->pid > 0) {
        kill(r->pid, SIGTERM);
        kill(r->pid, SIGCONT);
    }
    r->gone = true;
}

void dq_remote_bye(struct dq_remote *r)
{
    if (!r->bye) {
        r->bye = true;
        dq_remote_send(r, json_pack("{s:s}", "type", "bye"));
    }
}

static const char *way_name(const struct dq_remote *r)
{
    if (r->here) {
        return "the agent";
    }
    switch (r->way->kind) {
    case DQ_WAY_SSH:
        return "ssh";
    case DQ_WAY_SRUN:
        return "srun";
    default:
        return r->way->words[0];
    }
}

/* ---- what it says ---- */

static void hear_errors(struct dq_remote *r)
{
    const char *line;
    size_t length;

    while ((line = dq_lines_next(&r->errors, &length))) {
        char *valid = g_utf8_make_valid(line, (gssize)length);
        g_strchomp(valid);
        /* of several lines, ssh's last one about a host key is not the one that tells */
        if (*valid && !g_str_has_prefix(valid, "@@@")) {
            g_strlcpy(r->last, valid, sizeof(r->last));
            r->words(r, valid);
        }
        g_free(valid);
    }
}

static void hear_before_hello(struct dq_remote *r, const char *line, size_t length)
{
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(object, "type"));

    if (type && strcmp(type, "hello") == 0) {
        r->talks = true;
        r->version = (int)json_integer_value(json_object_get(object, "version"));
        const char *build = json_string_value(json_object_get(object, "build"));
        if (r->version != DQ_AGENT_VERSION) {
            dq_remote_lose(r,
                           "its dqemu (build %s) is not the launcher's (build %s); install the "
                           "same there, or use --push",
                           build ? build : "unknown", dq_build_id);
        } else {
            r->hear(r, type, object);
        }
    } else if (g_str_has_prefix(line, "dqemu-agent absent")) {
        dq_remote_lose(r,
                       "dqemu-launch is not there (neither as %s nor in PATH); install it, or "
                       "use --push or --prefix",
                       r->way->installed);
    } else if (g_str_has_prefix(line, "dqemu-agent wants") && r->way->push) {
        dq_remote_send_file(r, r->way->push);
    } /* else: what the login shell of that host says to everybody */
    json_decref(object);
}

static void hear_lines(struct dq_remote *r)
{
    const char *line;
    size_t length;

    while (!r->gone && (line = dq_lines_next(&r->lines, &length))) {
        if (!r->talks) {
            hear_before_hello(r, line, length);
            continue;
        }
        json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
        const char *type = json_string_value(json_object_get(object, "type"));
        if (!type) {
            dq_remote_lose(r, "its agent says what dqemu-launch does not understand; use both from "
                              "one build");
        } else if (strcmp(type, "beat") != 0) {
            r->hear(r, type, object);
        }
        json_decref(object);
    }
    if (!r->gone && dq_lines_is_too_long(&r->lines)) {
        dq_remote_lose(r, "its agent says what dqemu-launch does not understand; use both from "
                          "one build");
    }
}

/* True: it has said something. */
static bool take_in(struct dq_remote *r)
{
    if (!r->lines.input || !dq_lines_receive(&r->lines)) {
        return false;
    }
    r->heard = g_get_monotonic_time();
    hear_lines(r);
    return true;
}

void dq_remote_fill(const struct dq_remote *r, struct pollfd fds[DQ_REMOTE_FDS])
{
    bool open = r->lines.input != NULL;

    fds[0] = (struct pollfd){.fd = open ? r->lines.in : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = open && dq_lines_waits(&r->lines) ? r->lines.out : -1,
                             .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = r->errors.input ? r->errors.in : -1, .events = POLLIN};
}

void dq_remote_ready(struct dq_remote *r, const struct pollfd fds[DQ_REMOTE_FDS])
{
    if (fds[2].revents && dq_lines_receive(&r->errors)) {
        hear_errors(r);
    }
    if (!r->lines.input) {
        return;
    }
    if (fds[1].revents) {
        dq_lines_flush(&r->lines);
        r->moved = g_get_monotonic_time();
    }
    if (fds[0].revents) {
        take_in(r);
    }
}

/* ---- its end ---- */

/* What is still on its way from a process that has ended; bounded, for its children may go on. */
static void read_rest(struct dq_remote *r)
{
    while (dq_lines_receive(&r->errors)) {
        hear_errors(r);
    }
    while (r->lines.input && dq_lines_receive(&r->lines)) {
        hear_lines(r);
    }
}

static void tell_end(struct dq_remote *r, int wait_status)
{
    const char *name = way_name(r);
    char *last = r->last[0] ? g_strdup_printf(" (%s)", r->last) : g_strdup("");

    if (WIFSIGNALED(wait_status)) {
        dq_remote_lose(r, "%s was killed by signal %d%s", name, WTERMSIG(wait_status), last);
    } else if (r->talks) {
        dq_remote_lose(r, "its agent or the connection has ended, %s with status %d%s", name,
                       WEXITSTATUS(wait_status), last);
    } else if (r->way->kind == DQ_WAY_SSH && !r->here && WEXITSTATUS(wait_status) == SSH_FAILED) {
        dq_remote_lose(r, "cannot be reached: %s; see that \"ssh %s true\" works and asks nothing",
                       r->last[0] ? r->last : "ssh gives no reason", r->host->name);
    } else if (r->last[0]) {
        dq_remote_lose(r, "dqemu does not start there: %s", r->last);
    } else {
        dq_remote_lose(r, "%s ended with status %d and said nothing", name,
                       WEXITSTATUS(wait_status));
    }
    g_free(last);
}

void dq_remote_changed(struct dq_remote *r, int wait_status)
{
    if (WIFSTOPPED(wait_status)) {
        return;
    }
    r->pid = 0;
    read_rest(r);
    if (!r->bye && !r->gone) {
        tell_end(r, wait_status);
    }
    dq_remote_kill(r);
}

void dq_remote_beat(struct dq_remote *r, int contact_ms)
{
    int64_t now = g_get_monotonic_time();

    if (r->talks && now >= r->beat) {
        r->beat = now + contact_ms * MS / DQ_AGENT_BEATS;
        dq_remote_send(r, json_pack("{s:s}", "type", "beat"));
    }
}

int64_t dq_remote_tick(struct dq_remote *r, int contact_ms)
{
    int64_t now = g_get_monotonic_time();

    if (r->gone || !r->talks) {
        return INT64_MAX;
    }
    /* it may be we who were away: what it said meanwhile is still to be read */
    if (now >= r->heard + contact_ms * MS && !take_in(r)) {
        dq_remote_lose(r, "nothing was heard from it for %d s", contact_ms / 1000);
        return INT64_MAX;
    }
    dq_remote_beat(r, contact_ms);
    return MIN(r->beat, r->heard + contact_ms * MS);
}

/* ---- what it is told ---- */

void dq_remote_send(struct dq_remote *r, json_t *object)
{
    if (r->gone || !r->lines.input) {
        json_decref(object);
    } else {
        dq_lines_send(&r->lines, object);
    }
}

void dq_remote_send_file(struct dq_remote *r, const struct dq_push_file *file)
{
    char *bytes;
    gsize size;
    GError *error = NULL;

    if (!g_file_get_contents(file->path, &bytes, &size, &error)) {
        dq_remote_lose(r, "what is to be sent there cannot be read: %s", error->message);
        g_error_free(error);
        return;
    }
    dq_lines_send_bytes(&r->lines, bytes, MIN(size, file->size));
    g_free(bytes);
}

char *dq_remote_last_contact(const struct dq_remote *r)
{
    if (r->heard == 0) {
        return g_strdup("it never answered");
    }
    return g_strdup_printf("last contact %.1f s ago",
                           (double)(g_get_monotonic_time() - r->heard) / 1e6);
}

void dq_remote_free(struct dq_remote *r)
{
    dq_lines_close(&r->lines);
    dq_lines_close(&r->errors);
    json_decref(r->facts);
    json_decref(r->reached);
    g_free(r->why);
}
