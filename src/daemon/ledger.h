/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of the whole daemon: one piece of memory for all workers of all generations, and who has which slot of
 * it.  A slot keeps its totals when its worker is gone, and the next worker of that name and model counts on: what the
 * daemon says of anything never goes backwards, whoever comes and goes.  Beside its slot each worker has a part for each
 * service that it serves.
 *
 * The master gives slots and parts; workers write into theirs, and may look at all others.  The memory outlives the
 * program: it is carried over exec, and the service manager keeps it over a restart, so it says in itself how it is laid
 * out. */
#ifndef DAEMON_LEDGER_H
#define DAEMON_LEDGER_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/metric.h"
#include "daemon/shared.h"

enum {
    LEDGER_ROOM = 16384,                /* workers at once, of all generations; slots never used cost nothing */
    LEDGER_PARTS = 16384,               /* services in workers; beyond, what a service does is the worker's alone */
    LEDGER_GAUGED = 4096,               /* services that gauges are told of, also of earlier configurations */
    LEDGER_NAME_SIZE = 64 + 1           /* of services; those of workers, pools and models are shorter */
};

/* Whose a slot is, or was. */
struct ledger_owner {
    char     worker[LEDGER_NAME_SIZE], pool[LEDGER_NAME_SIZE], model[LEDGER_NAME_SIZE];
    unsigned generation;
    pid_t    pid;                       /* 0: nobody's */
};

/* What the master says of the daemon; it writes that, workers read it. */
struct ledger_life {
    time_t   began_s;
    unsigned generation;                /* that serves */
    uint64_t reloads_ok, reloads_failed;
    unsigned attempt;                   /* the last reload, of those that have ended; 0: none */
    time_t   reload_s;                  /* when it ended */
    uint64_t reload_ms;                 /* and how long it took */
    bool     reload_ok;
    uint64_t log_lost, access_lost;     /* lines that nobody will read, beside those that workers count */
};

/* Something that has happened; the latest are kept. */
enum { LEDGER_EVENTS = 64 };

struct ledger_event {
    uint64_t number;                    /* from 1; 0: none */
    uint64_t wall_ms;
    char     what[24];                  /* "worker-ready", as in the log */
    char     whom[LEDGER_NAME_SIZE];
};

struct ledger_register;

struct ledger {
    struct metric_slot *slots;          /* shared with the workers, as are: */
    struct ledger_register *names;
    struct metric_part *parts;
    struct shared       page;           /* all of these */
    bool    *taken;                     /* the master's, as are: */
    struct ledger_register *own;        /* what it believes, whatever others write into `names`; NULL: in a worker */
    unsigned used;                      /* the slots below this one have been somebody's */
    uint64_t look_ms;                   /* when ledger_reclaim is due; UINT64_MAX: there are no orphans */
};

/* -1 with errno. */
int ledger_open(struct ledger *t);

/* Goes on with memory that there is: `taken` is taken over.  `orphans`: nobody has slots but workers of an earlier master
 * that may still live; else it is the caller's to know that the layout is the same.  -1 with errno; EBADMSG: it is no such
 * memory, or that of another version. */
int ledger_adopt(struct ledger *t, int taken, bool orphans);
void ledger_close(struct ledger *t);

/* In a worker. */
void ledger_abandon(struct ledger *t);

/* How it is laid out: what one program wrote another can go on with if these texts are the same. */
enum { LEDGER_LAYOUT_SIZE = 4096 };
void ledger_layout(char text[LEDGER_LAYOUT_SIZE]);

/* A slot for a worker; -1 with errno EAGAIN when there is none. */
int ledger_take(struct ledger *t, const struct ledger_owner *who);
void ledger_put_back(struct ledger *t, int slot);

/* Takes back the slots of workers that another master had started and that are gone. */
void ledger_reclaim(struct ledger *t, uint64_t now_ms);

/* This slot is somebody's already; false: there is no such slot, or it is another one's. */
bool ledger_claim(struct ledger *t, int slot);

/* Its process. */
void ledger_own(struct ledger *t, int slot, pid_t pid);

/* The slot's worker serves this one; in the worker: where it is counted, NULL: with the worker. */
void ledger_serve(struct ledger *t, int slot, const char *service);
struct metric_part *ledger_part(const struct ledger *t, int slot, const char *service);

/* In the master: how it is; what has happened to whom. */
void ledger_live(struct ledger *t, const struct ledger_life *life);
void ledger_note(struct ledger *t, const char *what, const char *whom);

/* ... and what its services have now.  What nobody tells of since ledger_forget_gauges is not known. */
void ledger_tell_gauges(struct ledger *t, const char *service, const struct metric_gauges *now);
void ledger_forget_gauges(struct ledger *t);

/* The same for whoever looks; an event by its number, false: it is not there, or no longer. */
struct ledger_life ledger_life_of(const struct ledger *t);
bool ledger_event_at(const struct ledger *t, uint64_t number, struct ledger_event *e);
uint64_t ledger_last_event(const struct ledger *t);

/* What a service has now; false: that is not known. */
bool ledger_gauges_of(const struct ledger *t, const char *service, struct metric_gauges *now);

/* Sums of everything that fits.  Members that are NULL do not matter; `slot`: -1. */
struct ledger_query {
    const char *worker, *pool, *model, *service;
    int         slot;
};

/* 22 KiB: not for every stack. */
struct ledger_figures {
    struct metric_counts counts;
    struct metric_times  times;
    struct metric_usage  used;
    uint64_t             active;        /* connections open now */
    unsigned             workers;       /* that live */
};

/* With a service: without what belongs to none. */
void ledger_gather(const struct ledger *t, const struct ledger_query *which, struct ledger_figures *sum);

/* Counters, turns and connections of all; of one slot. */
void ledger_sum(const struct ledger *t, struct metric_slot *sum);
void ledger_read(const struct ledger *t, int slot, struct metric_slot *sum);

/* What was counted in a slot since `base` was read from it. */
struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base);

/* Copies of whose a slot is or was, and of whose part of which slot that is, by numbers from 0; false: no more, or, of
 * ledger_server, nobody's.  The others may write there at any time: only a copy has an end, and stays as it was looked at. */
bool ledger_nth(const struct ledger *t, unsigned slot, struct ledger_owner *o);
bool ledger_service(const struct ledger *t, unsigned part, char name[LEDGER_NAME_SIZE]);
bool ledger_server(const struct ledger *t, unsigned part, struct ledger_owner *o);

/* Is an earlier slot of the same pool and model, an earlier part of the same service? */
bool ledger_has_pool(const struct ledger *t, unsigned below, const struct ledger_owner *o);
bool ledger_has_service(const struct ledger *t, unsigned below, const char *service);

#endif
