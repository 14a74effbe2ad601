/* SPDX-License-Identifier: BSD-2-Clause */
/* The heirs of a worker that goes.  Owns the descriptors of their inboxes, or the bench where connections wait for the next
 * daemon.  The threads of the model blocking pass their connections themselves, so there is a lock; it is held while one
 * message is sent. */
#include "daemon/heir_list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/parcel.h"
#include "daemon/bench.h"
#include "daemon/channel.h"
#include "daemon/inbox.h"

enum { HEIRS_MAX = 64 };                /* the master tells of no more */

struct heir {
    int      fd;
    uint32_t pool;
};

struct heir_list {
    struct heirs       face;            /* first */
    const struct conf *conf;
    pthread_mutex_t    lock;            /* guards what follows */
    bool               understood;      /* the heirs that are being told of */
    struct heir        v[HEIRS_MAX];
    unsigned           count;
    unsigned           next;            /* who is asked first */
    uint32_t          *serves;          /* values of CHANNEL_SERVES */
    unsigned           serves_count;
    struct bench       bench;           /* open: it is the heir, of all services */
    char               parcel[PARCEL_MAX];
};

static struct heir_list *list_of(struct heirs *face)
{
    return (struct heir_list *)(void *)face;
}

/* Its number in the configuration; service_count: it has none. */
static unsigned service_number(const struct heir_list *h, const struct service *s)
{
    unsigned i = 0;

    while (i < h->conf->service_count && strcmp(h->conf->services[i].name, s->name) != 0)
        i++;
    return i;
}

static bool pool_takes(const struct heir_list *h, uint32_t pool, unsigned service)
{
    uint32_t wanted = channel_serves(pool, service / CHANNEL_SERVES_BITS, 0);

    for (unsigned i = 0; i < h->serves_count; i++)
        if ((h->serves[i] & ~(uint32_t)UINT16_MAX) == wanted)
            return (h->serves[i] >> service % CHANNEL_SERVES_BITS & 1) != 0;
    return false;
}

static bool list_serves(struct heirs *face, const struct service *s)
{
    struct heir_list *h = list_of(face);
    bool any;

    pthread_mutex_lock(&h->lock);
    any = bench_is_open(&h->bench);
    for (unsigned i = 0, number = service_number(h, s); i < h->count && !any; i++)
        any = pool_takes(h, h->v[i].pool, number);
    pthread_mutex_unlock(&h->lock);
    return any;
}

static void heir_drop(struct heir_list *h, unsigned at)
{
    close(h->v[at].fd);
    h->v[at] = h->v[--h->count];
}

/* Asks each of them once, beginning with the one whose turn it is; who will never read again is dropped. */
static enum heir_answer list_pass(struct heir_list *h, struct span parcel, unsigned service, int fd)
{
    enum heir_answer answer = HEIR_NONE;

    for (unsigned asked = 0, most = h->count; asked < most && h->count > 0; asked++) {
        unsigned at = h->next++ % h->count;

        if (!pool_takes(h, h->v[at].pool, service))
            continue;
        if (inbox_send(h->v[at].fd, parcel, fd) == 0)
            return HEIR_TOOK;
        if (inbox_is_busy(errno))
            answer = HEIR_BUSY;
        else
            heir_drop(h, at);
    }
    return answer;
}

/* If nobody keeps it any more there is no heir. */
static enum heir_answer list_leave(struct heir_list *h, struct span parcel, int fd)
{
    if (bench_send(&h->bench, parcel, fd) == 0)
        return HEIR_TOOK;
    if (inbox_is_busy(errno))
        return HEIR_BUSY;
    bench_close(&h->bench);
    return HEIR_NONE;
}

static enum heir_answer list_take(struct heirs *face, const struct conn *c, int fd)
{
    struct heir_list *h = list_of(face);
    enum heir_answer answer = HEIR_NONE;
    size_t n;

    pthread_mutex_lock(&h->lock);
    n = conn_pack(c, h->parcel);
    if (n > 0 && bench_is_open(&h->bench))
        answer = list_leave(h, (struct span){ h->parcel, n }, fd);
    else if (n > 0)
        answer = list_pass(h, (struct span){ h->parcel, n }, service_number(h, conn_service(c)), fd);
    pthread_mutex_unlock(&h->lock);
    return answer;
}

struct heir_list *heir_list_new(const struct conf *c)
{
    struct heir_list *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    h->face = (struct heirs){ .serve = list_serves, .take = list_take };
    h->conf = c;
    bench_init(&h->bench);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void list_clear(struct heir_list *h)
{
    while (h->count > 0)
        heir_drop(h, h->count - 1);
    free(h->serves);
    h->serves = NULL;
    h->serves_count = 0;
    bench_close(&h->bench);
}

void heir_list_free(struct heir_list *h)
{
    if (h == NULL)
        return;
    list_clear(h);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct heirs *heir_list_face(struct heir_list *h)
{
    return &h->face;
}

void heir_list_begin(struct heir_list *h, uint32_t form)
{
    pthread_mutex_lock(&h->lock);
    list_clear(h);
    h->understood = form == PARCEL_FORM;
    pthread_mutex_unlock(&h->lock);
}

/* Without memory for it that pool is no heir. */
void heir_list_serves(struct heir_list *h, uint32_t value)
{
    pthread_mutex_lock(&h->lock);
    uint32_t *grown = realloc(h->serves, (h->serves_count + 1) * sizeof *grown);
    if (grown != NULL) {
        h->serves = grown;
        h->serves[h->serves_count++] = value;
    }
    pthread_mutex_unlock(&h->lock);
}

void heir_list_add(struct heir_list *h, uint32_t pool, int taken)
{
    pthread_mutex_lock(&h->lock);
    if (h->understood && h->count < HEIRS_MAX)
        h->v[h->count++] = (struct heir){ .fd = taken, .pool = pool };
    else
        close(taken);
    pthread_mutex_unlock(&h->lock);
}

bool heir_list_has_any(struct heir_list *h)
{
    bool any;

    pthread_mutex_lock(&h->lock);
    any = h->count > 0;
    pthread_mutex_unlock(&h->lock);
    return any;
}

void heir_list_be_patient(struct heir_list *h)
{
    __atomic_store_n(&h->face.patient, true, __ATOMIC_RELAXED);
}

void heir_list_end(struct heir_list *h)
{
    __atomic_store_n(&h->face.patient, false, __ATOMIC_RELAXED);
    heir_list_begin(h, 0);
}

int heir_list_keep(struct heir_list *h, int lobby)
{
    int rc;

    heir_list_end(h);
    pthread_mutex_lock(&h->lock);
    rc = bench_open(&h->bench, lobby);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

bool heir_list_keeps(struct heir_list *h)
{
    bool keeps;

    pthread_mutex_lock(&h->lock);
    keeps = bench_is_open(&h->bench);
    pthread_mutex_unlock(&h->lock);
    return keeps;
}

bool heir_list_fill(struct heir_list *h, int inbox)
{
    bool all;

    pthread_mutex_lock(&h->lock);
    all = bench_fill(&h->bench, inbox);
    pthread_mutex_unlock(&h->lock);
    return all;
}
