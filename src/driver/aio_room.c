/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection of engine_aio takes two descriptors, two threads and a share of the queue of signals. */
#include "driver/aio_room.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include "driver/engine_table.h"

enum {
    CONNECTIONS_MAX = 4096,     /* each may hold two threads: one reads, one writes */
    EXTRA_MAX = 256,            /* beside them: those that are refused or give way */
    SPARE_FDS = 256,            /* beside two for each connection */
    SIGNAL_SHARE = 4            /* a worker's part of the queue of signals is one in so many */
};

bool engine_aio_available(char *why, size_t why_size)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_SIGPENDING, &limit) == -1 || limit.rlim_cur > 0) {
        snprintf(why, why_size, "at most %d connections for each worker, two threads each", CONNECTIONS_MAX);
        return true;
    }
    snprintf(why, why_size, "RLIMIT_SIGPENDING is 0: no completion can be told");
    return false;
}

unsigned aio_room_connections(unsigned wanted)
{
    struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
    unsigned long fit = wanted < CONNECTIONS_MAX + EXTRA_MAX ? wanted : CONNECTIONS_MAX + EXTRA_MAX;
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned long spare = limit.rlim_cur / 2 < SPARE_FDS ? limit.rlim_cur / 2 : SPARE_FDS;
    if (limit.rlim_cur != RLIM_INFINITY && (limit.rlim_cur - spare) / 2 < fit)
        fit = (limit.rlim_cur - spare) / 2;
    return fit > 0 ? (unsigned)fit : 1;
}

unsigned aio_room_signals(void)
{
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_SIGPENDING, &limit);
    return limit.rlim_cur / SIGNAL_SHARE < UINT32_MAX ? (unsigned)(limit.rlim_cur / SIGNAL_SHARE) : UINT32_MAX;
}
