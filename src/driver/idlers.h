/* SPDX-License-Identifier: BSD-2-Clause */
/* Who could give way when the house is full: connections that have nothing to do, the one that has been idle for the
 * longest time first.
 * Kept lazily: who is noted stays so while he works and rests again, which costs nothing; only when somebody is looked
 * for are those moved back who have worked since, and those put out who are working. */
#ifndef DRIVER_IDLERS_H
#define DRIVER_IDLERS_H

#include "base/heap.h"

struct idlers {
    struct heap heap;
    /* Since when the owner of this node is idle, now: any clock that grows; 0: he is not. */
    uint64_t  (*since)(const struct heap_node *node);
};

/* The owner of the node may have become idle. */
void idlers_note(struct idlers *i, struct heap_node *node);

/* Who has been idle for the longest time, or NULL.  It stays noted. */
struct heap_node *idlers_oldest(struct idlers *i);

void idlers_forget(struct idlers *i, struct heap_node *node);
void idlers_free(struct idlers *i);

#endif
