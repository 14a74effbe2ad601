/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving bytes between a connection and its socket, for drivers that call the kernel themselves. */
#ifndef DRIVER_SOCK_H
#define DRIVER_SOCK_H

#include <stddef.h>

#include "core/conn_driver.h"

enum sock_flushed {
    SOCK_FLUSHED,               /* all output is with the kernel */
    SOCK_AGAIN,                 /* the budget of this turn is used up, the socket takes more */
    SOCK_BLOCKED,               /* EAGAIN */
    SOCK_COLD,                  /* the file range that is next is not in the page cache */
    SOCK_DIRECT,                /* ... is to be loaded and then sent by sock_flush_load */
    SOCK_BROKEN                 /* the connection, or a file that shrank: no more can be sent */
};

enum {
    SOCK_PIECE = 512 * 1024,    /* bytes of a file in one call: large enough to be cheap, small enough to be fair */
    SOCK_IOV = 64
};

/* Sends what is queued until it is sent, the socket blocks or a piece of a file is sent.  trust_cache: send the
 * next piece without asking whether it is cached. */
enum sock_flushed sock_flush(struct conn *c, bool trust_cache);

struct direct_load;

/* Plans the load of the file range that is next, into l->stage. */
void sock_plan_load(struct conn *c, struct direct_load *l);

/* The load came back with so many bytes, or -errno.  False: what was promised cannot be sent.  True with nothing
 * ready: a direct read was refused, and the range is to be sent another way. */
bool sock_end_load(struct conn *c, struct direct_load *l, ssize_t result);

/* Sends what is ready. */
enum sock_flushed sock_flush_load(struct conn *c, struct direct_load *l);

/* The socket takes no more for now.  Does the peer still read?  A large kernel buffer that drains slowly shows no
 * other sign for many seconds; the send timeout must not mistake it for a peer that stands still. */
void sock_note_blocked(struct conn *c);

/* Accepts one connection, with the flags of accept4(2); -1 with errno. */
int sock_accept(int listener_fd, int flags, struct peer *peer);

/* A peer that is hung up on next hears these words, if there are any and its socket takes them at once.  What it has
 * sent is read before: to close a socket with input in it takes back what was sent. */
void sock_say_last(int fd, struct span words);

/* A connection that another loop, perhaps of another model, has had: what it has set on the socket is set back. */
enum sock_manner { SOCK_BLOCKS, SOCK_DOES_NOT_BLOCK };
int sock_adopt(int fd, enum sock_manner manner);

/* On a blocking socket: how long one send may last, until it is time to look whether the peer reads. */
void sock_send_for(int fd, const struct service *s);

/* Sends n bytes of a file; moves nothing but the socket.  sendfile(2) or what comes near. */
ssize_t sock_send_file(int fd, int file_fd, off_t offset, size_t n);

/* Would reading this range of a file have to wait for a disk?  False where the kernel cannot tell. */
bool sock_file_is_cold(int file_fd, off_t offset, size_t n);

#endif
