/* SPDX-License-Identifier: BSD-2-Clause */
/* Header fields of a route: on every final reply those that are added, on those that may be kept also for how long. */
#include "test_http.h"

#include <errno.h>

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H
#define EXPIRES "Sun, 22 Nov 2026 08:54:07 GMT"     /* an hour after the clock of the tests */

static struct fixture f;
static char long_value[7000];

static const struct http_header added[] = { { "X-A", "a b" }, { "Set-Cookie", "c=1" }, { "X-Empty", "" } };

static void fields_setup(void)
{
    fixture_init(&f);
    fixture_file(&f, "a.txt", "0123456789", 10);
    fixture_folder(&f, "sub");
    memset(long_value, 'v', sizeof long_value - 1);
}

static void fields_teardown(void)
{
    fixture_free(&f);
}

/* One route of each kind, all with these rules. */
static void site_with(struct http_route_spec rules)
{
    struct http_route_spec routes[] = { rules, rules, rules, rules, rules, rules };
    routes[0].path = "/";
    routes[0].kind = HTTP_ROUTE_ROOT;
    routes[0].root = f.root;
    routes[1].path = "/r";
    routes[1].kind = HTTP_ROUTE_RESPOND;
    routes[1].status = 200;
    routes[1].body = SPAN("body");
    routes[2].path = "/to";
    routes[2].kind = HTTP_ROUTE_REDIRECT;
    routes[2].status = 302;
    routes[2].to = "/there";
    routes[3].path = "/var";
    routes[3].kind = HTTP_ROUTE_REDIRECT;
    routes[3].status = 302;
    routes[3].to = "http://$host/new";
    routes[4].path = "/gone";
    routes[4].kind = HTTP_ROUTE_STATUS;
    routes[4].status = 410;
    routes[5].path = "/missing";
    routes[5].kind = HTTP_ROUTE_RESPOND;
    routes[5].status = 404;
    fixture_site(&f, routes, 6);
}

static const struct { const char *request; unsigned status; bool kept; } replies[] = {
    { GET("/a.txt") "\r\n", 200, true }, { "HEAD /a.txt HTTP/1.1\r\n" H "\r\n", 200, true },
    { GET("/a.txt") "Range: bytes=1-2\r\n\r\n", 206, true },
    { GET("/a.txt") "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\n", 304, true },
    { GET("/a.txt") "Range: bytes=100-\r\n\r\n", 416, false },
    { GET("/a.txt") "If-Match: \"x\"\r\n\r\n", 412, false },
    { GET("/none") "\r\n", 404, false }, { "POST /a.txt HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 405, false },
    { "OPTIONS /a.txt HTTP/1.1\r\n" H "\r\n", 204, false },
    { GET("/r") "\r\n", 200, true }, { GET("/r") "If-None-Match: *\r\n\r\n", 304, true },
    { GET("/to") "\r\n", 302, true }, { GET("/var") "\r\n", 302, true }, { GET("/gone") "\r\n", 410, true },
    { "DELETE /gone HTTP/1.1\r\n" H "\r\n", 410, true }, { GET("/missing") "\r\n", 404, true },
    { GET("/r") "If-Match: \"x\"\r\n\r\n", 412, false }, { "PUT /r HTTP/1.1\r\n" H "\r\n", 405, false },
    { "OPTIONS /gone HTTP/1.1\r\n" H "\r\n", 204, false }, { "TRACE /gone HTTP/1.1\r\n" H "\r\n", 405, false },
    { "GET /var HTTP/1.0\r\n\r\n", 400, false }, { GET("/sub") "\r\n", 301, true },
};

START_TEST(fields_are_on_every_reply_of_the_route)
{
    site_with((struct http_route_spec){ .add = added, .add_count = 3, .cache_control = "public, max-age=5",
                                        .expires = true, .expires_s = 3600 });
    for (int round = 0; round < 2; round++) {       /* the second is answered from the note */
        struct reply r = fixture_ask(&f, replies[_i].request);
        ck_assert_uint_eq(r.status, replies[_i].status);
        ck_assert_span_eq(reply_field(&r, "X-A"), "a b");
        ck_assert_span_eq(reply_field(&r, "Set-Cookie"), "c=1");
        ck_assert_span_eq(reply_field(&r, "X-Empty"), "");
        if (replies[_i].kept) {
            ck_assert_span_eq(reply_field(&r, "Cache-Control"), "public, max-age=5");
            ck_assert_span_eq(reply_field(&r, "Expires"), EXPIRES);
        } else {
            ck_assert_ptr_null(reply_field(&r, "Cache-Control").p);
            ck_assert_ptr_null(reply_field(&r, "Expires").p);
        }
    }
}
END_TEST

START_TEST(fields_say_how_long_a_reply_may_be_kept)
{
    site_with((struct http_route_spec){ .expires = true, .expires_s = 3600 });
    struct reply r = fixture_ask(&f, GET("/a.txt") "\r\n");
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "max-age=3600");
    ck_assert_span_eq(reply_field(&r, "Expires"), EXPIRES);
    site_with((struct http_route_spec){ .expires = true });
    r = fixture_ask(&f, GET("/a.txt") "\r\n");
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "max-age=0");
    ck_assert_span_eq(reply_field(&r, "Expires"), "Sun, 22 Nov 2026 07:54:07 GMT");
    ck_assert_span_eq(reply_field(&r, "Date"), "Sun, 22 Nov 2026 07:54:07 GMT");
    site_with((struct http_route_spec){ .cache_control = "no-store" });
    r = fixture_ask(&f, GET("/a.txt") "\r\n");
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-store");
    ck_assert_ptr_null(reply_field(&r, "Expires").p);
    f.wire.env.now_s += 7;
    site_with((struct http_route_spec){ .expires = true, .expires_s = 3593 });
    r = fixture_ask(&f, GET("/r") "\r\n");
    ck_assert_span_eq(reply_field(&r, "Expires"), EXPIRES);
}
END_TEST

static const struct { unsigned bit; const char *name; } removable[] = {
    { HTTP_REMOVE_ETAG, "ETag" }, { HTTP_REMOVE_LAST_MODIFIED, "Last-Modified" },
    { HTTP_REMOVE_ACCEPT_RANGES, "Accept-Ranges" },
};

START_TEST(fields_that_are_removed_are_not_sent)
{
    static const char *const requests[] = {
        GET("/a.txt") "\r\n", GET("/a.txt") "Range: bytes=1-2\r\n\r\n",
        GET("/a.txt") "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\n"
    };
    site_with((struct http_route_spec){ .removed = removable[_i].bit });
    for (int i = 0; i < 6; i++) {
        struct reply r = fixture_ask(&f, requests[i % 3]);
        ck_assert_uint_eq(r.status, i % 3 == 0 ? 200 : i % 3 == 1 ? 206 : 304);
        for (int j = 0; j < 3; j++) {
            bool shown = j != _i && !(r.status == 304 && (j == 2 || (j == 1 && _i != 0)));
            ck_assert_msg((reply_field(&r, removable[j].name).p != NULL) == shown, "%s, %u", removable[j].name,
                          r.status);
        }
    }
}
END_TEST

START_TEST(fields_of_any_length_come_whole_and_in_order)
{
    const struct http_header many[] = { { "X-Long", long_value }, { "X-Last", "end" } };
    site_with((struct http_route_spec){ .add = many, .add_count = 2 });
    wire_open(&f.wire, &f.service);
    for (int i = 0; i < 20; i++)
        wire_send(&f.wire, SPAN(GET("/a.txt") "\r\n" GET("/r") "\r\n"));
    struct span out = wire_output(&f.wire);
    struct reply r;
    for (int i = 0; i < 40; i++) {
        ck_assert(reply_take(&out, false, &r));
        ck_assert_uint_eq(reply_field(&r, "X-Long").n, sizeof long_value - 1);
        ck_assert_span_eq(reply_field(&r, "X-Last"), "end");
        ck_assert_span_eq(r.body, i % 2 == 0 ? "0123456789" : "body");
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(fields_are_not_those_of_requests_without_a_route)
{
    site_with((struct http_route_spec){ .add = added, .add_count = 3 });
    ck_assert_ptr_null(({ struct reply r = fixture_ask(&f, "GET /\r\n\r\n"); reply_field(&r, "X-A").p; }));
    ck_assert_ptr_null(({ struct reply r = fixture_ask(&f, "OPTIONS * HTTP/1.1\r\n" H "\r\n");
                          reply_field(&r, "X-A").p; }));
}
END_TEST

START_TEST(fields_refuse_what_would_forge_a_head)
{
    static const struct http_header bad[] = { { "X A", "" }, { "", "a" }, { "X:", "a" }, { "X", "a\r\nY: b" },
                                              { "X\n", "" } };
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_STATUS, .status = 404, .add_count = 1 };
    for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
        route.add = &bad[i];
        if (i == sizeof bad / sizeof bad[0]) {
            route.add_count = 0;
            route.cache_control = "a\nb";
        }
        errno = 0;
        ck_assert_ptr_null(http_site_new("web", &route, 1, &f.limits, f.mime));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_fields");
    TCase *tc = tcase_create("fields");
    tcase_add_checked_fixture(tc, fields_setup, fields_teardown);
    tcase_add_loop_test(tc, fields_are_on_every_reply_of_the_route, 0, COUNT(replies));
    tcase_add_test(tc, fields_say_how_long_a_reply_may_be_kept);
    tcase_add_loop_test(tc, fields_that_are_removed_are_not_sent, 0, COUNT(removable));
    tcase_add_test(tc, fields_of_any_length_come_whole_and_in_order);
    tcase_add_test(tc, fields_are_not_those_of_requests_without_a_route);
    tcase_add_test(tc, fields_refuse_what_would_forge_a_head);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
