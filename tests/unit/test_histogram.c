/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/histogram.c: what is read back, held against the sorted values themselves. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/histogram.h"

enum { VALUES = 20000, THREADS = 4, ADDS = 50000 };

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static int value_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* From 1 us to nearly 100 s, as many in each power of ten. */
static uint64_t value_spread(uint32_t *seed)
{
    return (uint64_t)pow(10.0, random_next(seed) % 7999 / 1000.0);
}

/* Most near 200 us, a few far away, as the latencies of a server are. */
static uint64_t value_latency(uint32_t *seed)
{
    uint64_t us = 150 + random_next(seed) % 100;
    return random_next(seed) % 100 == 0 ? us * (1 + random_next(seed) % 5000) : us;
}

static uint64_t value_of_rank(const uint64_t *sorted, double part)
{
    size_t rank = (size_t)ceil(part * VALUES);
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void check_against_sorted(uint64_t (*draw)(uint32_t *seed), uint32_t seed)
{
    struct histogram *h = calloc(1, sizeof *h);
    uint64_t *v = calloc(VALUES, sizeof *v), sum = 0;
    ck_assert(h != NULL && v != NULL);
    for (size_t i = 0; i < VALUES; i++) {
        v[i] = draw(&seed);
        sum += v[i];
        histogram_add(h, v[i]);
    }
    qsort(v, VALUES, sizeof *v, value_order);
    for (int i = 1; i <= 10000; i++) {
        double part = i / 10000.0;
        uint64_t true_us = value_of_rank(v, part), us = histogram_quantile(h, part);
        double error = fabs((double)us - (double)true_us) / (double)true_us;
        if (error > 0.01)
            ck_abort_msg("%.4f: %llu us, not %llu us", part, (unsigned long long)us, (unsigned long long)true_us);
        if (true_us < HISTOGRAM_EXACT)
            ck_assert_uint_eq(us, true_us);
    }
    ck_assert_uint_eq(histogram_quantile(h, 1), v[VALUES - 1]);
    ck_assert_uint_eq(histogram_count(h), VALUES);
    ck_assert_uint_eq(histogram_mean(h), sum / VALUES);
    free(v);
    free(h);
}

START_TEST(histogram_is_wrong_by_one_percent_at_most)
{
    for (uint32_t seed = 1; seed <= 5; seed++) {
        check_against_sorted(value_spread, seed);
        check_against_sorted(value_latency, seed);
    }
}
END_TEST

START_TEST(histogram_is_empty_at_first)
{
    struct histogram h = { 0 };
    ck_assert_uint_eq(histogram_count(&h), 0);
    ck_assert_uint_eq(histogram_mean(&h), 0);
    ck_assert_uint_eq(histogram_quantile(&h, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(&h, 1), 0);
}
END_TEST

START_TEST(histogram_buckets_touch_and_hold_their_values)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t begin = histogram_bucket_begin(i), end = histogram_bucket_begin(i + 1);
        ck_assert_uint_lt(begin, end);
        ck_assert_uint_eq(histogram_bucket(begin), i);
        ck_assert_uint_eq(histogram_bucket(end - 1), i);
        if (begin < HISTOGRAM_TOP_US)
            ck_assert_uint_le((end - 1 - begin) * 64, begin);      /* so half of it is less than 1 % */
    }
    ck_assert_uint_eq(histogram_bucket_begin(0), 0);
    ck_assert_uint_eq(histogram_bucket_begin(HISTOGRAM_BUCKETS), UINT64_MAX);
}
END_TEST

START_TEST(histogram_counts_what_is_beyond_its_end)
{
    struct histogram h = { 0 };
    histogram_add(&h, HISTOGRAM_TOP_US - 1);
    histogram_add(&h, HISTOGRAM_TOP_US);
    histogram_add(&h, 500000000);
    ck_assert_uint_eq(histogram_count(&h), 3);
    ck_assert_uint_eq(histogram_quantile(&h, 1), 500000000);
    ck_assert_uint_eq(h.counts[HISTOGRAM_BUCKETS - 1], 2);
}
END_TEST

START_TEST(histogram_knows_one_value_as_well_as_many)
{
    struct histogram h = { 0 };
    histogram_add(&h, 777777);
    ck_assert_uint_eq(histogram_quantile(&h, 0.001), 777777);
    ck_assert_uint_eq(histogram_quantile(&h, 0.5), 777777);
    histogram_add(&h, 0);
    ck_assert_uint_eq(histogram_quantile(&h, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(&h, 0.51), 777777);
}
END_TEST

START_TEST(histogram_merged_is_the_histogram_of_all)
{
    struct histogram all = { 0 }, part[3] = { 0 }, merged = { 0 };
    uint32_t seed = 9;
    for (int i = 0; i < 3000; i++) {
        uint64_t us = value_spread(&seed);
        histogram_add(&all, us);
        histogram_add(&part[i % 3], us);
    }
    for (int i = 0; i < 3; i++)
        histogram_merge(&merged, &part[i]);
    ck_assert_int_eq(memcmp(&merged, &all, sizeof all), 0);
}
END_TEST

static void *add_many(void *arg)
{
    for (uint64_t i = 0; i < ADDS; i++)
        histogram_add_shared(arg, i);
    return NULL;
}

START_TEST(histogram_loses_nothing_among_threads)
{
    struct histogram *h = calloc(1, sizeof *h), *one = calloc(1, sizeof *one), expected = { 0 };
    pthread_t threads[THREADS];
    ck_assert(h != NULL && one != NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, h), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t i = 0; i < ADDS; i++)
        histogram_add(one, i);
    for (int i = 0; i < THREADS; i++)
        histogram_merge(&expected, one);
    ck_assert_int_eq(memcmp(h, &expected, sizeof expected), 0);
    free(h);
    free(one);
}
END_TEST

START_TEST(histogram_lives_in_memory_that_processes_share)
{
    struct histogram *h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    ck_assert(h != MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        histogram_add(h, 42);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    histogram_add(h, 43);
    ck_assert_uint_eq(histogram_count(h), 2);
    ck_assert_uint_eq(histogram_quantile(h, 0.5), 42);
    ck_assert_uint_le(sizeof *h, 12 * 1024);
    munmap(h, sizeof *h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("histogram");
    TCase *t = tcase_create("histogram");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, histogram_is_empty_at_first);
    tcase_add_test(t, histogram_is_wrong_by_one_percent_at_most);
    tcase_add_test(t, histogram_buckets_touch_and_hold_their_values);
    tcase_add_test(t, histogram_counts_what_is_beyond_its_end);
    tcase_add_test(t, histogram_knows_one_value_as_well_as_many);
    tcase_add_test(t, histogram_merged_is_the_histogram_of_all);
    tcase_add_test(t, histogram_loses_nothing_among_threads);
    tcase_add_test(t, histogram_lives_in_memory_that_processes_share);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
