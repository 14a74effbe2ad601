/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/random.c. */
#include <check.h>
#include <string.h>

#include "base/random.h"

/* Appendix A of the paper on SipHash, and the vectors of its reference: key 00..0f, message 00..n-1. */
static const struct { size_t n; uint64_t hash; } vectors[] = {
    { 0, 0x726fdb47dd0e0e31u }, { 1, 0x74f839c593dc67fdu }, { 7, 0xab0200f58b01d137u },
    { 8, 0x93f5f5799a932462u }, { 15, 0xa129ca6149be45e5u }, { 16, 0x3f2acc7f57c29bdbu },
};

START_TEST(random_hash_is_siphash_2_4)
{
    static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    unsigned char message[16];
    for (unsigned i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)i;
    ck_assert_uint_eq(random_hash(key, message, vectors[_i].n), vectors[_i].hash);
}
END_TEST

START_TEST(random_bytes_are_others_each_time)
{
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    random_fill(a, sizeof a);
    random_fill(b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_mem_ne(a, a + 16, 16);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("random");
    TCase *tc = tcase_create("random");
    tcase_add_loop_test(tc, random_hash_is_siphash_2_4, 0, sizeof vectors / sizeof vectors[0]);
    tcase_add_test(tc, random_bytes_are_others_each_time);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
