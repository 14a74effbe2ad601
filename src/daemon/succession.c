/* SPDX-License-Identifier: BSD-2-Clause */
/* Succession, as the master arranges it.  An heir is named by its inbox, which belongs to a place and not to a process:
 * if it dies, the next process in its place takes over what waits there.  Where there will be no next process, the master
 * moves it to the inboxes of other places, or, when the daemon stops, to where it waits for the next one.
 * A service is the same to old and new if name and protocol are the same and it still has connections. */
#include "daemon/succession.h"

#include <string.h>

#include "base/log.h"
#include "core/parcel.h"
#include "daemon/inbox.h"

enum {
    HEIRS_TOLD = 64,            /* each worker needs a descriptor for each */
    SETTLE_AGAIN_MS = 20        /* while all inboxes are full */
};

static const struct conf_service *find_same(const struct conf *c, const struct conf_service *s)
{
    for (unsigned i = 0; i < c->service_count; i++)
        if (c->services[i].protocol == s->protocol && strcmp(c->services[i].name, s->name) == 0)
            return &c->services[i];
    return NULL;
}

/* Which of `old`s services, of one group, the pool goes on with. */
static uint32_t pool_bits(const struct conf *old, const struct conf *new, const struct pool *p, unsigned group)
{
    uint32_t bits = 0;
    unsigned first = group * CHANNEL_SERVES_BITS;

    for (unsigned i = 0; i < CHANNEL_SERVES_BITS && first + i < old->service_count; i++) {
        const struct conf_service *same = find_same(new, &old->services[first + i]);

        if (same != NULL && conf_pool_serves(p->conf, same))
            bits |= UINT32_C(1) << i;
    }
    return bits;
}

static void tell_services(struct crew *c, unsigned at, const struct conf *old, const struct generation *to)
{
    unsigned groups = (old->service_count + CHANNEL_SERVES_BITS - 1) / CHANNEL_SERVES_BITS;

    for (unsigned i = 0; i < to->pools.count && i < CHANNEL_POOLS; i++) {
        for (unsigned group = 0; group < groups && group < CHANNEL_GROUPS; group++) {
            uint32_t bits = pool_bits(old, to->conf, &to->pools.v[i], group);

            if (bits != 0)
                crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_SERVES, .fd = -1,
                                                                .value = channel_serves(i, group, bits) });
        }
    }
}

/* If there are more than a worker can be told of, not all are told of the same. */
static void tell_heirs(struct crew *c, unsigned at, const struct generation *to)
{
    const struct crew *heirs = &to->crew;

    for (unsigned i = 0; i < heirs->count && i < HEIRS_TOLD; i++) {
        const struct worker_slot *s = &heirs->v[(at + i) % heirs->count];

        if (s->inbox[1] != -1)
            crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_HEIR, .fd = s->inbox[1],
                                                            .value = (uint32_t)(s->pool - to->pools.v) });
    }
}

/* Who drains turns to the heirs behind the end of their list, which is the same word again: it may be that he has not read
 * the first one either.  To the others heirs come first: there is place for them in an empty channel, and what is owed behind
 * that holds no descriptors. */
static void tell_one(struct crew *c, unsigned at, const struct conf *old, const struct generation *to)
{
    bool drains = c->v[at].told;

    if (c->v[at].pid == 0 || c->v[at].channel == -1)
        return;
    crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_HEIRS, .value = PARCEL_FORM, .fd = -1 });
    if (!drains)
        tell_heirs(c, at, to);
    tell_services(c, at, old, to);
    if (drains)
        tell_heirs(c, at, to);
    if (drains && c->v[at].passes)
        crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_DRAIN, .value = CHANNEL_DRAIN_SERVED, .fd = -1 });
}

void succession_tell(struct generation *from, const struct generation *to)
{
    for (unsigned i = 0; i < from->crew.count; i++)
        tell_one(&from->crew, i, from->conf, to);
    for (unsigned i = 0; i < from->leaving.count; i++)
        tell_one(&from->leaving, i, from->conf, to);
}

void succession_retire(struct generation *g, uint64_t now_ms)
{
    for (unsigned i = 0; i < g->leaving.count; i++) {
        struct worker_slot *s = &g->leaving.v[i];
        unsigned at = s->told ? g->crew.count : crew_find(&g->crew, s->name);

        if (at == g->crew.count || !g->crew.v[at].ready)
            continue;
        tell_one(&g->leaving, i, g->conf, g);
        crew_drain_one(&g->leaving, i, CHANNEL_DRAIN_SERVED, now_ms + g->conf->timeouts.drain_ms + GENERATION_GRACE_MS);
    }
}

/* ---- what was left behind ---- */

/* Does the pool serve all that is still served of what the dead one's pool did? */
static bool pool_covers(const struct pool *p, const struct conf *c, const struct pool *dead)
{
    for (unsigned i = 0; i < dead->conf->service_count; i++) {
        const struct conf_service *same = find_same(c, dead->conf->services[i]);

        if (same != NULL && !conf_pool_serves(p->conf, same))
            return false;
    }
    return true;
}

/* Places of the pools that go on with the same as a dead one; who is in them now, and whether anybody is, does not matter. */
struct settlement {
    const struct generation  *to;
    const struct worker_slot *dead;
    bool                      covering; /* there are such pools; else any */
    unsigned                  next;     /* the place that is asked first */
};

static bool place_fits(const struct settlement *t, const struct worker_slot *s)
{
    return s->inbox[1] != -1 && (!t->covering || pool_covers(s->pool, t->to->conf, t->dead->pool));
}

static bool places_have_room(void *arg)
{
    struct settlement *t = arg;
    const struct crew *c = &t->to->crew;

    for (unsigned i = 0; i < c->count; i++) {
        unsigned at = (t->next + i) % c->count;

        if (!place_fits(t, &c->v[at]) || !inbox_has_room(c->v[at].inbox[1]))
            continue;
        t->next = at;
        return true;
    }
    return false;
}

/* By the one that has room; if it does not take it, by any. */
static int places_take(void *arg, struct span parcel, int fd)
{
    struct settlement *t = arg;
    const struct crew *c = &t->to->crew;

    for (unsigned i = 0; i < c->count; i++) {
        unsigned at = (t->next + i) % c->count;

        if (!place_fits(t, &c->v[at]) || inbox_send(c->v[at].inbox[1], parcel, fd) == -1)
            continue;
        t->next = at + 1;
        return 0;
    }
    return -1;
}

/* False: something is left, since all are full. */
static bool empty_inbox(const struct generation *to, const struct worker_slot *dead, bool covering)
{
    struct settlement t = { .to = to, .dead = dead, .covering = covering };
    const struct inbox_taker taker = { .has_room = places_have_room, .take = places_take, .arg = &t };
    int moved;

    do
        moved = inbox_pass(dead->inbox[0], &taker);
    while (moved == 1);
    return moved == 0;
}

static bool any_covers(const struct generation *to, const struct worker_slot *dead)
{
    for (unsigned i = 0; i < to->pools.count; i++)
        if (pool_covers(&to->pools.v[i], to->conf, dead->pool))
            return true;
    return false;
}

/* Nobody will be in this place again.  As long as something waits in its inbox that nobody has room for the inbox stays,
 * and the place is due. */
static void settle_inbox(struct master *m, struct worker_slot *dead, uint64_t now_ms)
{
    if (dead->inbox[0] == -1)
        return;
    inbox_shut(dead->inbox[0]);
    if (m->phase == MASTER_RUNNING && !empty_inbox(m->serving, dead, any_covers(m->serving, dead))) {
        dead->next_start_ms = now_ms + SETTLE_AGAIN_MS;
        return;
    }
    if (m->phase == MASTER_STOPPING)
        (void)bench_fill(&m->lobby.bench, dead->inbox[0]);
    dead->next_start_ms = UINT64_MAX;
    crew_close_inbox(dead);
}

bool succession_bury(struct master *m, struct generation *g, uint64_t now_ms)
{
    bool any = false, left = false;

    for (unsigned i = 0; i < g->crew.count; i++) {
        any |= crew_bury(&g->crew, i, now_ms, g->phase == GENERATION_SERVING);
        if (g->phase == GENERATION_LEAVING && g->crew.v[i].pid == 0)
            settle_inbox(m, &g->crew.v[i], now_ms);
    }
    for (unsigned i = 0; i < g->leaving.count; i++) {
        (void)crew_bury(&g->leaving, i, now_ms, false);
        if (g->leaving.v[i].pid != 0)
            continue;
        settle_inbox(m, &g->leaving.v[i], now_ms);
        left |= g->leaving.v[i].inbox[0] == -1;
    }
    if (left)
        crew_shrink(&g->leaving);
    return any;
}
