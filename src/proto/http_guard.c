/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is let in: of the networks that hold a peer the one with the longest prefix decides, and of two such the one
 * that denies.  The networks stand in the order in which they decide.  Constant once made. */
#include "proto/http_internal.h"

#include <stdlib.h>

struct http_guard {
    bool            closed;     /* for whom no network holds */
    unsigned        count;
    struct http_net nets[];
};

static int net_compare(const void *one, const void *other)
{
    const struct http_net *a = one, *b = other;
    if (a->net.bits != b->net.bits)
        return (int)b->net.bits - (int)a->net.bits;
    return (int)b->deny - (int)a->deny;
}

struct http_guard *http_guard_new(const struct http_net *nets, unsigned count, bool closed)
{
    struct http_guard *g = calloc(1, sizeof *g + count * sizeof g->nets[0]);
    if (g == NULL)
        return NULL;
    g->closed = closed;
    g->count = count;
    for (unsigned i = 0; i < count; i++) {
        g->nets[i] = nets[i];
        g->closed |= !nets[i].deny;
    }
    qsort(g->nets, count, sizeof g->nets[0], net_compare);
    return g;
}

void http_guard_free(struct http_guard *g)
{
    free(g);
}

bool http_guard_admits(const struct http_guard *g, const struct peer *peer)
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct http_net *n = &g->nets[i];
        if (n->local ? peer->family == AF_UNIX : net_holds(&n->net, peer->family, peer->address))
            return !n->deny;
    }
    return !g->closed;
}
