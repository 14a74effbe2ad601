/* SPDX-License-Identifier: BSD-2-Clause */
/* A binary heap in an array that begins at 1: the children of `at` are 2*at and 2*at+1.
 * Each node knows its place, so that any node can be moved or removed. */
#include "base/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { HEAP_ROOM_MIN = 64 };

static void heap_place(struct heap *h, struct heap_node *node, size_t at)
{
    h->v[at] = node;
    node->at = (uint32_t)at;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    while (at > 1 && h->v[at / 2]->key > node->key) {
        heap_place(h, h->v[at / 2], at);
        at /= 2;
    }
    heap_place(h, node, at);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    for (;;) {
        size_t child = at * 2;
        if (child > h->count)
            break;
        if (child < h->count && h->v[child + 1]->key < h->v[child]->key)
            child++;
        if (h->v[child]->key >= node->key)
            break;
        heap_place(h, h->v[child], at);
        at = child;
    }
    heap_place(h, node, at);
}

static void heap_settle(struct heap *h, struct heap_node *node)
{
    sift_up(h, node);
    sift_down(h, node);
}

/* Room for one more node. */
static int heap_grow(struct heap *h)
{
    if (h->count + 1 < h->room)
        return 0;
    if (h->room > UINT32_MAX / 2) {     /* places are 32 bits wide */
        errno = ENOMEM;
        return -1;
    }
    size_t room = h->room == 0 ? HEAP_ROOM_MIN : h->room * 2;
    struct heap_node **v = reallocarray(h->v, room, sizeof *v);
    if (v == NULL)
        return -1;
    h->v = v;
    h->room = room;
    return 0;
}

int heap_set(struct heap *h, struct heap_node *node, uint64_t key)
{
    if (node->at == 0) {
        if (heap_grow(h) == -1)
            return -1;
        h->count++;
        heap_place(h, node, h->count);
    }
    assert(node->at <= h->count && h->v[node->at] == node);
    node->key = key;
    heap_settle(h, node);
    return 0;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->at == 0)
        return;
    assert(node->at <= h->count && h->v[node->at] == node);
    struct heap_node *last = h->v[h->count];
    h->count--;
    if (last != node) {
        heap_place(h, last, node->at);
        heap_settle(h, last);
    }
    node->at = 0;
}

void heap_free(struct heap *h)
{
    free(h->v);
    *h = (struct heap){ 0 };
}
