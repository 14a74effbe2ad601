/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics as JSON: sums by pool, worker and service, and what they come to for each request. */
#ifndef DAEMON_STATUS_FIGURES_H
#define DAEMON_STATUS_FIGURES_H

#include <jansson.h>

#include "daemon/ledger.h"

/* Counters by name: those of a service, or all. */
json_t *figures_counters(const struct metric_counts *c, enum metric_level level);

/* Arrays with an object for each pool with a model, and for each service, that there has been; with
 * the buckets of the times of requests, if they are wanted: begin, count, begin, count ... in microseconds. */
json_t *figures_pools(const struct ledger *t, bool buckets);
json_t *figures_services(const struct ledger *t);

/* What all have used, with the times of all requests. */
json_t *figures_all(const struct ledger *t);

#endif
