/* SPDX-License-Identifier: BSD-2-Clause */
/* Siblings that are compressed: what a client accepts (RFC 9110 section 12.5.3), and what is said about what it gets. */
#include "proto/http_internal.h"
#include "test_http.h"

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H

static struct fixture f;

static void encoding_setup(void)
{
    static const char *const index[] = { "index.html" };
    fixture_init(&f);
    fixture_file(&f, "all.css", "plain", 5);
    fixture_file(&f, "all.css.br", "by br", 5);
    fixture_file(&f, "all.css.zst", "by zstd", 7);
    fixture_file(&f, "all.css.gz", "by gzip", 7);
    fixture_file(&f, "some.js", "some", 4);
    fixture_file(&f, "some.js.gz", "some by gzip", 12);
    fixture_file(&f, "none.txt", "none", 4);
    fixture_file(&f, "only.txt.gz", "orphan", 6);
    fixture_file(&f, "odd.txt", "odd", 3);
    fixture_folder(&f, "odd.txt.gz");
    fixture_file(&f, "same.txt", "same", 4);
    ck_assert_int_eq(symlink("same.txt", fixture_path(&f, "same.txt.gz")), 0);
    fixture_folder(&f, "d");
    fixture_file(&f, "d/index.html", "index", 5);
    fixture_file(&f, "d/index.html.br", "index by br", 11);
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .index = index, .index_count = 1,
          .codings = { HTTP_CODING_BR, HTTP_CODING_ZSTD, HTTP_CODING_GZIP }, .coding_count = 3 },
        { .path = "/plain", .kind = HTTP_ROUTE_ROOT, .root = f.root, .alias = true },
    };
    fixture_site(&f, routes, 2);
}

static void encoding_teardown(void)
{
    fixture_free(&f);
}

static struct reply ask_for(const char *method, const char *target, const char *fields)
{
    char request[1024];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n" H "%s\r\n", method, target, fields);
    return fixture_ask(&f, request);
}

#define AE "Accept-Encoding: "

/* What a client gets of a file that has all siblings. */
static const struct { const char *fields, *coding; } accepted[] = {
    { "", NULL }, { AE "\r\n", NULL }, { AE "identity\r\n", NULL }, { AE "deflate\r\n", NULL },
    { AE "br\r\n", "br" }, { AE "zstd\r\n", "zstd" }, { AE "gzip\r\n", "gzip" }, { AE "x-gzip\r\n", "gzip" },
    { AE "GZip\r\n", "gzip" }, { AE "gzip, br, zstd\r\n", "br" }, { AE "gzip, deflate, zstd\r\n", "zstd" },
    { AE "gzip;q=1, br;q=0.9\r\n", "gzip" }, { AE "gzip;q=0.5, zstd;q=0.5, br;q=0.4\r\n", "zstd" },
    { AE "br;q=0\r\n", NULL }, { AE "br;q=0, gzip\r\n", "gzip" }, { AE "br;q=0.000\r\n", NULL },
    { AE "br;q=0.001\r\n", "br" }, { AE "br;q=1.000\r\n", "br" }, { AE "br ; q=0.5 , gzip ; Q=0.6\r\n", "gzip" },
    { AE "*\r\n", "br" }, { AE "*;q=0\r\n", NULL }, { AE "*;q=0.5, gzip;q=1\r\n", "gzip" },
    { AE "br;q=0, *\r\n", "zstd" }, { AE "*;q=0, gzip\r\n", "gzip" }, { AE "identity;q=0\r\n", NULL },
    { AE "identity;q=0, gzip;q=0.1\r\n", "gzip" }, { AE "identity, gzip;q=0.5\r\n", NULL },
    { AE "identity;q=0.5, gzip;q=0.5\r\n", "gzip" }, { AE "identity;q=0.5, gzip;q=0.4, br;q=0.6\r\n", "br" },
    { AE "identity;q=0, *;q=0\r\n", NULL }, { AE "br;q=2\r\n", NULL }, { AE "br;q=1.001\r\n", NULL },
    { AE "br;q=0.1234\r\n", NULL }, { AE "br;q=\r\n", NULL }, { AE "br;q=.5, gzip;q=x, zstd\r\n", "zstd" },
    { AE ",, ,gzip,,\r\n", "gzip" }, { AE "gzip\r\n" AE "br\r\n", "br" }, { AE "brotli, gzipped\r\n", NULL },
    { AE "gzip;level=9\r\n", "gzip" }, { AE "gzip;q=0, x-gzip;q=1\r\n", "gzip" }, { AE "br gzip\r\n", NULL },
};

START_TEST(encoding_is_what_the_client_likes_best)
{
    struct reply r = ask_for("GET", "/all.css", accepted[_i].fields);
    struct span coding = reply_field(&r, "Content-Encoding");
    char body[16] = "plain";
    ck_assert_uint_eq(r.status, 200);
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/css; charset=utf-8");
    ck_assert_msg((coding.p == NULL) == (accepted[_i].coding == NULL), "%s: %.*s", accepted[_i].fields, (int)coding.n,
                  coding.p == NULL ? "" : coding.p);
    if (coding.p != NULL) {
        ck_assert_span_eq(coding, accepted[_i].coding);
        snprintf(body, sizeof body, "by %s", accepted[_i].coding);
    }
    ck_assert_span_eq(r.body, body);
}
END_TEST

START_TEST(encoding_needs_a_sibling_that_is_a_file)
{
    struct reply r = ask_for("GET", "/some.js", AE "br, gzip\r\n");
    ck_assert_span_eq(reply_field(&r, "Content-Encoding"), "gzip");
    ck_assert_span_eq(r.body, "some by gzip");
    static const char *const plain[] = { "/none.txt", "/odd.txt" };
    for (unsigned i = 0; i < 2; i++) {
        r = ask_for("GET", plain[i], AE "br, gzip\r\n");
        ck_assert_uint_eq(r.status, 200);
        ck_assert_ptr_null(reply_field(&r, "Content-Encoding").p);
        ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
    }
    ck_assert_uint_eq(ask_for("GET", "/only.txt", AE "gzip\r\n").status, 404);
}
END_TEST

START_TEST(encoding_of_an_index_file)
{
    struct reply r = ask_for("GET", "/d/", AE "br\r\n");
    ck_assert_span_eq(r.body, "index by br");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/html; charset=utf-8");
}
END_TEST

/* The note of a sibling is for its role: asked for by its own name it is another resource. */
START_TEST(encoding_does_not_change_what_a_sibling_is)
{
    for (int round = 0; round < 2; round++) {
        struct reply r = ask_for("GET", "/all.css.gz", AE "gzip\r\n");
        ck_assert_span_eq(r.body, "by gzip");
        ck_assert_ptr_null(reply_field(&r, "Content-Encoding").p);
        ck_assert_ptr_null(reply_field(&r, "Vary").p);
        ck_assert_span_eq(reply_field(&r, "Content-Type"), "application/gzip");
        r = ask_for("GET", "/all.css", AE "gzip\r\n");
        ck_assert_span_eq(reply_field(&r, "Content-Encoding"), "gzip");
        r = ask_for("GET", "/plain/all.css", AE "gzip\r\n");
        ck_assert_span_eq(r.body, "plain");
        ck_assert_ptr_null(reply_field(&r, "Vary").p);
        r = ask_for("GET", "/all.css", "");
        ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
        ck_assert_span_eq(r.body, "plain");
    }
}
END_TEST

static void keep_etag(const struct reply *r, char etag[64])
{
    struct span tag = reply_field(r, "ETag");
    ck_assert(tag.n > 0 && tag.n < 64);
    memcpy(etag, tag.p, tag.n);
    etag[tag.n] = '\0';
}

START_TEST(encoding_has_an_etag_of_its_own)
{
    char etags[4][64], fields[512];
    static const char *const accept[] = { "", AE "br\r\n", AE "zstd\r\n", AE "gzip\r\n" };
    for (unsigned i = 0; i < 4; i++) {
        struct reply r = ask_for("GET", "/all.css", accept[i]);
        keep_etag(&r, etags[i]);
        ck_assert_int_eq(etags[i][0], '"');
        for (unsigned j = 0; j < i; j++)
            ck_assert_str_ne(etags[i], etags[j]);
        snprintf(fields, sizeof fields, "%sIf-None-Match: %s\r\n", accept[i], etags[i]);
        r = ask_for("GET", "/all.css", fields);
        ck_assert_uint_eq(r.status, 304);
        ck_assert_span_eq(reply_field(&r, "ETag"), etags[i]);
        ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
        ck_assert_ptr_null(reply_field(&r, "Content-Encoding").p);
    }
    snprintf(fields, sizeof fields, AE "br\r\nIf-None-Match: %s, %s\r\n", etags[0], etags[3]);
    ck_assert_uint_eq(ask_for("GET", "/all.css", fields).status, 200);
    snprintf(fields, sizeof fields, AE "br\r\nIf-Match: %s\r\n", etags[0]);
    struct reply r = ask_for("GET", "/all.css", fields);
    ck_assert_uint_eq(r.status, 412);
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
    r = ask_for("GET", "/same.txt", "");
    keep_etag(&r, etags[0]);
    r = ask_for("GET", "/same.txt", AE "gzip\r\n");
    keep_etag(&r, etags[1]);
    if (fixture_follows_links())
        ck_assert_str_ne(etags[0], etags[1]);
}
END_TEST

START_TEST(encoding_is_what_ranges_count)
{
    struct reply r = ask_for("GET", "/some.js", AE "gzip\r\nRange: bytes=5-6\r\n");
    ck_assert_uint_eq(r.status, 206);
    ck_assert_span_eq(r.body, "by");
    ck_assert_span_eq(reply_field(&r, "Content-Range"), "bytes 5-6/12");
    ck_assert_span_eq(reply_field(&r, "Content-Encoding"), "gzip");
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
    r = ask_for("GET", "/some.js", "Range: bytes=5-6\r\n");
    ck_assert_uint_eq(r.status, 416);
    ck_assert_span_eq(reply_field(&r, "Content-Range"), "bytes */4");
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept-Encoding");
}
END_TEST

START_TEST(encoding_of_head_is_that_of_get)
{
    struct reply get = ask_for("GET", "/all.css", AE "zstd\r\n");
    char head[1024];
    memcpy(head, get.head.p, get.head.n);
    struct span want = { head, get.head.n };
    struct reply r = ask_for("HEAD", "/all.css", AE "zstd\r\n");
    ck_assert(span_equal(r.head, want));
}
END_TEST

START_TEST(encoding_follows_siblings_that_come_and_go)
{
    ck_assert_span_eq(ask_for("GET", "/none.txt", AE "gzip\r\n").body, "none");
    fixture_file(&f, "none.txt.gz", "now there", 9);
    ck_assert_span_eq(ask_for("GET", "/none.txt", AE "gzip\r\n").body, "now there");
    ck_assert_int_eq(unlink(fixture_path(&f, "none.txt.gz")), 0);
    ck_assert_span_eq(ask_for("GET", "/none.txt", AE "gzip\r\n").body, "none");
}
END_TEST

/* Accept, for lists of folders. */
static const struct { const char *fields; bool json; } liked[] = {
    { "", false }, { "Accept: */*\r\n", false }, { "Accept: application/json\r\n", true },
    { "Accept: Application/JSON; q=0.2\r\n", true }, { "Accept: text/html, application/json\r\n", false },
    { "Accept: text/html;q=0.9, application/json\r\n", true }, { "Accept: text/*, application/json;q=0.5\r\n", false },
    { "Accept: application/json, */*;q=0.1\r\n", true }, { "Accept: application/json;q=0\r\n", false },
    { "Accept: application/*\r\n", true }, { "Accept: */*, application/json;q=0.5\r\n", false },
    { "Accept: text/html;q=0.1\r\nAccept: application/json;q=0.2\r\n", true }, { "Accept: image/png\r\n", false },
    { "Accept: text/html;level=\"1;q=0\", application/json;q=0.9\r\n", false },
};

START_TEST(accept_prefers_json_only_when_it_says_so)
{
    char request[256];
    struct http_request r;
    snprintf(request, sizeof request, GET("/") "%s\r\n", liked[_i].fields);
    ck_assert_int_gt(http_parse(&r, span_of(request), &f.limits), 0);
    ck_assert_msg(http_accepts_json(&r) == liked[_i].json, "%s", liked[_i].fields);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_encoding");
    TCase *tc = tcase_create("encoding");
    tcase_add_checked_fixture(tc, encoding_setup, encoding_teardown);
    tcase_add_loop_test(tc, encoding_is_what_the_client_likes_best, 0, COUNT(accepted));
    tcase_add_test(tc, encoding_needs_a_sibling_that_is_a_file);
    tcase_add_test(tc, encoding_of_an_index_file);
    tcase_add_test(tc, encoding_does_not_change_what_a_sibling_is);
    tcase_add_test(tc, encoding_has_an_etag_of_its_own);
    tcase_add_test(tc, encoding_is_what_ranges_count);
    tcase_add_test(tc, encoding_of_head_is_that_of_get);
    tcase_add_test(tc, encoding_follows_siblings_that_come_and_go);
    tcase_add_loop_test(tc, accept_prefers_json_only_when_it_says_so, 0, COUNT(liked));
    suite_add_tcase(s, tc);
    return run_suite(s);
}
