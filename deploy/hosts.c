/*
 * The hosts of a run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the list ---- */

static struct dq_host *find(struct dq_hosts *hosts, const char *name)
{
    for (int i = 0; i < hosts->count; i++) {
        if (strcmp(hosts->list[i].name, name) == 0) {
            return &hosts->list[i];
        }
    }
    return NULL;
}

/* A host that is named again has more slots, as with mpirun. */
static struct dq_host *add(struct dq_hosts *hosts, const char *name, int slots)
{
    struct dq_host *host = find(hosts, name);

    if (host) {
        host->slots += slots;
        return host;
    }
    hosts->list = g_renew(struct dq_host, hosts->list, hosts->count + 1);
    host = &hosts->list[hosts->count++];
    *host = (struct dq_host){.name = g_strdup(name), .slots = slots};
    return host;
}

/* A name goes to ssh as a word: it must not look like an option, nor hold what a shell would read. */
static bool is_name(const char *name)
{
    return *name != '\0' && *name != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789.-_@:%/") == strlen(name);
}

static bool read_slots(const char *text, int *slots)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 1, DQ_MAX_NODES, &value, NULL)) {
        return false;
    }
    *slots = (int)value;
    return true;
}

/* name, name:slots, [address], [address]:slots; an address with several colons needs no brackets. */
static bool add_word(struct dq_hosts *hosts, const char *word, char **why)
{
    const char *bracket = word[0] == '[' ? strchr(word, ']') : NULL;
    const char *colon = strchr(bracket ? bracket : word, ':');
    char *name;
    int slots = 1;

    if (bracket) {
        name = g_strndup(word + 1, (gsize)(bracket - word - 1));
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    } else if (colon && strchr(colon + 1, ':')) {
        name = g_strdup(word);
        colon = NULL;
    } else {
        name = g_strndup(word, colon ? (gsize)(colon - word) : strlen(word));
    }
    bool right = false;
    if (!is_name(name) || (bracket && bracket[1] != '\0' && bracket[1] != ':')) {
        *why = g_strdup_printf("\"%s\" is not the name of a host; write name or name:slots, with "
                               "commas between them",
                               word);
    } else if (colon && !read_slots(colon + 1, &slots)) {
        *why = g_strdup_printf("%s: \"%s\" is not a number of slots; give 1 to %d", name, colon + 1,
                               DQ_MAX_NODES);
    } else {
        add(hosts, name, slots);
        right = true;
    }
    g_free(name);
    return right;
}

bool dq_hosts_add_list(struct dq_hosts *hosts, const char *text, char **why)
{
    char **words = g_strsplit(text, ",", -1);
    bool right = true;

    for (char **w = words; right && *w; w++) {
        right = add_word(hosts, g_strstrip(*w), why);
    }
    g_strfreev(words);
    return right;
}

/* ---- the file ---- */

static bool is_address(const char *text)
{
    uint8_t binary[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

static bool add_setting(struct dq_host *host, const char *word, char **why)
{
    const char *value = strchr(word, '=');
    int slots;

    if (value && g_str_has_prefix(word, "slots=")) {
        if (!read_slots(value + 1, &slots)) {
            *why = g_strdup_printf("%s is not a number of slots; give 1 to %d", word, DQ_MAX_NODES);
            return false;
        }
        host->slots += slots - 1; /* the line itself has counted one */
        return true;
    }
    if (value && g_str_has_prefix(word, "address=")) {
        if (!is_address(value + 1)) {
            *why = g_strdup_printf("%s is not a numeric address, such as 10.0.0.1", word);
            return false;
        }
        g_free(host->address);
        host->address = g_strdup(value + 1);
        return true;
    }
    *why =
        g_strdup_printf("\"%s\" is not known; a line is: name [slots=N] [address=ADDRESS]", word);
    return false;
}

static bool add_line(struct dq_hosts *hosts, char *line, char **why)
{
    line[strcspn(line, "#")] = '\0';
    char **words = g_strsplit_set(line, " \t\r", -1);
    struct dq_host *host = NULL;
    bool right = true;

    for (char **w = words; right && *w; w++) {
        if (**w == '\0') {
            continue;
        }
        if (host) {
            right = add_setting(host, *w, why);
        } else if ((right = is_name(*w))) {
            host = add(hosts, *w, 1);
        } else {
            *why = g_strdup_printf("\"%s\" is not the name of a host", *w);
        }
    }
    g_strfreev(words);
    return right;
}

bool dq_hosts_add_file(struct dq_hosts *hosts, const char *path, char **why)
{
    GError *error = NULL;
    char *text;
    bool right = true;

    if (!g_file_get_contents(path, &text, NULL, &error)) {
        *why = g_strdup_printf("%s; name a file with one host a line", error->message);
        g_error_free(error);
        return false;
    }
    char **lines = g_strsplit(text, "\n", -1);
    g_free(text);
    int before = hosts->count;
    for (int i = 0; right && lines[i]; i++) {
        char *clause = NULL;
        right = add_line(hosts, lines[i], &clause);
        if (!right) {
            *why = g_strdup_printf("line %d: %s", i + 1, clause);
            g_free(clause);
        }
    }
    g_strfreev(lines);
    if (right && hosts->count == before) {
        *why = g_strdup("it names no host; write one a line");
        right = false;
    }
    return right;
}

/* ---- Slurm ---- */

/* "2(x3),1": tasks of each node in order; how many node `index` has. */
static int tasks_of(const char *text, int index)
{
    while (text && *text) {
        char *end;
        long tasks = strtol(text, &end, 10), times = 1;
        if (g_str_has_prefix(end, "(x")) {
            times = strtol(end + 2, &end, 10);
            end += *end == ')';
        }
        if (index < times) {
            return (int)CLAMP(tasks, 1, DQ_MAX_NODES);
        }
        index -= (int)times;
        text = *end == ',' ? end + 1 : NULL;
    }
    return 1;
}

/* A task count was asked for, or the processors of a node show as tasks: only the first counts. */
static const char *slurm_tasks(void)
{
    return g_getenv("SLURM_NTASKS") || g_getenv("SLURM_NTASKS_PER_NODE")
               ? g_getenv("SLURM_TASKS_PER_NODE")
               : NULL;
}

int dq_hosts_add_slurm(struct dq_hosts *hosts, char **why)
{
    const char *nodes = g_getenv("SLURM_JOB_NODELIST");
    char *command[] = {"scontrol", "show", "hostnames", (char *)nodes, NULL};
    char *out = NULL, *err = NULL;
    GError *error = NULL;
    int status = 0;

    if (!g_getenv("SLURM_JOB_ID") || !nodes) {
        return 0;
    }
    if (!g_spawn_sync(NULL, command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status,
                      &error)) {
        *why = g_strdup_printf("%s; name the hosts with --hosts", error->message);
        g_error_free(error);
        return -1;
    }
    char **names = g_strsplit(g_strstrip(out), "\n", -1);
    if (status != 0 || g_strv_length(names) == 0) {
        err[strcspn(err, "\n")] = '\0'; /* the first of its lines */
        *why = g_strdup_printf("scontrol show hostnames %s: %s; name the hosts with --hosts", nodes,
                               err);
    }
    for (int i = 0; !*why && names[i]; i++) {
        add(hosts, names[i], tasks_of(slurm_tasks(), i));
    }
    hosts->slurm = !*why;
    g_strfreev(names);
    g_free(out);
    g_free(err);
    return *why ? -1 : 1;
}

/* ---- which of them is here ---- */

static bool is_own_address(const struct sockaddr *sa)
{
    struct ifaddrs *all, *i;
    bool found = false;

    if (getifaddrs(&all) < 0) {
        return false;
    }
    for (i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != sa->sa_family) {
            continue;
        }
        if (sa->sa_family == AF_INET) {
            found = ((const struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr ==
                    ((const struct sockaddr_in *)sa)->sin_addr.s_addr;
        } else if (sa->sa_family == AF_INET6) {
            found =
                memcmp(&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr,
                       &((const struct sockaddr_in6 *)sa)->sin6_addr, sizeof(struct in6_addr)) == 0;
        }
    }
    freeifaddrs(all);
    return found;
}

static bool is_own_name(const char *name)
{
    const char *slurm = g_getenv("SLURMD_NODENAME");
    char own[256] = "";

    gethostname(own, sizeof(own) - 1);
    if (strcmp(name, "localhost") == 0 || strcmp(name, own) == 0 ||
        (slurm && strcmp(name, slurm) == 0)) {
        return true;
    }
    own[strcspn(own, ".")] = '\0';
    return strcmp(name, own) == 0;
}

bool dq_hosts_is_here(const char *name)
{
    const char *at = strrchr(name, '@');
    const char *host = at ? at + 1 : name;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai, *i;
    bool here = is_own_name(host);

    if (here || getaddrinfo(host, NULL, &hints, &ai)) {
        return here;
    }
    for (i = ai; i && !here; i = i->ai_next) {
        here = is_own_address(i->ai_addr);
    }
    freeaddrinfo(ai);
    return here;
}

/* ---- which node where ---- */

/* All that mean this machine become one, in front; if there is none, its one slot comes on top. */
static void put_here_first(struct dq_hosts *hosts)
{
    struct dq_host here = {.slots = 0};
    int kept = 0;

    for (int i = 0; i < hosts->count; i++) {
        struct dq_host *h = &hosts->list[i];
        if (!dq_hosts_is_here(h->name)) {
            hosts->list[kept++] = *h;
            continue;
        }
        here.slots += h->slots;
        if (here.name) {
            g_free(h->name);
            g_free(h->address);
        } else {
            here.name = h->name;
            here.address = h->address;
        }
    }
    if (!here.name) {
        char own[256] = "localhost";
        gethostname(own, sizeof(own) - 1);
        here = (struct dq_host){.name = g_strdup(own), .slots = 1};
    }
    hosts->list = g_renew(struct dq_host, hosts->list, kept + 1);
    memmove(hosts->list + 1, hosts->list, (size_t)kept * sizeof(*hosts->list));
    hosts->list[0] = here;
    hosts->count = kept + 1;
}

/* Hosts that no node runs on take no part at all. */
static void drop_idle(struct dq_hosts *hosts)
{
    while (hosts->list[hosts->count - 1].nodes == 0) {
        struct dq_host *last = &hosts->list[--hosts->count];
        g_free(last->name);
        g_free(last->address);
    }
}

int dq_hosts_assign(struct dq_hosts *hosts, int nodes, char **why)
{
    int slots = 0, given = 0;

    put_here_first(hosts);
    for (int i = 0; i < hosts->count; i++) {
        slots += hosts->list[i].slots;
    }
    if (nodes > slots) {
        *why =
            g_strdup_printf("%d nodes for %d slots, one on this machine among them; add hosts or "
                            "slots (name:slots), or use fewer nodes",
                            nodes, slots);
        return -1;
    }
    if (nodes == 0 && slots > DQ_MAX_NODES) {
        *why = g_strdup_printf("%d slots, and a run has at most %d nodes; choose with -n", slots,
                               DQ_MAX_NODES);
        return -1;
    }
    nodes = nodes ? nodes : slots;
    for (int i = 0; i < hosts->count; i++) {
        struct dq_host *h = &hosts->list[i];
        h->first = given;
        h->nodes = MIN(h->slots, nodes - given);
        given += h->nodes;
    }
    drop_idle(hosts);
    return nodes;
}

const struct dq_host *dq_hosts_of(const struct dq_hosts *hosts, int node)
{
    int i = 0;

    while (i + 1 < hosts->count && node >= hosts->list[i].first + hosts->list[i].nodes) {
        i++;
    }
    return &hosts->list[i];
}

void dq_hosts_free(struct dq_hosts *hosts)
{
    for (int i = 0; i < hosts->count; i++) {
        g_free(hosts->list[i].name);
        g_free(hosts->list[i].address);
    }
    g_free(hosts->list);
    *hosts = (struct dq_hosts){0};
}
