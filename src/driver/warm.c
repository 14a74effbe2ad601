/* SPDX-License-Identifier: BSD-2-Clause */
/* A small pool of threads and two queues between it and the loop. */
#include "driver/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"

enum {
    THREADS = 8,                /* disks answer several at once; more would only queue there */
    STACK = 64 * 1024,
    CHUNK = 16 * 1024           /* one read: the page cache is filled by reading, the bytes are thrown away */
};

struct job {
    struct list       queue;
    struct conn      *owner;
    struct warm_range range;
    ssize_t           result;
};

struct warm {
    pthread_mutex_t lock;       /* guards what follows, up to threads */
    pthread_cond_t  more;
    struct list     asked, answered;
    unsigned        idle, waiting;      /* threads without a job, jobs without a thread */
    bool            closing;
    unsigned        thread_count;       /* the loop's */
    pthread_t       threads[THREADS];
    int             bell[2];            /* a byte means: look at answered */
};

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

static void job_read(struct job *j)
{
    if (j->range.to != NULL)
        j->result = warm_load(&j->range);
    else
        range_warm(&j->range);
}

static void ring_bell(const struct warm *w)
{
    ssize_t n;
    do
        n = write(w->bell[1], "", 1);
    while (n == -1 && errno == EINTR);
    /* EAGAIN: the pipe is full of bells already */
}

static void *helper_main(void *arg)
{
    struct warm *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        w->idle++;
        while (list_empty(&w->asked) && !w->closing)
            pthread_cond_wait(&w->more, &w->lock);
        w->idle--;
        if (w->closing)
            break;
        struct job *j = LIST_ENTRY(w->asked.next, struct job, queue);
        list_remove(&j->queue);
        w->waiting--;
        pthread_mutex_unlock(&w->lock);
        job_read(j);
        pthread_mutex_lock(&w->lock);
        list_append(&w->answered, &j->queue);
        ring_bell(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct warm *warm_open(void)
{
    struct warm *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    if (pipe2(w->bell, O_CLOEXEC | O_NONBLOCK) == -1) {
        free(w);
        return NULL;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    list_init(&w->asked);
    list_init(&w->answered);
    return w;
}

int warm_fd(const struct warm *w)
{
    return w->bell[0];
}

/* Signals are the loop's: a helper is born with all of them blocked. */
static int helper_start(struct warm *w)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->threads[w->thread_count], &attr, helper_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error == 0)
        w->thread_count++;
    errno = error;
    return error == 0 ? 0 : -1;
}

int warm_ask(struct warm *w, struct conn *owner, const struct warm_range *range)
{
    struct job *j = malloc(sizeof *j);
    if (j == NULL)
        return -1;
    *j = (struct job){ .owner = owner, .range = *range };
    list_init(&j->queue);
    pthread_mutex_lock(&w->lock);
    bool all_busy = w->idle <= w->waiting;      /* a thread that was woken counts as idle until it runs */
    pthread_mutex_unlock(&w->lock);
    if (all_busy && w->thread_count < THREADS && helper_start(w) == -1 && w->thread_count == 0) {
        free(j);
        return -1;
    }
    pthread_mutex_lock(&w->lock);
    list_append(&w->asked, &j->queue);
    w->waiting++;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static void hush_bell(const struct warm *w)
{
    char bells[64];
    while (read(w->bell[0], bells, sizeof bells) > 0)
        ;
}

struct conn *warm_answer(struct warm *w, ssize_t *result)
{
    struct conn *owner = NULL;
    struct job *j = NULL;
    pthread_mutex_lock(&w->lock);
    if (list_empty(&w->answered))
        hush_bell(w);           /* under the lock: no answer can come between */
    else
        j = LIST_ENTRY(w->answered.next, struct job, queue);
    if (j != NULL) {
        list_remove(&j->queue);
        owner = j->owner;
        *result = j->result;
    }
    pthread_mutex_unlock(&w->lock);
    free(j);
    return owner;
}

static void forget_all(struct list *jobs)
{
    while (!list_empty(jobs)) {
        struct job *j = LIST_ENTRY(jobs->next, struct job, queue);
        list_remove(&j->queue);
        free(j);
    }
}

void warm_close(struct warm *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    forget_all(&w->asked);
    forget_all(&w->answered);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    close(w->bell[0]);
    close(w->bell[1]);
    free(w);
}
