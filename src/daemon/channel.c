/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel between the master and one worker or the logger, on a Unix socket pair that keeps message boundaries
 * (SOCK_SEQPACKET: the only kind that also tells when the other side is gone).  Knows the form of messages,
 * not what they make anybody do. */
#include "daemon/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/rights.h"

/* On the wire; both sides are the same program on the same machine, or an older or newer version of it. */
struct channel_frame {
    uint32_t magic;
    uint32_t kind;
    uint32_t value;
};

enum { CHANNEL_MAGIC = 0x696f6d32 };    /* "iom2": the form of the frame */

int channel_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

static bool channel_carries_fd(enum channel_kind kind)
{
    return kind == CHANNEL_LOG || kind == CHANNEL_LOGGER_LOG || kind == CHANNEL_LOGGER_ACCESS ||
           kind == CHANNEL_SURVEY || kind == CHANNEL_SWEEP || kind == CHANNEL_HEIR || kind == CHANNEL_BENCH;
}

int channel_send(int end, const struct channel_message *m)
{
    struct channel_frame frame = { .magic = CHANNEL_MAGIC, .kind = (uint32_t)m->kind, .value = m->value };
    struct iovec iov = { .iov_base = &frame, .iov_len = sizeof frame };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
    union rights control;
    ssize_t n;

    if (m->fd != -1)
        rights_attach(&h, &control, m->fd);
    do
        n = sendmsg(end, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    return n == (ssize_t)sizeof frame ? 0 : -1;
}

static bool frame_is_sound(const struct channel_frame *frame, ssize_t n, const struct msghdr *h, int fd)
{
    if (n != (ssize_t)sizeof *frame || (h->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return false;
    if (frame->magic != CHANNEL_MAGIC || frame->kind < CHANNEL_READY || frame->kind > CHANNEL_LAST)
        return false;
    return channel_carries_fd((enum channel_kind)frame->kind) == (fd != -1);
}

/* Nothing was received: the end, or an empty message, with others behind it? */
static bool has_more(int end)
{
    int bytes = 0;

    return ioctl(end, FIONREAD, &bytes) == 0 && bytes > 0;
}

static int channel_look(int end, struct channel_message *m, int flags)
{
    struct channel_frame frame = { 0 };
    struct iovec iov = { .iov_base = &frame, .iov_len = sizeof frame };
    union rights_room control;
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;

    do
        n = recvmsg(end, &h, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    *m = (struct channel_message){ .kind = (enum channel_kind)frame.kind, .value = frame.value, .fd = rights_detach(&h) };
    if (n > 0 && frame_is_sound(&frame, n, &h, m->fd))
        return 1;
    if (m->fd != -1)
        rights_close(m->fd);
    m->fd = -1;
    errno = n == 0 && !has_more(end) ? EPIPE : EBADMSG;
    return -1;
}

int channel_receive(int end, struct channel_message *m)
{
    return channel_look(end, m, 0);
}

int channel_peek(int end, struct channel_message *m)
{
    int got = channel_look(end, m, MSG_PEEK);

    if (got == -1 && errno == EBADMSG && !rights_have_place(end))
        errno = EMFILE;         /* only for that reason, perhaps */
    return got;
}

void channel_drop(int end)
{
    char byte;

    (void)recv(end, &byte, 1, MSG_DONTWAIT);
}
