/* SPDX-License-Identifier: BSD-2-Clause */
/* Which address of a running configuration is the same as one of a new configuration.  Looks at addresses, touches no
 * socket. */
#include <netinet/in.h>
#include <string.h>

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
