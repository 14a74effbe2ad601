/* SPDX-License-Identifier: BSD-2-Clause */
/* A datagram service: one datagram in, at most one out, nothing remembered between them.
 * Pure like a protocol; what it may touch is the env and constant settings. */
#ifndef CORE_DATAGRAM_H
#define CORE_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "core/env.h"
#include "core/peer.h"

struct service;

enum {
    DATAGRAM_MAX = 65507,       /* bytes: the largest payload of UDP over IPv4 */
    DATAGRAM_REPLY_MAX = 1024   /* bytes of a reply that is not the request itself */
};

struct datagram {
    const struct service *service;
    const struct peer    *from;
    bool                  to_many;  /* it came to a broadcast or multicast address */
    struct span           in;       /* lent for the call */
    char                 *room;     /* DATAGRAM_REPLY_MAX bytes to write a reply into */
};

struct datagram_proto {
    const char *name;
    bool        silent;             /* never answers (discard): no need to guard or to limit it */

    /* What to send back: `in`, or what was written into `room`; .p == NULL: nothing. */
    struct span (*answer)(struct env *e, const struct datagram *d);
};

/* Whether to answer at all is decided once, for all services and drivers: never to a port below 1024, where the other
 * small services live (two of them would answer each other for ever), not to what was sent to many at once, who would
 * all answer, and not more than the env's rate limit allows to one address, since a forged sender makes a reflector
 * of us.  Counts the datagram and calls `answer`. */
struct span datagram_answer(struct env *e, const struct datagram *d);

#endif
