/* SPDX-License-Identifier: BSD-2-Clause */
/* Overrides of a running daemon.  Knows texts and paths as texts; what they mean is the configuration's affair. */
#include "daemon/overrides.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The one for the path that is the first n bytes; o->count: there is none. */
static unsigned override_at(const struct overrides *o, const char *path, size_t n)
{
    unsigned at = 0;

    while (at < o->count && (strncmp(o->v[at], path, n) != 0 || o->v[at][n] != '='))
        at++;
    return at;
}

static int overrides_grow(struct overrides *o)
{
    char **grown;

    if (o->count == OVERRIDES_MAX) {
        errno = E2BIG;
        return -1;
    }
    grown = realloc(o->v, (o->count + 1) * sizeof *grown);
    if (grown == NULL)
        return -1;
    o->v = grown;
    return 0;
}

int overrides_put(struct overrides *o, const char *text)
{
    size_t n = strcspn(text, "=");
    unsigned at;
    char *copy;

    if (n == 0 || text[n] == '\0') {
        errno = EINVAL;
        return -1;
    }
    at = override_at(o, text, n);
    if (at == o->count && overrides_grow(o) == -1)
        return -1;
    copy = strdup(text);
    if (copy == NULL)
        return -1;
    if (at == o->count)
        o->count++;
    else
        free(o->v[at]);
    o->v[at] = copy;
    return 0;
}

bool overrides_has(const struct overrides *o, const char *path)
{
    return override_at(o, path, strcspn(path, "=")) < o->count;
}

bool overrides_remove(struct overrides *o, const char *path)
{
    unsigned at = override_at(o, path, strcspn(path, "="));

    if (at == o->count)
        return false;
    free(o->v[at]);
    o->count--;
    memmove(o->v + at, o->v + at + 1, (o->count - at) * sizeof *o->v);
    return true;
}

int overrides_copy(struct overrides *to, const struct overrides *from)
{
    struct overrides fresh = { 0 };

    for (unsigned i = 0; i < from->count; i++) {
        if (overrides_put(&fresh, from->v[i]) == -1) {
            overrides_free(&fresh);
            return -1;
        }
    }
    overrides_move(to, &fresh);
    return 0;
}

void overrides_move(struct overrides *to, struct overrides *from)
{
    overrides_free(to);
    *to = *from;
    *from = (struct overrides){ 0 };
}

void overrides_free(struct overrides *o)
{
    for (unsigned i = 0; i < o->count; i++)
        free(o->v[i]);
    free(o->v);
    *o = (struct overrides){ 0 };
}
