/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that the master shares with its workers, and that outlives the program that made it: it has a descriptor,
 * which is carried over exec.  Nobody can make it shorter. */
#ifndef DAEMON_SHARED_H
#define DAEMON_SHARED_H

#include <stddef.h>

struct shared {
    void  *at;                          /* NULL: none */
    size_t size;
    int    fd;                          /* -1: none, or this process has given it up */
};

/* Makes so much zeroed memory; pages that are never touched cost nothing.  -1 with errno. */
int shared_open(struct shared *s, const char *name, size_t size);

/* The memory behind a descriptor, which is taken over; it must have this size.  -1 with errno, and then the descriptor
 * is as it was. */
int shared_adopt(struct shared *s, int taken, size_t size);

/* In a worker: the memory stays, the descriptor goes. */
void shared_abandon(struct shared *s);

void shared_close(struct shared *s);

#endif
