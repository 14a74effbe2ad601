/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is freed all at once: a configuration is made piece by piece and dies whole.
 * Knows nothing of what is kept in it. */
#include "conf/conf_inner.h"

#include <stdlib.h>
#include <string.h>

struct conf_chunk {
    struct conf_chunk *next;
    max_align_t        bytes[];
};

void *conf_memory_get(struct conf_memory *m, size_t size)
{
    struct conf_chunk *chunk;

    if (size > SIZE_MAX / 2 || (chunk = calloc(1, sizeof(*chunk) + size)) == NULL) {
        m->failed = true;
        return NULL;
    }
    chunk->next = m->chunks;
    m->chunks = chunk;
    return chunk->bytes;
}

char *conf_memory_keep(struct conf_memory *m, const char *bytes, size_t size)
{
    char *copy = conf_memory_get(m, size + 1);

    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

int conf_memory_grow(void *block, size_t *room, size_t need, size_t size)
{
    size_t more = need < 32 ? 64 : 2 * need;
    void *now, *grown;

    if (need <= *room)
        return 0;
    memcpy(&now, block, sizeof(now));
    grown = more < need ? NULL : reallocarray(now, more, size);
    if (grown == NULL)
        return -1;
    memcpy(block, &grown, sizeof(grown));
    *room = more;
    return 0;
}

void conf_memory_free(struct conf_memory *m)
{
    while (m->chunks != NULL) {
        struct conf_chunk *chunk = m->chunks;

        m->chunks = chunk->next;
        free(chunk);
    }
}
