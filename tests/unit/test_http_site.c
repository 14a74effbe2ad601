/* SPDX-License-Identifier: BSD-2-Clause */
/* Sites: which route is taken, and what its ready replies look like. */
#include "test_http.h"

#include <errno.h>

#define H "Host: x\r\n"

static struct fixture f;
static char big[9000];

#define HOSTS(...) \
    .hosts = (const char *const[]){ __VA_ARGS__ }, \
    .host_count = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)
#define RESPOND(at, text) { .path = at, .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN(text) }

static void site_setup(void)
{
    fixture_init(&f);
    memset(big, 'b', sizeof big);
    fixture_folder(&f, "files");
    fixture_file(&f, "files/a.txt", "a file", 6);
    fixture_file(&f, "files/.hidden", "hidden", 6);
    struct http_route_spec routes[] = {
        RESPOND("/", "root"), RESPOND("/a/b", "a b"), RESPOND("/a", "a"), RESPOND("/dir/", "dir"),
        RESPOND("/a", "not reached"),
        { .path = "/", HOSTS("other.test"), .kind = HTTP_ROUTE_RESPOND, .status = 200,
          .body = SPAN("other") },
        { .path = "/a", HOSTS("only.test"), .kind = HTTP_ROUTE_RESPOND, .status = 200,
          .body = SPAN("only a") },
        { .path = "/", HOSTS("[::1]"), .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("literal") },
        { .path = "/", HOSTS("*.wild.test", "two.test", "*.deep.wild.test"), .kind = HTTP_ROUTE_RESPOND,
          .status = 200, .body = SPAN("wild") },
        { .path = "/", HOSTS("*.er.wild.test", "exact.wild.test"), .kind = HTTP_ROUTE_RESPOND, .status = 200,
          .body = SPAN("wilder") },
        { .path = "/a/b", HOSTS("*.wild.test"), .kind = HTTP_ROUTE_RESPOND, .status = 200,
          .body = SPAN("wild a b") },
        { .path = "/a", HOSTS("*.only.er.wild.test"), .kind = HTTP_ROUTE_RESPOND, .status = 200,
          .body = SPAN("wildest a") },
        { .path = "/files", .kind = HTTP_ROUTE_ROOT, .root = f.root, .dotfiles = true },
        { .path = "/tea", .kind = HTTP_ROUTE_RESPOND, .status = 418, .type = "text/tea",
          .body = SPAN("short") },
        { .path = "/odd", .kind = HTTP_ROUTE_RESPOND, .status = 299, .body = SPAN("odd") },
        { .path = "/bare", .kind = HTTP_ROUTE_RESPOND, .status = 204, .body = SPAN("dropped") },
        { .path = "/edge", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = { big, 2048 } },
        { .path = "/lent", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = { big, 2049 } },
        { .path = "/moved", .kind = HTTP_ROUTE_REDIRECT, .status = 308, .to = "https://new.test/" },
        { .path = "/gone", .kind = HTTP_ROUTE_STATUS, .status = 410 },
        { .path = "/no", .kind = HTTP_ROUTE_STATUS, .status = 405 },
    };
    fixture_site(&f, routes, sizeof routes / sizeof routes[0]);
}

static void site_teardown(void)
{
    fixture_free(&f);
}

static struct reply ask(const char *method, const char *target, const char *host)
{
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, target, host);
    return fixture_ask(&f, request);
}

static const struct { const char *target, *host, *body; } taken[] = {
    { "/", "x", "root" }, { "/b", "x", "root" }, { "/a", "x", "a" }, { "/a/", "x", "a" },
    { "/a/c", "x", "a" },
    { "/ab", "x", "root" }, { "/a/b", "x", "a b" }, { "/a/b/c", "x", "a b" }, { "/a/bc", "x", "a" },
    { "/dir/", "x", "dir" }, { "/dir/x", "x", "dir" }, { "/dir", "x", "root" }, { "/a?b", "x", "a" },
    { "/%61/b", "x", "a b" }, { "/x/../a", "x", "a" }, { "//a", "x", "a" }, { "/a%2fb", "x", "a b" },
    { "/a", "other.test", "other" }, { "/", "OTHER.Test:8080", "other" }, { "/", "other.test.", "other" },
    { "/a/b", "only.test", "only a" }, { "/b", "only.test", "root" }, { "/", "[::1]:80", "literal" },
    { "http://other.test/", "x", "other" }, { "http://x/", "other.test", "root" },
    { "/", "a.wild.test", "wild" }, { "/", "a.b.WILD.test:81", "wild" }, { "/", "wild.test", "root" },
    { "/", "awild.test", "root" }, { "/", "two.test", "wild" }, { "/a/b", "two.test", "wild" },
    { "/a/b", "a.wild.test", "wild a b" }, { "/a/b/c", "a.wild.test.", "wild a b" },
    { "/", "a.er.wild.test", "wilder" }, { "/a/b", "a.er.wild.test", "wilder" }, { "/", "er.wild.test", "wild" },
    { "/", "exact.wild.test", "wilder" }, { "/a/b", "exact.wild.test", "wilder" },
    { "/a", "x.only.er.wild.test", "wildest a" }, { "/", "x.only.er.wild.test", "wilder" },
    { "/a/x", "a.deep.wild.test", "wild" }, { "/a/b", "a.deep.wild.test", "wild" },
    { "/files/a.txt", "x", "a file" }, { "/files/.hidden", "x", "hidden" },
};

START_TEST(site_takes_the_route_of_the_host_and_the_longest_path)
{
    struct reply r = ask("GET", taken[_i].target, taken[_i].host);
    ck_assert_uint_eq(r.status, 200);
    ck_assert_span_eq(r.body, taken[_i].body);
}
END_TEST

START_TEST(site_without_a_route_answers_404)
{
    struct http_route_spec route = RESPOND("/a", "a");
    fixture_site(&f, &route, 1);
    ck_assert_uint_eq(ask("GET", "/b", "x").status, 404);
    ck_assert_uint_eq(ask("POST", "/b", "x").status, 404);
    fixture_site(&f, &route, 0);
    ck_assert_uint_eq(ask("GET", "/a", "x").status, 404);
    ck_assert_uint_eq(ask("OPTIONS", "*", "x").status, 204);
}
END_TEST

START_TEST(site_replies_are_made_whole)
{
    struct reply r = ask("GET", "/tea", "x");
    ck_assert_uint_eq(r.status, 418);
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/tea");
    ck_assert_span_eq(r.body, "short");
    r = ask("GET", "/a", "x");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/plain; charset=utf-8");
    r = ask("GET", "/odd", "x");
    ck_assert(span_starts_with(r.head, SPAN("HTTP/1.1 299 \r\n")));
    ck_assert_span_eq(r.body, "odd");
    r = ask("GET", "/bare", "x");
    ck_assert_uint_eq(r.status, 204);
    ck_assert_ptr_null(reply_field(&r, "Content-Type").p);
    r = ask("POST", "/moved", "x");
    ck_assert_uint_eq(r.status, 308);
    ck_assert_span_eq(reply_field(&r, "Location"), "https://new.test/");
    r = ask("DELETE", "/gone", "x");
    ck_assert_uint_eq(r.status, 410);
    ck_assert_span_eq(r.body, "410 Gone\n");
}
END_TEST

START_TEST(site_bodies_of_every_size_come_whole)
{
    ck_assert(span_equal(ask("GET", "/edge", "x").body, (struct span){ big, 2048 }));
    ck_assert(span_equal(ask("GET", "/lent", "x").body, (struct span){ big, 2049 }));
    struct reply r = ask("HEAD", "/lent", "x");
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "2049");
    ck_assert_ptr_null(reply_field(&r, "Connection").p);
}
END_TEST

static const struct { const char *method, *target; unsigned status; const char *allow; } methods[] = {
    { "POST", "/files/a.txt", 405, "GET, HEAD, OPTIONS" }, { "PUT", "/a", 405, "GET, HEAD, POST, OPTIONS" },
    { "OPTIONS", "/files/a.txt", 204, "GET, HEAD, OPTIONS" },
    { "OPTIONS", "/a", 204, "GET, HEAD, POST, OPTIONS" },
    { "OPTIONS", "*", 204, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
    { "OPTIONS", "/gone", 204, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
    { "TRACE", "/gone", 405, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
    { "CONNECT", "x:80", 405, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
    { "GET", "/no", 405, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
};

START_TEST(site_says_which_methods_are_allowed)
{
    struct reply r = ask(methods[_i].method, methods[_i].target, "x");
    ck_assert_uint_eq(r.status, methods[_i].status);
    ck_assert_span_eq(reply_field(&r, "Allow"), methods[_i].allow);
}
END_TEST

/* A fixed reply exists, but has no validator: RFC 9110 section 13.1. */
static const struct { const char *request; unsigned status; } conditions[] = {
    { "GET /a HTTP/1.1\r\n" H "If-Match: *\r\n\r\n", 200 },
    { "GET /a HTTP/1.1\r\n" H "If-Match: \"x\"\r\n\r\n", 412 },
    { "GET /a HTTP/1.1\r\n" H "If-None-Match: *\r\n\r\n", 304 },
    { "POST /a HTTP/1.1\r\n" H "If-None-Match: *\r\n\r\n", 412 },
    { "GET /a HTTP/1.1\r\n" H "If-None-Match: \"x\"\r\n\r\n", 200 },
    { "GET /a HTTP/1.1\r\n" H "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", 200 },
    { "GET /a HTTP/1.1\r\n" H "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", 200 },
    { "GET /a HTTP/1.1\r\n" H "Range: bytes=0-0\r\n\r\n", 200 },
    { "GET /gone HTTP/1.1\r\n" H "If-None-Match: *\r\n\r\n", 410 },
};

START_TEST(site_fixed_replies_have_no_validators)
{
    ck_assert_uint_eq(fixture_ask(&f, conditions[_i].request).status, conditions[_i].status);
}
END_TEST

START_TEST(site_takes_locations_of_any_length)
{
    static char to[5000];
    memset(to, 'l', sizeof to - 1);
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_REDIRECT, .status = 302, .to = to };
    fixture_site(&f, &route, 1);
    struct reply r = ask("GET", "/", "x");
    ck_assert_uint_eq(reply_field(&r, "Location").n, 4999);
    ck_assert_uint_eq(r.body.n, sizeof "302 Found\n" - 1 + 5000);
    ck_assert(span_starts_with(r.body, SPAN("302 Found\nlll")));
    ck_assert(span_equal(span_skip(r.body, r.body.n - 3), SPAN("ll\n")));
    r = ask("HEAD", "/", "x");
    ck_assert_uint_eq(reply_field(&r, "Location").n, 4999);
}
END_TEST

START_TEST(site_refuses_what_would_forge_a_head)
{
    static const struct http_route_spec bad[] = {
        { .path = "/", .kind = HTTP_ROUTE_REDIRECT, .status = 302, .to = "/a\r\nSet-Cookie: b" },
        { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain\n" },
        { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 199 },
        { .path = "/", .kind = HTTP_ROUTE_STATUS, .status = 600 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(http_site_new("web", &bad[i], 1, &f.limits, f.mime));
        ck_assert_int_eq(errno, EINVAL);
    }
    http_site_free(NULL);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_site");
    TCase *tc = tcase_create("site");
    tcase_add_checked_fixture(tc, site_setup, site_teardown);
    tcase_add_loop_test(tc, site_takes_the_route_of_the_host_and_the_longest_path, 0, COUNT(taken));
    tcase_add_test(tc, site_without_a_route_answers_404);
    tcase_add_test(tc, site_replies_are_made_whole);
    tcase_add_test(tc, site_bodies_of_every_size_come_whole);
    tcase_add_loop_test(tc, site_says_which_methods_are_allowed, 0, COUNT(methods));
    tcase_add_loop_test(tc, site_fixed_replies_have_no_validators, 0, COUNT(conditions));
    tcase_add_test(tc, site_takes_locations_of_any_length);
    tcase_add_test(tc, site_refuses_what_would_forge_a_head);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
