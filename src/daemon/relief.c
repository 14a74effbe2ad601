/* SPDX-License-Identifier: BSD-2-Clause */
/* Relief for places that wait.  The kernel goes on giving connections to their sockets: those could wait for seconds, and
 * to close one would lose them.  So the master looks at these sockets, and asks workers that serve the same address, one
 * after the other, to take what is there.
 * Owns nothing. */
#include "daemon/relief.h"

#include <poll.h>

#include "daemon/listen_socket.h"

enum { LOOK_MS = 20 };          /* who comes waits no longer, and a worker is asked no more often */

static bool place_waits(const struct worker_slot *s, uint64_t now_ms)
{
    return s->pid == 0 && s->next_start_ms != UINT64_MAX && s->next_start_ms > now_ms;
}

static bool somebody_waits(const struct crew *c, uint64_t now_ms)
{
    for (unsigned i = 0; i < c->count; i++)
        if (place_waits(&c->v[i], now_ms))
            return true;
    return false;
}

/* Copies of a socket are served by all who have one. */
static bool is_served(const struct crew *c, const struct listen_address *a, unsigned number)
{
    for (unsigned i = 0; i < a->socket_count; i++)
        if (a->sockets[i].number == number && c->v[a->sockets[i].worker].ready)
            return true;
    return false;
}

static bool has_input(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return fd != -1 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

/* Who is asked takes all that waits, also beyond his limit. */
static bool can_take(const struct crew *c, unsigned at, long waiting)
{
    const struct metric_slot *slot = &c->ledger->slots[c->v[at].ledger];
    uint64_t active = __atomic_load_n(&slot->active, __ATOMIC_RELAXED);

    return active + (uint64_t)waiting <= c->common.connections_max;
}

/* Begins behind the one who was asked last. */
static void ask_one(struct master *m, const struct listen_address *a, const struct listen_socket *from)
{
    struct crew *c = &m->serving->crew;
    long waiting = a->datagram ? 0 : listen_queue(from->fd);

    for (unsigned i = 0; i < a->socket_count; i++) {
        unsigned at = a->sockets[++m->relief_next % a->socket_count].worker;

        if (c->v[at].ready && can_take(c, at, waiting) &&
            crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_SWEEP, .fd = from->fd,
                                                            .value = (uint32_t)(a - m->serving->listens.v) }))
            return;
    }
}

static void relieve(struct master *m, const struct listen_address *a, uint64_t now_ms)
{
    const struct crew *c = &m->serving->crew;

    for (unsigned i = 0; i < a->socket_count; i++) {
        const struct listen_socket *one = &a->sockets[i];

        if (place_waits(&c->v[one->worker], now_ms) && !is_served(c, a, one->number) && has_input(one->fd))
            ask_one(m, a, one);
    }
}

void relief_step(struct master *m, uint64_t now_ms)
{
    const struct listen_set *all = &m->serving->listens;

    if (m->phase != MASTER_RUNNING || !somebody_waits(&m->serving->crew, now_ms)) {
        m->relief_ms = 0;
        return;
    }
    if (now_ms < m->relief_ms)
        return;
    m->relief_ms = now_ms + LOOK_MS;
    for (unsigned i = 0; i < all->count; i++)
        relieve(m, &all->v[i], now_ms);
}

uint64_t relief_due_ms(const struct master *m)
{
    return m->relief_ms != 0 ? m->relief_ms : UINT64_MAX;
}
