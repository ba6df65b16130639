/*
 * The node's side of the control channel, with a launcher made of one end of a socketpair;
 * and the configuration and the counters, which it carries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dqemu/control.h"
#include "dqemu/hot.h"
#include "dqemu/stats.h"
#include "proto/transport.h"

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define GOOD                                                                                       \
    "{\"type\":\"config\",\"version\":1,\"node\":1,\"nodes\":3,\"secret\":\"" SECRET "\","         \
    "\"bind\":\"127.0.0.1\",\"port\":7000,\"placement\":\"pack\","                                 \
    "\"protect\":\"encrypt\",\"verbose\":0,"                                                       \
    "\"options\":{\"hold_us\":5}}"

/* ---- the launcher's end ---- */

struct fixture {
    int launcher, node;
    struct dq_config cfg;
    GString *heard;
};

static void set_up(struct fixture *f, gconstpointer data)
{
    int ends[2];
    (void)data;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    f->launcher = ends[0];
    f->node = ends[1];
    f->heard = g_string_new(NULL);
    dq_stats_reset();
}

static void tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    close(f->launcher);
    g_string_free(f->heard, TRUE);
    dq_control_forked();
}

static void say(struct fixture *f, const char *text)
{
    g_assert_cmpint(send(f->launcher, text, strlen(text), 0), ==, (gssize)strlen(text));
}

static int open_with(struct fixture *f, const char *line)
{
    say(f, line);
    say(f, "\n");
    return dq_control_open(f->node, &f->cfg);
}

/* The next object that the node has sent; NULL if there is none. */
static json_t *hear(struct fixture *f)
{
    char bytes[4096], *end;

    while (!(end = strchr(f->heard->str, '\n'))) {
        ssize_t n = recv(f->launcher, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n <= 0) {
            return NULL;
        }
        g_string_append_len(f->heard, bytes, n);
    }
    json_t *object = json_loadb(f->heard->str, (size_t)(end - f->heard->str), 0, NULL);
    g_assert_nonnull(object);
    g_string_erase(f->heard, 0, end - f->heard->str + 1);
    return object;
}

static void hear_type(struct fixture *f, const char *type)
{
    json_t *object = hear(f);
    g_assert_cmpstr(json_string_value(json_object_get(object, "type")), ==, type);
    json_decref(object);
}

static void hear_text(struct fixture *f, const char *type, const char *text)
{
    json_t *object = hear(f);
    g_assert_cmpstr(json_string_value(json_object_get(object, "type")), ==, type);
    g_assert_cmpstr(json_string_value(json_object_get(object, "text")), ==, text);
    json_decref(object);
}

static void hear_nothing(struct fixture *f)
{
    g_assert_null(hear(f));
}

/* GOOD with one part replaced. */
static char *good_but(const char *part, const char *by)
{
    char **pieces = g_strsplit(GOOD, part, 2);
    g_assert_cmpuint(g_strv_length(pieces), ==, 2);
    char *line = g_strjoinv(by, pieces);
    g_strfreev(pieces);
    return line;
}

/* ---- the configuration ---- */

static void test_config(struct fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(open_with(f, GOOD), ==, 0);
    g_assert_cmpint(f->cfg.node, ==, 1);
    g_assert_cmpint(f->cfg.nodes, ==, 3);
    g_assert_cmpint(f->cfg.secret[1], ==, 1);
    g_assert_cmpint(f->cfg.secret[31], ==, 0xff);
    g_assert_cmpstr(f->cfg.bind, ==, "127.0.0.1");
    g_assert_cmpint(f->cfg.port, ==, 7000);
    g_assert_cmpint(f->cfg.placement, ==, DQ_PLACEMENT_PACK);
    g_assert_cmpint(f->cfg.protect, ==, DQ_PROTECT_ENCRYPT);
    g_assert_cmpint(f->cfg.hold_us, ==, 5);
    g_assert_cmpint(f->cfg.run_pages, ==, 16);
    hear_nothing(f);
}

#define PROCESSORS(list) "\"verbose\":0,\"processors\":" list

static void test_processors(struct fixture *f, gconstpointer data)
{
    (void)data;
    char *line = good_but("\"verbose\":0", PROCESSORS("[[0,2],[2,64],[2,64]]"));
    g_assert_cmpint(open_with(f, line), ==, 0);
    g_assert_cmpint(f->cfg.processors[0].count, ==, 2);
    g_assert_cmpint(f->cfg.processors[2].first, ==, 2);
    g_assert_cmpint(f->cfg.processors[2].count, ==, 64);
    hear_nothing(f);
    g_free(line);
}

static void test_descriptor(struct fixture *f, gconstpointer data)
{
    (void)data;
    int given = f->node;
    fcntl(given, F_SETFD, 0);
    g_assert_cmpint(open_with(f, GOOD), ==, 0);
    g_assert_cmpint(dq_control_fd(), >, 100);
    g_assert_cmpint(fcntl(dq_control_fd(), F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(given, F_GETFD), ==, -1);
}

static void test_bad_config(struct fixture *f, gconstpointer data)
{
    static const char *const bad[][2] = {
        {"\"node\":1", "\"node\":3"},
        {"\"node\":1", "\"node\":-1"},
        {"\"node\":1", "\"node\":\"1\""},
        {"\"nodes\":3", "\"nodes\":65"},
        {"\"nodes\":3", "\"nodes\":0"},
        {SECRET, "00"},
        {SECRET, ""},
        {"1eff\"", "1efg\""},
        {"1eff\"", "1eff0\""},
        {"127.0.0.1", "localhost"},
        {"127.0.0.1", ""},
        {"7000", "65536"},
        {"7000", "-1"},
        {"pack", "best"},
        {"encrypt", "rot13"},
        {"\"protect\":\"encrypt\",", ""},
        {"\"hold_us\":5", "\"hold_us\":99999999"},
        {"\"hold_us\":5", "\"hold_us\":-5"},
        {"\"hold_us\":5", "\"nosuch\":5"},
        {"\"verbose\":0", PROCESSORS("7")},
        {"\"verbose\":0", PROCESSORS("[[0,2],[2,2]]")},
        {"\"verbose\":0", PROCESSORS("[[0,2],[2,0],[2,2]]")},
        {"\"verbose\":0", PROCESSORS("[[0,2],[-1,2],[2,2]]")},
        {"\"verbose\":0", PROCESSORS("[[0,2],[2,65535],[2,2]]")},
        {"\"verbose\":0", PROCESSORS("[[0,2],[2],[2,2]]")},
        {"\"type\":\"config\"", "\"type\":\"go\""},
        {"\"type\":\"config\"", "\"type\":7"},
        {"{\"type\"", "[\"type\""},
        {"\"version\":1", "\"version\":1,\"version\":1"},
    };
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct fixture g = {.cfg = {.node = 77}};
        set_up(&g, NULL);
        char *line = good_but(bad[i][0], bad[i][1]);
        g_test_message("%s", line);
        g_assert_cmpint(open_with(&g, line), ==, -EPROTO);
        g_assert_cmpint(g.cfg.node, ==, 77);
        hear_type(&g, "error");
        hear_nothing(&g);
        g_free(line);
        tear_down(&g, NULL);
    }
    close(f->node);
}

static void test_version(struct fixture *f, gconstpointer data)
{
    (void)data;
    char *line = good_but("\"version\":1", "\"version\":2");
    g_assert_cmpint(open_with(f, line), ==, -EPROTONOSUPPORT);
    json_t *object = hear(f);
    g_assert_cmpint(json_integer_value(json_object_get(object, "status")), ==, 125);
    g_assert_nonnull(strstr(json_string_value(json_object_get(object, "text")), "version 2"));
    json_decref(object);
    g_free(line);
}

static void test_cut_off(struct fixture *f, gconstpointer data)
{
    (void)data;
    say(f, "{\"type\":\"con");
    shutdown(f->launcher, SHUT_WR);
    g_assert_cmpint(dq_control_open(f->node, &f->cfg), ==, -ECONNRESET);
}

static void *send_forever(void *arg)
{
    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    while (send(*(int *)arg, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0) {
    }
    return NULL;
}

static void test_endless(struct fixture *f, gconstpointer data)
{
    pthread_t thread;
    (void)data;
    pthread_create(&thread, NULL, send_forever, &f->launcher);
    g_assert_cmpint(dq_control_open(f->node, &f->cfg), ==, -EPROTO);
    dq_control_forked(); /* closes the channel, which ends the sender */
    pthread_join(thread, NULL);
}

static void test_not_open(struct fixture *f, gconstpointer data)
{
    (void)data;
    close(f->node);
    g_assert_cmpint(dq_control_open(f->node, &f->cfg), ==, -EBADF);
    g_assert_cmpint(dq_control_fd(), ==, -1);
    g_assert_cmpint(dq_control_ready(), ==, -ENOTCONN);
    dq_control_stats();
}

/* ---- meeting the others ---- */

static void test_start(struct fixture *f, gconstpointer data)
{
    struct dq_peer_addr *peers = NULL;
    (void)data;
    open_with(f, GOOD);
    g_assert_cmpint(dq_control_listening("127.0.0.5", 65535), ==, 0);
    json_t *object = hear(f);
    g_assert_cmpstr(json_string_value(json_object_get(object, "address")), ==, "127.0.0.5");
    g_assert_cmpint(json_integer_value(json_object_get(object, "port")), ==, 65535);
    json_decref(object);
    /* Two lines at once: the second must not be lost with the first. */
    say(f, "{\"type\":\"peers\",\"peers\":[{\"node\":2,\"address\":\"10.0.0.2\",\"port\":2},"
           "{\"node\":0,\"address\":\"::1\",\"port\":9},"
           "{\"node\":1,\"address\":\"10.0.0.1\",\"port\":1}]}\n{\"type\":\"go\"}\n");
    g_assert_cmpint(dq_control_peers(&peers, 3), ==, 0);
    g_assert_cmpstr(peers[0].address, ==, "::1");
    g_assert_cmpint(peers[0].port, ==, 9);
    g_assert_cmpstr(peers[2].address, ==, "10.0.0.2");
    free(peers);
    g_assert_cmpint(dq_control_ready(), ==, 0);
    hear_type(f, "ready");
    g_assert_cmpint(dq_control_wait_go(), ==, 0);
}

static void test_bad_peers(struct fixture *f, gconstpointer data)
{
    static const char *const bad[] = {
        "[]",
        "7",
        "[{\"node\":0,\"address\":\"10.0.0.1\",\"port\":1}]",
        "[{\"node\":0,\"address\":\"10.0.0.1\",\"port\":1},{\"node\":0,\"address\":\"10.0.0.1\","
        "\"port\":1}]",
        "[{\"node\":0,\"address\":\"10.0.0.1\",\"port\":1},{\"node\":2,\"address\":\"10.0.0.1\","
        "\"port\":1}]",
        "[{\"node\":0,\"address\":\"10.0.0.1\",\"port\":1},{\"node\":1,\"address\":\"name\","
        "\"port\":1}]",
        "[{\"node\":0,\"address\":\"10.0.0.1\",\"port\":1},{\"node\":1,\"address\":\"10.0.0.1\","
        "\"port\":0}]",
    };
    (void)data;
    open_with(f, GOOD);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct dq_peer_addr *peers = NULL;
        char *line = g_strdup_printf("{\"type\":\"peers\",\"peers\":%s}\n", bad[i]);
        g_test_message("%s", line);
        say(f, line);
        g_assert_cmpint(dq_control_peers(&peers, 2), ==, -EPROTO);
        g_assert_null(peers);
        g_free(line);
    }
}

static void test_launcher_gone(struct fixture *f, gconstpointer data)
{
    struct dq_peer_addr *peers;
    (void)data;
    open_with(f, GOOD);
    shutdown(f->launcher, SHUT_RDWR);
    g_assert_cmpint(dq_control_peers(&peers, 3), ==, -ECONNRESET);
    g_assert_cmpint(dq_control_wait_go(), ==, -ECONNRESET);
    g_assert_cmpint(dq_control_ready(), ==, -EPIPE);
    dq_control_stats();
    dq_control_error(125, "nobody hears this");
}

/* ---- reports ---- */

static void test_stats(struct fixture *f, gconstpointer data)
{
    uint64_t counts[DQ_STAT_COUNT];
    (void)data;
    open_with(f, GOOD);
    dq_stat_add(faults_read, 2);
    dq_stat_add(faults_read, 3);
    dq_stat_set(bytes_in, UINT64_C(1) << 40);
    g_assert_cmpuint(dq_stat_get(faults_read), ==, 5);
    dq_stats_snapshot(counts);
    g_assert_cmpuint(counts[DQ_STAT_faults_read], ==, 5);
    dq_control_stats();
    json_t *object = hear(f);
    g_assert_cmpint(json_integer_value(json_object_get(object, "node")), ==, 1);
    g_assert_cmpint(json_integer_value(json_object_get(object, "faults_read")), ==, 5);
    g_assert_cmpint(json_integer_value(json_object_get(object, "bytes_in")), ==, INT64_C(1) << 40);
    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        g_assert_true(json_is_integer(json_object_get(object, dq_stat_info[i].name)));
    }
    json_decref(object);
}

static json_int_t number_at(const json_t *list, size_t index)
{
    return json_integer_value(json_array_get(list, index));
}

static void test_pages(struct fixture *f, gconstpointer data)
{
    const struct dq_control_area areas[] = {
        {0x1000, 0x3000, 0x2000, "/lib/a \"quoted\" name"},
        {0x3000, 0x4000, 0, "no \xff UTF-8"}, /* left out */
        {UINT64_C(1) << 43, UINT64_C(1) << 44, 0, "[heap]"},
    };
    const json_t *list;
    json_t *object;
    (void)data;
    open_with(f, GOOD);
    dq_control_memory(areas, G_N_ELEMENTS(areas));
    object = hear(f);
    list = json_object_get(object, "areas");
    g_assert_cmpuint(json_array_size(list), ==, 2);
    g_assert_cmpstr(json_string_value(json_array_get(json_array_get(list, 0), 3)), ==,
                    areas[0].name);
    g_assert_cmpint(number_at(json_array_get(list, 0), 2), ==, 0x2000);
    g_assert_cmpint(number_at(json_array_get(list, 1), 1), ==, INT64_C(1) << 44);
    json_decref(object);

    dq_hot_reset();
    for (int i = 0; i < 3; i++) {
        dq_hot_asked(0x1234, i, i > 0);
    }
    dq_control_stats();
    object = hear(f);
    list = json_object_get(object, "pages");
    g_assert_cmpuint(json_array_size(list), ==, 1);
    list = json_array_get(list, 0);
    g_assert_cmpint(json_integer_value(json_object_get(list, "page")), ==, 0x1234);
    g_assert_cmpint(json_integer_value(json_object_get(list, "asked")), ==, 3);
    g_assert_cmpint(json_integer_value(json_object_get(list, "writes")), ==, 2);
    list = json_object_get(list, "nodes");
    g_assert_cmpuint(json_array_size(list), ==, 3);
    g_assert_cmpint(number_at(list, 2), ==, 2);
    json_decref(object);
    dq_hot_reset();
}

static void test_error_once(struct fixture *f, gconstpointer data)
{
    (void)data;
    open_with(f, GOOD);
    dq_control_error(126, "disk %d \"full\"\n", 7);
    dq_control_error(125, "and more");
    dq_control_lost(2, true, "reset");
    hear_text(f, "error", "disk 7 \"full\"\n");
    hear_nothing(f);
}

static void test_error_bytes(struct fixture *f, gconstpointer data)
{
    (void)data;
    open_with(f, GOOD);
    dq_control_error(125, "%s", "name \xff.");
    hear_text(f, "error", "name \xef\xbf\xbd.");
}

static void test_lost(struct fixture *f, gconstpointer data)
{
    (void)data;
    open_with(f, GOOD);
    dq_control_lost(2, true, "connection reset");
    json_t *object = hear(f);
    g_assert_cmpstr(json_string_value(json_object_get(object, "type")), ==, "lost");
    g_assert_cmpint(json_integer_value(json_object_get(object, "node")), ==, 2);
    g_assert_true(json_is_true(json_object_get(object, "left")));
    g_assert_true(json_is_integer(json_object_get(object, "at")));
    json_decref(object);
}

static void test_log(struct fixture *f, gconstpointer data)
{
    (void)data;
    char *line = good_but("\"verbose\":0", "\"verbose\":1");
    open_with(f, line);
    g_free(line);
    dq_control_log("page %d", 3);
    hear_text(f, "log", "page 3");
}

static void test_quiet(struct fixture *f, gconstpointer data)
{
    (void)data;
    open_with(f, GOOD);
    dq_control_log("page %d", 3);
    hear_nothing(f);
}

static void *send_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        dq_control_stats();
    }
    return NULL;
}

static void test_threads(struct fixture *f, gconstpointer data)
{
    pthread_t threads[4];
    (void)data;
    open_with(f, GOOD);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_create(&threads[i], NULL, send_many, NULL);
    }
    for (int i = 0; i < 800;) {
        json_t *object = hear(f);
        i += object != NULL;
        json_decref(object);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    hear_nothing(f);
}

static void test_forked(struct fixture *f, gconstpointer data)
{
    int status;
    (void)data;
    open_with(f, GOOD);
    pid_t pid = fork();
    if (pid == 0) {
        dq_control_forked();
        dq_control_stats();
        dq_control_log("child");
        _exit(dq_control_fd() == -1 ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    hear_nothing(f);
    dq_control_stats();
    hear_type(f, "stats");
}

/* Without a channel the user is told directly: once, and in the usual form. */
static void test_no_channel(void)
{
    if (g_test_subprocess()) {
        dq_control_error(125, "no %s", "luck");
        dq_control_lost(1, false, "more");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("dqemu: no luck\n");
}

/* ---- tunables ---- */

static void test_tunables(void)
{
    struct dq_config cfg;
    enum dq_placement placement = DQ_PLACEMENT_PACK;
    enum dq_protect protect = DQ_PROTECT_NONE;

    dq_config_init(&cfg);
    for (const struct dq_tunable *t = dq_tunables; t->name; t++) {
        g_assert_cmpint(dq_config_tune(&cfg, t->name, t->standard), ==, 0);
        g_assert_cmpint(dq_config_tune(&cfg, t->name, t->most), ==, 0);
        g_assert_cmpint(dq_config_tune(&cfg, t->name, (uint64_t)t->most + 1), ==, -ERANGE);
        g_assert_cmpint(dq_config_tune(&cfg, t->name, t->least), ==, 0);
        if (t->least > 0) {
            g_assert_cmpint(dq_config_tune(&cfg, t->name, t->least - 1), ==, -ERANGE);
        }
    }
    g_assert_cmpint(dq_config_tune(&cfg, "nosuch", 1), ==, -ENOENT);
    g_assert_cmpint(dq_config_placement("master-only", &placement), ==, 0);
    g_assert_cmpstr(dq_config_placement_name(placement), ==, "master-only");
    g_assert_cmpint(dq_config_placement("", &placement), ==, -EINVAL);
    g_assert_cmpint(dq_config_protect("integrity", &protect), ==, 0);
    g_assert_cmpint(protect, ==, DQ_PROTECT_INTEGRITY);
    g_assert_cmpstr(dq_config_protect_name(protect), ==, "integrity");
    g_assert_cmpint(dq_config_protect("", &protect), ==, -EINVAL);
    g_assert_cmpint(placement, ==, DQ_PLACEMENT_MASTER_ONLY);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name)                                                                                  \
    g_test_add("/control/" #name, struct fixture, NULL, set_up, test_##name, tear_down)
    ADD(config);
    ADD(processors);
    ADD(descriptor);
    ADD(bad_config);
    ADD(version);
    ADD(cut_off);
    ADD(endless);
    ADD(not_open);
    ADD(start);
    ADD(bad_peers);
    ADD(launcher_gone);
    ADD(stats);
    ADD(pages);
    ADD(error_once);
    ADD(error_bytes);
    ADD(lost);
    ADD(log);
    ADD(quiet);
    ADD(threads);
    ADD(forked);
    g_test_add_func("/control/no_channel", test_no_channel);
    g_test_add_func("/config/tunables", test_tunables);
    return g_test_run();
}
