/* SPDX-License-Identifier: BSD-2-Clause */
/* What is the same for all who connect: the socket, its options, its source address, the call.
 * Knows no loop. */
#include "driver/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* With an address but no port the kernel chooses the port when it knows the destination, so that each pair of addresses
 * has all ports of its own (ip(7), IP_BIND_ADDRESS_NO_PORT). */
static int dial_bind(const struct dial *d, int fd)
{
    const int on = 1;
    if (d->from == NULL)
        return 0;
    if (d->from->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, d->from, d->from_size);
}

int dial_socket(const struct dial *d, int flags)
{
    const int on = 1, attempts = (int)d->attempts;
    int fd = socket(d->to->sa_family, d->type | flags, 0);
    if (fd == -1)
        return -1;
    if (d->type == SOCK_STREAM && d->to->sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (attempts > 0)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &attempts, sizeof attempts);
    }
    if (dial_bind(d, fd) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int dial_connect(const struct dial *d, int fd)
{
    if (connect(fd, d->to, d->to_size) == 0 || errno == EISCONN)
        return 0;
    if (errno == EALREADY || errno == EINTR)
        errno = EINPROGRESS;
    return -1;
}

struct peer dial_peer(const struct dial *d)
{
    struct sockaddr_storage to = { 0 };
    memcpy(&to, d->to, d->to_size);
    return peer_of(&to, d->to_size);
}
