/* SPDX-License-Identifier: BSD-2-Clause */
/* An alarm ends the wait of a loop at a time, to a few microseconds: the time-outs of drivers are milliseconds. */
#ifndef LOAD_LOAD_ALARM_H
#define LOAD_LOAD_ALARM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "driver/driver.h"

struct load_alarm {
    int      fd;                /* a timerfd(2); -1: a signal does it */
    timer_t  timer;
    uint64_t at_us;             /* set for then; UINT64_MAX: not set */
};

/* by_signal: the loop hears of signals, not of descriptors like this one.  -1 with errno. */
int  load_alarm_open(struct load_alarm *a, bool by_signal);
void load_alarm_close(struct load_alarm *a);

/* Not later than this.  An alarm that is set for an earlier time stays: a loop that is woken for nothing asks again. */
void load_alarm_set(struct load_alarm *a, uint64_t at_us);

/* For a watch on its descriptor. */
void load_alarm_rang(void *alarm);

#endif
