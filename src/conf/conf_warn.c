/* SPDX-License-Identifier: BSD-2-Clause */
/* What is allowed and hardly meant: said to who tests a configuration, and no error. */
#include <netinet/in.h>

#include "conf/conf_inner.h"

/* Of a socket that the service manager opens nothing is known here. */
static bool listens_beyond(const struct conf_listen *l)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&l->address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&l->address;

    if (l->handed != NULL)
        return false;
    if (l->address.ss_family == AF_INET)
        return ntohl(in->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET;
    return l->address.ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static bool service_is_beyond(const struct conf_service *s)
{
    for (unsigned i = 0; i < s->listen_count; i++)
        if (listens_beyond(&s->listens[i]))
            return true;
    return false;
}

/* Is it said who may have it?  A route with lists of its own has none of its service. */
static bool is_limited(const struct conf_service *s, const struct conf_route *route)
{
    if (route->auth.file != NULL || route->allow.set || route->deny.set)
        return route->auth.file != NULL || route->allow.set;
    return s->allow.set;
}

static void warn_live(const struct conf_place *place, const char *path, FILE *to)
{
    conf_complain(to, place, path, "anybody can read the statistics; allow = [ \"127.0.0.1\", \"::1\" ] limits it");
}

static void warn_service(const struct conf_service *s, unsigned at, FILE *to)
{
    char path[CONF_PATH_MAX];

    snprintf(path, sizeof path, "services.[%u]", at);
    if (s->protocol == CONF_STATUS && !s->allow.set)
        warn_live(&s->place, path, to);
    for (unsigned i = 0; i < s->route_count; i++) {
        if (s->routes[i].kind != CONF_ROUTE_LIVE || is_limited(s, &s->routes[i]))
            continue;
        snprintf(path, sizeof path, "services.[%u].routes.[%u].status", at, i);
        warn_live(&s->routes[i].place, path, to);
    }
}

void conf_warn(const struct conf *c, FILE *to)
{
    for (unsigned i = 0; i < c->service_count; i++)
        if (service_is_beyond(&c->services[i]))
            warn_service(&c->services[i], i, to);
}
