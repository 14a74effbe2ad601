/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder of a test's own, made in $TMPDIR or /tmp and removed with everything in it.  Only what the folder
 * functions need; a test makes links, pipes and sub-folders itself, with paths from folder_path. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    char path[PATH_MAX / 2];
};

static inline void folder_make(struct folder *f)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(f->path, sizeof f->path, "%s/iomuxd-test-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->path));
    ck_assert_int_eq(chmod(f->path, 0755), 0);
}

static inline int folder_remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static inline void folder_remove(struct folder *f)
{
    nftw(f->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in it; lives until the next call. */
static inline const char *folder_path(struct folder *f, char to[PATH_MAX], const char *name)
{
    snprintf(to, PATH_MAX, "%s/%s", f->path, name);
    return to;
}

/* Writes a file of n bytes, in place if it exists. */
static inline void folder_write(struct folder *f, const char *name, const void *bytes, size_t n)
{
    char path[PATH_MAX];
    int fd = open(folder_path(f, path, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static inline void folder_write_text(struct folder *f, const char *name, const char *text)
{
    folder_write(f, name, text, strlen(text));
}

/* Open descriptors of this process. */
static inline unsigned descriptors_open(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

#endif
