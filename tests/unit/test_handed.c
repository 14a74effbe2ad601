/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets that the service manager hands over: what the environment says, and which socket a name means. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/handed.h"

static struct handed h;
static char why[160];

static bool parsed(const char *pid, const char *count, const char *names)
{
    why[0] = '\0';
    return handed_parse(&h, &(struct handed_words){ pid, count, names, 4711 }, why, sizeof why);
}

static void teardown(void)
{
    free(h.v);                  /* the descriptors are not there */
    h = (struct handed){ 0 };
}

START_TEST(handed_is_nothing_without_the_words_or_for_another_process)
{
    ck_assert(parsed(NULL, NULL, NULL));
    ck_assert_uint_eq(h.count, 0);
    ck_assert(parsed("4711", NULL, NULL));
    ck_assert_uint_eq(h.count, 0);
    ck_assert(parsed("4712", "3", "a:b:c"));
    ck_assert_uint_eq(h.count, 0);
    ck_assert(parsed("4711", "0", ""));
    ck_assert_uint_eq(h.count, 0);
}
END_TEST

START_TEST(handed_names_descriptors_from_3_on)
{
    ck_assert(parsed("4711", "4", "web:web:echo:"));
    ck_assert_uint_eq(h.count, 4);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(h.v[i].fd, 3 + (int)i);
    ck_assert_str_eq(h.v[0].name, "web");
    ck_assert_str_eq(h.v[1].name, "web");
    ck_assert_str_eq(h.v[2].name, "echo");
    ck_assert_str_eq(h.v[3].name, "");
}
END_TEST

START_TEST(handed_calls_unknown_what_has_no_name)
{
    ck_assert(parsed("4711", "3", "web"));
    ck_assert_str_eq(h.v[0].name, "web");
    ck_assert_str_eq(h.v[1].name, "unknown");
    ck_assert_str_eq(h.v[2].name, "unknown");
    teardown();
    ck_assert(parsed("4711", "1", NULL));
    ck_assert_str_eq(h.v[0].name, "unknown");
}
END_TEST

START_TEST(handed_cuts_a_name_that_is_too_long)
{
    char names[1000];

    memset(names, 'n', sizeof names);
    names[sizeof names - 1] = '\0';
    ck_assert(parsed("4711", "1", names));
    ck_assert_uint_eq(strlen(h.v[0].name), HANDED_NAME_SIZE - 1);
}
END_TEST

START_TEST(handed_refuses_what_is_no_number)
{
    static const char *const wrong[] = { "", "x", "-1", "3x", " 3", "99999", "99999999999999999999" };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!parsed("4711", wrong[i], "a"), "%s", wrong[i]);
        ck_assert_ptr_nonnull(strstr(why, "LISTEN_FDS="));
        ck_assert_uint_eq(h.count, 0);
    }
    ck_assert(!parsed("pid", "1", "a"));
    ck_assert_ptr_nonnull(strstr(why, "LISTEN_PID=pid"));
}
END_TEST

START_TEST(handed_finds_by_name_and_kind_in_order)
{
    ck_assert(parsed("4711", "5", "web:echo:web:web:other"));
    h.v[0].stream = h.v[2].stream = h.v[1].stream = true;
    h.v[3].datagram = true;
    ck_assert_ptr_eq(handed_find(&h, "web", false, 0), &h.v[0]);
    ck_assert_ptr_eq(handed_find(&h, "web", false, 1), &h.v[2]);
    ck_assert_ptr_null(handed_find(&h, "web", false, 2));
    ck_assert_ptr_eq(handed_find(&h, "web", true, 0), &h.v[3]);
    ck_assert_ptr_null(handed_find(&h, "other", false, 0));
    ck_assert_ptr_null(handed_find(&h, "we", false, 0));
}
END_TEST

START_TEST(handed_says_what_there_is)
{
    char text[200], little[8];

    ck_assert_str_eq(handed_names(&h, text, sizeof text), "none");
    ck_assert(parsed("4711", "3", "web:dns:bad"));
    h.v[0].stream = h.v[1].datagram = true;
    ck_assert_str_eq(handed_names(&h, text, sizeof text), "web, dns (datagrams), bad (no listening socket)");
    ck_assert_uint_lt(strlen(handed_names(&h, little, sizeof little)), sizeof little);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handed");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, NULL, teardown);
    tcase_add_test(all, handed_is_nothing_without_the_words_or_for_another_process);
    tcase_add_test(all, handed_names_descriptors_from_3_on);
    tcase_add_test(all, handed_calls_unknown_what_has_no_name);
    tcase_add_test(all, handed_cuts_a_name_that_is_too_long);
    tcase_add_test(all, handed_refuses_what_is_no_number);
    tcase_add_test(all, handed_finds_by_name_and_kind_in_order);
    tcase_add_test(all, handed_says_what_there_is);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
