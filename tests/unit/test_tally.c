/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/tally.c. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/tally.h"

static struct peer ip4(unsigned address)
{
    struct peer p = { .family = AF_INET, .port = (uint16_t)(address * 7) };
    for (int i = 0; i < 4; i++)
        p.address[i] = (uint8_t)(address >> (24 - 8 * i));
    return p;
}

static struct peer ip6(uint8_t net, uint8_t host)
{
    struct peer p = { .family = AF_INET6 };
    p.address[7] = net;
    p.address[15] = host;
    return p;
}

static bool enters(struct tally *t, struct peer p)
{
    bool counted, allowed = tally_enter(t, &p, &counted);
    ck_assert(counted == allowed);
    return allowed;
}

START_TEST(tally_lets_in_so_many_of_an_address)
{
    struct tally *t = tally_new(3, 10, 1);
    struct peer a = ip4(0x7f000001), b = ip4(0x7f000002);
    for (int i = 0; i < 3; i++) {
        ck_assert(!tally_is_full(t, &a));
        a.port++;
        ck_assert(enters(t, a));
    }
    ck_assert(tally_is_full(t, &a) && !enters(t, a) && !enters(t, a));
    ck_assert(!tally_is_full(t, &b) && enters(t, b));
    tally_leave(t, &a);
    ck_assert(!tally_is_full(t, &a) && enters(t, a) && !enters(t, a));
    tally_free(t);
}
END_TEST

START_TEST(tally_takes_a_network_of_64_bits_for_one_client)
{
    struct tally *t = tally_new(2, 10, 1);
    ck_assert(enters(t, ip6(0, 1)) && enters(t, ip6(0, 2)) && !enters(t, ip6(0, 3)));
    ck_assert(enters(t, ip6(1, 1)));
    tally_leave(t, &(struct peer){ .family = AF_INET6 });
    ck_assert(enters(t, ip6(0, 9)));
    tally_free(t);
}
END_TEST

START_TEST(tally_does_not_count_who_has_no_address)
{
    struct tally *t = tally_new(1, 10, 1);
    struct peer local = { .family = AF_UNIX }, unknown = { 0 };
    bool counted = true;
    for (int i = 0; i < 5; i++) {
        ck_assert(tally_enter(t, &local, &counted) && !counted);
        ck_assert(tally_enter(t, &unknown, &counted) && !counted);
        ck_assert(!tally_is_full(t, &local));
    }
    tally_free(t);
}
END_TEST

/* Against a plain count, with many addresses on few places. */
START_TEST(tally_counts_right_whoever_comes_and_goes)
{
    enum { ADDRESSES = 300, STEPS = 40000, LIMIT = 4 };
    struct tally *t = tally_new(LIMIT, ADDRESSES, (uint64_t)_i);
    unsigned seen[ADDRESSES] = { 0 };
    srand((unsigned)_i + 1);
    for (int i = 0; i < STEPS; i++) {
        unsigned at = (unsigned)rand() % ADDRESSES;
        struct peer p = ip4(at * 0x10001);
        if (rand() % 2 == 0) {
            bool allowed = enters(t, p);
            ck_assert(allowed == (seen[at] < LIMIT));
            seen[at] += allowed;
        } else if (seen[at] > 0) {
            tally_leave(t, &p);
            seen[at]--;
        }
        ck_assert(tally_is_full(t, &p) == (seen[at] == LIMIT));
    }
    tally_free(t);
}
END_TEST

START_TEST(tally_lets_in_without_counting_when_there_are_too_many)
{
    struct tally *t = tally_new(1, 1, 7);
    unsigned counted_all = 0, allowed_all = 0;
    bool counted[1000];
    for (unsigned i = 0; i < 1000; i++) {
        struct peer p = ip4(i);
        allowed_all += tally_enter(t, &p, &counted[i]);
        counted_all += counted[i];
    }
    ck_assert_uint_eq(allowed_all, 1000);
    ck_assert_uint_lt(counted_all, 64);
    for (unsigned i = 0; i < 1000; i++) {
        struct peer p = ip4(i);
        if (counted[i])
            tally_leave(t, &p);
    }
    ck_assert(enters(t, ip4(5000)) && !enters(t, ip4(5000)));
    tally_free(t);
}
END_TEST

START_TEST(tally_has_news_once_in_a_while)
{
    struct tally *t = tally_new(1, 1, 7);
    ck_assert(tally_is_news(t, 1000));
    ck_assert(!tally_is_news(t, 1000));
    ck_assert(!tally_is_news(t, 60999));
    ck_assert(tally_is_news(t, 61000));
    tally_free(t);
    tally_free(NULL);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000 };

static void *come_and_go(void *arg)
{
    struct tally *t = arg;
    struct peer p = ip4(1);
    for (int i = 0; i < ROUNDS; i++) {
        bool counted;
        if (tally_enter(t, &p, &counted) && counted)
            tally_leave(t, &p);
    }
    return NULL;
}

START_TEST(tally_keeps_count_with_threads)
{
    struct tally *t = tally_new(2, 10, 3);
    pthread_t id[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&id[i], NULL, come_and_go, t), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(id[i], NULL);
    ck_assert(enters(t, ip4(1)) && enters(t, ip4(1)) && !enters(t, ip4(1)));
    tally_free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tally");
    TCase *t = tcase_create("tally");
    tcase_add_test(t, tally_lets_in_so_many_of_an_address);
    tcase_add_test(t, tally_takes_a_network_of_64_bits_for_one_client);
    tcase_add_test(t, tally_does_not_count_who_has_no_address);
    tcase_add_loop_test(t, tally_counts_right_whoever_comes_and_goes, 0, 4);
    tcase_add_test(t, tally_lets_in_without_counting_when_there_are_too_many);
    tcase_add_test(t, tally_has_news_once_in_a_while);
    tcase_add_test(t, tally_keeps_count_with_threads);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
