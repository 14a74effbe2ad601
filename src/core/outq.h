/* SPDX-License-Identifier: BSD-2-Clause */
/* The output queue: what a connection still has to send, in order.  Its items are data, never callbacks:
 * copied bytes, borrowed bytes, file ranges, and marks (an access record that is due once everything before
 * it is sent).  Bytes never move once queued: the kernel may be reading them.
 * A put that fails marks the queue; the caller asks once, at the end (outq_failed). */
#ifndef CORE_OUTQ_H
#define CORE_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/span.h"

struct access;
struct env;
struct file;

enum outq_kind {
    OUTQ_COPIED,                /* bytes in this item's own block */
    OUTQ_LENT,                  /* bytes that live elsewhere: constant, or kept by `file` */
    OUTQ_FILE,                  /* a range of a file */
    OUTQ_MARK                   /* no bytes: an access record */
};

struct outq_item {
    struct outq_item *next;
    enum outq_kind    kind;
    size_t            left;     /* bytes still to send */
    const char       *p;        /* OUTQ_COPIED, OUTQ_LENT: the next byte */
    struct file      *file;     /* OUTQ_FILE, OUTQ_LENT: a reference, may be NULL for OUTQ_LENT */
    struct access    *access;   /* OUTQ_MARK */
    off_t             offset;   /* OUTQ_FILE: position of the next byte */
};

struct outq {
    struct env       *env;
    struct outq_item *head, *tail;
    size_t            bytes;    /* all that is queued */
    unsigned          items;    /* in the chain: each costs memory, however few its bytes */
    bool              failed;
};

enum { OUTQ_RESERVE_MAX = 3072 };   /* bytes: a head with generous fields; always fits a fresh block */

/* Room for n <= OUTQ_RESERVE_MAX bytes at the end of the queue, to be written and then committed;
 * NULL (and the queue is marked) when memory is out. */
char *outq_reserve(struct outq *q, size_t n);

/* Queues the first n bytes of the room that the last outq_reserve gave. */
void outq_commit(struct outq *q, size_t n);

/* Copies. */
void outq_put(struct outq *q, struct span s);

/* Borrows: the bytes must live as long as `taken` does, or, when it is NULL, as long as the process.
 * The reference is taken over, also when the put fails. */
void outq_lend(struct outq *q, struct span s, struct file *taken);

/* Queues n bytes of a file from offset on; takes over the reference, also when the put fails. */
void outq_file(struct outq *q, struct file *taken, off_t offset, size_t n);

/* Marks this place in the output with a record from the env's block pool, taken over; it is handed to the
 * access log once everything queued before it is sent. */
void outq_mark(struct outq *q, struct access *taken);

/* The leading bytes that are in memory, at most max pieces; returns how many, 0 when the queue is empty or a
 * file range is first.  *bytes: their sum. */
int outq_iov(const struct outq *q, struct iovec *iov, int max, size_t *bytes);

/* The file range that is first, or NULL when memory is first or nothing. */
struct outq_item *outq_head_file(const struct outq *q);

/* Drops n bytes from the front: they are sent. */
void outq_advance(struct outq *q, size_t n);

/* Drops everything; marks are logged with the bytes that were really sent. */
void outq_clear(struct outq *q);

static inline bool outq_failed(const struct outq *q)
{
    return q->failed;
}

#endif
