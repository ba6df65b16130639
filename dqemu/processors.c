/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/processors.h"

#include <glib.h>
#include <string.h>

#define BITS (8 * sizeof(unsigned long))

int dq_processors_count(const struct dq_config *cfg)
{
    int count = 0;

    for (int n = 0; n < cfg->nodes; n++) {
        count = MAX(count, cfg->processors[n].first + cfg->processors[n].count);
    }
    return count;
}

size_t dq_processors_words(const struct dq_config *cfg)
{
    return ((size_t)dq_processors_count(cfg) + BITS - 1) / BITS;
}

static bool has(const unsigned long *mask, size_t words, unsigned k)
{
    return k / BITS < words && (mask[k / BITS] >> (k % BITS) & 1);
}

bool dq_processors_filter(const struct dq_config *cfg, const unsigned long *mask, size_t words,
                          unsigned long *out)
{
    const unsigned count = (unsigned)dq_processors_count(cfg);
    bool any = false;

    memset(out, 0, dq_processors_words(cfg) * sizeof(*out));
    for (unsigned k = 0; k < count; k++) {
        if (has(mask, words, k)) {
            out[k / BITS] |= 1ul << (k % BITS);
            any = true;
        }
    }
    return any;
}

uint64_t dq_processors_nodes(const struct dq_config *cfg, const unsigned long *mask)
{
    const size_t words = dq_processors_words(cfg);
    uint64_t nodes = 0;

    for (int n = 0; n < cfg->nodes; n++) {
        const struct dq_processors *p = &cfg->processors[n];
        for (unsigned k = p->first; k < (unsigned)p->first + p->count; k++) {
            nodes |= has(mask, words, k) ? UINT64_C(1) << n : 0;
        }
    }
    return nodes;
}

bool dq_processors_of_node(const struct dq_config *cfg, int node, const unsigned long *mask,
                           size_t words, unsigned long *own, size_t own_words)
{
    const struct dq_processors *p = &cfg->processors[node];
    bool any = false;

    memset(own, 0, own_words * sizeof(*own));
    for (unsigned k = 0; k < p->count && k < own_words * BITS; k++) {
        if (has(mask, words, p->first + k)) {
            own[k / BITS] |= 1ul << (k % BITS);
            any = true;
        }
    }
    return any;
}

void dq_processors_shares(const struct dq_config *cfg, int share[DQ_MAX_NODES])
{
    for (int n = 0; n < cfg->nodes; n++) {
        int together = 1;
        for (int m = 0; m < cfg->nodes; m++) {
            together += m != n && cfg->processors[m].first == cfg->processors[n].first;
        }
        share[n] = MAX(cfg->processors[n].count / together, 1);
    }
}

char *dq_processors_info(const char *info, int count)
{
    GString *text = g_string_new(NULL), *rest = g_string_new(NULL);
    GPtrArray *blocks = g_ptr_array_new();
    char **all = g_strsplit(info, "\n\n", -1);

    for (char **block = all; *block; block++) {
        if (g_str_has_prefix(*block, "processor") && strchr(*block, ':')) {
            g_ptr_array_add(blocks, *block);
        } else if (**block) {
            g_string_append_printf(rest, "%s%s", *block,
                                   g_str_has_suffix(*block, "\n") ? "" : "\n");
        }
    }
    for (int k = 0; k < count && blocks->len > 0; k++) {
        const char *block = g_ptr_array_index(blocks, (guint)k % blocks->len);
        const char *colon = strchr(block, ':');
        const char *tail = colon + strcspn(colon, "\n");

        g_string_append_len(text, block, colon - block);
        g_string_append_printf(text, ": %d%s\n\n", k, tail);
    }
    g_string_append_len(text, rest->str, (gssize)rest->len);
    g_string_free(rest, TRUE);
    g_ptr_array_free(blocks, TRUE);
    g_strfreev(all);
    return g_string_free(text, FALSE);
}
