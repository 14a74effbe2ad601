/* SPDX-License-Identifier: BSD-2-Clause */
/* Buckets by the leading bits of a value: its power of two, and the six bits behind the first. */
#include "base/histogram.h"

#include <stdbool.h>

enum { EXACT_BITS = 7, STEP_BITS = 6 };

_Static_assert(1 << EXACT_BITS == HISTOGRAM_EXACT && 1 << STEP_BITS == HISTOGRAM_STEPS, "one and the same");

/* hot */
unsigned histogram_bucket(uint64_t us)
{
    if (us < HISTOGRAM_EXACT)
        return (unsigned)us;
    if (us >= HISTOGRAM_TOP_US)
        return HISTOGRAM_BUCKETS - 1;
    unsigned power = 63 - (unsigned)__builtin_clzll(us), shift = power - STEP_BITS;
    return HISTOGRAM_EXACT + (power - EXACT_BITS) * HISTOGRAM_STEPS + (unsigned)(us >> shift) - HISTOGRAM_STEPS;
}

uint64_t histogram_bucket_begin(unsigned at)
{
    if (at < HISTOGRAM_EXACT)
        return at;
    if (at == HISTOGRAM_BUCKETS - 1)
        return HISTOGRAM_TOP_US;
    if (at >= HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    unsigned above = at - HISTOGRAM_EXACT, shift = above / HISTOGRAM_STEPS + 1;
    return (uint64_t)(above % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
}

static inline uint64_t look(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static inline void put(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
}

/* hot */
void histogram_add(struct histogram *h, uint64_t us)
{
    uint64_t *count = &h->counts[histogram_bucket(us)];
    put(count, *count + 1);
    put(&h->sum_us, h->sum_us + us);
    if (us > h->max_us)
        put(&h->max_us, us);
}

/* hot */
void histogram_add_shared(struct histogram *h, uint64_t us)
{
    uint64_t max = look(&h->max_us);
    __atomic_fetch_add(&h->counts[histogram_bucket(us)], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&h->sum_us, us, __ATOMIC_RELAXED);
    while (us > max && !__atomic_compare_exchange_n(&h->max_us, &max, us, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    uint64_t max = look(&from->max_us);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->counts[i] += look(&from->counts[i]);
    to->sum_us += look(&from->sum_us);
    if (max > to->max_us)
        to->max_us = max;
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        n += look(&h->counts[i]);
    return n;
}

uint64_t histogram_mean(const struct histogram *h)
{
    uint64_t n = histogram_count(h);
    return n > 0 ? look(&h->sum_us) / n : 0;
}

/* The middle of a bucket stands for all values in it; nothing is larger than the largest. */
static uint64_t bucket_value(const struct histogram *h, unsigned at)
{
    uint64_t begin = histogram_bucket_begin(at), last = histogram_bucket_begin(at + 1) - 1, max = look(&h->max_us);
    uint64_t middle = begin + (last - begin) / 2;
    return middle < max ? middle : max;
}

/* Counted from 1: the value that is the first not to be exceeded by so large a part. */
static uint64_t rank_of(double part, uint64_t n)
{
    double exact = part * (double)n;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact;
    return rank < 1 ? 1 : rank < n ? rank : n;
}

uint64_t histogram_quantile(const struct histogram *h, double part)
{
    uint64_t n = histogram_count(h), left = rank_of(part, n);
    if (n == 0)
        return 0;
    if (left == n)
        return look(&h->max_us);        /* the last of all is known exactly */
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = look(&h->counts[i]);
        if (count >= left)
            return bucket_value(h, i);
        left -= count;
    }
    return look(&h->max_us);
}
