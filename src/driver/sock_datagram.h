/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving datagrams between a socket and a datagram service, for drivers that call the kernel themselves: many in one
 * call, or one at a time as a thread does that waits for each. */
#ifndef DRIVER_SOCK_DATAGRAM_H
#define DRIVER_SOCK_DATAGRAM_H

#include <stdbool.h>

#include "core/conn.h"
#include "core/datagram.h"
#include "core/env.h"

enum { SOCK_LETTERS = 16 };     /* datagrams in one call; more win nothing that can be measured */

/* Buffers for `letters` datagrams (1 to SOCK_LETTERS) and their replies, 65 KiB each; NULL with errno.  A datagram
 * lives from its receipt to its reply, so one batch does for all sockets of a thread. */
struct sock_batch;
struct sock_batch *sock_batch_new(unsigned letters);
void sock_batch_free(struct sock_batch *b);

/* Receives what waits on a socket and answers it, until nothing is left (false) or a budget is used up (true: there
 * may be more).  Never waits, whatever the socket's mode.  A reply that cannot be sent now is dropped: the network
 * may lose a datagram at any time, and whoever asked will ask again. */
bool sock_serve_datagrams(struct sock_batch *b, int fd, const struct service *s, struct env *e);

/* All that waits on a socket that goes away, within reason. */
void sock_sweep_datagrams(struct sock_batch *b, int fd, const struct service *s, struct env *e);

/* The same in two steps for one datagram, with the flags of recvmsg(2) and sendmsg(2): without MSG_DONTWAIT they wait
 * where the socket does.  sock_letter_receive is -1 with errno when there is none. */
int  sock_letter_receive(struct sock_batch *b, int fd, struct env *e, int flags);
void sock_letter_answer(struct sock_batch *b, int fd, const struct service *s, struct env *e, int flags);

#endif
