/* SPDX-License-Identifier: BSD-2-Clause */
/* The heirs of a worker that goes, as the master tells of them: inboxes of other workers, and the services that each of
 * them serves.  Connections are spread over them in turn.  Where nobody serves any more, the next daemon is the heir. */
#ifndef DAEMON_HEIR_LIST_H
#define DAEMON_HEIR_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "core/heirs.h"

struct heir_list;

/* For a worker with this configuration, which must outlive it; nobody is in it.  NULL with errno. */
struct heir_list *heir_list_new(const struct conf *c);
void heir_list_free(struct heir_list *h);

/* As core sees it. */
struct heirs *heir_list_face(struct heir_list *h);

/* What the messages CHANNEL_HEIRS, _SERVES and _HEIR say.  Of heirs that speak another form nothing is noted. */
void heir_list_begin(struct heir_list *h, uint32_t form);
void heir_list_serves(struct heir_list *h, uint32_t value);
void heir_list_add(struct heir_list *h, uint32_t pool, int taken);

/* Is anybody in it? */
bool heir_list_has_any(struct heir_list *h);

/* Others serve: those who are idle and have no heir may stay for a while.  No more: nobody goes on with anything. */
void heir_list_be_patient(struct heir_list *h);
void heir_list_end(struct heir_list *h);

/* From now on all that can be passed waits for the next daemon, in this lobby; no other heirs are there.  -1 with errno,
 * and then there are none at all. */
int heir_list_keep(struct heir_list *h, int lobby);
bool heir_list_keeps(struct heir_list *h);

/* ... and what waits in this inbox.  False: something is left. */
bool heir_list_fill(struct heir_list *h, int inbox);

#endif
