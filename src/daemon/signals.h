/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals as bytes on a pipe, so that a loop hears them where it hears everything else.  One pipe for each
 * process: a child opens its own after fork. */
#ifndef DAEMON_SIGNALS_H
#define DAEMON_SIGNALS_H

#include <signal.h>

/* Makes this process's pipe and returns its reading end, non-blocking; -1 with errno.  A pipe inherited over
 * fork is closed in favour of the new one. */
int signals_open(void);

/* What becomes of a signal: a byte on the pipe, nothing, or what the kernel does by default. */
void signals_hear(int number);
void signals_ignore(int number);
void signals_default(int number);

/* The next signal that was heard, 0: no more. */
int signals_next(int fd);

/* Holds all signals back, for fork: the child must not write to its parent's pipe. */
void signals_hold(sigset_t *before);
void signals_release(const sigset_t *before);

/* Between fork and exec: what comes from here on is not for the pipe that the parent reads. */
void signals_forget(void);

#endif
