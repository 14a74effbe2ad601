/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether workers make progress: they are asked, and who does not answer is replaced. */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct crew;

struct health {
    unsigned watchdog_ms;       /* who stands still for so long is stuck; 0: nobody is */
    unsigned interval_ms;       /* between two questions */
    unsigned tell_ms;           /* between two words to the service manager; 0: it does not ask */
    uint64_t look_ms;           /* when to look at the workers next */
    uint64_t looked_ms;         /* when that was done */
    uint64_t told_ms;           /* the latest word to the service manager */
};

/* What the master knows of one process. */
struct pulse {
    unsigned silent_ms;         /* it has not answered for so long */
    uint64_t kill_ms;           /* it was asked to say where it is and end; 0: it was not */
    bool     killed;
};

/* Reads what the service manager wants to hear (WATCHDOG_USEC). */
void health_open(struct health *h, unsigned watchdog_ms, uint64_t now_ms);

/* Asks the workers, and sees to those that are stuck: a backtrace in the log, an end.  Their places are for the master
 * to fill again.  `judging` false: nobody is ended. */
void health_turn(struct health *h, struct crew *c, uint64_t now_ms, bool judging);

/* When health_turn wants to be called at the latest. */
uint64_t health_due(const struct health *h, const struct crew *c);

#endif
