/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/scan.c. */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scan.h"

enum { LENGTH_MAX = 70 };       /* several steps of any width, and a rest */

static bool ends_value(unsigned char b)
{
    return (b < 0x20 && b != '\t') || b == 0x7f;
}

static bool ends_target(unsigned char b)
{
    return b <= 0x20 || b == 0x7f;
}

typedef const char *scan_function(const char *p, const char *end);

static const struct {
    scan_function *scan;
    bool         (*stops)(unsigned char b);
} scans[] = { { scan_control, ends_value }, { scan_target_end, ends_target } };

/* Memory whose end is the end of a page that nothing follows. */
static char *guarded_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    ck_assert_int_eq(mprotect(p + page, page, PROT_NONE), 0);
    return p + page;
}

START_TEST(scan_finds_each_byte_at_each_place)
{
    char *end = guarded_end();
    for (size_t n = 1; n <= LENGTH_MAX; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(end - n, 'a', n);
                end[-(ptrdiff_t)n + (ptrdiff_t)at] = (char)byte;
                const char *found = scans[_i].scan(end - n, end);
                const char *want = scans[_i].stops((unsigned char)byte) ? end - n + at : end;
                if (found != want)
                    ck_abort_msg("length %zu, byte 0x%02x at %zu: found at %td", n, byte, at,
                                 found - (end - n));
            }
        }
    }
}
END_TEST

START_TEST(scan_finds_the_first_of_several)
{
    char text[LENGTH_MAX];
    for (size_t first = 0; first < LENGTH_MAX; first++) {
        for (size_t second = first; second < LENGTH_MAX; second++) {
            memset(text, 0xe9, sizeof text);
            text[first] = '\r';
            text[second] = '\n';
            ck_assert_ptr_eq(scans[_i].scan(text, text + LENGTH_MAX), text + first);
        }
    }
}
END_TEST

START_TEST(scan_looks_at_nothing_from_the_end_on)
{
    char text[LENGTH_MAX + 32];
    for (size_t n = 0; n <= LENGTH_MAX; n++) {
        memset(text, 'a', n);
        memset(text + n, '\n', sizeof text - n);
        ck_assert_ptr_eq(scans[_i].scan(text, text + n), text + n);
    }
}
END_TEST

START_TEST(scan_works_at_each_alignment)
{
    _Alignas(64) char text[LENGTH_MAX + 64];
    memset(text, 'x', sizeof text);
    text[LENGTH_MAX] = '\x7f';
    for (size_t from = 0; from <= LENGTH_MAX; from++)
        ck_assert_ptr_eq(scans[_i].scan(text + from, text + sizeof text), text + LENGTH_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scan");
    TCase *t = tcase_create("scan");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, scan_finds_each_byte_at_each_place, 0, 2);
    tcase_add_loop_test(t, scan_finds_the_first_of_several, 0, 2);
    tcase_add_loop_test(t, scan_looks_at_nothing_from_the_end_on, 0, 2);
    tcase_add_loop_test(t, scan_works_at_each_alignment, 0, 2);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
