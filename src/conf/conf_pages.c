/* SPDX-License-Identifier: BSD-2-Clause */
/* The error pages of an http service or of a route: which files replace which of the pages that are built in.
 * The files are read by who serves them; here they are only looked at. */
#include "conf/conf_inner.h"

#include <limits.h>

enum {
    PAGES_MAX = 200,            /* of one list: as many as there are statuses */
    STATUSES_MAX = 200
};

/* ---- status: one number or many ---- */

static bool status_read(struct conf_reader *r, const struct conf_setting *s, const config_setting_t *node,
                        unsigned *status)
{
    long long value = config_setting_get_int64(node);
    int type = config_setting_type(node);

    if ((type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) || value < (long long)s->min ||
        value > (long long)s->max) {
        conf_gripe_value(r, node, NULL, "a status from %u to %u", (unsigned)s->min, (unsigned)s->max);
        return false;
    }
    *status = (unsigned)value;
    return true;
}

static void statuses_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_error_page *page = base;
    bool one = config_setting_is_scalar(node);
    int n = one ? 1 : config_setting_length(node);

    if (config_setting_is_group(node) || n == 0 || n > STATUSES_MAX) {
        conf_gripe_value(r, node, NULL, "a status such as 404, or from 1 to %d of them [ 500, 502 ]", STATUSES_MAX);
        return;
    }
    page->statuses = conf_memory_get(r->memory, (size_t)n * sizeof(*page->statuses));
    for (int i = 0; i < n && page->statuses != NULL; i++)
        page->status_count += status_read(r, s, one ? node : config_setting_get_elem(node, (unsigned)i),
                                          &page->statuses[page->status_count]);
}

static void statuses_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_error_page *page = base;

    conf_print_key(p, s->key);
    fputs("[ ", p->to);
    for (unsigned i = 0; i < page->status_count; i++)
        fprintf(p->to, "%s%u", i == 0 ? "" : ", ", page->statuses[i]);
    fputs(" ];\n", p->to);
}

/* ---- the list ---- */

static bool page_is_for(const struct conf_error_page *page, unsigned status)
{
    for (unsigned i = 0; i < page->status_count; i++)
        if (page->statuses[i] == status)
            return true;
    return false;
}

/* No status has two pages: which would be it? */
static void page_compare(struct conf_reader *r, const struct conf_error_pages *pages,
                         const struct conf_error_page *page, const config_setting_t *node)
{
    char seen[CONF_PLACE_SIZE];

    for (const struct conf_error_page *other = pages->v; other < page; other++)
        for (unsigned i = 0; i < page->status_count; i++)
            if (page_is_for(other, page->statuses[i])) {
                conf_gripe(r, config_setting_get_member(node, "status"), NULL,
                           "%u is taken: the page in %s is for it too", page->statuses[i],
                           conf_place_seen(&page->place, &other->place, seen));
                return;
            }
}

static void page_add(struct conf_reader *r, struct conf_error_pages *pages, config_setting_t *node)
{
    struct conf_error_page *page = &pages->v[pages->count];

    if (!config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a page { status = 404; file = \"/srv/errors/404.html\"; }");
        return;
    }
    pages->count++;
    page->place = conf_node_origin(node)->place;
    conf_group_read(r, conf_error_page_settings, node, page);
    page_compare(r, pages, page, node);
}

static void error_pages_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_error_pages *pages = conf_field(base, s->offset);
    int n = config_setting_length(node);

    if (config_setting_is_scalar(node) || config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a list of pages ( { status = 404; file = \"/srv/errors/404.html\"; } )");
        return;
    }
    if (n > PAGES_MAX) {
        conf_gripe(r, node, NULL, "has %d pages; %d are allowed", n, PAGES_MAX);
        return;
    }
    pages->v = conf_memory_get(r->memory, (size_t)n * sizeof(*pages->v));
    for (int i = 0; i < n && pages->v != NULL; i++)
        page_add(r, pages, config_setting_get_elem(node, (unsigned)i));
}

static void error_pages_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_error_pages *pages = conf_field_const(base, s->offset);

    if (pages->count > 0) {
        conf_list_print(p, s->key, conf_error_page_settings,
                        &(struct conf_list){ pages->v, pages->count, sizeof(*pages->v) });
        return;
    }
    conf_print_key(p, s->key);
    fputs("( );\n", p->to);
}

const struct conf_kind conf_kind_statuses = { statuses_read, NULL, statuses_print };
const struct conf_kind conf_kind_error_pages = { error_pages_read, NULL, error_pages_print };
