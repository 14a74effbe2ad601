/* SPDX-License-Identifier: BSD-2-Clause */
/* The pool of stages: a stack of free places in one mapping. */
#include "driver/stage.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { ALIGNMENT = 4096 };

int stage_pool_open(struct stage_pool *p)
{
    void *memory = mmap(NULL, (size_t)STAGES * STAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    p->memory = memory;
    for (p->free_count = 0; p->free_count < STAGES; p->free_count++)
        p->free[p->free_count] = STAGES - 1 - p->free_count;    /* the first is taken first: few pages are touched */
    return 0;
}

void stage_pool_close(struct stage_pool *p)
{
    if (p->memory != NULL)
        munmap(p->memory, (size_t)STAGES * STAGE_SIZE);
    p->memory = NULL;
}

struct iovec stage_memory(const struct stage_pool *p)
{
    return (struct iovec){ p->memory, (size_t)STAGES * STAGE_SIZE };
}

char *stage_alone(void)
{
    return aligned_alloc(ALIGNMENT, STAGE_SIZE);
}

char *stage_get(struct stage_pool *p)
{
    if (p->free_count > 0)
        return p->memory + (size_t)p->free[--p->free_count] * STAGE_SIZE;
    return stage_alone();
}

void stage_put_back(struct stage_pool *p, char *stage)
{
    if (stage == NULL)
        return;
    if (stage >= p->memory && stage < p->memory + (size_t)STAGES * STAGE_SIZE)
        p->free[p->free_count++] = (unsigned)((size_t)(stage - p->memory) / STAGE_SIZE);
    else
        free(stage);
}
