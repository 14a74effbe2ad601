/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes of an http service: what each answers with, and that no two are the same. */
#include "conf/conf_inner.h"

#include <limits.h>
#include <string.h>

enum {
    ROUTES_MAX = 10000,         /* of a service: they are compared with each other */
    INDEX_MAX = 100
};

/* ---- index: names of files, one or many ---- */

static void index_fall_back(const struct conf_setting *s, void *base)
{
    static const char *const standard[] = { "index.html" };
    struct conf_route *route = base;

    (void)s;
    route->index = standard;
    route->index_count = 1;
}

static void index_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       void *base)
{
    struct conf_route *route = base;
    unsigned n = conf_strings_count(r, node, "the name of a file or a list of names");
    const char **names;

    if (n == UINT_MAX)
        return;
    if (n > INDEX_MAX) {
        conf_gripe(r, node, NULL, "has %u names; %d are allowed", n, INDEX_MAX);
        return;
    }
    names = conf_memory_get(r->memory, n * sizeof(*names));
    route->index = names;
    route->index_count = names == NULL ? 0 : n;
    for (unsigned i = 0; i < route->index_count; i++)
        conf_word_at(r, s, node, i, &names[i]);
}

static void index_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_route *route = base;

    conf_print_strings(p, s->key, route->index, route->index_count);
}

/* ---- redirect: "/to" or { status, to } ---- */

static void redirect_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                          void *base)
{
    if (config_setting_is_group(node)) {
        conf_group_read(r, s->members, node, base);
    } else if (conf_node_string(node) == NULL) {
        conf_gripe_value(r, node, NULL, "a path or URL, or a group { status = 302; to = \"/path\"; }");
    } else {
        conf_group_read(r, s->members, NULL, base);
        conf_kind_word.read(r, s, node, base);
    }
}

static void redirect_status_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                                 void *base)
{
    unsigned *status = conf_field(base, s->offset);
    long long value = config_setting_get_int64(node);

    if (value == 301 || value == 302 || value == 303 || value == 307 || value == 308)
        *status = (unsigned)value;
    else
        conf_gripe_value(r, node, NULL, "301, 302, 303, 307 or 308");
}

static void redirect_status_fall_back(const struct conf_setting *s, void *base)
{
    *(unsigned *)conf_field(base, s->offset) = (unsigned)s->fallback;
}

static void redirect_status_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_kind_status.print(p, s, base);
}

static void redirect_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_setting whole = { .key = s->key, .members = s->members };

    conf_kind_part.print(p, &whole, base);
}

/* ---- status: of an error, or true: the daemon's ---- */

static bool status_is_live(const config_setting_t *node)
{
    return config_setting_type(node) == CONFIG_TYPE_BOOL && config_setting_get_bool(node);
}

static void route_status_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    if (config_setting_type(node) != CONFIG_TYPE_BOOL)
        conf_kind_status.read(r, s, node, base);
    else if (!status_is_live(node))
        conf_gripe_value(r, node, NULL, "true, for the status of the daemon, or a whole number from 400 to 599");
}

static void route_status_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_route *route = base;

    if (route->kind != CONF_ROUTE_LIVE) {
        conf_kind_status.print(p, s, base);
        return;
    }
    conf_print_key(p, s->key);
    fputs("true;\n", p->to);
}

/* ---- one route ---- */

static const struct { const char *key; enum conf_route_kind kind; } answers[] = {
    { "root", CONF_ROUTE_ROOT }, { "alias", CONF_ROUTE_ALIAS }, { "respond", CONF_ROUTE_RESPOND },
    { "redirect", CONF_ROUTE_REDIRECT }, { "status", CONF_ROUTE_STATUS }
};

/* True if exactly one says what the route answers with. */
static bool answer_find(struct conf_reader *r, struct conf_route *route, const config_setting_t *node)
{
    static const char all[] = "root, alias, respond, redirect and status";
    const char *first = NULL;
    bool one = true;

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (config_setting_get_member(node, answers[i].key) == NULL)
            continue;
        if (first == NULL) {
            first = answers[i].key;
            route->kind = answers[i].kind;
            if (route->kind == CONF_ROUTE_STATUS && status_is_live(config_setting_get_member(node, "status")))
                route->kind = CONF_ROUTE_LIVE;
            continue;
        }
        conf_gripe(r, config_setting_get_member(node, answers[i].key), NULL,
                   "stands beside %s: a route has exactly one of %s", first, all);
        one = false;
    }
    if (first == NULL)
        conf_gripe(r, node, NULL, "has no answer: a route needs one of %s", all);
    return first != NULL && one;
}

/* RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5. */
static void body_check(struct conf_reader *r, const struct conf_route *route, const config_setting_t *node)
{
    bool none = route->status == 204 || route->status == 205 || route->status == 304;

    if (none && route->body_size > 0)
        conf_gripe(r, config_setting_get_member(config_setting_get_member(node, "respond"), "body"), NULL,
                   "must be empty: a reply with status %u has none", route->status);
}

static void route_read(struct conf_reader *r, struct conf_route *route, config_setting_t *node)
{
    route->place = conf_node_origin(node)->place;
    conf_group_read(r, conf_route_settings, node, route);
    route->body_size = route->body == NULL ? 0 : strlen(route->body);
    if (!answer_find(r, route, node))
        return;
    conf_group_check(r, conf_route_settings, node, route);
    conf_methods_check(r, route, node);
    if (route->kind == CONF_ROUTE_RESPOND)
        body_check(r, route, node);
}

/* Is there a host for which both answer, in the same order of preference? */
static bool host_shared(const struct conf_strings *a, const struct conf_strings *b)
{
    if (a->count == 0 || b->count == 0)
        return a->count == b->count;
    for (unsigned i = 0; i < a->count; i++)
        for (unsigned j = 0; j < b->count; j++)
            if (strcmp(a->v[i], b->v[j]) == 0)
                return true;
    return false;
}

/* The first route that answers for the same path and host, or NULL. */
static const struct conf_route *route_taken_by(const struct conf_service *service,
                                               const struct conf_route *route)
{
    for (const struct conf_route *other = service->routes; other < route; other++)
        if (route->path != NULL && other->path != NULL && strcmp(route->path, other->path) == 0 &&
            host_shared(&route->hosts, &other->hosts))
            return other;
    return NULL;
}

static void route_add(struct conf_reader *r, struct conf_service *service, config_setting_t *node)
{
    struct conf_route *route = &service->routes[service->route_count];
    const struct conf_route *before;
    char seen[CONF_PLACE_SIZE];

    if (!config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a route { path = \"/\"; ... }");
        return;
    }
    service->route_count++;
    route_read(r, route, node);
    conf_headers_check(r, &route->headers, &service->headers, node);
    conf_cache_check(r, route, &service->headers, node);
    before = route_taken_by(service, route);
    if (before != NULL)
        conf_gripe(r, config_setting_get_member(node, "path"), NULL,
                   "\"%.60s\" is taken: the route in %s has the same path and host", route->path,
                   conf_place_seen(&route->place, &before->place, seen));
}

/* ---- all routes of a service ---- */

static void routes_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    struct conf_service *service = base;
    int n = config_setting_length(node);

    (void)s;
    if (config_setting_is_scalar(node) || config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a list of routes ( { path = \"/\"; ... } )");
        return;
    }
    if (n > ROUTES_MAX) {
        conf_gripe(r, node, NULL, "has %d routes; %d are allowed", n, ROUTES_MAX);
        return;
    }
    service->routes = conf_memory_get(r->memory, (size_t)n * sizeof(*service->routes));
    for (int i = 0; i < n && service->routes != NULL; i++)
        route_add(r, service, config_setting_get_elem(node, (unsigned)i));
}

static void routes_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_service *service = base;

    conf_list_print(p, s->key, conf_route_settings,
                    &(struct conf_list){ service->routes, service->route_count, sizeof(*service->routes) });
}

const struct conf_kind conf_kind_index = { index_read, index_fall_back, index_print };
const struct conf_kind conf_kind_redirect = { redirect_read, NULL, redirect_print };
const struct conf_kind conf_kind_redirect_status = {
    redirect_status_read, redirect_status_fall_back, redirect_status_print
};
const struct conf_kind conf_kind_route_status = { route_status_read, NULL, route_status_print };
const struct conf_kind conf_kind_routes = { routes_read, NULL, routes_print };
