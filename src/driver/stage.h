/* SPDX-License-Identifier: BSD-2-Clause */
/* Stages: where pieces of files lie on their way to a socket, for drivers that load them.  One stretch of memory,
 * aligned to pages, so that an engine can register it; when all stages are taken, further ones come from the heap. */
#ifndef DRIVER_STAGE_H
#define DRIVER_STAGE_H

#include <sys/uio.h>

enum {
    STAGE_SIZE = 64 * 1024,     /* bytes of a file on their way */
    STAGES = 64                 /* 4 MiB of addresses; pages that are never used cost nothing */
};

struct stage_pool {
    char    *memory;
    unsigned free_count;
    unsigned free[STAGES];
};

/* -1 with errno. */
int stage_pool_open(struct stage_pool *p);
void stage_pool_close(struct stage_pool *p);

struct iovec stage_memory(const struct stage_pool *p);

/* A stage of STAGE_SIZE bytes, aligned to pages; NULL when memory is out.  Until stage_put_back. */
char *stage_get(struct stage_pool *p);
void stage_put_back(struct stage_pool *p, char *stage);

/* One outside of any pool, for a thread of its own; until free(3). */
char *stage_alone(void);

#endif
