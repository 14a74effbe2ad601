/* SPDX-License-Identifier: BSD-2-Clause */
/* Files over HTTP: fields, conditions (RFC 9110 section 13), ranges (section 14), folders, errors. */
#include "test_http.h"

#include <sys/resource.h>

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H
#define DATE "Sun, 09 Sep 2001 01:46:40 GMT"
#define BEFORE "Sun, 09 Sep 2001 01:46:39 GMT"
#define AFTER "Sun, 09 Sep 2001 01:46:41 GMT"

enum { LENT_SIZE = 5000, BIG_SIZE = 100000 };       /* too large to be copied; to be in memory */

static struct fixture f;
static char big[BIG_SIZE];
static char etag[64];           /* of /ten.txt */

static void file_setup(void)
{
    static const char *const index[] = { "index.html", "index.txt" };
    fixture_init(&f);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)('a' + i % 23);
    fixture_file(&f, "ten.txt", "0123456789", 10);
    fixture_file(&f, "empty.bin", "", 0);
    fixture_file(&f, "lent.html", big, LENT_SIZE);
    fixture_file(&f, "big", big, BIG_SIZE);
    fixture_file(&f, "a b.txt", "blank", 5);
    fixture_folder(&f, "first");
    fixture_file(&f, "first/index.html", "first", 5);
    fixture_file(&f, "first/index.txt", "not this", 8);
    fixture_folder(&f, "second");
    fixture_folder(&f, "second/index.html");
    fixture_file(&f, "second/index.txt", "second", 6);
    fixture_folder(&f, "none");
    fixture_folder(&f, "o\xc3\xb6 %?x");
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .index = index,
                                     .index_count = 2 };
    fixture_site(&f, &route, 1);
    struct reply r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    struct span tag = reply_field(&r, "ETag");
    ck_assert_uint_lt(tag.n, sizeof etag);
    memcpy(etag, tag.p, tag.n);
    etag[tag.n] = '\0';
}

static void file_teardown(void)
{
    fixture_free(&f);
}

/* Asks for /ten.txt with the fields; "%s" in them is its entity tag. */
static struct reply ask_with(const char *method, const char *fields)
{
    char request[1024], filled[512];
    const char *at = strstr(fields, "%s");
    size_t n = at != NULL ? (size_t)(at - fields) : 0;
    snprintf(filled, sizeof filled, "%.*s%s%s", (int)n, fields, at != NULL ? etag : "",
             at != NULL ? at + 2 : fields);
    snprintf(request, sizeof request, "%s /ten.txt HTTP/1.1\r\n" H "%s\r\n", method, filled);
    return fixture_ask(&f, request);
}

START_TEST(file_comes_with_all_its_fields)
{
    for (int round = 0; round < 3; round++) {       /* the second is answered from the note */
        struct reply r = fixture_ask(&f, GET("/ten.txt") "\r\n");
        ck_assert_uint_eq(r.status, 200);
        ck_assert_span_eq(r.body, "0123456789");
        ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/plain; charset=utf-8");
        ck_assert_span_eq(reply_field(&r, "Content-Length"), "10");
        ck_assert_span_eq(reply_field(&r, "Last-Modified"), DATE);
        ck_assert_span_eq(reply_field(&r, "Accept-Ranges"), "bytes");
        ck_assert_span_eq(reply_field(&r, "Date"), "Sun, 22 Nov 2026 07:54:07 GMT");
        ck_assert_span_eq(reply_field(&r, "ETag"), etag);
        ck_assert_int_eq(etag[0], '"');
        ck_assert_ptr_null(reply_field(&r, "Connection").p);
        ck_assert_ptr_null(reply_field(&r, "Server").p);
    }
}
END_TEST

static const char *const sizes[] = { "/ten.txt", "/empty.bin", "/lent.html", "/big", "/first/" };

START_TEST(file_head_is_get_without_the_body)
{
    char request[128], head[1024];
    snprintf(request, sizeof request, GET("%s") "\r\n", sizes[_i]);
    struct reply get = fixture_ask(&f, request);
    ck_assert_uint_eq(get.status, 200);
    ck_assert_uint_lt(get.head.n, sizeof head);
    memcpy(head, get.head.p, get.head.n);
    struct span want = { head, get.head.n };
    snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\n" H "\r\n", sizes[_i]);
    struct reply r = fixture_ask(&f, request);
    ck_assert(span_equal(r.head, want));
    ck_assert_uint_eq(r.body.n, 0);
}
END_TEST

START_TEST(file_bodies_of_every_size_come_whole)
{
    ck_assert_uint_eq(fixture_ask(&f, GET("/empty.bin") "\r\n").body.n, 0);
    ck_assert(span_equal(fixture_ask(&f, GET("/lent.html") "\r\n").body, (struct span){ big, LENT_SIZE }));
    ck_assert(span_equal(fixture_ask(&f, GET("/big") "\r\n").body, (struct span){ big, BIG_SIZE }));
}
END_TEST

/* RFC 9110 section 13.2.2, in its order. */
static const struct { const char *method, *fields; unsigned status; } conditions[] = {
    { "GET", "If-Match: %s\r\n", 200 }, { "GET", "If-Match: *\r\n", 200 },
    { "GET", "If-Match: \"x\"\r\n", 412 },
    { "GET", "If-Match: \"x\", %s\r\n", 200 }, { "GET", "If-Match: W/%s\r\n", 412 },
    { "GET", "If-Match:\r\n", 412 }, { "GET", "If-Match: \"x\"\r\nIf-Match: %s\r\n", 200 },
    { "HEAD", "If-Match: \"x\"\r\n", 412 },
    { "GET", "If-Match: %s\r\nIf-Unmodified-Since: " BEFORE "\r\n", 200 },
    { "GET", "If-Unmodified-Since: " DATE "\r\n", 200 }, { "GET", "If-Unmodified-Since: " BEFORE "\r\n",
                                                           412 },
    { "GET", "If-Unmodified-Since: yesterday\r\n", 200 },
    { "GET", "If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", 200 },
    { "GET", "If-None-Match: %s\r\n", 304 }, { "HEAD", "If-None-Match: %s\r\n", 304 },
    { "GET", "If-None-Match: W/%s\r\n", 304 }, { "GET", "If-None-Match: *\r\n", 304 },
    { "GET", "If-None-Match: \"x\"\r\n", 200 }, { "GET", "If-None-Match: \"x\" ,, W/\"y,z\" ,%s\r\n", 304 },
    { "GET", "If-None-Match: \"x,%s\r\n", 200 }, { "GET", "If-None-Match: x\r\n", 200 },
    { "GET", "If-None-Match: w/%s\r\n", 200 }, { "GET", "If-None-Match: \"a\"\r\nIf-None-Match: %s\r\n",
                                                 304 },
    { "GET", "If-None-Match: \"x\"\r\nIf-Modified-Since: " DATE "\r\n", 200 },
    { "GET", "If-None-Match: %s\r\nIf-Modified-Since: " BEFORE "\r\n", 304 },
    { "GET", "If-Match: \"x\"\r\nIf-None-Match: %s\r\n", 412 },
    { "GET", "If-Modified-Since: " DATE "\r\n", 304 }, { "HEAD", "If-Modified-Since: " DATE "\r\n", 304 },
    { "GET", "If-Modified-Since: " AFTER "\r\n", 304 }, { "GET", "If-Modified-Since: " BEFORE "\r\n", 200 },
    { "GET", "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT\r\n", 304 },
    { "GET", "If-Modified-Since: Sun Sep  9 01:46:40 2001\r\n", 304 },
    { "GET", "If-Modified-Since: 2001-09-09\r\n", 200 }, { "GET", "If-Modified-Since:\r\n", 200 },
    { "GET", "If-Modified-Since: " DATE ", " DATE "\r\n", 200 },
    { "GET", "If-None-Match: %s\r\nRange: bytes=0-0\r\n", 304 },
    { "GET", "If-Match: \"x\"\r\nRange: bytes=0-0\r\n", 412 },
    { "GET", "If-Match: %s\r\nRange: bytes=0-0\r\n", 206 },
};

START_TEST(file_conditions_are_met_in_their_order)
{
    struct reply r = ask_with(conditions[_i].method, conditions[_i].fields);
    ck_assert_msg(r.status == conditions[_i].status, "%s: %u instead of %u", conditions[_i].fields, r.status,
                  conditions[_i].status);
    if (r.status == 304) {
        ck_assert_span_eq(reply_field(&r, "ETag"), etag);
        ck_assert_ptr_null(reply_field(&r, "Content-Type").p);
    }
}
END_TEST

/* `range`: of Content-Range; NULL: none. */
static const struct { const char *fields; unsigned status; const char *range, *body; } ranges[] = {
    { "Range: bytes=0-0\r\n", 206, "bytes 0-0/10", "0" }, { "Range: bytes=2-5\r\n", 206, "bytes 2-5/10",
                                                            "2345" },
    { "Range: bytes=7-\r\n", 206, "bytes 7-9/10", "789" }, { "Range: bytes=-3\r\n", 206, "bytes 7-9/10",
                                                             "789" },
    { "Range: bytes=-99\r\n", 206, "bytes 0-9/10", "0123456789" },
    { "Range: bytes=8-99\r\n", 206, "bytes 8-9/10", "89" }, { "Range: Bytes=9-9\r\n", 206, "bytes 9-9/10",
                                                              "9" },
    { "Range: bytes=,1-1,\r\n", 206, "bytes 1-1/10", "1" },
    { "Range: bytes=8-99999999999999999999\r\n", 206, "bytes 8-9/10", "89" },
    { "Range: bytes=10-\r\n", 416, "bytes */10", "416 Range Not Satisfiable\n" },
    { "Range: bytes=-0\r\n", 416, "bytes */10", "416 Range Not Satisfiable\n" },
    { "Range: bytes=18446744073709551616-\r\n", 416, "bytes */10", "416 Range Not Satisfiable\n" },
    { "Range: bytes=5-2\r\n", 200, NULL, "0123456789" }, { "Range: bytes=\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1\r\n", 200, NULL, "0123456789" }, { "Range: bytes=-\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1 - 2\r\n", 200, NULL, "0123456789" }, { "Range: bytes = 1-2\r\n", 200, NULL,
                                                             "0123456789" },
    { "Range: lines=1-2\r\n", 200, NULL, "0123456789" }, { "Range: bytes=0-1,2-5\r\n", 206,
                                                           "bytes 0-5/10", "012345" },
    { "Range: bytes=1-2\r\nRange: bytes=1-2\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1-2\r\nIf-Range: %s\r\n", 206, "bytes 1-2/10", "12" },
    { "Range: bytes=1-2\r\nIf-Range: W/%s\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1-2\r\nIf-Range: \"x\"\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1-2\r\nIf-Range: " DATE "\r\n", 206, "bytes 1-2/10", "12" },
    { "Range: bytes=1-2\r\nIf-Range: " AFTER "\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=1-2\r\nIf-Range: Wednesday\r\n", 200, NULL, "0123456789" },
    { "Range: bytes=10-\r\nIf-Range: \"x\"\r\n", 200, NULL, "0123456789" },
    { "If-Range: \"x\"\r\n", 200, NULL, "0123456789" },
};

START_TEST(file_ranges_are_cut_exactly)
{
    struct reply r = ask_with("GET", ranges[_i].fields);
    ck_assert_msg(r.status == ranges[_i].status, "%s: %u instead of %u", ranges[_i].fields, r.status,
                  ranges[_i].status);
    ck_assert_span_eq(r.body, ranges[_i].body);
    struct span range = reply_field(&r, "Content-Range");
    ck_assert_int_eq(range.p == NULL, ranges[_i].range == NULL);
    if (range.p != NULL)
        ck_assert_span_eq(range, ranges[_i].range);
}
END_TEST

START_TEST(file_ranges_of_large_files_are_cut_exactly)
{
    struct reply r = fixture_ask(&f, GET("/big") "Range: bytes=50000-69999\r\n\r\n");
    ck_assert_uint_eq(r.status, 206);
    ck_assert(span_equal(r.body, (struct span){ big + 50000, 20000 }));
    r = fixture_ask(&f, GET("/lent.html") "Range: bytes=100-3099\r\n\r\n");
    ck_assert(span_equal(r.body, (struct span){ big + 100, 3000 }));
    r = fixture_ask(&f, GET("/lent.html") "Range: bytes=100-109\r\n\r\n");
    ck_assert(span_equal(r.body, (struct span){ big + 100, 10 }));
    ck_assert_uint_eq(fixture_ask(&f, GET("/empty.bin") "Range: bytes=0-\r\n\r\n").status, 416);
    ck_assert_uint_eq(fixture_ask(&f, GET("/empty.bin") "Range: bytes=-1\r\n\r\n").status, 200);
    ck_assert_uint_eq(fixture_ask(&f, "HEAD /big HTTP/1.1\r\n" H "Range: bytes=0-0\r\n\r\n").status, 200);
}
END_TEST

/* RFC 9110 section 8.8.1: two changes within one tick of the clock look the same. */
START_TEST(file_that_just_changed_has_a_weak_etag_and_no_note)
{
    struct reply r;
    fixture_date(&f, "ten.txt", WIRE_NOW_S - 1);
    r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert_msg(reply_field(&r, "ETag").p[0] == 'W', "strong too early");
    r = fixture_ask(&f,
                    GET("/ten.txt") "Range: bytes=1-1\r\nIf-Range: Sun, 22 Nov 2026 07:54:06 GMT\r\n\r\n");
    ck_assert_uint_eq(r.status, 200);
    wire_pass(&f.wire, 1000);
    r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert_msg(reply_field(&r, "ETag").p[0] == '"', "weak too long");
    r = fixture_ask(&f,
                    GET("/ten.txt") "Range: bytes=1-1\r\nIf-Range: Sun, 22 Nov 2026 07:54:06 GMT\r\n\r\n");
    ck_assert_uint_eq(r.status, 206);
}
END_TEST

/* A stamp in nanoseconds is as fine as the kernel's tick; a date is as coarse as ever. */
START_TEST(file_with_a_fine_stamp_has_a_strong_etag_soon)
{
    static const char ranged[] = GET("/ten.txt") "Range: bytes=1-1\r\nIf-Range: Sun, 22 Nov 2026 07:54:06 GMT\r\n\r\n";
    struct reply r;
    fixture_stamp(&f, "ten.txt", WIRE_NOW_S - 1, 950000000);
    r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert_msg(reply_field(&r, "ETag").p[0] == 'W', "strong too early");
    wire_pass(&f.wire, 50);
    r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert_msg(reply_field(&r, "ETag").p[0] == '"', "weak too long");
    ck_assert_uint_eq(fixture_ask(&f, ranged).status, 200);
    wire_pass(&f.wire, 950);
    ck_assert_uint_eq(fixture_ask(&f, ranged).status, 206);
}
END_TEST

START_TEST(file_from_the_future_was_modified_now)
{
    fixture_date(&f, "ten.txt", WIRE_NOW_S + 1000);
    struct reply r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert(span_equal(reply_field(&r, "Last-Modified"), reply_field(&r, "Date")));
    ck_assert_int_eq(reply_field(&r, "ETag").p[0], 'W');
}
END_TEST

START_TEST(file_that_changes_is_served_anew)
{
    ck_assert_span_eq(fixture_ask(&f, GET("/ten.txt") "\r\n").body, "0123456789");
    fixture_file(&f, "ten.txt", "other", 5);
    struct reply r = fixture_ask(&f, GET("/ten.txt") "\r\n");
    ck_assert_span_eq(r.body, "other");
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "5");
}
END_TEST

START_TEST(folder_is_answered_by_the_first_index_file_that_is_there)
{
    struct reply r = fixture_ask(&f, GET("/first/") "\r\n");
    ck_assert_span_eq(r.body, "first");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/html; charset=utf-8");
    r = fixture_ask(&f, GET("/second/") "\r\n");
    ck_assert_span_eq(r.body, "second");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/plain; charset=utf-8");
    ck_assert_uint_eq(fixture_ask(&f, GET("/none/") "\r\n").status, 403);
    ck_assert_uint_eq(fixture_ask(&f, GET("/") "\r\n").status, 403);
    ck_assert_uint_eq(fixture_ask(&f, GET("/nowhere/") "\r\n").status, 404);
    ck_assert_uint_eq(fixture_ask(&f, GET("/ten.txt/") "\r\n").status, 404);
}
END_TEST

static const struct { const char *target, *location; } moved[] = {
    { "/first", "/first/" }, { "/first?a=b&c", "/first/?a=b&c" }, { "//first", "/first/" },
    { "/x/..//./first", "/first/" }, { "/o%C3%b6%20%25%3Fx?q", "/o%C3%B6%20%25%3Fx/?q" },
    { "http://x/first", "/first/" },
};

START_TEST(folder_without_its_slash_is_redirected)
{
    char request[256];
    snprintf(request, sizeof request, GET("%s") "\r\n", moved[_i].target);
    struct reply r = fixture_ask(&f, request);
    ck_assert_uint_eq(r.status, 301);
    ck_assert_span_eq(reply_field(&r, "Location"), moved[_i].location);
    ck_assert_span_eq(r.body, "301 Moved Permanently\n");
}
END_TEST

START_TEST(file_names_are_decoded)
{
    ck_assert_span_eq(fixture_ask(&f, GET("/a%20b.txt") "\r\n").body, "blank");
    ck_assert_span_eq(fixture_ask(&f, GET("/first%2findex.html") "\r\n").body, "first");
    ck_assert_uint_eq(fixture_ask(&f, GET("/a+b.txt") "\r\n").status, 404);
}
END_TEST

START_TEST(file_without_descriptors_left_is_503_and_the_connection_goes_on)
{
    struct rlimit few, usual;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = usual;
    few.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct reply r = fixture_ask(&f, GET("/lent.html") "\r\n");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    ck_assert_uint_eq(r.status, 503);
    ck_assert(!conn_ending(f.wire.conn));
}
END_TEST

START_TEST(file_path_that_is_too_long_is_404)
{
    static char request[8192];
    f.limits.request_line = 8000;
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root };
    fixture_site(&f, &route, 1);
    strcpy(request, "GET /");
    memset(request + 5, 'x', 5000);
    strcpy(request + 5005, " HTTP/1.1\r\n" H "\r\n");
    ck_assert_uint_eq(fixture_ask(&f, request).status, 404);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_file");
    TCase *tc = tcase_create("files");
    tcase_add_checked_fixture(tc, file_setup, file_teardown);
    tcase_add_test(tc, file_comes_with_all_its_fields);
    tcase_add_loop_test(tc, file_head_is_get_without_the_body, 0, COUNT(sizes));
    tcase_add_test(tc, file_bodies_of_every_size_come_whole);
    tcase_add_loop_test(tc, file_conditions_are_met_in_their_order, 0, COUNT(conditions));
    tcase_add_loop_test(tc, file_ranges_are_cut_exactly, 0, COUNT(ranges));
    tcase_add_test(tc, file_ranges_of_large_files_are_cut_exactly);
    tcase_add_test(tc, file_that_just_changed_has_a_weak_etag_and_no_note);
    tcase_add_test(tc, file_with_a_fine_stamp_has_a_strong_etag_soon);
    tcase_add_test(tc, file_from_the_future_was_modified_now);
    tcase_add_test(tc, file_that_changes_is_served_anew);
    tcase_add_test(tc, folder_is_answered_by_the_first_index_file_that_is_there);
    tcase_add_loop_test(tc, folder_without_its_slash_is_redirected, 0, COUNT(moved));
    tcase_add_test(tc, file_names_are_decoded);
    tcase_add_test(tc, file_path_that_is_too_long_is_404);
    tcase_add_test(tc, file_without_descriptors_left_is_503_and_the_connection_goes_on);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
