/* SPDX-License-Identifier: BSD-2-Clause */
/* Relief: a worker that dies again and again is not started at once; what comes to its sockets meanwhile is served by
 * others. */
#ifndef DAEMON_RELIEF_H
#define DAEMON_RELIEF_H

#include "daemon/master_state.h"

/* In each turn, behind the burials: looks at the sockets of places that wait, if it is time to. */
void relief_step(struct master *m, uint64_t now_ms);

/* When to look; UINT64_MAX: nobody is waited for. */
uint64_t relief_due_ms(const struct master *m);

#endif
