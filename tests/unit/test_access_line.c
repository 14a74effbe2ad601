/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/access_line.c: texts with fields, and that no client can write another line than its own. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "core/access_line.h"

static const struct access_source source = { .model = "io_uring", .worker = "main.0" };

struct texts {
    struct span method, target, version, referer, agent, host, user;
};

static const struct texts usual = {
    SPAN("GET"), SPAN("/a/b?c=d"), SPAN("HTTP/1.1"), SPAN("http://x/ y"), SPAN("curl 7"), SPAN("h:80"), SPAN("anna")
};

static uint16_t text_put(struct access *a, size_t *n, struct span s)
{
    if (s.n > 0)
        memcpy(a->text + *n, s.p, s.n);
    *n += s.n;
    return (uint16_t)s.n;
}

static struct access *access_of(struct texts t)
{
    size_t n = 0;
    struct access *a = malloc(sizeof *a + t.method.n + t.target.n + t.version.n + t.referer.n + t.agent.n + t.host.n +
                              t.user.n);
    ck_assert_ptr_nonnull(a);
    *a = (struct access){ .peer = { .family = AF_INET6, .port = 5000, .address = { 0x20, 1, [15] = 7 } },
                          .when_s = 1795334047, .body_bytes = 1234, .service = "web", .status = 206, .nth = 3 };
    a->method_n = text_put(a, &n, t.method);
    a->target_n = text_put(a, &n, t.target);
    a->version_n = text_put(a, &n, t.version);
    a->referer_n = text_put(a, &n, t.referer);
    a->agent_n = text_put(a, &n, t.agent);
    a->host_n = text_put(a, &n, t.host);
    a->user_n = text_put(a, &n, t.user);
    return a;
}

static void check_line(const char *form, struct texts t, const char *want)
{
    struct access_form *f = access_form_new(form);
    ck_assert_ptr_nonnull(f);
    struct access *a = access_of(t);
    const struct access_facts facts = { a, &source, 77 };
    char *line = malloc(access_line_max(f, &facts) + 1), *end = access_line_put(line, f, &facts);
    *end = '\0';
    ck_assert_uint_le((size_t)(end - line), access_line_max(f, &facts));
    ck_assert_str_eq(line, want);
    free(line);
    free(a);
    access_form_free(f);
}

static const struct { const char *form, *line; } fields[] = {
    { "$peer", "2001::7" }, { "$port", "5000" }, { "$user", "anna" }, { "$time", "2026-11-22T07:54:07.000Z" },
    { "$time_local", "22/Nov/2026:07:54:07 +0000" }, { "$method", "GET" }, { "$target", "/a/b?c=d" },
    { "$path", "/a/b" }, { "$query", "?c=d" }, { "$version", "HTTP/1.1" }, { "$request", "GET /a/b?c=d HTTP/1.1" },
    { "$host", "h:80" }, { "$status", "206" }, { "$bytes", "1234" }, { "$duration_us", "77" },
    { "$referer", "http://x/\\x20y" }, { "\"$referer\"", "\"http://x/ y\"" }, { "$agent", "curl\\x207" },
    { "$service", "web" }, { "$model", "io_uring" }, { "$worker", "main.0" }, { "$connection_requests", "3" },
    { "${peer}x$$y", "2001::7x$y" }, { "nothing", "nothing" }, { "\t$method\t", "\tGET\t" },
    { "combined", "2001::7 - anna [22/Nov/2026:07:54:07 +0000] \"GET /a/b?c=d HTTP/1.1\" 206 1234 \"http://x/ y\""
      " \"curl 7\"" },
};

START_TEST(line_has_every_field)
{
    char want[512];
    snprintf(want, sizeof want, "%s\n", fields[_i].line);
    check_line(fields[_i].form, usual, want);
}
END_TEST

START_TEST(line_fields_are_all_tested)
{
    for (int i = 0; access_field_names[i] != NULL; i++) {
        char form[64];
        size_t n = 0;
        snprintf(form, sizeof form, "$%s", access_field_names[i]);
        for (size_t j = 0; j < sizeof fields / sizeof fields[0]; j++)
            n += strcmp(fields[j].form, form) == 0;
        ck_assert_msg(n == 1, "%s is not tested", form);
    }
}
END_TEST

START_TEST(line_has_a_dash_for_what_is_empty)
{
    struct texts nothing = { 0 };
    check_line("$user|$method|$target|$path|$query|$version|$request|$host|$referer|$agent", nothing,
               "-|-|-|-|-|-|-|-|-|-\n");
}
END_TEST

/* Whatever ends a field or a line in this form is escaped, and nothing that does not. */
static const struct { const char *form, *agent, *line; } forged[] = {
    { "\"$agent\" x", "a\" b\\ c\n\r\t\x7f", "\"a\\x22 b\\x5c c\\x0a\\x0d\\x09\\x7f\" x" },
    { "$agent x", "a b\n", "a\\x20b\\x0a x" },
    { "$agent|$status", "a|b c,d", "a\\x7cb\\x20c,d|206" },
    { "$agent,$status", "a|b,d", "a|b\\x2cd,206" },
    { "'$agent' $status", "a' 7", "'a\\x27\\x207' 206" },
    { "[$agent] \"$agent\"", "a] \" b", "[a\\x5d\\x20\\x22\\x20b] \"a] \\x22 b\"" },
    { "$$$agent", "a$b", "$a\\x24b" },
    { "\xc3\xa9$agent", "\xc3\xa9\xff", "\xc3\xa9\\xc3\\xa9\\xff" },
    { "x$agent", "x9X", "xx9X" },
    { "$agent-$status", "a-b_c", "a\\x2db_c-206" }, { "$status-$agent x_y", "a-b_c/", "206-a-b_c/ x_y" },
    { "$status - $agent", "a-b", "206 - a-b" }, { "$agent/$status:$status", "a/b:c", "a\\x2fb:c/206:206" },
    { "${agent}us", "us", "usus" }, { "$agent=$status", "a=b", "a\\x3db=206" },
};

START_TEST(line_cannot_be_forged)
{
    struct texts t = usual;
    char want[256];
    t.agent = span_of(forged[_i].agent);
    snprintf(want, sizeof want, "%s\n", forged[_i].line);
    check_line(forged[_i].form, t, want);
}
END_TEST

static const struct { const char *target, *line; } targets[] = {
    { "/", "/ -" }, { "/?", "/ ?" }, { "?x", "- ?x" }, { "http://h/p?q", "/p ?q" }, { "http://h", "- -" },
    { "http://h?q", "- ?q" }, { "*", "* -" }, { "/a://b", "/a://b -" }, { "/x?a://b/c", "/x ?a://b/c" },
};

START_TEST(line_cuts_targets_into_path_and_query)
{
    struct texts t = usual;
    char want[256];
    t.target = span_of(targets[_i].target);
    snprintf(want, sizeof want, "%s\n", targets[_i].line);
    check_line("$path $query", t, want);
}
END_TEST

START_TEST(line_is_never_longer_than_it_says)
{
    char *bytes = calloc(1, 2 * ACCESS_TEXT_MAX);
    struct span s = { bytes, 2 * ACCESS_TEXT_MAX };
    struct texts all = { s, s, s, s, s, s, s };
    struct access *a = access_of(all);
    const struct access_facts facts = { a, &source, UINT64_MAX };
    struct access_form *f = access_form_new("$request$target$method$version$host$referer$agent$user$bytes$peer");
    char *line = malloc(access_line_max(f, &facts));
    size_t n = (size_t)(access_line_put(line, f, &facts) - line);
    ck_assert_uint_le(n, access_line_max(f, &facts));
    ck_assert_uint_gt(n, 4 * (ACCESS_TEXT_MAX + ACCESS_TARGET_MAX));
    free(line);
    access_form_free(f);
    free(a);
    free(bytes);
}
END_TEST

START_TEST(form_refuses_what_it_does_not_know_and_what_is_too_long)
{
    static const char *const unknown[] = { "$peers", "$", "${peer", "$Peer" };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ck_assert_ptr_null(access_form_new(unknown[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_ptr_null(access_form_new("$target$target$target$target$target$target$target$target"));
    ck_assert_int_eq(errno, EMSGSIZE);
    char many[1001] = "";
    for (size_t i = 0; i < 1000; i += 5)
        memcpy(many + i, "$port", 6);
    ck_assert_ptr_null(access_form_new(many));
    ck_assert_int_eq(errno, EMSGSIZE);
    access_form_free(NULL);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("access_line");
    TCase *t = tcase_create("line");
    tcase_add_loop_test(t, line_has_every_field, 0, COUNT(fields));
    tcase_add_test(t, line_fields_are_all_tested);
    tcase_add_test(t, line_has_a_dash_for_what_is_empty);
    tcase_add_loop_test(t, line_cannot_be_forged, 0, COUNT(forged));
    tcase_add_loop_test(t, line_cuts_targets_into_path_and_query, 0, COUNT(targets));
    tcase_add_test(t, line_is_never_longer_than_it_says);
    tcase_add_test(t, form_refuses_what_it_does_not_know_and_what_is_too_long);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
