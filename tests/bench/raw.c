/*
 * What the sockets themselves can do: two processes, each on a processor of its own like the
 * nodes, one TCP connection with TCP_NODELAY, blocking calls as in any plain program.
 *
 *   raw [options] ping REQUEST_BYTES REPLY_BYTES     round trips, one at a time
 *   raw [options] stream CHUNK_BYTES                 one direction, as fast as it goes
 *
 *   --count N       round trips (20000), or chunks of the stream (4096)
 *   --cpus A,B      processors of the two processes
 *   --address A     where they meet (127.0.0.1)
 *   --netns A,B     network namespaces of the two processes, as `ip netns` names them
 *
 * Prints one JSON object.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    const char *mode, *address, *netns[2];
    int cpu[2]; /* -1: any */
    size_t request, reply;
    uint64_t count;
};

static void G_GNUC_NORETURN die(const char *what)
{
    fprintf(stderr, "raw: %s: %s\n", what, g_strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Which of the two processes this is decides where it runs. */
static void settle(const struct options *o, int which)
{
    if (o->netns[which]) {
        char *path = g_build_filename("/var/run/netns", o->netns[which], NULL);
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
            die(path);
        }
        close(fd);
        g_free(path);
    }
    if (o->cpu[which] >= 0) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(o->cpu[which], &set);
        if (sched_setaffinity(0, sizeof(set), &set) != 0) {
            die("cannot run on the processor asked for");
        }
    }
}

static void send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

        if (n < 0) {
            die("send");
        }
        data += n;
        length -= (size_t)n;
    }
}

/* False at the end of the stream. */
static bool receive_all(int fd, char *data, size_t length)
{
    ssize_t n = recv(fd, data, length, MSG_WAITALL);

    if (n < 0) {
        die("recv");
    }
    return (size_t)n == length;
}

static int no_delay(int fd)
{
    int one = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
        die("TCP_NODELAY");
    }
    return fd;
}

static int listen_at(const char *address, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t length = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &length) != 0) {
        die(address);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

static int connect_to(const char *address, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, address, &a.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        die("connect");
    }
    return no_delay(fd);
}

/* The process that answers. */
static void serve(const struct options *o, int tell_port)
{
    char *in = g_malloc0(MAX(o->request, 1)), *out = g_malloc0(MAX(o->reply, 1));
    uint16_t port;
    int listening, fd;

    settle(o, 1);
    listening = listen_at(o->address, &port);
    if (write(tell_port, &port, sizeof(port)) != sizeof(port)) {
        die("pipe");
    }
    fd = accept(listening, NULL, NULL);
    if (fd < 0) {
        die("accept");
    }
    no_delay(fd);
    if (strcmp(o->mode, "stream") == 0) {
        for (uint64_t i = 0; i < o->count; i++) {
            send_all(fd, out, o->reply);
        }
    } else {
        while (receive_all(fd, in, o->request)) {
            send_all(fd, out, o->reply);
        }
    }
    exit(0);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static json_t *ping(const struct options *o, int fd)
{
    char *out = g_malloc0(o->request), *in = g_malloc0(o->reply);
    int64_t *sample = g_new(int64_t, o->count);

    for (uint64_t i = 0; i < o->count + o->count / 10; i++) {
        int64_t start = now_ns();

        send_all(fd, out, o->request);
        if (!receive_all(fd, in, o->reply)) {
            die("the other process ended");
        }
        if (i >= o->count / 10) { /* the first tenth warms up */
            sample[i - o->count / 10] = now_ns() - start;
        }
    }
    qsort(sample, o->count, sizeof(*sample), compare);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "mode", "ping", "request_bytes",
                     (json_int_t)o->request, "reply_bytes", (json_int_t)o->reply, "round_trips",
                     (json_int_t)o->count, "median_ns", (json_int_t)sample[o->count / 2], "p99_ns",
                     (json_int_t)sample[o->count * 99 / 100], "min_ns", (json_int_t)sample[0]);
}

static json_t *stream(const struct options *o, int fd)
{
    char *in = g_malloc0(o->reply);
    uint64_t bytes = o->reply * (o->count - 1);
    int64_t start = 0, took;

    for (uint64_t i = 0; i < o->count; i++) {
        if (!receive_all(fd, in, o->reply)) {
            die("the other process ended");
        }
        start = i == 0 ? now_ns() : start; /* the first chunk warms up */
    }
    took = now_ns() - start;
    return json_pack("{s:s, s:I, s:I, s:I, s:f}", "mode", "stream", "chunk_bytes",
                     (json_int_t)o->reply, "stream_bytes", (json_int_t)bytes, "took_ns",
                     (json_int_t)took, "bytes_per_second", (double)bytes * 1e9 / (double)took);
}

static void G_GNUC_NORETURN usage(void)
{
    fprintf(stderr, "usage: raw [--count N] [--cpus A,B] [--address A] [--netns A,B] "
                    "ping REQUEST_BYTES REPLY_BYTES | stream CHUNK_BYTES\n");
    exit(2);
}

static char **pair(const char *text)
{
    char **two = g_strsplit(text, ",", 2);

    if (g_strv_length(two) != 2) {
        usage();
    }
    return two;
}

static size_t size_of(const char *text)
{
    guint64 n;

    if (!text || !g_ascii_string_to_unsigned(text, 10, 1, 1u << 30, &n, NULL)) {
        usage();
    }
    return n;
}

static struct options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"count", required_argument, NULL, 'n'},
        {"cpus", required_argument, NULL, 'c'},
        {"address", required_argument, NULL, 'a'},
        {"netns", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.address = "127.0.0.1", .cpu = {-1, -1}};
    char **two;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'n':
            o.count = size_of(optarg);
            break;
        case 'c':
            two = pair(optarg);
            o.cpu[0] = atoi(two[0]);
            o.cpu[1] = atoi(two[1]);
            break;
        case 'a':
            o.address = optarg;
            break;
        case 's':
            two = pair(optarg);
            o.netns[0] = two[0];
            o.netns[1] = two[1];
            break;
        default:
            usage();
        }
    }
    argv += optind;
    argc -= optind;
    if (argc == 3 && strcmp(argv[0], "ping") == 0) {
        o.request = size_of(argv[1]);
        o.reply = size_of(argv[2]);
        o.count = o.count ? o.count : 20000;
    } else if (argc == 2 && strcmp(argv[0], "stream") == 0) {
        o.reply = size_of(argv[1]);
        o.count = o.count ? MAX(o.count, 2) : 4096;
    } else {
        usage();
    }
    o.mode = argv[0];
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    int port_pipe[2], fd;
    uint16_t port;
    json_t *result;
    pid_t child;

    if (pipe2(port_pipe, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        die("cannot start");
    }
    if (child == 0) {
        close(port_pipe[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(&o, port_pipe[1]);
    }
    close(port_pipe[1]);
    settle(&o, 0);
    if (read(port_pipe[0], &port, sizeof(port)) != sizeof(port)) {
        errno = ECHILD;
        die("the answering process did not start");
    }
    fd = connect_to(o.address, port);
    result = strcmp(o.mode, "ping") == 0 ? ping(&o, fd) : stream(&o, fd);
    json_dumpf(result, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    close(fd);
    waitpid(child, NULL, 0);
    return 0;
}
