/* SPDX-License-Identifier: BSD-2-Clause */
/* Every poller that may be built in; each lives in a file of its own name. */
#ifndef DRIVER_POLLER_TABLE_H
#define DRIVER_POLLER_TABLE_H

#include "driver/poller.h"

extern const struct poller_ops poller_epoll, poller_epoll_level;

#endif
