/* SPDX-License-Identifier: BSD-2-Clause */
/* A filter of system calls (seccomp(2)): a process keeps those that it needs. */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* Who wants calls. */
struct filter_wants {
    bool               logger;  /* it has a list of its own; else a worker: */
    const char *const *calls;   /* of its I/O model, up to a NULL, beside those that all workers need; NULL: none */
};

/* Can there be one in this build, on this kernel, under the filters that rule already?  False says why not. */
bool filter_available(char *why, size_t why_size);

/* From now on every thread of this process has the calls that were asked for, and for all others EPERM, or ENOSYS where
 * the C library has another way.  Needs no_new_privs.  Returns how many calls are left, -1 with errno. */
int filter_enter(const struct filter_wants *w);

#endif
