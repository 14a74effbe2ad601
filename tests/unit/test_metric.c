/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/metric.c. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metric.h"

static struct metric_counts counts_of(uint64_t start)
{
    struct metric_counts c;
#define METRIC_SET(name, help) c.name = start++;
    METRIC_COUNTERS(METRIC_SET)
#undef METRIC_SET
    return c;
}

START_TEST(metric_publish_adds_each_counter_and_zeroes_it)
{
    struct metric_slot slot = { 0 };
    struct metric_counts c = counts_of(1), zero = { 0 };
    metric_publish(&slot, &c);
    ck_assert_mem_eq(&c, &zero, sizeof c);
    c = counts_of(100);
    metric_publish(&slot, &c);
    uint64_t want = 101;
#define METRIC_CHECK(name, help) ck_assert_uint_eq(slot.total.name, want); want += 2;
    METRIC_COUNTERS(METRIC_CHECK)
#undef METRIC_CHECK
    metric_publish(&slot, &c);
    ck_assert_uint_eq(slot.total.accepted, 101);
    ck_assert_uint_eq(slot.progress, 0);
    ck_assert_uint_eq(slot.active, 0);
}
END_TEST

START_TEST(metric_counts_stay_when_there_is_no_slot)
{
    struct metric_counts c = counts_of(5);
    metric_publish(NULL, &c);
    ck_assert_uint_eq(c.accepted, 5);
}
END_TEST

START_TEST(metric_sum_adds_up_all_slots)
{
    struct metric_slot slots[3] = { 0 }, sum;
    memset(&sum, 0xff, sizeof sum);
    for (uint64_t i = 0; i < 3; i++) {
        slots[i].total = counts_of(i * 10);
        slots[i].progress = i + 1;
        slots[i].active = 100 * i;
    }
    metric_sum(slots, 3, &sum);
    uint64_t want = 30;
#define METRIC_CHECK(name, help) ck_assert_uint_eq(sum.total.name, want); want += 3;
    METRIC_COUNTERS(METRIC_CHECK)
#undef METRIC_CHECK
    ck_assert_uint_eq(sum.progress, 6);
    ck_assert_uint_eq(sum.active, 300);
    metric_sum(slots, 0, &sum);
    ck_assert_uint_eq(sum.total.accepted, 0);
    ck_assert_uint_eq(sum.active, 0);
}
END_TEST

START_TEST(metric_slots_have_cache_lines_of_their_own)
{
    ck_assert_uint_eq(_Alignof(struct metric_slot), 64);
    ck_assert_uint_eq(sizeof(struct metric_slot) % 64, 0);
}
END_TEST

START_TEST(metric_page_outlives_the_child_that_counted)
{
    struct metric_slot *page = metric_page_new(5);
    ck_assert_ptr_nonnull(page);
    ck_assert_uint_eq((uintptr_t)page % 64, 0);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(page[i].total.requests, 0);
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid == 0) {
        struct metric_counts c = { .requests = 42 };
        metric_publish(&page[4], &c);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_uint_eq(page[4].total.requests, 42);
    ck_assert_uint_eq(page[3].total.requests, 0);
}
END_TEST

START_TEST(metric_page_refuses_sizes_that_cannot_be)
{
    errno = 0;
    ck_assert_ptr_null(metric_page_new(0));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(metric_page_new(SIZE_MAX));
    ck_assert_ptr_null(metric_page_new(SIZE_MAX / 64));
}
END_TEST

enum { THREADS = 4, PUBLICATIONS = 20000 };

static void *publish_often(void *slot)
{
    for (int i = 0; i < PUBLICATIONS; i++) {
        struct metric_counts c = { .requests = 1, .bytes_sent = 100 };
        metric_publish(slot, &c);
    }
    return NULL;
}

START_TEST(metric_loses_no_count_of_threads)
{
    struct metric_slot slot = { 0 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_often, &slot), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(slot.total.requests, THREADS * PUBLICATIONS);
    ck_assert_uint_eq(slot.total.bytes_sent, 100 * THREADS * PUBLICATIONS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("metric");
    TCase *t = tcase_create("metric");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, metric_publish_adds_each_counter_and_zeroes_it);
    tcase_add_test(t, metric_counts_stay_when_there_is_no_slot);
    tcase_add_test(t, metric_sum_adds_up_all_slots);
    tcase_add_test(t, metric_slots_have_cache_lines_of_their_own);
    tcase_add_test(t, metric_page_outlives_the_child_that_counted);
    tcase_add_test(t, metric_page_refuses_sizes_that_cannot_be);
    tcase_add_test(t, metric_loses_no_count_of_threads);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
