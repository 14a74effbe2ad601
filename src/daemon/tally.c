/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the daemon.  Owns the page; knows slots, not workers. */
#include "daemon/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tally_open(struct tally *t)
{
    *t = (struct tally){ .slots = metric_page_new(TALLY_ROOM), .taken = calloc(TALLY_ROOM, sizeof *t->taken) };
    return t->slots != NULL && t->taken != NULL ? 0 : -1;
}

void tally_close(struct tally *t)
{
    metric_page_free(t->slots, TALLY_ROOM);
    free(t->taken);
    *t = (struct tally){ 0 };
}

int tally_take(struct tally *t)
{
    unsigned at = 0;

    while (at < TALLY_ROOM && t->taken[at])
        at++;
    if (at == TALLY_ROOM) {
        errno = EAGAIN;
        return -1;
    }
    t->taken[at] = true;
    if (at >= t->used)
        t->used = at + 1;
    return (int)at;
}

void tally_put_back(struct tally *t, int slot)
{
    t->taken[slot] = false;
    __atomic_store_n(&t->slots[slot].active, 0, __ATOMIC_RELAXED);      /* its connections died with the worker */
}

void tally_sum(const struct tally *t, struct metric_slot *sum)
{
    metric_sum(t->slots, t->used, sum);
}

struct metric_slot tally_since(const struct tally *t, int slot, const struct metric_slot *base)
{
    struct metric_slot now;

    metric_sum(&t->slots[slot], 1, &now);
#define TALLY_LESS(name, help) now.total.name -= base->total.name;
    METRIC_COUNTERS(TALLY_LESS)
#undef TALLY_LESS
    now.progress -= base->progress;
    return now;
}
