/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/datagram.c: who is answered, and what is counted. */
#include <check.h>
#include <string.h>

#include "core/conn.h"
#include "core/datagram.h"
#include "core/rate.h"

static unsigned asked;

static struct span repeat(struct env *e, const struct datagram *d)
{
    (void)e;
    asked++;
    return d->in;
}

static struct span keep_silent(struct env *e, const struct datagram *d)
{
    (void)e, (void)d;
    asked++;
    return (struct span){ NULL, 0 };
}

static const struct datagram_proto loud = { .name = "loud", .answer = repeat };
static const struct datagram_proto silent = { .name = "silent", .silent = true, .answer = keep_silent };
static struct env env;

static void set_up(void)
{
    env_init(&env, NULL);
    asked = 0;
}

static void tear_down(void)
{
    rate_free(env.rate);
    env_free(&env);
}

static struct span answer_to(const struct datagram_proto *proto, uint16_t port, bool to_many)
{
    const struct service service = { .name = "s", .datagram = proto };
    const struct peer from = { .family = AF_INET, .port = port, .address = { 127, 0, 0, 1 } };
    char room[DATAGRAM_REPLY_MAX];
    const struct datagram d = { .service = &service, .from = &from, .to_many = to_many, .in = SPAN("hello"),
                                .room = room };
    return datagram_answer(&env, &d);
}

START_TEST(datagram_is_answered_by_its_service)
{
    ck_assert(span_equal(answer_to(&loud, 5000, false), SPAN("hello")));
    ck_assert_uint_eq(asked, 1);
    ck_assert_uint_eq(env.count.datagrams, 1);
    ck_assert_uint_eq(env.count.bytes_received, 5);
    ck_assert_uint_eq(env.count.datagrams_held, 0);
    ck_assert_uint_eq(env.count.datagrams_sent, 0);     /* the driver knows whether it was */
}
END_TEST

START_TEST(datagram_from_a_port_below_1024_is_not_answered)
{
    static const uint16_t low[] = { 0, 1, 7, 19, 53, 1023 };
    for (size_t i = 0; i < sizeof low / sizeof *low; i++)
        ck_assert_ptr_null(answer_to(&loud, low[i], false).p);
    ck_assert_uint_eq(asked, 0);
    ck_assert_uint_eq(env.count.datagrams, 6);
    ck_assert_uint_eq(env.count.datagrams_held, 6);
    ck_assert_ptr_nonnull(answer_to(&loud, 1024, false).p);
    ck_assert_ptr_nonnull(answer_to(&loud, 65535, false).p);
}
END_TEST

START_TEST(datagram_that_was_sent_to_many_is_not_answered)
{
    ck_assert_ptr_null(answer_to(&loud, 5000, true).p);
    ck_assert_uint_eq(env.count.datagrams_held, 1);
}
END_TEST

START_TEST(datagram_beyond_the_rate_is_not_answered_until_time_has_passed)
{
    env.rate = rate_new(3, 1);
    for (int i = 0; i < 5; i++)
        ck_assert((i < 3) == (answer_to(&loud, 5000, false).p != NULL));
    ck_assert_uint_eq(asked, 3);
    ck_assert_uint_eq(env.count.datagrams_held, 2);
    env.now_ms += 400;
    ck_assert_ptr_nonnull(answer_to(&loud, 5000, false).p);
    ck_assert_ptr_null(answer_to(&loud, 5000, false).p);
}
END_TEST

START_TEST(datagram_that_is_held_back_by_its_port_costs_nobody_an_answer)
{
    env.rate = rate_new(1, 1);
    for (int i = 0; i < 10; i++)
        ck_assert_ptr_null(answer_to(&loud, 7, false).p);
    ck_assert_ptr_nonnull(answer_to(&loud, 5000, false).p);
}
END_TEST

START_TEST(datagram_for_a_silent_service_is_always_taken)
{
    env.rate = rate_new(1, 1);
    for (int i = 0; i < 10; i++)
        ck_assert_ptr_null(answer_to(&silent, i % 2 ? 7 : 5000, false).p);
    ck_assert_uint_eq(asked, 10);
    ck_assert_uint_eq(env.count.datagrams, 10);
    ck_assert_uint_eq(env.count.datagrams_held, 0);
    ck_assert_ptr_nonnull(answer_to(&loud, 5000, false).p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("datagram");
    TCase *t = tcase_create("datagram");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, datagram_is_answered_by_its_service);
    tcase_add_test(t, datagram_from_a_port_below_1024_is_not_answered);
    tcase_add_test(t, datagram_that_was_sent_to_many_is_not_answered);
    tcase_add_test(t, datagram_beyond_the_rate_is_not_answered_until_time_has_passed);
    tcase_add_test(t, datagram_that_is_held_back_by_its_port_costs_nobody_an_answer);
    tcase_add_test(t, datagram_for_a_silent_service_is_always_taken);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
