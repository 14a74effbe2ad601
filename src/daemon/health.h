/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether workers make progress: they are asked, and who does not answer is replaced. */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct crew;
struct metric_slot;

struct health {
    unsigned watchdog_ms;       /* who stands still for so long is stuck; 0: nobody is */
    unsigned interval_ms;       /* between two questions */
    unsigned manager_ms;        /* the service manager waits so long for a word; 0: it does not */
    uint64_t look_ms;           /* when to look at the workers next */
    uint64_t looked_ms;         /* when that was done */
    uint64_t tell_ms;           /* when the next word to the service manager is due */
    bool     looking;           /* it is time to; in this turn: */
    unsigned elapsed_ms;        /* since the last look */
    bool     late;              /* somebody is */
};

/* What the master knows of one process. */
struct pulse {
    unsigned silent_ms;         /* it has not answered for so long */
    uint64_t kill_ms;           /* it was asked to say where it is and end; 0: it was not */
    bool     killed;
    bool     heard;             /* it has said that it lives, since the last look */
};

/* Reads what the service manager wants to hear (WATCHDOG_USEC). */
void health_open(struct health *h, unsigned watchdog_ms, uint64_t now_ms);

/* Another program has taken over in this process: nothing is said, and the next word is due as it was. */
void health_resume(struct health *h, unsigned watchdog_ms, uint64_t now_ms);

/* Another configuration rules. */
void health_set(struct health *h, unsigned watchdog_ms, uint64_t now_ms);

/* A process is about to begin with this slot. */
void health_start(struct metric_slot *m);

/* A turn, in which all crews are looked at: who is asked, who is stuck; such are to leave a backtrace in the log and to
 * end, and their places are for the master to fill again.  `judging` false: nobody is ended. */
void health_begin(struct health *h, uint64_t now_ms);
void health_look(struct health *h, struct crew *c, uint64_t now_ms, bool judging);
void health_end(struct health *h, uint64_t now_ms);

/* When there has to be a turn at the latest; UINT64_MAX: never. */
uint64_t health_due_ms(const struct health *h);
uint64_t health_crew_due_ms(const struct crew *c);

#endif
