/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of folders: their order, their escaping, and when there is one. */
#include "core/catalog.h"
#include "proto/http_internal.h"
#include "test_http.h"

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H

static struct fixture f;
static const char *const index_html[] = { "index.html" };

static void site(enum http_autoindex autoindex, bool alias, const char *path)
{
    struct http_route_spec route = { .path = path, .kind = HTTP_ROUTE_ROOT, .root = f.root, .alias = alias,
                                     .index = index_html, .index_count = 1, .autoindex = autoindex };
    fixture_site(&f, &route, 1);
}

static void folder_setup(void)
{
    fixture_init(&f);
    fixture_file(&f, "a.txt", "0123456789", 10);
    fixture_file(&f, ".hidden", "", 0);
    fixture_folder(&f, "sub");
    fixture_file(&f, "sub/b.txt", "", 0);
    fixture_folder(&f, "indexed");
    fixture_file(&f, "indexed/index.html", "index", 5);
    fixture_date(&f, "sub", OLD_S);
    fixture_date(&f, "indexed", OLD_S);
    site(HTTP_AUTOINDEX_ON, false, "/");
}

static void folder_teardown(void)
{
    fixture_free(&f);
}

/* ---- order ---- */

START_TEST(list_is_sorted_as_people_sort)
{
    struct catalog_entry entries[] = {
        { .name = "x2" }, { .name = "~" }, { .name = "ab" }, { .name = "10" }, { .name = "x1a" }, { .name = "A" },
        { .name = "a" }, { .name = "9" }, { .name = "x" }, { .name = "aB" }, { .name = "X10" }, { .name = "a.b" },
        { .name = "x1" }, { .name = "2" }, { .name = "x01" }, { .name = "z9", .folder = true },
        { .name = "Z10", .folder = true }, { .name = "y", .folder = true },
    };
    char text[256] = "";
    struct catalog folder = { .v = entries, .count = sizeof entries / sizeof entries[0] };
    http_listing_sort(&folder);
    for (unsigned i = 0; i < folder.count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, entries[i].name);
    }
    ck_assert_str_eq(text, "y z9 Z10 2 9 10 A a a.b aB ab x x01 x1 x1a x2 X10 ~");
}
END_TEST

/* ---- escaping ---- */

/* The row of one file: its link and its text; its name in JSON. */
static const struct { const char *name, *link, *text, *json; } names[] = {
    { "a.txt", "./a.txt", "a.txt", "a.txt" },
    { "<script>", "./%3Cscript%3E", "&lt;script&gt;", "<script>" },
    { "a&b;'\"", "./a&amp;b;&#39;%22", "a&amp;b;&#39;&quot;", "a&b;'\\\"" },
    { "javascript:x", "./javascript:x", "javascript:x", "javascript:x" },
    { "a b?c#d%41", "./a%20b%3Fc%23d%2541", "a b?c#d%41", "a b?c#d%41" },
    { "back\\slash", "./back%5Cslash", "back\\slash", "back\\\\slash" },
    { "line\nfeed\x01\x7f", "./line%0Afeed%01%7F", "line\xef\xbf\xbd""feed\xef\xbf\xbd\xef\xbf\xbd",
      "line\\u000afeed\\u0001\\u007f" },
    { "\xc3\xa4\xf0\x9f\x98\x80", "./%C3%A4%F0%9F%98%80", "\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80" },
    { "bad\xff\xc3", "./bad%FF%C3", "bad\xef\xbf\xbd\xef\xbf\xbd", "bad\\ufffd\\ufffd" },
    { "\xed\xa0\x80", "./%ED%A0%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "\\ufffd\\ufffd\\ufffd" },
};

static bool holds(const struct file *list, const char *text)
{
    return memmem(list->bytes, list->size, text, strlen(text)) != NULL;
}

START_TEST(list_escapes_names_for_where_they_stand)
{
    struct catalog_entry entry = { .name = names[_i].name, .size = 7, .mtime_s = OLD_S };
    struct catalog folder = { .v = &entry, .count = 1 };
    char want[512];
    bool cut;
    struct file *list = http_listing_html(&folder, SPAN("/"), false, &cut);
    snprintf(want, sizeof want, "<td><a href=\"%s\">%s</a></td><td>7 B</td><td>"
             "<time datetime=\"2001-09-09T01:46:40Z\">2001-09-09 01:46</time></td>", names[_i].link, names[_i].text);
    ck_assert_msg(holds(list, want), "%s in %.*s", want, (int)list->size, list->bytes);
    file_unref(list);
    list = http_listing_json(&folder, &cut);
    snprintf(want, sizeof want, "[\n{\"name\":\"%s\",\"type\":\"file\",\"size\":7,\"mtime\":\"2001-09-09T01:46:40Z\"}"
             "\n]\n", names[_i].json);
    ck_assert_msg(span_equal((struct span){ list->bytes, list->size }, span_of(want)), "%.*s", (int)list->size,
                  list->bytes);
    file_unref(list);
    entry.folder = true;
    list = http_listing_html(&folder, SPAN("/"), false, &cut);
    snprintf(want, sizeof want, "<td><a href=\"%s/\">%s/</a></td><td></td>", names[_i].link, names[_i].text);
    ck_assert_msg(holds(list, want), "%s in %.*s", want, (int)list->size, list->bytes);
    file_unref(list);
}
END_TEST

START_TEST(list_escapes_the_path_too)
{
    struct catalog folder = { 0 };
    bool cut;
    struct file *list = http_listing_html(&folder, SPAN("/<b>&\xff/"), true, &cut);
    ck_assert(holds(list, "<title>Index of /&lt;b&gt;&amp;\xef\xbf\xbd/</title>"));
    ck_assert(holds(list, "<h1>Index of /&lt;b&gt;&amp;\xef\xbf\xbd/</h1>"));
    ck_assert(holds(list, "<a href=\"../\">"));
    ck_assert(holds(list, "nothing in this folder"));
    ck_assert(!holds(list, "<b>"));
    file_unref(list);
    list = http_listing_json(&folder, &cut);
    ck_assert(span_equal((struct span){ list->bytes, list->size }, SPAN("[]\n")));
    file_unref(list);
}
END_TEST

static const struct { uint64_t size; const char *text; } sizes[] = {
    { 0, ">0 B<" }, { 1023, ">1023 B<" }, { 1024, ">1.0 KiB<" }, { 1535, ">1.4 KiB<" }, { 10239, ">9.9 KiB<" },
    { 10240, ">10 KiB<" }, { 1048575, ">1023 KiB<" }, { 1048576, ">1.0 MiB<" }, { UINT64_C(5) << 40, ">5.0 TiB<" },
    { UINT64_MAX, ">15 EiB<" },
};

START_TEST(list_shows_sizes_that_can_be_read)
{
    struct catalog_entry entry = { .name = "a", .size = sizes[_i].size };
    struct catalog folder = { .v = &entry, .count = 1 };
    bool cut;
    struct file *list = http_listing_html(&folder, SPAN("/"), false, &cut);
    ck_assert_msg(holds(list, sizes[_i].text), "%s: %.*s", sizes[_i].text, (int)list->size, list->bytes);
    file_unref(list);
}
END_TEST

START_TEST(list_that_is_cut_says_so)
{
    enum { MANY = 30000 };
    static char name[201];
    struct catalog_entry entry = { .name = "a" }, *many = calloc(MANY, sizeof *many);
    struct catalog folder = { .v = &entry, .count = 1, .cut = true };
    bool cut = false;
    struct file *list = http_listing_html(&folder, SPAN("/"), false, &cut);
    ck_assert(cut && holds(list, "more in this folder than these 1 entries"));
    file_unref(list);
    memset(name, '"', sizeof name - 1);
    for (unsigned i = 0; i < MANY; i++)
        many[i].name = name;
    folder = (struct catalog){ .v = many, .count = MANY };
    list = http_listing_html(&folder, SPAN("/"), false, &cut);
    ck_assert(cut && list->size < (5u << 20) && holds(list, "more in this folder"));
    file_unref(list);
    cut = false;
    list = http_listing_json(&folder, &cut);
    ck_assert(cut && list->size < (5u << 20));
    file_unref(list);
    free(many);
}
END_TEST

/* ---- over HTTP ---- */

START_TEST(folder_is_listed_when_it_has_no_index)
{
    struct reply r = fixture_ask(&f, GET("/") "\r\n");
    ck_assert_uint_eq(r.status, 200);
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/html; charset=utf-8");
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-cache");
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept");
    ck_assert_ptr_nonnull(reply_field(&r, "Content-Security-Policy").p);
    ck_assert_ptr_null(memmem(r.body.p, r.body.n, "hidden", 6));
    ck_assert_ptr_null(memmem(r.body.p, r.body.n, "../", 3));
    r = fixture_ask(&f, GET("/indexed/") "\r\n");
    ck_assert_span_eq(r.body, "index");
    r = fixture_ask(&f, GET("/sub/") "\r\n");
    ck_assert_ptr_nonnull(memmem(r.body.p, r.body.n, "./b.txt", 7));
    ck_assert_ptr_nonnull(memmem(r.body.p, r.body.n, "\"../\"", 5));
    ck_assert_uint_eq(fixture_ask(&f, GET("/sub") "\r\n").status, 301);
    ck_assert_uint_eq(fixture_ask(&f, GET("/none/") "\r\n").status, 404);
    ck_assert_uint_eq(fixture_ask(&f, GET("/a.txt/") "\r\n").status, 404);
    ck_assert_uint_eq(fixture_ask(&f, GET("/.hidden/") "\r\n").status, 404);
    ck_assert_uint_eq(fixture_ask(&f, "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n").status, 405);
}
END_TEST

#define JSON "[\n{\"name\":\"indexed\",\"type\":\"directory\",\"mtime\":\"2001-09-09T01:46:40Z\"},\n" \
             "{\"name\":\"sub\",\"type\":\"directory\",\"mtime\":\"2001-09-09T01:46:40Z\"},\n" \
             "{\"name\":\"a.txt\",\"type\":\"file\",\"size\":10,\"mtime\":\"2001-09-09T01:46:40Z\"}\n]\n"

START_TEST(folder_is_json_for_who_likes_that_better)
{
    struct reply r = fixture_ask(&f, GET("/") "Accept: application/json\r\n\r\n");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "application/json");
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept");
    ck_assert_span_eq(r.body, JSON);
    site(HTTP_AUTOINDEX_JSON, false, "/");
    r = fixture_ask(&f, GET("/") "Accept: text/html\r\n\r\n");
    ck_assert_span_eq(r.body, JSON);
    ck_assert_ptr_null(reply_field(&r, "Vary").p);
    site(HTTP_AUTOINDEX_HTML, false, "/");
    r = fixture_ask(&f, GET("/") "Accept: application/json\r\n\r\n");
    ck_assert_span_eq(reply_field(&r, "Content-Type"), "text/html; charset=utf-8");
    ck_assert_ptr_null(reply_field(&r, "Vary").p);
}
END_TEST

START_TEST(folder_beneath_an_alias)
{
    site(HTTP_AUTOINDEX_ON, true, "/pub");
    struct reply r = fixture_ask(&f, GET("/pub/") "\r\n");
    ck_assert_ptr_nonnull(memmem(r.body.p, r.body.n, "<h1>Index of /pub/</h1>", 23));
    ck_assert_ptr_null(memmem(r.body.p, r.body.n, "../", 3));
    r = fixture_ask(&f, GET("/pub/sub/") "\r\n");
    ck_assert_ptr_nonnull(memmem(r.body.p, r.body.n, "\"../\"", 5));
    ck_assert_uint_eq(fixture_ask(&f, GET("/pub") "\r\n").status, 301);
}
END_TEST

START_TEST(folder_has_no_validators)
{
    ck_assert_uint_eq(fixture_ask(&f, GET("/") "If-Match: \"x\"\r\n\r\n").status, 412);
    ck_assert_uint_eq(fixture_ask(&f, GET("/") "If-None-Match: \"x\"\r\n\r\n").status, 200);
    ck_assert_uint_eq(fixture_ask(&f, GET("/") "Range: bytes=0-0\r\n\r\n").status, 200);
    struct reply r = fixture_ask(&f, GET("/") "If-None-Match: *\r\n\r\n");
    ck_assert_uint_eq(r.status, 304);
    ck_assert_span_eq(reply_field(&r, "Cache-Control"), "no-cache");
    ck_assert_span_eq(reply_field(&r, "Vary"), "Accept");
}
END_TEST

/* What the route says comes in place of what lists say of themselves, and nothing comes twice (reply_field). */
static const struct { struct http_header add; const char *cache_control; bool expires; const char *fields[3]; } said[] = {
    { { "X-A", "a" }, NULL, false, { "no-cache", "default-src 'none'; style-src", "nosniff" } },
    { { "cache-control", "max-age=5" }, NULL, false, { "max-age=5", "default-src 'none'; style-src", "nosniff" } },
    { { "EXPIRES", "0" }, NULL, false, { NULL, "default-src 'none'; style-src", "nosniff" } },
    { { "Content-security-policy", "default-src 'self'" }, NULL, false, { "no-cache", "default-src 'self'", "nosniff" } },
    { { "X-Content-Type-Options", "none" }, NULL, false, { "no-cache", "default-src 'none'; style-src", "none" } },
    { { "X-A", "a" }, "private", false, { "private", "default-src 'none'; style-src", "nosniff" } },
    { { "X-A", "a" }, NULL, true, { "max-age=7", "default-src 'none'; style-src", "nosniff" } },
};

START_TEST(folder_says_what_its_route_does_not)
{
    static const char *const own[] = { "Cache-Control", "Content-Security-Policy", "X-Content-Type-Options" };
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .add = &said[_i].add,
                                     .add_count = 1, .cache_control = said[_i].cache_control,
                                     .expires = said[_i].expires, .expires_s = 7, .autoindex = HTTP_AUTOINDEX_ON };
    fixture_site(&f, &route, 1);
    struct reply r = fixture_ask(&f, GET("/sub/") "\r\n");
    ck_assert_uint_eq(r.status, 200);
    ck_assert_span_eq(reply_field(&r, said[_i].add.name), said[_i].add.value);
    for (int i = 0; i < 3; i++) {
        struct span value = reply_field(&r, own[i]);
        const char *want = said[_i].fields[i];
        ck_assert_int_eq(value.p == NULL, want == NULL);
        ck_assert_msg(want == NULL || strncmp(value.p, want, strlen(want)) == 0, "%s: %.*s", own[i], (int)value.n,
                      value.p);
    }
    r = fixture_ask(&f, GET("/sub/") "If-None-Match: *\r\n\r\n");
    ck_assert_uint_eq(r.status, 304);
    if (said[_i].fields[0] != NULL)
        ck_assert_span_eq(reply_field(&r, "Cache-Control"), said[_i].fields[0]);
    r = fixture_ask(&f, GET("/sub/") "Accept: application/json\r\n\r\n");
    ck_assert_int_eq(reply_field(&r, "Content-Security-Policy").p == NULL,
                     strcasecmp(said[_i].add.name, "Content-Security-Policy") != 0);
}
END_TEST

START_TEST(folder_head_is_get_without_the_body)
{
    char head[1024];
    struct reply r = fixture_ask(&f, GET("/sub/") "\r\n");
    ck_assert_uint_lt(r.head.n, sizeof head);
    memcpy(head, r.head.p, r.head.n);
    struct span want = { head, r.head.n };
    r = fixture_ask(&f, "HEAD /sub/ HTTP/1.1\r\n" H "\r\n");
    ck_assert(span_equal(r.head, want));
}
END_TEST

START_TEST(folder_in_a_pipeline_keeps_its_place)
{
    static const char request[] = GET("/sub/") "\r\n" GET("/a.txt") "\r\n" GET("/sub/") "\r\n" GET("/a.txt") "\r\n";
    struct reply r;
    wire_close(&f.wire);
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, SPAN(request));
    struct span out = wire_output(&f.wire);
    for (int i = 0; i < 4; i++) {
        ck_assert(reply_take(&out, false, &r));
        ck_assert_uint_eq(r.status, 200);
        ck_assert_int_eq(span_equal(r.body, SPAN("0123456789")), i % 2);
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(folder_is_a_candidate_when_it_may_be_listed)
{
    static const char *const try[] = { "$path", "$path/", "/a.txt" };
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .index = index_html,
                                     .index_count = 1, .try = try, .try_count = 3,
                                     .autoindex = HTTP_AUTOINDEX_ON };
    fixture_site(&f, &route, 1);
    struct reply r = fixture_ask(&f, GET("/sub/") "\r\n");
    ck_assert_ptr_nonnull(memmem(r.body.p, r.body.n, "./b.txt", 7));
    r = fixture_ask(&f, GET("/sub") "\r\n");
    ck_assert_uint_eq(r.status, 301);
    ck_assert_span_eq(reply_field(&r, "Location"), "/sub/");
    ck_assert_span_eq(fixture_ask(&f, GET("/none/") "\r\n").body, "0123456789");
    ck_assert_span_eq(fixture_ask(&f, GET("/indexed/") "\r\n").body, "index");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_folder");
    TCase *tc = tcase_create("folder");
    tcase_add_checked_fixture(tc, folder_setup, folder_teardown);
    tcase_add_test(tc, list_is_sorted_as_people_sort);
    tcase_add_loop_test(tc, list_escapes_names_for_where_they_stand, 0, COUNT(names));
    tcase_add_test(tc, list_escapes_the_path_too);
    tcase_add_loop_test(tc, list_shows_sizes_that_can_be_read, 0, COUNT(sizes));
    tcase_add_test(tc, list_that_is_cut_says_so);
    tcase_add_test(tc, folder_is_listed_when_it_has_no_index);
    tcase_add_test(tc, folder_is_json_for_who_likes_that_better);
    tcase_add_test(tc, folder_beneath_an_alias);
    tcase_add_test(tc, folder_has_no_validators);
    tcase_add_loop_test(tc, folder_says_what_its_route_does_not, 0, COUNT(said));
    tcase_add_test(tc, folder_head_is_get_without_the_body);
    tcase_add_test(tc, folder_in_a_pipeline_keeps_its_place);
    tcase_add_test(tc, folder_is_a_candidate_when_it_may_be_listed);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
