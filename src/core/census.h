/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of connections for people: who, what, how long, how much.  It keeps the first ones in the order that was asked
 * for and counts the others, so that its size is fixed however many there are.  It may lie in memory that another
 * process reads. */
#ifndef CORE_CENSUS_H
#define CORE_CENSUS_H

#include <stddef.h>
#include <stdint.h>

#include "core/peer.h"

struct conn;

enum { CENSUS_NAME_SIZE = 65 };         /* of a service: 64 bytes and a NUL */

enum census_state {
    CENSUS_IDLE,                        /* nothing is under way */
    CENSUS_READING,                     /* a request is coming in, or the first one is still to come */
    CENSUS_WORKING,                     /* a helper does something for it */
    CENSUS_SENDING,                     /* output waits for the peer */
    CENSUS_LINGERING,                   /* all is sent, the peer has not closed yet */
    CENSUS_CLOSING                      /* it is over, operations are on their way back */
};

struct census_row {
    uint64_t    received, sent;         /* bytes */
    uint32_t    age_s;
    uint32_t    state;                  /* enum census_state */
    struct peer peer;
    char        service[CENSUS_NAME_SIZE];
};

enum census_key { CENSUS_BY_AGE, CENSUS_BY_RECEIVED, CENSUS_BY_SENT, CENSUS_BY_BYTES };

struct census {
    enum census_key    key;             /* the largest come first */
    struct census_row *rows;            /* room for so many: a heap, the smallest at the top, until census_sort */
    unsigned           room, count;
    uint64_t           total;           /* that were offered */
};

void census_add(struct census *c, const struct census_row *row);

/* The largest first, for good. */
void census_sort(struct census *c);

/* What a connection is like now. */
enum census_state census_state_of(const struct conn *c);
void census_look(struct census_row *row, const struct conn *c);

/* "idle", "reading" ... */
const char *census_state_name(uint32_t state);

#endif
