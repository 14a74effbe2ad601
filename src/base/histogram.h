/* SPDX-License-Identifier: BSD-2-Clause */
/* How long things took, counted by size: a histogram of fixed size whose buckets grow with what they hold.
 *
 * Values are microseconds.  Below 128 us each value has a bucket of its own; from there on every power of two is cut
 * into 64 buckets, so that what is read back is wrong by 1 part in 128 at most, 0.8 %.  From 100 s on values are
 * counted in the last bucket, and only the largest is known exactly.
 *
 * Zeroed memory is an empty histogram, and there are no pointers in it: it may lie in memory that processes share.
 * Each count is a relaxed atomic: who reads while others count sees each of them whole, and may see one value counted
 * and not yet another that came before it. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_EXACT = 128,              /* us: values below have a bucket each */
    HISTOGRAM_STEPS = 64,               /* buckets of a power of two above that */
    HISTOGRAM_TOP_US = 100000000,       /* 100 s: the begin of the last bucket, which has no end */
    HISTOGRAM_BUCKETS = 1377
};

struct histogram {
    uint64_t sum_us;                    /* of all values, for their mean */
    uint64_t max_us;                    /* exact */
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Counts a value; only one thread at a time does so. */
void histogram_add(struct histogram *h, uint64_t us);

/* The same where several threads or processes do so at the same time. */
void histogram_add_shared(struct histogram *h, uint64_t us);

/* Adds all that was counted in `from`, which others may go on to count in; `to` is the caller's alone. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* How many values there are. */
uint64_t histogram_count(const struct histogram *h);

/* Their mean; 0: there are none. */
uint64_t histogram_mean(const struct histogram *h);

/* The value that a part of all does not exceed: 0.5 is the median, 1 the largest.  `part` is above 0 and at most 1.
 * 0: there are no values. */
uint64_t histogram_quantile(const struct histogram *h, double part);

/* The bucket that a value is counted in, and the first value of a bucket; for `at` == HISTOGRAM_BUCKETS the end of
 * the last, UINT64_MAX. */
unsigned histogram_bucket(uint64_t us);
uint64_t histogram_bucket_begin(unsigned at);

#endif
