/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP and its limits: requests of an address, the rate of a body, who may give way, what is said when there is no
 * place. */
#include "test_http.h"

#include "core/rate.h"

#define H "Host: x\r\n"
#define HELLO "GET /hello HTTP/1.1\r\n" H "\r\n"
#define POST(length) "POST /hello HTTP/1.1\r\n" H "Content-Length: " length "\r\n\r\n"

static struct fixture f;

static void site_make(void)
{
    struct http_route_spec routes[] = {
        { .path = "/hello", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("hello\n") },
    };
    fixture_site(&f, routes, 1);
    wire_open(&f.wire, &f.service);
}

static void limits_setup(void)
{
    fixture_init(&f);
    site_make();
}

static void limits_teardown(void)
{
    rate_free(f.wire.env.request_rate);
    f.wire.env.request_rate = NULL;
    fixture_free(&f);
}

/* The statuses of all replies since the last look, as text: "200 200 429". */
static const char *statuses(void)
{
    static char text[512];
    struct span out = wire_output(&f.wire);
    struct reply r;
    size_t n = 0;
    text[0] = '\0';
    while (reply_take(&out, false, &r)) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u", n == 0 ? "" : " ", r.status);
        if (r.status == 429)
            ck_assert_span_eq(reply_field(&r, "Retry-After"), "1");
    }
    wire_forget(&f.wire);
    return text;
}

static void send_text(const char *text)
{
    wire_send(&f.wire, span_of(text));
}

/* --- requests of an address --- */

START_TEST(limits_answer_429_beyond_the_rate_in_order_and_go_on)
{
    f.wire.env.request_rate = rate_new(3, 7);
    send_text(HELLO HELLO POST("3") "abc" HELLO HELLO);
    ck_assert_str_eq(statuses(), "200 200 200 429 429");
    ck_assert(!wire_over(&f.wire) && !conn_ending(f.wire.conn));
    ck_assert_uint_eq(f.wire.env.count.requests_held, 2);
    wire_pass(&f.wire, 334);
    send_text(HELLO HELLO);
    ck_assert_str_eq(statuses(), "200 429");
    wire_pass(&f.wire, 1000);
    send_text(HELLO HELLO HELLO HELLO);
    ck_assert_str_eq(statuses(), "200 200 200 429");
}
END_TEST

START_TEST(limits_are_for_an_address_not_for_a_connection)
{
    f.wire.env.request_rate = rate_new(1, 7);
    send_text(HELLO);
    wire_close(&f.wire);
    wire_open(&f.wire, &f.service);
    send_text(HELLO);
    ck_assert_str_eq(statuses(), "429");
    wire_close(&f.wire);
    f.wire.peer.address[3]++;
    wire_open(&f.wire, &f.service);
    send_text(HELLO);
    ck_assert_str_eq(statuses(), "200");
}
END_TEST

START_TEST(limits_do_not_hold_who_has_no_address)
{
    f.wire.env.request_rate = rate_new(1, 7);
    wire_close(&f.wire);
    f.wire.peer = (struct peer){ .family = AF_UNIX };
    wire_open(&f.wire, &f.service);
    send_text(HELLO HELLO HELLO);
    ck_assert_str_eq(statuses(), "200 200 200");
}
END_TEST

START_TEST(limits_end_a_connection_that_asks_for_a_tunnel_all_the_same)
{
    f.wire.env.request_rate = rate_new(1, 7);
    send_text(HELLO "CONNECT x:1 HTTP/1.1\r\n" H "\r\n" HELLO);
    ck_assert_str_eq(statuses(), "200 405");
    ck_assert(conn_ending(f.wire.conn));
}
END_TEST

/* --- the rate of a body --- */

static void with_rate(unsigned rate, unsigned body_ms, uint64_t body_bytes)
{
    wire_close(&f.wire);
    f.limits.body_rate = rate;
    f.limits.body_ms = body_ms;
    f.limits.body_bytes = body_bytes;
    site_make();
}

/* Sends n bytes each `ms` until the reply comes; how long that took. */
static uint64_t drip(size_t n, uint64_t ms, uint64_t most_ms)
{
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    uint64_t passed = 0;
    while (passed < most_ms && wire_output(&f.wire).n == 0 && !wire_over(&f.wire)) {
        wire_send(&f.wire, (struct span){ piece, n });
        if (wire_output(&f.wire).n > 0)
            break;
        for (uint64_t i = 0; i < ms && wire_output(&f.wire).n == 0; i++, passed++)
            wire_pass(&f.wire, 1);
    }
    return passed;
}

START_TEST(limits_let_a_slow_but_steady_body_pass)
{
    with_rate(1000, 5000, 1000000);
    send_text(POST("100000"));
    ck_assert_uint_ge(drip(100, 100, 200000), 99000);
    ck_assert_str_eq(statuses(), "200");
}
END_TEST

START_TEST(limits_end_a_body_that_is_slower_than_the_rate)
{
    with_rate(1000, 5000, 1000000);
    send_text(POST("100000"));
    uint64_t half = drip(50, 100, 200000);      /* half the rate: the time is used up twice as slowly */
    ck_assert_uint_ge(half, 9800);
    ck_assert_uint_le(half, 10100);
    ck_assert_str_eq(statuses(), "408");
    ck_assert(f.wire.shut);
    with_rate(1000, 5000, 1000000);
    send_text(POST("100000"));
    uint64_t byte = drip(1, 200, 200000);       /* single bytes are worth a millisecond each */
    ck_assert_uint_ge(byte, 5000);
    ck_assert_uint_le(byte, 5026);
    ck_assert_str_eq(statuses(), "408");
}
END_TEST

START_TEST(limits_give_no_credit_for_what_came_fast)
{
    char *much = malloc(500000);
    memset(much, 'x', 500000);
    with_rate(1000, 5000, 1000000);
    send_text(POST("600000"));
    wire_send(&f.wire, (struct span){ much, 500000 });
    wire_pass(&f.wire, 4999);
    ck_assert(!conn_ending(f.wire.conn));
    wire_pass(&f.wire, 1);
    ck_assert_str_eq(statuses(), "408");
    free(much);
}
END_TEST

START_TEST(limits_of_chunked_bodies_are_the_same)
{
    with_rate(1000, 5000, 1000000);
    send_text("POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nffff\r\n");
    uint64_t slow = drip(50, 100, 200000);
    ck_assert_uint_ge(slow, 9800);
    ck_assert_uint_le(slow, 10200);
    ck_assert_str_eq(statuses(), "408");
}
END_TEST

START_TEST(limits_without_a_rate_give_a_body_its_time_and_no_more)
{
    with_rate(0, 5000, 1000000);
    send_text(POST("1000000"));
    uint64_t passed = drip(4096, 100, 200000);
    ck_assert_uint_eq(passed, 5000);
    ck_assert_str_eq(statuses(), "408");
}
END_TEST

/* A rate that does not divide a millisecond loses nothing: one byte at a time is exactly the rate. */
START_TEST(limits_count_single_bytes_exactly)
{
    with_rate(1, 5000, 1000000);
    send_text(POST("600"));
    ck_assert_uint_ge(drip(1, 1000, 700000), 599000);
    ck_assert_str_eq(statuses(), "200");
    with_rate(3, 5000, 1000000);
    send_text(POST("600"));
    ck_assert_uint_ge(drip(1, 333, 700000), 199000);
    ck_assert_str_eq(statuses(), "200");
}
END_TEST

/* --- who may give way --- */

START_TEST(limits_idle_is_who_was_answered_and_has_no_part_of_a_request)
{
    const struct conn *c = f.wire.conn;
    ck_assert_uint_eq(conn_idle_since(c), 0);
    send_text("GET /hello HTTP/1.1\r\n");
    ck_assert_uint_eq(conn_idle_since(c), 0);
    send_text(H "\r\n");
    ck_assert_uint_eq(conn_idle_since(c), WIRE_NOW_MS);
    send_text("\r");
    ck_assert_uint_eq(conn_idle_since(c), 0);
    send_text("\n");
    ck_assert_uint_eq(conn_idle_since(c), 0);
    send_text(POST("3") "ab");
    ck_assert_uint_eq(conn_idle_since(c), 0);
    wire_pass(&f.wire, 77);
    send_text("c");
    ck_assert_uint_eq(conn_idle_since(c), WIRE_NOW_MS + 77);
    send_text("HEAD /hello HTTP/1.1\r\nConnection: close\r\n" H "\r\n");
    ck_assert(wire_over(&f.wire) || conn_idle_since(f.wire.conn) == 0);
}
END_TEST

START_TEST(limits_words_of_a_full_house_are_a_reply)
{
    struct span words = proto_http.refusal;
    const char end[] = "Content-Length: 0\r\n\r\n";
    ck_assert_int_eq(memcmp(words.p, "HTTP/1.1 503 ", 13), 0);
    ck_assert_ptr_nonnull(memmem(words.p, words.n, "\r\nRetry-After: 1\r\n", 18));
    ck_assert_ptr_nonnull(memmem(words.p, words.n, "\r\nConnection: close\r\n", 21));
    ck_assert_int_eq(memcmp(words.p + words.n - strlen(end), end, strlen(end)), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_limits");
    TCase *t = tcase_create("limits");
    tcase_add_checked_fixture(t, limits_setup, limits_teardown);
    tcase_add_test(t, limits_answer_429_beyond_the_rate_in_order_and_go_on);
    tcase_add_test(t, limits_are_for_an_address_not_for_a_connection);
    tcase_add_test(t, limits_do_not_hold_who_has_no_address);
    tcase_add_test(t, limits_end_a_connection_that_asks_for_a_tunnel_all_the_same);
    tcase_add_test(t, limits_let_a_slow_but_steady_body_pass);
    tcase_add_test(t, limits_end_a_body_that_is_slower_than_the_rate);
    tcase_add_test(t, limits_give_no_credit_for_what_came_fast);
    tcase_add_test(t, limits_of_chunked_bodies_are_the_same);
    tcase_add_test(t, limits_without_a_rate_give_a_body_its_time_and_no_more);
    tcase_add_test(t, limits_count_single_bytes_exactly);
    tcase_add_test(t, limits_idle_is_who_was_answered_and_has_no_part_of_a_request);
    tcase_add_test(t, limits_words_of_a_full_house_are_a_reply);
    suite_add_tcase(s, t);
    return run_suite(s);
}
