/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/template.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/template.h"

/* Each piece as "text|", "<name>|" or "!rest". */
static const struct { const char *text, *pieces; } cut[] = {
    { "", "" }, { "abc", "abc|" }, { "$a", "<a>|" }, { "${a}", "<a>|" }, { "x$a", "x|<a>|" },
    { "$a.b$c", "<a>|.b|<c>|" }, { "${a}b", "<a>|b|" }, { "$a_1B-", "<a_1B>|-|" }, { "$a$b", "<a>|<b>|" },
    { "$$", "$|" }, { "$$a", "$a|" }, { "a$$b$c", "a|$b|<c>|" }, { "$$$$", "$|$|" }, { "$$$a", "$|<a>|" },
    { "$", "!$" }, { "a$", "a|!$" }, { "$$$", "$|!$" }, { "$ a", "!$ a" }, { "${}", "!${}" }, { "${a", "!${a" },
    { "${a b}", "!${a b}" }, { "$-", "!$-" }, { "x${", "x|!${" }, { "{a}", "{a}|" },
};

START_TEST(template_is_cut_into_pieces)
{
    struct span text = span_of(cut[_i].text), piece;
    enum template_kind kind = TEMPLATE_TEXT;
    char got[128] = "";
    size_t n = 0;
    while (kind != TEMPLATE_BAD && (kind = template_next(&text, &piece)) != TEMPLATE_END) {
        const char *form = kind == TEMPLATE_TEXT ? "%.*s|" : kind == TEMPLATE_VARIABLE ? "<%.*s>|" : "!%.*s";
        n += (size_t)snprintf(got + n, sizeof got - n, form, (int)piece.n, piece.p);
    }
    ck_assert_str_eq(got, cut[_i].pieces);
}
END_TEST

static const char *const names[] = { "host", "path", NULL };

START_TEST(template_names_what_is_no_variable)
{
    struct span piece;
    enum template_kind kind;
    ck_assert(!template_fault(SPAN("https://$host${path}$$"), names, &piece, &kind));
    ck_assert(template_fault(SPAN("$host$paht$"), names, &piece, &kind));
    ck_assert_int_eq(kind, TEMPLATE_VARIABLE);
    ck_assert(span_equal(piece, SPAN("paht")));
    ck_assert(template_fault(SPAN("$host${"), names, &piece, &kind));
    ck_assert_int_eq(kind, TEMPLATE_BAD);
    ck_assert(span_equal(piece, SPAN("${")));
    ck_assert_int_eq(template_find(names, SPAN("path")), 1);
    ck_assert_int_eq(template_find(names, SPAN("pat")), -1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("template");
    TCase *t = tcase_create("template");
    tcase_add_loop_test(t, template_is_cut_into_pieces, 0, sizeof cut / sizeof cut[0]);
    tcase_add_test(t, template_names_what_is_no_variable);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
