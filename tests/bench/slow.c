/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults for LD_PRELOAD: each recv that brings something takes SLOW_US microseconds of CPU more; one takes STALL_MS
 * milliseconds, the first that comes STALL_AT milliseconds after the first of all; DIE_AT milliseconds after that one a
 * process that does not lead its session, a worker, is killed. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* What the clock itself takes is part of the time: half a call at each end, and as much that is found out late. */
static void spin(clockid_t clock, long long ns)
{
    long long begin = now_ns(clock), call = now_ns(clock) - begin;

    while (now_ns(clock) < begin + ns - call - call / 2)
        ;
}

static long long number_of(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? atoll(text) : 0;
}

ssize_t recv(int fd, void *to, size_t size, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);
    static long long slow_us, stall_at, stall_ms, die_at, began;

    if (real == NULL) {
        real = (ssize_t (*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
        slow_us = number_of("SLOW_US");
        stall_at = number_of("STALL_AT");
        stall_ms = number_of("STALL_MS");
        die_at = number_of("DIE_AT");
    }
    ssize_t n = real(fd, to, size, flags);
    if (n > 0) {
        spin(CLOCK_THREAD_CPUTIME_ID, slow_us * 1000);
        if (began == 0)
            began = now_ns(CLOCK_MONOTONIC);
        if (stall_ms != 0 && now_ns(CLOCK_MONOTONIC) - began > stall_at * 1000000) {
            spin(CLOCK_MONOTONIC, stall_ms * 1000000);
            stall_ms = 0;
        }
        if (die_at != 0 && getpid() != getsid(0) && now_ns(CLOCK_MONOTONIC) - began > die_at * 1000000)
            raise(SIGKILL);
    }
    return n;
}
