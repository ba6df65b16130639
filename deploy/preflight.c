/*
 * The preflight: can all hosts take part?
 *
 * Three rounds, each over when all hosts that are still there have answered: the facts of each;
 * then all listen, because only now the addresses are known; then all connect to all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/preflight.h"

#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/agent.h"
#include "deploy/facts.h"
#include "deploy/logs.h"
#include "deploy/say.h"
#include "deploy/spawn.h"
#include "dqemu/build_id.h"

#define MS G_GINT64_CONSTANT(1000)
/* A host that has not moved for so long before a run will not. */
#define PATIENCE_MS 30000

/* ---- what is asked ---- */

/* ssh tells the address by which it came; for the others it is what the name means here. */
static json_t *resolved(const struct dq_remote *r)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai, *i;
    json_t *list = json_array();
    char text[64];

    if (r->here || r->way->kind == DQ_WAY_SSH || getaddrinfo(r->host->name, NULL, &hints, &ai)) {
        return list;
    }
    for (i = ai; i; i = i->ai_next) {
        if (getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
            0) {
            json_array_append_new(list, json_string(text));
        }
    }
    freeaddrinfo(ai);
    return list;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text) {
        json_object_set_new(object, key, json_string(text));
    }
}

static void send_probe(const struct dq_preflight *p, struct dq_remote *r)
{
    json_t *probe = json_pack("{s:s, s:i, s:i, s:b, s:i, s:s, s:o}", "type", "probe", "slots",
                              r->host->nodes, "nodes", p->nodes, "here", r->here, "contact_ms",
                              p->rack->contact_ms, "isa", p->isa, "resolved", resolved(r));

    set_text(probe, "interface", p->interface);
    set_text(probe, "address", r->host->address);
    if (p->push && !r->here) {
        set_text(probe, "hash", p->push->hash);
    } else {
        set_text(probe, "node_binary", p->node_binary);
    }
    dq_remote_send(r, probe);
}

static void send_node_program(const struct dq_preflight *p, struct dq_remote *r)
{
    dq_remote_send(r, json_pack("{s:s, s:I}", "type", "file", "size", (json_int_t)p->push->size));
    dq_remote_send_file(r, p->push);
}

/* The first port, or all that its nodes will use. */
static json_t *ports_of(const struct dq_preflight *p, const struct dq_remote *r)
{
    json_t *ports = json_array();

    for (int i = 0; i < (p->first_port ? r->host->nodes : 1); i++) {
        json_array_append_new(ports,
                              json_integer(p->first_port ? p->first_port + r->host->first + i : 0));
    }
    return ports;
}

/* ---- what is answered ---- */

/* A host that has trouble stays in the later rounds, as far as it can. */
static void add_trouble(struct dq_remote *r, char *text)
{
    json_t *list = json_object_get(r->facts, "trouble");

    json_array_append_new(list, json_string(text));
    g_free(text);
}

static void take_facts(const struct dq_preflight *p, struct dq_remote *r, const json_t *object)
{
    const char *address = json_string_value(json_object_get(object, "address"));

    json_decref(r->facts);
    r->facts = json_deep_copy(object);
    if (!json_is_array(json_object_get(r->facts, "trouble"))) {
        json_object_set_new(r->facts, "trouble", json_array());
    }
    json_int_t there = json_integer_value(json_object_get(object, "realtime_us"));
    json_object_set_new(r->facts, "offset_us", json_integer(there - g_get_real_time()));
    g_strlcpy(r->address, address ? address : "", sizeof(r->address));
    if (json_is_true(json_object_get(object, "wants")) && p->push) {
        send_node_program(p, r);
    }
}

static void take_stored(struct dq_remote *r, const json_t *object)
{
    json_object_update_missing(r->facts, (json_t *)object);
    json_object_del(r->facts, "wants");
}

static void take_listening(struct dq_remote *r, const json_t *object)
{
    const char *why = json_string_value(json_object_get(object, "why"));

    r->port = (uint16_t)json_integer_value(json_object_get(object, "port"));
    if (why) {
        add_trouble(r, g_strdup(why));
    }
    json_object_update_missing(r->facts, (json_t *)object); /* rdma, no_rdma */
}

static void hear(struct dq_remote *r, const char *type, const json_t *object)
{
    const struct dq_preflight *p = r->ctx;

    if (strcmp(type, "hello") == 0) {
        send_probe(p, r);
    } else if (strcmp(type, "facts") == 0) {
        take_facts(p, r, object);
    } else if (strcmp(type, "stored") == 0 && r->facts) {
        take_stored(r, object);
    } else if (strcmp(type, "listening") == 0 && r->facts) {
        take_listening(r, object);
        json_object_set_new(r->facts, "listens", json_true());
    } else if (strcmp(type, "reached") == 0 && r->doubted) {
        r->doubted = false;
    } else if (strcmp(type, "reached") == 0) {
        json_decref(r->reached);
        r->reached = json_incref(json_object_get(object, "results"));
    }
}

static void words(struct dq_remote *r, const char *text)
{
    dq_logs_host(r->host->name, text);
}

/* ---- the rounds ---- */

static bool has_facts(const struct dq_remote *r)
{
    return r->facts && !json_is_true(json_object_get(r->facts, "wants"));
}

static bool listens(const struct dq_remote *r)
{
    return !r->address[0] || json_is_true(json_object_get(r->facts, "listens"));
}

static bool has_reached(const struct dq_remote *r)
{
    return !r->port || r->reached;
}

static bool is_sure(const struct dq_remote *r)
{
    return !r->doubted;
}

/* The signal that ends it; 0: none. */
static int read_signals(const struct dq_preflight *p)
{
    struct signalfd_siginfo info;
    int ends = 0, status;
    pid_t pid;

    while (read(p->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGINT:
        case SIGTERM:
        case SIGHUP:
        case SIGQUIT:
            ends = (int)info.ssi_signo;
            break;
        default:
            break;
        }
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        dq_rack_changed(p->rack, pid, status);
    }
    return ends;
}

/* The round has come to its end: nobody is left whom it waits for. */
static bool is_done(const struct dq_preflight *p, bool (*answered)(const struct dq_remote *r))
{
    for (int i = 0; i < p->rack->count; i++) {
        const struct dq_remote *r = &p->rack->remotes[i];
        if (!r->gone && !answered(r)) {
            return false;
        }
    }
    return true;
}

static void give_up_silent(const struct dq_preflight *p, int64_t since,
                           bool (*answered)(const struct dq_remote *r))
{
    int64_t now = g_get_monotonic_time();

    for (int i = 0; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        int64_t moved = MAX(since, MAX(r->heard, r->moved));
        if (!r->gone && !answered(r) && now >= moved + PATIENCE_MS * MS) {
            dq_remote_lose(r,
                           "no answer within %d s; see that its name and the way to it are right",
                           PATIENCE_MS / 1000);
        }
    }
}

/* 0, or the signal that ends the run. */
static int wait_for(const struct dq_preflight *p, bool (*answered)(const struct dq_remote *r))
{
    struct pollfd fds[DQ_RACK_FDS + 1];
    int64_t since = g_get_monotonic_time();
    int signal = 0;

    while (!signal && !is_done(p, answered)) {
        int n = dq_rack_fill(p->rack, fds);
        fds[n] = (struct pollfd){.fd = p->signals, .events = POLLIN};
        if (poll(fds, (nfds_t)n + 1, MIN(1000, p->rack->contact_ms / DQ_AGENT_BEATS)) >= 0) {
            dq_rack_ready(p->rack, fds);
            dq_rack_beat(p->rack);
            if (fds[n].revents) {
                signal = read_signals(p);
            }
        }
        give_up_silent(p, since, answered);
    }
    return signal;
}

/* ---- the address of this machine ---- */

/* By which address this machine is seen from there. NULL: that is not known. */
static char *seen_from(const struct dq_remote *r)
{
    const char *caller = json_string_value(json_object_get(r->facts, "caller"));

    if (caller && !r->host->address && dq_hosts_is_here(caller)) {
        return g_strdup(caller);
    }
    return r->address[0] ? dq_facts_route(r->address) : NULL;
}

static void choose_own_address(const struct dq_preflight *p)
{
    struct dq_remote *own = &p->rack->remotes[0], *first = NULL;

    if (own->address[0] || !own->facts) {
        return;
    }
    for (int i = 1; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        char *address = r->facts ? seen_from(r) : NULL;
        if (address && !first) {
            first = r;
            g_strlcpy(own->address, address, sizeof(own->address));
        } else if (address && strcmp(address, own->address) != 0) {
            add_trouble(own,
                        g_strdup_printf("host %s sees this machine as %s, and host %s as %s; "
                                        "name one network with --interface",
                                        first->host->name, own->address, r->host->name, address));
        }
        g_free(address);
    }
    if (!first) {
        g_strlcpy(own->address, p->rack->count == 1 ? "127.0.0.1" : "", sizeof(own->address));
    }
}

static void send_listen(const struct dq_preflight *p)
{
    for (int i = 0; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        if (r->facts && r->address[0]) {
            dq_remote_send(r, json_pack("{s:s, s:s, s:o}", "type", "listen", "address", r->address,
                                        "ports", ports_of(p, r)));
        }
    }
}

static void send_reach(const struct dq_preflight *p)
{
    json_t *peers = json_array();

    for (int i = 0; i < p->rack->count; i++) {
        const struct dq_remote *r = &p->rack->remotes[i];
        json_array_append_new(peers,
                              json_pack("{s:s, s:i}", "address", r->address, "port", (int)r->port));
    }
    for (int i = 0; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        if (r->port) {
            dq_remote_send(r, json_pack("{s:s, s:O}", "type", "reach", "peers", peers));
        }
    }
    json_decref(peers);
}

/* The result of r's connection to the host `to`: NULL if it was made, or is not to be expected. */
static const char *unreached(const struct dq_preflight *p, const struct dq_remote *r, int to)
{
    const struct dq_remote *peer = &p->rack->remotes[to];

    if (!r->reached || !peer->port || peer->gone) {
        return NULL;
    }
    return json_string_value(json_array_get(r->reached, (size_t)to));
}

/*
 * Whoever is not reached may have ended meanwhile, which is the cause then and not the way there: it
 * is asked for a word more, which it has none to give.
 */
static void send_doubts(const struct dq_preflight *p)
{
    for (int to = 0; to < p->rack->count; to++) {
        struct dq_remote *peer = &p->rack->remotes[to];
        for (int i = 0; i < p->rack->count && !peer->doubted; i++) {
            peer->doubted = unreached(p, &p->rack->remotes[i], to) != NULL;
        }
        if (peer->doubted) {
            dq_remote_send(peer, json_pack("{s:s, s:[]}", "type", "reach", "peers"));
        }
    }
}

/* ---- the verdict ---- */

static const char *fact(const struct dq_remote *r, const char *key)
{
    const char *text = json_string_value(json_object_get(r->facts, key));
    return text ? text : "";
}

static void judge_programs(const struct dq_preflight *p, struct dq_remote *r)
{
    const char *build = fact(r, "build"), *machine = fact(r, "machine");
    const char *own = fact(&p->rack->remotes[0], "machine");
    const char *node = fact(r, "node_build"), *trouble = fact(r, "node_trouble");
    const char *store = fact(r, "store_trouble");

    if (*own && strcmp(machine, own) != 0) {
        add_trouble(r,
                    g_strdup_printf("it is an %s machine and this one is %s; all hosts must be of "
                                    "one kind",
                                    machine, own));
    }
    if (strcmp(build, dq_build_id) != 0) {
        add_trouble(r,
                    g_strdup_printf("its dqemu-launch is build %s and this one is %s; install the "
                                    "same there, or use --push",
                                    build, dq_build_id));
    }
    if (*store) {
        add_trouble(r, g_strdup(store));
    } else if (*trouble) {
        add_trouble(r, g_strdup_printf("%s; install it there, or use --push", trouble));
    } else if (strcmp(node, dq_build_id) != 0) {
        add_trouble(r, g_strdup_printf("its node program is build %s and this launcher is %s; "
                                       "install the same there, or use --push",
                                       node, dq_build_id));
    }
}

static void judge_reach(const struct dq_preflight *p, struct dq_remote *r)
{
    for (int to = 0; to < p->rack->count; to++) {
        const struct dq_remote *peer = &p->rack->remotes[to];
        const char *why = unreached(p, r, to);
        if (why) {
            add_trouble(r, g_strdup_printf("it cannot reach host %s at %s port %d: %s; open the "
                                           "way (a firewall?), or name another --interface or "
                                           "--port-range",
                                           peer->host->name, peer->address, peer->port, why));
        }
    }
}

bool dq_preflight_has_rdma(const struct dq_preflight *p, const char **text)
{
    for (int i = 0; i < p->rack->count; i++) {
        const struct dq_remote *r = &p->rack->remotes[i];
        *text = fact(r, "rdma");
        if (!**text) {
            *text = fact(r, "no_rdma");
            return false;
        }
    }
    return true;
}

void dq_preflight_processors(const struct dq_preflight *p, bool parts,
                             struct dq_processors processors[DQ_MAX_NODES])
{
    int first = 0;

    if (p->rack->remotes[0].host->nodes == p->nodes) {
        return;
    }
    for (int i = 0; i < p->rack->count; i++) {
        const struct dq_remote *r = &p->rack->remotes[i];
        const struct dq_host *host = r->host;
        int count = (int)json_integer_value(json_object_get(r->facts, "processors"));

        count = MAX(count, 1);
        for (int k = 0; k < host->nodes; k++) {
            struct dq_share share = {0, count};
            if (parts) {
                share = dq_spawn_share(k, host->nodes, count);
            }
            processors[host->first + k] = (struct dq_processors){(uint16_t)(first + share.from),
                                                                 (uint16_t)(share.to - share.from)};
        }
        first += count;
    }
}

static bool judge(const struct dq_preflight *p)
{
    bool right = true;

    for (int i = 0; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        if (r->facts && !r->gone) {
            judge_programs(p, r);
            judge_reach(p, r);
            if (p->rdma && !*fact(r, "rdma")) {
                add_trouble(r, g_strdup_printf("--transport rdma: %s", fact(r, "no_rdma")));
            }
        }
        right = right && !r->gone && json_array_size(json_object_get(r->facts, "trouble")) == 0;
    }
    return right;
}

int dq_preflight_run(const struct dq_preflight *p)
{
    int signal;

    for (int i = 0; i < p->rack->count; i++) {
        struct dq_remote *r = &p->rack->remotes[i];
        r->hear = hear;
        r->words = words;
        r->ctx = (void *)p;
    }
    dq_rack_start(p->rack);
    if ((signal = wait_for(p, has_facts))) {
        return signal;
    }
    choose_own_address(p);
    send_listen(p);
    if ((signal = wait_for(p, listens))) {
        return signal;
    }
    send_reach(p);
    if ((signal = wait_for(p, has_reached))) {
        return signal;
    }
    send_doubts(p);
    if ((signal = wait_for(p, is_sure))) {
        return signal;
    }
    return judge(p) ? 0 : -1;
}

void dq_preflight_troubles(const struct dq_preflight *p)
{
    for (int i = 0; i < p->rack->count; i++) {
        const struct dq_remote *r = &p->rack->remotes[i];
        json_t *list = json_object_get(r->facts, "trouble"), *value;
        size_t k;

        if (r->gone) {
            dq_say("host %s: %s", r->host->name, r->why ? r->why : "its agent has ended");
        }
        json_array_foreach(list, k, value)
        {
            dq_say("host %s: %s", r->host->name, json_string_value(value));
        }
    }
}
