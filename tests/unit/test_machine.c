/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine gives: processors, descriptors, and how many connections those allow. */
#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "daemon/machine.h"

START_TEST(machine_counts_only_processors_that_may_be_used)
{
    cpu_set_t all, one;

    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_uint_eq(machine_cpus(), (unsigned)CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(machine_cpus(), 1);
}
END_TEST

START_TEST(machine_raises_the_soft_limit_to_the_hard_one)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_ge(limit.rlim_max, 200);
    limit.rlim_cur = 100;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(machine_raise_descriptors(), limit.rlim_max);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

static const struct { unsigned wanted; unsigned long descriptors; unsigned others, fit; } fits[] = {
    { 10000, 1048576, 4, 10000 },       /* plenty */
    { 10000, 10068, 4, 10000 },         /* just so */
    { 10000, 10067, 4, 9999 },
    { 10000, 1024, 4, 956 },
    { 10000, 100, 4, 50 },              /* little: half of it */
    { 10000, 16, 400, 8 },
    { 10000, 1, 0, 1 },
    { 5, 1024, 4, 5 }
};

START_TEST(machine_fits_connections_to_descriptors)
{
    unsigned fit = machine_fit_connections(fits[_i].wanted, fits[_i].descriptors, fits[_i].others);

    ck_assert_uint_eq(fit, fits[_i].fit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *tc = tcase_create("machine");
    SRunner *sr = srunner_create(suite);
    int failed;

    tcase_add_test(tc, machine_counts_only_processors_that_may_be_used);
    tcase_add_test(tc, machine_raises_the_soft_limit_to_the_hard_one);
    tcase_add_loop_test(tc, machine_fits_connections_to_descriptors, 0, (int)(sizeof fits / sizeof *fits));
    suite_add_tcase(suite, tc);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
