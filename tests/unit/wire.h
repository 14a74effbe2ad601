/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection without a socket: what a driver does, by hand, on core/conn_driver.h, with a clock that stands
 * still until a test moves it.  Input is copied for each call and freed behind it, so that a sanitizer sees
 * who reads beyond it or keeps it.
 *
 *     struct wire w;
 *     wire_init(&w);                      then, if wanted: w.env.files = ..., w.window = ...
 *     wire_open(&w, &service);
 *     wire_send(&w, SPAN("GET / HTTP/1.0\r\n\r\n"));
 *     ... wire_output(&w), wire_over(&w) ...
 *     wire_close(&w);
 */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "core/conn_driver.h"
#include "core/env.h"

enum {
    WIRE_NOW_S = 1795334047,    /* Sunday, 2026-11-22 07:54:07 UTC: the wall clock at wire_init */
    WIRE_NOW_MS = 1000000       /* the monotonic clock at wire_init */
};

struct wire_buffer {
    char  *p;
    size_t n, room;
};

struct wire {
    struct env   env;
    struct conn *conn;          /* NULL: not open, or over */
    struct peer  peer;          /* 127.0.0.1:5000; a test may set another before wire_open */
    size_t       window;        /* bytes that the peer will still read; SIZE_MAX, the default: all */
    size_t       send_max;      /* bytes that go out in one step; SIZE_MAX by default */
    size_t       sent;          /* bytes that went out since wire_open */
    bool         shut;          /* the server shut down its sending half */
    bool         over;          /* the server closed the connection */

    struct wire_buffer waiting; /* input that the connection did not want yet, as in a socket's buffer */
    bool               eof_waiting;
    struct wire_buffer output;  /* what the peer read and the test did not take yet */
};

/* Makes an env whose clock stands at WIRE_NOW_*.  Ends with wire_free. */
void wire_init(struct wire *w);

/* A new connection.  The one before must be closed; the env, its clock and its counters go on. */
void wire_open(struct wire *w, const struct service *s);

/* The peer sends: in one piece; in pieces of `step` bytes; in two pieces, the first of n bytes. */
void wire_send(struct wire *w, struct span bytes);
void wire_send_steps(struct wire *w, struct span bytes, size_t step);
void wire_send_split(struct wire *w, struct span bytes, size_t n);

/* The peer shuts down its sending half, or the connection breaks. */
void wire_eof(struct wire *w);
void wire_break(struct wire *w);

/* The peer will read n bytes more. */
void wire_read(struct wire *w, size_t n);

/* Time passes, deadline by deadline. */
void wire_pass(struct wire *w, uint64_t ms);

/* The worker is going. */
void wire_drain(struct wire *w);

/* All output since wire_open or the last wire_forget; lives until the next call.  NUL-terminated. */
struct span wire_output(const struct wire *w);
void wire_forget(struct wire *w);

/* Has the server closed the connection? */
bool wire_over(const struct wire *w);

/* Closes the connection if it is open, as a worker that halts does, and forgets its output. */
void wire_close(struct wire *w);

/* wire_close, and the env's memory.  Files and access log in the env are the test's. */
void wire_free(struct wire *w);

#endif
