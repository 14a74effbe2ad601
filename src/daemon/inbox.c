/* SPDX-License-Identifier: BSD-2-Clause */
/* An inbox, on a Unix socket pair that keeps message boundaries.  Knows how messages travel, not what is in them. */
#include "daemon/inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/parcel.h"
#include "daemon/rights.h"

enum { INBOX_BUFFER = 1024 * 1024 };    /* bytes that are asked for; the kernel gives what it allows (net.core.wmem_max) */

int inbox_open(int ends[2])
{
    const int size = INBOX_BUFFER;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == -1)
        return -1;
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);       /* else the default has to do */
    return 0;
}

int inbox_send(int end, struct span parcel, int fd)
{
    struct iovec iov = { .iov_base = (char *)(uintptr_t)parcel.p, .iov_len = parcel.n };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
    union rights control;
    ssize_t n;

    rights_attach(&h, &control, fd);
    do
        n = sendmsg(end, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    return n == (ssize_t)parcel.n ? 0 : -1;
}

/* ETOOMANYREFS: more descriptors are on their way, in all inboxes of this user, than he may have open. */
bool inbox_is_busy(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS;
}

/* A message whose descriptor finds no place is lost, so there must be one before. */
static bool has_descriptor(int end)
{
    int probe = fcntl(end, F_DUPFD_CLOEXEC, 0);

    if (probe != -1)
        close(probe);
    return probe != -1;
}

int inbox_receive(int end, char *to, struct span *parcel, int *fd)
{
    struct iovec iov = { .iov_base = to, .iov_len = PARCEL_MAX };
    union rights control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;

    if (!has_descriptor(end)) {
        errno = EMFILE;
        return -1;
    }
    do
        n = recvmsg(end, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    *fd = rights_detach(&h);
    *parcel = (struct span){ to, (size_t)n };
    if (n > 0 && *fd != -1 && (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return 1;
    if (*fd != -1)
        close(*fd);
    errno = n == 0 ? EPIPE : EBADMSG;
    return -1;
}

void inbox_shut(int end)
{
    (void)shutdown(end, SHUT_RD);
}

/* Looks at the first message and leaves it there; the descriptor is a copy, -1: it has none. */
static ssize_t peek(int end, char *to, int *fd)
{
    struct iovec iov = { .iov_base = to, .iov_len = PARCEL_MAX };
    union rights control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;

    do
        n = recvmsg(end, &h, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    *fd = n > 0 ? rights_detach(&h) : -1;
    return n;
}

/* What is no connection is only dropped. */
int inbox_move(int from, int to)
{
    char *room = malloc(PARCEL_MAX), byte;
    int fd = -1, sent = 0, error;
    ssize_t n = -1;

    if (room != NULL && has_descriptor(from))
        n = peek(from, room, &fd);
    if (fd != -1)
        sent = inbox_send(to, (struct span){ room, (size_t)n }, fd);
    error = errno;
    if (n > 0 && sent == 0)
        (void)recv(from, &byte, 1, MSG_DONTWAIT);
    if (fd != -1)
        close(fd);
    free(room);
    errno = error;
    if (n > 0)
        return sent == 0 ? 1 : -1;
    return n == 0 || error == EAGAIN ? 0 : -1;
}
