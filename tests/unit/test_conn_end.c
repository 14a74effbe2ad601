/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/conn.c: half-closes, the end, deadlines. */
#include "unit/conn_rig.h"

/* --- half-close and the end --- */

START_TEST(conn_tells_of_the_end_after_all_that_came_before)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nlast\n");
    conn_eof(g.c);
    check_told(&g, "ol");
    ck_assert(!conn_wants_input(g.c) && !conn_over(g.c));
    send_all(&g);
    g.out_n = 0;
    ck_assert(conn_resume(g.c));
    check_told(&g, "olle");
    check_out(&g, "last");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_does_not_tell_of_the_end_while_kept_input_pauses_it_again)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nbig\nlast\n");
    conn_eof(g.c);
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "oll");
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "ollle");
    rig_close(&g);
}
END_TEST

START_TEST(conn_tells_of_the_end_at_once_when_a_message_stays_incomplete)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\ntw");
    conn_eof(g.c);
    check_told(&g, "ole");
    conn_eof(g.c);
    check_told(&g, "ole");
    check_out(&g, "one");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_hears_of_the_end_once_and_may_go_on)
{
    struct rig g;
    rig_open(&g, &half_open);
    say(&g, "big\none\n");
    conn_eof(g.c);
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "olle");
    ck_assert(!conn_wants_input(g.c) && !conn_over(g.c));
    g.c->paused = true;
    ck_assert(conn_resume(g.c));
    conn_eof(g.c);
    check_told(&g, "olle");
    rig_close(&g);
}
END_TEST

START_TEST(conn_delivers_the_answer_to_a_peer_that_shut_down_its_half)
{
    struct rig g;
    rig_open(&g, &bare);
    say(&g, "one\n");
    conn_eof(g.c);
    ck_assert(conn_ending(g.c) && !conn_over(g.c) && !conn_wants_shut(g.c));
    check_out(&g, "one");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_lingers_until_the_peer_is_through)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nbye\ntwo\n");
    check_told(&g, "oll");
    ck_assert(conn_ending(g.c) && !conn_over(g.c));
    ck_assert(!conn_wants_shut(g.c) && !conn_wants_input(g.c));
    check_out(&g, "one");
    ck_assert(conn_wants_shut(g.c) && !conn_over(g.c));
    conn_shut(g.c);
    ck_assert(!conn_wants_shut(g.c) && conn_wants_input(g.c) && !conn_over(g.c));
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + CONN_LINGER_MS);
    say(&g, "dropped\n");
    check_told(&g, "oll");
    ck_assert_uint_eq(g.c->out.bytes, 0);
    conn_eof(g.c);
    check_told(&g, "oll");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_lingers_no_longer_than_its_time)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "bye\n");
    conn_shut(g.c);
    g.env.now_ms += 100;
    say(&g, "does not help\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + CONN_LINGER_MS);
    g.env.now_ms = conn_due(g.c);
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 0);
    check_told(&g, "ol");
    rig_close(&g);
}
END_TEST

START_TEST(conn_does_not_linger_for_a_peer_that_is_through_already)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nbye\n");
    conn_eof(g.c);
    check_told(&g, "oll");
    ck_assert(!conn_over(g.c));
    check_out(&g, "one");
    ck_assert(!conn_wants_shut(g.c));
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_now_is_over_once_all_is_sent)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nnow\n");
    ck_assert(!conn_over(g.c) && !conn_wants_input(g.c));
    check_out(&g, "one");
    ck_assert(!conn_wants_shut(g.c) && conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_now_lingers_when_the_peer_sends_on_against_its_word)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "now\nmore\n");
    ck_assert(!conn_over(g.c) && conn_wants_shut(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "no");
    say(&g, "w\nmore\n");
    ck_assert(!conn_over(g.c) && conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_its_first_end)
{
    struct rig g;
    rig_open(&g, &full);
    conn_finish(g.c);
    conn_finish_now(g.c);
    ck_assert(conn_wants_shut(g.c) && !conn_over(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    conn_abort(g.c);
    conn_finish(g.c);
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_abort_is_over_at_once)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nabort\ntwo\n");
    check_told(&g, "oll");
    ck_assert(conn_over(g.c) && conn_ending(g.c) && !conn_wants_shut(g.c) && !conn_wants_input(g.c));
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    say(&g, "three\n");
    conn_eof(g.c);
    ck_assert(!conn_resume(g.c));
    conn_drain(g.c);
    check_told(&g, "oll");
    rig_close(&g);
}
END_TEST

START_TEST(conn_counts_a_reset_only_when_it_cost_something)
{
    struct rig g;
    rig_open(&g, &full);
    conn_broke(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.resets, 1);
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "one\nbye\n");
    conn_broke(g.c);
    ck_assert_uint_eq(g.env.count.resets, 1);
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "bye\n");
    conn_shut(g.c);
    conn_broke(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.resets, 0);
    rig_close(&g);
}
END_TEST

START_TEST(conn_hears_of_a_drain_once_it_is_open)
{
    struct rig g;
    rig_open(&g, &full);
    conn_drain(g.c);
    check_told(&g, "od");
    ck_assert(!conn_ending(g.c));
    conn_finish(g.c);
    conn_drain(g.c);
    check_told(&g, "od");
    rig_close(&g);
    rig_open(&g, &bare);
    conn_drain(g.c);
    ck_assert(conn_ending(g.c));
    rig_close(&g);
}
END_TEST

/* --- deadlines --- */

START_TEST(conn_is_never_due_without_a_deadline)
{
    struct rig g;
    rig_open(&g, &full);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    conn_timeout(g.c, 700);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 700);
    conn_timeout(g.c, 0);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

START_TEST(conn_deadline_does_not_move_with_each_byte)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 700);
    for (int i = 0; i < 50; i++) {
        g.env.now_ms += 10;
        say(&g, "s");
    }
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 700);
    rig_close(&g);
}
END_TEST

START_TEST(conn_expired_is_told_to_the_protocol_once)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "wait\n");
    g.env.now_ms += 700;
    conn_expired(g.c);
    check_told(&g, "olx");
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + SEND_MS);
    check_out(&g, "late");
    ck_assert(conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_expired_aborts_by_default)
{
    struct rig g;
    rig_open(&g, &bare);
    conn_timeout(g.c, 700);
    g.env.now_ms += 700;
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    rig_close(&g);
}
END_TEST

START_TEST(conn_output_must_move_within_the_send_timeout)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    g.env.now_ms += 50;
    say(&g, "0123456789\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 50 + SEND_MS);
    g.env.now_ms += SEND_MS - 1;
    say(&g, "more output does not count as progress\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 50 + SEND_MS);
    send_out(&g, 1);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + SEND_MS);
    g.env.now_ms += SEND_MS;
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    check_told(&g, "oll");
    rig_close(&g);
}
END_TEST

START_TEST(conn_deadline_begins_anew_when_all_is_sent)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    g.env.now_ms += 2000;
    send_all(&g);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + 100);
    rig_close(&g);
}
END_TEST

START_TEST(conn_waits_for_ever_without_a_send_timeout)
{
    struct rig g;
    rig_open(&g, &full);
    g.service.send_timeout_ms = 0;
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

START_TEST(conn_that_is_over_is_never_due)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    conn_broke(g.c);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "now\n");
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

static TCase *case_end(void)
{
    TCase *t = tcase_create("end");
    tcase_add_test(t, conn_tells_of_the_end_after_all_that_came_before);
    tcase_add_test(t, conn_does_not_tell_of_the_end_while_kept_input_pauses_it_again);
    tcase_add_test(t, conn_tells_of_the_end_at_once_when_a_message_stays_incomplete);
    tcase_add_test(t, conn_hears_of_the_end_once_and_may_go_on);
    tcase_add_test(t, conn_delivers_the_answer_to_a_peer_that_shut_down_its_half);
    tcase_add_test(t, conn_finish_lingers_until_the_peer_is_through);
    tcase_add_test(t, conn_lingers_no_longer_than_its_time);
    tcase_add_test(t, conn_does_not_linger_for_a_peer_that_is_through_already);
    tcase_add_test(t, conn_finish_now_is_over_once_all_is_sent);
    tcase_add_test(t, conn_finish_now_lingers_when_the_peer_sends_on_against_its_word);
    tcase_add_test(t, conn_keeps_its_first_end);
    tcase_add_test(t, conn_abort_is_over_at_once);
    tcase_add_test(t, conn_counts_a_reset_only_when_it_cost_something);
    tcase_add_test(t, conn_hears_of_a_drain_once_it_is_open);
    return t;
}

static TCase *case_deadlines(void)
{
    TCase *t = tcase_create("deadlines");
    tcase_add_test(t, conn_is_never_due_without_a_deadline);
    tcase_add_test(t, conn_deadline_does_not_move_with_each_byte);
    tcase_add_test(t, conn_expired_is_told_to_the_protocol_once);
    tcase_add_test(t, conn_expired_aborts_by_default);
    tcase_add_test(t, conn_output_must_move_within_the_send_timeout);
    tcase_add_test(t, conn_deadline_begins_anew_when_all_is_sent);
    tcase_add_test(t, conn_waits_for_ever_without_a_send_timeout);
    tcase_add_test(t, conn_that_is_over_is_never_due);
    return t;
}

int main(void)
{
    Suite *s = suite_create("conn_end");
    suite_add_tcase(s, case_end());
    suite_add_tcase(s, case_deadlines());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
