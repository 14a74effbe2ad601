/* SPDX-License-Identifier: BSD-2-Clause */
/* Helper threads that read file ranges, into the page cache or into memory of the asker's, so that a loop never waits
 * for a disk: it parks the connection, asks for the range, and sends on when told.  The threads touch descriptors,
 * that memory and this queue only, never a connection. */
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

struct warm_range {
    int    fd;
    off_t  offset;
    size_t n;
    char  *to;                  /* NULL: into the page cache, nowhere else */
};

/* Asks for a range; `owner` comes back from warm_answer.  Descriptor and memory must stay until then.
 * -1 when no helper can be had (errno): do without. */
int warm_ask(struct warm *w, struct conn *owner, const struct warm_range *range);

/* The next connection whose range is read (or could not be), or NULL.  *result: how many bytes are in the memory,
 * or -errno; without such memory it means nothing, sending will tell. */
struct conn *warm_answer(struct warm *w, ssize_t *result);

/* What a helper does with a range, in the caller's thread: one read(2) into memory; bytes or -errno. */
ssize_t warm_load(const struct warm_range *range);

/* Waits for the threads; unanswered requests are forgotten. */
void warm_close(struct warm *w);

#endif
