/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of all open groups lie behind each other, the innermost last.  A group has at most CONF_NAMES_MAX
 * of them, so each may be compared with all before it. */
#include "conf/conf_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_inner.h"

/* FNV-1a: only to pass quickly over names that differ. */
static uint32_t name_hash(const char *bytes, size_t size)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}

static bool name_lookup(struct conf_names *n, const struct conf_token *name, uint32_t hash)
{
    struct conf_level *level = &n->levels[n->depth];

    for (size_t i = level->names; i < n->count; i++) {
        const struct conf_name *known = &n->v[i];

        if (known->hash == hash && known->size == name->size &&
            memcmp(n->bytes + known->at, name->at, name->size) == 0) {
            level->now = i;
            return true;
        }
    }
    return false;
}

int conf_names_add(struct conf_names *n, const struct conf_token *name, const struct conf_place *place,
                   const struct conf_name **before)
{
    uint32_t hash = name_hash(name->at, name->size);

    *before = NULL;
    if (name_lookup(n, name, hash)) {
        *before = &n->v[n->levels[n->depth].now];
        return 0;
    }
    if (conf_memory_grow(&n->bytes, &n->room, n->size + name->size, sizeof(*n->bytes)) == -1 ||
        conf_memory_grow(&n->v, &n->name_room, n->count + 1, sizeof(*n->v)) == -1)
        return -1;
    memcpy(n->bytes + n->size, name->at, name->size);
    n->v[n->count] = (struct conf_name){ *place, n->size, name->size, hash };
    n->levels[n->depth].now = n->count++;
    n->size += name->size;
    return 0;
}

void conf_names_element(struct conf_names *n)
{
    n->levels[n->depth].elements++;
}

void conf_names_open(struct conf_names *n)
{
    n->levels[++n->depth] = (struct conf_level){ n->count, n->size, .now = n->count };
}

void conf_names_close(struct conf_names *n)
{
    n->count = n->levels[n->depth].names;
    n->size = n->levels[n->depth].bytes;
    n->depth--;
}

void conf_names_path(const struct conf_names *n, char *to, size_t size)
{
    size_t used = 0;

    to[0] = '\0';
    for (unsigned i = 0; i <= n->depth && used < size; i++) {
        const struct conf_level *level = &n->levels[i];
        const char *dot = used > 0 ? "." : "";
        int more = 0;

        if (level->elements > 0)
            more = snprintf(to + used, size - used, "%s[%u]", dot, level->elements - 1);
        else if (level->now < n->count)
            more = snprintf(to + used, size - used, "%s%.*s", dot, (int)n->v[level->now].size,
                            n->bytes + n->v[level->now].at);
        used += (size_t)more;
    }
}

void conf_names_free(struct conf_names *n)
{
    free(n->bytes);
    free(n->v);
}
