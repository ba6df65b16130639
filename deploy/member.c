/*
 * A member: one node of a run as the launcher sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/member.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/logs.h"
#include "deploy/say.h"
#include "deploy/spawn.h"
#include "deploy/witness.h"
#include "dqemu/control.h"

/* Longer than any line that a node sends, stats and quoted file names included. */
#define LINE_LIMIT (64 * 1024)

static void set_address(struct dq_member *m, const char *address)
{
    g_strlcpy(m->address, address, sizeof(m->address));
    if (m->host) {
        g_snprintf(m->place, sizeof(m->place), "host %s, %s", m->host, address);
    } else {
        g_strlcpy(m->place, address, sizeof(m->place));
    }
}

void dq_member_init(struct dq_member *m, int node, const struct dq_launch *launch)
{
    const struct dq_options *options = launch->options;

    *m = (struct dq_member){.node = node, .nodes = options->nodes, .fd = -1, .lost_node = -1};
    m->input = g_string_new(NULL);
    m->verbose = options->config.verbose;
    if (launch->rack) {
        m->host = dq_rack_of(launch->rack, node)->host->name;
    }
    if (launch->rack && node > 0) {
        m->remote = dq_rack_of(launch->rack, node);
    }
    set_address(m,
                launch->rack ? dq_rack_of(launch->rack, node)->address : options->addresses[node]);
}

static void hang_up(struct dq_member *m)
{
    if (m->fd >= 0) {
        close(m->fd);
        m->fd = -1;
    }
}

void dq_member_free(struct dq_member *m)
{
    hang_up(m);
    g_string_free(m->input, TRUE);
    g_free(m->text);
    g_free(m->lost_why);
    json_decref(m->pages);
    json_decref(m->memory);
}

/* ---- to the node ---- */

static void send_object(struct dq_member *m, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    char *line = g_strconcat(text, "\n", NULL);

    if (m->remote) {
        dq_remote_send(m->remote,
                       json_pack("{s:s, s:i, s:s}", "type", "to", "node", m->node, "text", text));
    } else if (m->fd >= 0 && send(m->fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        /* Its process has ended or is about to, which is noticed as such. */
    }
    g_free(line);
    free(text);
    json_decref(object);
}

static json_t *tunables(const struct dq_config *config)
{
    json_t *object = json_object();
#define X(name, unit, standard, least, most, reason)                                               \
    json_object_set_new(object, #name, json_integer(config->name));
#define S(name, unit, standard, least, most, reason)                                               \
    json_object_set_new(object, "split." #name, json_integer(config->split_##name));
#define C(name, unit, standard, least, most, reason)                                               \
    json_object_set_new(object, "check." #name, json_integer(config->check_##name));
#include "dqemu/tunables.inc"
#undef X
    return object;
}

static json_t *processors(const struct dq_config *config, int nodes)
{
    json_t *list = json_array();

    for (int i = 0; i < nodes; i++) {
        json_array_append_new(list, json_pack("[i, i]", (int)config->processors[i].first,
                                              (int)config->processors[i].count));
    }
    return list;
}

static void set_word(json_t *object, const char *key, const char *word)
{
    json_object_set_new(object, key, json_string(word));
}

static json_t *words_of(char *const *words)
{
    json_t *list = json_array();

    for (; words && *words; words++) {
        char *valid = g_utf8_make_valid(*words, -1);
        json_array_append_new(list, json_string(valid));
        g_free(valid);
    }
    return list;
}

static void send_config(struct dq_member *m, const struct dq_launch *launch)
{
    const struct dq_options *o = launch->options;
    char secret[2 * DQ_SECRET_SIZE + 1];

    for (int i = 0; i < DQ_SECRET_SIZE; i++) {
        g_snprintf(secret + 2 * i, 3, "%02x", launch->secret[i]);
    }
    json_t *config =
        json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:i}", "type", "config", "version",
                  DQ_CONTROL_VERSION, "node", m->node, "nodes", o->nodes, "secret", secret, "bind",
                  m->address, "port", o->first_port ? o->first_port + m->node : 0);
    set_word(config, "placement", dq_config_placement_name(o->config.placement));
    set_word(config, "protect", dq_config_protect_name(o->config.protect));
    set_word(config, "transport", dq_config_transport_name(o->config.transport));
    json_object_set_new(config, "verbose", json_integer(MAX(o->config.verbose, m->remote ? 1 : 0)));
    json_object_set_new(config, "options", tunables(&o->config));
    if (o->config.processors[0].count) {
        json_object_set_new(config, "processors", processors(&o->config, o->nodes));
    }
    if (m->node == 0 && o->children) {
        json_object_set_new(config, "children", words_of(o->children));
    }
    send_object(m, config);
    explicit_bzero(secret, sizeof(secret));
}

/* What the user asked for, and the emulator's own variables as they are here. */
static json_t *environment_of(const struct dq_options *options)
{
    json_t *list = words_of(options->exports);

    for (char **e = environ; *e; e++) {
        if (g_str_has_prefix(*e, "QEMU_") && !g_str_has_prefix(*e, "QEMU_GDB=")) {
            char *valid = g_utf8_make_valid(*e, -1);
            json_array_append_new(list, json_string(valid));
            g_free(valid);
        }
    }
    return list;
}

/*
 * The program's arguments are no business of other hosts, nor is its file, which they need not have:
 * a node there loads no program. It has its name, for those who look at processes.
 */
static void start_remote(struct dq_member *m, const struct dq_launch *launch)
{
    const struct dq_options *o = launch->options;
    const struct dq_host *host = m->remote->host;
    char *program[] = {"-0", o->program[0], NULL};
    json_t *arguments = words_of(o->emulator_slave), *name = words_of(program);

    json_array_extend(arguments, name);
    json_decref(name);
    char *folder = g_utf8_make_valid(launch->folder, -1);
    json_t *start = json_pack("{s:s, s:i, s:o, s:o, s:o, s:s, s:i, s:i}", "type", "start", "node",
                              m->node, "wrap", words_of(o->wrap), "arguments", arguments,
                              "environment", environment_of(o), "folder", folder, "share",
                              m->node - host->first, "shares", o->bind_cores ? host->nodes : 0);
    g_free(folder);
    dq_remote_send(m->remote, start);
    m->stage = DQ_STAGE_STARTED;
    send_config(m, launch);
}

int dq_member_start(struct dq_member *m, const struct dq_launch *launch)
{
    const struct dq_options *o = launch->options;
    int ends[2];

    if (m->remote) {
        start_remote(m, launch);
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    char **arguments = dq_spawn_arguments(launch, m->node);
    struct dq_spawn spawn = {
        .node = m->node,
        .wrap = o->wrap,
        .binary = launch->node_binary,
        .arguments = arguments,
        .root = m->node == 0 ? launch->root : NULL,
        .signals = &launch->signals,
        .control = ends[1],
        .words = -1,
        .share = m->node,
        .shares = o->bind_cores ? (launch->rack ? o->hosts.list[0].nodes : o->nodes) : 0,
    };
    pid_t pid = dq_spawn_node(&spawn);
    int rc = pid < 0 ? -errno : 0;
    g_free(arguments);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    m->pid = pid;
    if (m->node != 0) { /* which is of the launcher's group itself */
        dq_witness_follow(pid);
    }
    m->fd = ends[0];
    m->stage = DQ_STAGE_STARTED;
    send_config(m, launch);
    return 0;
}

void dq_member_send_peers(struct dq_member *m, const struct dq_member *all, int nodes)
{
    json_t *list = json_array();
    int wide = 1;

    for (int i = 0; i < nodes; i++) {
        wide &= all[i].wide;
        json_array_append_new(list, json_pack("{s:i, s:s, s:i}", "node", i, "address",
                                              all[i].address, "port", (int)all[i].port));
    }
    send_object(m, json_pack("{s:s, s:o, s:b}", "type", "peers", "peers", list, "wide", wide));
}

void dq_member_send_go(struct dq_member *m)
{
    send_object(m, json_pack("{s:s}", "type", "go"));
}

/* ---- from the node ---- */

/* The clocks of other hosts tell nothing here: then it is when we heard of it. */
static int64_t time_of(const struct dq_member *m, const json_t *object)
{
    const json_t *at = json_object_get(object, "at");
    return json_is_integer(at) && (!m->remote || m->remote->here) ? json_integer_value(at)
                                                                  : g_get_monotonic_time();
}

static void hear_error(struct dq_member *m, int status, const char *text, int64_t at)
{
    if (!dq_member_explained(m)) {
        m->explained_at = at;
        m->status = status;
        m->text = g_strdup(text);
    }
}

static bool hear_lost(struct dq_member *m, const json_t *object, const char *text)
{
    json_t *node = json_object_get(object, "node");
    json_t *left = json_object_get(object, "left");
    json_int_t lost = json_integer_value(node);

    if (!json_is_integer(node) || !json_is_boolean(left) || lost < 0 || lost >= m->nodes ||
        lost == m->node) {
        return false;
    }
    if (!dq_member_explained(m)) {
        m->explained_at = time_of(m, object);
        m->lost_node = (int)lost;
        m->lost_left = json_is_true(left);
        m->lost_why = g_strdup(text);
    }
    return true;
}

static bool hear_listening(struct dq_member *m, const json_t *object)
{
    const char *address = json_string_value(json_object_get(object, "address"));
    json_int_t port = json_integer_value(json_object_get(object, "port"));

    if (!address || strlen(address) >= sizeof(m->address) || port < 1 || port > UINT16_MAX ||
        m->stage != DQ_STAGE_STARTED) {
        return false;
    }
    set_address(m, address);
    m->port = (uint16_t)port;
    m->wide = json_is_true(json_object_get(object, "wide"));
    m->stage = DQ_STAGE_LISTENING;
    return true;
}

static void hear_stats(struct dq_member *m, const json_t *object)
{
    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        const json_t *value = json_object_get(object, dq_stat_info[i].name);
        m->counts[i] = (uint64_t)json_integer_value(value);
    }
    m->counted = true;
    json_decref(m->pages);
    m->pages = json_incref(json_object_get(object, "pages"));
}

static void hear_memory(struct dq_member *m, json_t *areas)
{
    if (!m->memory) {
        m->memory = json_array();
    }
    json_array_extend(m->memory, areas);
}

/* Nodes on hosts always say more than the user wants to see: the rest is for their logs. */
static void hear_log(const struct dq_member *m, const char *text)
{
    if (m->remote) {
        dq_logs_node(m->node, m->remote->host->name, text);
    }
    if (m->verbose > 0) {
        dq_say("node %d: %s", m->node, text);
    }
}

/* False if that is no line of the control channel, or comes out of turn. */
static bool hear(struct dq_member *m, const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    const char *text = json_string_value(json_object_get(object, "text"));

    if (!type) {
        return false;
    } else if (strcmp(type, "listening") == 0) {
        return hear_listening(m, object);
    } else if (strcmp(type, "ready") == 0 && m->stage == DQ_STAGE_LISTENING) {
        m->stage = DQ_STAGE_READY;
    } else if (strcmp(type, "stats") == 0) {
        hear_stats(m, object);
    } else if (strcmp(type, "memory") == 0 && m->node == 0) {
        hear_memory(m, json_object_get(object, "areas"));
    } else if (strcmp(type, "log") == 0 && text) {
        hear_log(m, text);
    } else if (strcmp(type, "lost") == 0 && text) {
        return hear_lost(m, object, text);
    } else if (strcmp(type, "error") == 0 && text) {
        json_int_t status = json_integer_value(json_object_get(object, "status"));
        hear_error(m, status >= 1 && status <= 255 ? (int)status : DQ_STATUS_FAULT, text,
                   time_of(m, object));
    } else {
        return false;
    }
    return true;
}

static void hear_lines(struct dq_member *m)
{
    char *end;

    while ((end = memchr(m->input->str, '\n', m->input->len))) {
        size_t length = (size_t)(end - m->input->str);
        json_t *object = json_loadb(m->input->str, length, JSON_REJECT_DUPLICATES, NULL);
        bool understood = hear(m, object);
        json_decref(object);
        g_string_erase(m->input, 0, (gssize)length + 1);
        if (!understood) {
            char *text = g_strdup_printf("node %d (%s) says what dqemu-launch does not understand; "
                                         "use both from one build",
                                         m->node, m->place);
            hear_error(m, DQ_STATUS_FAULT, text, g_get_monotonic_time());
            g_free(text);
        }
    }
}

void dq_member_read(struct dq_member *m)
{
    char bytes[4096];

    while (m->fd >= 0) {
        ssize_t n = recv(m->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0 && m->input->len < LINE_LIMIT) {
            g_string_append_len(m->input, bytes, n);
            hear_lines(m);
        } else if (n > 0) {
            g_string_assign(m->input, "\n"); /* an empty line: not understood */
            hear_lines(m);
            hang_up(m);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else {
            hang_up(m);
        }
    }
}

bool dq_member_hear(struct dq_member *m, const char *type, const json_t *object)
{
    const char *text = json_string_value(json_object_get(object, "text"));
    const char *why = json_string_value(json_object_get(object, "why"));

    if (m->ended) {
        return true;
    }
    if (strcmp(type, "from") == 0 && text) {
        g_string_append(m->input, text);
        g_string_append_c(m->input, '\n');
        hear_lines(m);
    } else if (strcmp(type, "started") == 0 && why) {
        char *line = g_strdup_printf("cannot start node %d (%s): %s; close other programs there or "
                                     "raise the limits of processes and open files",
                                     m->node, m->place, why);
        hear_error(m, DQ_STATUS_FAULT, line, g_get_monotonic_time());
        g_free(line);
        m->ended = true;
    } else if (strcmp(type, "started") == 0) {
        m->pid = (pid_t)json_integer_value(json_object_get(object, "pid"));
    } else if (strcmp(type, "changed") == 0) {
        dq_member_changed(m, (int)json_integer_value(json_object_get(object, "status")));
    } else {
        return false;
    }
    return true;
}

/* ---- the process ---- */

void dq_member_cut(struct dq_member *m)
{
    if (!m->ended) {
        m->cut = true;
        m->ended = true;
    }
}

void dq_member_changed(struct dq_member *m, int wait_status)
{
    if (WIFSTOPPED(wait_status)) {
        m->stop_signal = WSTOPSIG(wait_status);
        m->continued = false;
    } else if (WIFCONTINUED(wait_status)) {
        m->stop_signal = 0;
        m->continued = true;
    } else {
        m->ended = true;
        m->wait_status = wait_status;
        dq_member_read(m);
        hang_up(m);
    }
}

void dq_member_signal(struct dq_member *m, int signal)
{
    if (m->pid <= 0 || m->ended) {
        return;
    }
    if (m->remote) {
        dq_remote_send(m->remote, json_pack("{s:s, s:i, s:i}", "type", "signal", "node", m->node,
                                            "signal", signal));
    } else {
        kill(m->pid, signal);
    }
}

bool dq_member_explained(const struct dq_member *m)
{
    return m->status != 0 || m->lost_node >= 0;
}
