/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the logger writes: lines or entries are gathered, and written many at once.  What a target does not take stays,
 * in order, until it does. */
#ifndef DAEMON_LOGGER_OUT_H
#define DAEMON_LOGGER_OUT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "daemon/logger_rings.h"

struct logger_out {
    enum logger_form form;              /* LOGGER_NONE: there is no such target */
    int      fd;
    int      cause;                     /* errno of what keeps it from taking more; EAGAIN: it is full; 0: nothing */
    bool     told;                      /* somebody was told that it fails */
    uint64_t retry_ms;                  /* when to try again, whatever poll(2) says */
    char    *buffer;
    size_t   n, sent;                   /* bytes gathered, and of them those that it has */
    size_t  *ends;                      /* of the entries, where each is a datagram */
    unsigned count, next;               /* entries gathered, and the first that it has not */
    uint64_t refused;                   /* entries that are too large for it */
};

/* Begins with a descriptor, which is taken over.  -1 with errno, and then it was closed. */
int logger_out_open(struct logger_out *o, enum logger_form form, int taken);

/* Goes on with another one.  What the old one does not take goes to the new one, but for the end of a line that is in
 * the old one by half. */
void logger_out_replace(struct logger_out *o, int taken, uint64_t now_ms);

/* Closes it; how many lines were gathered and are lost. */
uint64_t logger_out_close(struct logger_out *o);

/* Where the next line or entry may be written, with room for the largest; NULL: it takes no more now. */
char *logger_out_room(struct logger_out *o, uint64_t now_ms);

/* It was written up to `end`. */
void logger_out_add(struct logger_out *o, char *end);

/* Writes what was gathered.  True: all of it. */
bool logger_out_flush(struct logger_out *o, uint64_t now_ms);

/* Should poll(2) say when it takes more?  Else time does. */
static inline bool logger_out_waits(const struct logger_out *o)
{
    return o->cause == EAGAIN;
}

#endif
