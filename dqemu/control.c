/*
 * The control channel, the node's side: JSON lines on one socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dqemu/hot.h"
#include "dqemu/runtime.h"
#include "dqemu/split.h"
#include "dqemu/stats.h"
#include "proto/transport.h"

/* The longest line is "peers" with DQ_MAX_NODES entries of about 150 bytes. */
#define LINE_LIMIT (64 * 1024)

static struct {
    int fd;
    int node;
    int verbose;
    bool offers_wide, all_wide;
    bool failed; /* an error has been reported; guarded by `sending` */
    /* Whole lines only, from one thread at a time. A leaf: nothing is locked inside it. */
    pthread_mutex_t sending;
    GString *input; /* bytes read beyond the last line; the opening thread's alone */
} control = {.fd = -1, .sending = PTHREAD_MUTEX_INITIALIZER};

/* ---- lines ---- */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Sends and releases `object`. Call with control.sending held. */
static int send_locked(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int rc = -ENOMEM;

    json_decref(object);
    if (text) {
        GString *line = g_string_new(text);
        g_string_append_c(line, '\n');
        rc = control.fd < 0 ? -ENOTCONN : write_all(control.fd, line->str, line->len);
        g_string_free(line, TRUE);
        free(text);
    }
    return rc;
}

static int send_object(json_t *object)
{
    pthread_mutex_lock(&control.sending);
    int rc = send_locked(object);
    pthread_mutex_unlock(&control.sending);
    return rc;
}

/* The next line, the caller's to g_free(); NULL with *rc set. Blocks. */
static char *read_line(int *rc)
{
    GString *in = control.input;

    for (;;) {
        char *end = memchr(in->str, '\n', in->len);
        if (end) {
            char *line = g_strndup(in->str, (gsize)(end - in->str));
            g_string_erase(in, 0, end - in->str + 1);
            return line;
        }
        char bytes[4096];
        ssize_t n = in->len > LINE_LIMIT ? -1 : read(control.fd, bytes, sizeof(bytes));
        if (n > 0) {
            g_string_append_len(in, bytes, n);
        } else if (n == 0) {
            *rc = -ECONNRESET;
            return NULL;
        } else if (in->len > LINE_LIMIT) {
            *rc = -EPROTO;
            return NULL;
        } else if (errno != EINTR) {
            *rc = -errno;
            return NULL;
        }
    }
}

/* The next object if it is of this type, to be released by the caller; else NULL, *rc set. */
static json_t *read_object(const char *type, int *rc)
{
    char *line = read_line(rc);
    if (!line) {
        return NULL;
    }
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    g_free(line);
    const char *is = json_string_value(json_object_get(object, "type"));
    if (!is || strcmp(is, type) != 0) {
        json_decref(object);
        *rc = -EPROTO;
        return NULL;
    }
    return object;
}

/* ---- the configuration ---- */

static bool read_secret(const char *hex, uint8_t secret[DQ_SECRET_SIZE])
{
    if (!hex || strlen(hex) != 2 * DQ_SECRET_SIZE) {
        return false;
    }
    for (int i = 0; i < DQ_SECRET_SIZE; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        secret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_int(const json_t *object, const char *key, json_int_t least, json_int_t most,
                     json_int_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

static bool read_address(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    uint8_t binary[sizeof(struct in6_addr)];

    if (!text ||
        (inet_pton(AF_INET, text, binary) != 1 && inet_pton(AF_INET6, text, binary) != 1)) {
        return false;
    }
    return g_strlcpy(out, text, size) < size;
}

static bool read_tunables(json_t *options, struct dq_config *cfg)
{
    const char *name;
    json_t *value;

    json_object_foreach(options, name, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            dq_config_tune(cfg, name, (uint64_t)json_integer_value(value)) < 0) {
            return false;
        }
    }
    return true;
}

static bool read_transport(const json_t *word, struct dq_config *cfg)
{
    return !word || (json_is_string(word) &&
                     dq_config_transport(json_string_value(word), &cfg->transport) == 0);
}

/* One pair a node, of which none has nothing and none lies beyond what the kernel could have. */
static bool read_processors(const json_t *list, int nodes, struct dq_config *cfg)
{
    size_t i;
    const json_t *pair;

    if (list && json_array_size(list) != (size_t)nodes) {
        return false;
    }
    json_array_foreach(list, i, pair)
    {
        json_int_t first = json_integer_value(json_array_get(pair, 0));
        json_int_t count = json_integer_value(json_array_get(pair, 1));
        if (first < 0 || count < 1 || first + count > UINT16_MAX) {
            return false;
        }
        cfg->processors[i] = (struct dq_processors){(uint16_t)first, (uint16_t)count};
    }
    return true;
}

/* Left out: NULL. They live as long as the process. */
static bool read_words(const json_t *list, char ***out)
{
    const size_t count = json_array_size(list);
    char **words = list ? g_new0(char *, count + 1) : NULL;

    for (size_t i = 0; i < count; i++) {
        words[i] = g_strdup(json_string_value(json_array_get(list, i)));
        if (!words[i]) {
            g_strfreev(words);
            return false;
        }
    }
    *out = words;
    return !list || count > 0;
}

static bool read_config(const json_t *object, struct dq_config *cfg)
{
    json_int_t node, nodes, port, verbose;
    const char *placement = json_string_value(json_object_get(object, "placement"));
    const char *protect = json_string_value(json_object_get(object, "protect"));

    dq_config_init(cfg);
    if (!read_int(object, "nodes", 1, DQ_MAX_NODES, &nodes) ||
        !read_int(object, "node", 0, nodes - 1, &node) ||
        !read_int(object, "port", 0, UINT16_MAX, &port) ||
        !read_int(object, "verbose", 0, 9, &verbose) || !placement ||
        dq_config_placement(placement, &cfg->placement) < 0 || !protect ||
        dq_config_protect(protect, &cfg->protect) < 0 ||
        !read_secret(json_string_value(json_object_get(object, "secret")), cfg->secret) ||
        !read_address(object, "bind", cfg->bind, sizeof(cfg->bind)) ||
        !read_transport(json_object_get(object, "transport"), cfg) ||
        !read_processors(json_object_get(object, "processors"), (int)nodes, cfg) ||
        !read_tunables(json_object_get(object, "options"), cfg) ||
        !read_words(json_object_get(object, "children"), &cfg->children)) {
        return false;
    }
    cfg->node = (int)node;
    cfg->nodes = (int)nodes;
    cfg->port = (uint16_t)port;
    cfg->verbose = (int)verbose;
    return true;
}

static int take_descriptor(int fd)
{
    return fcntl(fd, F_GETFD) < 0 ? -errno : dq_node_high_fd(fd);
}

static int read_first_line(struct dq_config *cfg)
{
    int rc;
    json_int_t version = 0;
    json_t *object = read_object("config", &rc);

    if (!object) {
        if (rc == -EPROTO) {
            dq_control_error(125, "the launcher sent no configuration; use the dqemu-launch of "
                                  "this build");
        }
        return rc;
    }
    read_int(object, "version", 0, INT32_MAX, &version);
    rc = 0;
    if (version != DQ_CONTROL_VERSION) {
        dq_control_error(125,
                         "dqemu-launch speaks version %d of the control channel, the node program "
                         "version %d; use both from one build",
                         (int)version, DQ_CONTROL_VERSION);
        rc = -EPROTONOSUPPORT;
    } else if (!read_config(object, cfg)) {
        dq_control_error(125, "the launcher's configuration makes no sense to the node program; "
                              "use both from one build");
        rc = -EPROTO;
    }
    json_decref(object);
    return rc;
}

int dq_control_open(int fd, struct dq_config *cfg)
{
    struct dq_config read;

    control.fd = take_descriptor(fd);
    if (control.fd < 0) {
        int rc = control.fd;
        control.fd = -1;
        return rc;
    }
    if (!control.input) {
        control.input = g_string_new(NULL);
    }
    g_string_truncate(control.input, 0);
    int rc = read_first_line(&read);
    if (rc == 0) {
        control.node = read.node;
        control.verbose = read.verbose;
        *cfg = read;
    }
    return rc;
}

/* ---- meeting the others ---- */

void dq_control_offer_wide(bool can)
{
    control.offers_wide = can;
}

bool dq_control_all_wide(void)
{
    return control.all_wide;
}

int dq_control_listening(const char *address, uint16_t port)
{
    return send_object(json_pack("{s:s, s:s, s:i, s:b}", "type", "listening", "address", address,
                                 "port", (int)port, "wide", (int)control.offers_wide));
}

static bool read_peers(const json_t *list, struct dq_peer_addr *peers, int nodes)
{
    if (json_array_size(list) != (size_t)nodes) {
        return false;
    }
    for (size_t i = 0; i < (size_t)nodes; i++) {
        const json_t *entry = json_array_get(list, i);
        json_int_t node, port;
        if (!read_int(entry, "node", 0, nodes - 1, &node) || peers[node].port != 0 ||
            !read_int(entry, "port", 1, UINT16_MAX, &port) ||
            !read_address(entry, "address", peers[node].address, sizeof(peers[node].address))) {
            return false;
        }
        peers[node].port = (uint16_t)port;
    }
    return true;
}

int dq_control_peers(struct dq_peer_addr **out, int nodes)
{
    int rc;
    json_t *object = read_object("peers", &rc);
    if (!object) {
        return rc;
    }
    struct dq_peer_addr *peers = calloc((size_t)nodes, sizeof(*peers));
    rc = !peers                                                       ? -ENOMEM
         : read_peers(json_object_get(object, "peers"), peers, nodes) ? 0
                                                                      : -EPROTO;
    control.all_wide = json_is_true(json_object_get(object, "wide"));
    json_decref(object);
    if (rc < 0) {
        free(peers);
        return rc;
    }
    *out = peers;
    return 0;
}

int dq_control_ready(void)
{
    return send_object(json_pack("{s:s}", "type", "ready"));
}

int dq_control_wait_go(void)
{
    int rc = 0;
    json_decref(read_object("go", &rc));
    return rc;
}

/* ---- reports ---- */

static json_t *list_of_nodes(uint64_t set)
{
    json_t *list = json_array();

    for (; set; set &= set - 1) {
        json_array_append_new(list, json_integer(__builtin_ctzll(set)));
    }
    return list;
}

static json_t *hot_pages(void)
{
    struct dq_hot_page top[DQ_CONTROL_PAGES];
    size_t n = dq_hot_top(top, DQ_CONTROL_PAGES);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(
            list, json_pack("{s:I, s:I, s:I, s:o, s:b}", "page", (json_int_t)top[i].page, "asked",
                            (json_int_t)top[i].asked, "writes", (json_int_t)top[i].writes, "nodes",
                            list_of_nodes(top[i].nodes), "split", dq_split_was_split(top[i].page)));
    }
    return list;
}

void dq_control_memory(const struct dq_control_area *areas, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        /* NULL, and left out: a name that is no UTF-8 */
        json_t *area =
            json_pack("[I, I, I, s]", (json_int_t)areas[i].start, (json_int_t)areas[i].end,
                      (json_int_t)areas[i].offset, areas[i].name);
        if (area) {
            json_array_append_new(list, area);
        }
    }
    (void)send_object(json_pack("{s:s, s:o}", "type", "memory", "areas", list));
}

void dq_control_stats(void)
{
    uint64_t counts[DQ_STAT_COUNT];
    json_t *object = json_pack("{s:s, s:i}", "type", "stats", "node", control.node);

    dq_stats_snapshot(counts);
    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        json_object_set_new(object, dq_stat_info[i].name, json_integer((json_int_t)counts[i]));
    }
    json_object_set_new(object, "pages", hot_pages());
    (void)send_object(object);
}

/* JSON is UTF-8; a text may quote a file name, which is any bytes. */
static char *format_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *format_text(const char *format, va_list args)
{
    char *raw = g_strdup_vprintf(format, args);
    char *text = g_utf8_make_valid(raw, -1);

    g_free(raw);
    return text;
}

/* The end of the run, told once: takes over `object`; `text` is for a user without launcher. */
static void report_end(json_t *object, const char *text)
{
    json_object_set_new(object, "at", json_integer(g_get_monotonic_time()));
    pthread_mutex_lock(&control.sending);
    if (control.failed) {
        json_decref(object);
    } else {
        control.failed = true;
        if (control.fd >= 0) {
            (void)send_locked(object);
        } else {
            json_decref(object);
            fprintf(stderr, "dqemu: %s\n", text);
        }
    }
    pthread_mutex_unlock(&control.sending);
}

void dq_control_error(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    report_end(json_pack("{s:s, s:i, s:s}", "type", "error", "status", status, "text", text), text);
    g_free(text);
}

void dq_control_lost(int node, bool left, const char *why)
{
    char *text = g_strdup_printf("node %d was lost: %s", node, why);
    report_end(
        json_pack("{s:s, s:i, s:b, s:s}", "type", "lost", "node", node, "left", left, "text", why),
        text);
    g_free(text);
}

void dq_control_log(const char *format, ...)
{
    if (control.verbose == 0) {
        return;
    }
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    (void)send_object(json_pack("{s:s, s:s}", "type", "log", "text", text));
    g_free(text);
}

int dq_control_fd(void)
{
    return control.fd;
}

void dq_control_forked(void)
{
    if (control.fd >= 0) {
        close(control.fd);
        control.fd = -1;
    }
    control.verbose = 0;
    control.failed = false;
    /* Another thread of the parent may have held it at the fork. */
    pthread_mutex_init(&control.sending, NULL);
}
