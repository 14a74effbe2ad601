/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's status by HTTP: what is asked of whom, and answers that go on once a second. */
#include "test_http.h"

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H

static struct fixture f;
static unsigned watchers, made;
static bool memory_is_out;

static char *make_text(const void *arg, enum http_live_kind kind, size_t *n)
{
    char *text = malloc(32);
    ck_assert_ptr_eq(arg, &f);
    ck_assert_int_ne(kind, HTTP_LIVE_EVENTS);
    if (memory_is_out) {
        free(text);
        return NULL;
    }
    *n = (size_t)sprintf(text, kind == HTTP_LIVE_METRICS ? "m%u\n" : "{%u}", ++made);
    return text;
}

static const struct http_live_part parts[] = {
    { { "", 0 }, { "text/html", 9 }, { "<p>", 3 } }, { { "a.js", 4 }, { "text/javascript", 15 }, { "1", 1 } }
};

static const struct http_live live = { .make = make_text, .arg = &f, .parts = parts, .part_count = 2, .watchers = &watchers };

static void live_setup(void)
{
    struct http_route_spec routes[] = { { .path = "/s", .kind = HTTP_ROUTE_LIVE, .live = &live },
                                        { .path = "/t/", .kind = HTTP_ROUTE_LIVE, .live = &live } };
    fixture_init(&f);
    fixture_site(&f, routes, 2);
    watchers = made = 0;
    memory_is_out = false;
}

static void live_teardown(void)
{
    fixture_free(&f);
}

static void says(const char *request, const char *begin, const char *body)
{
    wire_close(&f.wire);
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, span_of(request));
    struct span out = wire_output(&f.wire);
    ck_assert_msg(strncmp(out.p, begin, strlen(begin)) == 0, "%s", out.p);
    const char *end = strstr(out.p, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    ck_assert_str_eq(end + 4, body);
}

START_TEST(live_answers_each_name_beneath_its_path)
{
    says(GET("/t/") "\r\n", "HTTP/1.1 200 ", "<p>");
    says(GET("/s/") "\r\n", "HTTP/1.1 200 ", "<p>");
    says(GET("/s/a.js") "\r\n", "HTTP/1.1 200 ", "1");
    says("HEAD /s/a.js HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 ", "");
    says(GET("/s/metrics") "\r\n", "HTTP/1.1 200 ", "m1\n");
    says(GET("/s/status.json") "\r\n", "HTTP/1.1 200 ", "{2}");
    says("HEAD /s/metrics HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 ", "");
    says(GET("/s/b.js") "\r\n", "HTTP/1.1 404 ", "404 Not Found\n");
    says(GET("/s/metrics/") "\r\n", "HTTP/1.1 404 ", "404 Not Found\n");
    says(GET("/sa") "\r\n", "HTTP/1.1 404 ", "404 Not Found\n");
    says("POST /s/metrics HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "HTTP/1.1 405 ", "405 Method Not Allowed\n");
}
END_TEST

START_TEST(live_sends_to_where_relative_names_are_right)
{
    says(GET("/s") "\r\n", "HTTP/1.1 301 ", "301 Moved Permanently\n");
    ck_assert_ptr_nonnull(strstr(wire_output(&f.wire).p, "\r\nLocation: /s/\r\n"));
}
END_TEST

START_TEST(live_without_memory_is_unavailable)
{
    memory_is_out = true;
    says(GET("/s/metrics") "\r\n", "HTTP/1.1 503 ", "503 Service Unavailable\n");
    says(GET("/s/events") "\r\n", "HTTP/1.1 503 ", "503 Service Unavailable\n");
    ck_assert_uint_eq(watchers, 0);
}
END_TEST

START_TEST(live_events_come_once_a_second)
{
    says(GET("/s/events") "\r\n", "HTTP/1.1 200 ", "retry: 1000\n\ndata: {1}\n\n");
    ck_assert_ptr_nonnull(strstr(wire_output(&f.wire).p, "\r\nConnection: close\r\n"));
    ck_assert_ptr_null(strstr(wire_output(&f.wire).p, "\r\nContent-Length:"));
    ck_assert_uint_eq(watchers, 1);
    for (int i = 2; i < 5; i++) {
        char want[32];
        wire_forget(&f.wire);
        wire_pass(&f.wire, 900);
        ck_assert_uint_eq(wire_output(&f.wire).n, 0);
        wire_pass(&f.wire, 101);
        sprintf(want, "data: {%d}\n\n", i);
        ck_assert_str_eq(wire_output(&f.wire).p, want);
        ck_assert(!wire_over(&f.wire));
    }
    ck_assert_uint_eq(f.wire.env.count.timeouts, 0);
    wire_close(&f.wire);
    ck_assert_uint_eq(watchers, 0);
}
END_TEST

START_TEST(live_events_end_with_their_client_or_worker)
{
    says(GET("/s/events") "\r\n", "HTTP/1.1 200 ", "retry: 1000\n\ndata: {1}\n\n");
    wire_send(&f.wire, SPAN("what is this?"));
    ck_assert(!wire_over(&f.wire));
    wire_eof(&f.wire);
    ck_assert(wire_over(&f.wire));
    says(GET("/s/events") "\r\n", "HTTP/1.1 200 ", "retry: 1000\n\ndata: {2}\n\n");
    wire_drain(&f.wire);
    ck_assert(wire_over(&f.wire));
    wire_close(&f.wire);
    ck_assert_uint_eq(watchers, 0);
}
END_TEST

START_TEST(live_events_have_a_limit)
{
    watchers = 31;
    says(GET("/s/events") "\r\n", "HTTP/1.1 200 ", "retry: 1000\n\ndata: {1}\n\n");
    wire_close(&f.wire);
    ck_assert_uint_eq(watchers, 31);
    watchers = 32;
    says(GET("/s/events") "\r\n", "HTTP/1.1 503 ", "503 Service Unavailable\n");
    says("HEAD /s/events HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 ", "");
    ck_assert_uint_eq(watchers, 32);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_live");
    TCase *t = tcase_create("http_live");
    tcase_add_checked_fixture(t, live_setup, live_teardown);
    tcase_add_test(t, live_answers_each_name_beneath_its_path);
    tcase_add_test(t, live_sends_to_where_relative_names_are_right);
    tcase_add_test(t, live_without_memory_is_unavailable);
    tcase_add_test(t, live_events_come_once_a_second);
    tcase_add_test(t, live_events_end_with_their_client_or_worker);
    tcase_add_test(t, live_events_have_a_limit);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
