/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters and the shared memory that they are added to. */
#include "base/metric.h"

#include <stddef.h>
#include <sys/resource.h>

enum { USE_MS = 100 };          /* between two looks at what a process has used: each is a system call */

static inline uint64_t counter_look(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static inline void counter_put(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static inline void counter_move(uint64_t *to, uint64_t *from, bool alone)
{
    if (*from == 0)             /* most are: an untouched cache line is not pulled over */
        return;
    if (alone)
        counter_put(to, *to + *from);
    else
        __atomic_fetch_add(to, *from, __ATOMIC_RELAXED);
    *from = 0;
}

/* Without a place the counts stay where they are: none is lost, and tests can look at them. */
/* hot */
void metric_publish(struct metric_counts *total, struct metric_counts *counts, bool alone)
{
    if (total == NULL || !METRIC_IS_ON)
        return;
#define METRIC_MOVE(name, ...) counter_move(&total->name, &counts->name, alone);
    METRIC_COUNTERS(METRIC_MOVE)
#undef METRIC_MOVE
}

/* hot */
void metric_time(struct histogram *h, uint64_t us, uint64_t n, bool alone)
{
    for (; n > 0; n--) {
        if (alone)
            histogram_add(h, us);
        else
            histogram_add_shared(h, us);
    }
}

void metric_add(struct metric_counts *to, const struct metric_counts *from)
{
#define METRIC_ADD(name, ...) to->name += counter_look(&from->name);
    METRIC_COUNTERS(METRIC_ADD)
#undef METRIC_ADD
}

void metric_use_add(struct metric_usage *to, const struct metric_usage *from)
{
#define METRIC_ADD(name, ...) to->name += counter_look(&from->name);
    METRIC_USES(METRIC_ADD)
#undef METRIC_ADD
}

/* Counters are read one after the other while they move: what is between two of them may look less than nothing. */
static uint64_t between(uint64_t come, uint64_t gone)
{
    return come > gone ? come - gone : 0;
}

uint64_t metric_idle(const struct metric_counts *c)
{
    return between(counter_look(&c->rested), counter_look(&c->roused));
}

uint64_t metric_waiting_bytes(const struct metric_counts *c)
{
    return between(counter_look(&c->bytes_queued), counter_look(&c->bytes_dropped) + counter_look(&c->bytes_sent));
}

uint64_t metric_open(const struct metric_counts *c)
{
    return between(counter_look(&c->accepted) + counter_look(&c->taken_over),
                   counter_look(&c->closed) + counter_look(&c->passed_on));
}

void metric_settle(struct metric_counts *c)
{
    counter_put(&c->closed, counter_look(&c->closed) + metric_open(c));
    counter_put(&c->roused, counter_look(&c->roused) + metric_idle(c));
    counter_put(&c->bytes_dropped, counter_look(&c->bytes_dropped) + metric_waiting_bytes(c));
}

static uint64_t microseconds(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

/* Several threads may have looked: the latest is the largest. */
static void counter_raise(uint64_t *to, uint64_t value)
{
    uint64_t is = counter_look(to);
    while (is < value && !__atomic_compare_exchange_n(to, &is, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void metric_use_begin(struct metric_slot *slot)
{
    slot->before = (struct metric_usage){ 0 };
    metric_use_add(&slot->before, &slot->used);
    counter_put(&slot->used_ms, 0);
}

void metric_use_end(struct metric_slot *slot, const struct rusage *whole)
{
    const struct metric_usage *before = &slot->before;
    struct metric_usage *used = &slot->used;
    counter_raise(&used->cpu_user_us, before->cpu_user_us + microseconds(&whole->ru_utime));
    counter_raise(&used->cpu_system_us, before->cpu_system_us + microseconds(&whole->ru_stime));
    counter_raise(&used->switches_own, before->switches_own + (uint64_t)whole->ru_nvcsw);
    counter_raise(&used->switches_forced, before->switches_forced + (uint64_t)whole->ru_nivcsw);
}

/* hot */
void metric_use_look(struct metric_slot *slot, uint64_t now_ms)
{
    struct rusage whole;
    uint64_t last = counter_look(&slot->used_ms);
    if (now_ms < last + USE_MS || !METRIC_IS_ON)
        return;
    if (!__atomic_compare_exchange_n(&slot->used_ms, &last, now_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;                 /* another thread does it */
    if (getrusage(RUSAGE_SELF, &whole) == 0)
        metric_use_end(slot, &whole);
}
