/* SPDX-License-Identifier: BSD-2-Clause */
/* The workers as their master sees them: starting, hearing, telling, burying, starting again. */
#ifndef DAEMON_CREW_H
#define DAEMON_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/health.h"
#include "daemon/ledger.h"
#include "daemon/outbox.h"
#include "daemon/worker.h"

enum {
    CREW_QUICK_DEATH_MS = 10000,        /* who dies younger a second time is started again after a pause ... */
    CREW_PAUSE_MIN_MS = 100,            /* ... which doubles each time ... */
    CREW_PAUSE_MAX_MS = 5000            /* ... up to this */
};

enum { WORKER_NAME_SIZE = CONF_POOL_NAME_MAX + sizeof ".4294967295" };

/* A place for a worker; processes come and go in it. */
struct worker_slot {
    struct metric_slot base;            /* what had been counted in its slot before */
    const struct pool *pool;
    char     name[WORKER_NAME_SIZE];    /* "main.0" */
    pid_t    pid;                       /* 0: none now */
    int      channel;                   /* the master's end; -1: closed */
    int      inbox[2];                  /* where it takes connections over, and where others pass them: the master keeps
                                         * both ends, so that nothing is lost with a process; -1: none yet */
    int      ledger;                     /* its slot of the counters; -1: none */
    bool     ready;
    bool     told;                      /* to drain */
    bool     passes;                    /* ... while others serve */
    bool     was_filled;                /* this is not the first process in it */
    bool     shut;                      /* it accepts no more */
    uint64_t kill_ms;                   /* it has time until then, once it was told */
    uint64_t ready_by_ms;               /* it has to be ready by then */
    uint64_t started_ms;
    unsigned quick_deaths;              /* in a row */
    unsigned pause_ms;                  /* before the latest start again */
    uint64_t next_start_ms;             /* UINT64_MAX: not due to start */
    struct pulse pulse;
    struct outbox owed;                 /* what it is told when it has read what is in the channel */
};

/* Hears what a worker says beside being ready; a descriptor in it is the listener's. */
typedef void crew_word(void *arg, const struct worker_slot *who, const struct channel_message *m);

struct crew {
    struct worker_start common;         /* what all are told, without what is each one's own */
    crew_word          *word;           /* NULL: there is nothing else to hear */
    void               *word_arg;
    struct ledger       *ledger;
    struct worker_slot *v;
    unsigned            count;
    bool                killed;         /* by crew_kill */
};

/* Makes the places of all workers of all pools, which must outlive the crew; nobody is started.  -1 with
 * errno. */
int crew_init(struct crew *c, const struct pool_set *pools, struct ledger *ledger);
void crew_free(struct crew *c);

/* In a worker: closes the master's ends. */
void crew_abandon(struct crew *c);

/* A place needs its inbox no more. */
void crew_close_inbox(struct worker_slot *s);

/* Moves the process in a place to a new place in `leaving`, so that another can start.  -1 with errno. */
int crew_retire(struct crew *c, unsigned at, struct crew *leaving);

/* Starts a worker in an empty place; -1 after logging.  In the new process it does not return. */
int crew_start(struct crew *c, unsigned at, uint64_t now_ms);

/* Reads what a worker says. */
void crew_hear(struct crew *c, unsigned at);

/* Takes leave of a process that ended, if one did in this place: logs who, how and after how long.  With
 * `again` a time for the next start is set. */
bool crew_bury(struct crew *c, unsigned at, uint64_t now_ms, bool again);

/* Says the same to all.  Who does not read is told when he does; true for that, too.  False: he is gone; or he does not read,
 * and it is something that others can do as well, or he has not for so long that there is no place for more.  Who cannot
 * be told is named in the log. */
void crew_tell(struct crew *c, const struct channel_message *m);
bool crew_tell_one(struct crew *c, unsigned at, const struct channel_message *m);

/* What is owed is said, as far as it is read. */
void crew_tell_owed(struct crew *c, uint64_t now_ms);

/* Tells those that live, and were not told before, to drain, and gives them time until kill_ms; nobody is started
 * again. */
void crew_drain(struct crew *c, enum channel_drain how, uint64_t kill_ms);
void crew_drain_one(struct crew *c, unsigned at, enum channel_drain how, uint64_t kill_ms);

/* Who is not ready has time until then to be it. */
void crew_kill_unready(struct crew *c, uint64_t ready_by_ms);

/* Kills those whose time is over; how many these are. */
unsigned crew_kill_late(struct crew *c, uint64_t now_ms);

/* Ends all that live at once; their deaths are no errors then. */
void crew_kill(struct crew *c);

unsigned crew_alive(const struct crew *c);

/* Is there an inbox that is not closed yet? */
bool crew_has_mail(const struct crew *c);
unsigned crew_ready(const struct crew *c);

/* Does somebody accept connections? */
bool crew_accepts(const struct crew *c);
unsigned crew_ready_in(const struct crew *c, const struct pool *p);

/* Drops the places in which nobody is, and which have no inbox: of a crew whose workers are not started again. */
void crew_shrink(struct crew *c);

/* The place of a worker by its name; crew->count: there is none. */
unsigned crew_find(const struct crew *c, const char *name);

/* The earliest next start, end of patience or try to say what is owed; UINT64_MAX: none is due. */
uint64_t crew_due_ms(const struct crew *c);

#endif
