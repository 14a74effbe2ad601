/* SPDX-License-Identifier: BSD-2-Clause */
/* A heap by the time since which each is idle.  A key may be too old, never too new: what stands on top is asked again
 * before it is believed, and each correction is paid for by work that was done in between. */
#include "driver/idlers.h"

void idlers_note(struct idlers *i, struct heap_node *node)
{
    uint64_t since;
    if (node->at != 0 || (since = i->since(node)) == 0)
        return;
    (void)heap_set(&i->heap, node, since);      /* without memory it gives way to nobody */
}

struct heap_node *idlers_oldest(struct idlers *i)
{
    struct heap_node *top;
    while ((top = heap_top(&i->heap)) != NULL) {
        uint64_t since = i->since(top);
        if (since == top->key)
            return top;
        if (since == 0)
            heap_remove(&i->heap, top);
        else
            (void)heap_set(&i->heap, top, since);       /* it is in: it needs no memory */
    }
    return NULL;
}

void idlers_forget(struct idlers *i, struct heap_node *node)
{
    heap_remove(&i->heap, node);
}

void idlers_free(struct idlers *i)
{
    heap_free(&i->heap);
}
