/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel between the master and one worker or the logger, on a Unix socket pair that keeps message boundaries
 * (SOCK_SEQPACKET: the only kind that also tells when the other side is gone).  Knows the form of messages,
 * not what they make anybody do. */
#include "daemon/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* On the wire; both sides are the same program on the same machine, or an older or newer version of it. */
struct channel_frame {
    uint32_t magic;
    uint32_t kind;
    uint32_t value;
};

enum { CHANNEL_MAGIC = 0x696f6d32 };    /* "iom2": the form of the frame */

/* Room for the control message that carries one descriptor, aligned as recvmsg(2) wants it. */
union channel_control {
    struct cmsghdr header;
    char           bytes[CMSG_SPACE(sizeof(int))];
};

int channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

static bool channel_carries_fd(enum channel_kind kind)
{
    return kind == CHANNEL_LOG || kind == CHANNEL_LOGGER_LOG || kind == CHANNEL_LOGGER_ACCESS ||
           kind == CHANNEL_SURVEY || kind == CHANNEL_SWEEP;
}

/* The buffer must stay alive until the message was sent. */
static void attach_fd(struct msghdr *h, union channel_control *control, int fd)
{
    struct cmsghdr *c;

    memset(control, 0, sizeof *control);
    h->msg_control = control->bytes;
    h->msg_controllen = sizeof control->bytes;
    c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

int channel_send(int end, const struct channel_message *m)
{
    struct channel_frame frame = { .magic = CHANNEL_MAGIC, .kind = (uint32_t)m->kind, .value = m->value };
    struct iovec iov = { .iov_base = &frame, .iov_len = sizeof frame };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
    union channel_control control;
    ssize_t n;

    if (m->fd != -1)
        attach_fd(&h, &control, m->fd);
    do
        n = sendmsg(end, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    return n == (ssize_t)sizeof frame ? 0 : -1;
}

/* The descriptor that came with a message, -1: none.  Alignment leaves room for a second one, which is
 * closed; the kernel closes any more and marks the message as cut. */
static int detach_fd(struct msghdr *h)
{
    int fd = -1, came;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof came) <= c->cmsg_len; at += sizeof came) {
            memcpy(&came, CMSG_DATA(c) + at, sizeof came);
            if (fd != -1)
                close(fd);
            fd = came;
        }
    }
    return fd;
}

static bool frame_is_sound(const struct channel_frame *frame, ssize_t n, const struct msghdr *h, int fd)
{
    if (n != (ssize_t)sizeof *frame || (h->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return false;
    if (frame->magic != CHANNEL_MAGIC || frame->kind < CHANNEL_READY || frame->kind > CHANNEL_LAST)
        return false;
    return channel_carries_fd((enum channel_kind)frame->kind) == (fd != -1);
}

int channel_receive(int end, struct channel_message *m)
{
    struct channel_frame frame = { 0 };
    struct iovec iov = { .iov_base = &frame, .iov_len = sizeof frame };
    union channel_control control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;
    int fd;

    do
        n = recvmsg(end, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    fd = detach_fd(&h);
    if (n > 0 && frame_is_sound(&frame, n, &h, fd)) {
        *m = (struct channel_message){ .kind = (enum channel_kind)frame.kind, .value = frame.value, .fd = fd };
        return 1;
    }
    if (fd != -1)
        close(fd);
    errno = n == 0 ? EPIPE : EBADMSG;
    return -1;
}
