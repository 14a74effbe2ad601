/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the whole daemon: one page for all workers of all generations, and who has which slot of it.
 * A slot keeps its totals when its worker is gone, and the next worker counts on: what the daemon says never goes
 * backwards, whoever comes and goes. */
#ifndef DAEMON_LEDGER_H
#define DAEMON_LEDGER_H

#include <stdbool.h>

#include "base/metric.h"

enum { LEDGER_ROOM = 16384 };            /* workers at once, of all generations; slots never used cost nothing */

struct ledger {
    struct metric_slot *slots;          /* shared with the workers */
    bool    *taken;                     /* the master's */
    unsigned used;                      /* the slots below this one have been somebody's */
};

/* -1 with errno. */
int ledger_open(struct ledger *t);
void ledger_close(struct ledger *t);

/* A slot that nobody has; -1 with errno EAGAIN when there is none. */
int ledger_take(struct ledger *t);
void ledger_put_back(struct ledger *t, int slot);

void ledger_sum(const struct ledger *t, struct metric_slot *sum);

/* What was counted in a slot since `base` was read from it. */
struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base);

#endif
