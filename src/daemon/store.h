/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager keeps for us over a restart (sd_pid_notify_with_fds(3), FDSTORE=1): the listening sockets,
 * with what waits in their queues, the lobby, with the connections that wait there, and the counters.  They come back with
 * the sockets that it opened itself (daemon/handed), in no order, so each has a name: what it is tells its address. */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/handed.h"
#include "daemon/ledger.h"
#include "daemon/listen.h"
#include "daemon/lobby.h"

#define STORE_PREFIX   "kept."          /* sockets of socket units have other names */
#define STORE_COUNTERS STORE_PREFIX "counters"

struct store_one {
    char    *name;
    uint64_t inode;                     /* which socket it is: a name may have been another's */
};

/* What is there now, as far as we know. */
struct store {
    struct store_one *v;
    unsigned          count;
    uint64_t          again_ms;         /* it could not hear more: to be told again then; 0: it has heard all */
};

/* Something is there.  -1 with errno. */
int store_note(struct store *s, const char *name, uint64_t inode);

/* At the start: what was handed over and is ours moves to `kept`, and is noted.  -1 with errno. */
int store_sort(struct store *s, struct handed *handed, struct handed *kept);

/* The counters that were kept, a descriptor for the caller to close; -1: there are none. */
int store_counters(struct handed *kept);

/* From now on these sockets and counters are kept, and our own lobby and those that are not over, and nothing else.  Does
 * nothing where nobody keeps.  Never waits: what could not be said is to be said by another call. */
void store_sync(struct store *s, const struct listen_set *listens, const struct ledger *ledger, struct lobby *lobby);

/* When that has to be; UINT64_MAX: not. */
uint64_t store_due_ms(const struct store *s);

void store_free(struct store *s);

#endif
