/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the whole daemon: one page for all workers of all generations, and who has which slot of it.
 * A slot keeps its totals when its worker is gone, and the next worker counts on: what the daemon says never goes
 * backwards, whoever comes and goes.  The page outlives the program too: it is carried over exec, and the service manager
 * keeps it over a restart, so it says in itself how it is made and which slots may still be somebody's. */
#ifndef DAEMON_LEDGER_H
#define DAEMON_LEDGER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/metric.h"
#include "daemon/shared.h"

enum { LEDGER_ROOM = 16384 };            /* workers at once, of all generations; slots never used cost nothing */

struct ledger_tail;

struct ledger {
    struct metric_slot *slots;          /* shared with the workers */
    struct ledger_tail *tail;           /* what stands behind them */
    struct shared       page;
    bool    *taken;                     /* the master's */
    unsigned used;                      /* the slots below this one have been somebody's */
};

/* -1 with errno. */
int ledger_open(struct ledger *t);

/* Goes on with a page that there is: `taken` is taken over.  `orphans`: nobody has slots but workers of an earlier master
 * that may still live.  -1 with errno; EBADMSG: it is no such page, or one of another version. */
int ledger_adopt(struct ledger *t, int taken, bool orphans);
void ledger_close(struct ledger *t);

/* In a worker. */
void ledger_abandon(struct ledger *t);

/* How a slot is laid out: pages are the same if these texts are. */
enum { LEDGER_LAYOUT_SIZE = 4096 };
void ledger_layout(char text[LEDGER_LAYOUT_SIZE]);

/* A slot that nobody has; -1 with errno EAGAIN when there is none. */
int ledger_take(struct ledger *t);
void ledger_put_back(struct ledger *t, int slot);

/* This slot is somebody's; false: there is no such slot, or it is another one's. */
bool ledger_claim(struct ledger *t, int slot);

/* Whose it is. */
void ledger_own(struct ledger *t, int slot, pid_t pid);

void ledger_sum(const struct ledger *t, struct metric_slot *sum);

/* What was counted in a slot since `base` was read from it. */
struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base);

#endif
