/* SPDX-License-Identifier: BSD-2-Clause */
/* Choosing the largest of many connections with room for a few. */
#include <check.h>
#include <stdlib.h>

#include "core/census.h"

enum { ROOM = 10 };

static struct census_row rows[ROOM];

static struct census census_of(enum census_key key, unsigned room)
{
    return (struct census){ .key = key, .rows = rows, .room = room };
}

static void add_ages(struct census *c, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct census_row row = { .age_s = i * 7919 % count, .received = 1000 + i, .sent = 1000 - i % 1000 };

        census_add(c, &row);
    }
}

START_TEST(census_keeps_the_largest_and_counts_all)
{
    struct census c = census_of(CENSUS_BY_AGE, ROOM);

    add_ages(&c, 1000);
    ck_assert_uint_eq(c.total, 1000);
    ck_assert_uint_eq(c.count, ROOM);
    census_sort(&c);
    for (unsigned i = 0; i < ROOM; i++)
        ck_assert_uint_eq(rows[i].age_s, 999 - i);
}
END_TEST

START_TEST(census_sorts_by_what_was_asked_for)
{
    static const enum census_key keys[] = { CENSUS_BY_AGE, CENSUS_BY_RECEIVED, CENSUS_BY_SENT, CENSUS_BY_BYTES };
    static const struct census_row three[] = {
        { .age_s = 3, .received = 1, .sent = 20 }, { .age_s = 2, .received = 30, .sent = 1 },
        { .age_s = 1, .received = 20, .sent = 13 }
    };
    static const unsigned first[] = { 0, 1, 0, 2 };

    for (unsigned k = 0; k < 4; k++) {
        struct census c = census_of(keys[k], ROOM);

        for (unsigned i = 0; i < 3; i++)
            census_add(&c, &three[i]);
        census_sort(&c);
        ck_assert_uint_eq(c.count, 3);
        ck_assert_uint_eq(rows[0].age_s, three[first[k]].age_s);
    }
}
END_TEST

START_TEST(census_without_room_only_counts)
{
    struct census c = census_of(CENSUS_BY_BYTES, 0);

    add_ages(&c, 5);
    census_sort(&c);
    ck_assert_uint_eq(c.total, 5);
    ck_assert_uint_eq(c.count, 0);
}
END_TEST

START_TEST(census_names_every_state)
{
    ck_assert_str_eq(census_state_name(CENSUS_IDLE), "idle");
    ck_assert_str_eq(census_state_name(CENSUS_CLOSING), "closing");
    ck_assert_str_eq(census_state_name(CENSUS_CLOSING + 1), "unknown");
    ck_assert_str_eq(census_state_name(UINT32_MAX), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("census");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(all, census_keeps_the_largest_and_counts_all);
    tcase_add_test(all, census_sorts_by_what_was_asked_for);
    tcase_add_test(all, census_without_room_only_counts);
    tcase_add_test(all, census_names_every_state);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
