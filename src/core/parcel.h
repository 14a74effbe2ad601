/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection in bytes, as one worker passes it to another: what core owns of it, the state of its protocol, input that
 * was not taken yet.  The descriptor travels beside.
 *
 * The other side may be an older or a newer version of this program: bytes of another form are refused, and whoever
 * passes asks for the form first (PARCEL_FORM).  Times are those of the monotonic clock, which all processes share. */
#ifndef CORE_PARCEL_H
#define CORE_PARCEL_H

#include "base/span.h"
#include "core/conn.h"

enum {
    PARCEL_FORM = 1,            /* grows with every change of what is below, or of a state that a protocol packs */
    PARCEL_MAX = 64 * 1024,     /* bytes: a message of a Unix socket holds that everywhere */
    PARCEL_STATE_MAX = 9 * 1024,/* of a protocol's state */
    PARCEL_NAME_MAX = 64        /* of a service, of a protocol */
};

/* What is in it; the spans lie in the bytes it was opened from. */
struct parcel {
    struct span service, proto, state, kept;
    struct peer peer;
    bool        header_due;
    uint64_t    deadline_ms, progress_ms, received, sent;
    uint32_t    opened_s, timeout_ms;
};

/* May it be passed now?  It is between two messages, has no output, and fits into a parcel. */
bool conn_portable(const struct conn *c);

/* Writes a portable connection into `to`, PARCEL_MAX bytes; returns how many, 0: it cannot be written. */
size_t conn_pack(const struct conn *c, char *to);

/* False for bytes that are not exactly one parcel of this form. */
bool parcel_open(struct parcel *p, struct span bytes);

/* The connection as it was, on a service of the same protocol; nobody is greeted again.  The kept input is offered at
 * once, so there may be output.  NULL with errno: EBADMSG, ENOMEM; the descriptor is the caller's. */
struct conn *conn_unpack(struct env *e, const struct service *s, int fd, const struct parcel *p, size_t driver_size);

#endif
