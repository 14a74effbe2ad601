/* SPDX-License-Identifier: BSD-2-Clause */
/* Which address of a running configuration is the same as one of a new configuration, and which sockets that were kept
 * for us are for it.  Looks at addresses, touches no socket. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/listen.h"
#include "daemon/listen_socket.h"

static bool is_open(const struct listen_address *a)
{
    for (unsigned i = 0; i < a->socket_count; i++)
        if (a->sockets[i].fd != -1)
            return true;
    return false;
}

static bool same_address(const struct listen_address *a, const struct listen_address *b)
{
    return a->dual == b->dual && a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0;
}

/* A port that the kernel chose stays when the configuration still does not care. */
static bool same_wish(const struct listen_address *a, const struct listen_address *b)
{
    return a->any_port && b->any_port && strcmp(a->service, b->service) == 0 && strcmp(a->written, b->written) == 0;
}

const struct listen_address *listen_ancestor(const struct listen_set *running, const struct listen_address *a,
                                             unsigned ordinal)
{
    for (unsigned i = 0; running != NULL && a->handed == NULL && i < running->count; i++) {
        const struct listen_address *b = &running->v[i];

        if (b->handed != NULL || a->datagram != b->datagram || !is_open(b))
            continue;
        if (listen_port_is_zero(a) ? same_wish(a, b) && ordinal-- == 0 : same_address(a, b))
            return b;
    }
    return NULL;
}

/* Both families keep the port at the same place (POSIX does not say so, Linux does). */
static in_port_t inet_port(const struct listen_address *a)
{
    return ((const struct sockaddr_in *)&a->address)->sin_port;
}

bool listen_overlaps(const struct listen_set *running, const struct listen_address *a)
{
    for (unsigned i = 0; running != NULL && i < running->count; i++) {
        const struct listen_address *b = &running->v[i];

        if (b->handed != NULL || a->datagram != b->datagram || !is_open(b) || a->address.ss_family == AF_UNIX ||
            b->address.ss_family == AF_UNIX || inet_port(a) != inet_port(b))
            continue;
        if (!listen_is_one_address(a) || !listen_is_one_address(b) || same_address(a, b))
            return true;
    }
    return false;
}

/* ---- sockets that were kept ---- */

/* The address of a kept socket; false: it is none that could be ours. */
static bool kept_address(const struct handed_one *one, struct listen_address *at)
{
    int only = 0;
    socklen_t size = sizeof only;

    *at = (struct listen_address){ .datagram = one->datagram, .size = sizeof at->address };
    if ((!one->datagram && !one->stream) || getsockname(one->fd, (struct sockaddr *)&at->address, &at->size) == -1)
        return false;
    if (at->address.ss_family == AF_INET6 && !listen_is_one_address(at))
        at->dual = getsockopt(one->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 && only == 0;
    return at->address.ss_family == AF_INET || at->address.ss_family == AF_INET6 || at->address.ss_family == AF_UNIX;
}

/* "kept.SERVICE.LISTEN.NUMBER", of which services have no dot: the number. */
static unsigned kept_number(const struct handed_one *one)
{
    const char *dot = strrchr(one->name, '.');

    return dot != NULL ? (unsigned)strtoul(dot + 1, NULL, 10) : 0;
}

static bool kept_is_named(const struct handed_one *one, const struct listen_address *a)
{
    char name[HANDED_NAME_SIZE];
    int n = snprintf(name, sizeof name, LISTEN_KEPT_NAME, a->service, a->listen_index);

    return n < HANDED_NAME_SIZE && strncmp(one->name, name, (size_t)n) == 0;
}

/* The same host, and any port. */
static bool same_host(const struct listen_address *a, const struct listen_address *at)
{
    if (a->dual != at->dual || a->address.ss_family != at->address.ss_family)
        return false;
    if (a->address.ss_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)&a->address)->sin6_addr,
                                  &((const struct sockaddr_in6 *)&at->address)->sin6_addr);
    return ((const struct sockaddr_in *)&a->address)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)&at->address)->sin_addr.s_addr;
}

static bool same_path(const struct listen_address *a, const struct listen_address *at)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    struct stat st;

    return at->address.ss_family == AF_UNIX &&
           strncmp(un->sun_path, ((const struct sockaddr_un *)&at->address)->sun_path, sizeof un->sun_path) == 0 &&
           lstat(un->sun_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool kept_fits(const struct handed_one *one, const struct listen_address *a)
{
    struct listen_address at;

    if (!kept_address(one, &at) || at.datagram != a->datagram)
        return false;
    if (a->address.ss_family == AF_UNIX)
        return same_path(a, &at);
    if (listen_port_is_zero(a))
        return kept_is_named(one, a) && same_host(a, &at);
    return same_address(a, &at);
}

/* How many that fit come before this one. */
static unsigned kept_rank(const struct handed *kept, const struct listen_address *a, unsigned of)
{
    unsigned n = 0, number = kept_number(&kept->v[of]);

    for (unsigned i = 0; i < kept->count; i++) {
        unsigned its = kept_number(&kept->v[i]);

        n += (its < number || (its == number && i < of)) && kept_fits(&kept->v[i], a);
    }
    return n;
}

const struct handed_one *listen_kept(const struct handed *kept, const struct listen_address *a, unsigned i)
{
    for (unsigned at = 0; kept != NULL && at < kept->count; at++)
        if (kept_fits(&kept->v[at], a) && kept_rank(kept, a, at) == i)
            return &kept->v[at];
    return NULL;
}

bool listen_kept_overlaps(const struct handed *kept, const struct listen_address *a)
{
    struct listen_address at;

    if (listen_kept(kept, a, 0) != NULL)
        return true;
    for (unsigned i = 0; kept != NULL && i < kept->count; i++) {
        if (!kept_address(&kept->v[i], &at) || at.datagram != a->datagram || at.address.ss_family == AF_UNIX ||
            a->address.ss_family == AF_UNIX || inet_port(&at) != inet_port(a))
            continue;
        if (!listen_is_one_address(a) || !listen_is_one_address(&at))
            return true;
    }
    return false;
}
