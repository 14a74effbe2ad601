/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared memory between those who log and the process that writes: one file in memory (memfd_create(2)) with a bell,
 * a table of targets, and rings.  It outlives each process that maps it, and whoever has its descriptor finds everything
 * in it. */
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

/* Where the lines of one generation go.  The master writes it, and the logger frees it when the last line is written. */
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
    uint32_t orders;                    /* that were given to targets */
    uint64_t lost[LOGGER_KINDS];        /* atomic: records that were taken out and could not be written */
    struct logger_target targets[LOGGER_TARGETS];
};

struct logger_rings {
    int                 fd;             /* -1: closed */
    struct logger_head *head;           /* NULL: not mapped */
    uint32_t           *bell;           /* the state of struct bell */
};

/* Makes the file; -1 with errno. */
int logger_rings_open(struct logger_rings *r);

/* Maps a file that is there; -1 with errno: it is not one of this version, for example (EINVAL).  Then it is still the
 * caller's. */
int logger_rings_map(struct logger_rings *r, int taken);

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

/* A place in the table for a target, -1: there is none.  It is in use when logger_target_publish was called. */
int logger_target_take(struct logger_rings *r);
void logger_target_publish(struct logger_rings *r, int target, enum logger_use use);
enum logger_use logger_target_use(const struct logger_rings *r, int target);

#endif
