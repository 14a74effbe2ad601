/* SPDX-License-Identifier: BSD-2-Clause */
/* A small pool of threads and two queues between it and the loop. */
#include "base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

struct helpers {
    pthread_mutex_t lock;       /* guards what follows, up to closing */
    pthread_cond_t  more;
    struct list     asked, answered;
    unsigned        idle, waiting;      /* threads without a job, jobs without a thread */
    bool            closing;
    int             bell[2];            /* a byte means: look at answered */
    size_t          stack;              /* this and what follows are the loop's */
    unsigned        thread_max, thread_count;
    pthread_t       threads[];
};

static void ring_bell(const struct helpers *h)
{
    ssize_t n;
    do
        n = write(h->bell[1], "", 1);
    while (n == -1 && errno == EINTR);
    /* EAGAIN: the pipe is full of bells already */
}

static void hush_bell(const struct helpers *h)
{
    char bells[64];
    while (read(h->bell[0], bells, sizeof bells) > 0)
        ;
}

static void *helper_main(void *arg)
{
    struct helpers *h = arg;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        h->idle++;
        while (list_empty(&h->asked) && !h->closing)
            pthread_cond_wait(&h->more, &h->lock);
        h->idle--;
        if (h->closing)
            break;
        struct helper_job *j = LIST_ENTRY(h->asked.next, struct helper_job, queue);
        list_remove(&j->queue);
        h->waiting--;
        pthread_mutex_unlock(&h->lock);
        j->work(j);
        pthread_mutex_lock(&h->lock);
        list_append(&h->answered, &j->queue);
        ring_bell(h);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

struct helpers *helpers_open(unsigned threads, size_t stack)
{
    struct helpers *h = calloc(1, sizeof *h + threads * sizeof h->threads[0]);
    if (h == NULL)
        return NULL;
    if (pipe2(h->bell, O_CLOEXEC | O_NONBLOCK) == -1) {
        free(h);
        return NULL;
    }
    h->thread_max = threads;
    h->stack = stack;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    list_init(&h->asked);
    list_init(&h->answered);
    return h;
}

int helpers_fd(const struct helpers *h)
{
    return h->bell[0];
}

/* Signals are the loop's, but for what a thread must answer itself. */
static int helper_start(struct helpers *h)
{
    pthread_attr_t attr;
    sigset_t all, before;
    thread_signals(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, h->stack);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&h->threads[h->thread_count], &attr, helper_main, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error == 0)
        h->thread_count++;
    errno = error;
    return error == 0 ? 0 : -1;
}

int helpers_ask(struct helpers *h, struct helper_job *j)
{
    pthread_mutex_lock(&h->lock);
    bool all_busy = h->idle <= h->waiting;      /* a thread that was woken counts as idle until it runs */
    bool closing = h->closing;
    pthread_mutex_unlock(&h->lock);
    if (closing) {
        errno = ESHUTDOWN;
        return -1;
    }
    if (all_busy && h->thread_count < h->thread_max && helper_start(h) == -1 && h->thread_count == 0)
        return -1;
    pthread_mutex_lock(&h->lock);
    list_init(&j->queue);
    list_append(&h->asked, &j->queue);
    h->waiting++;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

struct helper_job *helpers_answer(struct helpers *h)
{
    struct helper_job *j = NULL;
    pthread_mutex_lock(&h->lock);
    if (!list_empty(&h->answered)) {
        j = LIST_ENTRY(h->answered.next, struct helper_job, queue);
        list_remove(&j->queue);
        if (list_empty(&h->answered))
            hush_bell(h);       /* under the lock: no answer can come between */
    }
    pthread_mutex_unlock(&h->lock);
    return j;
}

void helpers_end(struct helpers *h)
{
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
    for (; h->thread_count > 0; h->thread_count--)
        pthread_join(h->threads[h->thread_count - 1], NULL);
    list_splice(&h->answered, &h->asked);
    h->waiting = 0;
}

void helpers_close(struct helpers *h)
{
    if (h == NULL)
        return;
    helpers_end(h);
    pthread_cond_destroy(&h->more);
    pthread_mutex_destroy(&h->lock);
    close(h->bell[0]);
    close(h->bell[1]);
    free(h);
}
