/* SPDX-License-Identifier: BSD-2-Clause */
/* The pure parts of HTTP by themselves: the parser and its watcher of pieces, lists, chunks, paths,
 * ranges. */
#include "test_http.h"

#include "proto/http_internal.h"

#define H "Host: x\r\n"

static const struct http_limits *parse_limits(void)
{
    static struct http_limits l;
    l = fixture_limits();
    return &l;
}

static long parse(struct http_request *r, const char *text)
{
    return http_parse(r, span_of(text), parse_limits());
}

START_TEST(parse_finds_each_part)
{
    struct http_request r;
    const char *text = "POST /a/b?c=d HTTP/1.1\r\nHost: h:1\r\nX: y\r\nContent-Length: 12\r\n"
                       "range:bytes=1-2 \r\n\r\nrest";
    ck_assert_int_eq(parse(&r, text), (long)strlen(text) - 4);
    ck_assert_int_eq(r.method, METHOD_POST);
    ck_assert_span_eq(r.method_text, "POST");
    ck_assert_span_eq(r.target, "/a/b?c=d");
    ck_assert_span_eq(r.path, "/a/b");
    ck_assert_span_eq(r.query, "?c=d");
    ck_assert_span_eq(r.version, "HTTP/1.1");
    ck_assert_span_eq(r.value[FIELD_HOST], "h:1");
    ck_assert_span_eq(r.value[FIELD_RANGE], "bytes=1-2");
    ck_assert_uint_eq(r.length, 12);
    ck_assert_span_eq(http_host(&r), "h");
    ck_assert(r.keep_alive && !r.chunked && !http_has(&r, FIELD_CONNECTION) && r.authority.n == 0);
}
END_TEST

START_TEST(parse_knows_each_field_in_any_case)
{
    static const struct { const char *name; enum http_field field; } names[] = {
        { "Host", FIELD_HOST }, { "Connection", FIELD_CONNECTION }, { "Expect", FIELD_EXPECT },
        { "Range", FIELD_RANGE }, { "If-Match", FIELD_IF_MATCH }, { "If-None-Match", FIELD_IF_NONE_MATCH },
        { "If-Modified-Since", FIELD_IF_MODIFIED_SINCE }, { "If-Unmodified-Since",
                                                            FIELD_IF_UNMODIFIED_SINCE },
        { "If-Range", FIELD_IF_RANGE }, { "Referer", FIELD_REFERER }, { "User-Agent", FIELD_USER_AGENT },
        { "Content-Length", FIELD_CONTENT_LENGTH }, { "Transfer-Encoding", FIELD_TRANSFER_ENCODING },
        { "Accept", FIELD_ACCEPT }, { "Accept-Encoding", FIELD_ACCEPT_ENCODING },
        { "Authorization", FIELD_AUTHORIZATION } };
    ck_assert_uint_eq(sizeof names / sizeof names[0], FIELD_COUNT);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int shape = 0; shape < 3; shape++) {
            char name[32], text[128];
            struct http_request r;
            strcpy(name, names[i].name);
            for (char *p = name; *p != '\0'; p++)
                if (shape > 0 && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
                    *p = shape == 1 ? (char)(*p | 0x20) : (char)(*p & ~0x20);
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s: 17\r\n\r\n", name);
            parse(&r, text);
            ck_assert_msg(r.seen == FIELD_BIT(names[i].field), "%s", name);
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s_: 17\r\n%.*s: 17\r\n\r\n", name,
                     (int)strlen(name) - 1, name);
            parse(&r, text);
            ck_assert_msg(r.seen == 0, "not quite %s", name);
        }
    }
}
END_TEST

START_TEST(parse_tells_plain_paths_from_others)
{
    static const struct { const char *target; bool plain; } targets[] = {
        { "/", true }, { "/a/b.c/d", true }, { "/a/", true }, { "/a.", true }, { "/a../b", true },
        { "/a..b", true },
        { "/.", false }, { "/..", false }, { "/.a", false }, { "/a/.b", false }, { "/a/./b", false },
        { "//", false },
        { "/a//b", false }, { "/%61", false }, { "/a?b", false }, { "http://x/a", false }, { "*", false } };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char text[64];
        struct http_request r;
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" H "\r\n", targets[i].target);
        parse(&r, text);
        ck_assert_msg(r.plain == targets[i].plain, "%s", targets[i].target);
    }
}
END_TEST

/* For each beginning of each head: the watcher says "worth parsing" exactly when the parser has a verdict. */
static const char *const heads[] = {
    "GET / HTTP/1.1\r\n" H "\r\n", "GET /a?b HTTP/1.0\r\nA: b\r\nC:\t d \r\n\r\n", "G@T / HTTP/1.1\r\n",
    " GET",
    "GET  / HTTP/1.1", "GET / HTTP/1.1 \r\n", "GET / HTTP/1.x\r\n", "GET / HTTP/11\r\n", "GET / HTTP/1.1\n",
    "GET / HTTP/1.1\r\n" H "A : b", "GET / HTTP/1.1\r\n" H "A: b\n", "GET / HTTP/1.1\r\n" H "A: b\rc",
    "GET / HTTP/1.1\r\n" H "A: \x7f", "GET / HTTP/1.1\r\n" H " b", "GET / HTTP/1.1\r\n" H "\r\r",
    "GET /\x80 H",
    "GET / HTTP/1.1\r\n:", "GET / HTTP/2.0\r\n\r\n", "\x80", "GET / HTTP/1.1\r\n" H "A\xff: b", "GET /\r\n",
    "OPTIONS * HTTP/1.1\r\n" H "\r\n",
};

START_TEST(seek_agrees_with_the_parser_at_every_byte)
{
    struct http_seek k = { 0 };
    bool worth = false;
    for (size_t n = 1; n <= strlen(heads[_i]); n++) {
        struct span in = { heads[_i], n };
        struct http_request r;
        long verdict = http_parse(&r, in, parse_limits());
        worth = worth || http_seek(&k, in, parse_limits());
        ck_assert_msg(worth == (verdict != 0), "%zu bytes of %s: parser %ld, watcher %d", n, heads[_i],
                      verdict, worth);
    }
}
END_TEST

/* One byte of a good head replaced by each byte there is. */
START_TEST(seek_agrees_with_the_parser_about_every_byte)
{
    char head[] = "GET /ab HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
    size_t n = sizeof head - 1;
    for (size_t at = 0; at < n; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof head];
            struct http_seek k = { 0 };
            struct http_request r;
            memcpy(text, head, sizeof head);
            text[at] = (char)byte;
            size_t i = 1;
            while (i < n && !http_seek(&k, (struct span){ text, i }, parse_limits()))
                i++;
            ck_assert_msg(i == n || http_parse(&r, (struct span){ text, i }, parse_limits()) != 0,
                          "byte 0x%02x at %zu: worth parsing, but incomplete", (unsigned)byte, at);
            ck_assert_msg(i == 1 || http_parse(&r, (struct span){ text, i - 1 }, parse_limits()) == 0,
                          "byte 0x%02x at %zu: was worth parsing before", (unsigned)byte, at);
        }
    }
}
END_TEST

/* Request lines and fields of each length around their limits: the verdict comes at the same byte. */
START_TEST(seek_agrees_with_the_parser_around_the_limits)
{
    enum { ROUND = 8 };
    const struct http_limits *limits = parse_limits();
    char text[2048], filler[2048];
    memset(filler, 'a', sizeof filler);
    for (unsigned i = 0; i < 2 * ROUND; i++) {
        unsigned line = limits->request_line - ROUND + i, fields = limits->header_bytes - ROUND + i;
        for (int part = 0; part < 2; part++) {
            struct http_seek k = { 0 };
            struct http_request r;
            int target = part == 0 ? (int)line - 14 : 1, value = part == 1 ? (int)fields - 14 : 1;
            int n = snprintf(text, sizeof text, "GET /%.*s HTTP/1.1\r\n" H "A: %.*s\r\n\r\n", target - 1, filler, value,
                             filler);
            for (size_t there = 1; there <= (size_t)n; there++) {
                struct span in = { text, there };
                long verdict = http_parse(&r, in, limits);
                ck_assert_msg(http_seek(&k, in, limits) == (verdict != 0), "%zu of %d bytes: parser %ld", there, n, verdict);
                if (verdict != 0)
                    break;
            }
        }
    }
}
END_TEST

START_TEST(seek_looks_at_each_byte_once)
{
    struct http_seek k = { 0 };
    struct span in = SPAN("GET / HTTP/1.1\r\n" H "A: b");
    ck_assert(!http_seek(&k, in, parse_limits()));
    ck_assert_uint_eq(k.seen, in.n);
    ck_assert_uint_eq(k.fields_at, 16);
}
END_TEST

static const struct { const char *list, *elements; } lists[] = {
    { "a", "a|" }, { "a,b", "a|b|" }, { " a , b\t", "a|b|" }, { ",,a,,", "a|" }, { "", "" }, { ", ,", "" },
    { "\"a,b\",c", "\"a,b\"|c|" }, { "\"a", "\"a|" }, { "a b,c", "a b|c|" },
};

START_TEST(list_elements_are_found)
{
    struct span list = span_of(lists[_i].list), element;
    char found[64] = "";
    while (http_next_element(&list, &element)) {
        strncat(found, element.p, element.n);
        strcat(found, "|");
    }
    ck_assert_str_eq(found, lists[_i].elements);
}
END_TEST

START_TEST(list_of_nothing_but_commas_ends)
{
    char commas[1000];
    struct span list = { commas, sizeof commas }, element;
    memset(commas, ',', sizeof commas);
    ck_assert(!http_next_element(&list, &element));
}
END_TEST

/* `path` NULL: refused with `status`. */
static const struct { const char *encoded, *path; unsigned status; } paths[] = {
    { "/", "/", 0 }, { "/a", "/a", 0 }, { "/a/", "/a/", 0 }, { "//", "/", 0 }, { "/a//b///c", "/a/b/c", 0 },
    { "/.", "/", 0 }, { "/./", "/", 0 }, { "/a/.", "/a/", 0 }, { "/a/..", "/", 0 }, { "/a/../", "/", 0 },
    { "/a/b/..", "/a/", 0 }, { "/a/b/../c", "/a/c", 0 }, { "/a/b/../../c", "/c", 0 }, { "/...", "/...", 0 },
    { "/..a", "/..a", 0 }, { "/a..", "/a..", 0 }, { "/.a", "/.a", 0 }, { "/%41%62", "/Ab", 0 },
    { "/a%2Fb", "/a/b", 0 },
    { "/%2e%2e/a", NULL, 400 }, { "/a/%2e%2e/b", "/b", 0 }, { "/a%2f..%2fb", "/b", 0 },
    { "/%252e", "/%2e", 0 },
    { "/%C3%A4", "/\xc3\xa4", 0 }, { "/a%20b+c", "/a b+c", 0 }, { "/a\\b", "/a\\b", 0 },
    { "/..", NULL, 400 }, { "/../", NULL, 400 }, { "/a/../..", NULL, 400 }, { "/a/../../b", NULL, 400 },
    { "//..", NULL, 400 }, { "/./..", NULL, 400 }, { "/%", NULL, 400 }, { "/%4", NULL, 400 },
    { "/%4g", NULL, 400 },
    { "/%00", NULL, 400 }, { "/%1f", NULL, 400 }, { "/%7F", NULL, 400 }, { "/%0a", NULL, 400 },
    { "a", NULL, 400 },
    { "", NULL, 400 },
};

START_TEST(path_is_decoded_once_and_cleaned)
{
    char to[HTTP_PATH_MAX];
    struct span path;
    unsigned status = http_path_decode(span_of(paths[_i].encoded), to, &path);
    ck_assert_msg(status == paths[_i].status, "%s: %u", paths[_i].encoded, status);
    if (status == 0)
        ck_assert_span_eq(path, paths[_i].path);
}
END_TEST

START_TEST(path_may_be_as_long_as_its_limit)
{
    static char encoded[HTTP_PATH_MAX + 1], to[HTTP_PATH_MAX];
    struct span path;
    memset(encoded, 'a', sizeof encoded);
    encoded[0] = '/';
    ck_assert_uint_eq(http_path_decode((struct span){ encoded, HTTP_PATH_MAX }, to, &path), 0);
    ck_assert_uint_eq(path.n, HTTP_PATH_MAX);
    ck_assert_uint_eq(http_path_decode((struct span){ encoded, HTTP_PATH_MAX + 1 }, to, &path), 414);
}
END_TEST

START_TEST(path_shows_hidden_segments)
{
    ck_assert(http_path_hidden(SPAN("/.a")) && http_path_hidden(SPAN("/a/.b/c")) &&
              http_path_hidden(SPAN("/...")));
    ck_assert(!http_path_hidden(SPAN("/")) && !http_path_hidden(SPAN("/a.b/c.")) &&
              !http_path_hidden(SPAN("/a")));
}
END_TEST

START_TEST(path_is_encoded_so_that_it_comes_back)
{
    char every[256], encoded[768], decoded[HTTP_PATH_MAX];
    struct span path = { every, 0 }, back;
    every[path.n++] = '/';
    for (int byte = 0x20; byte < 256; byte++)
        if (byte != 0x7f && byte != '/' && byte != '.')
            every[path.n++] = (char)byte;
    struct span link = { encoded, http_path_encode(encoded, path) };
    for (size_t i = 0; i < link.n; i++)
        ck_assert(http_is(link.p[i], CLASS_PATH | CLASS_PERCENT));
    ck_assert_uint_eq(http_path_decode(link, decoded, &back), 0);
    ck_assert(span_equal(path, back));
}
END_TEST

/* How much of the text belongs to the body, and the verdict: 1 complete, 0 not yet, -STATUS. */
static const struct { const char *text; size_t taken; int verdict; } chunks[] = {
    { "0\r\n\r\nrest", 5, 1 }, { "3\r\nabc\r\n0\r\n\r\nrest", 13, 1 }, { "3\r\nab", 5, 0 }, { "", 0, 0 },
    { "3E8\r\n", 5, 0 }, { "3E9\r\n", 4, -413 }, { "0\r\nA:b\r\n\r\n", 10, 1 }, { "g", 1, -400 },
    { "fffffffffffffffff\r", 18, -413 }, { "1\r\na\r\n3E8\r", 10, -413 }, { "1\r\na\r\n3E7\r\n", 11, 0 },
};

START_TEST(chunks_end_where_they_end)
{
    struct span text = span_of(chunks[_i].text);
    for (size_t cut = 0; cut <= text.n; cut++) {
        struct http_chunk k = { 0 };
        size_t taken = 0, more = 0;
        int verdict = http_chunk_feed(&k, (struct span){ text.p, cut }, parse_limits(), &taken);
        if (verdict == 0) {
            ck_assert_uint_eq(taken, cut);
            verdict = http_chunk_feed(&k, span_skip(text, cut), parse_limits(), &more);
        }
        ck_assert_msg(verdict == chunks[_i].verdict && taken + more == chunks[_i].taken,
                      "%s cut at %zu: %d, %zu",
                      chunks[_i].text, cut, verdict, taken + more);
    }
}
END_TEST

START_TEST(chunk_lines_and_extensions_are_bounded)
{
    static char line[2000];
    struct http_chunk k = { 0 };
    size_t taken;
    memset(line, '0', sizeof line);
    ck_assert_int_eq(http_chunk_feed(&k, (struct span){ line, sizeof line }, parse_limits(), &taken), -400);
    ck_assert_uint_eq(taken, 1025);

    k = (struct http_chunk){ 0 };
    int verdict = 0;
    unsigned rounds = 0;
    memset(line, 'e', 1000);
    memcpy(line, "1;", 2);
    memcpy(line + 1000, "\r\nx\r\n", 5);
    for (; verdict == 0 && rounds < 100; rounds++)
        verdict = http_chunk_feed(&k, (struct span){ line, 1005 }, parse_limits(), &taken);
    ck_assert_int_eq(verdict, -400);
    ck_assert_uint_eq(rounds, 17);      /* 16,384 bytes of extensions */
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_parse");
    TCase *tc = tcase_create("parse");
    tcase_add_test(tc, parse_finds_each_part);
    tcase_add_test(tc, parse_knows_each_field_in_any_case);
    tcase_add_test(tc, parse_tells_plain_paths_from_others);
    tcase_add_loop_test(tc, seek_agrees_with_the_parser_at_every_byte, 0, COUNT(heads));
    tcase_add_test(tc, seek_agrees_with_the_parser_about_every_byte);
    tcase_add_test(tc, seek_agrees_with_the_parser_around_the_limits);
    tcase_add_test(tc, seek_looks_at_each_byte_once);
    tcase_add_loop_test(tc, list_elements_are_found, 0, COUNT(lists));
    tcase_add_test(tc, list_of_nothing_but_commas_ends);
    tcase_add_loop_test(tc, path_is_decoded_once_and_cleaned, 0, COUNT(paths));
    tcase_add_test(tc, path_may_be_as_long_as_its_limit);
    tcase_add_test(tc, path_shows_hidden_segments);
    tcase_add_test(tc, path_is_encoded_so_that_it_comes_back);
    tcase_add_loop_test(tc, chunks_end_where_they_end, 0, COUNT(chunks));
    tcase_add_test(tc, chunk_lines_and_extensions_are_bounded);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
