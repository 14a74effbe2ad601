/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/env.c. */
#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "core/env.h"
#include "core/outq.h"
#include "unit/access_tap.h"

START_TEST(env_knows_the_time_from_the_start)
{
    struct env e;
    uint64_t before_ms = clock_monotonic_ms();
    time_t before_s = clock_wall_s();
    env_init(&e, NULL);
    ck_assert_uint_ge(e.now_ms, before_ms);
    ck_assert_int_ge(e.now_s, before_s);
    ck_assert_uint_gt(e.turn, 0);
    ck_assert(!e.draining);
    env_free(&e);
}
END_TEST

START_TEST(env_shows_the_date_of_its_second)
{
    struct env e;
    struct tm tm;
    char expected[64];
    env_init(&e, NULL);
    strftime(expected, sizeof expected, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&e.now_s, &tm));
    ck_assert_uint_eq(strlen(expected), ENV_DATE_SIZE);
    ck_assert_mem_eq(e.date, expected, ENV_DATE_SIZE);
    e.date_s = 0;                       /* as if the last turn had been in another second */
    memset(e.date, 'x', sizeof e.date);
    env_turn(&e);
    strftime(expected, sizeof expected, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&e.now_s, &tm));
    ck_assert_mem_eq(e.date, expected, ENV_DATE_SIZE);
    env_free(&e);
}
END_TEST

START_TEST(env_turns_have_numbers_that_grow)
{
    struct env e;
    env_init(&e, NULL);
    for (int i = 0; i < 10; i++) {
        uint64_t turn = e.turn, now = e.now_ms;
        env_turn(&e);
        ck_assert_uint_eq(e.turn, turn + 1);
        ck_assert_uint_ge(e.now_ms, now);
    }
    env_free(&e);
}
END_TEST

START_TEST(env_rest_publishes_counts_and_progress)
{
    struct metric_slot room = { .progress = 0 }, *slot = &room;
    struct env e;
    env_init(&e, slot);
    e.count.requests = 7;
    env_rest(&e);
    ck_assert_uint_eq(e.count.requests, 0);
    ck_assert_uint_eq(slot->total.requests, 7);
    ck_assert_uint_eq(slot->progress, 1);
    e.count.requests = 2;
    env_rest(&e);
    ck_assert_uint_eq(slot->total.requests, 9);
    ck_assert_uint_eq(slot->progress, 2);
    env_free(&e);
}
END_TEST

START_TEST(env_counts_for_whom_it_works)
{
    static struct metric_part one, two;
    struct metric_slot slot = { .progress = 0 };
    struct env e;
    env_init(&e, &slot);
    e.count.wakeups = 1;
    env_count_for(&e, &one);
    e.count.requests = 7;
    env_count_for(&e, &one);
    ck_assert_uint_eq(e.count.requests, 7);
    env_count_for(&e, &two);
    e.count.requests = 2;
    env_rest(&e);
    env_count_for(&e, NULL);
    e.count.wakeups = 1;
    env_rest(&e);
    ck_assert_uint_eq(slot.total.wakeups, 2);
    ck_assert_uint_eq(slot.total.requests, 0);
    ck_assert_uint_eq(one.total.requests, 7);
    ck_assert_uint_eq(two.total.requests, 2);
    env_free(&e);
}
END_TEST

START_TEST(env_rest_looks_now_and_then_at_what_the_process_uses)
{
    struct metric_slot slot = { .used = { .switches_own = 1000000 } };
    struct env e;
    metric_use_begin(&slot);
    env_init(&e, &slot);
    env_rest(&e);
    uint64_t at = slot.used_ms, used = slot.used.switches_own;
    ck_assert_uint_gt(at, 0);
    ck_assert_uint_ge(used, 1000000);
    e.now_ms = at + 1;
    env_rest(&e);
    ck_assert_uint_eq(slot.used_ms, at);
    e.now_ms = at + 1000;
    env_rest(&e);
    ck_assert_uint_eq(slot.used_ms, at + 1000);
    ck_assert_uint_ge(slot.used.switches_own, used);
    env_free(&e);
}
END_TEST

START_TEST(env_without_a_slot_keeps_its_counts)
{
    struct env e;
    env_init(&e, NULL);
    e.count.requests = 7;
    env_rest(&e);
    ck_assert_uint_eq(e.count.requests, 7);
    env_free(&e);
}
END_TEST

START_TEST(env_knows_which_access_records_found_no_room)
{
    union {
        struct access a;
        char room[sizeof(struct access) + 16];
    } record = { .a = { .status = 200, .service = "s", .method_n = 3, .target_n = 1, .version_n = 8 } };
    struct access_tap tap;
    struct env e;
    struct outq q = { .env = &e };
    unsigned put = 0;
    env_init(&e, NULL);
    tap_open(&tap, "combined", &(struct access_source){ "epoll", "main.0" }, RING_SIZE_MIN);
    e.access = tap.log;
    memcpy(record.a.text, "GET/HTTP/1.1", 12);
    while (e.count.access_dropped < 3) {
        struct access *a = block_get(&e.blocks);
        memcpy(a, &record, sizeof record);
        outq_mark(&q, a);
        put++;
    }
    const char *text = tap_read(&tap);
    unsigned lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    ck_assert_uint_eq(lines, put - 3);
    tap_close(&tap);
    env_free(&e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("env");
    TCase *t = tcase_create("env");
    tcase_add_test(t, env_knows_the_time_from_the_start);
    tcase_add_test(t, env_shows_the_date_of_its_second);
    tcase_add_test(t, env_turns_have_numbers_that_grow);
    tcase_add_test(t, env_rest_publishes_counts_and_progress);
    tcase_add_test(t, env_counts_for_whom_it_works);
    tcase_add_test(t, env_rest_looks_now_and_then_at_what_the_process_uses);
    tcase_add_test(t, env_without_a_slot_keeps_its_counts);
    tcase_add_test(t, env_knows_which_access_records_found_no_room);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
