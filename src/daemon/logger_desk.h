/* SPDX-License-Identifier: BSD-2-Clause */
/* The logger as the master sees it: the file with the rings, the bell, the process, and what it is told.
 *
 * A master that takes over from another needs what logger_desk_describe gives, and the targets that are in rings.own. */
#ifndef DAEMON_LOGGER_DESK_H
#define DAEMON_LOGGER_DESK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/logger.h"
#include "daemon/logger_rings.h"
#include "daemon/priv.h"

enum {
    LOGGER_FINISH_MS = 5000,            /* for what is left at the end; then it is killed */
    LOGGER_FORMERS = 16                 /* of so many programs before this one workers may still be there */
};

struct listen_set;

struct logger_desk {
    struct logger_rings rings;
    struct ring         own;            /* the master's lines */
    int                 bell[2];        /* a pipe: whoever puts records has its writing end */
    int                 channel;        /* -1: nobody to talk to */
    pid_t               pid;            /* 0: there is none now */
    pid_t               former[LOGGER_FORMERS]; /* that write what workers of other programs log; 0: none */
    bool                started;        /* there was one: lines go to the ring */
    uint64_t            started_ms;
    uint64_t            next_start_ms;  /* UINT64_MAX: not due to start */
    unsigned            pause_ms;       /* before the latest start again */
    uint32_t            syncs;          /* that were asked for */
    unsigned            unheard;        /* messages that found no place; 0: it knows everything */
    uint64_t            again_ms;       /* else when to tell everything again */
};

/* How it is started, each time. */
struct logger_how {
    const struct priv *priv;
    enum conf_sandbox  sandbox;
    int                errors;          /* where it says what it cannot log */
    /* In the new process: closes what is the master's alone. */
    void             (*abandon)(void *arg, const struct listen_set *kept);
    void              *abandon_arg;
};

void logger_desk_init(struct logger_desk *d);

/* Makes the file, the bell and the master's ring; nobody is started.  -1 with errno. */
int logger_desk_open(struct logger_desk *d);
void logger_desk_close(struct logger_desk *d);

/* What survives exec(2) if it is kept open. */
struct logger_legacy {
    int   rings, bell_read, bell_write, channel;
    pid_t pid;
};

void logger_desk_describe(const struct logger_desk *d, struct logger_legacy *to);

/* Goes on with what another master had.  -1 with errno: it is none of this version, and the descriptors are still the
 * caller's; then a desk is to be opened, and the logger that was left ends when they are closed and the last of its workers
 * has gone. */
int logger_desk_adopt(struct logger_desk *d, const struct logger_legacy *from);

/* This one was left, and is a child of this process; 0 is none. */
void logger_desk_leave(struct logger_desk *d, pid_t former);

/* ---- targets ---- */

/* Where the lines of a configuration go: `l` is open, and so is the access log, if it is a file; both stay the caller's.
 * The number of the target, -1 with errno. */
int logger_desk_add(struct logger_desk *d, const struct conf *c, const struct logger *l, int access_fd);

/* The file was opened again. */
void logger_desk_again(struct logger_desk *d, int target, enum logger_kind kind, int fd);

/* Nobody logs there any more; -1 is no target. */
void logger_desk_end(struct logger_desk *d, int target);

/* ---- the process ---- */

/* Starts one and tells it everything; -1 after logging, and then it is tried again later. */
int logger_desk_start(struct logger_desk *d, const struct logger_how *how, uint64_t now_ms);

/* Takes leave of one that has ended, hears what it says, tells again what found no place. */
void logger_desk_look(struct logger_desk *d, uint64_t now_ms);

/* When to look or to start one, if nothing happens before; UINT64_MAX: never. */
uint64_t logger_desk_due_ms(const struct logger_desk *d);

/* Is it time to start one? */
bool logger_desk_is_due(const struct logger_desk *d, uint64_t now_ms);

/* What was logged by now is written when it returns, if the logger is not held up for long. */
void logger_desk_sync(struct logger_desk *d);

/* Everything is to be written, and the process to end; waits for that, LOGGER_FINISH_MS at most.  False: it died before
 * it was through, and another one would find what it has left. */
bool logger_desk_finish(struct logger_desk *d);

/* Lines of the master for which there was no room. */
uint64_t logger_desk_dropped(const struct logger_desk *d);

/* Records that could not be written, in all. */
uint64_t logger_desk_lost(const struct logger_desk *d, enum logger_kind kind);

/* ---- workers ---- */

/* Makes the rings of the worker that is to have this slot of the ledger; -1 with errno. */
int logger_desk_prepare(struct logger_desk *d, unsigned slot, size_t size, const char *worker);

/* In the worker: its rings, each in `rings`; what is the master's is closed.  -1 with errno. */
int logger_desk_enter(struct logger_desk *d, unsigned slot, struct ring rings[LOGGER_KINDS]);

#endif
