/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of memory blocks of one size: what was put back is handed out again first, while it
 * is warm in the cache.  One pool belongs to one thread. */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include <stddef.h>

struct block_pool {
    size_t        size;         /* of each block, in bytes; at least sizeof(void *) */
    unsigned      spare_max;    /* blocks kept for reuse; beyond that they return to the heap */
    unsigned      spare_count;
    struct block *spare;
};

/* A block with undefined content, or NULL with errno ENOMEM.  The caller owns it until block_put_back. */
void *block_get(struct block_pool *p);

/* Gives a block of this pool back.  NULL is allowed. */
void block_put_back(struct block_pool *p, void *block);

/* Frees the spare blocks; those that are out must have come back before. */
void block_pool_free(struct block_pool *p);

#endif
