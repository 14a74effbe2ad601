/* SPDX-License-Identifier: BSD-2-Clause */
/* What the asking protocols share: the requests under way on a connection, and the pace. */
#ifndef PROTO_CLIENT_INNER_H
#define PROTO_CLIENT_INNER_H

#include "proto/client.h"

enum client_http_step { STEP_HEAD, STEP_LENGTH, STEP_CHUNK_LINE, STEP_CHUNK, STEP_CHUNK_END, STEP_TRAILER, STEP_TO_END };

/* An answer that is coming. */
struct client_answer {
    uint64_t left;              /* bytes of the content, or of its chunk, that are still to come */
    uint64_t at;                /* bytes of the content so far */
    uint64_t bytes;             /* of all, with its head */
    uint16_t status;
    uint8_t  step;              /* enum client_http_step */
    bool     last;              /* the connection ends behind it */
    bool     wrong;             /* its content is not what was expected */
};

/* A request that is under way. */
struct client_asked {
    uint64_t due_us;            /* when it was to be sent */
    uint64_t sent_us;           /* when it was queued */
    uint64_t until_ms;          /* of datagrams: its answer is missed then, by the clock of the loop */
};

/* The state of a connection. */
struct client {
    struct heap_node     due;
    struct conn         *conn;
    struct client_answer answer;
    uint64_t             free_us;       /* when a place for a request came free */
    unsigned             first, count;  /* of `asked`, a ring */
    bool                 has_asked;
    bool                 expects_end;   /* the last answer is complete */
    struct client_asked  asked[];       /* plan->depth */
};

static inline const struct client_settings *client_settings_of(const struct conn *c)
{
    return conn_settings(c);
}

static inline void client_count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Sends what may be sent now. */
void client_speak(struct conn *c, uint64_t now_us);

/* The oldest request is answered, by so many bytes in all. */
void client_answered(struct conn *c, uint64_t now_us, uint64_t bytes);

/* Everything under way failed for the same reason, a counter of the sheet; the connection ends. */
void client_fail(struct conn *c, uint64_t *counter);

/* The oldest will not be answered in time; the connection goes on. */
void client_lose(struct conn *c, uint64_t now_us);

/* The connection's deadline is that of its oldest request. */
void client_wait(struct conn *c);

/* Functions of their protocols. */
void     client_open(struct conn *c);
void     client_room(struct conn *c);
void     client_eof(struct conn *c);
void     client_close(struct conn *c);
void     client_expired(struct conn *c);
uint64_t client_speaks_us(const struct conn *c);

extern const struct proto client_http, client_echo, client_echo_datagrams;

#endif
