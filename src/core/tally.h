/* SPDX-License-Identifier: BSD-2-Clause */
/* How many connections each address has, and whether it may have another one.
 *
 * The table knows only addresses that have a connection, so its size is bounded by the number of connections.  Should
 * there be more than it was made for (a worker that goes lets in what waits), those are let in and not counted. */
#ifndef CORE_TALLY_H
#define CORE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/peer.h"

struct tally;

/* At most `per_address` (1 or more) connections of one address, for a worker that has about `connections`.  `seed` is a
 * secret, see peer_key_hash.  NULL with errno ENOMEM. */
struct tally *tally_new(unsigned per_address, unsigned connections, uint64_t seed);
void tally_free(struct tally *t);

/* May the address have another connection?  If so, it is counted, and *counted says that tally_leave is owed; peers
 * without an address are not.  Threads may call these at the same time. */
bool tally_enter(struct tally *t, const struct peer *p, bool *counted);
void tally_leave(struct tally *t, const struct peer *p);

/* Would tally_enter say no? */
bool tally_is_full(struct tally *t, const struct peer *p);

/* Is it time for another line in the log about those that were refused?  True once in a minute at most. */
bool tally_is_news(struct tally *t, uint64_t now_ms);

#endif
