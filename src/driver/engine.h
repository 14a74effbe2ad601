/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine starts an operation now and says later when it is done.  Between the two the operation, and the
 * memory that it names, belong to the engine; every operation that was started comes back exactly once,
 * except that one with `more` in its report goes on and comes back again. */
#ifndef DRIVER_ENGINE_H
#define DRIVER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/peer.h"

enum op_kind { OP_ACCEPT, OP_RECV, OP_SEND, OP_LOAD, OP_WATCH, OP_CONNECT };

struct op {
    enum op_kind kind;
    void        *owner;         /* the driver's */
    void        *mine;          /* the engine's; NULL before the first use, freed by engine_ops.forget */
    struct op   *next;          /* the engine's, as is result: of operations that it could not start (or cancel) yet */
    int          result;
};

/* An operation came back. */
struct done {
    struct op  *op;
    int         result;         /* a descriptor, bytes, readiness, or -errno */
    bool        more;           /* the operation goes on by itself */
    const char *data;           /* OP_RECV: the bytes, lent until the next wait */
    struct peer peer;           /* OP_ACCEPT */
};

struct engine {
    const struct engine_ops *ops;
    void    *self;
    struct iovec load_memory;   /* where most loads will go; iov_len 0: anywhere */
    bool     dials;             /* connections are made */
    unsigned connections_max;   /* an engine that cannot carry so many lowers it when it opens */
    int      strained;          /* errno: some operations came back undone, -EAGAIN, since the kernel takes none now;
                                 * the driver clears it */
    uint64_t calls;             /* system calls that it and its threads have made; the driver takes them */
    uint64_t strained_ms;       /* when that was last said; 0: never */
};

struct env;

/* The engine is strained and goes on by itself: one line in the log tells of it now and then. */
void engine_tell_strain(struct engine *e, const struct env *env);

struct engine_ops {
    const char *name;
    int  (*open)(struct engine *e);                     /* -1 with errno */
    /* many: may go on by itself (`more`) and bring whatever comes; else one connection, one piece, and it is done */
    void (*accept)(struct engine *e, struct op *o, int fd, bool many);
    void (*recv)(struct engine *e, struct op *o, int fd, bool many);
    void (*send)(struct engine *e, struct op *o, int fd, const struct iovec *iov, int count, bool more_follows);
    void (*load)(struct engine *e, struct op *o, int fd, void *to, size_t n, off_t offset);
    void (*watch)(struct engine *e, struct op *o, int fd);  /* done when fd is readable */
    /* the address lives as long as the operation; allowed only where engine.dials says so */
    void (*connect)(struct engine *e, struct op *o, int fd, const struct sockaddr *to, socklen_t size);
    void (*cancel)(struct engine *e, struct op *o);     /* of accept, watch, connect and a receive that goes on or is
                                                         * of datagrams: comes
                                                         * back soon, -ECANCELED or so; harmless when its last
                                                         * report is on the way already */
    /* A receive is to come back although its socket goes on: with what has come by then, or -ECANCELED. */
    void (*recall)(struct engine *e, struct op *o, int fd);
    bool (*adopted)(struct engine *e);                  /* optional: there is a connection that it has not accepted; false:
                                                         * it carries no more than connections_max, and it is to be closed */
    void (*forget)(struct engine *e, struct op *o);     /* frees `mine`; the operation is not in flight */
    void (*close_fd)(struct engine *e, int fd);         /* nothing is in flight on it */
    /* Submits what was started and waits at most timeout_ms (-1: for ever) for at least one report;
     * returns how many, -1 with errno (EINTR; any other: it cannot go on). */
    int  (*wait)(struct engine *e, struct done *out, int max, int timeout_ms);
    void (*close)(struct engine *e);
};

#endif
