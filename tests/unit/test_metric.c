/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/metric.c. */
#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/metric.h"

static struct metric_counts counts_of(uint64_t start)
{
    struct metric_counts c;
#define METRIC_SET(name, ...) c.name = start++;
    METRIC_COUNTERS(METRIC_SET)
#undef METRIC_SET
    return c;
}

START_TEST(metric_publish_adds_each_counter_and_zeroes_it)
{
    struct metric_counts total = { 0 }, c = counts_of(1), zero = { 0 };
    bool alone = _i;
    metric_publish(&total, &c, alone);
    ck_assert_mem_eq(&c, &zero, sizeof c);
    c = counts_of(100);
    metric_publish(&total, &c, alone);
    uint64_t want = 101;
#define METRIC_CHECK(name, ...) ck_assert_uint_eq(total.name, want); want += 2;
    METRIC_COUNTERS(METRIC_CHECK)
#undef METRIC_CHECK
    metric_publish(&total, &c, alone);
    ck_assert_uint_eq(total.accepted, 101);
}
END_TEST

START_TEST(metric_counts_stay_when_there_is_no_place)
{
    struct metric_counts c = counts_of(5);
    metric_publish(NULL, &c, false);
    ck_assert_uint_eq(c.accepted, 5);
}
END_TEST

START_TEST(metric_add_adds_each)
{
    struct metric_counts sum = counts_of(7), one = counts_of(100);
    metric_add(&sum, &one);
    uint64_t want = 107;
#define METRIC_CHECK(name, ...) ck_assert_uint_eq(sum.name, want); want += 2;
    METRIC_COUNTERS(METRIC_CHECK)
#undef METRIC_CHECK
}
END_TEST

/* Counters are read while they move. */
START_TEST(metric_differences_are_never_below_nothing)
{
    struct metric_counts c = { .accepted = 10, .closed = 4, .rested = 9, .roused = 7, .bytes_queued = 100, .bytes_sent = 60,
                               .bytes_dropped = 10 };
    ck_assert_uint_eq(metric_open(&c), 6);
    c.taken_over = 3;
    c.passed_on = 5;
    ck_assert_uint_eq(metric_open(&c), 4);
    ck_assert_uint_eq(metric_idle(&c), 2);
    ck_assert_uint_eq(metric_waiting_bytes(&c), 30);
    c = (struct metric_counts){ .closed = 1, .roused = 1, .bytes_sent = 1 };
    ck_assert_uint_eq(metric_open(&c), 0);
    ck_assert_uint_eq(metric_idle(&c), 0);
    ck_assert_uint_eq(metric_waiting_bytes(&c), 0);
}
END_TEST

START_TEST(metric_settles_what_a_process_left_behind)
{
    struct metric_counts c = { .accepted = 10, .closed = 4, .rested = 9, .roused = 7, .bytes_queued = 100, .bytes_sent = 60 };
    metric_settle(&c);
    ck_assert_uint_eq(c.closed, 10);
    ck_assert_uint_eq(metric_idle(&c), 0);
    ck_assert_uint_eq(metric_waiting_bytes(&c), 0);
    ck_assert_uint_eq(c.bytes_dropped, 40);
}
END_TEST

START_TEST(metric_time_counts_as_often_as_it_is_told)
{
    static struct histogram h;
    metric_time(&h, 100, 3, true);
    metric_time(&h, 100, 2, false);
    metric_time(&h, 1, 0, true);
    ck_assert_uint_eq(histogram_count(&h), 5);
    ck_assert_uint_eq(histogram_quantile(&h, 0.5), 100);
}
END_TEST

/* The next process counts on, and its own use begins at nothing. */
START_TEST(metric_use_is_of_all_processes_and_never_falls)
{
    struct metric_slot slot = { .progress = 0 };
    struct rusage first = { .ru_utime = { 2, 500 }, .ru_stime = { 1, 0 }, .ru_nvcsw = 7, .ru_nivcsw = 3 };
    struct rusage second = { .ru_utime = { 0, 1 }, .ru_nvcsw = 1 };
    metric_use_begin(&slot);
    metric_use_end(&slot, &first);
    ck_assert_uint_eq(slot.used.cpu_user_us, 2000500);
    ck_assert_uint_eq(slot.used.cpu_system_us, 1000000);
    ck_assert_uint_eq(slot.used.switches_own, 7);
    ck_assert_uint_eq(slot.used.switches_forced, 3);
    metric_use_end(&slot, &second);     /* an older look comes late */
    ck_assert_uint_eq(slot.used.cpu_user_us, 2000500);
    metric_use_begin(&slot);
    metric_use_end(&slot, &second);
    ck_assert_uint_eq(slot.used.cpu_user_us, 2000501);
    ck_assert_uint_eq(slot.used.switches_own, 8);
}
END_TEST

START_TEST(metric_slots_have_cache_lines_of_their_own)
{
    ck_assert_uint_eq(_Alignof(struct metric_slot), 64);
    ck_assert_uint_eq(sizeof(struct metric_slot) % 64, 0);
}
END_TEST

enum { THREADS = 4, PUBLICATIONS = 20000 };

static void *publish_often(void *total)
{
    for (int i = 0; i < PUBLICATIONS; i++) {
        struct metric_counts c = { .requests = 1, .bytes_sent = 100 };
        metric_publish(total, &c, false);
    }
    return NULL;
}

START_TEST(metric_loses_no_count_of_threads)
{
    struct metric_counts total = { 0 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_often, &total), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(total.requests, THREADS * PUBLICATIONS);
    ck_assert_uint_eq(total.bytes_sent, 100 * THREADS * PUBLICATIONS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("metric");
    TCase *t = tcase_create("metric");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, metric_publish_adds_each_counter_and_zeroes_it, 0, 2);
    tcase_add_test(t, metric_counts_stay_when_there_is_no_place);
    tcase_add_test(t, metric_add_adds_each);
    tcase_add_test(t, metric_differences_are_never_below_nothing);
    tcase_add_test(t, metric_settles_what_a_process_left_behind);
    tcase_add_test(t, metric_time_counts_as_often_as_it_is_told);
    tcase_add_test(t, metric_use_is_of_all_processes_and_never_falls);
    tcase_add_test(t, metric_slots_have_cache_lines_of_their_own);
    tcase_add_test(t, metric_loses_no_count_of_threads);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
