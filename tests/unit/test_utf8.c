/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/utf8.c. */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | c);
    return n;
}

START_TEST(utf8_knows_every_character_and_no_surrogate)
{
    char text[4];
    for (uint32_t c = 0; c < 0x1fffff; c++) {
        size_t n = encode(c, text);
        bool character = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (utf8_length(text, text + n) != (character ? n : 0) ||
            utf8_printable(text, text + n) != (character && !control ? n : 0))
            ck_abort_msg("U+%04X", c);
    }
}
END_TEST

START_TEST(utf8_refuses_a_character_that_is_cut)
{
    static const char *const whole[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 1; n < strlen(whole[i]); n++) {
            char *exact = malloc(n);
            memcpy(exact, whole[i], n);
            ck_assert_uint_eq(utf8_length(exact, exact + n), 0);
            ck_assert_uint_eq(utf8_printable(exact, exact + n), 0);
            free(exact);
        }
    }
}
END_TEST

START_TEST(utf8_refuses_overlong_forms_and_stray_bytes)
{
    static const char *const bad[] = {
        "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\x80", "\xbf", "\xfe", "\xff", "\xc3\x28", "\xe2\x28\xa1",
        "\xe2\x82\x28", "\xf0\x9f\x98\x28", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xc3\xc3",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_uint_eq(utf8_length(bad[i], bad[i] + strlen(bad[i])), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("utf8");
    TCase *t = tcase_create("utf8");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, utf8_knows_every_character_and_no_surrogate);
    tcase_add_test(t, utf8_refuses_a_character_that_is_cut);
    tcase_add_test(t, utf8_refuses_overlong_forms_and_stray_bytes);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
