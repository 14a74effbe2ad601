/* SPDX-License-Identifier: BSD-2-Clause */
/* What the limits of a process leave to engine_aio: connections, signals, threads. */
#ifndef DRIVER_AIO_ROOM_H
#define DRIVER_AIO_ROOM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    AIO_ROOM_TRY_MS = 20,       /* between two tries while threads are short */
    AIO_ROOM_LOOK_MS = 1000     /* see aio_room_forget */
};

/* So many connections of those that are wanted, one at least.  Call it when everything else is open that stays; `open`: any
 * open descriptor. */
unsigned aio_room_connections(unsigned wanted, int open);

/* So many requests may end with a real-time signal. */
unsigned aio_room_signals(void);

/* What is known of the library's threads: it does not tell how many there are.  All zero at first. */
struct aio_room {
    unsigned peak;              /* the most requests at a time since aio_room_forget; */
    unsigned lately;            /* before that */
    unsigned waits;             /* since then */
    uint64_t forgot_ms;
    unsigned proven;            /* so many had threads when it was tried, */
    uint64_t proven_ms;         /* then */
    int      starved;           /* errno: something could not begin; see aio_room_strain */
    uint64_t try_at_ms;         /* ... for want of a thread, and is not tried before */
    uint64_t rest_until_ms;     /* ... for want of a descriptor or of memory: that is no reason to hear nobody else */
};

/* Can there be a thread for one more request than are busy?  For a newcomer, who must not take what the others need, and
 * what those need who came just before?  Where it is in doubt some threads are made, and are gone behind this. */
bool aio_room_for_request(struct aio_room *r, unsigned busy);
bool aio_room_for_newcomer(struct aio_room *r, unsigned busy, unsigned coming);

/* Threads are short: for a moment nothing is tried. */
void aio_room_starve(struct aio_room *r, int error);
bool aio_room_is_starved(const struct aio_room *r);

/* Memory or a descriptor is short, as this errno says, for one who tries again; the others go on.  Is it time to rest? */
void aio_room_rest(struct aio_room *r, int error);
bool aio_room_rests(const struct aio_room *r);

/* What was short since it was last asked, as errno; 0: nothing. */
int aio_room_strain(struct aio_room *r);

/* The library lets threads go that were idle for a second, and others may take their places: call it behind each wait, and
 * tell whether that was for AIO_ROOM_LOOK_MS.  True each time that so much has passed, and sooner after many waits. */
bool aio_room_forget(struct aio_room *r, unsigned busy, bool rested);

#endif
