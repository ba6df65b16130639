/*
 * A remote: one host of a run as the launcher sees it, that is the process that leads there (ssh,
 * srun, a command of the user's; on this machine the agent itself) and the conversation with the
 * agent at its end (deploy/agent.h).
 *
 * One thread; nothing blocks. The caller polls (dq_remote_fill(), dq_remote_ready()) and waits for
 * the process (dq_remote_changed()).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_REMOTE_H
#define DQ_REMOTE_H

#include <poll.h>
#include <sys/types.h>

#include "deploy/hosts.h"
#include "deploy/lines.h"
#include "deploy/push.h"

/* How agents are started: the same for all hosts of a run. */
struct dq_way {
    enum dq_way_kind { DQ_WAY_SSH, DQ_WAY_SRUN, DQ_WAY_COMMAND } kind;
    char *const *words;              /* of ssh, or of the user's command, in which %h is the host */
    const char *installed;           /* where dqemu-launch is on the hosts */
    const struct dq_push_file *push; /* send it there instead; or NULL */
};

struct dq_remote {
    const struct dq_host *host;
    bool here;        /* this machine: the agent is started directly */
    pid_t pid;        /* 0: not started, or ended */
    bool talks;       /* the agent has said hello */
    bool gone;        /* the conversation is over, or cannot be: */
    char *why;        /* a clause; NULL: it ended as it was told to */
    int64_t heard;    /* when it last said something, in monotonic microseconds; 0: never */
    int64_t moved;    /* when it last took something of what was sent */
    int64_t beat;     /* when it is to be told again that we are here */
    char last[256];   /* the last line on the stderr of its process */
    bool bye;         /* it was told to end */
    char address[64]; /* where its nodes meet the others; "": not known yet */

    /*
     * What an agent says after its hello, and each line on the stderr of its process (which may be
     * the agent's, or ssh's own).
     */
    void (*hear)(struct dq_remote *r, const char *type, const json_t *object);
    void (*words)(struct dq_remote *r, const char *text);
    void *ctx;

    /* The preflight's (preflight.c). */
    json_t *facts, *reached;
    bool doubted; /* another host cannot reach it: is it there still? */
    uint16_t port;

    /* Private to remote.c. */
    const struct dq_way *way;
    struct dq_lines lines, errors;
    int version;
};

/* Start its process. 0 or -errno. hear, words, ctx and host were set; the rest is not touched. */
int dq_remote_start(struct dq_remote *r, const struct dq_way *way);

/* Three descriptors to poll. */
#define DQ_REMOTE_FDS 3
void dq_remote_fill(const struct dq_remote *r, struct pollfd fds[DQ_REMOTE_FDS]);
/* They were polled: takes in what came, and calls back. */
void dq_remote_ready(struct dq_remote *r, const struct pollfd fds[DQ_REMOTE_FDS]);

/* waitpid() has told this of r->pid. */
void dq_remote_changed(struct dq_remote *r, int wait_status);

/* Says that we are here, if that is due. */
void dq_remote_beat(struct dq_remote *r, int contact_ms);

/*
 * Time has passed, and r was polled just before: the same, and an agent that has been silent for
 * `contact_ms` is given up. The time of the next call, at the latest.
 */
int64_t dq_remote_tick(struct dq_remote *r, int contact_ms);

/* Say something to the agent; the object is released. Nothing happens when it is gone. */
void dq_remote_send(struct dq_remote *r, json_t *object);
void dq_remote_send_file(struct dq_remote *r, const struct dq_push_file *file);

/* It is given up: `why` is one clause. The first reason is kept. */
void dq_remote_lose(struct dq_remote *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ask the agent to end, or kill what leads to it. */
void dq_remote_bye(struct dq_remote *r);
void dq_remote_kill(struct dq_remote *r);

/* "last contact 3 s ago"; the caller's to g_free(). */
char *dq_remote_last_contact(const struct dq_remote *r);

void dq_remote_free(struct dq_remote *r);

#endif
