/* SPDX-License-Identifier: BSD-2-Clause */
/* The output queue: a chain of items.  A copied item is one block, its header in front of its bytes; the others
 * are small items that point elsewhere.  Nothing that is queued ever moves. */
#include "core/outq.h"

#include <string.h>

#include "core/access.h"
#include "core/env.h"
#include "core/file.h"

_Static_assert(sizeof(struct outq_item) <= ENV_ITEM_SIZE, "an item fits its pool");
_Static_assert(sizeof(struct outq_item) + OUTQ_RESERVE_MAX <= ENV_BLOCK_SIZE, "a reservation fits a block");

static char *block_data(struct outq_item *i)
{
    return (char *)(i + 1);
}

/* Bytes that may still be appended to a copied item. */
static size_t block_room(const struct outq_item *i)
{
    return (size_t)((const char *)i + ENV_BLOCK_SIZE - (i->p + i->left));
}

static struct outq_item *item_append(struct outq *q, enum outq_kind kind)
{
    struct block_pool *pool = kind == OUTQ_COPIED ? &q->env->blocks : &q->env->items;
    struct outq_item *i = block_get(pool);
    if (i == NULL) {
        q->failed = true;
        return NULL;
    }
    *i = (struct outq_item){ .kind = kind };
    if (q->tail != NULL)
        q->tail->next = i;
    else
        q->head = i;
    q->tail = i;
    q->items++;
    return i;
}

/* hot */
char *outq_reserve(struct outq *q, size_t n)
{
    struct outq_item *i = q->tail;
    if (i == NULL || i->kind != OUTQ_COPIED || block_room(i) < n) {
        i = item_append(q, OUTQ_COPIED);
        if (i == NULL)
            return NULL;
        i->p = block_data(i);
    }
    return (char *)(i + 1) + (i->p - block_data(i)) + i->left;
}

/* hot */
static inline void outq_grow(struct outq *q, size_t n)
{
    q->bytes += n;
    q->env->count.bytes_queued += n;
}

/* hot */
void outq_commit(struct outq *q, size_t n)
{
    q->tail->left += n;
    outq_grow(q, n);
}

void outq_put(struct outq *q, struct span s)
{
    while (s.n > 0) {
        char *to = outq_reserve(q, 1);
        if (to == NULL)
            return;
        size_t room = block_room(q->tail);
        size_t n = s.n < room ? s.n : room;
        memcpy(to, s.p, n);
        outq_commit(q, n);
        s = span_skip(s, n);
    }
}

void outq_lend(struct outq *q, struct span s, struct file *taken)
{
    struct outq_item *i = s.n > 0 ? item_append(q, OUTQ_LENT) : NULL;
    if (i == NULL) {
        file_unref(taken);
        return;
    }
    i->p = s.p;
    i->left = s.n;
    i->file = taken;
    outq_grow(q, s.n);
}

void outq_file(struct outq *q, struct file *taken, off_t offset, size_t n)
{
    struct outq_item *i = n > 0 ? item_append(q, OUTQ_FILE) : NULL;
    if (i == NULL) {
        file_unref(taken);
        return;
    }
    i->file = taken;
    i->offset = offset;
    i->left = n;
    outq_grow(q, n);
}

/* The reply before this mark is through, by the send that was timed last, or will never be. */
static void mark_pass(struct env *e, struct access *a)
{
    if (e->access != NULL && !access_log_add(e->access, a, e->sent_us))
        e->count.access_dropped++;
    block_put_back(&e->blocks, a);
}

void outq_mark(struct outq *q, struct access *taken)
{
    struct outq_item *i = q->bytes > 0 ? item_append(q, OUTQ_MARK) : NULL;
    if (i == NULL)
        mark_pass(q->env, taken);
    else
        i->access = taken;
}

/* hot */
int outq_iov(const struct outq *q, struct iovec *iov, int max, size_t *bytes)
{
    int n = 0;
    *bytes = 0;
    for (const struct outq_item *i = q->head; i != NULL && i->kind != OUTQ_FILE && n < max; i = i->next) {
        if (i->left == 0)
            continue;
        iov[n++] = (struct iovec){ (void *)(uintptr_t)i->p, i->left };
        *bytes += i->left;
    }
    return n;
}

/* hot */
static void item_drop(struct outq *q)
{
    struct outq_item *i = q->head;
    q->head = i->next;
    if (q->head == NULL)
        q->tail = NULL;
    q->items--;
    file_unref(i->file);
    if (i->access != NULL)
        mark_pass(q->env, i->access);
    block_put_back(i->kind == OUTQ_COPIED ? &q->env->blocks : &q->env->items, i);
}

struct outq_item *outq_head_file(const struct outq *q)
{
    struct outq_item *i = q->head;
    while (i != NULL && i->left == 0)
        i = i->next;
    return i != NULL && i->kind == OUTQ_FILE ? i : NULL;
}

/* hot */
void outq_advance(struct outq *q, size_t n)
{
    q->bytes -= n;
    while (q->head != NULL) {
        struct outq_item *i = q->head;
        size_t part = n < i->left ? n : i->left;
        if (i->kind == OUTQ_FILE)
            i->offset += (off_t)part;
        else if (i->p != NULL)
            i->p += part;
        i->left -= part;
        n -= part;
        if (i->left > 0)
            return;
        item_drop(q);
    }
}

void outq_clear(struct outq *q)
{
    uint64_t unsent = 0;
    while (q->head != NULL) {
        struct access *a = q->head->access;
        unsent += q->head->left;
        if (a != NULL) {
            a->body_bytes -= unsent < a->body_bytes ? unsent : a->body_bytes;
            unsent = 0;
        }
        item_drop(q);
    }
    q->bytes = 0;
}
