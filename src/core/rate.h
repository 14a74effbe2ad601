/* SPDX-License-Identifier: BSD-2-Clause */
/* How many answers, to datagrams or to requests, an address may have for each second: a token bucket for each, in a
 * table of fixed size.
 *
 * A bucket that has filled up again is as good as a new one, so the table needs to know only who was answered within
 * the last second.  When a place is short, the bucket that is nearest to full goes (among full ones the one that was
 * unused for the longest time): it loses the least, and who is held back now is not forgotten because of a flood from
 * forged addresses. */
#ifndef CORE_RATE_H
#define CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/peer.h"

enum {
    RATE_MAX = 1000000,         /* answers for each second */
    RATE_ADDRESSES = 7168       /* remembered at once, in 128 KiB */
};

struct rate;

/* `per_second` from 1 to RATE_MAX, as many at once after a second of silence.  `seed` is a secret: nobody shall be
 * able to choose addresses that fall on each other.  NULL with errno ENOMEM. */
struct rate *rate_new(unsigned per_second, uint64_t seed);
void rate_free(struct rate *r);

/* May the address (peer_key) have another answer?  If so, it is counted.  Threads may call it at the same time. */
bool rate_allows(struct rate *r, const struct peer *p, uint64_t now_ms);

#endif
