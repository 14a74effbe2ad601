/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process says when it dies of its own fault, or is asked where it hangs: a backtrace in the log. */
#ifndef DAEMON_CRASH_H
#define DAEMON_CRASH_H

#include "daemon/logger.h"

/* From now on a fault of this process (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) leaves a backtrace of the thread that
 * made it in the log, once, and then ends the process as it would have.  SIGABRT from another process (the master,
 * an administrator) asks for those of all threads, as far as they can be asked.  `who` begins each line; both must stay.  Where a fault is heard by somebody
 * else already (a sanitizer) it stays with him. */
void crash_watch(const struct logger *l, const char *who);

#endif
