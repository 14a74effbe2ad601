/* SPDX-License-Identifier: BSD-2-Clause */
/* Gauges.  The kernel has the lengths of the queues, and the master has the sockets: workers that stand still, which lets
 * queues grow, could not tell.
 * Owns nothing. */
#include "daemon/gauge.h"

#include "daemon/listen_socket.h"
#include "daemon/master_state.h"

enum { LOOK_MS = 1000 };        /* as often as the live page is told; a call for each socket */

/* Of a service all addresses stand together: tells of the one that begins at `from`; where the next one does.  What has
 * nothing but Unix sockets and datagrams is not told of. */
static unsigned tell_service(struct ledger *t, const struct listen_set *all, unsigned from)
{
    struct metric_gauges now = { .accept_queue = 0 };
    bool known = false;
    unsigned i = from;

    for (; i < all->count && all->v[i].service_index == all->v[from].service_index; i++) {
        long waiting = listen_waiting(&all->v[i]);

        known |= waiting >= 0;
        now.accept_queue += waiting > 0 ? (uint64_t)waiting : 0;
    }
    if (known)
        ledger_tell_gauges(t, all->v[from].service, &now);
    return i;
}

/* May somebody ask a worker, who cannot look himself?  Else the master sleeps. */
static bool workers_show(const struct conf *c)
{
    for (unsigned i = 0; i < c->service_count; i++) {
        const struct conf_service *s = &c->services[i];
        unsigned k = 0;

        while (k < s->route_count && s->routes[k].kind != CONF_ROUTE_LIVE)
            k++;
        if (k < s->route_count || s->protocol == CONF_STATUS)
            return true;
    }
    return false;
}

void gauge_look(struct master *m, uint64_t now_ms)
{
    const struct listen_set *all = &m->serving->listens;

    if (m->phase == MASTER_STOPPING) {          /* nobody listens any more */
        ledger_forget_gauges(&m->ledger);
        return;
    }
    if (m->gauged != m->serving->number) {
        ledger_forget_gauges(&m->ledger);       /* it may have other services */
        m->gauged_each_ms = workers_show(m->serving->conf) ? LOOK_MS : 0;
    }
    m->gauged = m->serving->number;
    m->gauge_ms = m->gauged_each_ms > 0 ? now_ms + m->gauged_each_ms : UINT64_MAX;
    for (unsigned i = 0; i < all->count;)
        i = tell_service(&m->ledger, all, i);
}

void gauge_step(struct master *m, uint64_t now_ms)
{
    if (now_ms >= gauge_due_ms(m))
        gauge_look(m, now_ms);
}

uint64_t gauge_due_ms(const struct master *m)
{
    if (m->phase != MASTER_RUNNING)
        return UINT64_MAX;
    return m->gauged == m->serving->number ? m->gauge_ms : 0;
}
