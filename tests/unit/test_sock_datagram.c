/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/sock_datagram.c, on real sockets of the loopback. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/sock_datagram.h"

enum { BUDGET = 64 };           /* of sock_serve_datagrams */

static char too_long[70000];

/* "big": what no datagram can carry.  "mute": nothing. */
static struct span parrot(struct env *e, const struct datagram *d)
{
    (void)e;
    if (span_equal(d->in, SPAN("big")))
        return (struct span){ too_long, sizeof too_long };
    return span_equal(d->in, SPAN("mute")) ? (struct span){ NULL, 0 } : d->in;
}

static const struct datagram_proto proto = { .name = "parrot", .answer = parrot };
static const struct service service = { .name = "parrot", .datagram = &proto };
static struct env env;
static struct sock_batch *batch;
static int server, client;

static void set_up(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    env_init(&env, NULL);
    batch = sock_batch_new(SOCK_LETTERS);
    ck_assert_ptr_nonnull(batch);
    server = socket(AF_INET, SOCK_DGRAM, 0);    /* blocking: the flags of a call must do */
    client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(server, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(getsockname(server, (struct sockaddr *)&at, &size), 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, size), 0);
}

static void tear_down(void)
{
    close(server);
    close(client);
    sock_batch_free(batch);
    env_free(&env);
}

static void ask(const char *text)
{
    ck_assert_int_eq(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void expect(const char *text)
{
    char got[128];
    ssize_t n = recv(client, got, sizeof got, 0);       /* the loopback delivers before send(2) returns */
    ck_assert_int_eq(n, (ssize_t)strlen(text));
    ck_assert(memcmp(got, text, (size_t)n) == 0);
}

static void expect_nothing(void)
{
    char got[128];
    ck_assert_int_eq(recv(client, got, sizeof got, 0), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(sock_serves_all_that_waits_and_says_that_nothing_is_left)
{
    char text[16];
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        ask(text);
    }
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect(text);
    }
    expect_nothing();
    ck_assert_uint_eq(env.count.datagrams, 40);
    ck_assert_uint_eq(env.count.datagrams_sent, 40);
    ck_assert_uint_eq(env.count.bytes_sent, env.count.bytes_received);
}
END_TEST

START_TEST(sock_stops_at_its_budget_and_says_that_there_may_be_more)
{
    for (int i = 0; i < BUDGET + 10; i++)
        ask("x");
    ck_assert(sock_serve_datagrams(batch, server, &service, &env));
    ck_assert_uint_eq(env.count.datagrams_sent, BUDGET);
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    ck_assert_uint_eq(env.count.datagrams_sent, BUDGET + 10);
}
END_TEST

START_TEST(sock_sends_the_other_replies_when_one_cannot_be_sent)
{
    ask("big");
    ask("one");
    ask("big");
    ask("big");
    ask("two");
    ask("big");
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    expect("one");
    expect("two");
    expect_nothing();
    ck_assert_uint_eq(env.count.datagrams, 6);
    ck_assert_uint_eq(env.count.datagrams_sent, 2);
    ck_assert_uint_eq(env.count.bytes_sent, 6);
}
END_TEST

START_TEST(sock_sends_nothing_for_no_answer_and_an_empty_one_for_an_empty_one)
{
    ask("mute");
    ask("");
    ask("mute");
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    expect("");
    expect_nothing();
    ck_assert_uint_eq(env.count.datagrams_sent, 1);
}
END_TEST

START_TEST(sock_answers_a_client_that_is_gone_without_harm)
{
    int gone = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    ck_assert_int_eq(getpeername(client, (struct sockaddr *)&at, &size), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sendto(gone, "x", 1, 0, (struct sockaddr *)&at, size), 1);
    close(gone);
    ask("here");
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    ck_assert(!sock_serve_datagrams(batch, server, &service, &env));
    expect("here");
}
END_TEST

START_TEST(sock_serves_one_letter_at_a_time)
{
    ck_assert_int_eq(sock_letter_receive(batch, server, &env, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ask("one");
    ask("big");
    ask("two");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sock_letter_receive(batch, server, &env, 0), 0);
        sock_letter_answer(batch, server, &service, &env, 0);
    }
    expect("one");
    expect("two");
    expect_nothing();
    ck_assert_uint_eq(env.count.datagrams_sent, 2);
    ck_assert_uint_eq(env.count.bytes_sent, 6);
}
END_TEST

START_TEST(sock_batch_may_be_small)
{
    sock_batch_free(batch);
    batch = sock_batch_new(1);
    for (int i = 0; i < 10; i++)
        ask("x");
    while (sock_serve_datagrams(batch, server, &service, &env))
        ;
    ck_assert_uint_eq(env.count.datagrams_sent, 10);
    sock_batch_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sock_datagram");
    TCase *t = tcase_create("sock_datagram");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, sock_serves_all_that_waits_and_says_that_nothing_is_left);
    tcase_add_test(t, sock_stops_at_its_budget_and_says_that_there_may_be_more);
    tcase_add_test(t, sock_sends_the_other_replies_when_one_cannot_be_sent);
    tcase_add_test(t, sock_sends_nothing_for_no_answer_and_an_empty_one_for_an_empty_one);
    tcase_add_test(t, sock_answers_a_client_that_is_gone_without_harm);
    tcase_add_test(t, sock_serves_one_letter_at_a_time);
    tcase_add_test(t, sock_batch_may_be_small);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
