/* SPDX-License-Identifier: BSD-2-Clause */
/* Files beneath a root: looked up with openat2(2) so that no path can leave the root, remembered for as
 * long as they do not change, small ones in memory.  A lookup costs no system call when the same file was
 * looked up in this turn already, and one fstatat(2) otherwise.  Knows nothing of what is done with a file. */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/span.h"
#include "core/env.h"

enum {
    FILE_IN_MEMORY_MAX = 16384,  /* bytes: up to here one send from memory beats sendfile(2) */
    FILE_NOTE_MAX = 320          /* bytes a protocol may note about a file */
};

/* A regular file, open or in memory.  Counted references, all in one thread. */
struct file {
    int         fd;             /* -1 when only in memory */
    unsigned    refs;
    const char *bytes;          /* the whole content, or NULL */
    uint64_t    size;
    time_t      mtime_s;
    long        mtime_ns;
    uint64_t    inode;
    struct root *root;          /* of a file that is or was read past the page cache */
    unsigned    direct_align;   /* bytes: the open file is read past the page cache, and offset, length and memory of
                                 * each read are aligned so; 0: through it */
    uint64_t    warm_until_ms;  /* the driver's: until then the page cache is taken to hold all of it */
    uint64_t    absent_turn;    /* the protocol's, as is all below: the turn that `absent` is about */
    uint8_t     absent;         /* what was looked for beside this file in that turn and is not there */
    uint8_t     note_kind;      /* which of several replies the note is for */
    uint16_t    note_n;         /* a note about this file (a ready reply head), 0: none yet */
    char        note[FILE_NOTE_MAX];
};

/* A folder that files are served from; constant after root_open, may be shared by threads. */
struct root;

/* Opens a folder.  NULL with errno.  The caller owns it until root_close, which must come after the last lookup. */
struct root *root_open(const char *path);
void root_close(struct root *r);

/* The open folder, to look beneath it; it stays the root's. */
int root_descriptor(const struct root *r);

/* Files of at least min bytes that are not kept in memory are to be read past the page cache; 1: all such, 0: none,
 * as after root_open.  Where a file system refuses, its files are read through the page cache, and the log has one
 * line for the root: *told says whether it was written, for all who share it (processes too); NULL: nobody does. */
void root_direct(struct root *r, uint64_t min, bool *told);

/* Is trouble with it news, and to be logged?  Once a minute. */
bool root_is_news(struct root *r, uint64_t now_ms);

/* Looks up a file beneath the root.  `path` is relative, without a leading '/', "" is the root itself.
 * Returns a reference that the caller gives up with file_unref or passes on, or NULL with errno:
 * EISDIR (a folder), ENOENT, ENOTDIR, EACCES, ELOOP, EXDEV (leads out of the root), ENXIO (no regular file),
 * EMFILE, ENFILE, ENOMEM, EIO. */
struct file *file_get(struct env *e, struct root *root, struct span path);

/* A read past the page cache was refused after all: from now on this file is read through it. */
void file_direct_refused(struct env *e, struct file *f);

/* What was made in memory, as a file that is nowhere else: the bytes, from malloc, are taken over.  NULL with ENOMEM,
 * and they are not. */
struct file *file_of_bytes(char *taken, size_t n);

struct file *file_ref(struct file *f);
void file_unref(struct file *f);

/* The cache of one env.  NULL with ENOMEM. */
struct file_cache *file_cache_new(void);

/* Gives up the cache's own references; files still referenced live on. */
void file_cache_free(struct file_cache *fc);

#endif
