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

/* The answer's head as a reply; reply_field sees to it that nothing comes twice. */
static struct reply head_of(const char *request)
{
    struct reply r = { 0 };
    wire_close(&f.wire);
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, span_of(request));
    struct span out = wire_output(&f.wire);
    const char *end = strstr(out.p, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    r.head = (struct span){ out.p, (size_t)(end - out.p) + 2 };
    r.status = (unsigned)strtoul(out.p + 9, NULL, 10);
    return r;
}

static const char *const names[] = { "", "a.js", "metrics", "status.json", "events" };

/* What the route says in such fields is for its errors, and all others are on everything. */
START_TEST(live_keeps_its_own_fields)
{
    static const struct http_header add[] = {
        { "content-security-policy", "default-src 'none'" }, { "X-A", "a" }, { "Cache-Control", "max-age=5" },
        { "Expires", "0" }, { "REFERRER-POLICY", "origin" }, { "X-Content-Type-Options", "x" }, { "Retry-After", "9" }
    };
    struct http_route_spec route = { .path = "/s", .kind = HTTP_ROUTE_LIVE, .live = &live, .add = add, .add_count = 7 };
    fixture_site(&f, &route, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET /s/%s HTTP/1.1\r\n" H "\r\n", names[i]);
        struct reply r = head_of(request);
        ck_assert_uint_eq(r.status, 200);
        ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-store");
        ck_assert_span_eq(reply_field(&r, "Referrer-Policy"), "no-referrer");
        ck_assert_span_eq(reply_field(&r, "X-Content-Type-Options"), "nosniff");
        ck_assert_ptr_nonnull(strstr(reply_field(&r, "Content-Security-Policy").p, "connect-src 'self'"));
        ck_assert_ptr_null(reply_field(&r, "Expires").p);
        ck_assert_span_eq(reply_field(&r, "X-A"), "a");
        ck_assert_span_eq(reply_field(&r, "Retry-After"), "9");
    }
    struct reply r = head_of(GET("/s/none") "\r\n");
    ck_assert_uint_eq(r.status, 404);
    for (size_t i = 0; i < sizeof add / sizeof add[0]; i++)
        ck_assert_span_eq(reply_field(&r, add[i].name), add[i].value);
    memory_is_out = true;
    r = head_of(GET("/s/metrics") "\r\n");
    ck_assert_uint_eq(r.status, 503);
    ck_assert_span_eq(reply_field(&r, "Retry-After"), "9");
}
END_TEST

START_TEST(live_is_never_kept_whatever_the_route_says)
{
    struct http_route_spec route = { .path = "/s", .kind = HTTP_ROUTE_LIVE, .live = &live, .expires = true, .expires_s = 7,
                                     .cache_control = "private" };
    fixture_site(&f, &route, 1);
    struct reply r = head_of(GET("/s/") "\r\n");
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-store");
    ck_assert_ptr_null(reply_field(&r, "Expires").p);
}
END_TEST

START_TEST(live_has_no_validators)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        static const struct { const char *method, *condition; unsigned status; } asked[] = {
            { "GET", "If-Match: \"x\"", 412 }, { "HEAD", "If-Match: \"x\"", 412 }, { "GET", "If-None-Match: *", 304 },
            { "HEAD", "If-None-Match: *", 304 }, { "GET", "If-Match: *", 200 }, { "GET", "If-None-Match: \"x\"", 200 },
            { "GET", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 200 }, { "GET", "Range: bytes=0-0", 200 }
        };
        for (size_t j = 0; j < sizeof asked / sizeof asked[0]; j++) {
            char request[256];
            snprintf(request, sizeof request, "%s /s/%s HTTP/1.1\r\n" H "%s\r\n\r\n", asked[j].method, names[i],
                     asked[j].condition);
            struct reply r = head_of(request);
            ck_assert_msg(r.status == asked[j].status, "%s: %u", request, r.status);
            if (r.status == 304)
                ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-store");
        }
    }
    ck_assert_uint_eq(head_of(GET("/s/none") "If-Match: \"x\"\r\n\r\n").status, 404);
    wire_close(&f.wire);
    ck_assert_uint_eq(watchers, 0);
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
    tcase_add_test(t, live_keeps_its_own_fields);
    tcase_add_test(t, live_is_never_kept_whatever_the_route_says);
    tcase_add_test(t, live_has_no_validators);
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
