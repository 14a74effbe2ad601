/* SPDX-License-Identifier: BSD-2-Clause */
/* What the master knows, for the files that make it up: master.c (the loop), reload.c (from one generation to the
 * next), notice.c (what the service manager is told), command.c and status.c (what it does and says when iomuxctl
 * asks). */
#ifndef DAEMON_MASTER_STATE_H
#define DAEMON_MASTER_STATE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/list.h"
#include "daemon/control.h"
#include "daemon/generation.h"
#include "daemon/handed.h"
#include "daemon/health.h"
#include "daemon/ledger.h"
#include "daemon/logger_desk.h"
#include "daemon/notice.h"
#include "daemon/survey.h"

enum master_phase {
    MASTER_STARTING,            /* the first generation is not whole yet */
    MASTER_RUNNING,             /* one serves */
    MASTER_STOPPING             /* all were told to drain */
};

/* How a reload went. */
struct reload_result {
    unsigned  attempt;          /* from 1; 0: there was none */
    bool      ok;
    unsigned  generation;       /* that serves since; 0: it failed */
    time_t    when;
    uint64_t  took_ms;
    char     *errors;           /* lines; NULL: none, or memory was short */
};

struct master {
    const struct conf_options *again;   /* how the configuration is read */
    enum master_phase  phase;
    int                status;          /* to exit with */
    bool               served;          /* was RUNNING */
    int                signals;         /* the pipe */
    unsigned long      descriptors;     /* that a process may have */
    struct ledger       ledger;
    struct logger_desk  desk;
    struct handed      handed;
    struct list        generations;     /* the oldest first */
    struct generation *serving;         /* NULL: none yet; its log is the master's */
    struct generation *fresh;           /* the one that is STARTING, or NULL */
    struct generation *settling;        /* the one before, while its workers may still accept; NULL: none */
    uint64_t           settle_until_ms; /* nobody waits for them any longer */
    unsigned           last_number;     /* of a generation */
    bool               reload_wanted;
    unsigned           attempts;        /* reloads that have begun */
    uint64_t           reload_until_ms; /* then the fresh one is given up */
    struct reload_result last;
    struct control     control;
    struct survey_desk surveys;
    struct health      health;
    struct pollfd     *polled;          /* grown as needed */
    size_t             polled_room;
    uint64_t           told_ms;         /* STOPPING: since when */
    struct notice      notice;
    uint64_t           began_ms;
    time_t             began_s;         /* the same by the clock on the wall */
};

/* Reads the configuration anew and begins to start what it wants; the end comes by reload_step.  */
void reload_begin(struct master *m);

/* Opens everything of the first generation, or of a fresh one; nobody is started.  -1: every complaint is in the log and
 * in its report, and it is gone (unless it is the first). */
int reload_open(struct master *m, struct conf *taken);

/* After workers were heard and buried: goes on with the fresh generation: more workers, or the change, or the end of
 * patience.  `died`: one of its workers did. */
void reload_step(struct master *m, bool died, uint64_t now_ms);

/* May another reload begin? */
bool reload_is_idle(const struct master *m);

/* Everything ends: who waits for a reload hears that. */
void reload_cancel(struct master *m);

/* A fresh generation is given up. */
void reload_fail(struct master *m, const char *why);

/* What was gathered, one line each, for who wants to say it. */
void reload_result_free(struct reload_result *r);

/* Starts the logger; from then on the master's lines go through it, too.  -1 after logging. */
int master_log_begin(struct master *m);

/* In a new process: closes what is the master's alone, and all listening sockets but `kept`. */
void master_abandon(void *arg, const struct listen_set *kept);

/* Everything that was logged is written, and the logger ends. */
void master_log_end(struct master *m);

/* Looks after the logger. */
void master_log_step(struct master *m, uint64_t now_ms);

/* The log file and the access logs of all generations are opened again by name; `who` wants it.  False: an error was
 * logged. */
bool master_reopen(struct master *m, const char *who);

/* Everything ends; `who` wants it. */
void master_stop(struct master *m, const char *who);

/* Logs the least important level from now on, in all processes, until the next reload. */
void master_set_level(struct master *m, enum log_level level);

/* Another process takes the place of this worker, which then drains.  False, with the reason in `why`. */
bool master_replace(struct master *m, const char *worker, char *why, size_t why_size);

/* Connections of all workers now. */
uint64_t master_connections(const struct master *m);

#endif
