/* SPDX-License-Identifier: BSD-2-Clause */
/* A binary heap of nodes that live in other structures, smallest key first.
 * Adding, removing and moving are O(log n), the smallest is O(1). */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    uint32_t at;                /* place in the heap, 1 is the top; 0: not in a heap */
};

struct heap {
    struct heap_node **v;       /* v[0] is unused */
    size_t             count, room;
};

/* The node with the smallest key, or NULL. */
static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->count > 0 ? h->v[1] : NULL;
}

/* Puts a node in with this key, or moves one that is in already.
 * -1 with errno ENOMEM when the heap cannot grow; a node that was in stays where it was. */
int heap_set(struct heap *h, struct heap_node *node, uint64_t key);

/* Takes a node out; harmless when it is not in. */
void heap_remove(struct heap *h, struct heap_node *node);

/* Frees the array; the nodes belong to their structures. */
void heap_free(struct heap *h);

#endif
