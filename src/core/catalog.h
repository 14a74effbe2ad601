/* SPDX-License-Identifier: BSD-2-Clause */
/* What a folder beneath a root holds: its files and folders, and what links within the root lead to.  Reading one waits
 * for disks: it is for helper threads (core/errand.h).  Knows nothing of what is done with it. */
#ifndef CORE_CATALOG_H
#define CORE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct root;

struct catalog_entry {
    const char *name;           /* any bytes but '/' and NUL */
    uint64_t    size;           /* bytes; of a folder 0 */
    time_t      mtime_s;
    bool        folder;
};

struct catalog {
    struct catalog_entry *v;     /* in no order; may be sorted */
    char                *names; /* all of them */
    unsigned             count;
    bool                 cut;   /* there is more than was asked for */
};

/* Reads at most `max` entries of the folder `path`, relative to the root, "" for the root itself; those whose name
 * begins with '.' only when `dotfiles`.  What is neither file nor folder, links that lead out of the root or nowhere,
 * and names with control bytes are not among them.  NULL with errno: ENOENT, ENOTDIR, EACCES, ELOOP, EXDEV, EMFILE, ENOMEM ... */
struct catalog *catalog_read(const struct root *root, const char *path, unsigned max, bool dotfiles);
void catalog_free(struct catalog *c);

#endif
