/* SPDX-License-Identifier: BSD-2-Clause */
/* A timerfd among what the loop watches.  It tells nobody by signals (fcntl(2), O_ASYNC), so where a loop waits for
 * those a timer sends one whose handler does nothing but end the wait; it may come just before the wait begins, so it is
 * sent again until the next alarm is set. */
#include "load/load_alarm.h"

#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

enum { AGAIN_NS = 500000 };     /* between signals: so late is who missed the first */

static void end_the_wait(int number)
{
    (void)number;
}

static int alarm_signal(void)
{
    return SIGRTMIN + 4;
}

int load_alarm_open(struct load_alarm *a, bool by_signal)
{
    struct sigaction action = { .sa_handler = end_the_wait };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = alarm_signal() };
    *a = (struct load_alarm){ .fd = -1, .at_us = UINT64_MAX };
    if (!by_signal) {
        a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        return a->fd == -1 ? -1 : 0;
    }
    if (sigaction(alarm_signal(), &action, NULL) == -1)
        return -1;
    return timer_create(CLOCK_MONOTONIC, &event, &a->timer);
}

void load_alarm_close(struct load_alarm *a)
{
    if (a->fd != -1)
        close(a->fd);
    else
        timer_delete(a->timer);
}

/* A time that is past already rings at once; zero would be never. */
void load_alarm_set(struct load_alarm *a, uint64_t at_us)
{
    if (at_us == UINT64_MAX || (a->at_us <= at_us && clock_monotonic_us() < a->at_us))
        return;
    struct itimerspec t = { .it_value = { (time_t)(at_us / 1000000), (long)(at_us % 1000000 * 1000 + 1) } };
    a->at_us = at_us;
    if (a->fd != -1) {
        (void)timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &t, NULL);
        return;
    }
    t.it_interval.tv_nsec = AGAIN_NS;
    (void)timer_settime(a->timer, TIMER_ABSTIME, &t, NULL);
}

void load_alarm_rang(void *alarm)
{
    const struct load_alarm *a = alarm;
    uint64_t times;
    (void)!read(a->fd, &times, sizeof times);
}
