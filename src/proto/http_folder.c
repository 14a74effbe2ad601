/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder without an index file, listed: read and written down by a helper (core/errand.h), because a disk may take its
 * time, and sent when it is back.  A list holds for one moment only: Cache-Control says that it must be asked for
 * again.  Whatever the route says itself comes in place of what is said here. */
#include "proto/http_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "core/catalog.h"

enum { ENTRIES_MAX = 10000 };       /* of one list */

struct folder_errand {
    struct http_errand       http;
    const struct http_route *route;
    struct span              path;      /* of the request, decoded; in `text` */
    struct span              name;      /* beneath the root, NUL-terminated; behind it */
    bool                     json;
    bool                     parent;    /* there is something above that the route answers */
    bool                     cut;       /* it has more entries than are shown */
    struct file             *list;      /* NULL: `error` says why */
    int                      error;
    char                     text[];
};

static struct folder_errand *folder_errand_of(struct errand *e)
{
    return (struct folder_errand *)(void *)e;
}

static void folder_work(struct errand *errand)
{
    struct folder_errand *e = folder_errand_of(errand);
    struct catalog *c = catalog_read(e->route->root, e->name.p, ENTRIES_MAX, e->route->dotfiles);
    if (c == NULL) {
        e->error = errno;
        return;
    }
    http_listing_sort(c);
    e->list = e->json ? http_listing_json(c, &e->cut) : http_listing_html(c, e->path, e->parent, &e->cut);
    e->error = ENOMEM;
    catalog_free(c);
}

static void folder_errand_free(struct errand *errand)
{
    struct folder_errand *e = folder_errand_of(errand);
    file_unref(e->list);
    free(e);
}

#define NO_CACHE "Cache-Control: no-cache\r\n"
#define TYPE_OPTIONS "X-Content-Type-Options: nosniff\r\n"
#define PAGE_POLICY \
    "Content-Security-Policy: default-src 'none'; style-src 'sha256-UY5dwvIO4YVpvvKiMLpPN7zySp77DpSVSrQDgNckXGY='; " \
    "base-uri 'none'; form-action 'none'\r\n"

enum { LIST_FIELDS_MAX = 640 };

/* A field line, unless the route says that. */
static char *unsaid_put(const struct http_exchange *x, char *p, unsigned bit, struct span line)
{
    return http_fields_say(x, bit) ? p : http_head_put(p, line);
}

static char *vary_put(const struct http_exchange *x, char *p)
{
    if (x->vary.n == 0)
        return p;
    p = http_head_put(p, SPAN("Vary: "));
    p = http_head_put(p, x->vary);
    return http_head_put(p, SPAN("\r\n"));
}

static void list_send(struct http_exchange *x, struct folder_errand *e)
{
    char fields[LIST_FIELDS_MAX], *p;
    struct file *list = e->list;
    e->list = NULL;
    p = http_head_put(fields, e->json ? SPAN("Content-Type: application/json\r\n")
                                      : SPAN("Content-Type: text/html; charset=utf-8\r\n"));
    p = http_head_number(p, SPAN("Content-Length: "), list->size);
    if (!e->json)
        p = unsaid_put(x, p, HTTP_SAYS_POLICY, SPAN(PAGE_POLICY));
    p = unsaid_put(x, p, HTTP_SAYS_TYPE_OPTIONS, SPAN(TYPE_OPTIONS));
    p = unsaid_put(x, p, HTTP_SAYS_CACHE, SPAN(NO_CACHE));
    if (e->cut && e->json)
        p = http_head_put(p, SPAN("X-Truncated: true\r\n"));
    p = http_head_put(vary_put(x, p), SPAN("\r\n"));
    x->status = 200;
    http_content_send(x, (struct span){ fields, (size_t)(p - fields) }, list, (struct http_part){ 0, list->size });
}

/* What the route says about all its replies, and what this one depends on. */
static void folder_exchange(struct http_exchange *x, const struct http_route *route)
{
    http_exchange_adopt(x, route);
    if (route->autoindex == HTTP_AUTOINDEX_ON)
        x->vary = SPAN("Accept");
}

static void list_unmodified(struct http_exchange *x)
{
    char *p = unsaid_put(x, http_head_begin(x, 304, LIST_FIELDS_MAX), HTTP_SAYS_CACHE, SPAN(NO_CACHE));
    http_head_end(x, http_head_put(vary_put(x, p), SPAN("\r\n")));
}

static void folder_answer_list(struct http_exchange *x, struct http_errand *errand)
{
    struct folder_errand *e = folder_errand_of(&errand->errand);
    folder_exchange(x, e->route);
    if (e->list == NULL) {
        http_file_failed(x, e->route->root, e->name, e->error);
        return;
    }
    unsigned status = http_precondition_bare(x);
    if (status == 304)
        list_unmodified(x);
    else if (status != 0)
        http_reply_status(x, status);
    else
        list_send(x, e);
}

/* Is the folder beneath the route's own path? */
static bool folder_has_parent(const struct http_route *route, struct span path)
{
    size_t own = route->path.n - (route->path.p[route->path.n - 1] == '/');
    return path.n > own + 1;
}

void http_folder_list(struct http_exchange *x, const struct http_route *route, struct span path, struct span name)
{
    struct folder_errand *e = malloc(sizeof *e + path.n + name.n + 1);
    folder_exchange(x, route);
    if (e == NULL) {
        http_reply_status(x, 503);
        return;
    }
    if (name.n > 0)
        name.n--;               /* its '/' */
    *e = (struct folder_errand){ .http = { .errand = { .work = folder_work, .free = folder_errand_free },
                                           .answer = folder_answer_list },
                                 .route = route, .parent = folder_has_parent(route, path) };
    e->json = route->autoindex == HTTP_AUTOINDEX_JSON ||
              (route->autoindex == HTTP_AUTOINDEX_ON && http_accepts_json(x->request));
    char *p = http_head_put(e->text, path);
    e->path = (struct span){ e->text, path.n };
    e->name = (struct span){ p, name.n };
    *http_head_put(p, name) = '\0';
    http_defer(x, &e->http);
}
