/* SPDX-License-Identifier: BSD-2-Clause */
/* The services: each by its table, then what can only be seen with all of them in view (names and
 * addresses that are taken). */
#include "conf/conf_inner.h"

#include <string.h>

enum { SERVICES_MAX = 1000, LISTENS_MAX = 1000 };   /* all are compared with all */

/* ---- what two services cannot share ---- */

static void name_compare(struct conf_reader *r, const struct conf *c, const struct conf_service *service,
                         const config_setting_t *node)
{
    for (const struct conf_service *other = c->services; other < service; other++) {
        if (service->name != NULL && other->name != NULL && strcmp(service->name, other->name) == 0) {
            conf_gripe(r, config_setting_get_member(node, "name"), NULL,
                       "\"%s\" is taken: each service has a name of its own", service->name);
            return;
        }
    }
}

/* The first listener before this one that wants its address. */
static const struct conf_listen *listen_before(const struct conf *c, const struct conf_listen *l,
                                               const struct conf_service **owner)
{
    for (*owner = c->services; *owner < c->services + c->service_count; (*owner)++)
        for (unsigned i = 0; i < (*owner)->listen_count; i++) {
            if (&(*owner)->listens[i] == l)
                return NULL;
            if (conf_listen_same(&(*owner)->listens[i], l))
                return &(*owner)->listens[i];
        }
    return NULL;
}

static void listens_compare(struct conf_reader *r, const struct conf *c, const struct conf_service *service,
                            const config_setting_t *node)
{
    const config_setting_t *listen = config_setting_get_member(node, "listen");
    const struct conf_service *owner;

    for (unsigned i = 0; i < service->listen_count; i++) {
        const struct conf_listen *before = listen_before(c, &service->listens[i], &owner);

        if (before != NULL)
            conf_gripe(r, conf_listen_at(listen, i), NULL, "\"%.60s\" is taken by service \"%s\"",
                       service->listens[i].text, owner->name == NULL ? "?" : owner->name);
    }
}

/* ---- one service ---- */

static void routes_check(struct conf_reader *r, const struct conf_service *service,
                         const config_setting_t *node)
{
    const config_setting_t *routes = config_setting_get_member(node, "routes");

    if (routes == NULL)
        conf_gripe(r, node, "routes",
                   "is missing; such as routes = ( { path = \"/\"; root = \"/srv/www\"; } )");
    else if (service->routes != NULL && config_setting_length(routes) == 0)
        conf_gripe(r, routes, NULL, "needs one route at least");
}

/* What a protocol says fits into one datagram, or it has no such form. */
static void datagrams_check(struct conf_reader *r, const struct conf_service *service,
                            const config_setting_t *node)
{
    const config_setting_t *listen = config_setting_get_member(node, "listen");

    if (service->protocol != CONF_HTTP && service->protocol != CONF_GREET && service->protocol != CONF_STATUS)
        return;
    for (unsigned i = 0; i < service->listen_count; i++) {
        if (service->listens[i].datagram)
            conf_gripe(r, conf_listen_at(listen, i), NULL,
                       "\"%.60s\": \"%s\" does not work over datagrams; echo, discard, chargen, daytime and"
                       " time do", service->listens[i].text,
                       service->protocol == CONF_HTTP ? "http" : service->protocol == CONF_GREET ? "greet" : "status");
    }
}

static void service_read(struct conf_reader *r, struct conf *c, struct conf_service *service,
                         config_setting_t *node)
{
    service->place = conf_node_origin(node)->place;
    conf_group_read(r, conf_service_settings, node, service);
    name_compare(r, c, service, node);
    if (r->listen_count + service->listen_count <= LISTENS_MAX)
        listens_compare(r, c, service, node);
    else if (r->listen_count <= LISTENS_MAX)
        conf_gripe(r, config_setting_get_member(node, "listen"), NULL,
                   "is too much: all services together have at most %d addresses", LISTENS_MAX);
    r->listen_count += service->listen_count;
    if ((unsigned)service->protocol == CONF_PROTOCOL_UNKNOWN)
        return;
    conf_group_check(r, conf_service_settings, node, service);
    datagrams_check(r, service, node);
    conf_proxy_check(r, service, node);
    conf_headers_check(r, &service->headers, NULL, node);
    if (service->protocol == CONF_HTTP)
        routes_check(r, service, node);
}

static void services_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                          void *base)
{
    struct conf *c = base;
    int n = config_setting_length(node);

    (void)s;
    if (config_setting_is_scalar(node) || config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a list of services ( { name = \"web\"; ... } )");
        return;
    }
    if (n == 0 || n > SERVICES_MAX) {
        conf_gripe(r, node, NULL, "must be from 1 to %d services, not %d", SERVICES_MAX, n);
        return;
    }
    c->services = conf_memory_get(r->memory, (size_t)n * sizeof(*c->services));
    for (int i = 0; i < n && c->services != NULL; i++) {
        config_setting_t *element = config_setting_get_elem(node, (unsigned)i);

        if (!config_setting_is_group(element))
            conf_gripe_value(r, element, NULL, "a service { name = \"web\"; ... }");
        else
            service_read(r, c, &c->services[c->service_count++], element);
    }
}

static void services_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf *c = base;

    conf_list_print(p, s->key, conf_service_settings,
                    &(struct conf_list){ c->services, c->service_count, sizeof(*c->services) });
}

const struct conf_kind conf_kind_services = { services_read, NULL, services_print };
