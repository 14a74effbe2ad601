/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/completion.c with an engine that is scripted: which operations come back, when, and with
 * what. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/conn_driver.h"
#include "fake/fake_completion.h"
#include "fake/fake_net.h"

/* --- the plain life of a connection --- */

static void script_echo(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        ck_assert(flies(s, OP_RECV, 0) && !flies(s, OP_SEND, 0));
        ck_assert_ptr_nonnull(fake_op_find(s->fake, OP_ACCEPT, s->listener.fd));
        receive(s, 0, "hello");
        break;
    case 2:
        ck_assert(flies(s, OP_RECV, 0) && flies(s, OP_SEND, 0));
        send_some(s, 0, ALL);
        break;
    case 3:
        ck_assert(!flies(s, OP_SEND, 0));
        check_sent(s, 0, "hello");
        receive_end(s, 0);
        break;
    case 4:
        check_freed(s, 0);
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_serves_a_connection_from_accept_to_end)
{
    engine_play_once(&fake_echo, script_echo);
}
END_TEST

static const char words[] = "one\ntwo\n\nthree\n";

/* note: where the input is cut */
static void script_split(struct stage *s, unsigned step)
{
    if (step == 0)
        admit(s, 0);
    else if (step == 1 && s->note > 0)
        fake_receive(s->fake, s->server[0], words, s->note, false);
    else if (step == 2)
        fake_receive(s->fake, s->server[0], words + s->note, strlen(words) - s->note, false);
    else if (step > 2 && flies(s, OP_SEND, 0))
        send_some(s, 0, ALL);
    else if (step > 4) {
        check_sent(s, 0, words);
        stage_halt(s);
    }
}

START_TEST(completion_answers_the_same_however_receives_are_split)
{
    for (size_t cut = 0; cut < strlen(words); cut++) {
        struct stage *s = engine_stage(&fake_line);
        s->note = cut;
        engine_play(s, script_split);
        engine_stage_end(s);
    }
}
END_TEST

/* One byte in, one byte out, in any rhythm. */
static void script_drops(struct stage *s, unsigned step)
{
    if (step == 0) {
        admit(s, 0);
        return;
    }
    if (s->note < strlen(words) && step % 2 == 1)
        fake_receive(s->fake, s->server[0], words + s->note++, 1, false);
    else if (flies(s, OP_SEND, 0))
        send_some(s, 0, 1);
    else if (s->note == strlen(words)) {
        check_sent(s, 0, words);
        stage_halt(s);
    }
}

START_TEST(completion_moves_single_bytes)
{
    engine_play_once(&fake_line, script_drops);
}
END_TEST

static void script_linger(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "one\nbye\nmore\n");
        break;
    case 2:
        ck_assert(!flies(s, OP_RECV, 0));       /* nothing more is wanted before the answer is out */
        net_expect_quiet(s->client[0]);
        send_some(s, 0, ALL);
        break;
    case 3:
        net_expect_end(s->client[0]);           /* shut down, not closed */
        ck_assert(flies(s, OP_RECV, 0));
        receive(s, 0, "and more\n");
        break;
    case 4:
        ck_assert_uint_eq(s->seen.closed, 0);
        receive_end(s, 0);
        break;
    case 5:
        check_sent(s, 0, "one\n");
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_lingers_until_the_peer_has_the_last_answer)
{
    engine_play_once(&fake_line, script_linger);
}
END_TEST

static void script_finish_now(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "one\n");
        break;
    case 2:
        receive(s, 0, "now\n");
        break;
    case 3:
        net_expect_quiet(s->client[0]);
        send_some(s, 0, ALL);
        break;
    case 4:
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_closes_at_once_when_the_peer_is_through)
{
    engine_play_once(&fake_line, script_finish_now);
}
END_TEST

/* --- results that are no bytes --- */

static void script_passing_errors(struct stage *s, unsigned step)
{
    static const int passing[] = { EAGAIN, EINTR, ENOBUFS, ECANCELED };
    enum { PASSING = 4 };
    if (step == 0)
        admit(s, 0);
    else if (step <= PASSING)
        spoil(s, OP_RECV, 0, passing[step - 1]);
    else if (step == PASSING + 1)
        receive(s, 0, "still there");
    else if (step == PASSING + 2)
        spoil(s, OP_SEND, 0, EAGAIN);
    else if (step == PASSING + 3)
        spoil(s, OP_SEND, 0, EINTR);
    else if (step == PASSING + 4)
        send_some(s, 0, 5);
    else if (step == PASSING + 5)
        spoil(s, OP_SEND, 0, EINTR);
    else if (step == PASSING + 6)
        send_some(s, 0, ALL);
    else {
        check_sent(s, 0, "still there");
        ck_assert_uint_eq(s->env.count.resets, 0);
        ck_assert_uint_eq(s->env.count.would_block, PASSING + 3);
        stage_halt(s);
    }
}

START_TEST(completion_tries_again_after_what_passes)
{
    engine_play_once(&fake_echo, script_passing_errors);
}
END_TEST

static void script_recv_broke(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "x");
        break;
    case 2:                                     /* while a send is in flight */
        spoil(s, OP_RECV, 0, ECONNRESET);
        break;
    case 3:
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->seen.closed, 0);
        ck_assert(!flies(s, OP_RECV, 0) && flies(s, OP_SEND, 0));
        break;
    case 4:
        spoil(s, OP_SEND, 0, EPIPE);
        break;
    case 5:
        ck_assert_uint_eq(s->seen.closed, 1);
        ck_assert_uint_eq(s->env.count.resets, 1);
        stage_halt(s);
    }
}

START_TEST(completion_waits_for_its_send_when_a_receive_broke)
{
    engine_play_once(&fake_echo, script_recv_broke);
}
END_TEST

/* note: how the send ends */
static void script_send_broke(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "x");
        break;
    case 2:
        spoil(s, OP_SEND, 0, (int)s->note);
        break;
    case 3:
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->seen.closed, 0);
        ck_assert(flies(s, OP_RECV, 0) && !flies(s, OP_SEND, 0));
        receive(s, 0, "it is over: nobody wants to see this");
        break;
    case 4:
        ck_assert_uint_eq(s->seen.closed, 1);
        ck_assert_uint_eq(s->env.count.bytes_received, 1);
        ck_assert_uint_eq(s->env.count.resets, 1);
        stage_halt(s);
    }
}

START_TEST(completion_waits_for_its_receive_when_a_send_broke)
{
    static const int errors[] = { ECONNRESET, EPIPE, ECANCELED, ENOBUFS, 0 };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct stage *s = engine_stage(&fake_echo);
        s->note = (size_t)errors[i];
        engine_play(s, script_send_broke);
        engine_stage_end(s);
    }
}
END_TEST

/* --- many at once --- */

static void script_reversed(struct stage *s, unsigned step)
{
    enum { CLIENTS = 30 };
    if (step < CLIENTS) {
        admit(s, (int)step);
    } else if (step == CLIENTS) {
        for (int i = CLIENTS; i-- > 0;) {
            char text[3] = { (char)('a' + i), 'x', '\0' };
            receive(s, i, text);
        }
    } else if (step == CLIENTS + 1 || step == CLIENTS + 2) {
        for (int i = CLIENTS; i-- > 0;) {
            send_some(s, i, 1);
            if (i % 3 == 0 && step == CLIENTS + 1)
                receive_end(s, i);
        }
    } else {
        for (int i = 0; i < CLIENTS; i++) {
            char text[3] = { (char)('a' + i), 'x', '\0' };
            check_sent(s, i, text);
        }
        ck_assert_uint_eq(s->seen.closed, CLIENTS / 3);
        stage_halt(s);
    }
}

START_TEST(completion_does_not_care_about_the_order_of_reports)
{
    engine_play_once(&fake_echo, script_reversed);
}
END_TEST

static void script_multishot(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    switch (step) {
    case 0:
        for (int i = 0; i < 3; i++) {
            s->client[i] = net_connect(s->listener.fd);
            s->server[i] = fake_accept(f, s->listener.fd, true);
        }
        break;
    case 1:
        ck_assert_uint_eq(f->started[OP_ACCEPT], 1);
        ck_assert_uint_eq(s->seen.opened, 3);
        ck_assert(!fake_op_find(f, OP_RECV, s->server[0])->many);       /* perhaps there is one request only */
        receive(s, 0, "one ");
        break;
    case 2:
        ck_assert(fake_op_find(f, OP_RECV, s->server[0])->many);
        fake_receive(f, s->server[0], "two ", 4, true);
        fake_receive(f, s->server[0], "three", 5, false);
        break;
    case 3:
        ck_assert_uint_eq(f->started[OP_RECV], 3 + 2);
        send_some(s, 0, ALL);
        fake_return_more(f, fake_op_find(f, OP_WATCH, s->watch.fd), 1);
        break;
    case 4:
        if (flies(s, OP_SEND, 0)) {
            send_some(s, 0, ALL);
            s->step--;
            break;
        }
        check_sent(s, 0, "one two three");
        ck_assert_uint_eq(s->watched, 1);
        ck_assert_uint_eq(f->started[OP_WATCH], 1);
        stage_halt(s);
    }
}

START_TEST(completion_lets_operations_go_on_that_say_so)
{
    engine_play_once(&fake_echo, script_multishot);
}
END_TEST

static void script_multishot_ends(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        receive(s, 0, "x\n");
    } else if (step == 2) {
        send_some(s, 0, ALL);
        fake_receive(f, s->server[0], "abort\n", 6, true);
        fake_receive(f, s->server[0], "late\n", 5, true);       /* was on its way */
    } else if (step == 3) {
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->seen.closed, 0);
        fake_return(f, fake_op_find(f, OP_RECV, s->server[0]), -ECANCELED);
    } else {
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_waits_for_the_last_report_of_an_operation_that_goes_on)
{
    engine_play_once(&fake_line, script_multishot_ends);
}
END_TEST

/* --- back-pressure --- */

static void script_paused(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "x\n");
        break;
    case 2:                                     /* a receive that goes on cannot be paused */
        fake_receive(f, s->server[0], "big 600000\n", 11, true);
        fake_receive(f, s->server[0], "y\n", 2, true);
        fake_receive(f, s->server[0], "z\n", 2, false);
        break;
    default:
        ck_assert_uint_lt(step, 100);
        if (f->out[s->server[0]].n < 2 + 600000 - CONN_OUT_LOW)
            ck_assert(!flies(s, OP_RECV, 0));
        if (flies(s, OP_SEND, 0)) {
            send_some(s, 0, 70000);
            break;
        }
        ck_assert(flies(s, OP_RECV, 0));
        const struct fake_output *out = &f->out[s->server[0]];
        ck_assert_uint_eq(out->n, 2 + 600000 + 4);
        ck_assert_mem_eq(out->p, "x\n", 2);
        net_check_big(out->p + 2, 0, 600000);
        ck_assert_mem_eq(out->p + 2 + 600000, "y\nz\n", 4);
        stage_halt(s);
    }
}

START_TEST(completion_stops_receiving_while_much_output_waits)
{
    engine_play_once(&fake_line, script_paused);
}
END_TEST

/* Receives that go on: the one is left alone while the answer goes out, and sees the end; to the other come bytes that
 * nobody wants. */
static void script_left_alone(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        admit(s, 1);
        break;
    case 2:
        receive(s, 0, "x\n");
        receive(s, 1, "x\n");
        break;
    case 3:
        send_some(s, 0, ALL);
        send_some(s, 1, ALL);
        fake_receive(f, s->server[0], "one\nbye\n", 8, true);
        fake_receive(f, s->server[1], "big 600000\n", 11, true);
        break;
    case 4:
        ck_assert(!fake_op_find(f, OP_RECV, s->server[0])->cancelled);
        ck_assert(!fake_op_find(f, OP_RECV, s->server[1])->cancelled);
        fake_receive(f, s->server[1], "y\n", 2, true);
        send_some(s, 0, ALL);
        break;
    case 5:
        net_expect_end(s->client[0]);
        ck_assert(!fake_op_find(f, OP_RECV, s->server[0])->cancelled);
        ck_assert(fake_op_find(f, OP_RECV, s->server[1])->cancelled);
        fake_return(f, fake_op_find(f, OP_RECV, s->server[1]), -ECANCELED);
        receive_end(s, 0);
        break;
    case 6:
        ck_assert_uint_eq(s->seen.closed, 1);
        ck_assert(!flies(s, OP_RECV, 1));
        ck_assert_uint_eq(f->started[OP_RECV], 4);
        break;
    default:
        ck_assert_uint_lt(step, 100);
        if (flies(s, OP_SEND, 1)) {
            send_some(s, 1, 70000);
            break;
        }
        ck_assert(flies(s, OP_RECV, 1));
        ck_assert_uint_eq(f->started[OP_RECV], 5);
        ck_assert_uint_eq(f->out[s->server[1]].n, 2 + 600000 + 2);
        ck_assert_mem_eq(f->out[s->server[1]].p + 2 + 600000, "y\n", 2);
        stage_halt(s);
    }
}

START_TEST(completion_stops_a_receive_only_when_bytes_come_that_nobody_wants)
{
    engine_play_once(&fake_line, script_left_alone);
}
END_TEST

static void script_end_while_paused(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "x\n");
        break;
    case 2:
        send_some(s, 0, ALL);
        fake_receive(f, s->server[0], "big 600000\nlast\n", 16, true);
        fake_return(f, fake_op_find(f, OP_RECV, s->server[0]), 0);
        break;
    default:
        if (s->seen.closed == 0) {
            send_some(s, 0, 100000);
            break;
        }
        const struct fake_output *out = &f->out[s->server[0]];
        ck_assert_uint_eq(out->n, 2 + 600000 + 5);
        ck_assert_mem_eq(out->p + 2 + 600000, "last\n", 5);
        stage_halt(s);
    }
}

START_TEST(completion_answers_all_that_came_before_the_end)
{
    engine_play_once(&fake_line, script_end_while_paused);
}
END_TEST

static TCase *case_life(void)
{
    TCase *t = tcase_create("life");
    tcase_add_test(t, completion_serves_a_connection_from_accept_to_end);
    tcase_add_test(t, completion_answers_the_same_however_receives_are_split);
    tcase_add_test(t, completion_moves_single_bytes);
    tcase_add_test(t, completion_lingers_until_the_peer_has_the_last_answer);
    tcase_add_test(t, completion_closes_at_once_when_the_peer_is_through);
    tcase_add_test(t, completion_tries_again_after_what_passes);
    tcase_add_test(t, completion_waits_for_its_send_when_a_receive_broke);
    tcase_add_test(t, completion_waits_for_its_receive_when_a_send_broke);
    tcase_add_test(t, completion_does_not_care_about_the_order_of_reports);
    tcase_add_test(t, completion_lets_operations_go_on_that_say_so);
    tcase_add_test(t, completion_waits_for_the_last_report_of_an_operation_that_goes_on);
    tcase_add_test(t, completion_stops_receiving_while_much_output_waits);
    tcase_add_test(t, completion_stops_a_receive_only_when_bytes_come_that_nobody_wants);
    tcase_add_test(t, completion_answers_all_that_came_before_the_end);
    return t;
}

int main(void)
{
    Suite *s = suite_create("completion");
    suite_add_tcase(s, case_life());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
