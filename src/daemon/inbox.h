/* SPDX-License-Identifier: BSD-2-Clause */
/* An inbox: where a worker takes over the connections that others pass to it.  A message is one connection: a parcel
 * (core/parcel.h) and its descriptor, whole or not at all.  What waits in it outlives both sides, as long as somebody,
 * the master, holds it. */
#ifndef DAEMON_INBOX_H
#define DAEMON_INBOX_H

#include <stdbool.h>

#include "base/span.h"

/* The end of who takes over, then the one of who passes; non-blocking, closed on exec.  -1 with errno. */
int inbox_open(int ends[2]);

/* Never waits: -1 with errno EAGAIN (or another shortage, see inbox_is_busy) when it is full, EPIPE when nobody will ever
 * read it.  The descriptor is passed as a copy; the sender's stays the sender's. */
int inbox_send(int end, struct span parcel, int fd);
bool inbox_is_busy(int error);

/* The next one that is sent there finds place, as far as can be known before. */
bool inbox_has_room(int end);

/* 1: a message came, and *parcel lies in `to`, PARCEL_MAX bytes; the descriptor is the caller's.  0: there is none now.
 * -1 with errno: EPIPE: there will be none, EMFILE: there is no descriptor free for what comes, and nothing was taken,
 * EBADMSG: what came is no connection (it is dropped, the next call goes on). */
int inbox_receive(int end, char *to, struct span *parcel, int *fd);

/* The same without taking it: the parcel alone; it may be none. */
int inbox_peek(int end, char *to, struct span *parcel);

/* Nothing more can be passed there; what waits can still be taken out. */
void inbox_shut(int end);

/* Who takes connections over: has he room for one, and he takes it, as inbox_send does. */
struct inbox_taker {
    bool (*has_room)(void *arg);
    int  (*take)(void *arg, struct span parcel, int fd);
    void  *arg;
};

/* Passes on what waits first; nobody else may take out anything meanwhile.  It is taken out before he has it, and only when
 * he has room for it: whoever is killed between the two takes it with him, and there is never a moment in which it could be
 * found in two places.  1: he has it, or it was no connection, or it ended since he did not take it after all, which is in
 * the log.  0: nothing waits now.  -1 with errno, EAGAIN if he has no room: it stays. */
int inbox_pass(int from, const struct inbox_taker *to);

/* Nothing waits there, and nothing ever will. */
bool inbox_is_over(int end);

#endif
