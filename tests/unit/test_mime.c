/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of proto/mime.c and its built-in table. */
#include "test_http.h"

static void check_type(const struct mime *m, const char *name, const char *type)
{
    struct span found = mime_type(m, span_of(name));
    ck_assert_msg(span_equal(found, span_of(type)), "%s is %.*s instead of %s", name, (int)found.n, found.p,
                  type);
}

static struct mime *table(const char *text)
{
    struct mime *m = mime_new(span_of(text));
    ck_assert_ptr_nonnull(m);
    return m;
}

START_TEST(mime_builtin_knows_the_web)
{
    static const struct { const char *name, *type; } known[] = {
        { "index.html", "text/html; charset=utf-8" }, { "INDEX.HTM", "text/html; charset=utf-8" },
        { "a/b.css", "text/css; charset=utf-8" }, { "a.js", "text/javascript; charset=utf-8" },
        { "a.mjs", "text/javascript; charset=utf-8" }, { "a.json", "application/json" },
        { "a.png", "image/png" },
        { "a.jpeg", "image/jpeg" }, { "a.svg", "image/svg+xml" }, { "a.webp", "image/webp" },
        { "a.avif", "image/avif" },
        { "a.ico", "image/vnd.microsoft.icon" }, { "a.woff2", "font/woff2" },
        { "a.wasm", "application/wasm" },
        { "a.pdf", "application/pdf" }, { "a.mp4", "video/mp4" }, { "a.tar.gz", "application/gzip" },
        { "a.txt", "text/plain; charset=utf-8" }, { "a.xml", "text/xml; charset=utf-8" },
        { "a", "application/octet-stream" }, { "", "application/octet-stream" },
        { ".", "application/octet-stream" },
        { "a.", "application/octet-stream" }, { "a.unknown", "application/octet-stream" },
        { "a.html/b", "application/octet-stream" }, { "a.abcdefghijklmnopq", "application/octet-stream" } };
    struct mime *m = table(mime_builtin);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        check_type(m, known[i].name, known[i].type);
    mime_free(m);
}
END_TEST

/* Each extension once, each line used. */
START_TEST(mime_builtin_is_a_table_without_errors)
{
    struct mime *m = table(mime_builtin);
    for (const char *p = mime_builtin; *p != '\0'; p += strcspn(p, "\n") + 1) {
        char line[256], *save = NULL;
        snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
        const char *type = strtok_r(line, " ", &save), *extension = strtok_r(NULL, " ", &save);
        ck_assert_msg(extension != NULL, "%s has no extension", type);
        for (; extension != NULL; extension = strtok_r(NULL, " ", &save)) {
            char name[64];
            snprintf(name, sizeof name, "x.%s", extension);
            struct span found = mime_type(m, span_of(name));
            ck_assert_msg(span_starts_with(found, span_of(type)), "%s is %.*s", name, (int)found.n, found.p);
        }
    }
    mime_free(m);
}
END_TEST

START_TEST(mime_reads_what_people_write)
{
    struct mime *m = table("# comment\n\n  \t\napplication/x-a\t\ta  b\tC\r\ntext/x-d d # e\nno-type f\n"
                           "text/html\nimage/g g\nimage/h g h");
    check_type(m, "x.a", "application/x-a");
    check_type(m, "x.B", "application/x-a");
    check_type(m, "x.c", "application/x-a");
    check_type(m, "x.d", "text/x-d; charset=utf-8");
    check_type(m, "x.e", "application/octet-stream");
    check_type(m, "x.f", "application/octet-stream");
    check_type(m, "x.g", "image/g");
    check_type(m, "x.h", "image/h");
    mime_free(m);
}
END_TEST

START_TEST(mime_passes_over_types_that_would_forge_a_head)
{
    char text[512], longest[200];
    memset(longest, 'x', sizeof longest);
    snprintf(text, sizeof text, "a/b\x01 a\n/b b\na/ c\na/b/c d\na/b;c e\na/%.*s f\na/%.*s g\n", 150, longest,
             100, longest);
    struct mime *m = table(text);
    for (const char *p = "abcdef"; *p != '\0'; p++)
        check_type(m, (char[]){ 'x', '.', *p, '\0' }, "application/octet-stream");
    ck_assert_uint_eq(mime_type(m, SPAN("x.g")).n, 102);
    mime_free(m);
}
END_TEST

START_TEST(mime_without_a_table_knows_nothing)
{
    struct mime *m = table("");
    check_type(m, "a.html", "application/octet-stream");
    mime_free(m);
    mime_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mime");
    TCase *tc = tcase_create("mime");
    tcase_add_test(tc, mime_builtin_knows_the_web);
    tcase_add_test(tc, mime_builtin_is_a_table_without_errors);
    tcase_add_test(tc, mime_reads_what_people_write);
    tcase_add_test(tc, mime_passes_over_types_that_would_forge_a_head);
    tcase_add_test(tc, mime_without_a_table_knows_nothing);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
