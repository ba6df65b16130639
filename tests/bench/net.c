/*
 * Network namespaces for the nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net.h"

#include <glib.h>
#include <unistd.h>

#include "run.h"

static struct {
    char *script, *name, *why;
} net;

static bool call(const char *verb, char **why)
{
    char *nodes = g_strdup_printf("%d", NET_NODES);
    char *argv[] = {net.script, (char *)verb, net.name, nodes, NET_RATE, NULL};
    struct run r = {.argv = argv, .limit_s = 60, .finish = true};
    bool good = run_command(&r, why);

    run_clear(&r);
    g_free(nodes);
    return good;
}

const char *net_open(const char *script, char **why)
{
    char *ignored = NULL;

    if (!net.script) {
        net.script = g_strdup(script);
        net.name = g_strdup_printf("dqb%d", (int)getpid());
        if (!call("up", &net.why)) {
            call("down", &ignored);
            g_free(ignored);
        }
    }
    if (net.why) {
        *why = g_strdup_printf("no network namespaces: %s", net.why);
        return NULL;
    }
    return net.name;
}

void net_close(void)
{
    char *why = NULL;

    if (net.script && !net.why && !call("down", &why)) {
        g_printerr("bench: the network namespaces %s-* are left: %s\n", net.name, why);
        g_free(why);
    }
}

char *net_addresses(int nodes)
{
    GString *list = g_string_new(NULL);

    for (int k = 0; k < nodes; k++) {
        g_string_append_printf(list, "%s10.87.0.%d", k ? "," : "", k + 1);
    }
    return g_string_free(list, FALSE);
}
