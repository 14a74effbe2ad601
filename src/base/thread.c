/* SPDX-License-Identifier: BSD-2-Clause */
/* Which signals are whose: most are the loop's; a fault is answered by the thread that made it, and only if it does
 * not block that signal: else the kernel ends the process without a word. */
#include "base/thread.h"

#include <stddef.h>

const int thread_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, 0 };

/* Behind those of driver/: sigio, aio and blocking have one each. */
int thread_where(void)
{
    return SIGRTMIN + 4;
}

void thread_signals(sigset_t *set)
{
    sigfillset(set);
    sigdelset(set, thread_where());
    for (size_t i = 0; thread_faults[i] != 0; i++)
        sigdelset(set, thread_faults[i]);
}
