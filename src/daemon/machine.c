/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine gives this process. */
#include "daemon/machine.h"

#include <limits.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS_RESERVED = 64 };     /* logs, pipes, rings, and files that are being served */

unsigned machine_cpus(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN);     /* more processors than a cpu_set_t has */
    return online > 0 && online < INT_MAX ? (unsigned)online : 1;
}

unsigned long machine_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return 1024;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = { .rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max };

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}

/* However little there is, half of it is for connections: a small server is better than none. */
unsigned machine_fit_connections(unsigned wanted, unsigned long descriptors, unsigned others)
{
    unsigned long reserved = (unsigned long)others + DESCRIPTORS_RESERVED;
    unsigned long room = descriptors > reserved ? descriptors - reserved : 0;

    if (room < descriptors / 2)
        room = descriptors / 2;
    if (room == 0)
        room = 1;
    return wanted < room ? wanted : (unsigned)room;
}
