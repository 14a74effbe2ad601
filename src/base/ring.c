/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of records.  Positions count bytes for ever; their place in the ring is the rest by its size.  A record never
 * wraps: what is left at the end is filled with one that says nothing.
 *
 * An empty ring begins again at its front once it has gone some way, so that who logs little uses little memory, and
 * gives back what a time of distress has touched. */
#include "base/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In front of each record. */
struct ring_header {
    uint32_t size;              /* with this, without what aligns the next one */
    uint32_t kind;              /* 0: nothing, up to the end of the ring */
    uint64_t when_us;           /* not there if kind is 0 */
};

enum {
    ALIGNMENT = 8,
    FRONT = 256 * 1024,         /* an empty ring goes back when it is behind this, */
    SPARE = 4 * 1024 * 1024,    /* and has more memory than this no longer than it needs it */
    PAGE = 4096,
    CROWDED = 4                 /* a consumer that naps is woken when the ring is full by one in so many parts */
};

static uint64_t ring_aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

static bool size_is_sound(uint64_t size)
{
    return size >= RING_SIZE_MIN && size <= RING_SIZE_MAX && (size & (size - 1)) == 0;
}

static char *data_of(struct ring_shared *s)
{
    return (char *)s + RING_CONTROL_SIZE;
}

/* ---- making ---- */

void ring_prepare(struct ring_shared *s, size_t size, const char *owner)
{
    uint64_t rounded = RING_SIZE_MIN;
    uint64_t head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);

    while (rounded < size && rounded < RING_SIZE_MAX)
        rounded *= 2;
    if (!size_is_sound(s->size) || head == __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE))
        __atomic_store_n(&s->size, rounded, __ATOMIC_RELEASE);
    memset(s->owner, 0, sizeof s->owner);
    memcpy(s->owner, owner, strnlen(owner, sizeof s->owner - 1));
}

/* ---- putting ---- */

int ring_join(struct ring *r, struct ring_shared *s, const struct bell *bell)
{
    if (!size_is_sound(s->size)) {
        errno = EINVAL;
        return -1;
    }
    *r = (struct ring){ .shared = s, .data = data_of(s), .size = s->size, .touched = (size_t)s->size, .bell = *bell,
                        .head = ring_aligned(__atomic_load_n(&s->head, __ATOMIC_ACQUIRE)),
                        .tail = __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE) };
    return pthread_mutex_init(&r->lock, NULL) == 0 ? 0 : -1;
}

/* A consumer that is not sound leaves no room. */
static uint64_t room_in(const struct ring *r)
{
    uint64_t used = r->head - r->tail;

    return used <= r->size ? r->size - used : 0;
}

static uint64_t tail_look(struct ring *r)
{
    r->tail = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
    return r->tail;
}

/* Memory that is not needed while the ring is at its front; the page in which it goes back is read yet. */
static void give_memory_back(struct ring *r, size_t at)
{
    size_t before = at & ~(size_t)(PAGE - 1), behind = before + PAGE;

    if (before > FRONT)
        madvise(r->data + FRONT, before - FRONT, MADV_REMOVE);
    if (r->touched > behind)
        madvise(r->data + behind, r->touched - behind, MADV_REMOVE);
    r->touched = FRONT;
}

/* Goes to the front of the ring; there is room for that. */
static void wrap(struct ring *r)
{
    size_t at = (size_t)(r->head & (r->size - 1));
    struct ring_header nothing = { .size = (uint32_t)(r->size - at) };

    memcpy(r->data + at, &nothing, offsetof(struct ring_header, when_us));
    r->head += nothing.size;
}

/* The place for so many bytes; NULL: there is none. */
static char *place_for(struct ring *r, uint64_t need)
{
    uint64_t at = r->head & (r->size - 1), rest = r->size - at;
    bool back = at >= FRONT && tail_look(r) == r->head, wraps = back || need > rest;
    uint64_t all = wraps ? rest + need : need;

    if (all > room_in(r)) {
        tail_look(r);
        if (all > room_in(r))
            return NULL;
    }
    if (back && r->touched > SPARE)
        give_memory_back(r, (size_t)at);
    if (wraps)
        wrap(r);
    return r->data + (r->head & (r->size - 1));
}

/* False: there is no room.  *crowded: much of it is used. */
static bool put_locked(struct ring *r, const struct ring_header *h, const struct span *parts, unsigned count,
                       bool *crowded)
{
    char *to = place_for(r, ring_aligned(h->size));
    size_t end;

    if (to == NULL) {
        __atomic_store_n(&r->shared->dropped, r->shared->dropped + 1, __ATOMIC_RELAXED);
        return false;
    }
    memcpy(to, h, sizeof *h);
    to += sizeof *h;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].n > 0)
            memcpy(to, parts[i].p, parts[i].n);
        to += parts[i].n;
    }
    end = (size_t)(to - r->data);
    r->touched = end > r->touched ? end : r->touched;
    r->head += ring_aligned(h->size);
    __atomic_store_n(&r->shared->head, r->head, __ATOMIC_SEQ_CST);
    if (r->head - r->tail > r->size / CROWDED)
        *crowded = r->head - tail_look(r) > r->size / CROWDED;
    return true;
}

/* Either the consumer sees the new head when it looks for the last time, or its state is seen here. */
static void bell_ring(const struct ring *r, bool urgent)
{
    uint32_t state = __atomic_load_n(r->bell.state, __ATOMIC_SEQ_CST);

    if (state == BELL_AWAKE || (state == BELL_NAPPING && !urgent) ||
        __atomic_load_n(&r->shared->deaf, __ATOMIC_RELAXED) != 0)
        return;
    if (__atomic_exchange_n(r->bell.state, BELL_AWAKE, __ATOMIC_SEQ_CST) != BELL_AWAKE) {
        ssize_t written = write(r->bell.fd, "", 1);     /* full: it has not heard the last ones yet */

        (void)written;
    }
}

/* hot */
bool ring_put(struct ring *r, uint32_t kind, uint64_t when_us, bool urgent, const struct span *parts, unsigned count)
{
    struct ring_header h = { .size = sizeof h, .kind = kind, .when_us = when_us };
    bool crowded = false, put = false;
    size_t n = 0;

    for (unsigned i = 0; i < count; i++)
        n += parts[i].n;
    h.size = (uint32_t)(n + sizeof h);
    pthread_mutex_lock(&r->lock);
    if (n <= RING_RECORD_MAX - sizeof h)
        put = put_locked(r, &h, parts, count, &crowded);
    else
        __atomic_store_n(&r->shared->dropped, r->shared->dropped + 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&r->lock);
    bell_ring(r, urgent || crowded);
    return put;
}

/* ---- taking ---- */

void ring_reader_open(struct ring_reader *r, struct ring_shared *s)
{
    *r = (struct ring_reader){ .shared = s, .data = data_of(s), .taken = __atomic_load_n(&s->tail, __ATOMIC_RELAXED) };
}

/* Where to read: `head` and `size` as they were at one moment. */
struct ring_view {
    uint64_t head, size;
};

/* False: nothing waits there, or not what a ring has: *broken. */
static bool view_look(const struct ring_reader *r, struct ring_view *v, bool *broken)
{
    v->head = __atomic_load_n(&r->shared->head, __ATOMIC_SEQ_CST);
    v->size = __atomic_load_n(&r->shared->size, __ATOMIC_ACQUIRE);
    *broken = v->head != r->taken && (!size_is_sound(v->size) || v->head - r->taken > v->size ||
                                      (v->head | r->taken) % ALIGNMENT != 0);
    return v->head != r->taken && !*broken;
}

/* The header at the reader's place; what says nothing is passed over. */
static bool header_look(struct ring_reader *r, const struct ring_view *v, struct ring_header *h, bool *broken)
{
    uint64_t left = v->head - r->taken, rest = v->size - (r->taken & (v->size - 1));

    *h = (struct ring_header){ 0 };
    memcpy(h, r->data + (r->taken & (v->size - 1)), rest >= sizeof *h ? sizeof *h : ALIGNMENT);
    if (h->kind == 0 && h->size == rest && rest < left) {
        r->taken += rest;
        return header_look(r, &(struct ring_view){ v->head, v->size }, h, broken);
    }
    *broken = h->kind == 0 || h->size < sizeof *h || h->size > RING_RECORD_MAX || h->size > rest || h->size > left;
    return !*broken;
}

static void pass_all_over(struct ring_reader *r)
{
    r->taken = __atomic_load_n(&r->shared->head, __ATOMIC_SEQ_CST);
    ring_release(r);
}

bool ring_peek(struct ring_reader *r, struct ring_record *record)
{
    struct ring_header h = { 0 };
    struct ring_view v;
    bool broken;
    bool any = view_look(r, &v, &broken) && header_look(r, &v, &h, &broken);

    *record = (struct ring_record){ .kind = h.kind, .when_us = h.when_us };
    return any || broken;
}

int ring_take(struct ring_reader *r, struct ring_record *record, char to[RING_RECORD_MAX])
{
    struct ring_header h;
    struct ring_view v;
    bool broken;

    if (!view_look(r, &v, &broken) && !broken)
        return 0;
    if (broken || !header_look(r, &v, &h, &broken)) {
        pass_all_over(r);
        return -1;
    }
    *record = (struct ring_record){ .kind = h.kind, .when_us = h.when_us, .n = h.size - sizeof h };
    memcpy(to, r->data + (r->taken & (v.size - 1)) + sizeof h, record->n);
    r->taken += ring_aligned(h.size);
    return 1;
}

void ring_release(struct ring_reader *r)
{
    __atomic_store_n(&r->shared->tail, r->taken, __ATOMIC_RELEASE);
}

uint64_t ring_waiting(const struct ring_reader *r)
{
    return __atomic_load_n(&r->shared->head, __ATOMIC_SEQ_CST) - r->taken;
}

/* ---- sleeping ---- */

void bell_set(uint32_t *state, enum bell_state to)
{
    __atomic_store_n(state, (uint32_t)to, __ATOMIC_SEQ_CST);
}
