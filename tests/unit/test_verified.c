/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/verified.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/verified.h"

static struct verified_mark mark_of(const struct verified *v, unsigned i)
{
    char text[32];
    return verified_mark_of(v, (struct span){ text, (size_t)snprintf(text, sizeof text, "user %u", i) });
}

START_TEST(verified_knows_what_was_added_for_a_while)
{
    struct verified *v = verified_new();
    struct verified_mark a = mark_of(v, 1), b = mark_of(v, 2);
    ck_assert(!verified_knows(v, a, 1000));
    verified_add(v, a, 1000);
    ck_assert(verified_knows(v, a, 1000));
    ck_assert(!verified_knows(v, b, 1000));
    ck_assert(verified_knows(v, a, 999 + VERIFIED_MS));
    ck_assert(!verified_knows(v, a, 1000 + VERIFIED_MS));
    verified_add(v, a, 5000 + VERIFIED_MS);
    ck_assert(verified_knows(v, a, 4999 + 2 * VERIFIED_MS));
    verified_free(v);
    verified_free(NULL);
}
END_TEST

START_TEST(verified_marks_are_secret_and_of_the_bytes)
{
    struct verified *v = verified_new(), *other = verified_new();
    struct verified_mark a = mark_of(v, 1), again = mark_of(v, 1), b = mark_of(v, 2), elsewhere = mark_of(other, 1);
    ck_assert_int_eq(memcmp(&a, &again, sizeof a), 0);
    ck_assert_int_ne(memcmp(&a, &b, sizeof a), 0);
    ck_assert_uint_ne(a.hash[0], a.hash[1]);
    ck_assert_uint_ne(a.hash[0], elsewhere.hash[0]);
    ck_assert_uint_ne(a.hash[1], elsewhere.hash[1]);
    verified_free(v);
    verified_free(other);
}
END_TEST

START_TEST(verified_never_grows_and_forgets_the_oldest)
{
    enum { MANY = 100000 };
    struct verified *v = verified_new();
    unsigned known = 0, last = 0;
    for (unsigned i = 0; i < MANY; i++)
        verified_add(v, mark_of(v, i), 1 + i);
    for (unsigned i = 0; i < MANY; i++) {
        bool knows = verified_knows(v, mark_of(v, i), MANY);
        known += knows;
        last += knows && i >= MANY / 2;
    }
    ck_assert_uint_eq(known, 256 * 8);
    ck_assert_uint_eq(last, known);
    ck_assert(verified_knows(v, mark_of(v, MANY - 1), MANY));
    verified_free(v);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verified");
    TCase *t = tcase_create("verified");
    tcase_add_test(t, verified_knows_what_was_added_for_a_while);
    tcase_add_test(t, verified_marks_are_secret_and_of_the_bytes);
    tcase_add_test(t, verified_never_grows_and_forgets_the_oldest);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
