/* SPDX-License-Identifier: BSD-2-Clause */
/* File ranges as jobs for helper threads. */
#include "driver/warm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/helper.h"

enum {
    THREADS = 8,                /* disks answer several at once; more would only queue there */
    STACK = 64 * 1024,
    CHUNK = 16 * 1024           /* one read: the page cache is filled by reading, the bytes are thrown away */
};

struct job {
    struct helper_job helper;
    struct conn      *owner;
    struct warm_range range;
    ssize_t           result;
};

struct warm {
    struct helpers *helpers;
};

static struct job *job_of(struct helper_job *j)
{
    return LIST_ENTRY(j, struct job, helper);
}

ssize_t warm_load(const struct warm_range *range)
{
    ssize_t n;
    do
        n = pread(range->fd, range->to, range->n, range->offset);
    while (n == -1 && errno == EINTR);
    return n == -1 ? -errno : n;
}

static void range_warm(const struct warm_range *r)
{
    char chunk[CHUNK];
    size_t done = 0;
    while (done < r->n) {
        size_t want = r->n - done < sizeof chunk ? r->n - done : sizeof chunk;
        ssize_t n = pread(r->fd, chunk, want, r->offset + (off_t)done);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

static void job_read(struct helper_job *h)
{
    struct job *j = job_of(h);
    if (j->range.to != NULL)
        j->result = warm_load(&j->range);
    else
        range_warm(&j->range);
}

struct warm *warm_open(void)
{
    struct warm *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->helpers = helpers_open(THREADS, STACK);
    if (w->helpers == NULL) {
        free(w);
        return NULL;
    }
    return w;
}

int warm_fd(const struct warm *w)
{
    return helpers_fd(w->helpers);
}

int warm_ask(struct warm *w, struct conn *owner, const struct warm_range *range)
{
    struct job *j = malloc(sizeof *j);
    if (j == NULL)
        return -1;
    *j = (struct job){ .helper = { .work = job_read }, .owner = owner, .range = *range };
    if (helpers_ask(w->helpers, &j->helper) == 0)
        return 0;
    free(j);
    return -1;
}

struct conn *warm_answer(struct warm *w, ssize_t *result)
{
    struct helper_job *h = helpers_answer(w->helpers);
    if (h == NULL)
        return NULL;
    struct job *j = job_of(h);
    struct conn *owner = j->owner;
    *result = j->result;
    free(j);
    return owner;
}

void warm_close(struct warm *w)
{
    struct helper_job *h;
    if (w == NULL)
        return;
    helpers_end(w->helpers);
    while ((h = helpers_answer(w->helpers)) != NULL)
        free(job_of(h));
    helpers_close(w->helpers);
    free(w);
}
