/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection as a protocol sees it: input that is lent for one call, an output queue, a deadline, an end.
 * No descriptor, no system call, no word about how bytes move.
 *
 * What a protocol may touch: its connection, the connection's env, and constant settings; nothing else, since
 * on the blocking model its functions run in many threads at once. */
#ifndef CORE_CONN_H
#define CORE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "core/env.h"
#include "core/outq.h"
#include "core/peer.h"

struct conn;
struct datagram_proto;
struct dial;
struct errand;
struct proxy_rules;

/* A protocol: what to do with bytes.  None of its functions waits, none of them frees the connection. */
struct proto {
    const char *name;
    size_t      state_size;             /* bytes of state for each connection, zeroed before open */
    bool        peer_speaks_first;
    struct span refusal;                /* optional: what a peer hears that is not let in; constant */

    void   (*open)(struct conn *c);     /* optional: the connection begins */

    /* Input came.  Returns how many bytes it took; what is left is kept and comes again, with more behind it.
     * 0: the message is incomplete.  It is called again at once while it takes bytes and bytes are left.
     * Everything that is complete should be answered before it returns 0. */
    size_t (*input)(struct conn *c, struct span in);

    void   (*eof)(struct conn *c);      /* optional: the peer will send no more and all it sent was offered to
                                         * input; else conn_finish */
    void   (*expired)(struct conn *c);  /* optional: conn_timeout ran out; else conn_abort */
    void   (*drain)(struct conn *c);    /* optional: the worker is going, end when it does no harm; else conn_finish */
    void   (*room)(struct conn *c);     /* optional: little output is left; for protocols that speak unasked */
    uint64_t (*speaks_us)(const struct conn *c);    /* optional: when it will speak unasked, by `room`: monotonic us,
                                         * UINT64_MAX: not before something comes.  Asked where a connection has a
                                         * thread of its own; elsewhere who made it has it woken (loop.wake) */
    void   (*back)(struct conn *c, struct errand *e);   /* for who has conn_errand: it is done; it goes behind this */
    void   (*close)(struct conn *c);    /* optional: the connection is over, its state is about to go */

    /* optional: the peer has what it asked for and can do without the connection, which may give way to another.  Called
     * only while no input is kept and all output is sent. */
    bool   (*idle)(const struct conn *c);

    /* optional: is it between two messages, so that another worker can go on with it?  Called only while all output is
     * sent; input that was not taken is no message yet, and travels too.  NULL: always, unless there is a state. */
    bool   (*portable)(const struct conn *c);

    /* optional, both or none: writes the state into `room` bytes, enough for PARCEL_STATE_MAX, and returns how many it
     * took; makes a zeroed state the same again, after which neither open nor a greeting is due, and says whether the
     * bytes, which may come from another version of this program, were right.  close is called in the worker that
     * passes it, and conn_passed says why. */
    size_t (*pack)(const struct conn *c, char *to, size_t room);
    bool   (*unpack)(struct conn *c, struct span state);
};

/* A service: a protocol with its settings, behind one or more listeners.  Listeners that differ in what is said here have
 * a copy each.  Constant while workers run. */
struct service {
    const char         *name;
    const struct proto *proto;          /* over connections; */
    const struct datagram_proto *datagram;      /* over datagrams: a service may have both, NULL: it has not */
    const void         *settings;       /* the protocol's own */
    size_t              message_max;    /* bytes of an incomplete message that are kept; more aborts */
    struct metric_part *part;           /* where it is counted; NULL: with its worker */
    const struct proxy_rules *proxy;    /* connections begin with a PROXY header; NULL: they do not */
    unsigned            held_ms;        /* the kernel may have kept a silent peer for so long before it was accepted */
    unsigned            send_timeout_ms;/* output that makes no progress for so long ends the connection; 0: never */
    struct dial        *dial;           /* the driver's: its connection is made, not accepted; NULL: they are accepted */
};

void                 *conn_state(struct conn *c);
struct outq          *conn_out(struct conn *c);
struct env           *conn_env(struct conn *c);
const struct service *conn_service(const struct conn *c);
const void           *conn_settings(const struct conn *c);
const void           *conn_state_const(const struct conn *c);
size_t                conn_queued(const struct conn *c);      /* bytes of output that are still to be sent */

/* The client, as far as it is known: behind a proxy that says so, not the proxy. */
const struct peer    *conn_peer(const struct conn *c);

/* From now on the peer has `ms` for what the protocol waits for; 0: as long as it likes.  Set it when a state
 * begins, not for each byte.  While output is pending the service's send timeout rules instead, and this time
 * begins anew when all is sent. */
void conn_timeout(struct conn *c, unsigned ms);

/* The time that runs ends `ms` later, but never later than if it began now. */
void conn_extend(struct conn *c, unsigned ms);

/* Has something done that may take its time (core/errand.h).  Until the protocol hears of it (back) it gets no input,
 * no end of it, and no time runs but the one for sending.  One errand at a time; it is taken over. */
void conn_errand(struct conn *c, struct errand *taken);

/* A request that was complete at `since_us` is being answered: to be said before the first byte of its answer is queued.
 * The times until the first and the last byte are with the kernel are counted. */
void conn_answers(struct conn *c, uint64_t since_us);

/* No more input is wanted.  Once all output is sent the connection lingers (RFC 9112 section 9.6): the sending
 * half is shut down and what the peer still sends is read and dropped, so that no reset destroys the last bytes. */
void conn_finish(struct conn *c);

/* The same for a peer that has announced to send no more: closed as soon as all output is sent. */
void conn_finish_now(struct conn *c);

/* Ends the connection at once; what is queued is dropped. */
void conn_abort(struct conn *c);

/* The worker is going: does another one go on with this connection between two messages?  If not, may it at least stay
 * until it ends by itself, since others serve already? */
bool conn_has_heir(const struct conn *c);
bool conn_may_stay(const struct conn *c);

/* In close: the connection is not over, it is another worker's now. */
bool conn_passed(const struct conn *c);

/* True when conn_finish, conn_finish_now or conn_abort was called. */
bool conn_ending(const struct conn *c);

#endif
