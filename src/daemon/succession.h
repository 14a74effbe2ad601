/* SPDX-License-Identifier: BSD-2-Clause */
/* Succession: workers that go are told who goes on with their connections, and what was passed to a worker that is no
 * more is passed again. */
#ifndef DAEMON_SUCCESSION_H
#define DAEMON_SUCCESSION_H

#include "daemon/master_state.h"

/* All workers of `from` are told their heirs: those of `to`, for the services that are in both.  May be told again. */
void succession_tell(struct generation *from, const struct generation *to);

/* Of workers that make place for others in their own generation: they go when the other one is ready. */
void succession_retire(struct generation *g, uint64_t now_ms);

/* Takes leave of the workers that have ended; true when one of those that are not to end has. */
bool succession_bury(struct master *m, struct generation *g, uint64_t now_ms);

#endif
