/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of one size, the spare ones chained through their own first bytes.  Owns the spare blocks only. */
#include "base/block.h"

#include <assert.h>
#include <stdlib.h>

struct block {
    struct block *next;
};

/* hot: malloc's alignment, which fits any type */
void *block_get(struct block_pool *p)
{
    struct block *b = p->spare;
    if (b == NULL) {
        assert(p->size >= sizeof *b);
        return malloc(p->size);
    }
    p->spare = b->next;
    p->spare_count--;
    return b;
}

/* hot */
void block_put_back(struct block_pool *p, void *block)
{
    struct block *b = block;
    if (b == NULL)
        return;
    if (p->spare_count >= p->spare_max) {
        free(b);
        return;
    }
    b->next = p->spare;
    p->spare = b;
    p->spare_count++;
}

void block_pool_free(struct block_pool *p)
{
    while (p->spare != NULL) {
        struct block *b = p->spare;
        p->spare = b->next;
        free(b);
    }
    p->spare_count = 0;
}
