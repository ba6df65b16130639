/*
 * What an emulator hands to the one that takes its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/handover.h"

#include <glib.h>
#include <string.h>

/* Before the guest's variables that have the name of one of the emulator's. */
#define PREFIX DQ_HANDOVER_VARIABLE ":"

/* What the host's dynamic linker, its C library, QEMU's libraries and QEMU read. */
static const char *const own[] = {
    "LD_",         "QEMU_",    "G_",      "MALLOC_",        "GLIBC_TUNABLES=",
    "GCONV_PATH=", "LOCPATH=", "GNUTLS_", "RDMAV_",         "IBV_",
    "MLX4_",       "MLX5_",    "EVENT_",  "SSLKEYLOGFILE=", DQ_HANDOVER_VARIABLE,
};

bool dq_handover_is_own(const char *variable)
{
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        if (g_str_has_prefix(variable, own[i])) {
            return true;
        }
    }
    return false;
}

enum treatment {
    KEEP,
    DROP,     /* it was for the program that goes */
    ISA,      /* about an instruction set */
    PATH,     /* of a file or folder */
    PLUGIN,   /* PATH[,arguments] or file=PATH[,arguments] */
    LOG_FILE, /* PATH, perhaps with a %d for the process */
};

static const struct {
    const char *word, *variable;
    bool argument;
    enum treatment treatment;
} options[] = {
    {"L", "QEMU_LD_PREFIX", true, PATH},
    {"E", "QEMU_SET_ENV", true, DROP},
    {"U", "QEMU_UNSET_ENV", true, DROP},
    {"0", "QEMU_ARGV0", true, DROP},
    {"g", "QEMU_GDB", true, DROP},
    {"cpu", "QEMU_CPU", true, ISA},
    {"R", "QEMU_RESERVED_VA", true, ISA},
    {"B", "QEMU_GUEST_BASE", true, ISA},
    {"t", "QEMU_RTSIG_MAP", true, ISA},
    {"plugin", "QEMU_PLUGIN", true, PLUGIN},
    {"D", "QEMU_LOG_FILENAME", true, LOG_FILE},
    {"s", NULL, true, KEEP},
    {"r", NULL, true, KEEP},
    {"d", NULL, true, KEEP},
    {"dfilter", NULL, true, KEEP},
    {"p", NULL, true, KEEP},
    {"tb-size", NULL, true, KEEP},
    {"seed", NULL, true, KEEP},
    {"trace", NULL, true, KEEP},
    {"-", NULL, false, DROP},
};

/* Where in the table; -1: a flag that is kept. */
static int find(const char *word)
{
    word += word[0] == '-';
    if (strcmp(word, "-") != 0) {
        word += word[0] == '-'; /* two dashes are as good as one */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        if (strcmp(word, options[i].word) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static char *absolute(const char *path, const char *folder)
{
    return g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(folder, path, NULL);
}

static char *plugin(const char *value, const char *folder)
{
    const char *path = value + (g_str_has_prefix(value, "file=") ? strlen("file=") : 0);
    char *whole = absolute(path, folder), *result = g_strconcat("file=", whole, NULL);

    g_free(whole);
    return result;
}

static char *log_file(const char *path, const char *folder)
{
    char *whole = absolute(path, folder);
    char *result = g_strconcat(whole, strchr(path, '%') ? "" : ".%d", NULL);

    g_free(whole);
    return result;
}

static char *translate(const char *value, enum treatment treatment, const char *folder)
{
    switch (treatment) {
    case PATH:
        return absolute(value, folder);
    case PLUGIN:
        return plugin(value, folder);
    case LOG_FILE:
        return log_file(value, folder);
    default:
        return g_strdup(value);
    }
}

static bool is_dropped(const struct dq_handover *from, enum treatment treatment)
{
    return treatment == DROP || (treatment == ISA && !from->same_isa);
}

char **dq_handover_options(const struct dq_handover *from, char *const *words, int count)
{
    GPtrArray *all = g_ptr_array_new();

    for (int i = 0; i < count; i++) {
        const int found = find(words[i]);
        const enum treatment treatment = found < 0 ? KEEP : options[found].treatment;
        const bool argument = found >= 0 && options[found].argument;

        if (!is_dropped(from, treatment)) {
            g_ptr_array_add(all, g_strdup(words[i]));
            if (argument && i + 1 < count) {
                g_ptr_array_add(all, translate(words[i + 1], treatment, from->folder));
            }
        }
        i += argument;
    }
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

/* An option of the emulator's that is given by environment; NULL: the next one must not have it. */
static char *own_variable(const struct dq_handover *from, const char *variable)
{
    const char *value = strchr(variable, '=');

    for (size_t i = 0; value && i < G_N_ELEMENTS(options); i++) {
        const char *name = options[i].variable;
        if (!name || strlen(name) != (size_t)(value - variable) ||
            strncmp(name, variable, strlen(name)) != 0) {
            continue;
        }
        if (is_dropped(from, options[i].treatment)) {
            return NULL;
        }
        char *translated = translate(value + 1, options[i].treatment, from->folder);
        char *whole = g_strconcat(name, "=", translated, NULL);
        g_free(translated);
        return whole;
    }
    return g_strdup(variable);
}

static void add_own(const struct dq_handover *from, GPtrArray *all, char *const *environment)
{
    for (; *environment; environment++) {
        if (dq_handover_is_own(*environment) &&
            !g_str_has_prefix(*environment, DQ_HANDOVER_VARIABLE)) {
            char *variable = own_variable(from, *environment);
            if (variable) {
                g_ptr_array_add(all, variable);
            }
        }
    }
}

char **dq_handover_environ(const struct dq_handover *from, char *const *emulator,
                           char *const *guest, int fd)
{
    GPtrArray *all = g_ptr_array_new();

    add_own(from, all, emulator);
    g_ptr_array_add(all, g_strdup_printf(DQ_HANDOVER_VARIABLE "=%d:%s", fd, from->isa));
    for (; *guest; guest++) {
        g_ptr_array_add(all, dq_handover_is_own(*guest) ? g_strconcat(PREFIX, *guest, NULL)
                                                        : g_strdup(*guest));
    }
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

char **dq_handover_guest(char *const *environment)
{
    GPtrArray *all = g_ptr_array_new();

    for (; *environment; environment++) {
        if (g_str_has_prefix(*environment, PREFIX)) {
            g_ptr_array_add(all, g_strdup(*environment + strlen(PREFIX)));
        } else if (!dq_handover_is_own(*environment)) {
            g_ptr_array_add(all, g_strdup(*environment));
        }
    }
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}
