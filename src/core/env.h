/* SPDX-License-Identifier: BSD-2-Clause */
/* What a handler may know of the world.  There is one env for each thread of execution, so nothing
 * in it needs a lock: the time, memory to build replies in, open files, counters. */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/block.h"
#include "base/log.h"
#include "base/metric.h"

struct access_log;
struct errands;
struct file_cache;
struct heap;
struct heirs;
struct rate;
struct tally;
struct verified;

enum {
    ENV_BLOCK_SIZE = 4096,      /* output is built in blocks of a page: a reply's head and small body fit one */
    ENV_ITEM_SIZE = 64,         /* what describes borrowed bytes or a file range in an output queue */
    ENV_DATE_SIZE = 37          /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
};

struct env {
    uint64_t now_ms;            /* monotonic, read once a turn */
    uint64_t now_us;            /* the same moment */
    uint64_t sent_us;           /* when output was last sent; not before now_us */
    time_t   now_s;             /* wall clock, read once a turn, */
    unsigned now_part_ms;       /* and how far into that second it is */
    uint64_t turn;              /* grows each turn, and within one for who asks again: what was checked at it is fresh */
    time_t   date_s;            /* the second that `date` shows */
    char     date[ENV_DATE_SIZE];

    uint64_t secret[2];         /* random: a key for what nobody may guess */
    uint32_t generation;        /* of the newest connection */
    bool     draining;          /* the worker is going: the next reply on a connection is its last */

    struct block_pool  blocks;  /* of ENV_BLOCK_SIZE */
    struct block_pool  items;   /* of ENV_ITEM_SIZE */
    struct file_cache *files;   /* NULL: every lookup opens */
    struct access_log *access;  /* NULL: no access log */
    struct errands    *errands; /* NULL: who has an errand does it himself */
    struct heirs      *heirs;   /* who goes on with its connections when the worker goes; NULL: nobody ever */
    struct verified   *verified;/* credentials found right; NULL: each is checked */
    struct rate       *rate;    /* datagram answers for each address; NULL: no limit */
    struct rate       *request_rate;    /* requests of each address; NULL: no limit */
    struct heap       *due;     /* connections that will speak unasked, by monotonic us; NULL: nobody wakes them */
    struct tally      *tally;   /* connections of each address; NULL: no limit */

    struct metric_counts count; /* since the last publication */
    struct metric_slot  *slot;  /* where to; may be NULL */
    struct metric_part  *part;  /* whose they are: a service's; NULL: nobody's but the worker's */
    bool                 shared;/* others count in the same places at the same time */
    struct log_about     about; /* worker and model, for log lines */
};

/* What is counted from here on is this service's; NULL: it belongs to none. */
void env_switch(struct env *e, struct metric_part *part);

/* hot */
static inline void env_count_for(struct env *e, struct metric_part *part)
{
    if (e->part != part)
        env_switch(e, part);
}

/* Makes an env ready for use; slot may be NULL. */
void env_init(struct env *e, struct metric_slot *slot);

/* Begins a turn: reads the clocks, once for everything that happens in it. */
void env_turn(struct env *e);

/* Ends a turn, before sleeping: publishes counters. */
void env_rest(struct env *e);

/* Publishes counters; env_rest does so too. */
void env_publish(struct env *e);

/* Frees spare memory; everything that came from this env must have been given back. */
void env_free(struct env *e);

#endif
