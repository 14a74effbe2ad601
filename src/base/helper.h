/* SPDX-License-Identifier: BSD-2-Clause */
/* Helper threads for what would hold up a loop: the loop asks, a thread works, a bell rings, the loop takes the answer.
 * Owns the threads, two queues and the bell; the jobs are their owners'. */
#ifndef BASE_HELPER_H
#define BASE_HELPER_H

#include <stddef.h>

#include "base/list.h"

struct helpers;

/* Something to do, embedded in what it is done to. */
struct helper_job {
    struct list queue;                      /* the helpers' */
    void      (*work)(struct helper_job *j);    /* in a helper thread: it may wait, and touches nothing that others do */
};

/* No thread is started before the first job.  At most `threads`, each with `stack` bytes.  NULL with errno. */
struct helpers *helpers_open(unsigned threads, size_t stack);

/* Readable when an answer waits, and until all of them are taken. */
int helpers_fd(const struct helpers *h);

/* Has a job done; it must stay where it is until it is answered.  -1 with errno when there is no helper: do without. */
int helpers_ask(struct helpers *h, struct helper_job *j);

/* The next job that is done, or NULL. */
struct helper_job *helpers_answer(struct helpers *h);

/* Waits for the threads: each finishes what it is at.  Then every job that was asked for can be had with
 * helpers_answer, done or not, and no more are taken. */
void helpers_end(struct helpers *h);

/* The same, and frees it; jobs that were not answered are forgotten.  NULL is allowed. */
void helpers_close(struct helpers *h);

#endif
