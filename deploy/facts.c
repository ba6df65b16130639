/*
 * What an agent finds out about its host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "deploy/limits.h"
#include "deploy/permission.h"
#include "deploy/program.h"
#include "dqemu/build_id.h"
#include "proto/address.h"
#include "proto/wire.h"

/* The kernel's own limit of mappings; a guest's memory map may need as many. */
#define LEAST_MAPS 16384
/* Of a node before its guest has touched anything, with room for its translations. */
#define NODE_MB 192

/* ---- addresses ---- */

static socklen_t address_size(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static char *numeric(const struct sockaddr *sa)
{
    char text[64];

    if (getnameinfo(sa, address_size(sa), text, sizeof(text), NULL, 0, NI_NUMERICHOST)) {
        return NULL;
    }
    return g_strdup(text);
}

/* The bytes of an address. 0: of no family that we use. */
static size_t bytes_of(const struct sockaddr *sa, const uint8_t **bytes)
{
    if (sa->sa_family == AF_INET) {
        *bytes = (const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr;
        return sizeof(struct in_addr);
    }
    *bytes = (const uint8_t *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
    return sa->sa_family == AF_INET6 ? sizeof(struct in6_addr) : 0;
}

struct network {
    int family;
    uint8_t bytes[sizeof(struct in6_addr)];
    unsigned bits;
};

/* ADDRESS/BITS; false: that is none. */
static bool read_network(const char *text, struct network *out)
{
    char **parts = g_strsplit(text, "/", 2);
    guint64 bits = 0;

    out->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    bool right =
        g_strv_length(parts) == 2 && inet_pton(out->family, parts[0], out->bytes) == 1 &&
        g_ascii_string_to_unsigned(parts[1], 10, 0, out->family == AF_INET ? 32 : 128, &bits, NULL);
    out->bits = (unsigned)bits;
    g_strfreev(parts);
    return right;
}

static bool is_within(const struct sockaddr *sa, const struct network *net)
{
    const uint8_t *bytes;
    size_t size = bytes_of(sa, &bytes);
    unsigned whole = net->bits / 8, rest = net->bits % 8;

    return sa->sa_family == net->family && whole <= size && memcmp(bytes, net->bytes, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ net->bytes[whole]) >> (8 - rest) == 0);
}

/* Link-local IPv6 addresses mean something on their link only. */
static bool is_usable(const struct ifaddrs *i)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) {
        return false;
    }
    return i->ifa_addr->sa_family == AF_INET ||
           (i->ifa_addr->sa_family == AF_INET6 &&
            !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr));
}

static bool is_loopback(const struct ifaddrs *i)
{
    return (i->ifa_flags & IFF_LOOPBACK) != 0;
}

char *dq_facts_find_address(const char *interface)
{
    struct network net = {0};
    bool cidr = read_network(interface, &net);
    struct ifaddrs *all, *i;
    char *found = NULL;

    if (getifaddrs(&all) < 0) {
        return NULL;
    }
    for (i = all; i && !found; i = i->ifa_next) {
        if (is_usable(i) &&
            (cidr ? is_within(i->ifa_addr, &net) : strcmp(i->ifa_name, interface) == 0)) {
            found = numeric(i->ifa_addr);
        }
    }
    freeifaddrs(all);
    return found;
}

static bool is_ours(const char *address)
{
    char *text = g_strdup_printf("%s/%d", address, strchr(address, ':') ? 128 : 32);
    char *found = dq_facts_find_address(text);
    bool ours = found != NULL;

    g_free(found);
    g_free(text);
    return ours;
}

char *dq_facts_route(const char *peer)
{
    struct sockaddr_storage sa;
    socklen_t size;
    char *source = NULL;

    if (dq_address_read(peer, 9, &sa, &size)) {
        return NULL;
    }
    /* connecting a datagram socket sends nothing: it looks up the route */
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, size) == 0 &&
        getsockname(fd, (struct sockaddr *)&sa, &size) == 0) {
        source = numeric((struct sockaddr *)&sa);
    }
    if (fd >= 0) {
        close(fd);
    }
    return source;
}

/* The only address that is not the loopback's. NULL: none or several. */
static char *only_address(void)
{
    struct ifaddrs *all, *i;
    char *found = NULL;
    int count = 0;

    if (getifaddrs(&all) < 0) {
        return NULL;
    }
    for (i = all; i; i = i->ifa_next) {
        if (is_usable(i) && !is_loopback(i) && i->ifa_addr->sa_family == AF_INET) {
            count++;
            g_free(found);
            found = numeric(i->ifa_addr);
        }
    }
    freeifaddrs(all);
    if (count != 1) {
        g_free(found);
        found = NULL;
    }
    return found;
}

/* SSH_CONNECTION: the caller's address and port, then ours. */
static char *ssh_word(int index)
{
    const char *text = g_getenv("SSH_CONNECTION");
    char **words = g_strsplit(text ? text : "", " ", -1);
    char *word = (int)g_strv_length(words) > index ? g_strdup(words[index]) : NULL;

    g_strfreev(words);
    return word;
}

static char *first_resolved(const json_t *probe)
{
    size_t i;
    json_t *value;

    json_array_foreach(json_object_get(probe, "resolved"), i, value)
    {
        const char *text = json_string_value(value);
        if (text && is_ours(text)) {
            return g_strdup(text);
        }
    }
    return NULL;
}

static void add_text(json_t *facts, const char *key, char *text)
{
    if (text) {
        json_object_set_new(facts, key, json_string(text));
    }
    g_free(text);
}

static void add_trouble(json_t *facts, char *text)
{
    json_array_append_new(json_object_get(facts, "trouble"), json_string(text));
    g_free(text);
}

/* What was asked for; the address by which we were reached; what our name means elsewhere. */
static void add_address(json_t *facts, const json_t *probe)
{
    const char *asked = json_string_value(json_object_get(probe, "address"));
    const char *interface = json_string_value(json_object_get(probe, "interface"));
    char *found = NULL;

    add_text(facts, "caller", ssh_word(0));
    if (json_is_true(json_object_get(probe, "here")) && !interface && !asked) {
        return; /* as the others see it: the launcher's choice */
    }
    if (asked) {
        found = is_ours(asked) ? g_strdup(asked) : NULL;
        if (!found) {
            add_trouble(facts, g_strdup_printf("it has no address %s, which was given for it; give "
                                               "one of its own",
                                               asked));
        }
    } else if (interface) {
        found = dq_facts_find_address(interface);
        if (!found) {
            add_trouble(facts, g_strdup_printf("it has no address on --interface %s; name another "
                                               "interface or network",
                                               interface));
        }
    } else {
        found = ssh_word(2);
        found = found ? found : first_resolved(probe);
        found = found ? found : only_address();
        if (!found) {
            add_trouble(facts, g_strdup("which of its addresses is to be used is not known; name "
                                        "the network with --interface"));
        }
    }
    add_text(facts, "address", found);
}

/* ---- the host ---- */

static json_t *limit_of(int resource)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return json_integer(-1);
    }
    return json_integer((json_int_t)limit.rlim_cur);
}

/* The number behind `key` in a file of /proc; with key "" the first one. -1: none. */
static gint64 proc_number(const char *path, const char *key)
{
    char *text = NULL, *at;
    gint64 value = -1;

    if (g_file_get_contents(path, &text, NULL, NULL) && (at = strstr(text, key))) {
        value = g_ascii_strtoll(at + strlen(key), NULL, 10);
    }
    g_free(text);
    return value;
}

static void add_memory(json_t *facts, int slots)
{
    gint64 kb = proc_number("/proc/meminfo", "MemAvailable:");
    gint64 maps = proc_number("/proc/sys/vm/max_map_count", "");

    json_object_set_new(facts, "memory_mb", json_integer(kb < 0 ? -1 : kb / 1024));
    json_object_set_new(facts, "maps", json_integer(maps));
    if (kb >= 0 && kb / 1024 < (gint64)NODE_MB * slots) {
        add_trouble(facts,
                    g_strdup_printf("%d MB of memory are free, too little for %d node%s; end "
                                    "other programs there, or leave it out",
                                    (int)(kb / 1024), slots, slots == 1 ? "" : "s"));
    }
    if (maps >= 0 && maps < LEAST_MAPS) {
        add_trouble(facts, g_strdup_printf("vm.max_map_count is %d, too low for a program's memory "
                                           "map; set the sysctl to 65530",
                                           (int)maps));
    }
}

static void add_limits(json_t *facts, int slots, int nodes)
{
    const char *userfaultfd = "no";
    const char *permission = dq_permission_trouble(&userfaultfd);
    char *limits = dq_limits_trouble(slots, nodes);

    json_object_set_new(facts, "userfaultfd", json_string(userfaultfd));
    json_object_set_new(facts, "files", limit_of(RLIMIT_NOFILE));
    json_object_set_new(facts, "locked", limit_of(RLIMIT_MEMLOCK));
    json_object_set_new(facts, "page", json_integer(sysconf(_SC_PAGESIZE)));
    json_object_set_new(facts, "processors", json_integer(g_get_num_processors()));
    if (permission) {
        add_trouble(facts, g_strdup(permission));
    }
    if (limits) {
        add_trouble(facts, limits);
    }
    if (sysconf(_SC_PAGESIZE) != DQ_PAGE_SIZE) {
        add_trouble(facts, g_strdup_printf("its kernel has pages of %ld bytes, and dqemu needs %d; "
                                           "boot a kernel with 4 KiB pages",
                                           sysconf(_SC_PAGESIZE), DQ_PAGE_SIZE));
    }
}

json_t *dq_facts_gather(const json_t *probe)
{
    int slots = (int)json_integer_value(json_object_get(probe, "slots"));
    int nodes = (int)json_integer_value(json_object_get(probe, "nodes"));
    struct utsname name;

    uname(&name);
    json_t *facts =
        json_pack("{s:s, s:s, s:s, s:s, s:[]}", "type", "facts", "machine", name.machine, "kernel",
                  name.release, "build", dq_build_id, "trouble");
    add_limits(facts, slots, nodes);
    add_memory(facts, slots);
    add_address(facts, probe);
    return facts;
}

void dq_facts_add_node(json_t *facts, const char *path)
{
    char *why, *build = dq_program_node_build(path, &why);

    if (build) {
        add_text(facts, "node_build", build);
    } else {
        add_text(facts, "node_trouble", why);
    }
}
