/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder, read entry by entry.  Names lie in one piece of memory, which moves while it grows: until the end an entry
 * knows its place in it only. */
#include "core/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/beneath.h"
#include "core/file.h"

enum {
    SCAN_MAX = 100000           /* names looked at: of a folder of links to nowhere none is an entry */
};

struct reading {
    const struct root *root;
    const char        *path;
    struct catalog    *catalog;
    size_t             names_n, names_room;
    unsigned           room;    /* entries */
};

/* -1 with ENOMEM. */
static int name_keep(struct reading *r, const char *name)
{
    size_t n = strlen(name) + 1;
    if (r->names_n + n > r->names_room) {
        size_t room = 2 * (r->names_n + n) + 1024;
        char *more = realloc(r->catalog->names, room);
        if (more == NULL)
            return -1;
        r->catalog->names = more;
        r->names_room = room;
    }
    memcpy(r->catalog->names + r->names_n, name, n);
    r->names_n += n;
    return 0;
}

static int entry_keep(struct reading *r, const char *name, const struct stat *st)
{
    struct catalog *c = r->catalog;
    if (c->count == r->room) {
        unsigned room = 2 * r->room + 32;
        struct catalog_entry *more = reallocarray(c->v, room, sizeof *more);
        if (more == NULL)
            return -1;
        c->v = more;
        r->room = room;
    }
    if (name_keep(r, name) == -1)
        return -1;
    bool folder = S_ISDIR(st->st_mode);
    c->v[c->count++] = (struct catalog_entry){ .size = folder ? 0 : (uint64_t)st->st_size,
                                               .mtime_s = st->st_mtim.tv_sec, .folder = folder };
    return 0;
}

/* What a link leads to, if that is beneath the root and can be opened: else nobody could have it. */
static bool link_follow(const struct reading *r, const char *name, struct stat *st)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s%s%s", r->path, *r->path != '\0' ? "/" : "", name);
    int fd = n > 0 && (size_t)n < sizeof path ? beneath_open(root_descriptor(r->root), path) : -1;
    if (fd == -1)
        return false;
    bool ok = fstat(fd, st) == 0;
    close(fd);
    return ok;
}

static bool entry_look(const struct reading *r, DIR *dir, const char *name, struct stat *st)
{
    if (fstatat(dirfd(dir), name, st, AT_SYMLINK_NOFOLLOW) == -1)
        return false;           /* gone meanwhile */
    if (S_ISLNK(st->st_mode) && !link_follow(r, name, st))
        return false;
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

/* No request can have a control byte in its path (proto/http_path): such a name could not be asked for. */
static bool name_wanted(const char *name, bool dotfiles)
{
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    if (name[0] != '.')
        return true;
    return dotfiles && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* 0, or an errno. */
static int entries_read(struct reading *r, DIR *dir, unsigned max, bool dotfiles)
{
    const struct dirent *d;
    struct stat st;
    for (unsigned seen = 0; (errno = 0, d = readdir(dir)) != NULL;) {
        if (!name_wanted(d->d_name, dotfiles))
            continue;
        if (++seen > SCAN_MAX) {
            r->catalog->cut = true;
            return 0;
        }
        if (!entry_look(r, dir, d->d_name, &st))
            continue;
        if (r->catalog->count == max) {
            r->catalog->cut = true;
            return 0;
        }
        if (entry_keep(r, d->d_name, &st) == -1)
            return ENOMEM;
    }
    return errno;
}

static DIR *folder_open(const struct root *root, const char *path)
{
    int fd = beneath_open(root_descriptor(root), path);
    DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
    if (dir == NULL && fd != -1) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return dir;
}

static void names_place(struct catalog *c)
{
    const char *p = c->names;
    for (unsigned i = 0; i < c->count; i++) {
        c->v[i].name = p;
        p += strlen(p) + 1;
    }
}

struct catalog *catalog_read(const struct root *root, const char *path, unsigned max, bool dotfiles)
{
    struct reading r = { .root = root, .path = path, .catalog = calloc(1, sizeof *r.catalog) };
    if (r.catalog == NULL)
        return NULL;
    DIR *dir = folder_open(root, path);
    int error = dir != NULL ? entries_read(&r, dir, max, dotfiles) : errno;
    if (dir != NULL)
        closedir(dir);
    if (error != 0) {
        catalog_free(r.catalog);
        errno = error;
        return NULL;
    }
    names_place(r.catalog);
    return r.catalog;
}

void catalog_free(struct catalog *c)
{
    if (c == NULL)
        return;
    free(c->names);
    free(c->v);
    free(c);
}
