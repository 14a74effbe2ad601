/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a datagram is answered at all.  What could be misused is decided here, once, so that no service and no
 * driver can forget it. */
#include "core/datagram.h"

#include "core/conn.h"
#include "core/rate.h"

enum { WELL_KNOWN_PORTS = 1024 };       /* RFC 6335 section 6 calls 0 to 1023 the system ports; 0 cannot be answered */

static bool may_answer(struct env *e, const struct datagram *d)
{
    if (d->from->port < WELL_KNOWN_PORTS || d->to_many)
        return false;
    return e->rate == NULL || rate_allows(e->rate, d->from, e->now_ms);
}

/* hot */
struct span datagram_answer(struct env *e, const struct datagram *d)
{
    const struct datagram_proto *p = d->service->datagram;
    env_count_for(e, d->service->part);
    e->count.datagrams++;
    e->count.bytes_received += d->in.n;
    if (!p->silent && !may_answer(e, d)) {
        e->count.datagrams_held++;
        return (struct span){ NULL, 0 };
    }
    return p->answer(e, d);
}
