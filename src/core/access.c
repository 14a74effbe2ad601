/* SPDX-License-Identifier: BSD-2-Clause */
/* Access lines: gathered in one buffer, written in batches of whole lines.  Owns the buffer, not the file.
 * Does not know what a line looks like. */
#include "core/access.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "core/access_line.h"

enum {
    BATCH_BYTES = ACCESS_LINE_MAX,      /* gathered at most; one write each */
    BATCH_MS = 1000,            /* a line waits at most so long */
    WRITES_MAX = 16             /* in one flush: who takes a few bytes at a time must not hold the loop */
};

struct access_log {
    pthread_mutex_t      lock;          /* on the blocking model many threads finish replies */
    int                  fd;
    struct access_form  *form;
    struct access_source source;
    bool                 failing;       /* said once, until it works again */
    uint64_t             lost;          /* lines, since the last flush told */
    uint64_t             lost_in_a_row; /* since it began to fail */
    uint64_t             due_ms;        /* UINT64_MAX: nothing is gathered */
    size_t               n;
    size_t               torn_n;        /* first bytes: the rest of a line whose begin is in the file */
    char                 batch[BATCH_BYTES];
};

/* A pipe or a terminal that nobody reads must not stop the worker; regular files do not know the flag. */
static void never_block(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == -1 || S_ISREG(st.st_mode))
        return;
    int flags = fcntl(fd, F_GETFL);
    if (flags != -1)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct access_log *access_log_new(int fd, struct access_form *taken, const struct access_source *source)
{
    struct access_log *l = taken != NULL ? malloc(sizeof *l) : NULL;
    if (l == NULL) {
        access_form_free(taken);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    l->fd = fd;
    l->form = taken;
    l->source = *source;
    l->failing = false;
    l->lost = l->lost_in_a_row = 0;
    __atomic_store_n(&l->due_ms, UINT64_MAX, __ATOMIC_RELAXED);
    l->n = l->torn_n = 0;
    never_block(fd);
    return l;
}

static void say_failing(struct access_log *l, int cause)
{
    if (l->failing)
        return;
    l->failing = true;
    static const struct log_about about = { .event = "access-log-failed" };
    errno = cause;
    log_errno(LOG_ERROR, &about, "access log: cannot write, lines are lost until it works again");
}

static void say_works(struct access_log *l)
{
    if (!l->failing)
        return;
    l->failing = false;
    static const struct log_about about = { .event = "access-log-works" };
    log_write(LOG_NOTICE, &about, "access log: works again, %llu lines were lost",
              (unsigned long long)l->lost_in_a_row);
    l->lost_in_a_row = 0;
}

/* Writes as much as the file takes at once; returns how much.  *cause: why not all. */
static size_t write_batch(struct access_log *l, int *cause)
{
    size_t done = 0;
    *cause = EAGAIN;
    for (int i = 0; i < WRITES_MAX && done < l->n; i++) {
        ssize_t n = write(l->fd, l->batch + done, l->n - done);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0) {
            *cause = n == 0 ? EIO : errno;
            break;
        }
        done += (size_t)n;
    }
    return done;
}

static uint64_t count_lines(const char *p, const char *end)
{
    uint64_t lines = 0;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* `done` bytes are in the file, the rest is given up, but for the end of a line that is in it by half: that
 * comes first next time, so that the file has whole lines only. */
static void drop_rest(struct access_log *l, size_t done)
{
    const char *rest = l->batch + done, *end = l->batch + l->n;
    bool torn = done > 0 ? rest[-1] != '\n' : l->torn_n > 0;
    size_t keep = 0;
    if (torn)
        keep = (size_t)((const char *)memchr(rest, '\n', (size_t)(end - rest)) - rest) + 1;
    uint64_t lost = count_lines(rest + keep, end);
    l->lost += lost;
    l->lost_in_a_row += lost;
    memmove(l->batch, rest, keep);
    l->n = l->torn_n = keep;
}

static void write_out(struct access_log *l)
{
    int cause;
    __atomic_store_n(&l->due_ms, UINT64_MAX, __ATOMIC_RELAXED);
    if (l->n == 0)
        return;
    size_t done = write_batch(l, &cause);
    if (done == l->n) {
        l->n = l->torn_n = 0;
        say_works(l);
        return;
    }
    drop_rest(l, done);
    say_failing(l, cause);
}

/* The end of a torn line belongs behind its begin, in the old file; if that takes it no more, it is lost. */
void access_log_reopen(struct access_log *l, int fd)
{
    pthread_mutex_lock(&l->lock);
    write_out(l);
    if (l->torn_n > 0) {
        l->lost++;
        l->lost_in_a_row++;
    }
    l->n = l->torn_n = 0;
    l->fd = fd;
    never_block(fd);
    pthread_mutex_unlock(&l->lock);
}

uint64_t access_log_flush(struct access_log *l)
{
    pthread_mutex_lock(&l->lock);
    write_out(l);
    uint64_t lost = l->lost;
    l->lost = 0;
    pthread_mutex_unlock(&l->lock);
    return lost;
}

uint64_t access_log_due(const struct access_log *l)
{
    return __atomic_load_n(&l->due_ms, __ATOMIC_RELAXED);
}

void access_log_free(struct access_log *l)
{
    if (l == NULL)
        return;
    write_out(l);
    pthread_mutex_destroy(&l->lock);
    access_form_free(l->form);
    free(l);
}

static void line_add(struct access_log *l, const struct access *a, uint64_t now_us)
{
    const struct access_facts facts = { .reply = a, .source = &l->source,
                                        .duration_us = now_us > a->started_us ? now_us - a->started_us : 0 };
    size_t max = access_line_max(l->form, &facts);
    if (max > BATCH_BYTES - l->n)
        write_out(l);
    if (max > BATCH_BYTES - l->n) {     /* beside a torn line that the file still refuses */
        l->lost++;
        l->lost_in_a_row++;
        return;
    }
    if (l->due_ms == UINT64_MAX)
        __atomic_store_n(&l->due_ms, now_us / 1000 + BATCH_MS, __ATOMIC_RELAXED);
    l->n = (size_t)(access_line_put(l->batch + l->n, l->form, &facts) - l->batch);
}

void access_log_add(struct access_log *l, const struct access *a, uint64_t now_us)
{
    pthread_mutex_lock(&l->lock);
    line_add(l, a, now_us);
    pthread_mutex_unlock(&l->lock);
}
