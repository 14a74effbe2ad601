/* SPDX-License-Identifier: BSD-2-Clause */
/* Helper threads that read file ranges into the page cache, so that a loop never waits for a disk: it parks the
 * connection, asks for the range, and sends on when told.  The threads touch descriptors and this queue only,
 * never a connection. */
#ifndef DRIVER_WARM_H
#define DRIVER_WARM_H

#include <stddef.h>
#include <sys/types.h>

struct conn;
struct warm;

/* No thread is started before the first request for one.  NULL with errno. */
struct warm *warm_open(void);

/* Readable when an answer waits. */
int warm_fd(const struct warm *w);

/* Asks for a range; `owner` comes back from warm_answer.  The descriptor must stay open until then.
 * -1 when no helper can be had (errno): send without. */
int warm_ask(struct warm *w, struct conn *owner, int file_fd, off_t offset, size_t n);

/* The next connection whose range is read (or could not be: sending will tell), or NULL. */
struct conn *warm_answer(struct warm *w);

/* Waits for the threads; unanswered requests are forgotten. */
void warm_close(struct warm *w);

#endif
