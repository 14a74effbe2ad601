/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the logger: from the rings of all processes to the targets of their records, in the order of time. */
#ifndef DAEMON_LOGGER_DRAIN_H
#define DAEMON_LOGGER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/log.h"
#include "core/access_line.h"
#include "daemon/logger_out.h"
#include "daemon/logger_rings.h"

/* A ring, seen from here. */
struct logger_source {
    struct ring_reader reader;
    struct heap_node   turn;            /* by the time of its next record */
    struct logger_out *out;             /* has what was taken and may not be released yet; NULL: nothing was */
    struct logger_out *blocked;         /* takes no more, so nothing is taken; NULL: none */
    enum logger_kind   kind;
    uint64_t           mark;            /* up to here everything is to be written: logger_drain_mark */
    uint64_t           told_ms;         /* when it was last said that records of it were dropped */
};

/* What is known of a target. */
struct logger_route {
    struct logger_out   out[LOGGER_KINDS];
    struct access_form *access;         /* NULL: there is no access log */
    bool                ending;         /* nobody puts any more: it is closed once everything was written, */
    uint64_t            end_ms;         /* or then, whatever is left */
};

struct logger_drain {
    struct logger_rings  *rings;
    struct logger_source *sources;
    unsigned              count;
    struct heap           turns;
    struct logger_route   routes[LOGGER_TARGETS];
    uint64_t             now_ms, now_us;        /* as of the latest turn */
    uint64_t              taken;        /* records, ever */
    uint64_t             told_lost;     /* of those that were lost, how many were told of, */
    uint64_t             told_lost_ms;  /* and when */
    char                  record[RING_RECORD_MAX] __attribute__((aligned(16)));
    char                  line[ACCESS_LINE_MAX];
};

/* The rings stay the caller's. */
void logger_drain_init(struct logger_drain *d, struct logger_rings *rings);
void logger_drain_free(struct logger_drain *d);

/* A target has a descriptor, which is taken over: it is new, or it was opened again; then what is still in the rings
 * goes there. */
void logger_drain_target(struct logger_drain *d, unsigned target, enum logger_kind kind, int taken);

/* A target ends, at `end_ms` at the latest. */
void logger_drain_end(struct logger_drain *d, unsigned target, uint64_t end_ms);

/* Takes what waits and writes it, as much as targets take, but not for ever: false, there may be more. */
bool logger_drain_turn(struct logger_drain *d, uint64_t now_ms);

/* Everything that is in the rings now, as far as targets take it. */
void logger_drain_all(struct logger_drain *d, uint64_t now_ms);

/* Is something there that can be written?  Of access logs, too? */
bool logger_drain_has_work(const struct logger_drain *d, bool access);

/* Does anything wait for a target that takes no more? */
bool logger_drain_is_stuck(const struct logger_drain *d);

/* When to have a turn though no record came; UINT64_MAX: never. */
uint64_t logger_drain_due_ms(const struct logger_drain *d);

/* Says what was dropped, if it is time to, or if it is the last time. */
void logger_drain_tell(struct logger_drain *d, bool last);

/* A line of the logger itself goes to the latest target; false: that takes none. */
bool logger_drain_say(struct logger_drain *d, enum log_level level, const struct log_about *about, struct span line);

#endif
