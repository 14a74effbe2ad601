/* SPDX-License-Identifier: BSD-2-Clause */
/* The asking side of HTTP/1.1 and of echo, for measuring: who sends when, who waits for what, and how long it took.
 *
 * A seat is one place from which one connection after another asks.  In a closed loop it asks as soon as it may; in an
 * open one at fixed times, whatever the server does, and a request that had to wait for its turn is as old as its time:
 * what a server delays is not left out (no "coordinated omission"). */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/histogram.h"
#include "base/span.h"
#include "core/conn.h"

/* What is counted, declared once: name, what it is. */
#define CLIENT_COUNTERS(X)                                                          \
    X(sent,             "requests sent, all")                                       \
    X(answered,         "requests answered, all")                                   \
    X(measured,         "requests answered whose time lies within the measurement") \
    X(in_time,          "requests answered within the measurement, whenever sent")  \
    X(bytes,            "bytes of the answers of measured requests")                \
    X(status_2xx,       "answers with a 2xx status")                                \
    X(status_3xx,       "answers with a 3xx status")                                \
    X(status_4xx,       "answers with a 4xx status")                                \
    X(status_5xx,       "answers with a 5xx status")                                \
    X(connects,         "connections made")                                         \
    X(idle_lost,        "idle connections that the server closed")                  \
    X(refused,          "connections refused")                                      \
    X(unreachable,      "connections that failed otherwise")                        \
    X(closed,           "requests unanswered: the server closed the connection")    \
    X(reset,            "requests unanswered: the connection broke")                \
    X(timeout,          "requests unanswered in time")                              \
    X(malformed,        "answers that are not what the protocol says")              \
    X(status,           "answers with a 4xx or 5xx status")                         \
    X(content,          "answers with another content than was expected")           \
    X(unanswered,       "requests that were still unanswered at the end")

/* Of these, the errors. */
#define CLIENT_ERRORS(X) \
    X(refused) X(unreachable) X(closed) X(reset) X(timeout) X(malformed) X(status) X(content) X(unanswered)

/* What one worker has counted: in shared memory, written by all threads of the worker, read by anybody. */
struct client_sheet {
#define CLIENT_FIELD(name, help) uint64_t name;
    CLIENT_COUNTERS(CLIENT_FIELD)
#undef CLIENT_FIELD
    uint64_t         waiting;           /* requests under way now */
    uint64_t         over;              /* not 0: no more is sent */
    uint64_t         last_us;           /* when the latest answer of a measured request was complete */
    struct histogram latency;           /* of measured requests: from when they were to be sent, or were */
    struct histogram service;           /* the same from when they were sent */
    struct histogram late;              /* open loop: how late the client was, where nothing but itself held it up */
};

/* When it begins and ends, monotonic us; shared by all workers, written once, but for stop. */
struct client_times {
    uint64_t start_us;                  /* 0: not known yet */
    uint64_t measure_us, end_us;
    uint64_t stop;                      /* not 0: at once */
};

enum client_kind { CLIENT_HTTP, CLIENT_ECHO, CLIENT_ECHO_DATAGRAMS };

/* What is asked, constant. */
struct client_plan {
    enum client_kind kind;
    struct span request;                /* `depth` requests behind each other; of echo: one message */
    size_t      request_size;           /* of each */
    unsigned    depth;                  /* requests under way on a connection */
    bool        one_each;               /* a connection for each request */
    bool        head_only;              /* answers have no content: the method is HEAD */
    bool        checked;                /* the content of each answer must be */
    struct span expected;               /* this */
    double      interval_us;            /* open loop: between two requests of a seat; 0: a closed loop */
    unsigned    timeout_ms;             /* for an answer */
    const struct client_times *times;
};

/* Where a seat is in its course; only its connection of the moment touches it. */
struct client_course {
    uint64_t next;                      /* open loop: which request is next */
    double   phase_us;                  /* when the first is due, behind the start */
    uint64_t left;                      /* requests that it may still send */
    uint64_t sequence;                  /* of datagrams */
    uint64_t answers;                   /* so far */
    bool     settled;                   /* it is connected; an idle one has been answered */
};

/* The settings of the service of a seat. */
struct client_settings {
    const struct client_plan *plan;
    struct client_sheet      *sheet;
    struct client_course     *course;
    bool                      idle;     /* it asks once, and rests */
};

/* The protocol of a plan: like a constant one, but its state is as large as the depth needs. */
struct proto client_proto(const struct client_plan *plan);

/* When is the next request of a seat due?  UINT64_MAX: never again, or not known yet. */
uint64_t client_due_us(const struct client_settings *s);

/* The connection that is to be woken first, if that is due at now_us; NULL: none.  It is taken out, and says itself when
 * it wants to be woken again. */
struct conn *client_due_next(struct heap *due, uint64_t now_us);

/* They wait for the start, which is known now: all are to be woken then. */
void client_due_start(struct heap *due, uint64_t start_us);

#endif
