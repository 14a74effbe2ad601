/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters and the page that all workers share.  Relaxed atomics: each counter is true by itself, and
 * no reader may conclude anything from two of them. */
#include "base/metric.h"

#include <errno.h>
#include <sys/mman.h>

static inline void counter_move(uint64_t *to, uint64_t *from)
{
    if (*from == 0)             /* most are: an untouched cache line is not pulled over */
        return;
    __atomic_fetch_add(to, *from, __ATOMIC_RELAXED);
    *from = 0;
}

static inline void counter_add(uint64_t *sum, const uint64_t *from)
{
    *sum += __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* Without a slot the counts stay where they are: none is lost, and tests can look at them. */
void metric_publish(struct metric_slot *slot, struct metric_counts *counts)
{
    if (slot == NULL)
        return;
#define METRIC_MOVE(name, help) counter_move(&slot->total.name, &counts->name);
    METRIC_COUNTERS(METRIC_MOVE)
#undef METRIC_MOVE
}

void metric_sum(const struct metric_slot *slots, size_t count, struct metric_slot *sum)
{
    *sum = (struct metric_slot){ 0 };
    for (size_t i = 0; i < count; i++) {
#define METRIC_ADD(name, help) counter_add(&sum->total.name, &slots[i].total.name);
        METRIC_COUNTERS(METRIC_ADD)
#undef METRIC_ADD
        counter_add(&sum->progress, &slots[i].progress);
        counter_add(&sum->active, &slots[i].active);
    }
}

struct metric_slot *metric_page_new(size_t count)
{
    size_t size;
    if (count == 0 || __builtin_mul_overflow(count, sizeof(struct metric_slot), &size)) {
        errno = EINVAL;
        return NULL;
    }
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

void metric_page_free(struct metric_slot *page, size_t count)
{
    if (page != NULL)
        munmap(page, count * sizeof *page);
}
