/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of routes: methods, who is let in and who is asked for a name, header fields and how long replies may be kept. */
#include "daemon/rules.h"

#include <stdlib.h>
#include <sys/socket.h>

static unsigned removed_bits(unsigned conf)
{
    return ((conf & CONF_REMOVE_ETAG) != 0 ? HTTP_REMOVE_ETAG : 0u) |
           ((conf & CONF_REMOVE_LAST_MODIFIED) != 0 ? HTTP_REMOVE_LAST_MODIFIED : 0u) |
           ((conf & CONF_REMOVE_ACCEPT_RANGES) != 0 ? HTTP_REMOVE_ACCEPT_RANGES : 0u);
}

/* What the route adds, and what the service does and the route neither says otherwise nor removes. */
static int fill_headers(struct http_route_spec *spec, const struct conf_headers *outer, const struct conf_headers *own)
{
    struct http_header *add = calloc(outer->add_count + own->add_count + 1u, sizeof *add);
    unsigned n = 0;

    if (add == NULL)
        return -1;
    for (unsigned i = 0; i < outer->add_count; i++) {
        const char *name = outer->add[i].name;

        if (!conf_header_adds(own, name) && !conf_header_removes(own, name))
            add[n++] = (struct http_header){ name, outer->add[i].value };
    }
    for (unsigned i = 0; i < own->add_count; i++)
        add[n++] = (struct http_header){ own->add[i].name, own->add[i].value };
    spec->add = add;
    spec->add_count = n;
    spec->removed = removed_bits(conf_header_removed(outer) | conf_header_removed(own));
    return 0;
}

static unsigned nets_put(struct http_net *to, const struct conf_nets *from, bool deny)
{
    for (unsigned i = 0; i < from->count; i++)
        to[i] = (struct http_net){ .net = from->v[i], .local = from->v[i].family == AF_UNIX, .deny = deny };
    return from->count;
}

/* A route with a list of its own has none of its service's. */
static int fill_nets(struct http_route_spec *spec, const struct conf_service *s, const struct conf_route *r)
{
    bool own = r->allow.set || r->deny.set;
    const struct conf_nets *allow = own ? &r->allow : &s->allow, *deny = own ? &r->deny : &s->deny;
    struct http_net *nets = calloc(allow->count + deny->count + 1u, sizeof *nets);

    if (nets == NULL)
        return -1;
    spec->net_count = nets_put(nets, allow, false);
    spec->net_count += nets_put(nets + spec->net_count, deny, true);
    spec->nets = nets;
    spec->closed = allow->set;
    return 0;
}

/* A file in which there is nobody (any more) lets nobody in: that is not the same as no file. */
static int fill_users(struct http_route_spec *spec, const struct conf_auth *auth)
{
    struct http_user *users = auth->file != NULL ? calloc(auth->user_count + 1u, sizeof *users) : NULL;

    if (auth->file == NULL)
        return 0;
    if (users == NULL)
        return -1;
    for (unsigned i = 0; i < auth->user_count; i++)
        users[i] = (struct http_user){ auth->users[i].name, auth->users[i].hash };
    spec->users = users;
    spec->user_count = auth->user_count;
    spec->realm = auth->realm;
    return 0;
}

int rules_fill(struct http_route_spec *spec, const struct conf_service *service, const struct conf_route *route)
{
    spec->cache_control = route->cache_control;
    spec->expires = route->expires_s != CONF_EXPIRES_UNSET;
    spec->expires_s = spec->expires ? route->expires_s : 0;
    spec->methods = route->methods.v;
    spec->method_count = route->methods.count;
    if (fill_nets(spec, service, route) == -1 || fill_users(spec, &route->auth) == -1)
        return -1;
    return fill_headers(spec, &service->headers, &route->headers);
}

void rules_release(struct http_route_spec *spec)
{
    free((void *)spec->nets);
    free((void *)spec->users);
    free((void *)spec->add);
}
