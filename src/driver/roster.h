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

struct roster {
    struct loop *loop;
    struct list  conns;
    struct heap  timers;
    unsigned     count;
    int          spare_fd;              /* given up to refuse connections when descriptors have run out */
    uint64_t     accept_after_ms;       /* no accept before: descriptors or memory are short */
    uint64_t     short_at_ms;           /* the latest failure of a shortage that was logged; 0: none */
    uint64_t     stuck_since_ms;        /* no accept has succeeded since; 0: the latest did */
};

/* From here on the loop can be asked for its connections: these. */
void roster_open(struct roster *r, struct loop *l);
void roster_close(struct roster *r);

void roster_add(struct roster *r, struct conn *c);
void roster_remove(struct roster *r, struct conn *c);

/* Call after anything happened to a connection: is it due earlier than its timer says? */
void roster_touch(struct roster *r, struct conn *c);

/* The next connection whose deadline has passed; it was told (conn_expired), and the driver goes on with it.
 * NULL: none. */
struct conn *roster_expire(struct roster *r);

/* How long the loop may wait for events, in ms for poll(2): -1 for ever. */
int roster_wait_ms(const struct roster *r);

/* May another connection be accepted? */
bool roster_has_place(const struct roster *r);

/* The worker is going: what waits in the backlog is served although the house is full, as many as this. */
enum { ROSTER_LAST_ACCEPTS = 4096 };
void roster_last_round(struct roster *r);

/* Accept failed with `error`: true when the driver should stop accepting for now and try again once
 * roster_has_place; false when it was the peer's affair and accepting goes on.  Logs a shortage once. */
bool roster_accept_failed(struct roster *r, const struct listener *l, int error);

/* Accept succeeded: a shortage is over. */
void roster_accepted(struct roster *r);

/* Descriptors of this loop are below this, whatever it accepts and opens. */
int roster_descriptors_max(const struct loop *l);

#endif
