/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring of records in memory that two processes share: one puts records in and never waits, the other takes them out.
 *
 * A record is there when the producer has moved `head` behind it: one that is killed in the middle of a record has put
 * nothing, and the next producer goes on where the last whole record ends.  Threads of the producer's process take turns
 * by a lock that is that process's own, so it dies with it.
 *
 * Neither side believes what the other wrote: positions and lengths are checked before they are followed. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    RING_CONTROL_SIZE = 4096,           /* the page in front of the records */
    RING_SIZE_MIN = 64 * 1024,          /* bytes for records, always a power of two */
    RING_SIZE_MAX = 64 * 1024 * 1024,
    RING_RECORD_MAX = 16 * 1024,        /* bytes of a record, with what the ring adds */
    RING_OWNER_SIZE = 64
};

/* What both sides see, in the first page.  Zeros are a ring that nobody has made yet. */
struct ring_shared {
    _Alignas(64) uint64_t head;         /* the producer's: bytes that were ever put in */
    uint64_t dropped;                   /* records for which there was no room */
    _Alignas(64) uint64_t tail;         /* the consumer's: bytes that it does not need any more */
    uint64_t told;                      /* of `dropped`, how many it has told somebody of */
    uint32_t deaf;                      /* it cannot take records now, and wants no bell for them */
    _Alignas(64) uint64_t size;         /* who made it: bytes for records */
    char     owner[RING_OWNER_SIZE];    /* whose records they are, for people */
};

/* How a consumer waits, which all its producers see. */
enum bell_state {
    BELL_AWAKE,                         /* it will look again by itself before it sleeps */
    BELL_NAPPING,                       /* it sleeps for a moment: urgent records wake it */
    BELL_ASLEEP                         /* every record wakes it */
};

struct bell {
    uint32_t *state;                    /* shared: enum bell_state */
    int       fd;                       /* one byte written to it wakes the consumer; it never blocks */
};

/* ---- making ---- */

/* Makes the ring in whose control page this is, or gives it another size, which is rounded up to a power of two, and
 * another owner.  No producer may live.  While records wait in it, its size stays. */
void ring_prepare(struct ring_shared *s, size_t size, const char *owner);

/* ---- putting ---- */

/* A producer's side.  It must not move. */
struct ring {
    pthread_mutex_t     lock;
    struct ring_shared *shared;
    char               *data;
    uint64_t            size, head;
    uint64_t            tail;           /* as it was last seen */
    size_t              touched;        /* the data behind this has no memory */
    struct bell         bell;
};

/* In front of the first put, in the process that puts: the ring was made.  -1 with errno EINVAL: it was not. */
int ring_join(struct ring *r, struct ring_shared *s, const struct bell *bell);

/* One record out of these parts, with a kind that is not 0 and a time by which consumers order the records of several
 * rings.  False: there was no room, and it is counted.  May be called by several threads at once. */
bool ring_put(struct ring *r, uint32_t kind, uint64_t when_us, bool urgent, const struct span *parts, unsigned count);

/* ---- taking ---- */

struct ring_reader {
    struct ring_shared *shared;         /* NULL: not open */
    const char         *data;
    uint64_t            taken;          /* read so far; it is needed no more only when ring_release was called */
};

struct ring_record {
    uint32_t kind;
    uint64_t when_us;
    size_t   n;                         /* bytes */
};

/* Of a ring that may not have been made yet. */
void ring_reader_open(struct ring_reader *r, struct ring_shared *s);

/* Is there a record?  `record` is filled in as it stands there, not checked. */
bool ring_peek(struct ring_reader *r, struct ring_record *record);

/* Copies the next record out: 1; 0: there is none.  -1: what is there is no ring's, and everything was passed over. */
int ring_take(struct ring_reader *r, struct ring_record *record, char to[RING_RECORD_MAX]);

/* What was taken makes place for more. */
void ring_release(struct ring_reader *r);

/* Bytes that wait, whether they were taken or not until now. */
uint64_t ring_waiting(const struct ring_reader *r);

/* ---- sleeping ---- */

/* How the consumer is going to wait.  After that it must look at its rings once more before it does. */
void bell_set(uint32_t *state, enum bell_state to);

#endif
