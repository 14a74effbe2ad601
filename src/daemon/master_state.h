/* SPDX-License-Identifier: BSD-2-Clause */
/* What the master knows, for the files that make it up: master.c (the loop), master_start.c (how it begins),
 * reload.c and reexec.c (from one generation to the next), state_*.c (what it hands to the program that takes over),
 * notice.c (what the service manager is told), command.c and status.c (what it does and says when iomuxctl asks). */
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
#include "daemon/lobby.h"
#include "daemon/logger_desk.h"
#include "daemon/notice.h"
#include "daemon/overrides.h"
#include "daemon/program.h"
#include "daemon/store.h"
#include "daemon/survey.h"

enum {
    RELOAD_READY_MS = 30000     /* workers that are not ready by then never will be */
};

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
    const struct conf_options *again;   /* how the configuration is read, before overrides: */
    struct overrides   in_force;        /* of the running daemon, */
    struct overrides   trying;          /* of the reload that goes on, */
    struct overrides   wanted;          /* that are new in the next one, */
    struct overrides   dropped;         /* and those that are not, by their paths; or, before that, */
    bool               wanted_fresh;    /* all of them */
    const char        *program;         /* the path of what runs here; "": it is not known */
    struct program_test test;           /* of the new program with the new configuration; pid 0: none goes on */
    enum master_phase  phase;
    int                status;          /* to exit with */
    bool               served;          /* was RUNNING */
    int                signals;         /* the pipe */
    unsigned long      descriptors;     /* that a process may have */
    struct ledger       ledger;
    struct logger_desk  desk;
    struct handed      handed;
    struct handed      kept;            /* that the service manager has kept for us; until the first generation serves */
    struct store       store;           /* what it keeps now */
    struct lobby       lobby;           /* where connections wait from one daemon to the next */
    struct list        generations;     /* the oldest first */
    struct generation *serving;         /* NULL: none yet; its log is the master's */
    struct generation *fresh;           /* the one that is STARTING, or NULL */
    struct generation *settling;        /* the one before, while its workers may still accept; NULL: none */
    uint64_t           settle_until_ms; /* nobody waits for them any longer */
    uint64_t           relief_ms;       /* when to look at the sockets of places that wait; 0: none does */
    unsigned           relief_next;     /* counts who was asked to serve these */
    uint64_t           gauge_ms;        /* when to look at gauges */
    unsigned           gauged;          /* the generation of the last look, */
    unsigned           gauged_each_ms;  /* and how often it wants one; 0: when somebody asks the master */
    unsigned           last_number;     /* of a generation */
    bool               reload_wanted;
    unsigned           attempts;        /* reloads that have begun, */
    uint64_t           reload_began_ms; /* the latest when */
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

/* Begins a reload: the program, as it stands in the file system now, tests the configuration, and then takes this
 * process over.  The end comes by reload_test_step and, there, by reload_step. */
void reload_begin(struct master *m);

/* Hears the test and, when it has ended well, becomes the program; that does not come back.  All else is a failure that
 * changes nothing. */
void reload_test_step(struct master *m, uint64_t now_ms);

/* In the program that has taken over: reads the configuration and begins to start what it wants. */
void reload_go_on(struct master *m);

/* A reload has failed before there was a generation to keep its complaints, which are the lines of a text. */
void reload_fail_early(struct master *m, const char *lines, const char *why);

/* Opens everything of the first generation, or of a fresh one; nobody is started.  -1: every complaint is in the log and
 * in its report, and it is gone (unless it is the first). */
int reload_open(struct master *m, struct conf *taken);

/* The same of what was carried over: what its workers need to be told. */
void reload_adopt(struct master *m, struct generation *g);

/* After workers were heard and buried: goes on with the fresh generation: more workers, or the change, or the end of
 * patience.  `died`: one of its workers did. */
void reload_step(struct master *m, bool died, uint64_t now_ms);

/* May another reload begin? */
bool reload_is_idle(const struct master *m);

/* ... now?  Not while sockets of one that was given up are still looked after. */
bool reload_may_begin(const struct master *m);

/* Everything ends: who waits for a reload hears that. */
void reload_cancel(struct master *m);

/* A fresh generation is given up. */
void reload_fail(struct master *m, const char *why);

/* What was gathered, one line each, for who wants to say it. */
void reload_result_free(struct reload_result *r);

/* Starts the logger; from then on the master's lines go through it, too.  -1 after logging. */
int master_log_begin(struct master *m);

/* In a program that took over: the master's lines go on through the logger that was left, or, if that is of another
 * version, through a new one.  -1 after logging. */
int master_log_resume(struct master *m);

/* In a new process: closes what is the master's alone, and all listening sockets but `kept`. */
void master_abandon(void *arg, const struct listen_set *kept);

/* Everything that was logged is written, and the logger ends. */
void master_log_end(struct master *m);

/* Looks after the logger. */
void master_log_step(struct master *m, uint64_t now_ms);

/* The log file and the access logs of all generations are opened again by name; `who` wants it.  False: an error was
 * logged. */
bool master_reopen(struct master *m, const char *who);

/* Everything that can fail without a worker, before the first is forked: with a configuration, which is taken over, or
 * with the state of the program before.  -1 after saying why. */
int master_begin(struct master *m, struct conf *taken);
int master_take_over(struct master *m, int state);

/* Room for the descriptors that the loop waits for. */
size_t master_polled(const struct master *m);

/* Everything ends; `who` wants it.  `again`: it may be that the service manager starts the next daemon. */
void master_stop(struct master *m, const char *who, bool again);

/* Logs the least important level from now on, in all processes, until the next reload. */
void master_set_level(struct master *m, enum log_level level);

/* Another process takes the place of this worker, which then drains.  False, with the reason in `why`. */
bool master_replace(struct master *m, const char *worker, char *why, size_t why_size);

/* Connections of all workers now. */
uint64_t master_connections(const struct master *m);

#endif
