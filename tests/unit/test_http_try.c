/* SPDX-License-Identifier: BSD-2-Clause */
/* Where files are looked for: alias, try, and what is hidden. */
#include "proto/http_internal.h"
#include "test_http.h"

#include <sys/socket.h>
#include <sys/un.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static struct fixture f;
static const char *const index_html[] = { "index.html" };

static void try_setup(void)
{
    fixture_init(&f);
    fixture_file(&f, "index.html", "top", 3);
    fixture_file(&f, "a.txt", "a", 1);
    fixture_file(&f, "about.html", "about", 5);
    fixture_file(&f, ".secret", "secret", 6);
    fixture_file(&f, ".html", "hidden", 6);
    fixture_folder(&f, "docs");
    fixture_file(&f, "docs/index.html", "docs", 4);
    fixture_folder(&f, "bare");
    fixture_folder(&f, ".well-known");
    fixture_file(&f, ".well-known/key", "key", 3);
    fixture_file(&f, ".well-known/.deep", "deep", 4);
    fixture_folder(&f, "cache");
    fixture_file(&f, "cache/x", "cached", 6);
    ck_assert_int_eq(symlink("/etc/passwd", fixture_path(&f, "out")), 0);
    ck_assert_int_eq(symlink("a.txt", fixture_path(&f, "in")), 0);
    ck_assert_int_eq(mkfifo(fixture_path(&f, "fifo"), 0644), 0);
}

static void try_teardown(void)
{
    fixture_free(&f);
}

static struct http_route_spec files(const char *path)
{
    return (struct http_route_spec){ .path = path, .kind = HTTP_ROUTE_ROOT, .root = f.root, .index = index_html,
                                     .index_count = 1 };
}

/* `said`: the body of a 200, or the Location of a 301; else the status. */
static void check_answer(const char *target, const char *said)
{
    char request[512];
    snprintf(request, sizeof request, GET("%s"), target);
    struct reply r = fixture_ask(&f, request);
    if (r.status == 200)
        ck_assert_msg(span_equal(r.body, span_of(said)), "%s: %.*s instead of %s", target, (int)r.body.n, r.body.p,
                      said);
    else if (r.status == 301)
        ck_assert_span_eq(reply_field(&r, "Location"), said);
    else
        ck_assert_msg(r.status == strtoul(said, NULL, 10), "%s: %u instead of %s", target, r.status, said);
}

static const struct { const char *route, *target, *said; } aliases[] = {
    { "/m", "/m/a.txt", "a" }, { "/m", "/m/", "top" }, { "/m", "/m", "/m/" }, { "/m", "/m?q=1", "/m/?q=1" },
    { "/m", "/m/docs", "/m/docs/" }, { "/m", "/m/docs/", "docs" }, { "/m", "/mx/a.txt", "404" },
    { "/m", "/m/m/a.txt", "404" }, { "/m", "/m/a.txt/", "404" }, { "/m", "/m/.secret", "404" },
    { "/m", "/m/%2e%2e/a.txt", "404" }, { "/m", "/m/../m/a.txt", "a" }, { "/m", "/m/out", "404" },
    { "/m", "/m/nothing", "404" }, { "/m", "/m/bare/", "403" },
    { "/m/", "/m/a.txt", "a" }, { "/m/", "/m/", "top" }, { "/m/", "/m", "404" }, { "/m/n", "/m/n/docs/", "docs" },
    { "/", "/a.txt", "a" }, { "/", "/", "top" }, { "/", "/docs", "/docs/" },
};

START_TEST(alias_cuts_the_prefix_off)
{
    struct http_route_spec route = files(aliases[_i].route);
    route.alias = true;
    fixture_site(&f, &route, 1);
    check_answer(aliases[_i].target, aliases[_i].said);
}
END_TEST

START_TEST(alias_follows_a_link_inside)
{
    struct http_route_spec route = files("/m");
    route.alias = true;
    fixture_site(&f, &route, 1);
    check_answer("/m/in", fixture_follows_links() ? "a" : "404");
}
END_TEST

START_TEST(root_keeps_the_prefix)
{
    struct http_route_spec route = files("/docs");
    fixture_site(&f, &route, 1);
    check_answer("/docs/", "docs");
    check_answer("/docs/index.html", "docs");
    check_answer("/docs", "/docs/");
    check_answer("/a.txt", "404");
}
END_TEST

/* A prefix that the configuration names is not hidden; what it does not name is. */
START_TEST(hidden_is_what_the_route_does_not_name)
{
    struct http_route_spec route = files("/.well-known");
    fixture_site(&f, &route, 1);
    check_answer("/.well-known/key", "key");
    check_answer("/.well-known/.deep", "404");
    route = files("/.well-known/");
    fixture_site(&f, &route, 1);
    check_answer("/.well-known/key", "key");
    check_answer("/.well-known/.deep", "404");
    route = files("/");
    fixture_site(&f, &route, 1);
    check_answer("/.well-known/key", "404");
    check_answer("/.secret", "404");
    check_answer("/%2esecret", "404");
    route.dotfiles = true;
    fixture_site(&f, &route, 1);
    check_answer("/.well-known/.deep", "deep");
}
END_TEST

START_TEST(what_is_no_regular_file_is_404_and_nobody_waits)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct http_route_spec route = files("/");
    fixture_site(&f, &route, 1);
    strcpy(address.sun_path, f.folder);
    strcat(address.sun_path, "/socket");
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_answer("/fifo", "404");
    check_answer("/socket", "404");
    check_answer("/out", "404");
    check_answer("/a.txt/", "404");
    check_answer("/a.txt/x", "404");
    check_answer("/fifo/", "404");
    check_answer("/a%00.txt", "400");
    close(fd);
}
END_TEST

static const char *const lists[][5] = {
    { "$path", "$path.html", "$path/", "/index.html", NULL },          /* 0 */
    { "$path", "=410", NULL },                                          /* 1 */
    { "/cache$path", "/cache/$path", "$path", NULL },                   /* 2 */
    { "$path/index.html", NULL },                                       /* 3 */
    { "$path", "/", NULL },                                             /* 4 */
    { "/docs/", NULL },                                                 /* 5 */
    { "$path", "/.secret", NULL },                                      /* 6 */
    { "/missing", "=599", NULL },                                       /* 7 */
};

static const struct { unsigned list; const char *target, *said; } tries[] = {
    { 0, "/a.txt", "a" }, { 0, "/about", "about" }, { 0, "/about?x", "about" }, { 0, "/docs", "/docs/" },
    { 0, "/docs?q", "/docs/?q" }, { 0, "/docs/", "docs" }, { 0, "/", "top" }, { 0, "/nothing/at/all", "top" },
    { 0, "/a.txt/", "top" }, { 0, "/bare", "top" }, { 0, "/bare/", "top" }, { 0, "/out", "top" }, { 0, "/fifo", "top" },
    { 0, "/.secret", "404" }, { 0, "/%61bout", "about" }, { 0, "/x/../about", "about" },
    { 1, "/a.txt", "a" }, { 1, "/docs", "410" }, { 1, "/nothing", "410" },
    { 2, "/x", "cached" }, { 2, "/a.txt", "a" }, { 2, "/nothing", "404" },
    { 3, "/docs", "docs" }, { 3, "/docs/", "docs" }, { 3, "/", "top" }, { 3, "/a.txt", "404" },
    { 4, "/nothing", "top" }, { 4, "/docs/", "docs" }, { 4, "/docs", "top" },
    { 5, "/nothing", "docs" }, { 5, "/", "docs" },
    { 6, "/nothing", "404" }, { 7, "/a.txt", "599" },
};

START_TEST(try_takes_the_first_candidate_that_is_there)
{
    struct http_route_spec route = files("/");
    route.try = lists[tries[_i].list];
    while (route.try[route.try_count] != NULL)
        route.try_count++;
    fixture_site(&f, &route, 1);
    check_answer(tries[_i].target, tries[_i].said);
}
END_TEST

START_TEST(try_beneath_an_alias_is_without_the_prefix)
{
    struct http_route_spec route = files("/app");
    route.alias = true;
    route.try = lists[0];
    route.try_count = 4;
    fixture_site(&f, &route, 1);
    check_answer("/app/about", "about");
    check_answer("/app/some/view", "top");
    check_answer("/app", "/app/");
    check_answer("/app/", "top");
    check_answer("/app/docs", "/app/docs/");
}
END_TEST

START_TEST(try_answers_with_the_fields_of_the_candidate)
{
    struct http_route_spec route = files("/");
    route.try = lists[0];
    route.try_count = 4;
    fixture_site(&f, &route, 1);
    struct reply r = fixture_ask(&f, "GET /view.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=1-1\r\n\r\n");
    ck_assert_uint_eq(r.status, 206);
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/html; charset=utf-8");
    ck_assert_span_eq(r.body, "o");
    r = fixture_ask(&f, "POST /view HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    ck_assert_uint_eq(r.status, 405);
}
END_TEST

START_TEST(try_passes_over_names_that_are_too_long)
{
    static char name[HTTP_NAME_MAX + 1], to[HTTP_NAME_MAX];
    memset(name, 'x', sizeof name);
    struct http_candidate c = http_candidate_of("/a/$path.html");
    struct span at = http_candidate_name(&c, (struct span){ name, HTTP_NAME_MAX - 7 }, to);
    ck_assert_uint_eq(at.n, HTTP_NAME_MAX);
    ck_assert(span_starts_with(at, SPAN("a/xxx")));
    ck_assert_ptr_null(http_candidate_name(&c, (struct span){ name, HTTP_NAME_MAX - 6 }, to).p);
}
END_TEST

/* ---- error pages ---- */

#define PAGE_TYPE "text/html; charset=utf-8"

static char large[5000];

static const struct http_page pages[] = {
    { 404, { PAGE_TYPE, sizeof PAGE_TYPE - 1 }, { "<p>not here", 11 } },
    { 405, { PAGE_TYPE, sizeof PAGE_TYPE - 1 }, { large, sizeof large } },
    { 410, { PAGE_TYPE, sizeof PAGE_TYPE - 1 }, { "<p>gone", 7 } },
    { 416, { "text/plain", 10 }, { "", 0 } },
    { 400, { "text/plain", 10 }, { "no\n", 3 } },
};

static void pages_site(void)
{
    struct http_route_spec routes[] = { files("/f"), { .path = "/gone", .kind = HTTP_ROUTE_STATUS, .status = 410 },
                                        { .path = "/fixed", .kind = HTTP_ROUTE_RESPOND, .status = 404,
                                          .type = "text/plain", .body = SPAN("my own\n") } };
    memset(large, 'L', sizeof large);
    routes[0].alias = true;
    routes[0].pages = (struct http_pages){ pages, 5 };
    routes[1].pages = routes[2].pages = routes[0].pages;
    fixture_site(&f, routes, 3);
    http_site_pages(f.site, (struct http_pages){ pages + 4, 1 });
}

START_TEST(pages_replace_the_small_ones_and_keep_status_and_fields)
{
    pages_site();
    struct reply r = fixture_ask(&f, GET("/f/nothing"));
    ck_assert_uint_eq(r.status, 404);
    ck_assert_span_eq(r.body, "<p>not here");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), PAGE_TYPE);
    r = fixture_ask(&f, "DELETE /f/a.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_uint_eq(r.status, 405);
    ck_assert_span_eq(reply_field(&r, "Allow"), "GET, HEAD, OPTIONS");
    ck_assert(span_equal(r.body, (struct span){ large, sizeof large }));
    r = fixture_ask(&f, "GET /f/a.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=7-\r\n\r\n");
    ck_assert_uint_eq(r.status, 416);
    ck_assert_span_eq(reply_field(&r, "Content-Range"), "bytes */1");
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "0");
    r = fixture_ask(&f, GET("/gone"));
    ck_assert_uint_eq(r.status, 410);
    ck_assert_span_eq(r.body, "<p>gone");
    r = fixture_ask(&f, GET("/fixed"));
    ck_assert_span_eq(r.body, "my own\n");
}
END_TEST

START_TEST(pages_of_a_site_are_for_what_no_route_answers)
{
    pages_site();
    ck_assert_span_eq(fixture_ask(&f, GET("/elsewhere")).body, "404 Not Found\n");
    struct reply r = fixture_ask(&f, "GET / HTTP/1.1\r\n\r\n");
    ck_assert_uint_eq(r.status, 400);
    ck_assert_span_eq(r.body, "no\n");
    ck_assert_span_eq(reply_field(&r, "Connection"), "close");
}
END_TEST

START_TEST(pages_of_head_are_lengths)
{
    pages_site();
    struct reply r = fixture_ask(&f, "HEAD /f/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_uint_eq(r.status, 404);
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "11");
    ck_assert_uint_eq(r.body.n, 0);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_try");
    TCase *tc = tcase_create("try");
    tcase_add_checked_fixture(tc, try_setup, try_teardown);
    tcase_add_loop_test(tc, alias_cuts_the_prefix_off, 0, COUNT(aliases));
    tcase_add_test(tc, alias_follows_a_link_inside);
    tcase_add_test(tc, root_keeps_the_prefix);
    tcase_add_test(tc, hidden_is_what_the_route_does_not_name);
    tcase_add_test(tc, what_is_no_regular_file_is_404_and_nobody_waits);
    tcase_add_loop_test(tc, try_takes_the_first_candidate_that_is_there, 0, COUNT(tries));
    tcase_add_test(tc, try_beneath_an_alias_is_without_the_prefix);
    tcase_add_test(tc, try_answers_with_the_fields_of_the_candidate);
    tcase_add_test(tc, try_passes_over_names_that_are_too_long);
    tcase_add_test(tc, pages_replace_the_small_ones_and_keep_status_and_fields);
    tcase_add_test(tc, pages_of_a_site_are_for_what_no_route_answers);
    tcase_add_test(tc, pages_of_head_are_lengths);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
