/* SPDX-License-Identifier: BSD-2-Clause */
/* Gauges that the master looks up, for everybody to read in the ledger: how many connections wait to be accepted. */
#ifndef DAEMON_GAUGE_H
#define DAEMON_GAUGE_H

#include <stdint.h>

struct master;

/* Looks now; and in each turn, if it is time to. */
void gauge_look(struct master *m, uint64_t now_ms);
void gauge_step(struct master *m, uint64_t now_ms);

/* When it is; UINT64_MAX: never. */
uint64_t gauge_due_ms(const struct master *m);

#endif
