/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/block.c. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"

START_TEST(block_hands_out_what_came_back_last)
{
    struct block_pool p = { .size = 64, .spare_max = 8 };
    void *a = block_get(&p), *b = block_get(&p);
    ck_assert(a != NULL && b != NULL && a != b);
    block_put_back(&p, a);
    block_put_back(&p, b);
    ck_assert_uint_eq(p.spare_count, 2);
    ck_assert_ptr_eq(block_get(&p), b);
    ck_assert_ptr_eq(block_get(&p), a);
    ck_assert_uint_eq(p.spare_count, 0);
    block_put_back(&p, a);
    block_put_back(&p, b);
    block_pool_free(&p);
}
END_TEST

START_TEST(block_keeps_no_more_spare_blocks_than_it_may)
{
    struct block_pool p = { .size = 4096, .spare_max = 3 };
    void *out[10];
    for (int i = 0; i < 10; i++) {
        out[i] = block_get(&p);
        memset(out[i], i, 4096);
    }
    for (int i = 0; i < 10; i++)
        block_put_back(&p, out[i]);
    ck_assert_uint_eq(p.spare_count, 3);
    block_pool_free(&p);
    ck_assert_uint_eq(p.spare_count, 0);
    ck_assert_ptr_null(p.spare);
}
END_TEST

START_TEST(block_keeps_nothing_when_told_so)
{
    struct block_pool p = { .size = 64 };
    block_put_back(&p, block_get(&p));
    ck_assert_uint_eq(p.spare_count, 0);
    ck_assert_ptr_null(p.spare);
    block_pool_free(&p);
}
END_TEST

START_TEST(block_takes_null_back)
{
    struct block_pool p = { .size = 64, .spare_max = 1 };
    block_put_back(&p, NULL);
    ck_assert_uint_eq(p.spare_count, 0);
}
END_TEST

START_TEST(block_is_aligned_for_any_type)
{
    struct block_pool p = { .size = 72, .spare_max = 4 };
    void *out[20];
    for (int i = 0; i < 20; i++) {
        out[i] = block_get(&p);
        ck_assert_uint_eq((uintptr_t)out[i] % _Alignof(max_align_t), 0);
    }
    for (int i = 0; i < 20; i++)
        block_put_back(&p, out[i]);
    block_pool_free(&p);
}
END_TEST

START_TEST(block_pool_works_on_after_free)
{
    struct block_pool p = { .size = 64, .spare_max = 1 };
    block_put_back(&p, block_get(&p));
    block_pool_free(&p);
    block_pool_free(&p);
    void *b = block_get(&p);
    ck_assert_ptr_nonnull(b);
    block_put_back(&p, b);
    ck_assert_uint_eq(p.spare_count, 1);
    block_pool_free(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("block");
    TCase *t = tcase_create("block");
    tcase_add_test(t, block_hands_out_what_came_back_last);
    tcase_add_test(t, block_keeps_no_more_spare_blocks_than_it_may);
    tcase_add_test(t, block_keeps_nothing_when_told_so);
    tcase_add_test(t, block_takes_null_back);
    tcase_add_test(t, block_is_aligned_for_any_type);
    tcase_add_test(t, block_pool_works_on_after_free);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
