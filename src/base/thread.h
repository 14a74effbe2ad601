/* SPDX-License-Identifier: BSD-2-Clause */
/* Which signals are whose, in a process of several threads. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <signal.h>

/* All signals but those that a thread answers itself: for what it did wrong, and the one that asks where it is.
 * A thread beside the loop's is born with these blocked. */
void thread_signals(sigset_t *set);

/* Asks a thread where it is (daemon/crash). */
int thread_where(void);

/* What a thread does wrong, as signals, and SIGABRT; ends with 0. */
extern const int thread_faults[];

#endif
