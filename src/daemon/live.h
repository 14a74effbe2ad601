/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon says of itself by HTTP: /metrics, /status.json and the page that shows it. */
#ifndef DAEMON_LIVE_H
#define DAEMON_LIVE_H

#include "daemon/ledger.h"
#include "proto/http.h"

struct master;

/* What a worker needs to say it; `watchers` is counted. */
struct http_live live_of(const struct ledger *ledger, unsigned *watchers);

/* In the master, in each turn: what the workers are to know of it. */
void live_tell(struct master *m);

/* The text format of Prometheus, from malloc; NULL: memory is out. */
char *live_metrics(const struct ledger *t, size_t *n);

/* JSON without newlines; the same (status_live.c). */
char *live_status(const struct ledger *t, size_t *n);

/* The files of the page, made of those in share/live. */
extern const struct http_live_part live_parts[];
extern const unsigned live_part_count;

#endif
