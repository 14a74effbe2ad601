/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection as a driver sees it: somebody to hand bytes to, to ask what it wants, and to free by one rule:
 * it is over, and nothing is in flight.
 *
 *            input, output                all output sent            peer's EOF, or linger time over
 *   OPEN ----------------------> ENDING ----------------> LINGERING ----------------------------> OVER
 *     \___________________________ conn_abort, error, send timeout ________________________________/
 *                                  conn_finish_now or EOF seen: from ENDING straight to OVER
 */
#ifndef CORE_CONN_DRIVER_H
#define CORE_CONN_DRIVER_H

#include "base/heap.h"
#include "base/list.h"
#include "core/conn.h"
#include "core/errand.h"

enum {
    CONN_OUT_LOW = 64 * 1024,       /* bytes queued: below, input goes on again */
    CONN_OUT_HIGH = 256 * 1024,     /* bytes queued: above, input is not wanted: the peer must read first */
    CONN_ITEMS_LOW = 64,            /* the same for items: a reply of few bytes still takes blocks, 4 KiB each, */
    CONN_ITEMS_HIGH = 256,          /* and a peer that pipelines and never reads must not take them all */
    CONN_LINGER_MS = 5000,          /* for the last answer to arrive; a peer that sends on after that is reset */
    CONN_LINGER_SHORT_MS = 500      /* ... of who was not let in, or has had its time */
};

enum conn_phase { CONN_OPEN, CONN_ENDING, CONN_LINGERING, CONN_OVER };

struct conn_kept;                   /* input that the protocol did not take yet */

struct conn {
    const struct service *service;
    struct outq       out;
    struct conn_kept *kept;         /* NULL most of the time */
    struct errand    *errand;       /* the same */
    uint64_t          deadline_ms;  /* of what the protocol waits for; 0: none */
    uint64_t          progress_ms;  /* when output last moved or began to wait */
    uint64_t          received, sent;   /* bytes, for people */
    uint32_t          opened_s;     /* when it began, monotonic seconds */
    unsigned          timeout_ms;   /* the span that deadline_ms came from */
    uint32_t          unacked;      /* the driver's: bytes that the kernel had not got rid of when it was last asked */
    unsigned          in_flight;    /* operations that still use this connection or its memory */
    int               fd;
    uint32_t          generation;   /* tells this connection from others that had the same fd */
    uint64_t          asked_us;     /* when those requests were complete that have not all of their answers, in all; */
    uint32_t          asked;        /* how many these are, */
    uint32_t          begun;        /* and of how many of them something has been sent */
    uint32_t          sent_turn;    /* the turn, low bits, in which output last went out */
    struct peer       peer;
    uint8_t           phase;        /* enum conn_phase */
    bool              no_linger;    /* conn_finish_now */
    bool              eof;          /* the peer shut down its sending half */
    bool              eof_told;     /* ... and the protocol knows */
    bool              paused;       /* too much output is queued for more input */
    bool              header_due;   /* the header of a proxy comes first */
    bool              opened;       /* the protocol knows of it */
    bool              counted;      /* among those of its address */
    bool              refused;      /* it was not let in */
    bool              resting;      /* it was idle when it was last looked at */
    bool              hasty;        /* it lingers for a short time only */
    bool              extra;        /* the driver's: it has no place, and is refused */
    bool              leaving;      /* the driver's: it gives way to another, which is why its input ends */
    bool              passed;       /* an heir has it */
    struct heap_node  timer;        /* the driver's: in its heap of deadlines */
    struct heap_node  idle;         /* the driver's: among those that may give way */
    struct list       siblings;     /* the driver's: all its connections */
    _Alignas(16) char state[];      /* the protocol's, then the driver's */
};

/* A new connection, opened by its protocol; driver_size bytes behind its state are the driver's (conn_driver_part),
 * zeroed.  The caller owns it until conn_free.  NULL with ENOMEM. */
struct conn *conn_new(struct env *e, const struct service *s, int fd, const struct peer *peer, size_t driver_size);
void *conn_driver_part(struct conn *c);

/* There is no place for it: it hears so in the words of its protocol and ends; without words it is over at once.  To be
 * said between two messages. */
void conn_refuse(struct conn *c);

/* Before a driver works on it: what is counted is its service's. */
/* hot */
static inline void conn_count(const struct conn *c)
{
    env_count_for(c->out.env, c->service->part);
}

/* Is anything going on with it?  To be said when the driver has done all that it can, and before it waits. */
void conn_look(struct conn *c);

/* Will somebody want to know when its output was sent? */
static inline bool conn_is_timed(const struct conn *c)
{
    return METRIC_IS_ON && c->asked > 0;
}

/* Since when it has nothing to do and may give way, monotonic ms; 0: it has. */
uint64_t conn_idle_since(const struct conn *c);

/* Bytes came; they are only lent.  While lingering they are dropped. */
void conn_input(struct conn *c, struct span in);

/* The peer will send no more.  The protocol hears of it when it has seen everything kept. */
void conn_eof(struct conn *c);

/* n bytes of the queue's front went out.  May make room for kept input: ask conn_resume. */
void conn_sent(struct conn *c, size_t n);

/* The call that moved output took its time, and the clock was read behind it: what conn_sent noted happened now. */
void conn_sent_now(struct conn *c);

/* Nothing went out, but what had gone out before moves on: the peer reads, slowly. */
void conn_moving(struct conn *c);

/* For a thread that has only this connection: does an errand that no helper has, which takes its time.  True when it has:
 * what was asked of the thread meanwhile comes before conn_resume. */
bool conn_work(struct conn *c);

/* Goes on with what was held back: an errand that is done, kept input (and a pending EOF) if output has drained enough;
 * true when that changed anything, so that there may be more to send. */
bool conn_resume(struct conn *c);

/* The connection broke (reset, unreachable ...). */
void conn_broke(struct conn *c);

/* When conn_expired wants to be called, monotonic ms; UINT64_MAX: never.  May lie later than said before, so a
 * timer that fires asks again. */
uint64_t conn_due(const struct conn *c);
void conn_expired(struct conn *c);

/* The worker is going.  Who has an heir goes on, and is to be passed as soon as he is portable (core/parcel.h). */
void conn_drain(struct conn *c);

/* An heir has taken it: it is over here, and to be freed. */
void conn_taken(struct conn *c);

/* Does it want bytes?  False while too much output is queued, or once it is ending. */
bool conn_wants_input(const struct conn *c);

/* Must the sending half be shut down now?  Then the driver does so and says conn_shut. */
bool conn_wants_shut(const struct conn *c);
void conn_shut(struct conn *c);

/* Is there nothing left to do but to free it (once nothing is in flight)? */
bool conn_over(const struct conn *c);

/* Frees it, after its protocol's close; the descriptor is the driver's. */
void conn_free(struct conn *c);

#endif
