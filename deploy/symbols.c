/*
 * Symbols of guest memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/symbols.h"

#include <elfutils/libdwfl.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define NAMES 3u /* that are shown */

/* Symbols are enough, and those are in the file itself: nothing is looked for elsewhere. */
static int no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                        const char *file, const char *link, GElf_Word crc, char **found)
{
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc;
    *found = NULL;
    return -1;
}

static int no_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **file,
                  Elf **elf)
{
    (void)module, (void)data, (void)name, (void)base;
    *file = NULL;
    *elf = NULL;
    return -1;
}

static const Dwfl_Callbacks callbacks = {
    .find_elf = no_elf,
    .find_debuginfo = no_debuginfo,
    .section_address = dwfl_offline_section_address,
};

struct range {
    uint64_t start, end;
};

static bool lies_in(const GElf_Sym *symbol, const struct range *r)
{
    int type = GELF_ST_TYPE(symbol->st_info);

    return (type == STT_OBJECT || type == STT_FUNC) && symbol->st_shndx != SHN_UNDEF &&
           symbol->st_value < r->end && symbol->st_value + MAX(symbol->st_size, 1) > r->start;
}

struct found {
    GElf_Sym symbol;
    const char *name;
};

/* By address; what has several names, by the global one first. */
static int by_address(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->symbol.st_value != y->symbol.st_value) {
        return x->symbol.st_value < y->symbol.st_value ? -1 : 1;
    }
    return GELF_ST_BIND(y->symbol.st_info) - GELF_ST_BIND(x->symbol.st_info);
}

static GArray *find_all(Dwfl_Module *module, const struct range *r)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(struct found));
    int n = dwfl_module_getsymtab(module);

    for (int i = 1; i < n; i++) {
        struct found f;

        f.name = dwfl_module_getsym(module, i, &f.symbol, NULL);
        if (f.name && *f.name && lies_in(&f.symbol, r)) {
            g_array_append_val(all, f);
        }
    }
    g_array_sort(all, by_address);
    for (guint i = 1; i < all->len;) {
        if (g_array_index(all, struct found, i).symbol.st_value ==
            g_array_index(all, struct found, i - 1).symbol.st_value) {
            g_array_remove_index(all, i);
        } else {
            i++;
        }
    }
    return all;
}

static uint64_t share(const GElf_Sym *symbol, const struct range *r)
{
    return MIN(symbol->st_value + symbol->st_size, r->end) - MAX(symbol->st_value, r->start);
}

/* What takes most of the range comes first. */
static int by_share(const void *a, const void *b, void *range)
{
    const struct found *x = a, *y = b;
    uint64_t left = share(&x->symbol, range), right = share(&y->symbol, range);

    return left != right ? (left > right ? -1 : 1) : by_address(a, b);
}

static char *describe(Dwfl_Module *module, const char *path, struct range *r)
{
    GArray *all = find_all(module, r);
    GString *text = g_string_new(NULL);
    char *file = g_path_get_basename(path);

    g_array_sort_with_data(all, by_share, r);
    for (guint i = 0; i < all->len && i < NAMES; i++) {
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               g_array_index(all, struct found, i).name);
    }
    if (all->len > NAMES) {
        g_string_append_printf(text, " and %u more", all->len - NAMES);
    }
    if (all->len) {
        g_string_append_printf(text, " (%s)", file);
    }
    g_free(file);
    g_array_free(all, TRUE);
    return g_string_free(text, text->len == 0); /* NULL if there is none */
}

struct dq_symbols {
    Dwfl *dwfl;
    unsigned count;
    Dwfl_Module *modules[]; /* NULL: cannot be read */
};

struct dq_symbols *dq_symbols_open(const struct dq_image *images, unsigned count)
{
    struct dq_symbols *s = g_malloc0(sizeof(*s) + count * sizeof(s->modules[0]));

    s->dwfl = dwfl_begin(&callbacks);
    if (!s->dwfl) {
        return s;
    }
    s->count = count;
    dwfl_report_begin(s->dwfl);
    for (unsigned i = 0; i < count; i++) {
        /* the base is heeded for position-independent files, others lie where they say */
        s->modules[i] = dwfl_report_elf(s->dwfl, images[i].path, images[i].path, images[i].fd,
                                        images[i].base, false);
    }
    dwfl_report_end(s->dwfl, NULL, NULL);
    return s;
}

char *dq_symbols_between(const struct dq_symbols *s, uint64_t start, uint64_t end)
{
    struct range r = {start, end};
    char *text = NULL;

    for (unsigned i = 0; i < s->count && !text; i++) {
        Dwfl_Module *m = s->modules[i];
        Dwarf_Addr first, last;
        const char *path =
            m ? dwfl_module_info(m, NULL, &first, &last, NULL, NULL, NULL, NULL) : NULL;

        if (path && first < end && last > start) {
            text = describe(m, path, &r);
        }
    }
    return text;
}

void dq_symbols_close(struct dq_symbols *s)
{
    dwfl_end(s->dwfl);
    g_free(s);
}
