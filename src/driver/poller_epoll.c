/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll(7), in both its natures.
 *
 * epoll: edge-triggered.  A socket is registered once, for everything, and the kernel reports each change once.
 * The normal path of a connection needs one epoll_ctl in its whole life; who does not read until nothing is left
 * hears nothing more.
 *
 * epoll-level: level-triggered.  The kernel reports a condition for as long as it holds, so interest is switched
 * on and off with what the connection can use; who forgets to switch off spins.
 *
 * A registration belongs to the open file description, and an event may be about a user of the descriptor that
 * is gone: the cookie carries the generation so that the driver can tell. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "driver/poller.h"
#include "driver/poller_table.h"

enum { EVENTS = 512 };          /* for one wait: 6 KiB, enough to spread its cost */

struct epoll_self {
    int                fd;
    struct epoll_event events[EVENTS];
};

static int ep_open(struct poller *p)
{
    struct epoll_self *s = malloc(sizeof *s);
    if (s == NULL)
        return -1;
    s->fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->fd == -1) {
        free(s);
        return -1;
    }
    p->self = s;
    return 0;
}

static int ep_control(struct poller *p, int op, int fd, uint32_t events, uint32_t generation)
{
    const struct epoll_self *s = p->self;
    p->calls++;
    struct epoll_event e = { .events = events, .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd };
    return epoll_ctl(s->fd, op, fd, &e);
}

static int ep_add_edge(struct poller *p, int fd, uint32_t generation)
{
    return ep_control(p, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, generation);
}

/* Even with no interest at all the kernel reports EPOLLERR and EPOLLHUP for as long as they hold.  A connection in
 * that state that wants nothing yet is woken in vain until it does; one-shot registration makes that one time. */
static int ep_add_level(struct poller *p, int fd, uint32_t generation)
{
    return ep_control(p, EPOLL_CTL_ADD, fd, EPOLLONESHOT, generation);
}

static void ep_arm(struct poller *p, int fd, uint32_t generation, unsigned can)
{
    uint32_t events = (can & CAN_READ ? EPOLLIN | EPOLLRDHUP : 0u) | (can & CAN_WRITE ? (uint32_t)EPOLLOUT : 0u);
    (void)ep_control(p, EPOLL_CTL_MOD, fd, events != 0 ? events : (uint32_t)EPOLLONESHOT, generation);
}

static void ep_remove(struct poller *p, int fd, bool closing)
{
    if (!closing)               /* else close(2) does it, without another call */
        (void)ep_control(p, EPOLL_CTL_DEL, fd, 0, 0);
}

/* hot */
static int ep_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct epoll_self *s = p->self;
    p->calls++;
    int n = epoll_wait(s->fd, s->events, max < EVENTS ? max : EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        uint32_t ev = s->events[i].events;
        uint64_t cookie = s->events[i].data.u64;
        out[i].fd = (int)(uint32_t)cookie;
        out[i].generation = (uint32_t)(cookie >> 32);
        out[i].can = (ev & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP) ? CAN_READ : 0u) |
                     (ev & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? CAN_WRITE : 0u) |
                     (ev & (EPOLLRDHUP | EPOLLERR | EPOLLHUP) ? PEER_GONE : 0u);
    }
    return n;
}

static void ep_close(struct poller *p)
{
    struct epoll_self *s = p->self;
    close(s->fd);
    free(s);
}

const struct poller_ops poller_epoll = {
    .name = "epoll", .edge = true, .short_read = true,
    .open = ep_open, .add = ep_add_edge, .remove = ep_remove, .wait = ep_wait, .close = ep_close,
};

const struct poller_ops poller_epoll_level = {
    .name = "epoll-level", .edge = false, .short_read = true,
    .open = ep_open, .add = ep_add_level, .arm = ep_arm, .remove = ep_remove, .wait = ep_wait, .close = ep_close,
};
