/* SPDX-License-Identifier: BSD-2-Clause */
/* The access log: one line for each reply, written when its last byte was handed to the kernel or when the
 * connection ended before that, so that the byte count is true.  Lines are gathered and written in batches. */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "core/peer.h"

enum access_format { ACCESS_COMBINED, ACCESS_JSON };

/* One reply.  `text` holds copies, cut when they are too long; the fields are offsets into it. */
struct access {
    struct peer peer;
    time_t      when_s;
    uint64_t    started_us;             /* clock_monotonic_us when the request was complete */
    uint64_t    body_bytes;             /* to be sent; made true when the connection ends early */
    const char *service;                /* of the service's name: constant */
    unsigned    status;
    uint16_t    method_n, target_n, version_n, referer_n, agent_n, host_n;
    char        text[];                 /* method target version referer agent host, without separators */
};

enum { ACCESS_TEXT_MAX = 4096 - 128 };  /* an access record lives in one block of its env */

/* The target of one worker; NULL with errno.  fd is opened with O_APPEND and stays the caller's. */
struct access_log *access_log_new(int fd, enum access_format format);

/* Goes on with another descriptor (the log was reopened); what was gathered goes to the old one first. */
void access_log_reopen(struct access_log *l, int fd);

/* Appends the line of a finished reply; `now_us` ends its duration. */
void access_log_add(struct access_log *l, const struct access *a, uint64_t now_us);

/* Writes what was gathered; returns the number of lines lost because the file did not take them. */
uint64_t access_log_flush(struct access_log *l);

/* When it wants to be flushed (monotonic ms), UINT64_MAX: nothing is gathered. */
uint64_t access_log_due(const struct access_log *l);

void access_log_free(struct access_log *l);

#endif
