/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens a file so that the path cannot lead out of a folder, whatever it says and whatever links are there. */
#ifndef CORE_BENEATH_H
#define CORE_BENEATH_H

/* Opens `path`, relative to the folder `dirfd`, for reading; never blocks on FIFOs, becomes nobody's terminal.
 * Returns a descriptor, or -1 with errno: ENOENT, ENOTDIR, EACCES, ELOOP, EXDEV (would lead out), EMFILE ...
 * Linux 5.6 and newer: openat2(2) with RESOLVE_BENEATH, symbolic links inside are followed.
 * Elsewhere: the path is walked component by component and no symbolic link is followed (ELOOP). */
int beneath_open(int dirfd, const char *path);

#endif
