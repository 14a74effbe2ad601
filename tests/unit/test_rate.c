/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/rate.c, on a clock that stands still until a test moves it. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "core/rate.h"

enum { SEED = 4711, NOW = 1000000, THREADS = 4 };

static struct peer ip4(uint32_t address)
{
    struct peer p = { .family = AF_INET, .port = 5000 };
    address = htonl(address);
    memcpy(p.address, &address, 4);
    return p;
}

static struct peer ip6(const char *text)
{
    struct peer p = { .family = AF_INET6, .port = 5000 };
    ck_assert_int_eq(inet_pton(AF_INET6, text, p.address), 1);
    return p;
}

/* How many of `tries` answers are allowed at once. */
static unsigned allowed(struct rate *r, struct peer p, unsigned tries, uint64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) {
        p.port++;
        n += rate_allows(r, &p, now_ms);
    }
    return n;
}

START_TEST(rate_allows_a_second_of_answers_at_once_and_then_holds_back)
{
    static const unsigned limits[] = { 1, 3, 7, 100, 999, 30000, RATE_MAX };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rate *r = rate_new(limits[i], SEED);
        ck_assert_uint_eq(allowed(r, ip4(1), limits[i] + 100, NOW), limits[i]);
        rate_free(r);
    }
}
END_TEST

START_TEST(rate_recovers_as_time_passes)
{
    struct rate *r = rate_new(10, SEED);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW), 10);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 99), 0);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 100), 1);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 600), 5);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 3600000), 10);
    rate_free(r);
}
END_TEST

START_TEST(rate_counts_no_answer_that_it_refused)
{
    struct rate *r = rate_new(10, SEED);
    allowed(r, ip4(1), 100000, NOW);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 1000), 10);
    rate_free(r);
}
END_TEST

START_TEST(rate_holds_over_a_long_time)
{
    struct rate *r = rate_new(100, SEED);
    unsigned n = 0;
    for (uint64_t ms = 0; ms < 60000; ms++)
        n += allowed(r, ip4(1), 3, NOW + ms);
    ck_assert_uint_ge(n, 60 * 100);
    ck_assert_uint_le(n, 61 * 100);
    rate_free(r);
}
END_TEST

START_TEST(rate_bears_a_clock_that_is_behind)
{
    struct rate *r = rate_new(10, SEED);        /* threads read their clocks at different times */
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW), 10);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW - 50), 0);
    ck_assert_uint_eq(allowed(r, ip4(1), 20, NOW + 1000), 10);
    rate_free(r);
}
END_TEST

START_TEST(rate_is_for_each_address_by_itself)
{
    struct rate *r = rate_new(5, SEED);
    for (uint32_t i = 0; i < 500; i++)
        ck_assert_uint_eq(allowed(r, ip4(0x7f000000 + i), 10, NOW), 5);
    rate_free(r);
}
END_TEST

START_TEST(rate_takes_a_64_of_ip6_for_one_address)
{
    struct rate *r = rate_new(5, SEED);
    ck_assert_uint_eq(allowed(r, ip6("2001:db8::1"), 3, NOW), 3);
    ck_assert_uint_eq(allowed(r, ip6("2001:db8::ffff:2"), 9, NOW), 2);
    ck_assert_uint_eq(allowed(r, ip6("2001:db8:0:1::1"), 9, NOW), 5);
    ck_assert_uint_eq(allowed(r, ip6("::1"), 9, NOW), 5);
    rate_free(r);
}
END_TEST

START_TEST(rate_keeps_ip4_and_ip6_apart)
{
    struct rate *r = rate_new(5, SEED);
    ck_assert_uint_eq(allowed(r, ip4(0x7f000001), 9, NOW), 5);
    ck_assert_uint_eq(allowed(r, ip6("0:0:7f00:1::"), 9, NOW), 5);
    ck_assert_uint_eq(allowed(r, ip6("7f00:1::"), 9, NOW), 5);
    ck_assert_uint_eq(allowed(r, ip4(0), 9, NOW), 5);
    ck_assert_uint_eq(allowed(r, ip6("::"), 9, NOW), 5);
    rate_free(r);
}
END_TEST

START_TEST(rate_remembers_who_is_held_back_while_a_flood_of_others_comes)
{
    struct rate *r = rate_new(100, SEED);
    ck_assert_uint_eq(allowed(r, ip4(1), 200, NOW), 100);
    for (uint32_t i = 0; i < 50 * RATE_ADDRESSES; i++)
        allowed(r, ip4(0x0a000000 + i), 1, NOW);
    ck_assert_uint_eq(allowed(r, ip4(1), 200, NOW), 0);
    rate_free(r);
}
END_TEST

START_TEST(rate_forgets_first_who_was_silent_for_long)
{
    struct rate *r = rate_new(2, SEED);
    for (uint32_t i = 0; i < 20 * RATE_ADDRESSES; i++)
        allowed(r, ip4(0x0a000000 + i), 1, NOW);                /* the table is full */
    for (uint32_t i = 0; i < RATE_ADDRESSES / 20; i++)
        ck_assert_uint_eq(allowed(r, ip4(0x0b000000 + i), 9, NOW + 5000), 2);
    for (uint32_t i = 0; i < RATE_ADDRESSES / 20; i++)
        ck_assert_uint_eq(allowed(r, ip4(0x0b000000 + i), 9, NOW + 5000), 0);
    rate_free(r);
}
END_TEST

START_TEST(rate_spreads_neighbours_over_its_table)
{
    struct rate *r = rate_new(1, SEED);
    unsigned forgotten = 0;
    for (uint32_t i = 0; i < RATE_ADDRESSES / 4; i++)
        ck_assert(allowed(r, ip4(0xc0a80000 + i), 1, NOW) == 1);
    for (uint32_t i = 0; i < RATE_ADDRESSES / 4; i++)
        forgotten += allowed(r, ip4(0xc0a80000 + i), 1, NOW);
    ck_assert_uint_le(forgotten, RATE_ADDRESSES / 100);
    rate_free(r);
}
END_TEST

static void *take_many(void *arg)
{
    return (void *)(uintptr_t)allowed(arg, ip4(1), 20000, NOW);
}

START_TEST(rate_is_exact_for_threads_that_share_it)
{
    struct rate *r = rate_new(10000, SEED);
    pthread_t threads[THREADS];
    uintptr_t sum = 0;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many, r), 0);
    for (int i = 0; i < THREADS; i++) {
        void *n;
        pthread_join(threads[i], &n);
        sum += (uintptr_t)n;
    }
    ck_assert_uint_eq(sum, 10000);
    rate_free(r);
}
END_TEST

START_TEST(rate_free_takes_nothing)
{
    rate_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rate");
    TCase *t = tcase_create("rate");
    tcase_add_test(t, rate_allows_a_second_of_answers_at_once_and_then_holds_back);
    tcase_add_test(t, rate_recovers_as_time_passes);
    tcase_add_test(t, rate_counts_no_answer_that_it_refused);
    tcase_add_test(t, rate_holds_over_a_long_time);
    tcase_add_test(t, rate_bears_a_clock_that_is_behind);
    tcase_add_test(t, rate_is_for_each_address_by_itself);
    tcase_add_test(t, rate_takes_a_64_of_ip6_for_one_address);
    tcase_add_test(t, rate_keeps_ip4_and_ip6_apart);
    tcase_add_test(t, rate_remembers_who_is_held_back_while_a_flood_of_others_comes);
    tcase_add_test(t, rate_forgets_first_who_was_silent_for_long);
    tcase_add_test(t, rate_spreads_neighbours_over_its_table);
    tcase_add_test(t, rate_is_exact_for_threads_that_share_it);
    tcase_add_test(t, rate_free_takes_nothing);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
