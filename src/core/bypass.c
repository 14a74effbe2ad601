/* SPDX-License-Identifier: BSD-2-Clause */
/* O_DIRECT is asked for on an open descriptor; statx(2) says since Linux 6.1 how reads must be aligned.  Where it
 * does not say, a page is right on every file system that has direct I/O at all. */
#include "core/bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#ifdef O_DIRECT
#include <linux/magic.h>
#include <sys/vfs.h>

/* Its files are memory: the kernel takes the flag and has nothing to bypass. */
static bool is_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

#ifdef STATX_DIOALIGN
static bool alignment_said(int fd, unsigned *memory, unsigned *offset)
{
    struct statx sx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_DIOALIGN, &sx) == -1 ||
        (sx.stx_mask & STATX_DIOALIGN) == 0)
        return false;
    *memory = sx.stx_dio_mem_align;
    *offset = sx.stx_dio_offset_align;
    return true;
}
#else
static bool alignment_said(int fd, unsigned *memory, unsigned *offset)
{
    (void)fd, (void)memory, (void)offset;
    return false;
}
#endif

/* 0: none that can be met. */
static unsigned alignment_of(int fd)
{
    unsigned memory = BYPASS_ALIGN_MAX, offset = BYPASS_ALIGN_MAX;
    if (!alignment_said(fd, &memory, &offset) && is_memory(fd))
        return 0;
    unsigned align = memory > offset ? memory : offset;
    bool usable = memory > 0 && offset > 0 && align <= BYPASS_ALIGN_MAX && (memory & (memory - 1)) == 0 &&
                  (offset & (offset - 1)) == 0;
    return usable ? align : 0;
}

unsigned bypass_begin(int fd)
{
    unsigned align = alignment_of(fd);
    int flags = fcntl(fd, F_GETFL);
    if (align == 0)
        errno = EOPNOTSUPP;
    if (align == 0 || flags == -1 || fcntl(fd, F_SETFL, flags | O_DIRECT) == -1)
        return 0;
    return align;
}

void bypass_end(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags != -1)
        fcntl(fd, F_SETFL, flags & ~O_DIRECT);
}
#else
unsigned bypass_begin(int fd)
{
    (void)fd;
    errno = EOPNOTSUPP;
    return 0;
}

void bypass_end(int fd)
{
    (void)fd;
}
#endif
