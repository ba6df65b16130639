/*
 * The pages that were asked for most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/pages.h"

#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/root.h"
#include "deploy/symbols.h"
#include "proto/wire.h"

#define ANONYMOUS "anonymous memory"

/* ---- what lies where */

struct area {
    uint64_t start, end, offset;
    const char *name;
};

static GArray *areas_of(const struct dq_member *master)
{
    GArray *areas = g_array_new(FALSE, FALSE, sizeof(struct area));

    for (size_t i = 0; i < json_array_size(master->memory); i++) {
        const json_t *a = json_array_get(master->memory, i);
        struct area area = {
            .start = (uint64_t)json_integer_value(json_array_get(a, 0)),
            .end = (uint64_t)json_integer_value(json_array_get(a, 1)),
            .offset = (uint64_t)json_integer_value(json_array_get(a, 2)),
            .name = json_string_value(json_array_get(a, 3)),
        };
        if (area.name) {
            g_array_append_val(areas, area);
        }
    }
    return areas;
}

/* The files that are mapped from their beginning: programs and libraries are. */
static GArray *images_of(const GArray *areas, const struct dq_root *root)
{
    GArray *images = g_array_new(FALSE, FALSE, sizeof(struct dq_image));

    for (guint i = 0; i < areas->len; i++) {
        const struct area *a = &g_array_index(areas, struct area, i);
        struct dq_image image = {a->name, -1, a->start};

        if (a->name[0] == '/' && a->offset == 0) {
            image.fd = root ? dq_root_open(root, a->name) : -1;
            if (root && image.fd < 0) {
                continue;
            }
            g_array_append_val(images, image);
        }
    }
    return images;
}

static char *name_area(const GArray *areas, uint64_t address)
{
    for (guint i = 0; i < areas->len; i++) {
        const struct area *a = &g_array_index(areas, struct area, i);

        if (address >= a->start && address < a->end) {
            return a->name[0] == '/' ? g_strdup_printf("%s at 0x%" G_GINT64_MODIFIER "x", a->name,
                                                       address - a->start + a->offset)
                                     : g_strdup(a->name);
        }
    }
    return g_strdup(ANONYMOUS);
}

static void name_pages(const struct dq_cluster *run, struct dq_page_report *pages, unsigned count)
{
    GArray *areas = areas_of(&run->members[0]), *images = images_of(areas, run->launch->root);
    struct dq_symbols *symbols =
        dq_symbols_open((const struct dq_image *)(const void *)images->data, images->len);

    for (unsigned i = 0; i < count; i++) {
        uint64_t address = pages[i].address;
        char *what = dq_symbols_between(symbols, address, address + DQ_PAGE_SIZE);

        if (!what) {
            what = name_area(areas, address);
        }
        pages[i].what = g_utf8_make_valid(what, -1); /* names are bytes, JSON's are not */
        g_free(what);
    }
    dq_symbols_close(symbols);
    g_array_free(images, TRUE);
    g_array_free(areas, TRUE);
}

/* ---- which */

static uint64_t set_of(const json_t *list)
{
    uint64_t set = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t node = json_integer_value(json_array_get(list, i));

        if (node >= 0 && node < DQ_MAX_NODES) {
            set |= UINT64_C(1) << node;
        }
    }
    return set;
}

static int by_count(const void *a, const void *b)
{
    const struct dq_page_report *x = a, *y = b;

    if (x->asked != y->asked) {
        return x->asked > y->asked ? -1 : 1;
    }
    return x->address < y->address ? -1 : x->address > y->address;
}

/* A split page has two homes that tell of it: its own, and that of its parts. */
static void add_page(GArray *all, const struct dq_page_report *page)
{
    for (guint i = 0; i < all->len; i++) {
        struct dq_page_report *p = &g_array_index(all, struct dq_page_report, i);

        if (p->address == page->address) {
            p->home = page->asked > p->asked ? page->home : p->home;
            p->asked += page->asked;
            p->writes += page->writes;
            p->nodes |= page->nodes;
            p->split |= page->split;
            return;
        }
    }
    g_array_append_vals(all, page, 1);
}

unsigned dq_pages_collect(const struct dq_cluster *run,
                          struct dq_page_report pages[DQ_CONTROL_PAGES])
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(struct dq_page_report));
    unsigned count;

    for (int n = 0; n < run->nodes; n++) {
        const json_t *list = run->members[n].pages;

        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *p = json_array_get(list, i);
            struct dq_page_report page = {
                .address = (uint64_t)json_integer_value(json_object_get(p, "page")) << DQ_PAGE_BITS,
                .asked = (uint64_t)json_integer_value(json_object_get(p, "asked")),
                .writes = (uint64_t)json_integer_value(json_object_get(p, "writes")),
                .nodes = set_of(json_object_get(p, "nodes")),
                .home = n,
                .split = json_is_true(json_object_get(p, "split")),
            };
            add_page(all, &page);
        }
    }
    g_array_sort(all, by_count);
    count = MIN(all->len, DQ_CONTROL_PAGES);
    if (count) {
        memcpy(pages, all->data, count * sizeof(*pages));
    }
    g_array_free(all, TRUE);
    name_pages(run, pages, count);
    return count;
}

void dq_pages_free(struct dq_page_report *pages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_free(pages[i].what);
    }
}
