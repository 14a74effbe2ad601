/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of core/file.c share: a folder that is served, with an env and a cache, which must leave no
 * descriptor behind. */
#ifndef TESTS_SITE_H
#define TESTS_SITE_H

#include <check.h>
#include <errno.h>

#include "core/file.h"
#include "unit/folder.h"

enum { SMALL = FILE_IN_MEMORY_MAX, LARGE = FILE_IN_MEMORY_MAX + 1 };

struct site {
    struct folder folder;
    struct root  *root;
    struct env    env;
    unsigned      descriptors;
};

static inline void site_open(struct site *s)
{
    s->descriptors = descriptors_open();
    folder_make(&s->folder);
    s->root = root_open(s->folder.path);
    ck_assert_ptr_nonnull(s->root);
    env_init(&s->env, NULL);
    s->env.files = file_cache_new();
    ck_assert_ptr_nonnull(s->env.files);
}

static inline void site_close(struct site *s)
{
    file_cache_free(s->env.files);
    root_close(s->root);
    env_free(&s->env);
    folder_remove(&s->folder);
    ck_assert_uint_eq(descriptors_open(), s->descriptors);
}

/* From now on what is looked up is old enough to be believed. */
static inline void site_age(struct site *s)
{
    s->env.now_s += 100;
}

static inline void next_turn(struct site *s)
{
    s->env.turn++;
}

static inline struct file *get(struct site *s, const char *path)
{
    return file_get(&s->env, s->root, span_of(path));
}

/* A file that is in memory and says this. */
static inline void check_text(struct site *s, const char *path, const char *text)
{
    struct file *f = get(s, path);
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(f->size, strlen(text));
    ck_assert_ptr_nonnull(f->bytes);
    ck_assert_mem_eq(f->bytes, text, f->size);
    ck_assert_int_eq(f->fd, -1);
    file_unref(f);
}

/* A link that leads out; or any link, where the kernel cannot tell and none is followed. */
static inline void check_leads_out(struct site *s, const char *path)
{
    ck_assert_msg(get(s, path) == NULL, "%s was opened", path);
    ck_assert_msg(errno == EXDEV || errno == ELOOP, "%s: %s", path, strerrorname_np(errno));
}

static inline void check_refused(struct site *s, const char *path, int error)
{
    errno = 0;
    struct file *f = get(s, path);
    ck_assert_msg(f == NULL, "%s was opened", path);
    ck_assert_msg(errno == error, "%s: %s, expected %s", path, strerrorname_np(errno),
                  strerrorname_np(error));
}

static inline void write_size(struct site *s, const char *name, size_t n)
{
    char *bytes = malloc(n + 1);
    memset(bytes, 'x', n + 1);
    folder_write(&s->folder, name, bytes, n);
    free(bytes);
}

#endif
