/* SPDX-License-Identifier: BSD-2-Clause */
/* The access log: one record for each reply, put into a ring when its last byte was handed to the kernel or when the
 * connection ended before that, so that the byte count is true.  Another process makes lines of them. */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "core/peer.h"

struct access_facts;
struct access_source;
struct ring;

/* How long the texts of a record are at most: a longer one is cut. */
enum {
    ACCESS_METHOD_MAX = 64, ACCESS_TARGET_MAX = 2048, ACCESS_VERSION_MAX = 8, ACCESS_REFERER_MAX = 832,
    ACCESS_AGENT_MAX = 640, ACCESS_HOST_MAX = 256, ACCESS_USER_MAX = 64,
    ACCESS_TEXT_MAX = ACCESS_METHOD_MAX + ACCESS_TARGET_MAX + ACCESS_VERSION_MAX + ACCESS_REFERER_MAX +
                      ACCESS_AGENT_MAX + ACCESS_HOST_MAX + ACCESS_USER_MAX
};

/* One reply. */
struct access {
    struct peer peer;
    time_t      when_s;
    uint64_t    started_us;             /* clock_monotonic_us when the head of the request was complete */
    uint64_t    body_bytes;             /* to be sent; made true when the connection ends early */
    const char *service;                /* of the service's name: constant */
    unsigned    status;
    unsigned    nth;                    /* request on its connection, from 1 */
    uint16_t    method_n, target_n, version_n, referer_n, agent_n, host_n, user_n;
    char        text[];                 /* copies: method target version referer agent host user, without separators */
};

enum { ACCESS_RECORD = 1 };             /* the kind of its records in a ring; another layout needs another number */

/* The access log of one worker, whose records go to this target.  The ring stays the caller's.  NULL with errno. */
struct access_log *access_log_new(struct ring *ring, uint32_t target, const struct access_source *source);
void access_log_free(struct access_log *l);

/* Puts the record of a finished reply; `now_us` ends its duration.  False: there was no room.  May be called by
 * several threads at once. */
bool access_log_add(struct access_log *l, const struct access *a, uint64_t now_us);

/* A record as it came out of a ring. */
struct access_taken {
    uint32_t             target;
    uint64_t             duration_us;
    const struct access *reply;         /* in the bytes that were given */
    const char          *model, *worker;
};

/* Reads a record out of bytes that are aligned for any type, which are changed and must stay.  False: it is none. */
bool access_read(struct access_taken *t, void *bytes, size_t n);

#endif
