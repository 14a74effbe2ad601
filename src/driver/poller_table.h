/* SPDX-License-Identifier: BSD-2-Clause */
/* Every poller that may be built in; each lives in a file of its own name. */
#ifndef DRIVER_POLLER_TABLE_H
#define DRIVER_POLLER_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "driver/poller.h"

extern const struct poller_ops poller_epoll, poller_epoll_level, poller_poll, poller_select, poller_spin, poller_sigio;

/* Is there a queue for signals?  What its bound is, is said in any case. */
bool poller_sigio_available(char *why, size_t why_size);

#endif
