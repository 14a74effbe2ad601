/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/fmt.c. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmt.h"

static const time_t SUN_06_NOV_1994 = 784111777;
static const time_t NOW = 1795334047;       /* 2026-11-22T07:54:07Z */

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

static void check_u64(uint64_t value)
{
    char want[32], got[32] = "";
    int n = snprintf(want, sizeof want, "%" PRIu64, value);
    if (fmt_u64(got, value) != (size_t)n || strcmp(got, want) != 0)
        ck_abort_msg("%s instead of %s", got, want);
    n = snprintf(want, sizeof want, "%" PRIx64, value);
    memset(got, 0, sizeof got);
    if (fmt_hex(got, value) != (size_t)n || strcmp(got, want) != 0)
        ck_abort_msg("%s instead of %s", got, want);
}

START_TEST(fmt_writes_numbers_as_printf_does)
{
    for (uint64_t v = 0; v < 20000; v++)
        check_u64(v);
    for (uint64_t ten = 1; ten < UINT64_MAX / 10; ten *= 10) {
        check_u64(ten - 1);
        check_u64(ten);
        check_u64(ten + 1);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        check_u64(UINT64_C(1) << bit);
        check_u64((UINT64_C(1) << bit) - 1);
    }
    check_u64(UINT64_MAX);
}
END_TEST

START_TEST(fmt_writes_no_byte_behind_a_number)
{
    char text[FMT_U64_MAX + 1];
    memset(text, '#', sizeof text);
    ck_assert_uint_eq(fmt_u64(text, UINT64_MAX), FMT_U64_MAX);
    ck_assert_int_eq(text[FMT_U64_MAX], '#');
    memset(text, '#', sizeof text);
    ck_assert_uint_eq(fmt_u64(text, 7), 1);
    ck_assert_int_eq(text[1], '#');
    ck_assert_uint_eq(fmt_hex(text, UINT64_MAX), FMT_HEX_MAX);
    ck_assert_int_eq(text[FMT_HEX_MAX], '#');
}
END_TEST

/* glibc's own calendar as the reference. */
static void check_dates(time_t when)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct tm t;
    char want[80], got[80] = "";
    if (gmtime_r(&when, &t) == NULL)
        ck_abort_msg("no such time");
    snprintf(want, sizeof want, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
             months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    fmt_http_date(got, when);
    if (strcmp(got, want) != 0)
        ck_abort_msg("%s instead of %s", got, want);
    snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.045Z", t.tm_year + 1900, t.tm_mon + 1,
             t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
    memset(got, 0, sizeof got);
    fmt_timestamp(got, when, 45);
    if (strcmp(got, want) != 0)
        ck_abort_msg("%s instead of %s", got, want);
    snprintf(want, sizeof want, "%02d/%s/%04d:%02d:%02d:%02d +0000", t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    memset(got, 0, sizeof got);
    fmt_clf_date(got, when);
    if (strcmp(got, want) != 0)
        ck_abort_msg("%s instead of %s", got, want);
}

START_TEST(fmt_writes_dates_as_the_calendar_has_them)
{
    uint64_t seed = 1;
    check_dates(0);
    check_dates(-1);
    check_dates(SUN_06_NOV_1994);
    check_dates(-62167219200);
    check_dates(253402300799);
    for (int i = 0; i < 5000; i++)
        check_dates((time_t)(random_next(&seed) % 315569520000) - 62167219200);
    for (time_t day = 0; day < 366 * 5; day++)
        check_dates((time_t)946684800 + day * 86400);
}
END_TEST

START_TEST(fmt_keeps_a_date_to_four_digits_of_year)
{
    char got[FMT_HTTP_DATE_SIZE + 1] = "";
    fmt_http_date(got, 253402300800);
    ck_assert_str_eq(got, "Fri, 31 Dec 9999 23:59:59 GMT");
    fmt_http_date(got, INT64_MAX);
    ck_assert_str_eq(got, "Fri, 31 Dec 9999 23:59:59 GMT");
    fmt_http_date(got, INT64_MIN);
    ck_assert_str_eq(got, "Sat, 01 Jan 0000 00:00:00 GMT");
}
END_TEST

static bool parse(const char *text, time_t *when)
{
    *when = -1;
    return fmt_parse_http_date(span_of(text), NOW, when);
}

START_TEST(fmt_reads_the_three_forms_of_a_date)
{
    time_t when;
    ck_assert(parse("Sun, 06 Nov 1994 08:49:37 GMT", &when));
    ck_assert_int_eq(when, SUN_06_NOV_1994);
    ck_assert(parse("Sunday, 06-Nov-94 08:49:37 GMT", &when));
    ck_assert_int_eq(when, SUN_06_NOV_1994);
    ck_assert(parse("Sun Nov  6 08:49:37 1994", &when));
    ck_assert_int_eq(when, SUN_06_NOV_1994);
    ck_assert(parse("Wed Nov 16 08:49:37 1994", &when));
    ck_assert_int_eq(when, SUN_06_NOV_1994 + 10 * 86400);
}
END_TEST

START_TEST(fmt_reads_back_what_it_writes)
{
    uint64_t seed = 2;
    for (int i = 0; i < 5000; i++) {
        char text[FMT_HTTP_DATE_SIZE];
        time_t want = (time_t)(random_next(&seed) % 315569520000) - 62167219200, got;
        fmt_http_date(text, want);
        ck_assert(fmt_parse_http_date((struct span){ text, sizeof text }, NOW, &got));
        ck_assert_int_eq(got, want);
    }
}
END_TEST

static const char *const bad_dates[] = {
    "", " ", "0", "Sun", "Sun, ", "GMT",
    "Sun, 06 Nov 1994 08:49:37",            "Sun, 06 Nov 1994 08:49:37 ",
    "Sun, 06 Nov 1994 08:49:37 GM",         "Sun, 06 Nov 1994 08:49:37 GMTx",
    " Sun, 06 Nov 1994 08:49:37 GMT",       "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1994 08:49:37 UTC",        "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 06 Nov 1994 08:49:37 gmt",        "sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",        "Xyz, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT",     "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun,06 Nov 1994 08:49:37 GMT",         "Sun, 06  Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",          "Sun, 06 Nov 1994 8:49:37 GMT",
    "Sun, 06 Nov 1994 08.49.37 GMT",        "Sun, 06 Nov +994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49 GMT",           "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",        "Sun, 32 Dec 1994 08:49:37 GMT",
    "Thu, 31 Feb 1994 08:49:37 GMT",        "Sat, 29 Feb 2025 08:49:37 GMT",
    "Thu, 29 Feb 1900 08:49:37 GMT",        "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",        "Sun, 06 Nov 1994 08:49:60 GMT",
    "Sun, 06 Nov 1994 23:59:61 GMT",        "Sun, 06-Nov-94 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT",     "Sunday, 06-Nov-94 08:49:37",
    "Sunday, 31-Feb-94 08:49:37 GMT",       "Sunday, 6-Nov-94 08:49:37 GMT",
    "Sunday, 06 Nov 94 08:49:37 GMT",       "Sun Nov 6 08:49:37 1994",
    "Sun Nov 06 08:49:37 1994 GMT",         "Sun Nov  6 08:49:37 94",
    "Sun Nov   6 08:49:37 1994",            "Sun Nov 31 08:49:37 1994",
    "Sunday Nov  6 08:49:37 1994",          "Sun Nov  6 08:49:37 1994\n",
    "Sun Nov  0 08:49:37 1994",            
    "Sun, 06 Nov 1994 08:59:60 GMT",        "Sun, 06 Nov 1994 23:58:60 GMT",
    "784111777", "1994-11-06T08:49:37Z",
};

START_TEST(fmt_refuses_what_is_no_date)
{
    time_t when;
    ck_assert_msg(!parse(bad_dates[_i], &when), "\"%s\" was taken", bad_dates[_i]);
    ck_assert_int_eq(when, -1);
}
END_TEST

START_TEST(fmt_refuses_every_date_that_is_cut_short)
{
    static const char *const whole[] = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                         "Sun Nov  6 08:49:37 1994" };
    time_t when;
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 0; n < strlen(whole[i]); n++) {
            char *exact = malloc(n + (n == 0));     /* exact, so that a sanitizer sees who reads behind it */
            memcpy(exact, whole[i], n);
            ck_assert(!fmt_parse_http_date((struct span){ exact, n }, NOW, &when));
            free(exact);
        }
    }
}
END_TEST

START_TEST(fmt_takes_days_that_exist)
{
    time_t when;
    ck_assert(parse("Thu, 29 Feb 2024 00:00:00 GMT", &when));
    ck_assert_int_eq(when, 1709164800);
    ck_assert(parse("Tue, 29 Feb 2000 00:00:00 GMT", &when));
    ck_assert_int_eq(when, 951782400);
    ck_assert(parse("Thu, 31 Dec 2026 23:59:59 GMT", &when));
    ck_assert_int_eq(when, 1798761599);
}
END_TEST

START_TEST(fmt_takes_a_wrong_but_valid_day_name)
{
    time_t when;
    ck_assert(parse("Mon, 06 Nov 1994 08:49:37 GMT", &when));
    ck_assert_int_eq(when, SUN_06_NOV_1994);
}
END_TEST

START_TEST(fmt_takes_a_leap_second_as_the_second_before)
{
    time_t when;
    ck_assert(parse("Sat, 31 Dec 2016 23:59:60 GMT", &when));
    ck_assert_int_eq(when, 1483228799);
}
END_TEST

START_TEST(fmt_finds_the_century_of_two_digits)
{
    static const struct { const char *text; time_t when; } cases[] = {
        { "Sunday, 22-Nov-26 07:54:07 GMT", 1795334047 },       /* now */
        { "Monday, 01-Jan-29 00:00:00 GMT", 1861920000 },       /* 2029: soon */
        { "Sunday, 22-Nov-76 07:54:07 GMT", 3373257247 },       /* 2076: 50 years ahead to the second */
        { "Sunday, 22-Nov-76 07:54:08 GMT", 217497248 },        /* 1976: one second more than 50 years */
        { "Thursday, 01-Jan-70 00:00:00 GMT", 3155760000 },     /* 2070 */
        { "Friday, 31-Dec-99 23:59:59 GMT", 946684799 },        /* 1999 */
        { "Tuesday, 29-Feb-00 00:00:00 GMT", 951782400 },       /* 2000, a leap year */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        time_t when;
        ck_assert(parse(cases[i].text, &when));
        ck_assert_msg(when == cases[i].when, "%s: %lld", cases[i].text, (long long)when);
    }
    time_t when, late_2099 = 4102358400;
    ck_assert(fmt_parse_http_date(span_of("Friday, 01-Jan-10 00:00:00 GMT"), late_2099, &when));
    ck_assert_int_eq(when, 4417977600);     /* 2110: ten years ahead */
}
END_TEST

START_TEST(fmt_reads_decimal_numbers)
{
    uint64_t v;
    ck_assert(fmt_parse_u64(SPAN("0"), UINT64_MAX, &v) && v == 0);
    ck_assert(fmt_parse_u64(SPAN("0007"), 7, &v) && v == 7);
    ck_assert(fmt_parse_u64(SPAN("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    ck_assert(fmt_parse_u64(SPAN("100"), 100, &v) && v == 100);
    ck_assert(fmt_parse_u64(SPAN("000000000000000000000000000000001"), 1, &v) && v == 1);
}
END_TEST

START_TEST(fmt_refuses_what_is_no_decimal_number)
{
    static const char *const bad[] = {
        "", " ", "1 ", " 1", "+1", "-1", "0x1", "1a", "1,0", "1.0", "/", ":", "\xb2",
        "18446744073709551616", "99999999999999999999", "184467440737095516150",
    };
    uint64_t v = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!fmt_parse_u64(span_of(bad[i]), UINT64_MAX, &v), "\"%s\" was taken", bad[i]);
    ck_assert(!fmt_parse_u64(SPAN("101"), 100, &v));
    ck_assert(!fmt_parse_u64(SPAN("1"), 0, &v));
    ck_assert(!fmt_parse_u64(SPAN("1\0"), 100, &v));
    ck_assert_uint_eq(v, 77);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fmt");
    TCase *t = tcase_create("fmt");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, fmt_writes_numbers_as_printf_does);
    tcase_add_test(t, fmt_writes_no_byte_behind_a_number);
    tcase_add_test(t, fmt_writes_dates_as_the_calendar_has_them);
    tcase_add_test(t, fmt_keeps_a_date_to_four_digits_of_year);
    tcase_add_test(t, fmt_reads_the_three_forms_of_a_date);
    tcase_add_test(t, fmt_reads_back_what_it_writes);
    tcase_add_loop_test(t, fmt_refuses_what_is_no_date, 0, (int)(sizeof bad_dates / sizeof bad_dates[0]));
    tcase_add_test(t, fmt_refuses_every_date_that_is_cut_short);
    tcase_add_test(t, fmt_takes_days_that_exist);
    tcase_add_test(t, fmt_takes_a_wrong_but_valid_day_name);
    tcase_add_test(t, fmt_takes_a_leap_second_as_the_second_before);
    tcase_add_test(t, fmt_finds_the_century_of_two_digits);
    tcase_add_test(t, fmt_reads_decimal_numbers);
    tcase_add_test(t, fmt_refuses_what_is_no_decimal_number);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
