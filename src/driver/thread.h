/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads of the model blocking, one for each connection, and what they share with the main thread.
 * For driver/blocking.c, nobody else. */
#ifndef DRIVER_THREAD_H
#define DRIVER_THREAD_H

#include <pthread.h>

#include "core/conn_driver.h"
#include "driver/direct.h"
#include "driver/driver.h"
#include "driver/idlers.h"

enum { THREAD_INPUT = 16 * 1024 };      /* bytes of one receive */

enum wish { WISH_NONE, WISH_DRAIN, WISH_HALT, WISHES = 4 };    /* what is wished again is another number, modulo this */

/* All threads, and what the main thread wishes of them. */
struct threads {
    pthread_mutex_t lock;               /* guards what follows, up to wish */
    struct list     all;
    struct idlers   idlers;             /* who waits for a request and may give way */
    unsigned        count;
    unsigned        refused, leaving;   /* of these, as in a roster */
    unsigned        wish;               /* enum wish; atomic, as is shut: the main thread writes them */
    bool            shut;               /* some listener waits for a place, or for somebody who is idle */
    int             bell;               /* a byte: a thread is gone, or idle while a listener waits */
};

/* A copy of a parcel, for the thread to open. */
struct thread_parcel {
    struct parcel parcel;
    char          bytes[];
};

/* What a thread lets the main thread see of its connection: atomics, since neither waits for the other. */
struct thread_shown {
    uint64_t received, sent;
    uint32_t state;                     /* enum census_state */
};

struct thread {
    struct list            siblings;
    struct threads        *house;
    const struct service  *service;
    struct thread_parcel  *parcel;      /* another worker has had the connection; NULL: it is new, or was unpacked */
    struct env             env;
    struct conn           *conn;
    struct peer            peer;        /* changes under the lock, when a proxy has said who it is */
    uint32_t               opened_s;    /* monotonic */
    struct thread_shown    shown;
    pthread_t              id;
    int                    fd;
    unsigned               receive_ms;  /* as set on the socket; 0: for ever */
    unsigned               heard;       /* the wish */
    uint64_t               busy_since_ms;       /* heirs are; 0: they were not when they were last asked, */
    uint64_t               pass_after_ms;       /* and they are not asked again before */
    bool                   beyond;      /* there was no place for it */
    bool                   extra;       /* it is being refused, for whatever reason, and counts as such */
    bool                   leaving;     /* atomic: the main thread has asked it to give way */
    bool                   passed;      /* under the lock: an heir has the connection */
    struct heap_node       idle;
    uint64_t               idle_since;  /* atomic; 0: it is not */
    struct direct_load     load;        /* of a file that is read past the page cache */
    char                   input[THREAD_INPUT];
};

void threads_open(struct threads *h, int bell);
void threads_close(struct threads *h);

/* A thread that is not started yet, with an env made after the main thread's; NULL with errno. */
struct thread *thread_new(struct threads *h, const struct service *s, int fd, const struct peer *peer,
                          const struct env *e);

/* It goes on with a connection of another worker.  -1 with errno ENOMEM. */
int thread_take(struct thread *t, const struct parcel *p);

/* Of one that was not started. */
void thread_free(struct thread *t);

/* The whole life of a thread and its connection; it frees itself, and closes the descriptor. */
void *thread_main(void *arg);

/* Lists the connections of all; arg is the struct threads. */
void threads_survey(void *arg, struct census *c);

/* Under the lock: who has been idle for the longest time and may give way, or NULL.  thread_leave_asked makes him go. */
struct thread *thread_oldest(struct threads *h);
void thread_leave_asked(struct thread *t);

#endif
