/* SPDX-License-Identifier: BSD-2-Clause */
/* Composition: the one place that knows the settings of all protocols and how each is made of the
 * configuration.  Owns what it makes: sites, roots, the table of media types. */
#include "daemon/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/file.h"
#include "core/proxy.h"
#include "daemon/ledger.h"
#include "daemon/listen.h"
#include "daemon/live.h"
#include "daemon/pages.h"
#include "daemon/rules.h"
#include "daemon/text_file.h"
#include "proto/http.h"
#include "proto/tiny.h"
#include "proto/tiny_udp.h"

enum { MIME_FILE_MAX = 4 << 20 };       /* bytes: fifty times what Debian's table has */

/* What one service owns. */
struct service_parts {
    struct http_route_spec *routes;     /* HTTP, as are: */
    struct root           **roots;      /* by route; NULL where a route has none */
    struct page_set       **pages;      /* by route; NULL where a route has no more than the service */
    struct page_set        *all_pages;  /* of the service */
    unsigned                route_count;
    struct http_site       *site;
    struct tiny_settings    tiny;       /* the others */
    struct proxy_rules     *rules;      /* by listener, as are: */
    struct service         *faces;      /* the service as its listeners have it */
    unsigned                face_count;
};

struct service_set {
    struct service       *v;
    struct service_parts *parts;
    unsigned              count;
    struct mime          *mime;
    bool                 *notes;        /* by service and route; NULL: none */
    struct http_live      live;
    unsigned              watchers;     /* counted by `live` */
};

const struct proto *service_proto(enum conf_protocol protocol)
{
    switch (protocol) {
    case CONF_STATUS:
    case CONF_HTTP:    return &proto_http;
    case CONF_GREET:   return &proto_greet;
    case CONF_ECHO:    return &proto_echo;
    case CONF_DISCARD: return &proto_discard;
    case CONF_CHARGEN: return &proto_chargen;
    case CONF_DAYTIME: return &proto_daytime;
    case CONF_TIME:    return &proto_time;
    }
    abort();                            /* the configuration has no other */
}

const struct datagram_proto *service_datagram(enum conf_protocol protocol)
{
    switch (protocol) {
    case CONF_ECHO:    return &udp_echo;
    case CONF_DISCARD: return &udp_discard;
    case CONF_CHARGEN: return &udp_chargen;
    case CONF_DAYTIME: return &udp_daytime;
    case CONF_TIME:    return &udp_time;
    default:           return NULL;
    }
}

/* One table for all services; NULL after logging. */
static struct mime *compose_mime(const struct conf *c)
{
    struct text_file text = { 0 };
    char place[CONF_PLACE_SIZE];
    struct mime *mime;

    if (c->mime_types == NULL) {
        mime = mime_new(span_of(mime_builtin));
    } else if (text_file_read(&text, c->mime_types, MIME_FILE_MAX) == 0) {
        mime = mime_new((struct span){ text.bytes, text.size });
        text_file_free(&text);
    } else {
        log_errno(LOG_ERROR, NULL, "%smime_types: cannot read %s", conf_place_text(&c->mime_types_place, place),
                  c->mime_types);
        return NULL;
    }
    if (mime == NULL)
        log_errno(LOG_ERROR, NULL, "mime_types: cannot make the table");
    return mime;
}

/* Routes of the services before this one. */
static unsigned routes_before(const struct conf *c, unsigned service)
{
    unsigned n = 0;

    for (unsigned i = 0; i < service; i++)
        n += c->services[i].route_count;
    return n;
}

size_t service_notes_size(const struct conf *c)
{
    return (routes_before(c, c->service_count) + 1) * sizeof(bool);
}

/* NULL after logging. */
static struct root *compose_root(const struct conf_service *s, unsigned route)
{
    const struct conf_route *r = &s->routes[route];
    bool alias = r->kind == CONF_ROUTE_ALIAS;
    const char *folder = alias ? r->alias : r->root;
    struct root *root = root_open(folder);
    char place[CONF_PLACE_SIZE];

    if (root == NULL)
        log_errno(LOG_ERROR, &(struct log_about){ .service = s->name },
                  "%sservices.%s.routes.[%u].%s: cannot open %s",
                  conf_place_text(alias ? &r->alias_place : &r->root_place, place), s->name, route,
                  alias ? "alias" : "root", folder);
    return root;
}

static enum http_route_kind compose_kind(enum conf_route_kind kind)
{
    switch (kind) {
    case CONF_ROUTE_ROOT:
    case CONF_ROUTE_ALIAS:    return HTTP_ROUTE_ROOT;
    case CONF_ROUTE_RESPOND:  return HTTP_ROUTE_RESPOND;
    case CONF_ROUTE_REDIRECT: return HTTP_ROUTE_REDIRECT;
    case CONF_ROUTE_STATUS:   return HTTP_ROUTE_STATUS;
    case CONF_ROUTE_LIVE:     return HTTP_ROUTE_LIVE;
    }
    abort();
}

static enum http_autoindex compose_autoindex(enum conf_autoindex autoindex)
{
    switch (autoindex) {
    case CONF_AUTOINDEX_OFF:  return HTTP_AUTOINDEX_OFF;
    case CONF_AUTOINDEX_ON:   return HTTP_AUTOINDEX_ON;
    case CONF_AUTOINDEX_HTML: return HTTP_AUTOINDEX_HTML;
    case CONF_AUTOINDEX_JSON: return HTTP_AUTOINDEX_JSON;
    }
    abort();
}

static enum http_coding compose_coding(enum conf_coding coding)
{
    switch (coding) {
    case CONF_CODING_BR:   return HTTP_CODING_BR;
    case CONF_CODING_ZSTD: return HTTP_CODING_ZSTD;
    case CONF_CODING_GZIP: return HTTP_CODING_GZIP;
    case CONF_CODINGS:     break;
    }
    abort();
}

static struct http_route_spec compose_route(const struct conf_route *r, struct root *root)
{
    struct http_route_spec spec = {
        .path = r->path, .hosts = r->hosts.v, .host_count = r->hosts.count, .kind = compose_kind(r->kind),
        .root = root, .alias = r->kind == CONF_ROUTE_ALIAS, .index = r->index, .index_count = r->index_count,
        .try = r->try, .try_count = r->try_count, .autoindex = compose_autoindex(r->autoindex),
        .dotfiles = r->dotfiles,
        .status = r->status, .type = r->type, .body = { r->body, r->body_size }, .to = r->to
    };
    for (unsigned i = 0; i < r->precompressed_count; i++)
        spec.codings[spec.coding_count++] = compose_coding(r->precompressed[i]);
    return spec;
}

/* A client of such a socket who says nothing is accepted that late. */
static unsigned listen_held_ms(const struct conf_service *s, const struct conf_listen *l)
{
    bool client_first = service_proto(s->protocol)->peer_speaks_first || l->proxy.on;

    return client_first && !l->datagram && l->address.ss_family != AF_UNIX ? 1000 * LISTEN_DEFER_S : 0;
}

/* The pages of a route are its own and, where it has none, those of the service. */
static int compose_pages(struct service_parts *p, const struct conf_service *s, unsigned route,
                         const struct mime *mime)
{
    char path[CONF_PLACE_SIZE];

    p->routes[route].pages = page_set_all(p->all_pages);
    if (s->routes[route].error_pages.count == 0)
        return 0;
    snprintf(path, sizeof path, "services.%s.routes.[%u]", s->name, route);
    p->pages[route] = page_set_new(&s->routes[route].error_pages, p->all_pages, mime, path);
    if (p->pages[route] == NULL)
        return -1;
    p->routes[route].pages = page_set_all(p->pages[route]);
    return 0;
}

static int compose_service_pages(struct service_parts *p, const struct conf_service *s, const struct mime *mime)
{
    char path[CONF_PLACE_SIZE];

    snprintf(path, sizeof path, "services.%s", s->name);
    p->all_pages = page_set_new(&s->error_pages, NULL, mime, path);
    return p->all_pages != NULL ? 0 : -1;
}

/* Every root and page that cannot be opened is told, not only the first. */
static int compose_routes(const struct service_set *set, struct service_parts *p, const struct conf_service *s, bool *notes)
{
    const struct mime *mime = set->mime;
    int rc = 0;

    p->routes = calloc(s->route_count + 1, sizeof *p->routes);
    p->roots = calloc(s->route_count + 1, sizeof(struct root *));
    p->pages = calloc(s->route_count + 1, sizeof(struct page_set *));
    if (p->routes == NULL || p->roots == NULL || p->pages == NULL)
        return log_errno(LOG_ERROR, NULL, "services.%s: cannot hold its routes", s->name);
    p->route_count = s->route_count;
    if (compose_service_pages(p, s, mime) == -1)
        return -1;
    for (unsigned i = 0; i < s->route_count; i++) {
        if (s->routes[i].kind == CONF_ROUTE_ROOT || s->routes[i].kind == CONF_ROUTE_ALIAS) {
            p->roots[i] = compose_root(s, i);
            if (p->roots[i] == NULL)
                rc = -1;
            else
                root_direct(p->roots[i], s->routes[i].direct_io, notes != NULL ? &notes[i] : NULL);
        }
        p->routes[i] = compose_route(&s->routes[i], p->roots[i]);
        p->routes[i].live = s->routes[i].kind == CONF_ROUTE_LIVE ? &set->live : NULL;
        rc |= compose_pages(p, s, i, mime);
        if (rules_fill(&p->routes[i], s, &s->routes[i]) == -1)
            rc = log_errno(LOG_ERROR, NULL, "services.%s.routes.[%u]: cannot hold its rules", s->name, i);
    }
    return rc;
}

static struct http_limits compose_limits(const struct conf *c)
{
    return (struct http_limits){
        .request_line = c->limits.request_line, .header_bytes = c->limits.header_bytes,
        .header_count = c->limits.header_count, .requests = c->limits.requests,
        .body_bytes = c->limits.body_bytes, .body_rate = c->limits.body_rate, .header_ms = c->timeouts.header_ms,
        .body_ms = c->timeouts.body_ms, .idle_ms = c->timeouts.idle_ms
    };
}

/* All that a service with the protocol status has. */
static const struct conf_route status_route = { .path = "/", .kind = CONF_ROUTE_LIVE, .expires_s = CONF_EXPIRES_UNSET };

static int compose_http(struct service_set *set, unsigned at, const struct conf *c)
{
    const struct conf_service *s = &c->services[at];
    struct conf_service alone = *s;
    struct service_parts *p = &set->parts[at];
    struct http_limits limits = compose_limits(c);
    bool *notes = set->notes != NULL ? set->notes + routes_before(c, at) : NULL;

    if (s->protocol == CONF_STATUS) {
        alone.routes = (struct conf_route *)(uintptr_t)&status_route;
        alone.route_count = 1;
        s = &alone;
    }
    if (compose_routes(set, p, s, notes) == -1)
        return -1;
    p->site = http_site_new(s->name, p->routes, p->route_count, &limits, set->mime);
    if (p->site == NULL)
        return log_errno(LOG_ERROR, NULL, "services.%s: cannot make the service", s->name);
    http_site_pages(p->site, page_set_all(p->all_pages));
    set->v[at].settings = p->site;
    set->v[at].message_max = http_message_max(&limits);
    return 0;
}

static int compose_tiny(struct service_set *set, unsigned at, const struct conf *c)
{
    struct tiny_settings *tiny = &set->parts[at].tiny;

    tiny->greeting = span_of(c->services[at].greeting);
    tiny->idle_ms = c->timeouts.idle_ms;
    set->v[at].settings = tiny;
    set->v[at].message_max = TINY_MESSAGE_MAX;
    return 0;
}

/* A copy of the service for each of its listeners, which may differ in how clients come to it. */
static int compose_faces(struct service_set *set, unsigned at, const struct conf *c)
{
    const struct conf_service *s = &c->services[at];
    struct service_parts *p = &set->parts[at];

    p->rules = calloc(s->listen_count + 1, sizeof *p->rules);
    p->faces = calloc(s->listen_count + 1, sizeof *p->faces);
    if (p->rules == NULL || p->faces == NULL)
        return log_errno(LOG_ERROR, NULL, "services.%s: cannot hold its listeners", s->name);
    p->face_count = s->listen_count;
    for (unsigned i = 0; i < s->listen_count; i++) {
        const struct conf_proxy *proxy = &s->listens[i].proxy;

        p->rules[i] = (struct proxy_rules){ .trusted = proxy->trusted.v, .trusted_count = proxy->trusted.count,
                                            .header_ms = c->timeouts.header_ms };
        p->faces[i] = set->v[at];
        p->faces[i].held_ms = listen_held_ms(s, &s->listens[i]);
        p->faces[i].proxy = proxy->on ? &p->rules[i] : NULL;
    }
    return 0;
}

static int compose_service(struct service_set *set, unsigned at, const struct conf *c)
{
    const struct conf_service *s = &c->services[at];
    int rc;

    set->v[at].name = s->name;
    set->v[at].proto = service_proto(s->protocol);
    set->v[at].datagram = service_datagram(s->protocol);
    set->v[at].send_timeout_ms = c->timeouts.send_ms;
    rc = s->protocol == CONF_HTTP || s->protocol == CONF_STATUS ? compose_http(set, at, c) : compose_tiny(set, at, c);
    return rc == 0 ? compose_faces(set, at, c) : rc;
}

static struct service_set *service_set_alloc(unsigned count)
{
    struct service_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        return NULL;
    set->v = calloc(count + 1, sizeof *set->v);
    set->parts = calloc(count + 1, sizeof *set->parts);
    if (set->v != NULL && set->parts != NULL) {
        set->count = count;
        return set;
    }
    service_set_free(set);
    return NULL;
}

struct service_set *service_set_new(const struct conf *c, const struct conf_pool *pool, bool *notes,
                                    const struct ledger *ledger)
{
    struct service_set *set = service_set_alloc(c->service_count);
    int failed = 0;

    if (set == NULL) {
        log_errno(LOG_ERROR, NULL, "services: cannot hold them");
        return NULL;
    }
    set->notes = notes;
    set->live = live_of(ledger, &set->watchers);
    set->mime = compose_mime(c);
    if (set->mime == NULL)
        failed = -1;
    for (unsigned i = 0; set->mime != NULL && i < set->count; i++) {
        if (conf_pool_serves(pool, &c->services[i]))
            failed |= compose_service(set, i, c);
    }
    if (failed == 0)
        return set;
    service_set_free(set);
    return NULL;
}

const struct service *service_at(const struct service_set *s, unsigned index, unsigned listen)
{
    return &s->parts[index].faces[listen];
}

const struct service *service_find(const struct service_set *s, struct span name, struct span protocol)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct service *one = s->parts[i].faces;

        if (one != NULL && one->proto != NULL && span_equal(name, span_of(one->name)) &&
            span_equal(protocol, span_of(one->proto->name)))
            return one;
    }
    return NULL;
}

void service_count_in(struct service_set *s, const struct ledger *ledger, int slot)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct service_parts *p = &s->parts[i];

        for (unsigned j = 0; j < p->face_count; j++)
            p->faces[j].part = ledger_part(ledger, slot, p->faces[j].name);
    }
}

unsigned service_folders(const struct service_set *s, int *folders, unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->count; i++) {
        const struct service_parts *p = &s->parts[i];

        for (unsigned j = 0; j < p->route_count; j++) {
            if (p->roots[j] != NULL && n < max)
                folders[n] = root_descriptor(p->roots[j]);
            n += p->roots[j] != NULL;
        }
    }
    return n;
}

static void service_parts_free(struct service_parts *p)
{
    http_site_free(p->site);
    for (unsigned i = 0; i < p->route_count; i++) {
        root_close(p->roots[i]);
        rules_release(&p->routes[i]);
        page_set_free(p->pages[i]);
    }
    page_set_free(p->all_pages);
    free(p->pages);
    free(p->roots);
    free(p->routes);
    free(p->faces);
    free(p->rules);
}

void service_set_free(struct service_set *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->count; i++)
        service_parts_free(&s->parts[i]);
    mime_free(s->mime);
    free(s->parts);
    free(s->v);
    free(s);
}
