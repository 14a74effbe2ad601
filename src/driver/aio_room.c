/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection of engine_aio takes two descriptors, two threads and a share of the queue of signals. */
#include "driver/aio_room.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "driver/engine_table.h"

enum {
    CONNECTIONS_MAX = 4096,     /* each may hold two threads: one reads, one writes */
    EXTRA_MAX = 256,            /* beside them: those that are refused or give way */
    SPARE_FDS = 256,            /* beside two for each connection; where that is more than half of all, half, but */
    SPARE_FDS_LEAST = 2,        /* so many more than are open already */
    SIGNAL_SHARE = 4,           /* a worker's part of the queue of signals is one in so many */
    THREADS_EACH = 2,           /* must be left for a newcomer: to hear him, and for an answer to whoever it is */
    LOOK_WAITS = 1024,          /* of a worker that does not come to rest: so many are like AIO_ROOM_LOOK_MS */
    TRUST_MS = 100,             /* so long it is believed what was tried */
    TRIALS = 8,                 /* so many threads are made at once, no more */
    TRIAL_STACK = 256 * 1024,   /* bytes of each thread: sanitizers want them */
    TRIAL_YIELDS = 1000         /* until one has gone for good, it would be counted still */
};

/* Threads that are there together, and do nothing. */
struct trial {
    pthread_mutex_t lock;       /* held until all are there */
    pthread_t       id[TRIALS];
    pid_t           tid[TRIALS];
    unsigned        arrived;
};

bool engine_aio_available(char *why, size_t why_size)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_SIGPENDING, &limit) == -1 || limit.rlim_cur > 0) {
        snprintf(why, why_size, "at most %d connections for each worker, two threads each", CONNECTIONS_MAX);
        return true;
    }
    snprintf(why, why_size, "RLIMIT_SIGPENDING is 0: no completion can be told");
    return false;
}

/* Of `all` descriptors that there can be, those that are not for connections.  The lowest that is free is given first. */
static unsigned long spare_descriptors(unsigned long all, int open)
{
    int next = fcntl(open, F_DUPFD_CLOEXEC, 0);
    if (next == -1)
        return all;
    close(next);
    unsigned long spare = all / 2 < SPARE_FDS ? all / 2 : SPARE_FDS, least = (unsigned long)next + SPARE_FDS_LEAST;
    spare = spare < least ? least : spare;
    return spare < all ? spare : all;
}

unsigned aio_room_connections(unsigned wanted, int open)
{
    struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
    unsigned long fit = wanted < CONNECTIONS_MAX + EXTRA_MAX ? wanted : CONNECTIONS_MAX + EXTRA_MAX;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY) {
        unsigned long pairs = (limit.rlim_cur - spare_descriptors(limit.rlim_cur, open)) / 2;
        fit = pairs < fit ? pairs : fit;
    }
    return fit > 0 ? (unsigned)fit : 1;
}

unsigned aio_room_signals(void)
{
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_SIGPENDING, &limit);
    return limit.rlim_cur / SIGNAL_SHARE < UINT32_MAX ? (unsigned)(limit.rlim_cur / SIGNAL_SHARE) : UINT32_MAX;
}

static void *trial_thread(void *arg)
{
    struct trial *t = arg;
    pthread_mutex_lock(&t->lock);
    t->tid[t->arrived++] = (pid_t)syscall(SYS_gettid);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* Who is joined is not yet gone: the system counts it until nobody finds it any more. */
static void trial_end(const struct trial *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pthread_join(t->id[i], NULL);
    for (unsigned i = 0, yields = 0; i < n && yields < TRIAL_YIELDS; yields++) {
        if (syscall(SYS_tgkill, getpid(), t->tid[i], 0) == -1)
            i++;
        else
            sched_yield();
    }
}

static unsigned trial_threads(unsigned wanted)
{
    struct trial t = { .lock = PTHREAD_MUTEX_INITIALIZER };
    pthread_attr_t attr;
    sigset_t all, before;
    unsigned n = 0, most = wanted < TRIALS ? wanted : TRIALS;
    thread_signals(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, TRIAL_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&t.lock);
    while (n < most && pthread_create(&t.id[n], &attr, trial_thread, &t) == 0)
        n++;
    pthread_mutex_unlock(&t.lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    trial_end(&t, n);
    pthread_mutex_destroy(&t.lock);
    pthread_attr_destroy(&attr);
    return n;
}

bool aio_room_is_starved(const struct aio_room *r)
{
    return r->try_at_ms != 0 && clock_monotonic_ms() < r->try_at_ms;
}

int aio_room_strain(struct aio_room *r)
{
    int error = r->starved;
    r->starved = 0;
    return error;
}

void aio_room_starve(struct aio_room *r, int error)
{
    r->starved = error;
    r->try_at_ms = clock_monotonic_ms() + AIO_ROOM_TRY_MS;
}

bool aio_room_rests(const struct aio_room *r)
{
    return r->rest_until_ms != 0 && clock_monotonic_ms() < r->rest_until_ms;
}

void aio_room_rest(struct aio_room *r, int error)
{
    r->starved = error;
    r->rest_until_ms = clock_monotonic_ms() + AIO_ROOM_TRY_MS;
}

/* Threads that the library lets sleep are not found by trying, and are there all the same. */
static bool is_proven(struct aio_room *r, unsigned busy, unsigned requests)
{
    uint64_t now = clock_monotonic_ms();
    unsigned more = requests - busy;
    if (requests <= r->proven && now - r->proven_ms < TRUST_MS)
        return true;
    if (now < r->try_at_ms || more > TRIALS)
        return false;
    r->proven = busy + trial_threads(2 * more);     /* the next ones ask soon */
    r->proven_ms = now;
    if (requests <= r->proven)
        return true;
    r->proven = 0;              /* some of those that are busy may wait for a thread themselves */
    aio_room_starve(r, EAGAIN);
    return false;
}

bool aio_room_for_request(struct aio_room *r, unsigned busy)
{
    if (busy >= r->peak && busy >= r->lately && !is_proven(r, busy, busy + 1))
        return false;
    r->peak = busy < r->peak ? r->peak : busy + 1;
    return true;
}

bool aio_room_for_newcomer(struct aio_room *r, unsigned busy, unsigned coming)
{
    return is_proven(r, busy, busy + coming + THREADS_EACH);
}

bool aio_room_forget(struct aio_room *r, unsigned busy, bool rested)
{
    uint64_t now = clock_monotonic_ms();
    if (!rested && now - r->forgot_ms < AIO_ROOM_LOOK_MS && ++r->waits < LOOK_WAITS)
        return false;
    r->forgot_ms = now;
    r->waits = 0;
    r->lately = r->peak;
    r->peak = busy;
    return true;
}
