/* SPDX-License-Identifier: BSD-2-Clause */
/* Files beneath roots and the cache of those that were looked up lately.
 * An entry is believed without asking within the turn in which it was checked, and checked by one fstatat(2) in
 * later turns, and by who asks again in the same one (core/conn sees to that).  A file whose time of change is so
 * young that another change could hide behind the same time stamp is read anew each turn. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/list.h"
#include "core/beneath.h"
#include "core/bypass.h"

enum {
    BUCKETS = 1024,                     /* a power of two */
    ENTRIES_MAX = 2048,                 /* names remembered */
    DESCRIPTORS_MAX = 256,              /* of these, kept open: connections need descriptors more */
    YOUNG_S = 2,                        /* coarser than any file system's time stamps on Unix */
    NEWS_MS = 60000                     /* between two lines about trouble with a root */
};
static const size_t MEMORY_MAX = 16u << 20;     /* bytes of small files */

struct root {
    int      fd;
    bool     told_here;
    bool    *told;                      /* atomic: the log has its line */
    uint64_t news_ms;                   /* atomic: trouble is no news before */
    uint64_t direct_min;                /* bytes; 0: every file is read through the page cache */
    char     path[];
};

struct entry {
    struct list   chain;                /* of its bucket */
    struct list   age;                  /* least recently used first */
    const struct root *root;
    struct file  *file;
    uint64_t      checked;              /* the turn */
    dev_t         device;
    struct timespec changed;            /* st_ctim: mode and owner count too */
    bool          young;                /* to be read anew in the next turn */
    uint32_t      hash;
    size_t        path_n;
    char          path[];
};

struct file_cache {
    struct list buckets[BUCKETS];
    struct list ages;
    unsigned    entries, descriptors;
    size_t      memory;
};

struct root *root_open(const char *path)
{
    size_t size = strlen(path) + 1;
    struct root *r = calloc(1, sizeof *r + size);
    if (r == NULL)
        return NULL;
    memcpy(r->path, path, size);
    r->told = &r->told_here;
    r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->fd == -1) {
        free(r);
        return NULL;
    }
    return r;
}

void root_close(struct root *r)
{
    if (r == NULL)
        return;
    close(r->fd);
    free(r);
}

int root_descriptor(const struct root *r)
{
    return r->fd;
}

void root_direct(struct root *r, uint64_t min, bool *told)
{
    r->direct_min = min;
    r->told = told != NULL ? told : &r->told_here;
}

bool root_is_news(struct root *r, uint64_t now_ms)
{
    uint64_t before = __atomic_load_n(&r->news_ms, __ATOMIC_RELAXED);
    return now_ms >= before && __atomic_compare_exchange_n(&r->news_ms, &before, now_ms + NEWS_MS, false, __ATOMIC_RELAXED,
                                                           __ATOMIC_RELAXED);
}

/* errno says why. */
static void root_tell_refusal(const struct env *e, struct root *r)
{
    if (!__atomic_exchange_n(r->told, true, __ATOMIC_RELAXED))
        log_errno(LOG_WARN, &e->about, "root %s: direct_io is refused, its files are read through the page cache",
                  r->path);
}

static bool root_wants_direct(const struct root *r, const struct file *f)
{
    return r->direct_min > 0 && f->size >= r->direct_min && f->size > FILE_IN_MEMORY_MAX;
}

static void file_make_direct(const struct env *e, struct root *r, struct file *f)
{
    f->root = r;
    f->direct_align = bypass_begin(f->fd);
    if (f->direct_align == 0)
        root_tell_refusal(e, r);
}

void file_direct_refused(struct env *e, struct file *f)
{
    if (f->direct_align == 0)
        return;
    f->direct_align = 0;
    bypass_end(f->fd);
    errno = EOPNOTSUPP;
    root_tell_refusal(e, f->root);
}

struct file *file_ref(struct file *f)
{
    f->refs++;
    return f;
}

void file_unref(struct file *f)
{
    if (f == NULL || --f->refs > 0)
        return;
    if (f->fd != -1)
        close(f->fd);
    free((void *)(uintptr_t)f->bytes);
    free(f);
}

struct file *file_of_bytes(char *taken, size_t n)
{
    struct file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->fd = -1;
    f->refs = 1;
    f->bytes = taken;
    f->size = n;
    return f;
}

struct file_cache *file_cache_new(void)
{
    struct file_cache *fc = calloc(1, sizeof *fc);
    if (fc == NULL)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&fc->buckets[i]);
    list_init(&fc->ages);
    return fc;
}

static void entry_forget(struct file_cache *fc, struct entry *en)
{
    list_remove(&en->chain);
    list_remove(&en->age);
    fc->entries--;
    fc->descriptors -= en->file->fd != -1;
    fc->memory -= en->file->bytes != NULL ? en->file->size : 0;
    file_unref(en->file);
    free(en);
}

static void cache_shrink(struct file_cache *fc, unsigned entries, unsigned descriptors, size_t memory)
{
    while (!list_empty(&fc->ages) &&
           (fc->entries > entries || fc->descriptors > descriptors || fc->memory > memory))
        entry_forget(fc, LIST_ENTRY(fc->ages.next, struct entry, age));
}

void file_cache_free(struct file_cache *fc)
{
    if (fc == NULL)
        return;
    cache_shrink(fc, 0, 0, 0);
    free(fc);
}

/* FNV-1a over the path, started with the root's address. */
/* hot */
static uint32_t path_hash(const struct root *root, struct span path)
{
    uint32_t h = 2166136261u ^ (uint32_t)((uintptr_t)root >> 4);
    for (size_t i = 0; i < path.n; i++)
        h = (h ^ (unsigned char)path.p[i]) * 16777619u;
    return h;
}

/* hot */
static struct entry *cache_find(const struct file_cache *fc, const struct root *root, struct span path, uint32_t hash)
{
    const struct list *bucket = &fc->buckets[hash % BUCKETS];
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct entry *en = LIST_ENTRY(l, struct entry, chain);
        if (en->hash == hash && en->root == root && span_equal((struct span){ en->path, en->path_n }, path))
            return en;
    }
    return NULL;
}

static bool same_file(const struct entry *en, const struct stat *st)
{
    const struct file *f = en->file;
    return st->st_dev == en->device && st->st_ino == f->inode && (uint64_t)st->st_size == f->size &&
           st->st_mtim.tv_sec == f->mtime_s && st->st_mtim.tv_nsec == f->mtime_ns &&
           st->st_ctim.tv_sec == en->changed.tv_sec && st->st_ctim.tv_nsec == en->changed.tv_nsec;
}

/* Is what the entry says still true?  Costs nothing within the turn of the last answer. */
/* hot */
static bool entry_valid(struct env *e, struct entry *en)
{
    struct stat st;
    if (en->checked == e->turn)
        return true;
    if (en->young || fstatat(en->root->fd, en->path, &st, 0) == -1 || !same_file(en, &st))
        return false;
    en->checked = e->turn;
    return true;
}

/* What the page cache has.  A system or a file system (network, FUSE, overlay) that cannot tell whether it would wait
 * is read as it comes. */
#ifdef RWF_NOWAIT
static ssize_t read_cached(int fd, char *to, size_t n)
{
    struct iovec v = { to, n };
    ssize_t have = preadv2(fd, &v, 1, 0, RWF_NOWAIT);
    return have == -1 && errno == EOPNOTSUPP ? pread(fd, to, n, 0) : have;
}
#else
static ssize_t read_cached(int fd, char *to, size_t n)
{
    return pread(fd, to, n, 0);
}
#endif

/* Takes a small file into memory if the page cache has it; else it stays a descriptor, for a helper to fetch. */
static void load_if_small(struct file *f)
{
    if (f->size > FILE_IN_MEMORY_MAX)
        return;
    char *bytes = malloc(f->size > 0 ? f->size : 1);
    if (bytes == NULL)
        return;
    if (f->size > 0 && read_cached(f->fd, bytes, f->size) != (ssize_t)f->size) {
        free(bytes);
        return;
    }
    f->bytes = bytes;
    close(f->fd);
    f->fd = -1;
}

static struct file *file_open(const struct root *root, const char *path, struct stat *st)
{
    int fd = beneath_open(root->fd, path), error = 0;
    if (fd == -1)
        return NULL;
    if (fstat(fd, st) == -1)
        error = errno;
    else if (!S_ISREG(st->st_mode))
        error = S_ISDIR(st->st_mode) ? EISDIR : ENXIO;
    struct file *f = error == 0 ? calloc(1, sizeof *f) : NULL;
    if (f == NULL) {
        close(fd);
        errno = error != 0 ? error : ENOMEM;
        return NULL;
    }
    f->fd = fd;
    f->refs = 1;
    f->size = (uint64_t)st->st_size;
    f->mtime_s = st->st_mtim.tv_sec;
    f->mtime_ns = st->st_mtim.tv_nsec;
    f->inode = st->st_ino;
    load_if_small(f);
    return f;
}

/* Another change could carry the same time stamp; or it is small, was not in the page cache, and may be now.
 * The time of the inode's change counts: unlike the time of modification nobody can set it back. */
static bool is_young(const struct env *e, const struct file *f, const struct stat *st)
{
    return e->now_s - st->st_ctim.tv_sec < YOUNG_S || (f->bytes == NULL && f->size <= FILE_IN_MEMORY_MAX);
}

/* Remembers a file that was just opened; does without where memory is out. */
static void cache_add(struct env *e, const struct root *root, struct span path, struct file *f, const struct stat *st)
{
    struct file_cache *fc = e->files;
    struct entry *en = malloc(sizeof *en + path.n + 1);
    if (en == NULL)
        return;
    *en = (struct entry){ .root = root, .file = file_ref(f), .checked = e->turn, .device = st->st_dev,
                          .changed = st->st_ctim, .young = is_young(e, f, st), .hash = path_hash(root, path),
                          .path_n = path.n };
    memcpy(en->path, path.p, path.n);
    en->path[path.n] = '\0';
    list_init(&en->chain);
    list_init(&en->age);
    list_append(&fc->buckets[en->hash % BUCKETS], &en->chain);
    list_append(&fc->ages, &en->age);
    fc->entries++;
    fc->descriptors += f->fd != -1;
    fc->memory += f->bytes != NULL ? f->size : 0;
    cache_shrink(fc, ENTRIES_MAX, DESCRIPTORS_MAX, MEMORY_MAX);
}

/* A file that the cache does not know (any more). */
static struct file *file_get_anew(struct env *e, struct root *root, struct span path)
{
    char name[PATH_MAX];
    struct stat st;
    if (path.n >= sizeof name || memchr(path.p, '\0', path.n) != NULL) {
        errno = path.n >= sizeof name ? ENAMETOOLONG : ENOENT;
        return NULL;
    }
    memcpy(name, path.p, path.n);
    name[path.n] = '\0';
    struct file *f = file_open(root, name, &st);
    if (f == NULL && (errno == EMFILE || errno == ENFILE) && e->files != NULL && e->files->descriptors > 0) {
        cache_shrink(e->files, ENTRIES_MAX, 0, MEMORY_MAX);
        f = file_open(root, name, &st);
    }
    if (f != NULL && root_wants_direct(root, f))
        file_make_direct(e, root, f);
    if (f != NULL && e->files != NULL)
        cache_add(e, root, path, f, &st);
    return f;
}

/* hot */
struct file *file_get(struct env *e, struct root *root, struct span path)
{
    if (path.n == 0) {
        errno = EISDIR;
        return NULL;
    }
    if (e->files != NULL) {
        struct entry *en = cache_find(e->files, root, path, path_hash(root, path));
        if (en != NULL && entry_valid(e, en)) {
            list_remove(&en->age);
            list_append(&e->files->ages, &en->age);
            return file_ref(en->file);
        }
        if (en != NULL)
            entry_forget(e->files, en);
    }
    return file_get_anew(e, root, path);
}
