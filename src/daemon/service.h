/* SPDX-License-Identifier: BSD-2-Clause */
/* Composition: from the configuration of services to what connections run on. */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "conf/conf.h"
#include "core/conn.h"

struct ledger;

/* The protocol of a configured service. */
const struct proto *service_proto(enum conf_protocol protocol);

/* The same over datagrams; NULL: it has no such form. */
const struct datagram_proto *service_datagram(enum conf_protocol protocol);

/* The services of a pool, with everything that they need: roots are opened, the table of media types is read.
 * The configuration must outlive the set, as must the ledger, which is shown where the status is served.
 * `notes` may be NULL.  NULL after logging every reason. */
struct service_set;
struct service_set *service_set_new(const struct conf *c, const struct conf_pool *pool, bool *notes,
                                    const struct ledger *ledger);

/* How much memory it takes to note for each root what was said about it, so that all workers together say it once. */
size_t service_notes_size(const struct conf *c);

/* The service as the listener with these places in the configuration has it, one of the pool; constant while the set
 * lives. */
const struct service *service_at(const struct service_set *s, unsigned index, unsigned listen);

/* The one with this name and protocol, which connections of another worker go on with; NULL: there is none. */
const struct service *service_find(const struct service_set *s, struct span name, struct span protocol);

/* Where each of them is counted: in the parts of this slot; before anybody is served. */
void service_count_in(struct service_set *s, const struct ledger *ledger, int slot);

/* The folders that they serve from, as open descriptors: writes at most `max` and returns how many there are. */
unsigned service_folders(const struct service_set *s, int *folders, unsigned max);

/* No connection and no file reference of these services may be left. */
void service_set_free(struct service_set *s);

#endif
