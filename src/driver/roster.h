/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of one loop: all of them, their deadlines, and whether there is a place for more.
 * Deadlines are kept lazily: a timer fires at the earliest time that was ever asked for and then asks again, so a
 * deadline that only moves away, as it does with each request, costs nothing. */
#ifndef DRIVER_ROSTER_H
#define DRIVER_ROSTER_H

#include "base/heap.h"
#include "base/list.h"
#include "core/conn_driver.h"
#include "driver/driver.h"
#include "driver/idlers.h"

enum {
    ROSTER_EXTRA_MIN = 16, ROSTER_EXTRA_MAX = 128       /* see extra_max: a quarter of the places, within these */
};

struct roster {
    struct loop *loop;
    struct list  conns;
    struct heap  timers;
    unsigned     count;
    unsigned     refused;               /* of these: hear that there is no place, and go */
    unsigned     leaving;               /* of these: give way to others, and go */
    unsigned     extra_max;             /* beyond so many of either nobody else is let in to be told, or asked to go */
    struct idlers idlers;               /* who could give way; kept while the house is crowded */
    bool         crowded;
    uint64_t     full_news_ms;          /* before that a full house is no news */
    int          spare_fd;              /* given up to refuse connections when descriptors have run out */
    uint64_t     accept_after_ms;       /* no accept before: descriptors, memory, threads are short */
    uint64_t     short_at_ms;           /* the latest failure of a shortage that was logged; 0: none */
    uint64_t     stuck_since_ms;        /* no accept has succeeded since; 0: the latest did */
    uint64_t     pass_after_ms;         /* heirs were busy: nobody is passed before, then all are looked at; 0: they were not */
    uint64_t     busy_since_ms;         /* ... and since when; 0: the latest was taken */
};

/* From here on the loop can be asked for its connections: these. */
void roster_open(struct roster *r, struct loop *l);
void roster_close(struct roster *r);

/* A new connection.  In a full house it is refused, if its protocol has words for that. */
void roster_add(struct roster *r, struct conn *c);
void roster_remove(struct roster *r, struct conn *c);

/* One that another worker has had.  It was let in there, so it is here too, be the house full or not. */
void roster_adopt(struct roster *r, struct conn *c);

/* When the worker goes: is it to be passed to an heir now?  Nothing is in flight on it but, perhaps, a receive. */
bool roster_parts(const struct roster *r, const struct conn *c);

/* It would be, if heirs had not been busy a moment ago: not worth to begin anything for so short a time. */
bool roster_awaits_heir(const struct roster *r, const struct conn *c);

/* Passes it; true: it is taken, and to be freed (conn_taken was said).  The caller must not look for its socket's events
 * any more. */
bool roster_pass(struct roster *r, struct conn *c);

/* How long to leave heirs in peace that have been busy since then. */
unsigned roster_pass_pause(uint64_t busy_since_ms, uint64_t now_ms);

/* Is it time to look at all connections again, since heirs have changed or are not busy any more? */
bool roster_reviews(struct roster *r);

/* Call after anything happened to a connection: is it due earlier than its timer says? */
void roster_touch(struct roster *r, struct conn *c);

/* The next connection whose deadline has passed; it was told (conn_expired), and the driver goes on with it.
 * NULL: none. */
struct conn *roster_expire(struct roster *r);

/* How long the loop may wait for events, in ms for poll(2): -1 for ever. */
int roster_wait_ms(const struct roster *r);

/* Is every place taken?  Those who are being refused or give way have none. */
bool roster_is_full(const struct roster *r);

/* May another connection be accepted from this listener?  There is a place, somebody idle gives way, or it can be told
 * that there is none. */
bool roster_has_place(struct roster *r, const struct listener *l);

/* The same without those who are idle: false also while descriptors or memory are short (roster_pauses). */
bool roster_pauses(const struct roster *r);
bool roster_can_refuse(const struct roster *r, const struct listener *l);

/* Call for each connection that was accepted, before it is added.  NULL: there is a place for it, or nobody is idle.
 * Else who gives way to it: its receiving half is shut down, so what it has sent already comes, then the end.  The
 * driver reads on. */
struct conn *roster_yield(struct roster *r);

/* Has a peer sent what nobody has received yet? */
bool roster_input_waits(int fd);

/* Has anybody who is to be heard? */
bool roster_hears_more(const struct roster *r);

/* The house is full, and somebody gave way or was refused: one line in the log tells of it now and then. */
void roster_tell_full(struct roster *r);

/* The worker is going: what waits in the backlog is served although the house is full, as many as this. */
enum { ROSTER_LAST_ACCEPTS = 4096 };
void roster_last_round(struct roster *r);

/* Accept failed with `error`: true when the driver should stop accepting for now and try again once
 * roster_has_place says so; false when it was the peer's affair and accepting goes on.  Logs a shortage once. */
bool roster_accept_failed(struct roster *r, const struct listener *l, int error);

/* There is not enough of something for one more connection: no accept for a moment.  True when that is news, and to be
 * logged. */
bool roster_runs_short(struct roster *r);

/* Accept succeeded: a shortage is over. */
void roster_accepted(struct roster *r);

/* Descriptors of this loop are below this, whatever it accepts and opens. */
int roster_descriptors_max(const struct loop *l);

#endif
