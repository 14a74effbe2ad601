/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams in and out.  A reply goes to where the request came from, and leaves from the address that the request
 * was sent to: a socket bound to all addresses learns that from the packet information (ip(7), IP_PKTINFO; RFC 3542
 * section 6), which is handed back to the kernel with the reply.
 * Owns the buffers of a batch.  Knows no loop. */
#include "driver/sock_datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/peer.h"

enum {
    ROUNDS = 4,                 /* batches per socket and wakeup: the others wait */
    SWEEPS = 64,                /* of so many rounds, when a socket goes away */
    LETTER_MAX = 64 * 1024      /* bytes: more than UDP has over IPv4 (65,507) and IPv6 (65,527) */
};

struct letter {
    struct sockaddr_storage from;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct iovec            received, reply;
    char                    room[DATAGRAM_REPLY_MAX];
    char                    bytes[LETTER_MAX];
};

struct sock_batch {
    unsigned       count;       /* of letters */
    struct mmsghdr in[SOCK_LETTERS], out[SOCK_LETTERS];
    struct letter  letter[];
};

struct sock_batch *sock_batch_new(unsigned letters)
{
    struct sock_batch *b = calloc(1, sizeof *b + letters * sizeof b->letter[0]);
    if (b != NULL)
        b->count = letters;
    return b;
}

void sock_batch_free(struct sock_batch *b)
{
    free(b);
}

/* The lengths are what the kernel said of the datagram before. */
/* hot */
static void letter_expect(struct sock_batch *b, unsigned i)
{
    struct letter *l = &b->letter[i];
    l->received = (struct iovec){ l->bytes, sizeof l->bytes };
    b->in[i].msg_hdr = (struct msghdr){
        .msg_name = &l->from, .msg_namelen = sizeof l->from, .msg_iov = &l->received, .msg_iovlen = 1,
        .msg_control = l->control, .msg_controllen = sizeof l->control,
    };
}

/* Packet information on its way back.  The interface is left to the routing table, as the shortest way back may be
 * another one; link-local addresses mean nothing without it.  True: the datagram came to many. */
static bool origin_turn_ip4(struct in_pktinfo *info)
{
    info->ipi_ifindex = 0;
    return info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr;
}

static bool origin_turn_ip6(struct in6_pktinfo *info)
{
    if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
        info->ipi6_ifindex = 0;
    return IN6_IS_ADDR_MULTICAST(&info->ipi6_addr);
}

static bool origin_turn(struct msghdr *m)
{
    struct cmsghdr *c = m->msg_controllen > 0 ? CMSG_FIRSTHDR(m) : NULL;
    if (c == NULL)
        return false;
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
        return origin_turn_ip4((void *)CMSG_DATA(c));
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
        return origin_turn_ip6((void *)CMSG_DATA(c));
    m->msg_controllen = 0;      /* nothing else was asked for */
    return false;
}

/* Makes the reply to a letter, as *out; false when there is none.  What was cut is no request. */
/* hot */
static bool letter_reply(struct sock_batch *b, unsigned i, const struct service *s, struct env *e, struct msghdr *out)
{
    struct letter *l = &b->letter[i];
    struct msghdr *in = &b->in[i].msg_hdr;
    struct peer from = peer_of(&l->from, in->msg_namelen);
    struct datagram d = { .service = s, .from = &from, .to_many = origin_turn(in), .room = l->room,
                          .in = { l->bytes, b->in[i].msg_len } };
    if (in->msg_flags & MSG_TRUNC)
        return false;
    struct span reply = datagram_answer(e, &d);
    if (reply.p == NULL)
        return false;
    l->reply = (struct iovec){ (void *)(uintptr_t)reply.p, reply.n };
    *out = (struct msghdr){ .msg_name = &l->from, .msg_namelen = in->msg_namelen, .msg_iov = &l->reply,
                            .msg_iovlen = 1, .msg_control = in->msg_control, .msg_controllen = in->msg_controllen };
    return true;
}

static void letter_sent(struct env *e, size_t n)
{
    e->count.bytes_queued += n;
    e->count.bytes_sent += n;
}

/* sendmmsg(2) stops at a reply that fails; the others are not to blame. */
/* hot */
static void replies_send(struct sock_batch *b, int fd, unsigned count, struct env *e)
{
    unsigned at = 0;
    while (at < count) {
        int n = sendmmsg(fd, b->out + at, count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        e->count.sends++;
        e->count.syscalls++;
        for (int i = 0; i < n; i++)
            letter_sent(e, b->out[at + (unsigned)i].msg_len);
        e->count.datagrams_sent += n > 0 ? (unsigned)n : 0;
        at += n > 0 ? (unsigned)n : 1;
    }
}

/* hot */
static void letters_answer(struct sock_batch *b, int fd, unsigned count, const struct service *s, struct env *e)
{
    unsigned replies = 0;
    for (unsigned i = 0; i < count; i++)
        if (letter_reply(b, i, s, e, &b->out[replies].msg_hdr))
            replies++;
    replies_send(b, fd, replies, e);
}

/* An error other than EAGAIN is about an earlier reply (an ICMP message: port unreachable), not about the socket. */
/* hot */
bool sock_serve_datagrams(struct sock_batch *b, int fd, const struct service *s, struct env *e)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < b->count; i++)
            letter_expect(b, i);
        int n = recvmmsg(fd, b->in, b->count, MSG_DONTWAIT, NULL);
        e->count.receives++;
        e->count.syscalls++;
        if (n > 0) {
            letters_answer(b, fd, (unsigned)n, s, e);
        } else if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            e->count.would_block++;
            return false;
        }
    }
    return true;
}

void sock_sweep_datagrams(struct sock_batch *b, int fd, const struct service *s, struct env *e)
{
    for (int i = 0; i < SWEEPS && sock_serve_datagrams(b, fd, s, e); i++)
        ;
}

int sock_letter_receive(struct sock_batch *b, int fd, struct env *e, int flags)
{
    letter_expect(b, 0);
    ssize_t n = recvmsg(fd, &b->in[0].msg_hdr, flags);
    e->count.receives++;
    e->count.syscalls++;
    b->in[0].msg_len = n > 0 ? (unsigned)n : 0;
    return n >= 0 ? 0 : -1;
}

void sock_letter_answer(struct sock_batch *b, int fd, const struct service *s, struct env *e, int flags)
{
    if (!letter_reply(b, 0, s, e, &b->out[0].msg_hdr))
        return;
    ssize_t n = sendmsg(fd, &b->out[0].msg_hdr, flags | MSG_NOSIGNAL);
    if (n == -1 && errno == EINTR)      /* somebody wants the thread: one try, without waiting */
        n = sendmsg(fd, &b->out[0].msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
    e->count.sends++;
    e->count.syscalls++;
    e->count.datagrams_sent += n >= 0;
    letter_sent(e, n > 0 ? (size_t)n : 0);
}
