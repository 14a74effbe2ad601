/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/conn.c: its parts, input, back-pressure. */
#include <errno.h>

#include "unit/conn_rig.h"

/* --- a connection's parts --- */

START_TEST(conn_has_what_it_was_made_of)
{
    struct rig g;
    rig_open(&g, &full);
    ck_assert_ptr_eq(conn_env(g.c), &g.env);
    ck_assert_ptr_eq(conn_service(g.c), &g.service);
    ck_assert_ptr_eq(conn_settings(g.c), &g.seen_at);
    ck_assert_uint_eq(conn_peer(g.c)->port, 77);
    ck_assert_int_eq(g.c->fd, 5);
    ck_assert_uint_eq(g.env.count.accepted, 1);
    check_told(&g, "o");
    ck_assert(!conn_ending(g.c) && !conn_over(g.c) && conn_wants_input(g.c) && !conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_gives_protocol_and_driver_zeroed_memory_of_their_own)
{
    struct rig g;
    rig_open(&g, &full);
    char *mine = conn_driver_part(g.c), zero[24] = { 0 };
    ck_assert_uint_eq((uintptr_t)mine % 16, 0);
    ck_assert_uint_eq((uintptr_t)conn_state(g.c) % 16, 0);
    ck_assert_mem_eq(mine, zero, sizeof zero);
    memset(mine, 0xff, sizeof zero);
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 0);
    rig_close(&g);
}
END_TEST

START_TEST(conn_has_a_generation_of_its_own_that_is_never_zero)
{
    struct rig g;
    rig_open(&g, &full);
    uint32_t first = g.c->generation;
    conn_free(g.c);
    g.env.generation = UINT32_MAX - 1;
    rig_connect(&g);
    uint32_t second = g.c->generation;
    conn_free(g.c);
    rig_connect(&g);
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_ne(second, first);
    ck_assert_uint_ne(g.c->generation, 0);
    ck_assert_uint_ne(g.c->generation, second);
    rig_close(&g);
}
END_TEST

START_TEST(conn_new_says_so_when_memory_is_out)
{
    struct rig g;
    struct proto huge = full;
    struct peer peer = { 0 };
    huge.state_size = IMPOSSIBLE;
    rig_prepare(&g, &huge);
    errno = 0;
    ck_assert_ptr_null(conn_new(&g.env, &g.service, 5, &peer, 0));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(g.env.count.accepted, 0);
    conn_free(NULL);
    env_free(&g.env);
}
END_TEST

START_TEST(conn_may_end_in_open)
{
    struct rig g;
    rig_prepare(&g, &full);
    g.seen.finish_in_open = true;
    rig_connect(&g);
    ck_assert(conn_ending(g.c) && conn_wants_shut(g.c) && !conn_wants_input(g.c));
    rig_close(&g);
}
END_TEST

/* --- input --- */

static const char lines[] = "one\nsecond\n\nx\nlast one\n";
static const char answers[] = "onesecondxlast one";

START_TEST(conn_answers_the_same_however_input_is_split_in_three)
{
    size_t n = strlen(lines);
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct rig g;
            rig_open(&g, &full);
            in(&g, lines, a);
            in(&g, lines + a, b - a);
            in(&g, lines + b, n - b);
            check_out(&g, answers);
            ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 5);
            ck_assert_ptr_null(g.c->kept);
            ck_assert_uint_eq(g.env.count.bytes_received, n);
            rig_close(&g);
        }
    }
}
END_TEST

START_TEST(conn_answers_the_same_byte_by_byte)
{
    struct rig g;
    rig_open(&g, &full);
    for (size_t i = 0; lines[i] != '\0'; i++)
        in(&g, lines + i, 1);
    check_out(&g, answers);
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_only_what_was_not_taken)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\n");
    ck_assert_ptr_null(g.c->kept);
    say(&g, "tw");
    ck_assert_ptr_nonnull(g.c->kept);
    say(&g, "o\n");
    ck_assert_ptr_null(g.c->kept);
    check_out(&g, "onetwo");
    rig_close(&g);
}
END_TEST

START_TEST(conn_offers_again_only_when_more_has_come)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\ntw");
    ck_assert_uint_eq(g.seen.offered, 2);
    ck_assert(!conn_resume(g.c));
    ck_assert_uint_eq(g.seen.offered, 2);
    say(&g, "o");
    ck_assert_uint_eq(g.seen.offered, 3);
    rig_close(&g);
}
END_TEST

START_TEST(conn_ends_a_peer_whose_message_never_ends)
{
    struct rig g;
    char text[MESSAGE_MAX + 1];
    memset(text, 'm', sizeof text);
    rig_open(&g, &full);
    in(&g, text, MESSAGE_MAX);
    ck_assert(!conn_over(g.c));
    in(&g, text, 1);
    ck_assert(conn_over(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    in(&g, text, MESSAGE_MAX + 1);
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_limits_messages_not_input)
{
    struct rig g;
    char text[MESSAGE_MAX * 4];
    memset(text, '\n', sizeof text);
    rig_open(&g, &full);
    in(&g, text, sizeof text);
    in(&g, text, MESSAGE_MAX - 1);
    ck_assert(!conn_over(g.c));
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), MESSAGE_MAX * 5 - 1);
    rig_close(&g);
}
END_TEST

START_TEST(conn_is_aborted_when_input_cannot_be_kept)
{
    struct rig g;
    rig_open(&g, &full);
    g.service.message_max = SIZE_MAX;
    say(&g, "begin");
    conn_input(g.c, (struct span){ "never read", IMPOSSIBLE });
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_is_aborted_when_output_found_no_memory)
{
    struct rig g;
    rig_open(&g, &full);
    g.env.blocks.size = IMPOSSIBLE;
    say(&g, "one\ntwo\n");
    ck_assert(conn_over(g.c));
    check_told(&g, "ol");
    g.env.blocks.size = ENV_BLOCK_SIZE;
    rig_close(&g);
}
END_TEST

/* --- back-pressure --- */

START_TEST(conn_stops_input_while_much_output_waits_and_goes_on_when_little_does)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nmore\nmo");
    ck_assert(!conn_wants_input(g.c));
    check_told(&g, "ol");
    say(&g, "st\n");                            /* what was on its way already is kept */
    check_told(&g, "ol");
    send_out(&g, BIG - CONN_OUT_LOW - 1);
    ck_assert(!conn_resume(g.c));
    ck_assert(!conn_wants_input(g.c));
    check_told(&g, "ol");
    send_out(&g, 1);
    ck_assert(conn_resume(g.c));
    ck_assert(conn_wants_input(g.c));
    check_told(&g, "olll");
    ck_assert_uint_eq(g.c->out.bytes, CONN_OUT_LOW + strlen("moremost"));
    ck_assert_ptr_null(g.c->kept);
    rig_close(&g);
}
END_TEST

START_TEST(conn_takes_kept_input_in_portions_when_each_fills_the_output)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nbig\nbig\nend\n");
    for (int i = 1; i <= 3; i++) {
        ck_assert_uint_eq(*(unsigned *)conn_state(g.c), (unsigned)i);
        ck_assert_uint_eq(g.c->out.bytes, BIG);
        send_all(&g);
        ck_assert(conn_resume(g.c));
    }
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 4);
    ck_assert_uint_eq(g.c->out.bytes, 3);
    ck_assert(conn_wants_input(g.c));
    ck_assert(!conn_resume(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_counts_what_small_replies_cost)
{
    struct rig g;
    rig_open(&g, &full);
    for (int i = 0; i < 3000; i++)
        say(&g, i % 2 == 0 ? "a\n" : "lend\n");
    ck_assert(!conn_wants_input(g.c));
    ck_assert_uint_le(g.c->out.items, CONN_ITEMS_HIGH + 1);
    ck_assert_uint_lt(g.c->out.bytes, CONN_OUT_LOW);
    while (g.c->out.items > CONN_ITEMS_LOW) {
        ck_assert(!conn_resume(g.c));
        send_out(&g, 1);
    }
    ck_assert(conn_resume(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_input_whole_when_it_comes_while_paused)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\n");
    for (size_t i = 0; lines[i] != '\0'; i++)
        in(&g, lines + i, 1);
    ck_assert_uint_eq(g.seen.offered, 1);
    send_all(&g);
    g.out_n = 0;
    ck_assert(conn_resume(g.c));
    check_out(&g, answers);
    rig_close(&g);
}
END_TEST

START_TEST(conn_asks_for_more_when_there_is_room)
{
    struct rig g;
    rig_open(&g, &chatty);
    g.seen.room_n = 10;
    ck_assert(conn_resume(g.c));
    ck_assert_uint_eq(g.c->out.bytes, 10);
    g.seen.room_n = 0;
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orr");
    say(&g, "big\n");
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orrl");
    say(&g, "bye\n");
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "orrll");
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orrll");
    rig_close(&g);
}
END_TEST

START_TEST(conn_makes_nothing_older_than_its_answer_count_as_fresh)
{
    struct rig g;
    rig_open(&g, &full);
    env_turn(&g.env);
    uint64_t begun = g.env.turn;
    say(&g, "one\ntwo\n");
    ck_assert_uint_eq(g.env.turn, begun);       /* pipelined requests share what was checked */
    send_all(&g);
    say(&g, "three\n");
    ck_assert_uint_gt(g.env.turn, begun);
    send_all(&g);
    env_turn(&g.env);
    begun = g.env.turn;
    say(&g, "four\n");
    ck_assert_uint_eq(g.env.turn, begun);
    rig_close(&g);
}
END_TEST

START_TEST(conn_that_is_new_takes_nothing_older_as_fresh)
{
    struct rig g;
    rig_open(&g, &full);
    uint64_t before = g.env.turn;
    conn_free(g.c);
    rig_connect(&g);
    ck_assert_uint_gt(g.env.turn, before);
    rig_close(&g);
}
END_TEST

/* --- times of answers --- */

static uint64_t times_of(const struct histogram *h, uint64_t *mean_us)
{
    *mean_us = histogram_mean(h);
    return histogram_count(h);
}

/* An answer of ten bytes to a request that was complete at `since_us`. */
static void answer_ten(struct rig *g, uint64_t since_us)
{
    conn_answers(g->c, since_us);
    outq_put(conn_out(g->c), SPAN("0123456789"));
}

static void sent_at(struct rig *g, size_t n, uint64_t us)
{
    g->env.sent_us = us;
    conn_sent(g->c, n);
}

START_TEST(conn_times_the_first_and_the_last_byte_of_an_answer)
{
    static struct metric_part part;
    struct rig g;
    uint64_t mean;
    memset(&part, 0, sizeof part);
    rig_prepare(&g, &full);
    g.service.part = &part;
    rig_connect(&g);
    ck_assert(!conn_is_timed(g.c));
    answer_ten(&g, 1000);
    ck_assert(conn_is_timed(g.c));
    sent_at(&g, 4, 1050);
    ck_assert_uint_eq(times_of(&part.times.first_byte, &mean), 1);
    ck_assert_uint_eq(mean, 50);
    ck_assert_uint_eq(times_of(&part.times.request, &mean), 0);
    sent_at(&g, 3, 1070);
    sent_at(&g, 3, 1100);
    ck_assert_uint_eq(times_of(&part.times.first_byte, &mean), 1);
    ck_assert_uint_eq(times_of(&part.times.request, &mean), 1);
    ck_assert_uint_eq(mean, 100);
    ck_assert(!conn_is_timed(g.c));
    rig_close(&g);
}
END_TEST

/* Both are through when the queue is empty; their mean is right. */
START_TEST(conn_times_answers_that_leave_together)
{
    static struct metric_part part;
    struct rig g;
    uint64_t mean;
    memset(&part, 0, sizeof part);
    rig_prepare(&g, &full);
    g.service.part = &part;
    rig_connect(&g);
    answer_ten(&g, 1000);
    answer_ten(&g, 1020);
    sent_at(&g, 20, 1060);
    ck_assert_uint_eq(times_of(&part.times.request, &mean), 2);
    ck_assert_uint_eq(mean, 50);
    ck_assert_uint_eq(times_of(&part.times.first_byte, &mean), 2);
    answer_ten(&g, 2000);
    sent_at(&g, 5, 2010);
    answer_ten(&g, 2010);
    sent_at(&g, 15, 2035);
    ck_assert_uint_eq(times_of(&part.times.request, &mean), 4);
    ck_assert_uint_eq(times_of(&part.times.first_byte, &mean), 4);
    rig_close(&g);
}
END_TEST

/* Its client left before the end: there is no time to tell. */
START_TEST(conn_that_ends_early_has_no_time)
{
    static struct metric_part part;
    struct rig g;
    uint64_t mean;
    memset(&part, 0, sizeof part);
    rig_prepare(&g, &full);
    g.service.part = &part;
    rig_connect(&g);
    answer_ten(&g, 1000);
    sent_at(&g, 4, 1050);
    conn_broke(g.c);
    rig_close(&g);
    ck_assert_uint_eq(times_of(&part.times.request, &mean), 0);
    ck_assert_uint_eq(g.env.count.bytes_queued, 10);
    ck_assert_uint_eq(g.env.count.bytes_sent, 4);
    ck_assert_uint_eq(g.env.count.bytes_dropped, 6);
}
END_TEST

START_TEST(conn_is_idle_while_nothing_goes_on)
{
    struct rig g;
    rig_open(&g, &full);
    conn_look(g.c);
    conn_look(g.c);
    ck_assert_uint_eq(metric_idle(&g.env.count), 1);
    outq_put(conn_out(g.c), SPAN("x"));
    conn_look(g.c);
    ck_assert_uint_eq(metric_idle(&g.env.count), 0);
    conn_sent(g.c, 1);
    conn_look(g.c);
    ck_assert_uint_eq(metric_idle(&g.env.count), 1);
    rig_close(&g);
    ck_assert_uint_eq(g.env.count.rested, 2);
    ck_assert_uint_eq(metric_idle(&g.env.count), 0);
}
END_TEST

static TCase *case_input(void)
{
    TCase *t = tcase_create("input");
    tcase_add_test(t, conn_has_what_it_was_made_of);
    tcase_add_test(t, conn_times_the_first_and_the_last_byte_of_an_answer);
    tcase_add_test(t, conn_times_answers_that_leave_together);
    tcase_add_test(t, conn_that_ends_early_has_no_time);
    tcase_add_test(t, conn_is_idle_while_nothing_goes_on);
    tcase_add_test(t, conn_gives_protocol_and_driver_zeroed_memory_of_their_own);
    tcase_add_test(t, conn_has_a_generation_of_its_own_that_is_never_zero);
    tcase_add_test(t, conn_new_says_so_when_memory_is_out);
    tcase_add_test(t, conn_may_end_in_open);
    tcase_add_test(t, conn_answers_the_same_however_input_is_split_in_three);
    tcase_add_test(t, conn_answers_the_same_byte_by_byte);
    tcase_add_test(t, conn_keeps_only_what_was_not_taken);
    tcase_add_test(t, conn_offers_again_only_when_more_has_come);
    tcase_add_test(t, conn_ends_a_peer_whose_message_never_ends);
    tcase_add_test(t, conn_limits_messages_not_input);
    tcase_add_test(t, conn_is_aborted_when_input_cannot_be_kept);
    tcase_add_test(t, conn_is_aborted_when_output_found_no_memory);
    tcase_add_test(t, conn_stops_input_while_much_output_waits_and_goes_on_when_little_does);
    tcase_add_test(t, conn_takes_kept_input_in_portions_when_each_fills_the_output);
    tcase_add_test(t, conn_counts_what_small_replies_cost);
    tcase_add_test(t, conn_keeps_input_whole_when_it_comes_while_paused);
    tcase_add_test(t, conn_asks_for_more_when_there_is_room);
    tcase_add_test(t, conn_makes_nothing_older_than_its_answer_count_as_fresh);
    tcase_add_test(t, conn_that_is_new_takes_nothing_older_as_fresh);
    return t;
}

int main(void)
{
    Suite *s = suite_create("conn");
    suite_add_tcase(s, case_input());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
