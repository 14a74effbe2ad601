/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel between the master and one worker, or the logger: small messages of one size, each with a descriptor or
 * without.  A message arrives whole or not at all, in order; the death of either side is an end of file at
 * the other. */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include <stdint.h>

enum channel_kind {
    CHANNEL_READY = 1,          /* worker to master: I accept connections */
    CHANNEL_SHUT,               /* worker to master: I accept no more */
    CHANNEL_DRAIN,              /* master to worker: accept no more, finish what is there, end; `value`: enum
                                 * channel_drain */
    CHANNEL_HURRY,              /* master to worker, after DRAIN: the time for that is over */
    CHANNEL_RECLAIM,            /* master to worker: who had a share in your listeners has gone, see to them again */
    CHANNEL_SWEEP,              /* master to worker, with a descriptor: a socket that goes away, with the address
                                 * `value`: serve what waits there, close it */
    CHANNEL_LOG,                /* master to worker, with a descriptor: what is urgent is logged there from now on */
    CHANNEL_LOGGER_LOG,         /* master to logger, with a descriptor: for the log of the target `value` */
    CHANNEL_LOGGER_ACCESS,      /* the same for its access log */
    CHANNEL_LOGGER_END,         /* master to logger: nobody logs to the target `value` any more */
    CHANNEL_LOGGER_SYNC,        /* master to logger: write what was logged by now, and answer: */
    CHANNEL_LOGGER_SYNCED,      /* logger to master: with the same `value` */
    CHANNEL_LOGGER_FINISH,      /* master to logger: write everything and end */
    CHANNEL_LEVEL,              /* master to worker: value is the least important level that is logged */
    CHANNEL_SURVEY,             /* master to worker, with a descriptor: list your connections in its part `value` */
    CHANNEL_SURVEYED,           /* worker to master: the survey with this number is done */
    CHANNEL_ASK,                /* master to worker: copy metric_slot.asked to answered; with a `value`: and say */
    CHANNEL_HEIRS,              /* master to worker: forget the heirs that you have, others follow, and DRAIN behind them (also
                                 * to who has heard it before: he looks again who has an heir); they understand parcels
                                 * of the form `value` */
    CHANNEL_SERVES,             /* master to worker: services of yours that a pool of heirs serves (channel_serves) */
    CHANNEL_HEIR,               /* master to worker, with a descriptor: where a worker of the pool `value` takes
                                 * connections over */
    CHANNEL_BENCH,              /* worker to the next master, with a descriptor: where connections wait for it (bench.h) */
    CHANNEL_ALIVE,              /* worker to master: ... that I live */
    CHANNEL_LAST = CHANNEL_ALIVE
};

/* Who goes on when a worker goes. */
enum channel_drain {
    CHANNEL_DRAIN_ALONE,        /* nobody: the daemon is going */
    CHANNEL_DRAIN_SERVED,       /* others accept what waits on the listeners, but for those that are gone
                                 * (listen_set.gone) */
    CHANNEL_DRAIN_KEPT          /* the next daemon, with what can be passed and is kept for it */
};

enum {
    CHANNEL_SERVES_BITS = 16,           /* services in one message */
    CHANNEL_GROUPS = 256,               /* of so many services */
    CHANNEL_POOLS = 256
};

/* The value of CHANNEL_SERVES: services number group * CHANNEL_SERVES_BITS and behind it, in the configuration of who
 * is told, a bit for each. */
static inline uint32_t channel_serves(uint32_t pool, uint32_t group, uint32_t bits)
{
    return pool << 24 | group << 16 | bits;
}

struct channel_message {
    enum channel_kind kind;
    uint32_t          value;
    int               fd;       /* -1: none.  What was received belongs to the receiver. */
};

/* Two connected ends, non-blocking, closed on exec.  -1 with errno. */
int channel_open(int ends[2]);

/* Never waits: -1 with errno EAGAIN when the other side does not read, EPIPE when it is gone.  A descriptor
 * is passed as a copy; the sender's stays the sender's. */
int channel_send(int end, const struct channel_message *m);

/* 1: a message came.  0: there is none now.  -1 with errno: EPIPE when the other side is gone, EBADMSG when
 * what came is no message of this program (it is dropped, the next call goes on), or what recvmsg(2) said. */
int channel_receive(int end, struct channel_message *m);

/* The same, and what came stays where it is until channel_drop, also what is no message of this program; a descriptor in it
 * is a copy, and -1 with errno EMFILE says that there is none free for it: `m` has what else was said. */
int channel_peek(int end, struct channel_message *m);
void channel_drop(int end);

#endif
