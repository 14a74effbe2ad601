/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a file past the page cache (O_DIRECT): may it be, and from which offsets to which addresses?  Knows a
 * descriptor, nothing of what is read. */
#ifndef CORE_BYPASS_H
#define CORE_BYPASS_H

enum { BYPASS_ALIGN_MAX = 4096 };       /* bytes: a page; what wants more is refused */

/* From now on reads of this regular file bypass the page cache.  Returns the alignment in bytes, a power of two up to
 * BYPASS_ALIGN_MAX, that offset, length and memory of each read must have; or 0 with errno when the file system
 * refuses, and then nothing has changed. */
unsigned bypass_begin(int fd);

/* Reads go through the page cache again. */
void bypass_end(int fd);

#endif
