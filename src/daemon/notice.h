/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told: that the state of the daemon changes, and the line that `systemctl status` shows. */
#ifndef DAEMON_NOTICE_H
#define DAEMON_NOTICE_H

#include <stdint.h>

struct master;

enum { NOTICE_STATE_SIZE = 96 };

struct notice {
    char     owed[NOTICE_STATE_SIZE];   /* the latest change that it has not heard of; "": it knows all */
    uint64_t told_ms;                   /* when it was last told, or that was tried, */
    uint64_t active;                    /* and how many connections there were */
};

/* Tells it the line, with `state` before it: words of sd_notify(3) such as "READY=1", or "".  Never waits: what it
 * cannot take now it hears in a later turn, unless another change has come by then. */
void notice_tell(struct master *m, const char *state);

/* In each turn of the master: what is owed, and from time to time how many connections there are. */
void notice_turn(struct master *m, uint64_t now_ms);

/* When there has to be such a turn; UINT64_MAX: never. */
uint64_t notice_due_ms(const struct master *m);

#endif
