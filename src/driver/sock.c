/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending a connection's output, the calls and their answers.  Knows no loop and no poller. */
#include "driver/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/file.h"
#include "driver/direct.h"
#include "driver/stage.h"

enum {
    SEND_LOOKS = 4,             /* within the send timeout: is the peer reading, slowly?  At least so many, */
    SEND_LOOK_MS = 200          /* and this far apart at most: sendfile(2) may wait twice for so long */
};

enum { LAST_INPUT = 8192 };     /* bytes that are read of somebody who is hung up on: most requests are smaller */

enum { WARM_MS = 1000 };        /* a whole file that was seen in the page cache is believed to stay for so long */

void sock_note_blocked(struct conn *c)
{
    int unacked = 0;
    if (ioctl(c->fd, TIOCOUTQ, &unacked) == -1)
        return;
    if ((uint32_t)unacked < c->unacked)
        conn_moving(c);
    c->unacked = (uint32_t)unacked;
}

/* hot */
static enum sock_flushed after_send(struct conn *c, ssize_t n, size_t wanted)
{
    struct env *e = conn_env(c);
    e->count.sends++;
    e->count.syscalls++;
    if (n >= 0 && (METRIC_IS_ON ? conn_is_timed(c) : e->access != NULL))
        e->sent_us = clock_monotonic_us();      /* the loop's clock is that of the begin of its turn */
    if (n >= 0)
        conn_sent(c, (size_t)n);
    if (n == (ssize_t)wanted || (n == -1 && errno == EINTR))
        return SOCK_FLUSHED;
    if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK)
        return SOCK_BROKEN;
    e->count.would_block++;
    sock_note_blocked(c);
    return SOCK_BLOCKED;
}

/* hot */
static enum sock_flushed send_memory(struct conn *c)
{
    struct iovec iov[SOCK_IOV];
    struct msghdr m = { .msg_iov = iov };
    size_t wanted;
    int count = outq_iov(&c->out, iov, SOCK_IOV, &wanted);
    int flags = MSG_NOSIGNAL | (wanted < c->out.bytes ? MSG_MORE : 0);
    if (count == 1)
        return after_send(c, send(c->fd, iov[0].iov_base, iov[0].iov_len, flags), wanted);
    m.msg_iovlen = (size_t)count;
    return after_send(c, sendmsg(c->fd, &m, flags), wanted);
}

static bool piece_is_cold(struct conn *c, struct outq_item *i, size_t n)
{
    uint64_t now = conn_env(c)->now_ms;
    if (i->file->warm_until_ms >= now)
        return false;
    if (sock_file_is_cold(i->file->fd, i->offset, n))
        return true;
    if (i->file->size <= SOCK_PIECE && n == i->file->size)
        i->file->warm_until_ms = now + WARM_MS;
    return false;
}

void sock_plan_load(struct conn *c, struct direct_load *l)
{
    const struct outq_item *i = outq_head_file(&c->out);
    l->align = i->file->direct_align;
    direct_plan(l, i->offset, i->left, STAGE_SIZE);
}

bool sock_end_load(struct conn *c, struct direct_load *l, ssize_t result)
{
    const struct outq_item *i = outq_head_file(&c->out);
    if ((result == -EINVAL || result == -EOPNOTSUPP) && l->align > 0) {
        file_direct_refused(conn_env(c), i->file);
        return true;
    }
    return result > 0 && direct_loaded(l, (size_t)result, i->left);
}

enum sock_flushed sock_flush_load(struct conn *c, struct direct_load *l)
{
    size_t wanted = l->ready;
    ssize_t n = send(c->fd, l->stage + l->at, wanted, MSG_NOSIGNAL | (wanted < c->out.bytes ? MSG_MORE : 0));
    if (n > 0)
        direct_sent(l, (size_t)n);
    enum sock_flushed f = after_send(c, n, wanted);
    return f == SOCK_FLUSHED && c->out.bytes > 0 ? SOCK_AGAIN : f;
}

static enum sock_flushed send_file_piece(struct conn *c, struct outq_item *i, bool trust_cache)
{
    if (i->file->direct_align > 0)
        return SOCK_DIRECT;
    size_t n = i->left < SOCK_PIECE ? i->left : SOCK_PIECE;
    if (!trust_cache && piece_is_cold(c, i, n))
        return SOCK_COLD;
    ssize_t sent = sock_send_file(c->fd, i->file->fd, i->offset, n);
    if (sent == 0)
        return SOCK_BROKEN;             /* the file shrank: what was promised cannot be sent */
    enum sock_flushed f = after_send(c, sent, n);
    if (f == SOCK_BLOCKED && sent > 0)
        return SOCK_AGAIN;              /* sendfile(2) also stops short at a file's holes and ends */
    return f == SOCK_FLUSHED && c->out.bytes > 0 ? SOCK_AGAIN : f;
}

/* hot */
enum sock_flushed sock_flush(struct conn *c, bool trust_cache)
{
    while (c->out.bytes > 0) {
        struct outq_item *file = outq_head_file(&c->out);
        enum sock_flushed f = file != NULL ? send_file_piece(c, file, trust_cache) : send_memory(c);
        if (f != SOCK_FLUSHED)
            return f;
    }
    return SOCK_FLUSHED;
}

/* hot */
int sock_accept(int listener_fd, int flags, struct peer *peer)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    int fd = accept4(listener_fd, (struct sockaddr *)&from, &size, flags);
    if (fd != -1)
        *peer = peer_of(&from, size);
    return fd;
}

/* All of it belongs to the socket, not to the process: signals go to somebody until they are switched off. */
int sock_adopt(int fd, enum sock_manner manner)
{
    const struct timeval none = { 0, 0 };
    if (fcntl(fd, F_SETFL, manner == SOCK_BLOCKS ? 0 : O_NONBLOCK) == -1)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) == -1)
        return -1;
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
}

void sock_say_last(int fd, struct span words)
{
    char unheard[LAST_INPUT];
    if (words.n == 0)
        return;
    (void)!recv(fd, unheard, sizeof unheard, MSG_DONTWAIT);
    (void)!send(fd, words.p, words.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void sock_send_for(int fd, const struct service *s)
{
    const unsigned share = s->send_timeout_ms / SEND_LOOKS, ms = share < SEND_LOOK_MS ? share : SEND_LOOK_MS;
    struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000 * 1000) };
    if (s->send_timeout_ms > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}
