/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets, each as one number: the time at which it will be full again.  An answer moves that time by the cost
 * of one; it is refused where the time would be more than a full bucket ahead.
 * Owns the table, whose sets each have a lock of their own, held for a few instructions.  Makes no system call. */
#include "core/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, SETS = 1024, WAYS = 7 };
_Static_assert(SETS * WAYS == RATE_ADDRESSES, "as promised");

/* All zero it is the full bucket of ::/64, as right as any other. */
struct bucket {
    uint64_t key;
    uint64_t full_ns;           /* when it is full again, on the clock that is given */
};

/* A set is two cache lines. */
struct bucket_set {
    _Alignas(LINE) char taken;  /* by a thread */
    struct bucket way[WAYS];
};
_Static_assert(sizeof(struct bucket_set) == 2 * LINE, "no line is wasted");

struct rate {
    struct bucket_set set[SETS];
    uint64_t          seed;
    uint64_t          cost_ns, depth_ns;
};

struct rate *rate_new(unsigned per_second, uint64_t seed)
{
    struct rate *r = aligned_alloc(LINE, sizeof *r);
    if (r == NULL)
        return NULL;
    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->cost_ns = UINT64_C(1000000000) / per_second;
    r->depth_ns = r->cost_ns * per_second;
    return r;
}

void rate_free(struct rate *r)
{
    free(r);
}

static void set_lock(struct bucket_set *s)
{
    while (__atomic_test_and_set(&s->taken, __ATOMIC_ACQUIRE))
        ;
}

static void set_unlock(struct bucket_set *s)
{
    __atomic_clear(&s->taken, __ATOMIC_RELEASE);
}

/* The bucket of a key; else the one that is nearest to full, made new. */
static struct bucket *bucket_of(struct bucket_set *s, uint64_t key)
{
    struct bucket *fullest = &s->way[0];
    for (int i = 0; i < WAYS; i++) {
        if (s->way[i].key == key)
            return &s->way[i];
        if (s->way[i].full_ns < fullest->full_ns)
            fullest = &s->way[i];
    }
    *fullest = (struct bucket){ .key = key };
    return fullest;
}

/* hot */
bool rate_allows(struct rate *r, const struct peer *p, uint64_t now_ms)
{
    uint64_t key = peer_key(p), now = now_ms * UINT64_C(1000000);
    struct bucket_set *s = &r->set[peer_key_hash(key, r->seed) % SETS];
    set_lock(s);
    struct bucket *b = bucket_of(s, key);
    uint64_t full = (b->full_ns > now ? b->full_ns : now) + r->cost_ns;
    bool allowed = full <= now + r->depth_ns;
    if (allowed)
        b->full_ns = full;
    set_unlock(s);
    return allowed;
}
