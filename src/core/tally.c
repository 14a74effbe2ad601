/* SPDX-License-Identifier: BSD-2-Clause */
/* A hash table with open addressing: an address stands at the place that its hash names or in a row behind it, without
 * a gap; who leaves is replaced by those behind him, so nothing is ever marked as deleted.
 * Owns the table, under one lock that is held for a few instructions.  Makes no system call. */
#include "core/tally.h"

#include <stdlib.h>

enum {
    PLACES_MIN = 64,
    NEWS_MS = 60000             /* between two lines about the same matter */
};

/* All zero: free.  ::/64 has the key 0, so the count is what tells. */
struct place {
    uint64_t key;
    uint32_t count;
};

struct tally {
    struct place *v;
    uint64_t      seed;
    uint64_t      news_ms;      /* no news before */
    size_t        mask;         /* places - 1; a power of two less one */
    size_t        used;
    unsigned      limit;
    char          taken;        /* by a thread */
};

struct tally *tally_new(unsigned per_address, unsigned connections, uint64_t seed)
{
    struct tally *t = calloc(1, sizeof *t);
    size_t places = PLACES_MIN;
    while (places < 2 * (size_t)connections)
        places *= 2;
    if (t == NULL)
        return NULL;
    t->v = calloc(places, sizeof *t->v);
    t->mask = places - 1;
    t->seed = seed;
    t->limit = per_address;
    if (t->v != NULL)
        return t;
    free(t);
    return NULL;
}

void tally_free(struct tally *t)
{
    if (t == NULL)
        return;
    free(t->v);
    free(t);
}

static void tally_lock(struct tally *t)
{
    while (__atomic_test_and_set(&t->taken, __ATOMIC_ACQUIRE))
        ;
}

static void tally_unlock(struct tally *t)
{
    __atomic_clear(&t->taken, __ATOMIC_RELEASE);
}

static size_t place_wanted(const struct tally *t, uint64_t key)
{
    return (size_t)peer_key_hash(key, t->seed) & t->mask;
}

/* The place of a key, or the free one where it would be. */
static size_t place_find(const struct tally *t, uint64_t key)
{
    size_t at = place_wanted(t, key);
    while (t->v[at].count > 0 && t->v[at].key != key)
        at = (at + 1) & t->mask;
    return at;
}

/* Closes the gap at `at`: the next one behind it that may stand there moves up and leaves a gap in turn. */
static void place_empty(struct tally *t, size_t at)
{
    size_t next = at;
    t->v[at].count = 0;
    t->used--;
    for (;;) {
        next = (next + 1) & t->mask;
        if (t->v[next].count == 0)
            return;
        size_t wanted = place_wanted(t, t->v[next].key);
        if (((next - wanted) & t->mask) < ((next - at) & t->mask))
            continue;           /* it would stand before its place */
        t->v[at] = t->v[next];
        t->v[next].count = 0;
        at = next;
    }
}

/* One place always stays free: it ends every search. */
static bool has_room(const struct tally *t)
{
    return t->used < t->mask - t->mask / 8;
}

bool tally_enter(struct tally *t, const struct peer *p, bool *counted)
{
    uint64_t key = peer_key(p);
    *counted = false;
    if (!peer_has_address(p))
        return true;
    tally_lock(t);
    struct place *place = &t->v[place_find(t, key)];
    bool allowed = place->count < t->limit;
    if (allowed && (place->count > 0 || has_room(t))) {
        t->used += place->count == 0;
        place->key = key;
        place->count++;
        *counted = true;
    }
    tally_unlock(t);
    return allowed;
}

void tally_leave(struct tally *t, const struct peer *p)
{
    tally_lock(t);
    size_t at = place_find(t, peer_key(p));
    if (t->v[at].count > 1)
        t->v[at].count--;
    else if (t->v[at].count == 1)
        place_empty(t, at);
    tally_unlock(t);
}

bool tally_is_full(struct tally *t, const struct peer *p)
{
    if (!peer_has_address(p))
        return false;
    tally_lock(t);
    bool full = t->v[place_find(t, peer_key(p))].count >= t->limit;
    tally_unlock(t);
    return full;
}

bool tally_is_news(struct tally *t, uint64_t now_ms)
{
    tally_lock(t);
    bool news = now_ms >= t->news_ms;
    if (news)
        t->news_ms = now_ms + NEWS_MS;
    tally_unlock(t);
    return news;
}
