/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine that a test scripts.  Operations are written down; each wait of the driver calls `step`, which
 * decides which of them come back, in which order, with which result.  No byte moves by itself.
 *
 * When an operation comes back the fake touches all memory that it names, and what was lent is gone at the
 * next wait: a sanitizer sees who frees too early or keeps too long.  What a driver may not ask of an
 * engine fails the test: to start what is in flight, to forget it, to close a descriptor under it. */
#ifndef TESTS_FAKE_ENGINE_H
#define TESTS_FAKE_ENGINE_H

#include "driver/engine.h"

enum { FAKE_OPS = 1024, FAKE_DONE = 256, FAKE_ENGINE_FDS = 1024 };

struct fake_op {
    struct op    *op;
    bool          in_flight, cancelled, recalled;
    int           fd;
    bool          many;                 /* OP_ACCEPT, OP_RECV: it may go on */
    struct iovec *iov;                  /* OP_SEND */
    int           iov_count;
    bool          more_follows;
    char         *to;                   /* OP_LOAD */
    size_t        n;                    /* OP_SEND, OP_LOAD: bytes */
    off_t         offset;
};

struct fake_output {                    /* what was "sent" to a descriptor */
    char  *p;
    size_t n;
};

struct fake_engine {
    struct engine_ops  ops;             /* given to the driver; first, so that open finds the fake */
    void             (*step)(struct fake_engine *f, int timeout_ms);
    void              *arg;
    int                open_errno, wait_errno;
    int                strain_errno;    /* each wait says that operations could not be started */
    bool               gave_up;         /* a wait failed: what is in flight stays so */

    struct fake_op    *all[FAKE_OPS];
    int                op_count;
    struct fake_output out[FAKE_ENGINE_FDS];
    char              *lent[FAKE_DONE]; /* input, until the next wait */
    int                lent_count;
    struct done        done[FAKE_DONE];
    int                done_count;
    unsigned           started[OP_CONNECT + 1];   /* by kind */
    unsigned           waits, idle_waits, closed;
    bool               is_open;
};

void fake_engine_make(struct fake_engine *f);

/* Frees what was "sent". */
void fake_engine_clear(struct fake_engine *f);

/* The operation of this kind in flight on a descriptor, or NULL; any descriptor when it is -1. */
struct fake_op *fake_op_find(struct fake_engine *f, enum op_kind kind, int fd);

/* From `step`.  The operation must be in flight.  Comes back with this result: */
void fake_return(struct fake_engine *f, struct fake_op *o, int result);

/* ... and goes on. */
void fake_return_more(struct fake_engine *f, struct fake_op *o, int result);

/* Accepts from the listener's backlog, for real; returns the descriptor. */
int fake_accept(struct fake_engine *f, int listener_fd, bool more);

/* Input of n bytes; n bytes of output went out (at most what is there); n bytes of a file's pattern were
 * read. */
void fake_receive(struct fake_engine *f, int fd, const char *bytes, size_t n, bool more);
size_t fake_send(struct fake_engine *f, int fd, size_t n);
void fake_load(struct fake_engine *f, struct fake_op *o, size_t n);

/* Returns all that a kernel would return by itself: cancelled operations, those on sockets that were shut
 * down, and loads.  Backwards: the last started first. */
void fake_return_ended(struct fake_engine *f, bool backwards);

/* Everything that was sent to this descriptor. */
void fake_check_output(struct fake_engine *f, int fd, const char *text);

#endif
