/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared memory between those who log and the process that writes: one file in memory (memfd_create(2)) with a bell,
 * a table of targets, and rings.  It outlives each process that maps it.
 *
 * The logger, which has no rights, can write everywhere in it.  So the master, which has many, keeps a table of targets of
 * its own, and what stands in the file is a copy for the logger: of that the master reads nothing but that an ending target
 * is free again. */
#ifndef DAEMON_LOGGER_RINGS_H
#define DAEMON_LOGGER_RINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ring.h"

enum {
    LOGGER_TARGETS = 64,                /* generations at once, and those whose last lines are not written yet */
    LOGGER_FORMAT_SIZE = 4096,          /* conf_format allows 2000 bytes */
    LOGGER_WORKERS = 16384              /* LEDGER_ROOM */
};

/* How lines look, and how they are written. */
enum logger_form {
    LOGGER_NONE,                /* there is no such log */
    LOGGER_DATED,               /* time and level before the text */
    LOGGER_PREFIXED,            /* <N> before the text: the reader adds the time (sd-daemon(3)) */
    LOGGER_JOURNAL,             /* native entries with fields */
    LOGGER_LINES                /* lines of an access log */
};

enum logger_kind { LOGGER_LOG, LOGGER_ACCESS, LOGGER_KINDS };

enum logger_use { LOGGER_FREE, LOGGER_USED, LOGGER_ENDING };

/* Where the lines of one generation go.  The logger frees one that is ending when the last line is written. */
struct logger_target {
    uint32_t use;                       /* atomic: enum logger_use */
    uint32_t order;                     /* the highest is the latest */
    uint32_t form[LOGGER_KINDS];        /* enum logger_form */
    char     path[LOGGER_KINDS][PATH_MAX];      /* "": there is none, it is stderr or the journal */
    char     format[LOGGER_FORMAT_SIZE];        /* of access lines */
};

/* What only the master and the logger see. */
struct logger_head {
    uint64_t magic;                     /* with the version of everything in the file, records included */
    uint32_t used;                      /* atomic: rings below this one are in use */
    uint32_t unused;
    uint64_t lost[LOGGER_KINDS];        /* atomic: records that were taken out and could not be written */
    struct logger_target targets[LOGGER_TARGETS];
};

struct logger_rings {
    int                 fd;             /* -1: closed */
    struct logger_head *head;           /* NULL: not mapped */
    uint32_t           *bell;           /* the state of struct bell */
    struct logger_target *own;          /* the master's table; NULL: this is not the master */
    uint32_t            orders;         /* that it gave to targets */
};

/* Makes the file; -1 with errno. */
int logger_rings_open(struct logger_rings *r);

/* Maps a file that is there; -1 with errno: it is not one of this version, for example (EINVAL).  Then it is still the
 * caller's. */
int logger_rings_map(struct logger_rings *r, int taken);

/* The same for a master that goes on with it, whose targets are to be told by logger_target_know. */
int logger_rings_adopt(struct logger_rings *r, int taken);

/* Unmaps and closes it. */
void logger_rings_close(struct logger_rings *r);

/* The number of the master's ring for log lines, and of those of the worker with this slot of the ledger. */
unsigned logger_ring_of_master(void);
unsigned logger_ring_of(unsigned slot, enum logger_kind kind);

/* Makes a ring, see ring_prepare; -1 with errno. */
int logger_ring_make(struct logger_rings *r, unsigned number, size_t size, const char *owner);

/* Maps a ring, whether it has been made or not; NULL with errno. */
struct ring_shared *logger_ring_map(const struct logger_rings *r, unsigned number);
void logger_ring_unmap(struct ring_shared *s);

/* Maps the bell alone; NULL with errno. */
uint32_t *logger_bell_map(const struct logger_rings *r);

/* In the master: a place in its table for a target, -1: there is none.  It is in use when it was shown and published. */
int logger_target_take(struct logger_rings *r);

/* ... what it was when another master had it; false: there cannot be such a target. */
bool logger_target_know(struct logger_rings *r, int target, const struct logger_target *known);

/* ... how it is used as far as the master knows; free again: the logger says so of one that is ending. */
enum logger_use logger_target_state(struct logger_rings *r, int target);

/* ... copies what the master knows of it, but for its use, to where the logger looks. */
void logger_target_show(struct logger_rings *r, int target);

/* In both: says how it is used; and what the other says. */
void logger_target_publish(struct logger_rings *r, int target, enum logger_use use);
enum logger_use logger_target_use(const struct logger_rings *r, int target);

#endif
