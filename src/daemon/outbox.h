/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker is still to be told: its channel was full.  It is sent in order as soon as the worker reads; what a later
 * word makes void is dropped, so that one who never reads is owed little. */
#ifndef DAEMON_OUTBOX_H
#define DAEMON_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/channel.h"

enum { OUTBOX_MAX = 8192 };             /* all services of 256 pools are told in as many, if there are 500 */

/* Empty when it is all zero. */
struct outbox {
    struct channel_message *v;
    unsigned first, count, room;        /* those from `first` to `count` are owed */
    uint64_t again_ms;                  /* the kernel is short of something: again then; 0: when the channel can be written */
    uint64_t short_since_ms;            /* ... of room for descriptors since then; 0: it is not */
    bool     complained;                /* something had no place here, since it was empty */
};

bool outbox_is_empty(const struct outbox *o);

/* Puts one behind the others; its descriptor is taken.  -1 with errno, ENOBUFS: there are OUTBOX_MAX. */
int outbox_put(struct outbox *o, struct channel_message taken);

/* Sends what the channel takes.  Who is gone is owed nothing. */
void outbox_send(struct outbox *o, int channel, uint64_t now_ms);

/* Drops everything. */
void outbox_clear(struct outbox *o);

#endif
