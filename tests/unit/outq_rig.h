/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of core/outq.c stand on: a queue in an env of its own, files without descriptors, texts. */
#ifndef TESTS_OUTQ_RIG_H
#define TESTS_OUTQ_RIG_H

#include <check.h>
#include <stdlib.h>

#include "core/env.h"
#include "core/file.h"
#include "core/outq.h"

struct rig {
    struct env  env;
    struct outq q;
};

static inline void rig_open(struct rig *g)
{
    env_init(&g->env, NULL);
    g->q = (struct outq){ .env = &g->env };
}

static inline void rig_close(struct rig *g)
{
    outq_clear(&g->q);
    ck_assert_uint_eq(g->q.bytes, 0);
    ck_assert_uint_eq(g->q.items, 0);
    ck_assert_ptr_null(g->q.head);
    ck_assert_ptr_null(g->q.tail);
    env_free(&g->env);
}

/* A file without a descriptor, with `refs` references. */
static inline struct file *file_new(unsigned refs)
{
    struct file *f = calloc(1, sizeof *f);
    f->fd = -1;
    f->refs = refs;
    return f;
}

static inline char *text_new(size_t n, unsigned seed)
{
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('!' + (i * 7 + i / 90 + seed) % 90);
    text[n] = '\0';
    return text;
}

#endif
