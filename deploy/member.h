/*
 * A member: one node of a run as the launcher sees it, that is its process and the launcher's
 * end of its control channel (dqemu/control.h has the language). Both are here, or with the agent
 * of another host, who relays (deploy/agent.h).
 *
 * One thread. Nothing blocks: what is read is what is there; what is sent is small against
 * the socket's buffer. A member that cannot be talked to is noticed when its process ends, or its
 * host is lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MEMBER_H
#define DQ_MEMBER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "deploy/options.h"
#include "deploy/rack.h"
#include "dqemu/stats.h"

enum dq_stage {
    DQ_STAGE_ABSENT,
    DQ_STAGE_STARTED,
    DQ_STAGE_LISTENING, /* its address and port are known */
    DQ_STAGE_READY,     /* it has met all others */
};

struct dq_member {
    int node, nodes;
    enum dq_stage stage;
    struct dq_remote *remote; /* whose agent runs it; NULL: it is our child */
    const char *host;         /* the name of its host; NULL: there are none */
    pid_t pid;                /* on its host; 0 before the start */
    int fd;                   /* control channel; -1: none, or closed, or the agent has it */
    struct _GString *input;
    int verbose;      /* as the user asked */
    char address[64]; /* where it listens, or was told to */
    char place[160];  /* its address for the user, with the host if it has one */
    uint16_t port;
    bool wide; /* it can have the guest's addresses beyond 64 TiB */

    bool cut;        /* its host was lost, and with it the news of its process */
    bool ended;      /* the process is gone: */
    int wait_status; /* as waitpid() tells */
    int stop_signal; /* the process was stopped by it; the reader sets it to 0 */
    bool continued;  /* the process was continued; likewise */

    /* What it has reported; the first of error and lost. */
    int64_t explained_at; /* when, in monotonic microseconds */
    int status;           /* of an error; 0: none */
    char *text;
    int lost_node;  /* the peer it lost; -1: none */
    bool lost_left; /* a peer that leaves looks the same */
    char *lost_why;
    bool counted;
    uint64_t counts[DQ_STAT_COUNT];
    struct json_t *pages;  /* as in dqemu/control.h; NULL: none */
    struct json_t *memory; /* all areas; node 0 */
};

/* What all members of a run have in common. */
struct dq_launch {
    const struct dq_options *options;
    const char *node_binary;
    const char *isa;            /* of the program */
    const struct dq_root *root; /* the program's; NULL: this process's */
    struct dq_rack *rack;       /* NULL: all nodes are processes of this machine */
    char *folder;               /* this process's, for nodes on hosts */
    uint8_t secret[DQ_SECRET_SIZE];
    sigset_t signals; /* the mask that the launcher was started with */
};

void dq_member_init(struct dq_member *m, int node, const struct dq_launch *launch);
void dq_member_free(struct dq_member *m);

/* Start the process and send it its configuration. 0 or -errno. */
int dq_member_start(struct dq_member *m, const struct dq_launch *launch);

void dq_member_send_peers(struct dq_member *m, const struct dq_member *all, int nodes);
void dq_member_send_go(struct dq_member *m);

/* What the agent has told of it: started, from, changed. False: it is something else. */
bool dq_member_hear(struct dq_member *m, const char *type, const struct json_t *object);

/* Its host is lost: it is taken for ended, and nothing more is heard of it. */
void dq_member_cut(struct dq_member *m);

/* Take in what the member has said; closes the channel at its end. */
void dq_member_read(struct dq_member *m);

/*
 * waitpid() has told this of its process: it has ended (its last words are read), or it was stopped or
 * continued; of the two, what came last counts.
 */
void dq_member_changed(struct dq_member *m, int wait_status);

/* Send it a signal, if it is there. */
void dq_member_signal(struct dq_member *m, int signal);

/* Has it said why it ends? */
bool dq_member_explained(const struct dq_member *m);

#endif
