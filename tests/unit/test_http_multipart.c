/* SPDX-License-Identifier: BSD-2-Clause */
/* Several ranges in one request: which parts come of them, and that the parts are cut exactly, RFC 9110 sections 14
 * and 15.3.7.2. */
#include "proto/http_internal.h"
#include "test_http.h"

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H

enum { MEDIUM_SIZE = 12000, BIG_SIZE = 300000 };    /* in memory, but not copied; not in memory */

static struct fixture f;
static char big[BIG_SIZE];

static void multipart_setup(void)
{
    fixture_init(&f);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 + i / 251);
    fixture_file(&f, "ten.txt", "0123456789", 10);
    fixture_file(&f, "empty.bin", "", 0);
    fixture_file(&f, "medium.html", big, MEDIUM_SIZE);
    fixture_file(&f, "big", big, BIG_SIZE);
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root };
    fixture_site(&f, &route, 1);
}

static void multipart_teardown(void)
{
    fixture_free(&f);
}

/* Parts of a text of 10 bytes, in the order of the reply; "" : the whole, "-": 416. */
static const struct { const char *field, *parts; } sets[] = {
    { "bytes=0-0,2-2", "0-0 2-2" }, { "bytes=8-8,0-0,4-4", "8-8 0-0 4-4" }, { "bytes=0-1,-1", "0-1 9-9" },
    { "bytes=0-1 , 3-4\t,\t 6-", "0-1 3-4 6-9" }, { "bytes=,,0-0,,2-2,", "0-0 2-2" },
    { "bytes=0-5,3-8", "0-8" }, { "bytes=3-8,0-5", "0-8" }, { "bytes=0-1,2-3", "0-3" }, { "bytes=2-3,0-1", "0-3" },
    { "bytes=0-0,4-4,1-3", "0-4" }, { "bytes=8-8,0-0,4-4,0-4", "8-8 0-4" }, { "bytes=4-4,8-8,0-0,7-8", "4-4 7-8 0-0" },
    { "bytes=0-0,2-2,0-0,2-2", "0-0 2-2" }, { "bytes=0-,0-,0-", "0-9" }, { "bytes=-4,-2,-8", "2-9" },
    { "bytes=0-0,10-", "0-0" }, { "bytes=20-30,5-5,99-", "5-5" }, { "bytes=10-,20-30", "-" }, { "bytes=-0,10-10", "-" },
    { "bytes=0-0,5-2", "" }, { "bytes=0-0,x", "" }, { "bytes=0-0;2-2", "" }, { "bytes=0-0,2", "" },
    { "bytes=0-0,2-2 4-4", "" }, { "bytes=", "" }, { "bytes=,", "" }, { "chars=0-0,2-2", "" },
    { "bytes=0-0,99999999999999999999999-", "0-0" }, { "bytes=0-0,5-99999999999999999999999", "0-0 5-9" },
};

START_TEST(ranges_become_parts_that_do_not_touch)
{
    struct http_parts parts;
    char text[256] = "";
    enum http_range asked = http_range_parse(span_of(sets[_i].field), 10, &parts);
    for (unsigned i = 0; asked == RANGE_SOME && i < parts.count; i++) {
        size_t n = strlen(text);
        uint64_t first = parts.v[i].first;
        snprintf(text + n, sizeof text - n, "%s%ju-%ju", i > 0 ? " " : "", (uintmax_t)first,
                 (uintmax_t)(first + parts.v[i].n - 1));
    }
    if (asked == RANGE_UNSATISFIABLE)
        strcpy(text, "-");
    ck_assert_msg(strcmp(text, sets[_i].parts) == 0, "%s: %s instead of %s", sets[_i].field, text, sets[_i].parts);
}
END_TEST

/* "bytes=" and n ranges of one byte, `step` apart. */
static const char *many_ranges(unsigned n, unsigned step)
{
    static char text[20000];
    size_t at = (size_t)snprintf(text, sizeof text, "bytes=");
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u-%u", i > 0 ? "," : "", i * step, i * step);
    return text;
}

START_TEST(ranges_that_are_too_many_are_answered_whole)
{
    struct http_parts parts;
    ck_assert_int_eq(http_range_parse(span_of(many_ranges(HTTP_PARTS_MAX, 10)), BIG_SIZE, &parts), RANGE_SOME);
    ck_assert_uint_eq(parts.count, HTTP_PARTS_MAX);
    ck_assert_int_eq(http_range_parse(span_of(many_ranges(HTTP_PARTS_MAX + 1, 10)), BIG_SIZE, &parts), RANGE_NONE);
    ck_assert_int_eq(http_range_parse(span_of(many_ranges(200, 1)), BIG_SIZE, &parts), RANGE_SOME);
    ck_assert_uint_eq(parts.count, 1);
    ck_assert_uint_eq(parts.v[0].n, 200);
    ck_assert_int_eq(http_range_parse(span_of(many_ranges(1000, 0)), BIG_SIZE, &parts), RANGE_NONE);
}
END_TEST

/* Takes "--B\r\n...\r\n\r\n" off the content and compares its range and bytes. */
static void part_take(struct span *content, struct span boundary, const char *type, struct http_part part,
                      uint64_t size)
{
    char head[512];
    int n = snprintf(head, sizeof head, "--%.*s\r\nContent-Type: %s\r\nContent-Range: bytes %ju-%ju/%ju\r\n\r\n",
                     (int)boundary.n, boundary.p, type, (uintmax_t)part.first, (uintmax_t)(part.first + part.n - 1),
                     (uintmax_t)size);
    ck_assert_uint_gt(content->n, (size_t)n + part.n + 2);
    ck_assert_msg(memcmp(content->p, head, (size_t)n) == 0, "%.*s", n, content->p);
    *content = span_skip(*content, (size_t)n);
    ck_assert(span_equal((struct span){ content->p, part.n }, (struct span){ big + part.first, part.n }));
    *content = span_skip(*content, part.n);
    ck_assert(span_starts_with(*content, SPAN("\r\n")));
    *content = span_skip(*content, 2);
}

/* One of each kind: copied, lent, a range of a file. */
static const struct { const char *name, *type, *field; uint64_t size; struct http_part parts[4]; } replies[] = {
    { "/medium.html", "text/html; charset=utf-8", "bytes=0-99,200-8199,-1", MEDIUM_SIZE,
      { { 0, 100 }, { 200, 8000 }, { MEDIUM_SIZE - 1, 1 } } },
    { "/big", "application/octet-stream", "bytes=250000-,0-9,100-120099", BIG_SIZE,
      { { 250000, 50000 }, { 0, 10 }, { 100, 120000 } } },
};

START_TEST(multipart_has_each_part_with_its_range)
{
    char request[512];
    struct span prefix = SPAN("multipart/byteranges; boundary="), boundary, content;
    snprintf(request, sizeof request, GET("%s") "Range: %s\r\n\r\n", replies[_i].name, replies[_i].field);
    struct reply r = fixture_ask(&f, request);
    ck_assert_uint_eq(r.status, 206);
    ck_assert_ptr_null(reply_field(&r, "Content-Range").p);
    ck_assert_ptr_nonnull(reply_field(&r, "ETag").p);
    ck_assert_ptr_nonnull(reply_field(&r, "Last-Modified").p);
    ck_assert(span_starts_with(reply_field(&r, "Content-Type"), prefix));
    boundary = span_skip(reply_field(&r, "Content-Type"), prefix.n);
    ck_assert_uint_eq(boundary.n, HTTP_BOUNDARY_SIZE);
    content = r.body;
    for (unsigned i = 0; replies[_i].parts[i].n > 0; i++)
        part_take(&content, boundary, replies[_i].type, replies[_i].parts[i], replies[_i].size);
    ck_assert(span_starts_with(content, SPAN("--")));
    content = span_skip(content, 2);
    ck_assert(span_starts_with(content, boundary));
    ck_assert_span_eq(span_skip(content, boundary.n), "--\r\n");
}
END_TEST

START_TEST(multipart_boundary_is_another_one_later)
{
    struct http_multipart a = { 0 }, b = { 0 };
    struct file file = { .size = 5 };
    http_multipart_mark(&a, &f.wire.env, &file);
    wire_pass(&f.wire, 1);
    f.wire.env.now_ms++;
    http_multipart_mark(&b, &f.wire.env, &file);
    ck_assert_mem_ne(a.boundary, b.boundary, sizeof a.boundary);
    f.wire.env.now_ms--;
    f.wire.env.secret[0]++;
    http_multipart_mark(&b, &f.wire.env, &file);
    ck_assert_mem_ne(a.boundary, b.boundary, sizeof a.boundary);
}
END_TEST

START_TEST(multipart_is_for_get_and_for_who_has_the_same_file)
{
    struct reply r = fixture_ask(&f, "HEAD /big HTTP/1.1\r\n" H "Range: bytes=0-0,5-5\r\n\r\n");
    ck_assert_uint_eq(r.status, 200);
    ck_assert_span_eq(reply_field(&r, "Content-Length"), "300000");
    r = fixture_ask(&f, GET("/big") "Range: bytes=0-0,5-5\r\nIf-Range: \"other\"\r\n\r\n");
    ck_assert_uint_eq(r.status, 200);
    r = fixture_ask(&f, GET("/ten.txt") "Range: bytes=0-0,5-5\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\n");
    ck_assert_uint_eq(r.status, 206);
    ck_assert_ptr_null(reply_field(&r, "Last-Modified").p);
    ck_assert_uint_eq(fixture_ask(&f, GET("/empty.bin") "Range: bytes=0-0,5-5\r\n\r\n").status, 416);
    ck_assert_uint_eq(fixture_ask(&f, GET("/empty.bin") "Range: bytes=0-0,-5\r\n\r\n").status, 200);
    r = fixture_ask(&f, GET("/ten.txt") "Range: bytes=10-,20-\r\n\r\n");
    ck_assert_uint_eq(r.status, 416);
    ck_assert_span_eq(reply_field(&r, "Content-Range"), "bytes */10");
}
END_TEST

/* Each part costs at most two items. */
START_TEST(multipart_takes_few_items)
{
    char request[512];
    wire_close(&f.wire);
    f.wire.window = 0;
    wire_open(&f.wire, &f.service);
    snprintf(request, sizeof request, GET("/big") "Range: %s\r\n\r\n", many_ranges(HTTP_PARTS_MAX, 1000));
    wire_send(&f.wire, span_of(request));
    ck_assert_uint_gt(f.wire.conn->out.items, 2 * HTTP_PARTS_MAX);
    ck_assert_uint_le(f.wire.conn->out.items, 2 * HTTP_PARTS_MAX + 2);
    f.wire.window = SIZE_MAX;
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_multipart");
    TCase *tc = tcase_create("multipart");
    tcase_add_checked_fixture(tc, multipart_setup, multipart_teardown);
    tcase_add_loop_test(tc, ranges_become_parts_that_do_not_touch, 0, COUNT(sets));
    tcase_add_test(tc, ranges_that_are_too_many_are_answered_whole);
    tcase_add_loop_test(tc, multipart_has_each_part_with_its_range, 0, COUNT(replies));
    tcase_add_test(tc, multipart_boundary_is_another_one_later);
    tcase_add_test(tc, multipart_is_for_get_and_for_who_has_the_same_file);
    tcase_add_test(tc, multipart_takes_few_items);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
