/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the daemon.  Owns the page; knows slots, not workers. */
#include "daemon/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ledger_open(struct ledger *t)
{
    *t = (struct ledger){ .slots = metric_page_new(LEDGER_ROOM), .taken = calloc(LEDGER_ROOM, sizeof *t->taken) };
    return t->slots != NULL && t->taken != NULL ? 0 : -1;
}

void ledger_close(struct ledger *t)
{
    metric_page_free(t->slots, LEDGER_ROOM);
    free(t->taken);
    *t = (struct ledger){ 0 };
}

int ledger_take(struct ledger *t)
{
    unsigned at = 0;

    while (at < LEDGER_ROOM && t->taken[at])
        at++;
    if (at == LEDGER_ROOM) {
        errno = EAGAIN;
        return -1;
    }
    t->taken[at] = true;
    if (at >= t->used)
        t->used = at + 1;
    return (int)at;
}

void ledger_put_back(struct ledger *t, int slot)
{
    t->taken[slot] = false;
    __atomic_store_n(&t->slots[slot].active, 0, __ATOMIC_RELAXED);      /* its connections died with the worker */
}

void ledger_sum(const struct ledger *t, struct metric_slot *sum)
{
    metric_sum(t->slots, t->used, sum);
}

struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base)
{
    struct metric_slot now;

    metric_sum(&t->slots[slot], 1, &now);
#define LEDGER_LESS(name, help) now.total.name -= base->total.name;
    METRIC_COUNTERS(LEDGER_LESS)
#undef LEDGER_LESS
    now.progress -= base->progress;
    return now;
}
