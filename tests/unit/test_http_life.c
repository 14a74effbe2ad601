/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of an HTTP connection: deadlines, half-close, draining, limits, what its replies say of it, the
 * access log, back-pressure, and what an idle connection costs. */
#include "test_http.h"
#include "unit/access_tap.h"


#define H "Host: x\r\n"
#define NEXT "GET /hello HTTP/1.1\r\n" H "\r\n"
#define POST_HEAD "POST /hello HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n"

enum { BIG_SIZE = 200000, LENT_SIZE = 6000 };

static struct fixture f;
static char big[BIG_SIZE];

static void life_setup(void)
{
    fixture_init(&f);
    memset(big, 'b', sizeof big);
    fixture_file(&f, "big", big, BIG_SIZE);
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root },
        { .path = "/hello", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("hello\n") },
        { .path = "/lent", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = { big, LENT_SIZE } },
    };
    fixture_site(&f, routes, sizeof routes / sizeof routes[0]);
    wire_open(&f.wire, &f.service);
}

static void life_teardown(void)
{
    fixture_free(&f);
}

/* The reply that came since the last look; status 0: none. */
static struct reply last_reply(void)
{
    struct reply r = { 0 };
    struct span out = wire_output(&f.wire);
    while (reply_take(&out, false, &r))
        ;
    return r;
}

static void check_says(unsigned status, const char *connection)
{
    struct reply r = last_reply();
    struct span said = reply_field(&r, "Connection");
    ck_assert_uint_eq(r.status, status);
    if (connection == NULL)
        ck_assert_ptr_null(said.p);
    else
        ck_assert_span_eq(said, connection);
    wire_forget(&f.wire);
}

START_TEST(life_silent_client_is_let_go_after_the_header_time)
{
    wire_pass(&f.wire, 9999);
    ck_assert(!wire_over(&f.wire));
    wire_pass(&f.wire, 1);
    ck_assert(wire_over(&f.wire));
    ck_assert_uint_eq(wire_output(&f.wire).n, 0);
}
END_TEST

START_TEST(life_slow_head_is_408_and_bytes_do_not_prolong_it)
{
    struct span head = SPAN("GET /hello HTTP/1.1\r\nHost: x\r\n");
    for (size_t i = 0; i < 9; i++) {
        wire_send(&f.wire, (struct span){ head.p + i, 1 });
        wire_pass(&f.wire, 1000);
    }
    wire_pass(&f.wire, 999);
    ck_assert(!conn_ending(f.wire.conn));
    wire_send(&f.wire, SPAN("x"));
    wire_pass(&f.wire, 1);
    check_says(408, "close");
    ck_assert(f.wire.shut);
}
END_TEST

START_TEST(life_later_head_has_its_time_from_its_first_byte)
{
    wire_send(&f.wire, SPAN(NEXT));
    wire_pass(&f.wire, 59000);
    wire_forget(&f.wire);
    wire_send(&f.wire, SPAN("G"));
    wire_pass(&f.wire, 9000);
    wire_send(&f.wire, SPAN("E"));
    wire_pass(&f.wire, 999);
    ck_assert(!conn_ending(f.wire.conn));
    wire_pass(&f.wire, 1);
    check_says(408, "close");
}
END_TEST

START_TEST(life_idle_connection_is_closed_without_words)
{
    for (int i = 0; i < 3; i++) {
        wire_send(&f.wire, SPAN(NEXT));
        check_says(200, NULL);
        wire_pass(&f.wire, 59999);
        ck_assert(!wire_over(&f.wire));
    }
    wire_pass(&f.wire, 1);
    ck_assert(wire_over(&f.wire));
    ck_assert_uint_eq(wire_output(&f.wire).n, 0);
}
END_TEST

START_TEST(life_empty_line_does_not_begin_a_request)
{
    wire_send(&f.wire, SPAN(NEXT "\r\n"));
    wire_forget(&f.wire);
    wire_pass(&f.wire, 59999);
    ck_assert(!wire_over(&f.wire));
    wire_send(&f.wire, SPAN(NEXT));
    check_says(200, NULL);
}
END_TEST

START_TEST(life_slow_body_is_408)
{
    wire_send(&f.wire, SPAN(POST_HEAD "he"));
    wire_pass(&f.wire, 29999);
    ck_assert_uint_eq(wire_output(&f.wire).n, 0);
    wire_send(&f.wire, SPAN("l"));
    wire_pass(&f.wire, 1);
    check_says(408, "close");
}
END_TEST

START_TEST(life_body_has_its_own_time_and_then_the_connection_idles)
{
    wire_pass(&f.wire, 9000);
    wire_send(&f.wire, SPAN(POST_HEAD));
    wire_pass(&f.wire, 20000);
    wire_send(&f.wire, SPAN("hello"));
    check_says(200, NULL);
    wire_pass(&f.wire, 59999);
    wire_send(&f.wire, SPAN(POST_HEAD));
    wire_pass(&f.wire, 29999);
    ck_assert(!conn_ending(f.wire.conn));
    wire_pass(&f.wire, 1);
    check_says(408, "close");
}
END_TEST

START_TEST(life_end_of_input_between_requests_ends_quietly)
{
    wire_send(&f.wire, SPAN(NEXT));
    wire_eof(&f.wire);
    check_says(200, NULL);
    ck_assert(wire_over(&f.wire));
}
END_TEST

START_TEST(life_end_of_input_finishes_what_was_asked)
{
    f.wire.window = 0;
    wire_send(&f.wire, SPAN("GET /big HTTP/1.1\r\n" H "\r\n" NEXT));
    wire_eof(&f.wire);
    ck_assert(!wire_over(&f.wire));
    wire_read(&f.wire, 2 * BIG_SIZE);
    struct span out = wire_output(&f.wire);
    struct reply r;
    ck_assert(reply_take(&out, false, &r));
    ck_assert_uint_eq(r.body.n, BIG_SIZE);
    ck_assert(reply_take(&out, false, &r));
    ck_assert_uint_eq(out.n, 0);
    ck_assert(wire_over(&f.wire));
}
END_TEST

static const char *const unfinished[] = { "G", "GET /hello HTTP/1.1\r\nHost: x\r\n", POST_HEAD,
                                          POST_HEAD "hell",
    "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" };

START_TEST(life_end_of_input_within_a_request_is_400)
{
    wire_send(&f.wire, span_of(unfinished[_i]));
    ck_assert_uint_eq(wire_output(&f.wire).n, 0);
    wire_eof(&f.wire);
    check_says(400, "close");
    ck_assert(wire_over(&f.wire));
}
END_TEST

START_TEST(life_draining_ends_an_idle_connection)
{
    wire_send(&f.wire, SPAN(NEXT));
    wire_drain(&f.wire);
    ck_assert(wire_over(&f.wire));
    check_says(200, NULL);
}
END_TEST

START_TEST(life_draining_lets_a_request_finish)
{
    wire_send(&f.wire, SPAN(POST_HEAD "he"));
    wire_drain(&f.wire);
    ck_assert(!conn_ending(f.wire.conn));
    wire_send(&f.wire, SPAN("llo" NEXT));
    check_says(200, "close");
    ck_assert(f.wire.shut);
}
END_TEST

START_TEST(life_draining_gives_a_half_head_its_last_reply)
{
    wire_send(&f.wire, SPAN("GET /hel"));
    wire_drain(&f.wire);
    wire_send(&f.wire, SPAN("lo HTTP/1.1\r\n" H "\r\n"));
    check_says(200, "close");
}
END_TEST

START_TEST(life_ends_after_so_many_requests)
{
    wire_close(&f.wire);
    f.limits.requests = 3;
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200 };
    fixture_site(&f, &route, 1);
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, SPAN(NEXT));
    check_says(200, NULL);
    wire_send(&f.wire, SPAN(NEXT NEXT NEXT));
    check_says(200, "close");
    ck_assert(f.wire.shut);
}
END_TEST

START_TEST(life_says_keep_alive_to_http_1_0_that_asked_for_it)
{
    wire_send(&f.wire, SPAN("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    check_says(200, "keep-alive");
    wire_send(&f.wire, SPAN("GET /hello HTTP/1.0\r\n\r\n"));
    check_says(200, "close");
    ck_assert(wire_over(&f.wire));
}
END_TEST

START_TEST(life_client_that_closes_is_closed_without_lingering)
{
    wire_send(&f.wire, SPAN("GET /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n"));
    check_says(200, "close");
    ck_assert(wire_over(&f.wire));
}
END_TEST

START_TEST(life_refused_client_is_read_to_its_end)
{
    wire_send(&f.wire, SPAN("POST /hello HTTP/1.1\r\n" H "Content-Length: 5000\r\n\r\n"));
    check_says(413, "close");
    ck_assert(f.wire.shut && !wire_over(&f.wire));
    wire_send(&f.wire, SPAN(NEXT));
    ck_assert_uint_eq(wire_output(&f.wire).n, 0);
    wire_eof(&f.wire);
    ck_assert(wire_over(&f.wire));
}
END_TEST

START_TEST(life_continue_comes_before_the_body)
{
    wire_send(&f.wire,
              SPAN("POST /hello HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
    ck_assert_span_eq(wire_output(&f.wire), "HTTP/1.1 100 Continue\r\n\r\n");
    wire_send(&f.wire, SPAN("hello"));
    check_says(200, NULL);
}
END_TEST

START_TEST(life_pipeline_waits_for_a_slow_reader)
{
    enum { COUNT = 2000 };
    struct span out;
    struct reply r;
    unsigned replies = 0;
    f.wire.window = 0;
    for (int i = 0; i < COUNT; i++)
        wire_send(&f.wire, SPAN("GET /lent HTTP/1.1\r\n" H "\r\n"));
    ck_assert_uint_lt(f.wire.conn->out.bytes, 2u * CONN_OUT_HIGH);
    ck_assert_uint_gt(f.wire.waiting.n, 0);
    wire_read(&f.wire, (size_t)COUNT * 2 * LENT_SIZE);
    for (out = wire_output(&f.wire); reply_take(&out, false, &r); replies++)
        ck_assert_uint_eq(r.body.n, LENT_SIZE);
    ck_assert_uint_eq(replies, COUNT);
}
END_TEST

START_TEST(life_counts_replies_by_class)
{
    const struct metric_counts *n = &f.wire.env.count;
    wire_send(&f.wire, SPAN(NEXT NEXT "GET /none HTTP/1.1\r\n" H "\r\n" "BREW / HTTP/1.1\r\n" H "\r\n"));
    ck_assert_uint_eq(n->requests, 4);
    ck_assert_uint_eq(n->responses_2xx, 2);
    ck_assert_uint_eq(n->responses_4xx, 1);
    ck_assert_uint_eq(n->responses_5xx, 1);
}
END_TEST

START_TEST(life_state_is_small)
{
    ck_assert_uint_le(proto_http.state_size, 128);
}
END_TEST

/* Runs requests with an access log and returns what was written. */
static struct span logged(const char *requests)
{
    static char text[8192];
    struct access_tap tap;
    tap_open(&tap, "combined", &(struct access_source){ "epoll", "main.0" }, TAP_RING);
    f.wire.env.access = tap.log;
    wire_send(&f.wire, span_of(requests));
    wire_close(&f.wire);
    f.wire.env.access = NULL;
    size_t n = strlen(tap_read(&tap));
    ck_assert_uint_lt(n, sizeof text);
    memcpy(text, tap.text, n + 1);
    tap_close(&tap);
    return (struct span){ text, n };
}

START_TEST(life_each_reply_has_its_access_line)
{
    struct span text = logged("GET /hello?a HTTP/1.1\r\n" H "Referer: http://r/\r\nUser-Agent: agent/1\r\n"
                              "\r\nHEAD /hello HTTP/1.1\r\n" H "\r\n" POST_HEAD "hello"
                              "GET /none HTTP/1.0\r\n" H "\r\n");
    static const char *const wanted[] = { "\"GET /hello?a HTTP/1.1\" 200 6 \"http://r/\" \"agent/1\"",
        "\"HEAD /hello HTTP/1.1\" 200 ", "\"POST /hello HTTP/1.1\" 200 6 ",
        "\"GET /none HTTP/1.0\" 404 14 " };
    const char *from = text.p;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        from = strstr(from, wanted[i]);
        ck_assert_msg(from != NULL, "no %s in order in\n%s", wanted[i], text.p);
    }
}
END_TEST

START_TEST(life_refused_requests_have_their_access_line)
{
    ck_assert_ptr_nonnull(strstr(logged("GET /a HTTP/1.1\r\n\r\n").p, "\"GET /a HTTP/1.1\" 400 "));
    wire_open(&f.wire, &f.service);
    ck_assert_ptr_nonnull(strstr(logged("\x16\x03\x01").p, " 400 "));
}
END_TEST

START_TEST(life_long_fields_are_cut_in_the_access_log)
{
    static char request[16384], fill[3001];
    f.limits.request_line = f.limits.header_bytes = 16384;
    wire_close(&f.wire);
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200 };
    fixture_site(&f, &route, 1);
    wire_open(&f.wire, &f.service);
    memset(fill, 'z', sizeof fill - 1);
    snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\n" H "Referer: %s\r\nUser-Agent: %s\r\n\r\n", fill,
             fill, fill);
    struct span text = logged(request);
    ck_assert_ptr_nonnull(strstr(text.p, "zzz HTTP/1.1\" 200 "));
    ck_assert_uint_lt(text.n, 4096);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_life");
    TCase *tc = tcase_create("life");
    tcase_add_checked_fixture(tc, life_setup, life_teardown);
    tcase_add_test(tc, life_silent_client_is_let_go_after_the_header_time);
    tcase_add_test(tc, life_slow_head_is_408_and_bytes_do_not_prolong_it);
    tcase_add_test(tc, life_later_head_has_its_time_from_its_first_byte);
    tcase_add_test(tc, life_idle_connection_is_closed_without_words);
    tcase_add_test(tc, life_empty_line_does_not_begin_a_request);
    tcase_add_test(tc, life_slow_body_is_408);
    tcase_add_test(tc, life_body_has_its_own_time_and_then_the_connection_idles);
    tcase_add_test(tc, life_end_of_input_between_requests_ends_quietly);
    tcase_add_test(tc, life_end_of_input_finishes_what_was_asked);
    tcase_add_loop_test(tc, life_end_of_input_within_a_request_is_400, 0,
                        (int)(sizeof unfinished / sizeof unfinished[0]));
    tcase_add_test(tc, life_draining_ends_an_idle_connection);
    tcase_add_test(tc, life_draining_lets_a_request_finish);
    tcase_add_test(tc, life_draining_gives_a_half_head_its_last_reply);
    tcase_add_test(tc, life_ends_after_so_many_requests);
    tcase_add_test(tc, life_says_keep_alive_to_http_1_0_that_asked_for_it);
    tcase_add_test(tc, life_client_that_closes_is_closed_without_lingering);
    tcase_add_test(tc, life_refused_client_is_read_to_its_end);
    tcase_add_test(tc, life_continue_comes_before_the_body);
    tcase_add_test(tc, life_pipeline_waits_for_a_slow_reader);
    tcase_add_test(tc, life_counts_replies_by_class);
    tcase_add_test(tc, life_state_is_small);
    tcase_add_test(tc, life_each_reply_has_its_access_line);
    tcase_add_test(tc, life_refused_requests_have_their_access_line);
    tcase_add_test(tc, life_long_fields_are_cut_in_the_access_log);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
