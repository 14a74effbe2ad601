/* SPDX-License-Identifier: BSD-2-Clause */
/* An inbox, on a Unix socket pair that keeps message boundaries.  Knows how messages travel, not what is in them. */
#include "daemon/inbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
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

/* The kernel says no when a part of it is taken: behind a yes there is place for more than one. */
bool inbox_has_room(int end)
{
    struct pollfd p = { .fd = end, .events = POLLOUT };

    return end != -1 && poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLHUP | POLLERR)) == POLLOUT;
}

/* A worker that made it may have said that looking begins elsewhere than with what comes first (SO_PEEK_OFF, socket(7)): it
 * would be heard of, again and again, and never be found. */
static void look_at_first(int end)
{
    const int nowhere = -1;

    (void)setsockopt(end, SOL_SOCKET, SO_PEEK_OFF, &nowhere, sizeof nowhere);
}

int inbox_receive(int end, char *to, struct span *parcel, int *fd)
{
    struct iovec iov = { .iov_base = to, .iov_len = PARCEL_MAX };
    union rights_room control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;

    if (!rights_have_place(end)) {
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
        rights_close(*fd);
    *fd = -1;
    errno = n == 0 ? EPIPE : EBADMSG;
    return -1;
}

int inbox_peek(int end, char *to, struct span *parcel)
{
    ssize_t n;

    look_at_first(end);
    do
        n = recv(end, to, PARCEL_MAX, MSG_PEEK | MSG_DONTWAIT);
    while (n == -1 && errno == EINTR);
    if (n == 0)
        errno = EPIPE;
    if (n <= 0)
        return n == -1 && errno == EAGAIN ? 0 : -1;
    *parcel = (struct span){ to, (size_t)n };
    return 1;
}

void inbox_shut(int end)
{
    (void)shutdown(end, SHUT_RD);
}

static int pass_with(int from, const struct inbox_taker *to, char *room)
{
    static const struct log_about about = { .event = "not-kept" };
    struct span parcel;
    int fd, got = inbox_peek(from, room, &parcel);

    if (got != 1)
        return got;
    if (!to->has_room(to->arg)) {
        errno = EAGAIN;
        return -1;
    }
    got = inbox_receive(from, room, &parcel, &fd);
    if (got != 1)
        return got;
    if (to->take(to->arg, parcel, fd) == -1)
        log_errno(LOG_ERROR, &about, "a connection that waited to be taken over ended: it cannot be passed on");
    rights_close(fd);
    return 1;
}

int inbox_pass(int from, const struct inbox_taker *to)
{
    char *room = malloc(PARCEL_MAX);
    int got = room != NULL ? pass_with(from, to, room) : -1, error = errno;

    free(room);
    errno = error;
    if (got == -1 && error == EBADMSG)
        return 1;
    return got == -1 && error == EPIPE ? 0 : got;
}

bool inbox_is_over(int end)
{
    char byte;

    look_at_first(end);
    return recv(end, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
