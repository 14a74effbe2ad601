/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of an HTTP connection, for who keeps it (http.c) and who packs it (http_parcel.c). */
#ifndef PROTO_HTTP_STATE_H
#define PROTO_HTTP_STATE_H

#include "proto/http_internal.h"

enum http_phase {
    PHASE_IDLE,                 /* nothing of a request has come, but perhaps an empty line */
    PHASE_HEAD,                 /* part of a head has come; it is kept by the connection */
    PHASE_BODY,                 /* dropping a body of known length; the head is in `head` */
    PHASE_CHUNKS,               /* dropping a chunked body; the same */
    PHASE_AWAY,                 /* the reply waits for an errand; the same */
    PHASE_EVENTS,               /* the reply goes on and on */
    PHASE_LAST                  /* the last reply is queued */
};

/* Which of the limits of time runs.  PASSED: one that another worker has set, between requests, by its settings. */
enum http_timer { TIMER_FIRST, TIMER_HEADER, TIMER_BODY, TIMER_IDLE, TIMER_PASSED };

struct http_state {
    union {
        uint64_t          opened_ms;    /* IDLE, while TIMER_FIRST runs */
        struct http_seek  seek;         /* HEAD */
        uint64_t          body_left;    /* BODY */
        const struct http_live *live;   /* EVENTS */
        struct http_chunk chunk;        /* CHUNKS */
    };
    char    *head;              /* BODY, CHUNKS, AWAY: a copy of the head */
    size_t   head_n;
    uint64_t started_us;        /* the same: when it was complete */
    unsigned answered;          /* requests on this connection */
    uint8_t  phase;             /* enum http_phase */
    uint8_t  timer;             /* enum http_timer */
    bool     skipped;           /* one empty line came before the request */
    uint32_t body_rest;         /* BODY, CHUNKS: bytes * 1000 that were not worth a millisecond yet */
};

/* As in struct proto. */
bool   http_portable(const struct conn *c);
size_t http_pack(const struct conn *c, char *to, size_t room);
bool   http_unpack(struct conn *c, struct span state);

#endif
