/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/completion.c with a scripted engine: who is let in, how many at a time, and when nobody is; an engine
 * that cannot start what it is asked for. */
#include <check.h>
#include <errno.h>

#include "fake/fake_completion.h"
#include "fake/fake_net.h"

/* --- accepting --- */

static void script_accept_errors(struct stage *s, unsigned step)
{
    struct fake_op *door = fake_op_find(s->fake, OP_ACCEPT, s->listener.fd);
    if (step == 0) {
        fake_return(s->fake, door, -ECONNABORTED);
    } else if (step == 1) {
        ck_assert_uint_eq(s->log_lines, 0);
        fake_return(s->fake, door, -EMFILE);            /* it was opened again at once */
    } else if (step == 2) {
        ck_assert_ptr_null(door);
        ck_assert_uint_eq(s->log_lines, 1);
    } else if (s->seen.opened == 0 && door != NULL) {
        ck_assert_uint_eq(engine_of(s)->started[OP_ACCEPT], 3);
        admit(s, 0);
    } else if (s->seen.opened == 1) {
        ck_assert_uint_eq(s->log_lines, 1);
        stage_halt(s);
    }
}

START_TEST(completion_accepts_again_after_descriptors_were_short)
{
    engine_play_once(&fake_echo, script_accept_errors);
}
END_TEST

static void script_full_house(struct stage *s, unsigned step)
{
    struct fake_op *door = fake_op_find(s->fake, OP_ACCEPT, s->listener.fd);
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        ck_assert(!door->cancelled && !door->many);
        admit(s, 1);
        break;
    case 2:
        ck_assert_ptr_null(door);
        receive_end(s, 0);
        break;
    case 3:
        ck_assert(!door->many);
        admit(s, 2);
        break;
    case 4:
        ck_assert_uint_eq(s->seen.opened, 3);
        ck_assert_ptr_null(door);
        stage_halt(s);
    }
}

START_TEST(completion_opens_its_door_while_there_is_a_place)
{
    struct stage *s = engine_stage(&fake_echo);
    s->loop.connections_max = 2;
    engine_play(s, script_full_house);
    engine_stage_end(s);
}
END_TEST

enum { HOUSE = 160 };           /* connections: with less room than 40 one is let in at a time, from 60 on many */

/* Clients up to this number are inside; all but the last of them, or all, by an accept that goes on. */
static void crowd_comes(struct stage *s, int until)
{
    for (int i = (int)s->seen.opened; i < until; i++) {
        s->client[i] = net_connect(s->listener.fd);
        s->server[i] = fake_accept(s->fake, s->listener.fd, true);
    }
}

static void crowd_leaves(struct stage *s, int from, int until)
{
    for (int i = from; i < until; i++)
        receive_end(s, i);
}

static void script_width(struct stage *s, unsigned step)
{
    struct fake_op *door = fake_op_find(s->fake, OP_ACCEPT, s->listener.fd);
    switch (step) {
    case 0:
        ck_assert(door->many);
        crowd_comes(s, 120);
        break;
    case 1:
        ck_assert(door->many && !door->cancelled);
        ck_assert_uint_eq(engine_of(s)->started[OP_ACCEPT], 1);
        crowd_comes(s, 121);
        break;
    case 2:                     /* 60 more were taken from the queue before the kernel heard of it */
        ck_assert(door->cancelled);
        crowd_comes(s, 181);
        fake_return(s->fake, door, -ECANCELED);
        break;
    case 3:                     /* all are served, nobody else is let in */
        ck_assert_uint_eq(s->seen.opened, 181);
        ck_assert(flies(s, OP_RECV, 180));
        ck_assert_ptr_null(door);
        crowd_leaves(s, 0, 21);
        break;
    case 4:
        ck_assert_ptr_null(door);
        crowd_leaves(s, 21, 22);
        break;
    case 5:
        ck_assert(!door->many);
        admit(s, 181);
        break;
    case 6:
        ck_assert_ptr_null(door);
        crowd_leaves(s, 22, 22 + 59);
        break;
    case 7:                     /* not to and fro: one who leaves does not make a difference */
        ck_assert(!door->many && !door->cancelled);
        crowd_leaves(s, 81, 82);
        break;
    case 8:
        ck_assert(!door->many && door->cancelled);
        fake_return(s->fake, door, -ECANCELED);
        break;
    case 9:
        ck_assert(door->many && !door->cancelled);
        ck_assert_uint_eq(s->env.count.refused, 0);
        ck_assert_uint_eq(s->log_lines, 0);
        stage_halt(s);
    }
}

START_TEST(completion_lets_in_many_at_once_until_the_limit_is_near)
{
    struct stage *s = engine_stage(&fake_echo);
    s->loop.connections_max = HOUSE;
    engine_play(s, script_width);
    engine_stage_end(s);
}
END_TEST

/* The door is cancelled, but the last connection of the queue was its last report, or descriptors ran out. */
static void script_narrow_ends(struct stage *s, unsigned step)
{
    struct fake_op *door = fake_op_find(s->fake, OP_ACCEPT, s->listener.fd);
    switch (step) {
    case 0:
        crowd_comes(s, 125);
        break;
    case 1:
        ck_assert(door->many && door->cancelled);
        if (s->note == 0)
            admit(s, 125);
        else
            fake_return(s->fake, door, -(int)s->note);
        break;
    default:
        if (door == NULL)       /* a shortage: after a pause */
            break;
        ck_assert(!door->many && !door->cancelled);
        ck_assert_uint_eq(s->seen.opened, s->note == 0 ? 126 : 125);
        ck_assert_uint_eq(s->log_lines, s->note == 0 ? 0 : 1);
        stage_halt(s);
    }
}

START_TEST(completion_lets_in_one_at_a_time_however_many_at_once_ended)
{
    static const int ends[] = { 0, EMFILE, ENFILE, ENOBUFS, ENOMEM };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct stage *s = engine_stage(&fake_echo);
        s->loop.connections_max = HOUSE;
        s->note = (size_t)ends[i];
        engine_play(s, script_narrow_ends);
        engine_stage_end(s);
    }
}
END_TEST

/* --- an engine that cannot start what it is asked for --- */

static void script_strained(struct stage *s, unsigned step)
{
    engine_of(s)->strain_errno = step > 0 && step < 9 ? ENOMEM : 0;
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
    case 2:
        spoil(s, OP_RECV, 0, EAGAIN);
        fake_return(s->fake, fake_op_find(s->fake, OP_ACCEPT, s->listener.fd), -EAGAIN);
        break;
    case 3:
        receive(s, 0, "patience");
        break;
    case 4:
    case 5:
        spoil(s, OP_SEND, 0, EAGAIN);
        break;
    case 6:
        send_some(s, 0, ALL);
        admit(s, 1);
        break;
    case 9:
        check_sent(s, 0, "patience");
        ck_assert_uint_eq(s->seen.opened, 2);
        ck_assert_uint_eq(s->env.count.resets, 0);
        ck_assert_uint_eq(s->log_lines, 1);
        stage_halt(s);
    }
}

START_TEST(completion_bears_a_strained_engine_and_says_so_once)
{
    engine_play_once(&fake_echo, script_strained);
}
END_TEST

static TCase *case_doors(void)
{
    TCase *t = tcase_create("doors");
    tcase_add_test(t, completion_accepts_again_after_descriptors_were_short);
    tcase_add_test(t, completion_opens_its_door_while_there_is_a_place);
    tcase_add_test(t, completion_lets_in_many_at_once_until_the_limit_is_near);
    tcase_add_test(t, completion_lets_in_one_at_a_time_however_many_at_once_ended);
    tcase_add_test(t, completion_bears_a_strained_engine_and_says_so_once);
    return t;
}

int main(void)
{
    Suite *s = suite_create("completion_doors");
    suite_add_tcase(s, case_doors());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
