/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings that rule over the file, the counters that outlive a program, and how that is named. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ledger.h"
#include "daemon/overrides.h"
#include "daemon/program.h"

static const struct ledger_owner somebody = { .worker = "main.0", .model = "poll" };

START_TEST(overrides_have_one_value_for_a_path)
{
    struct overrides o = { 0 }, copy = { 0 };

    ck_assert_int_eq(overrides_put(&o, "a=1"), 0);
    ck_assert_int_eq(overrides_put(&o, "a.b=2"), 0);
    ck_assert_int_eq(overrides_put(&o, "a=3=4"), 0);
    ck_assert_uint_eq(o.count, 2);
    ck_assert_str_eq(o.v[0], "a=3=4");
    ck_assert(overrides_has(&o, "a.b"));
    ck_assert(!overrides_has(&o, "a."));
    ck_assert(!overrides_has(&o, "b"));
    ck_assert_int_eq(overrides_copy(&copy, &o), 0);
    ck_assert(overrides_remove(&o, "a="));
    ck_assert(!overrides_remove(&o, "a"));
    ck_assert_str_eq(o.v[0], "a.b=2");
    ck_assert_uint_eq(copy.count, 2);
    overrides_move(&o, &copy);
    ck_assert_uint_eq(o.count, 2);
    ck_assert_uint_eq(copy.count, 0);
    overrides_free(&o);
    overrides_free(&copy);
}
END_TEST

START_TEST(overrides_need_a_path_and_have_an_end)
{
    struct overrides o = { 0 };
    char text[32];

    ck_assert_int_eq(overrides_put(&o, "=1"), -1);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(overrides_put(&o, "workers"), -1);
    for (int i = 0; i < OVERRIDES_MAX; i++) {
        snprintf(text, sizeof text, "a%d=1", i);
        ck_assert_int_eq(overrides_put(&o, text), 0);
    }
    ck_assert_int_eq(overrides_put(&o, "more=1"), -1);
    ck_assert_int_eq(errno, E2BIG);
    ck_assert_int_eq(overrides_put(&o, "a5=2"), 0);
    overrides_free(&o);
}
END_TEST

START_TEST(ledger_goes_on_in_the_next_program)
{
    struct ledger one, two;
    struct metric_slot sum;
    struct ledger_owner o;
    int slot;

    ck_assert_int_eq(ledger_open(&one), 0);
    slot = ledger_take(&one, &somebody);
    one.slots[slot].total.requests = 5;
    one.slots[slot].active = 2;
    ck_assert_int_eq(ledger_adopt(&two, dup(one.page.fd), false), 0);
    ledger_sum(&two, &sum);
    ck_assert_uint_eq(sum.total.requests, 5);
    ck_assert_uint_eq(sum.active, 2);
    ck_assert(ledger_nth(&two, 0, &o));
    ck_assert_str_eq(o.worker, "main.0");
    ck_assert(ledger_claim(&two, slot));
    ck_assert(!ledger_claim(&two, slot));
    ck_assert(!ledger_claim(&two, LEDGER_ROOM));
    ck_assert(!ledger_claim(&two, -1));
    one.slots[slot].total.requests = 6;         /* its worker counts on */
    ledger_sum(&two, &sum);
    ck_assert_uint_eq(sum.total.requests, 6);
    ledger_close(&one);
    ledger_close(&two);
}
END_TEST

START_TEST(ledger_leaves_slots_to_workers_without_a_master)
{
    struct ledger one, two;
    int alive, dead;

    ck_assert_int_eq(ledger_open(&one), 0);
    alive = ledger_take(&one, &somebody);
    dead = ledger_take(&one, &somebody);
    ledger_own(&one, alive, getpid());
    ledger_own(&one, dead, 1 << 30);
    one.slots[alive].active = one.slots[dead].active = 3;
    ck_assert_int_eq(ledger_adopt(&two, dup(one.page.fd), true), 0);
    ck_assert_uint_eq(two.slots[alive].active, 3);
    ck_assert_uint_eq(two.slots[dead].active, 0);
    ck_assert_int_eq(ledger_take(&two, &somebody), dead);
    ck_assert_int_eq(ledger_take(&two, &somebody), 2);
    ledger_close(&one);
    ledger_close(&two);
}
END_TEST

START_TEST(ledger_of_another_kind_is_refused)
{
    struct shared s;
    struct ledger t, one;
    char *layout;
    int null = open("/dev/null", O_RDWR);

    ck_assert_int_eq(ledger_adopt(&t, null, false), -1);
    ledger_close(&t);
    ck_assert_int_eq(shared_open(&s, "test", 4096), 0);
    ck_assert_int_eq(ledger_adopt(&t, dup(s.fd), false), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ledger_close(&t);
    shared_close(&s);
    ck_assert_int_eq(ledger_open(&one), 0);
    layout = (char *)one.names;
    layout[3] ^= 1;                     /* over exec the state says how it is laid out, where no worker can write */
    ck_assert_int_eq(ledger_adopt(&t, dup(one.page.fd), true), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ledger_close(&t);
    ledger_close(&one);
}
END_TEST

START_TEST(program_is_found_as_a_shell_finds_it)
{
    char path[PATH_MAX], here[PATH_MAX], folder[] = "/tmp/test_program.XXXXXX", wanted[64];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(program_path("/a/b", path), 0);
    ck_assert_str_eq(path, "/a/b");
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(program_path("./x", path), 0);
    snprintf(wanted, sizeof wanted, "%s/./x", folder);
    ck_assert_str_eq(path, wanted);
    close(open("p", O_CREAT | O_WRONLY, 0755));
    snprintf(wanted, sizeof wanted, "/nonexistent::%s", folder);
    setenv("PATH", wanted, 1);
    ck_assert_int_eq(program_path("p", path), 0);
    snprintf(wanted, sizeof wanted, "%s/p", folder);
    ck_assert_str_eq(path, wanted);
    ck_assert_int_eq(program_path("q", path), -1);
    ck_assert_int_eq(program_path("", path), -1);
    unlink("p");
    ck_assert_int_eq(chdir(here), 0);
    rmdir(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("overrides");
    TCase *t = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, overrides_have_one_value_for_a_path);
    tcase_add_test(t, overrides_need_a_path_and_have_an_end);
    tcase_add_test(t, ledger_goes_on_in_the_next_program);
    tcase_add_test(t, ledger_leaves_slots_to_workers_without_a_master);
    tcase_add_test(t, ledger_of_another_kind_is_refused);
    tcase_add_test(t, program_is_found_as_a_shell_finds_it);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
