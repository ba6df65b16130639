/*
 * What every transport has, whatever carries its bytes: its configuration and who listens to
 * it, the wake-up of the loop, messages to oneself, the count of peers, notes for the log,
 * addresses. Private to proto/: a transport's own struct begins with a struct dq_transport.
 *
 * Everything is the loop thread's, except what a lock below guards, the atomics, and the
 * functions marked "any thread". No lock is held while a callback runs. Nothing blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_TRANSPORT_COMMON_H
#define DQ_PROTO_TRANSPORT_COMMON_H

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proto/address.h"
#include "proto/auth.h"
#include "proto/transport.h"

struct event;

struct dq_transport {
    struct dq_transport_config cfg;
    char *build_id;
    struct dq_transport_events events;
    void *ctx;
    struct event_base *base;

    uint64_t taken;  /* as in struct dq_auth_config */
    int up;          /* peers that have ever been up */
    bool connecting; /* connect has been called */
    bool ready;      /* the callback has been called */

    int wake_fd; /* eventfd: makes the loop look at what follows */
    struct event *wake;
    struct event *tick; /* NULL: nobody is watched */
    void (*look)(struct dq_transport *t);
    void (*called)(struct dq_transport *t); /* some link wants the loop */
    uint64_t gathered;      /* the loop's: a bit per link that has bytes for the end of the turn */
    atomic_bool woken;      /* wake_fd is written and not yet read */
    atomic_bool links_call; /* some link wants the loop's attention */

    pthread_mutex_t self_lock; /* guards self_in */
    GByteArray *self_in;       /* frames to oneself, each padded to 8 bytes */
    GByteArray *self_out;      /* the loop's: those being delivered */

    char why[256]; /* of the latest failure of listen or connect; empty: errno says it all */

    gint64 notes_since; /* monotonic us: start of the current second of notes */
    unsigned notes;     /* in that second */

    atomic_uint_fast64_t bytes_in;
    atomic_uint_fast64_t bytes_out;
};

/*
 * Fills a zeroed struct. `called` runs on the loop after dq_transport_call(). 0; -EINVAL for a
 * configuration that cannot be; or want of descriptors.
 */
int dq_transport_open(struct dq_transport *t, struct event_base *base,
                      const struct dq_transport_config *cfg,
                      const struct dq_transport_events *events, void *ctx,
                      void (*called)(struct dq_transport *t));
/* Frees what open made, not the struct. */
void dq_transport_close(struct dq_transport *t);
/* In a forked child: closes the descriptors, and takes no lock. */
void dq_transport_forked(struct dq_transport *t);

/* Makes the loop run soon, and deliver what this node has sent to itself. Any thread. */
void dq_transport_wake(struct dq_transport *t);
/* The same for a link that wants the loop's attention: `called` will run. Any thread. */
void dq_transport_call(struct dq_transport *t);
/* Is this thread the loop, which sends at the end of its turn? Any thread. */
bool dq_transport_gathers(const struct dq_transport *t);
/* This thread is the loop, at the end of a turn: flush() sends what a link has gathered. True: deliver
 * has something to do. */
bool dq_transport_turn_ends(struct dq_transport *t,
                            void (*flush)(struct dq_transport *t, int node));
/* The lower-numbered peers are dialled; then ready() may come. 0 or dial()'s first error. */
int dq_transport_dial(struct dq_transport *t, const struct dq_peer_addr *peers,
                      int (*dial)(struct dq_transport *t, int node,
                                  const struct dq_peer_addr *addr));

/* Calls ready() if now is the time. */
void dq_transport_maybe_ready(struct dq_transport *t);
/*
 * Watching for peers that are silent for contact_ms: look() runs on the loop once in a tick, from
 * watch until unwatch or close; never if contact_ms is 0 or there are no peers. A transport counts
 * ticks, not time: a node that was stopped itself has missed them, and blames nobody.
 */
unsigned dq_transport_tick_ms(const struct dq_transport *t);
void dq_transport_watch(struct dq_transport *t, void (*look)(struct dq_transport *t));
void dq_transport_unwatch(struct dq_transport *t);
#define DQ_TRANSPORT_SILENCE 96
/* Why a silent peer is lost, for people. */
void dq_transport_silence(const struct dq_transport *t, char to[DQ_TRANSPORT_SILENCE]);

/* A peer is lost: nobody is expected under its number any more, and lost() or broken() is called. */
typedef void dq_transport_loss(struct dq_transport *t, int node, const char *why);
dq_transport_loss dq_transport_lost, dq_transport_broken;

/*
 * The frame of a message as send() is given it, and its pieces in iov[]: how many of them.
 * A frame that no node may send is the caller's bug and ends the process. Any thread.
 */
int dq_transport_frame(struct dq_frame *f, struct iovec iov[3], int to, unsigned type,
                       const void *body, size_t length, const void *pages, unsigned count);
/* A message to this node, in those pieces. Any thread. */
void dq_transport_self_send(struct dq_transport *t, const struct iovec *iov, int count,
                            size_t length);

/* The operations of the same names. */
bool dq_transport_deliver(struct dq_transport *t);
void dq_transport_traffic(struct dq_transport *t, uint64_t *bytes_in, uint64_t *bytes_out);

const char *dq_transport_why(struct dq_transport *t);

/* A note about a stranger: so many a second, since a flood of them must not flood the log. */
void dq_transport_note(struct dq_transport *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The configuration of a handshake with node `peer`, dialled; -1: with whoever has called. */
struct dq_auth_config dq_transport_auth(struct dq_transport *t, int peer);

/* "[" numeric IPv6 with scope "] port 65535" */
#define DQ_TRANSPORT_NAME 96
/* A socket address, for people. */
void dq_transport_name(char to[DQ_TRANSPORT_NAME], const struct sockaddr *sa, socklen_t length);

/* Frames keep bodies aligned: so many bytes does one of this length take. */
static inline size_t dq_transport_padded(size_t length)
{
    return (length + 7) & ~(size_t)7;
}

#endif
