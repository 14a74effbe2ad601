/* SPDX-License-Identifier: BSD-2-Clause */
/* Landlock (landlock(7)): a process gives up the file system but for some folders that it may read. */
#ifndef DAEMON_LANDLOCK_H
#define DAEMON_LANDLOCK_H

/* What this kernel has: the version of the interface, 0 with errno: none (ENOSYS: too old or not built in;
 * EOPNOTSUPP: not switched on). */
int landlock_version(void);

/* From now on this thread, and every one that it starts, may open files and folders beneath `folders` (open
 * descriptors) and `files` (paths; one that is not there is passed over) for reading, and nothing else; descriptors
 * that are open stay what they are.  From version 4 on no TCP socket is bound or connected, from 6 on no process
 * outside is sent a signal or spoken to by an abstract Unix socket.  Needs no_new_privs.  Returns the version that is
 * enforced, 0 with errno. */
int landlock_enter(const int *folders, unsigned folder_count, const char *const *files);

#endif
