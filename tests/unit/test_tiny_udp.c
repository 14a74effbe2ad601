/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of proto/tiny_udp.c, without a socket. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/conn.h"
#include "proto/tiny_udp.h"

enum { NOW_S = 1795334047 };    /* Sunday, 2026-11-22 07:54:07 UTC */

static struct env env;
static char *room;              /* on the heap, where a sanitizer sees who writes beyond it */

static void set_up(void)
{
    env_init(&env, NULL);
    env.now_s = NOW_S;
    room = malloc(DATAGRAM_REPLY_MAX);
}

static void tear_down(void)
{
    free(room);
    env_free(&env);
}

static struct span answer_of(const struct datagram_proto *proto, struct span in)
{
    const struct service service = { .name = proto->name, .datagram = proto };
    const struct peer from = { .family = AF_INET, .port = 5000, .address = { 127, 0, 0, 1 } };
    const struct datagram d = { .service = &service, .from = &from, .in = in, .room = room };
    return datagram_answer(&env, &d);
}

START_TEST(echo_answers_with_the_very_bytes)
{
    static char largest[DATAGRAM_MAX];
    struct span in = { largest, sizeof largest }, out = answer_of(&udp_echo, in);
    ck_assert_ptr_eq(out.p, in.p);
    ck_assert_uint_eq(out.n, in.n);
    out = answer_of(&udp_echo, SPAN(""));
    ck_assert_ptr_nonnull(out.p);               /* an empty answer is an answer */
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(discard_never_answers)
{
    ck_assert_ptr_null(answer_of(&udp_discard, SPAN("hello")).p);
    ck_assert_ptr_null(answer_of(&udp_discard, SPAN("")).p);
    ck_assert(udp_discard.silent);
}
END_TEST

/* A line of 72 characters around the ring of 95, from any place. */
static bool is_pattern(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t column = i % 74;
        char want = column == 72 ? '\r' : column == 73 ? '\n' :
                    (char)(32 + ((size_t)(s.p[0] - 32) + i / 74 + column) % 95);
        if (s.p[i] != want)
            return false;
    }
    return true;
}

START_TEST(chargen_answers_with_a_random_piece_of_the_pattern)
{
    unsigned by_length[513] = { 0 }, begins[95] = { 0 }, lengths = 0, places = 0;
    for (int i = 0; i < 20000; i++) {
        struct span out = answer_of(&udp_chargen, SPAN("x"));
        ck_assert_ptr_nonnull(out.p);
        ck_assert_uint_le(out.n, 512);
        ck_assert(is_pattern(out));
        lengths += by_length[out.n]++ == 0;
        if (out.n > 0)
            places += begins[out.p[0] - 32]++ == 0;
        env.turn += i % 3 == 0;
        if (i % 5 == 0)
            env.count.datagrams = 0;            /* they were published */
    }
    ck_assert_uint_gt(by_length[0], 0);
    ck_assert_uint_gt(by_length[512], 0);
    ck_assert_uint_gt(lengths, 500);
    ck_assert_uint_eq(places, 95);
}
END_TEST

START_TEST(daytime_answers_with_the_date_whatever_was_asked)
{
    ck_assert(span_equal(answer_of(&udp_daytime, SPAN("")), SPAN("Sunday, November 22, 2026 07:54:07-UTC\r\n")));
    ck_assert(span_equal(answer_of(&udp_daytime, SPAN("x")), SPAN("Sunday, November 22, 2026 07:54:07-UTC\r\n")));
}
END_TEST

START_TEST(time_answers_with_the_seconds_since_1900)
{
    ck_assert(span_equal(answer_of(&udp_time, SPAN("")), SPAN("\xee\xad\x1e\x1f")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tiny_udp");
    TCase *t = tcase_create("tiny_udp");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, echo_answers_with_the_very_bytes);
    tcase_add_test(t, discard_never_answers);
    tcase_add_test(t, chargen_answers_with_a_random_piece_of_the_pattern);
    tcase_add_test(t, daytime_answers_with_the_date_whatever_was_asked);
    tcase_add_test(t, time_answers_with_the_seconds_since_1900);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
