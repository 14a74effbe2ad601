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

struct access_form;
struct access_source;

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

/* The target of one worker, with lines of the form, which is taken over (NULL: the caller failed to make it); NULL
 * with errno.  fd is opened with O_APPEND and stays the caller's. */
struct access_log *access_log_new(int fd, struct access_form *taken, const struct access_source *source);

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
