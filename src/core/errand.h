/* SPDX-License-Identifier: BSD-2-Clause */
/* Errands: what a protocol has to have done before it can answer, and what takes longer than a loop may wait: to hash a
 * password, to read a folder.  A helper thread does it; where the connection has a thread of its own (blocking), that
 * one does (conn_work).  Meanwhile the connection gets no input. */
#ifndef CORE_ERRAND_H
#define CORE_ERRAND_H

#include <stdbool.h>

#include "base/helper.h"

struct conn;
struct env;

/* The first member of what a protocol makes for it, and hands to conn_errand (core/conn.h). */
struct errand {
    void (*work)(struct errand *e);     /* may wait; touches this errand and constant settings, nothing else */
    void (*free)(struct errand *e);
    struct helper_job job;              /* from here on it is core's */
    struct conn      *conn;
    bool              away;             /* a helper has it */
};

struct errands;

/* The helpers of one loop; the env refers to it (env->errands).  NULL with errno. */
struct errands *errands_open(void);

/* Readable when an errand has come back; it stays so until errand_back is asked. */
int errands_fd(const struct errands *e);

/* For drivers, once a turn: the next connection whose errand has come back and that can go on, or NULL. */
struct conn *errand_back(struct env *e);

/* For drivers that halt: waits for the helpers, and all errands come back, done or not.  No more is taken. */
void errands_end(struct env *e);

/* Nothing may be away.  NULL is allowed. */
void errands_close(struct errands *e);

#endif
