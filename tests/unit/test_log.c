/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/log.c. */
#include <check.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

/* What the sink was given last. */
struct heard {
    int              lines;
    enum log_level   level;
    struct log_about about;
    size_t           n;
    char             line[LOG_LINE_MAX + 1];
};

static void listen_to(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct heard *h = arg;
    ck_assert_uint_le(line.n, LOG_LINE_MAX);
    h->lines++;
    h->level = level;
    h->about = *about;
    h->n = line.n;
    memcpy(h->line, line.p, line.n);
    h->line[line.n] = '\0';
}

static struct heard *heard_new(enum log_level level)
{
    struct heard *h = calloc(1, sizeof *h);
    ck_assert_ptr_nonnull(h);
    log_open(listen_to, h, level);
    return h;
}

START_TEST(log_hands_a_line_to_the_sink)
{
    struct heard *h = heard_new(LOG_DEBUG);
    struct log_about about = { .event = "ready", .service = "web", .worker = "main.0" };
    log_write(LOG_WARN, &about, "worker %d: %s", 3, "slow");
    ck_assert_int_eq(h->lines, 1);
    ck_assert_int_eq(h->level, LOG_WARN);
    ck_assert_str_eq(h->line, "worker 3: slow");
    ck_assert_str_eq(h->about.event, "ready");
    ck_assert_str_eq(h->about.worker, "main.0");
    ck_assert_ptr_null(h->about.peer);
    free(h);
}
END_TEST

START_TEST(log_about_nothing_is_not_null_for_the_sink)
{
    struct heard *h = heard_new(LOG_DEBUG);
    log_write(LOG_INFO, NULL, "plain");
    ck_assert_int_eq(h->lines, 1);
    ck_assert_ptr_null(h->about.event);
    free(h);
}
END_TEST

START_TEST(log_keeps_back_what_is_above_its_level)
{
    for (enum log_level at = LOG_ERROR; at <= LOG_DEBUG; at++) {
        struct heard *h = heard_new(LOG_ERROR);
        log_set_level(at);
        for (enum log_level l = LOG_ERROR; l <= LOG_DEBUG; l++) {
            ck_assert_int_eq(log_wants(l), l <= at);
            log_write(l, NULL, "x");
        }
        ck_assert_int_eq(h->lines, (int)at - LOG_ERROR + 1);
        free(h);
    }
}
END_TEST

START_TEST(log_escapes_what_could_forge_a_line_or_move_a_terminal)
{
    static const struct { const char *text, *line; } cases[] = {
        { "a\nb", "a\\x0ab" },
        { "a\r\n", "a\\x0d\\x0a" },
        { "\x1b[31mred\x7f\t", "\\x1b[31mred\\x7f\\x09" },
        { "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "caf\xe9", "caf\\xe9" },
        { "\xc2\x85next", "\\xc2\\x85next" },           /* U+0085, a control character */
        { "\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80" },
        { "\xe2\x82", "\\xe2\\x82" },
        { "", "" },
    };
    struct heard *h = heard_new(LOG_INFO);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_write(LOG_INFO, NULL, "%s", cases[i].text);
        ck_assert_str_eq(h->line, cases[i].line);
    }
    free(h);
}
END_TEST

static char *repeated(const char *unit, size_t times)
{
    size_t n = strlen(unit);
    char *text = malloc(n * times + 1);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * n, unit, n);
    text[n * times] = '\0';
    return text;
}

START_TEST(log_keeps_a_line_that_just_fits)
{
    struct heard *h = heard_new(LOG_INFO);
    char *text = repeated("x", LOG_LINE_MAX);
    log_write(LOG_INFO, NULL, "%s", text);
    ck_assert_uint_eq(h->n, LOG_LINE_MAX);
    ck_assert_str_eq(h->line, text);
    free(text);
    free(h);
}
END_TEST

START_TEST(log_cuts_an_overlong_line_with_dots)
{
    struct heard *h = heard_new(LOG_INFO);
    char *text = repeated("x", LOG_LINE_MAX + 1);
    log_write(LOG_INFO, NULL, "%s", text);
    ck_assert_uint_eq(h->n, LOG_LINE_MAX);
    ck_assert_str_eq(h->line + LOG_LINE_MAX - 4, "x...");
    free(text);
    free(h);
}
END_TEST

/* Whatever the offset, no character and no escape is cut in two. */
START_TEST(log_cuts_between_characters)
{
    static const char *const units[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\n", "\xff" };
    struct heard *h = heard_new(LOG_INFO);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        char *text = repeated(units[u], LOG_LINE_MAX);
        for (int shift = 0; shift < 8; shift++) {
            log_write(LOG_INFO, NULL, "%.*s%s", shift, "01234567", text);
            ck_assert_uint_gt(h->n, LOG_LINE_MAX - 8);
            ck_assert_str_eq(h->line + h->n - 3, "...");
            size_t at = 0, end = h->n - 3;
            while (at < end) {
                size_t step = utf8_printable(h->line + at, h->line + end);
                ck_assert_uint_gt(step, 0);
                at += step;
            }
            if (units[u][0] == '\n')
                ck_assert_int_eq(strncmp(h->line + end - 4, "\\x0a", 4), 0);
        }
        free(text);
    }
    free(h);
}
END_TEST

START_TEST(log_keeps_errno)
{
    struct heard *h = heard_new(LOG_INFO);
    errno = ENOSPC;
    log_write(LOG_INFO, NULL, "x");
    ck_assert_int_eq(errno, ENOSPC);
    log_errno(LOG_INFO, NULL, "x");
    ck_assert_int_eq(errno, ENOSPC);
    log_errno(LOG_DEBUG, NULL, "x");
    ck_assert_int_eq(errno, ENOSPC);
    free(h);
}
END_TEST

START_TEST(log_errno_says_why_and_returns_minus_one)
{
    struct heard *h = heard_new(LOG_INFO);
    errno = EADDRINUSE;
    ck_assert_int_eq(log_errno(LOG_ERROR, NULL, "listen %s", "[::]:80"), -1);
    ck_assert_str_eq(h->line, "listen [::]:80: Address already in use");
    ck_assert_int_eq(log_errno(LOG_DEBUG, NULL, "unheard"), -1);
    ck_assert_int_eq(h->lines, 1);
    free(h);
}
END_TEST

START_TEST(log_levels_have_names)
{
    static const char *const names[] = { "error", "warn", "notice", "info", "debug" };
    enum log_level level;
    for (int i = 0; i < 5; i++) {
        ck_assert(log_parse_level(names[i], &level));
        ck_assert_int_eq(level, LOG_ERROR + i);
        ck_assert_str_eq(log_level_name(level), names[i]);
    }
    ck_assert(!log_parse_level("", &level));
    ck_assert(!log_parse_level("Error", &level));
    ck_assert(!log_parse_level("errors", &level));
    ck_assert(!log_parse_level("warning", &level));
}
END_TEST

/* Runs in its own process, before anything opened the log. */
START_TEST(log_goes_to_stderr_until_it_is_opened)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char text[256] = "";
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_write(LOG_INFO, NULL, "below the level");
    log_write(LOG_NOTICE, NULL, "hello\n%d", 1);
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
    regex_t form;
    const char *want = "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "
                       "notice hello\\\\x0a1\n$";
    ck_assert_int_eq(regcomp(&form, want, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&form, text, 0, NULL, 0) == 0, "stderr got \"%s\"", text);
    regfree(&form);
    close(ends[0]);
    close(saved);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_test(t, log_goes_to_stderr_until_it_is_opened);
    tcase_add_test(t, log_hands_a_line_to_the_sink);
    tcase_add_test(t, log_about_nothing_is_not_null_for_the_sink);
    tcase_add_test(t, log_keeps_back_what_is_above_its_level);
    tcase_add_test(t, log_escapes_what_could_forge_a_line_or_move_a_terminal);
    tcase_add_test(t, log_keeps_a_line_that_just_fits);
    tcase_add_test(t, log_cuts_an_overlong_line_with_dots);
    tcase_add_test(t, log_cuts_between_characters);
    tcase_add_test(t, log_keeps_errno);
    tcase_add_test(t, log_errno_says_why_and_returns_minus_one);
    tcase_add_test(t, log_levels_have_names);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
