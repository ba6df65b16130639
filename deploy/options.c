/*
 * The command line of dqemu-launch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/help.h"
#include "deploy/say.h"
#include "dqemu/handover.h"

#define LOOPBACK "127.0.0.1"

enum option {
#define X(id, letter, word, argument, env, standard, help) OPTION_##id,
#include "deploy/options.inc"
#undef X
    OPTION_COUNT
};

static const struct {
    char letter;
    const char *word, *argument, *env;
} table[OPTION_COUNT] = {
#define X(id, letter, word, argument, env, standard, help) {letter, word, argument, env},
#include "deploy/options.inc"
#undef X
};

/* The emulator's options, by its own words; it takes one dash or two. */
static const struct {
    const char *word;
    bool argument;
    bool one_node; /* not for slaves: a debugger's port can be had once */
} emulator_table[] = {
    {"L", true, false},        {"E", true, false},        {"U", true, false},
    {"0", true, false},        {"strace", false, false},  {"cpu", true, false},
    {"s", true, false},        {"r", true, false},        {"R", true, false},
    {"B", true, false},        {"t", true, false},        {"g", true, true},
    {"d", true, false},        {"dfilter", true, false},  {"D", true, false},
    {"p", true, false},        {"tb-size", true, false},  {"one-insn-per-tb", false, false},
    {"seed", true, false},     {"trace", true, false},    {"plugin", true, false},
    {"perfmap", false, false}, {"jitdump", false, false},
};

struct parser {
    struct dq_options *out;
    GPtrArray *emulator, *emulator_slave, *exports;
    GArray *volumes; /* of struct dq_volume, with an empty one behind them */
    GPtrArray
        *children; /* options for the launchers of children; NULL: until those of the user come */
    bool cluster_children;
    const char *addresses, *bind, *port_range;
    bool nodes_given, hosts_given, hosts_from_twin;
};

/* ---- values ---- */

static bool read_number(const char *text, uint64_t most, uint64_t *out)
{
    /* No sign, no blank: what g_ascii_string_to_unsigned() accepts. */
    guint64 value;
    if (!g_ascii_string_to_unsigned(text, 10, 0, most, &value, NULL)) {
        return false;
    }
    *out = value;
    return true;
}

static void set_nodes(struct parser *p, const char *name, const char *text)
{
    uint64_t value;
    if (!read_number(text, UINT64_MAX, &value) || value == 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: not a number of nodes; give 1 to %d", name, text,
                   DQ_MAX_NODES);
    }
    if (value > DQ_MAX_NODES) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: too many nodes; give at most %d", name, text,
                   DQ_MAX_NODES);
    }
    p->out->nodes = (int)value;
    p->nodes_given = true;
}

static void set_hosts(struct parser *p, const char *name, const char *text, bool file)
{
    char *why = NULL;
    bool twin = g_str_has_prefix(name, "DQEMU_");

    if (p->hosts_from_twin && !twin) {
        dq_hosts_free(&p->out->hosts); /* the command line wins */
    }
    p->hosts_from_twin = twin;
    bool right = file ? dq_hosts_add_file(&p->out->hosts, text, &why)
                      : dq_hosts_add_list(&p->out->hosts, text, &why);

    if (!right) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: %s", name, text, why);
    }
    p->hosts_given = true;
}

static void set_bind_to(struct parser *p, const char *name, const char *text)
{
    p->out->bind_cores = strcmp(text, "core") == 0;
    if (!p->out->bind_cores && strcmp(text, "none") != 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: give core or none", name, text);
    }
}

/* VAR=VALUE, or VAR as it is here; node 0 gets it as well. */
static void set_export(struct parser *p, const char *name, const char *text)
{
    const char *equals = strchr(text, '=');
    char *variable = g_strndup(text, equals ? (gsize)(equals - text) : strlen(text));

    if (*variable == '\0') {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: no variable; write VAR or VAR=VALUE", name, text);
    }
    if (equals) {
        g_setenv(variable, equals + 1, TRUE);
    } else if (!g_getenv(variable)) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: it is not set here; write %s=VALUE", name, text, text);
    }
    g_ptr_array_add(p->exports, g_strconcat(variable, "=", g_getenv(variable), NULL));
    g_free(variable);
}

static void add_volume(struct parser *p, const char *name, const char *text)
{
    struct dq_volume volume;
    char *why;

    if (!dq_volume_read(text, &volume, &why)) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: %s", name, text, why);
    }
    g_array_append_val(p->volumes, volume);
}

static void set_placement(struct parser *p, const char *name, const char *text)
{
    if (dq_config_placement(text, &p->out->config.placement) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: no such policy; give spread, pack or master-only", name,
                   text);
    }
}

static void set_transport(struct parser *p, const char *name, const char *text)
{
    p->out->auto_transport = strcmp(text, "auto") == 0;
    if (!p->out->auto_transport && dq_config_transport(text, &p->out->config.transport) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: no such transport; give tcp, rdma or auto", name, text);
    }
}

static double read_seconds(const char *name, const char *text)
{
    char *end;
    double value = g_ascii_strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value < 1e9)) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: not a time; give seconds, such as 2.5", name, text);
    }
    return value;
}

static void set_contact(struct parser *p, const char *name, const char *text)
{
    double ms = read_seconds(name, text) * 1000;

    if (dq_config_tune(&p->out->config, "contact_ms", (uint64_t)ms) < 0) {
        dq_say_die(DQ_STATUS_FAULT,
                   "%s %s: outside the limits of contact_ms, which dqemu-launch --help shows", name,
                   text);
    }
}

/* Words as a shell reads them; "": none. */
static void set_words(char ***words, const char *name, const char *text)
{
    GError *error = NULL;
    g_strfreev(*words);
    *words = NULL;
    if (*text != '\0' && !g_shell_parse_argv(text, NULL, words, &error)) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: %s; quote it as a shell would", name, text,
                   error->message);
    }
}

static void tune(struct parser *p, const char *name, char *setting)
{
    char *equals = strchr(setting, '=');
    uint64_t value;

    if (!equals) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s: no value; write NAME=VALUE", name, setting);
    }
    *equals = '\0';
    if (!read_number(equals + 1, UINT64_MAX, &value)) {
        dq_say_die(DQ_STATUS_FAULT, "%s %s=%s: the value is not a number", name, setting,
                   equals + 1);
    }
    switch (dq_config_tune(&p->out->config, setting, value)) {
    case -ENOENT:
        dq_say_die(DQ_STATUS_FAULT, "%s %s: no such tunable; dqemu-launch --help lists them", name,
                   setting);
    case -ERANGE:
        dq_say_die(DQ_STATUS_FAULT, "%s %s=%s: outside its limits, which dqemu-launch --help shows",
                   name, setting, equals + 1);
    default:
        break;
    }
}

static void set_tunables(struct parser *p, const char *name, const char *text)
{
    char **settings = g_strsplit(text, ",", -1);
    for (char **s = settings; *s; s++) {
        if (**s != '\0') {
            tune(p, name, *s);
        }
    }
    g_strfreev(settings);
}

/* Where an option's argument is kept as it is. NULL: there is more to it. */
static const char **word_of(struct parser *p, enum option option)
{
    switch (option) {
    case OPTION_INTERFACE:
        return &p->out->interface;
    case OPTION_PREFIX:
        return &p->out->prefix;
    case OPTION_LOG_DIR:
        return &p->out->log_dir;
    case OPTION_WDIR:
        return &p->out->wdir;
    case OPTION_ROOT:
        return &p->out->root;
    case OPTION_NODE_BINARY:
        return &p->out->node_binary;
    case OPTION_BIND:
        return &p->bind;
    case OPTION_ADDRESSES:
        return &p->addresses;
    case OPTION_PORT_RANGE:
        return &p->port_range;
    default:
        return NULL;
    }
}

/* What a flag sets. NULL: it is none, or there is more to it. */
static bool *flag_of(struct parser *p, enum option option)
{
    switch (option) {
    case OPTION_CHECK:
        return &p->out->check;
    case OPTION_PUSH:
        return &p->out->push;
    case OPTION_DISPLAY_MAP:
        return &p->out->display_map;
    case OPTION_TAG_OUTPUT:
        return &p->out->tag_output;
    case OPTION_CLUSTER_CHILDREN:
        return &p->cluster_children;
    default:
        return NULL;
    }
}

/* text NULL: an optional value that was left out. */
static void read_argument(struct parser *p, enum option option, const char *name, const char *text)
{
    switch (option) {
    case OPTION_NODES:
        set_nodes(p, name, text);
        break;
    case OPTION_HOSTS:
    case OPTION_HOSTFILE:
        set_hosts(p, name, text, option == OPTION_HOSTFILE);
        break;
    case OPTION_EXPORT:
        set_export(p, name, text);
        break;
    case OPTION_VOLUME:
        add_volume(p, name, text);
        break;
    case OPTION_BIND_TO:
        set_bind_to(p, name, text);
        break;
    case OPTION_CONTACT:
        set_contact(p, name, text);
        break;
    case OPTION_PLACEMENT:
        set_placement(p, name, text);
        break;
    case OPTION_STATS:
        p->out->stats = true;
        p->out->stats_file = text && *text != '\0' ? text : NULL;
        break;
    case OPTION_TRANSPORT:
        set_transport(p, name, text);
        break;
    case OPTION_WRAP:
        set_words(&p->out->wrap, name, text);
        break;
    case OPTION_SSH:
        set_words(&p->out->ssh, name, text);
        break;
    case OPTION_RSH:
        set_words(&p->out->rsh, name, text);
        break;
    case OPTION_TUNE:
        set_tunables(p, name, text);
        break;
    case OPTION_TIMEOUT:
        p->out->timeout = read_seconds(name, text);
        break;
    default:
        break;
    }
}

/* Does it hold for the programs that PROGRAM starts? Not what is done once, or can be had once. */
static bool is_for_children(enum option option)
{
    switch (option) {
    case OPTION_WDIR:
    case OPTION_EXPORT:
    case OPTION_ROOT: /* they are in there already */
    case OPTION_VOLUME:
    case OPTION_CHECK:
    case OPTION_DISPLAY_MAP:
    case OPTION_STATS:
    case OPTION_TIMEOUT:
    case OPTION_PORT_RANGE:
    case OPTION_NODE_BINARY: /* of one instruction set */
        return false;
    default:
        return true;
    }
}

static void keep_for_children(struct parser *p, enum option option, const char *text)
{
    if (!p->children || !is_for_children(option)) {
        return;
    }
    char *value = option == OPTION_HOSTFILE ? g_canonicalize_filename(text, NULL) : g_strdup(text);
    g_ptr_array_add(p->children, value ? g_strdup_printf("--%s=%s", table[option].word, value)
                                       : g_strdup_printf("--%s", table[option].word));
    g_free(value);
}

/* text NULL: a flag, or an optional value that was left out. name: as the user wrote it. */
static void set_option(struct parser *p, enum option option, const char *name, const char *text)
{
    const char **word = word_of(p, option);
    bool *flag = flag_of(p, option);

    keep_for_children(p, option, text);
    if (word) {
        *word = text;
        return;
    }
    if (flag) {
        *flag = true;
        return;
    }
    switch (option) {
    case OPTION_ENCRYPT:
        p->out->config.protect = DQ_PROTECT_ENCRYPT;
        break;
    case OPTION_VERBOSE:
        p->out->config.verbose = MIN(p->out->config.verbose + 1, 9);
        break;
    case OPTION_PRINT_TUNABLES:
        dq_help_tunables(&p->out->config);
        exit(0);
    case OPTION_VERSION:
        dq_help_version();
        exit(0);
    case OPTION_HELP:
        dq_help_print();
        exit(0);
    default:
        read_argument(p, option, name, text);
        break;
    }
}

/* ---- words ---- */

static bool is_optional(enum option option)
{
    return table[option].argument && g_str_has_prefix(table[option].argument, "[=");
}

/* The value of an option: attached, or the next word (*i moves on). */
static const char *value_of(const char *name, const char *attached, int argc, char **argv, int *i)
{
    if (attached) {
        return attached;
    }
    if (*i + 1 >= argc) {
        dq_say_die(DQ_STATUS_FAULT, "%s needs a value; see dqemu-launch --help", name);
    }
    return argv[++*i];
}

/* --word, --word=value, --word value */
static bool parse_long(struct parser *p, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);

    if (!g_str_has_prefix(argv[*i], "--")) {
        return false;
    }
    for (enum option o = 0; o < OPTION_COUNT; o++) {
        if (strlen(table[o].word) != length || strncmp(table[o].word, word, length) != 0) {
            continue;
        }
        char *name = g_strndup(argv[*i], length + 2);
        const char *value = equals ? equals + 1 : NULL;
        if (!table[o].argument && value) {
            dq_say_die(DQ_STATUS_FAULT, "%s takes no value", name);
        } else if (table[o].argument && !is_optional(o)) {
            value = value_of(name, value, argc, argv, i);
        }
        set_option(p, o, name, value);
        g_free(name);
        return true;
    }
    return false;
}

/* -n 3, -n3, -v, -vv */
static bool parse_short(struct parser *p, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 1;

    for (enum option o = 0; *word != '-' && o < OPTION_COUNT; o++) {
        if (table[o].letter == 0 || table[o].letter != *word) {
            continue;
        }
        char name[] = {'-', *word, '\0'};
        if (table[o].argument) {
            const char *attached = word[1] ? word + 1 : NULL;
            set_option(p, o, name, value_of(name, attached, argc, argv, i));
            return true;
        }
        if (strspn(word, name + 1) != strlen(word)) {
            return false;
        }
        for (; *word; word++) {
            set_option(p, o, name, NULL);
        }
        return true;
    }
    return false;
}

static bool parse_emulator(struct parser *p, int argc, char **argv, int *i)
{
    char *name = argv[*i];
    const char *word = name + (name[1] == '-' ? 2 : 1);

    for (size_t e = 0; e < G_N_ELEMENTS(emulator_table); e++) {
        if (strcmp(word, emulator_table[e].word) != 0) {
            continue;
        }
        char *value = NULL;
        if (emulator_table[e].argument) {
            value = (char *)value_of(name, NULL, argc, argv, i);
            p->out->emulator_help |= strcmp(value, "help") == 0;
        }
        for (int slave = 0; slave <= !emulator_table[e].one_node; slave++) {
            GPtrArray *list = slave ? p->emulator_slave : p->emulator;
            g_ptr_array_add(list, name);
            if (value) {
                g_ptr_array_add(list, value);
            }
        }
        return true;
    }
    return false;
}

/* From the emulator of the program that starts this one (qemu/glue/exec.c), no user. */
static bool parse_handed_root(struct parser *p, const char *word)
{
    if (!g_getenv(DQ_HANDOVER_VARIABLE) || !g_str_has_prefix(word, "--dqemu-root=")) {
        return false;
    }
    p->out->root_fd = atoi(word + strlen("--dqemu-root="));
    return true;
}

static void parse_words(struct parser *p, int argc, char **argv)
{
    int i;
    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "-version") == 0 || strcmp(argv[i], "-help") == 0) {
            set_option(p, argv[i][1] == 'v' ? OPTION_VERSION : OPTION_HELP, argv[i], NULL);
        }
        if (!parse_handed_root(p, argv[i]) && !parse_long(p, argc, argv, &i) &&
            !parse_emulator(p, argc, argv, &i) && !parse_short(p, argc, argv, &i)) {
            dq_say_die(DQ_STATUS_FAULT, "%s: no such option; see dqemu-launch --help", argv[i]);
        }
    }
    p->out->program = i < argc ? argv + i : NULL;
}

static void parse_environment(struct parser *p)
{
    if (g_getenv(DQ_HANDOVER_VARIABLE)) {
        return; /* the guest's environment, not the user's: what holds has been told in words */
    }
    for (enum option o = 0; o < OPTION_COUNT; o++) {
        const char *value = table[o].env ? g_getenv(table[o].env) : NULL;
        if (!value) {
            continue;
        }
        if (table[o].argument) {
            if (*value != '\0' || is_optional(o)) {
                set_option(p, o, table[o].env, value);
            }
        } else if (*value != '\0' && strcmp(value, "0") != 0) {
            set_option(p, o, table[o].env, NULL);
        }
    }
}

/* ---- what needs more than one option ---- */

static void set_address(struct dq_options *out, int node, const char *text)
{
    uint8_t binary[sizeof(struct in6_addr)] = {0};
    static const uint8_t any[sizeof(binary)];
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    size_t length = family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);

    if (inet_pton(family, text, binary) != 1 || strlen(text) >= sizeof(out->addresses[0])) {
        dq_say_die(DQ_STATUS_FAULT, "%s: not an address; give numbers, such as 127.0.0.1", text);
    }
    if (memcmp(binary, any, length) == 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s: no address that other nodes can reach; give one of theirs",
                   text);
    }
    g_strlcpy(out->addresses[node], text, sizeof(out->addresses[0]));
}

static void set_addresses(struct parser *p)
{
    struct dq_options *out = p->out;

    if (!p->addresses) {
        for (int node = 0; node < out->nodes; node++) {
            set_address(out, node, p->bind);
        }
        return;
    }
    char **list = g_strsplit(p->addresses, ",", -1);
    if ((int)g_strv_length(list) != out->nodes) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--addresses names %u addresses for %d nodes; give one for each",
                   g_strv_length(list), out->nodes);
    }
    for (int node = 0; node < out->nodes; node++) {
        set_address(out, node, list[node]);
    }
    g_strfreev(list);
}

static void set_ports(struct parser *p)
{
    if (!p->port_range) {
        return;
    }
    char **ends = g_strsplit(p->port_range, "-", 2);
    uint64_t low = 0, high = 0;
    if (g_strv_length(ends) != 2 || !read_number(ends[0], UINT16_MAX, &low) ||
        !read_number(ends[1], UINT16_MAX, &high) || low == 0 || high < low) {
        dq_say_die(DQ_STATUS_FAULT, "%s: not a range of ports; give two numbers, such as 7000-7063",
                   p->port_range);
    }
    if (high - low + 1 < (uint64_t)p->out->nodes) {
        dq_say_die(DQ_STATUS_FAULT, "%s: %d ports for %d nodes; give one for each", p->port_range,
                   (int)(high - low + 1), p->out->nodes);
    }
    p->out->first_port = (uint16_t)low;
    g_strfreev(ends);
}

/* Hosts that were named, or those of an allocation; none of them: the nodes are processes here. */
static void set_host_nodes(struct parser *p)
{
    struct dq_options *out = p->out;
    char *why = NULL;
    bool local = p->addresses || strcmp(p->bind, LOOPBACK) != 0;

    if (local && p->hosts_given) {
        dq_say_die(DQ_STATUS_FAULT, "--bind and --addresses are for nodes of this machine; with "
                                    "hosts, use --interface or address= in a --hostfile");
    }
    if (!p->hosts_given && !local && dq_hosts_add_slurm(&out->hosts, &why) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "the allocation of Slurm: %s", why);
    }
    if (out->check && out->hosts.count == 0) {
        char *here = g_strdup_printf("localhost:%d", out->nodes);
        dq_hosts_add_list(&out->hosts, here, &why);
        g_free(here);
        p->hosts_given = true;
    }
    if (out->hosts.count == 0) {
        return;
    }
    int nodes = dq_hosts_assign(&out->hosts, p->nodes_given ? out->nodes : 0, &why);
    /* an allocation of this machine alone, or one node, need no host */
    if ((!p->hosts_given && out->hosts.count == 1) || (nodes == 1 && !out->check)) {
        out->nodes = nodes == 1 && p->hosts_given ? 1 : out->nodes;
        dq_hosts_free(&out->hosts);
    } else if (nodes < 0) {
        dq_say_die(DQ_STATUS_FAULT, "%s", why);
    } else {
        out->nodes = nodes;
        /* what leaves the machine arrives as it was sent, or the run ends */
        if (out->hosts.count > 1 && out->config.protect == DQ_PROTECT_NONE) {
            out->config.protect = DQ_PROTECT_INTEGRITY;
        }
    }
}

/* Before the working directory changes. */
static void make_absolute(const char **path)
{
    if (*path) {
        *path = g_canonicalize_filename(*path, NULL);
    }
}

static void check_transport(const struct dq_options *out)
{
    if (out->config.transport == DQ_CARRIER_RDMA && out->config.protect == DQ_PROTECT_ENCRYPT) {
        dq_say_die(DQ_STATUS_FAULT, "--encrypt: what goes over RDMA cannot be encrypted; use "
                                    "--transport tcp");
    }
}

static bool names_libraries(char *const *emulator)
{
    for (; *emulator; emulator++) {
        if (strcmp(*emulator, "-L") == 0 || strcmp(*emulator, "--L") == 0) {
            return true;
        }
    }
    return g_getenv("QEMU_LD_PREFIX") != NULL;
}

/* What does not go together with --root, or not without it. */
static void check_root(const struct dq_options *out)
{
    if (!out->root && out->volumes->from) {
        dq_say_die(DQ_STATUS_FAULT, "--volume is for a run with a root of its own; give one with "
                                    "--root");
    }
    if (out->root && names_libraries(out->emulator)) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--root and -L (or QEMU_LD_PREFIX): libraries come from the root; "
                   "use one of them");
    }
}

static void check_program(const struct dq_options *out)
{
    if (out->check) {
        return;
    }
    if (!out->program && !out->emulator_help) {
        dq_say_die(DQ_STATUS_FAULT, "no PROGRAM given; see dqemu-launch --help");
    }
    if (out->program && out->program[0][0] == '\0') {
        dq_say_die(DQ_STATUS_NOT_FOUND, "PROGRAM is an empty name; give the path of a program");
    }
}

void dq_options_read(struct dq_options *options, int argc, char **argv)
{
    struct parser p = {.out = options,
                       .emulator = g_ptr_array_new(),
                       .emulator_slave = g_ptr_array_new(),
                       .exports = g_ptr_array_new(),
                       .volumes = g_array_new(TRUE, TRUE, sizeof(struct dq_volume))};

    *options = (struct dq_options){.root_fd = -1};
    dq_config_init(&options->config);
#define X(id, letter, word, argument, env, standard, help)                                         \
    if (standard) {                                                                                \
        set_option(&p, OPTION_##id, "--" word, standard);                                          \
    }
#include "deploy/options.inc"
#undef X
    p.nodes_given = false;
    p.children = g_ptr_array_new();
    g_ptr_array_add(p.children, g_file_read_link("/proc/self/exe", NULL));
    parse_environment(&p);
    parse_words(&p, argc, argv);
    check_program(options);
    check_transport(options);
    set_host_nodes(&p);
    set_addresses(&p);
    set_ports(&p);
    g_ptr_array_add(p.emulator, NULL);
    g_ptr_array_add(p.emulator_slave, NULL);
    options->emulator = (char **)g_ptr_array_free(p.emulator, FALSE);
    options->emulator_slave = (char **)g_ptr_array_free(p.emulator_slave, FALSE);
    g_ptr_array_add(p.exports, NULL);
    options->exports = (char **)g_ptr_array_free(p.exports, FALSE);
    g_ptr_array_add(p.children, NULL);
    char **children = (char **)g_ptr_array_free(p.children, FALSE);
    options->children = p.cluster_children ? children : NULL;
    options->volumes = (struct dq_volume *)(void *)g_array_free(p.volumes, FALSE);
    check_root(options);
    make_absolute(&options->root);
    make_absolute(&options->log_dir);
    if (options->wdir) {
        make_absolute(&options->stats_file);
    }
}
