/* SPDX-License-Identifier: BSD-2-Clause */
/* Redirects with variables: where they lead, and where no client can lead them. */
#include "test_http.h"

#include <errno.h>

static struct fixture f;

static void location_setup(void)
{
    fixture_init(&f);
}

static void location_teardown(void)
{
    fixture_free(&f);
}

static struct reply ask(const char *to, const char *method, const char *target, const char *host)
{
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_REDIRECT, .status = 301, .to = to };
    char request[1024];
    snprintf(request, sizeof request, "%s %s HTTP/1.%d\r\n%s%s%s\r\n", method, target, host != NULL,
             host != NULL ? "Host: " : "", host != NULL ? host : "", host != NULL ? "\r\n" : "");
    fixture_site(&f, &route, 1);
    return fixture_ask(&f, request);
}

static const struct { const char *to, *target, *host, *location; } led[] = {
    { "https://$host$path$query", "/a/b?c=d", "h.test:80", "https://h.test/a/b?c=d" },
    { "https://$host$path$query", "/", "h.test.", "https://h.test/" },
    { "https://${host}${path}", "/a?b", "[::1]:8080", "https://[::1]/a" },
    { "https://new.test$path", "/a", "x", "https://new.test/a" },
    { "https://www.$host/", "/a", "x", "https://www.x/" },
    { "HTTP://new.test/$query", "/a", "x", "HTTP://new.test/" },
    { "$path", "/a//b/./c/../d", "x", "/a/b/d" },
    { "$path$query", "/a??b", "x", "/a??b" },
    { "/new$path", "/a", "x", "/new/a" },
    { "/login?from=$path", "/a%3fb", "x", "/login?from=/a%3Fb" },
    { "/$$$query$$", "/a?b", "x", "/$?b$" },
    { "//$host/x", "/", "other.test", "//other.test/x" },
    { "//fixed.test$path", "/a", "x", "//fixed.test/a" },
    /* never another host, never another field */
    { "$path", "//evil.test/", "x", "/evil.test/" }, { "$path", "/%2fevil.test", "x", "/evil.test" },
    { "$path", "/%5cevil.test", "x", "/%5Cevil.test" },
    { "$path", "/.//evil.test", "x", "/evil.test" }, { "$path", "http://evil.test", "x", "/" },
    { "$path", "/a%20b%c3%bc%25", "x", "/a%20b%C3%BC%25" },
    { "$path$query", "/?a\\b^`{|}[]%41", "x", "/?a%5Cb%5E%60%7B%7C%7D%5B%5D%41" },
    { "https://$host/", "http://abs.test/", "x", "https://abs.test/" },
};

START_TEST(location_leads_where_the_request_says)
{
    struct reply r = ask(led[_i].to, "GET", led[_i].target, led[_i].host);
    char body[512];
    ck_assert_uint_eq(r.status, 301);
    ck_assert_span_eq(reply_field(&r, "Location"), led[_i].location);
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/plain; charset=utf-8");
    snprintf(body, sizeof body, "301 Moved Permanently\n%s\n", led[_i].location);
    ck_assert_span_eq(r.body, body);
}
END_TEST

START_TEST(location_answers_every_method_and_says_no_host_for_none)
{
    struct reply r = ask("https://$host$path", "HEAD", "/a", "x");
    ck_assert_uint_eq(r.status, 301);
    ck_assert_span_eq(reply_field(&r, "Location"), "https://x/a");
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "34");
    ck_assert_uint_eq(ask("https://$host$path", "DELETE", "/a", "x").status, 301);
    ck_assert_uint_eq(ask("https://$host$path", "OPTIONS", "/a", "x").status, 204);
    ck_assert_uint_eq(ask("https://$host$path", "GET", "/a", NULL).status, 400);
    ck_assert_uint_eq(ask("$path", "GET", "/a", NULL).status, 301);
    ck_assert_uint_eq(ask("https://$host$path", "GET", "/%0d%0aX:y", "x").status, 400);
}
END_TEST

START_TEST(location_takes_paths_of_any_length)
{
    static char path[8192], request[9000];
    memset(path, ' ' + 1, sizeof path);     /* '!' stays as it is */
    f.limits.request_line = 9000;
    for (size_t i = 1; i + 2 < sizeof path; i += 3)
        memcpy(path + i, "%20", 3);
    path[0] = '/';
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_REDIRECT, .status = 308, .to = "/x$path" };
    fixture_site(&f, &route, 1);
    snprintf(request, sizeof request, "GET %.8191s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    struct reply r = fixture_ask(&f, request);
    ck_assert_uint_eq(r.status, 308);
    ck_assert_uint_eq(reply_field(&r, "Location").n, 2 + 8191);
    ck_assert_uint_eq(r.body.n, sizeof "308 Permanent Redirect\n" - 1 + 2 + 8191 + 1);
}
END_TEST

#define NO_BEGIN "must begin with a path, with $path, with http:// or with https://"
#define NO_HOST "must have a host behind its //"

static const struct { const char *to, *fault; } faults[] = {
    { "$host/a", NO_BEGIN }, { "$query", NO_BEGIN }, { "javascript:$path", NO_BEGIN }, { "$$$path", NO_BEGIN },
    { "https:/$path", NO_BEGIN }, { "x$path", NO_BEGIN },
    { "/$path", "would name another host: $path begins with a slash of its own" },
    { "//$path", NO_HOST }, { "//$query", NO_HOST }, { "///$host", NO_HOST }, { "///a$path", NO_HOST },
    { "https://$path", NO_HOST }, { "https:///a$path", NO_HOST }, { "http://?$path", NO_HOST },
    { "/a", NULL }, { "", NULL }, { "mailto:a", NULL }, { "x$$", NULL }, { "/$host", NULL }, { "/$query", NULL },
    { "/a$path", NULL }, { "//$host", NULL }, { "https://$host", NULL },
};

START_TEST(location_refuses_what_could_lead_elsewhere)
{
    const char *fault = http_location_fault(span_of(faults[_i].to));
    if (faults[_i].fault == NULL)
        ck_assert_ptr_null(fault);
    else
        ck_assert_str_eq(fault, faults[_i].fault);
}
END_TEST

START_TEST(location_makes_no_site_of_what_is_refused)
{
    static const char *const bad[] = { "/$path", "$paths", "/a$", "/a\n$path" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_REDIRECT, .status = 301, .to = bad[i] };
        errno = 0;
        ck_assert_ptr_null(http_site_new("web", &route, 1, &f.limits, f.mime));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_location");
    TCase *tc = tcase_create("location");
    tcase_add_checked_fixture(tc, location_setup, location_teardown);
    tcase_add_loop_test(tc, location_leads_where_the_request_says, 0, COUNT(led));
    tcase_add_test(tc, location_answers_every_method_and_says_no_host_for_none);
    tcase_add_test(tc, location_takes_paths_of_any_length);
    tcase_add_loop_test(tc, location_refuses_what_could_lead_elsewhere, 0, COUNT(faults));
    tcase_add_test(tc, location_makes_no_site_of_what_is_refused);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
