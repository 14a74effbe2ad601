/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the pace of proto/client.c: an open loop asks at its times, whatever the server does, and nothing that the
 * server delays is left out. */
#include "client_rig.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

enum { HOUR_US = 3600u * 1000000u };

/* Began so long ago; the times of its requests are known to a microsecond, and now is between two of them. */
static void rig_open_loop(struct rig *r, uint64_t ago_us, double interval_us)
{
    rig_init(r, CLIENT_HTTP, GET);
    r->times.start_us = r->times.measure_us = clock_monotonic_us() - ago_us;
    r->plan.interval_us = interval_us;
    r->w.env.due = &r->due;
}

START_TEST(pace_is_kept_to_the_microsecond)
{
    struct rig r;
    rig_open_loop(&r, 0, 1000.25);
    r.course.phase_us = 500.5;
    r.plan.times = &r.times;
    r.settings = (struct client_settings){ .plan = &r.plan, .course = &r.course, .sheet = r.sheet };
    for (uint64_t i = 0; i < 100000; i += 997) {
        r.course.next = i;
        ck_assert_uint_eq(client_due_us(&r.settings), r.times.start_us + (uint64_t)(500.5 + (double)i * 1000.25));
    }
    r.times.end_us = r.times.start_us + 10000;
    r.course.next = 9;
    ck_assert_uint_lt(client_due_us(&r.settings), r.times.end_us);
    r.course.next = 10;
    ck_assert_uint_eq(client_due_us(&r.settings), UINT64_MAX);
    r.course.next = 0;
    r.course.left = 0;
    ck_assert_uint_eq(client_due_us(&r.settings), UINT64_MAX);
    rig_free(&r);
}
END_TEST

START_TEST(pace_of_a_seat_that_waits_is_in_the_heap)
{
    struct rig r;
    rig_open_loop(&r, HOUR_US, 2.0 * HOUR_US);
    rig_open(&r);
    ck_assert_uint_eq(r.sheet->sent, 1);        /* the first was due at the start */
    ck_assert_uint_eq(r.due.count, 0);          /* with one under way it waits for its answer */
    wire_send(&r.w, OK);
    ck_assert_uint_eq(r.sheet->sent, 1);        /* the next is due in an hour */
    ck_assert_uint_eq(r.due.count, 1);
    ck_assert_uint_eq(heap_top(&r.due)->key, r.times.start_us + 2ull * HOUR_US);
    ck_assert_ptr_null(client_due_next(&r.due, clock_monotonic_us()));
    ck_assert_ptr_eq(client_due_next(&r.due, r.times.start_us + 2ull * HOUR_US), r.w.conn);
    ck_assert_uint_eq(r.due.count, 0);
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

START_TEST(pace_catches_up_and_counts_from_when_it_was_due)
{
    struct rig r;
    rig_open_loop(&r, HOUR_US, HOUR_US / 4.0);  /* the server has let 5 of them wait: at 0, 15, 30, 45, 60 min */
    rig_open(&r);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert_uint_eq(r.sheet->sent, i);
        wire_send(&r.w, OK);
    }
    ck_assert_uint_eq(r.sheet->sent, 5);
    ck_assert_uint_eq(r.sheet->measured, 5);
    ck_assert_uint_ge(r.sheet->latency.max_us, HOUR_US);
    ck_assert_uint_ge(histogram_mean(&r.sheet->latency), HOUR_US / 2);
    ck_assert_uint_lt(r.sheet->service.max_us, HOUR_US / 4);
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

START_TEST(pace_tells_the_clients_delay_from_the_servers)
{
    struct rig r;
    rig_open_loop(&r, HOUR_US, HOUR_US / 4.0);
    rig_open(&r);               /* nobody was there to send it: late by an hour or since it is connected */
    ck_assert_uint_eq(histogram_count(&r.sheet->late), 1);
    for (unsigned i = 0; i < 4; i++)
        wire_send(&r.w, OK);
    ck_assert_uint_eq(histogram_count(&r.sheet->late), 5);
    ck_assert_uint_lt(r.sheet->late.max_us, HOUR_US / 4);      /* as soon as there was a place for it */
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

START_TEST(pace_waits_for_the_start)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    r.times = (struct client_times){ .end_us = UINT64_MAX };
    r.w.env.due = &r.due;
    rig_open(&r);
    ck_assert_uint_eq(r.sheet->sent, 0);
    ck_assert_uint_eq(r.due.count, 1);
    ck_assert_ptr_null(client_due_next(&r.due, clock_monotonic_us() + HOUR_US));
    uint64_t now_us = clock_monotonic_us();
    r.times.start_us = r.times.measure_us = now_us;
    client_due_start(&r.due, now_us);
    ck_assert_ptr_eq(client_due_next(&r.due, now_us), r.w.conn);
    wire_send(&r.w, SPAN(""));  /* whoever wakes it lets it speak */
    ck_assert_uint_eq(r.sheet->sent, 1);
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

START_TEST(pace_ends_with_the_time_and_measures_only_within_it)
{
    struct rig r;
    uint64_t now_us = clock_monotonic_us();
    rig_init(&r, CLIENT_HTTP, GET);
    r.times = (struct client_times){ .start_us = now_us - 1000, .measure_us = now_us + HOUR_US,
                                     .end_us = now_us + 2ull * HOUR_US };
    rig_open(&r);
    wire_send(&r.w, OK);
    ck_assert_uint_eq(r.sheet->answered, 1);
    ck_assert_uint_eq(r.sheet->measured, 0);
    r.times.measure_us = now_us - 1000;
    wire_send(&r.w, OK);
    ck_assert_uint_eq(r.sheet->measured, 1);
    r.times.end_us = clock_monotonic_us();
    wire_send(&r.w, OK);        /* sent within the time, answered behind it: still one of those that were asked */
    ck_assert_uint_eq(r.sheet->measured, 2);
    ck_assert_uint_eq(r.sheet->in_time, 1);
    ck_assert_uint_eq(r.sheet->sent, 3);
    ck_assert_uint_eq(r.sheet->waiting, 0);
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

START_TEST(pace_stops_at_once_when_told)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    r.w.env.due = &r.due;
    rig_open(&r);
    r.times.stop = 1;
    wire_send(&r.w, OK);
    ck_assert_uint_eq(r.sheet->sent, 1);
    ck_assert_uint_eq(r.due.count, 0);
    wire_close(&r.w);
    rig_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_pace");
    TCase *t = tcase_create("client_pace");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, pace_is_kept_to_the_microsecond);
    tcase_add_test(t, pace_of_a_seat_that_waits_is_in_the_heap);
    tcase_add_test(t, pace_catches_up_and_counts_from_when_it_was_due);
    tcase_add_test(t, pace_tells_the_clients_delay_from_the_servers);
    tcase_add_test(t, pace_waits_for_the_start);
    tcase_add_test(t, pace_ends_with_the_time_and_measures_only_within_it);
    tcase_add_test(t, pace_stops_at_once_when_told);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
