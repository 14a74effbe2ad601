/* SPDX-License-Identifier: BSD-2-Clause */
/* One thread's view of the world: clocks read once a turn, pools, counters.
 * Knows nothing of connections. */
#include "core/env.h"

#include <string.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "base/random.h"

/* Blocks kept for reuse: enough for a burst of replies, 1 MiB and 64 KiB at most. */
enum { SPARE_BLOCKS = 256, SPARE_ITEMS = 1024 };

void env_init(struct env *e, struct metric_slot *slot)
{
    *e = (struct env){
        .blocks = { .size = ENV_BLOCK_SIZE, .spare_max = SPARE_BLOCKS },
        .items = { .size = ENV_ITEM_SIZE, .spare_max = SPARE_ITEMS },
        .slot = slot,
        .date_s = -1,
    };
    random_fill(e->secret, sizeof e->secret);
    env_turn(e);
}

static void date_refresh(struct env *e)
{
    memcpy(e->date, "Date: ", 6);
    fmt_http_date(e->date + 6, e->now_s);
    memcpy(e->date + 6 + FMT_HTTP_DATE_SIZE, "\r\n", 2);
    e->date_s = e->now_s;
}

/* hot */
void env_turn(struct env *e)
{
    uint64_t wall_ms = clock_wall_ms();
    e->now_us = e->sent_us = clock_monotonic_us();
    e->now_ms = e->now_us / 1000;
    e->now_s = (time_t)(wall_ms / 1000);
    e->now_part_ms = (unsigned)(wall_ms % 1000);
    e->turn++;
    if (e->now_s != e->date_s)
        date_refresh(e);
}

void env_publish(struct env *e)
{
    struct metric_counts *own = e->slot != NULL ? &e->slot->total : NULL;
    metric_publish(e->part != NULL ? &e->part->total : own, &e->count, !e->shared);
}

void env_switch(struct env *e, struct metric_part *part)
{
    env_publish(e);
    e->part = part;
}

/* hot */
void env_rest(struct env *e)
{
    env_publish(e);
    if (e->slot == NULL)
        return;
    __atomic_fetch_add(&e->slot->progress, 1, __ATOMIC_RELAXED);
    metric_use_look(e->slot, e->now_ms);
}

void env_free(struct env *e)
{
    block_pool_free(&e->blocks);
    block_pool_free(&e->items);
}
