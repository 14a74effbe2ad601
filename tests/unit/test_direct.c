/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/direct.c: plans of reads that begin and end on blocks, and what of them is sent. */
#include <check.h>
#include <stdint.h>

#include "driver/direct.h"

enum { STAGE = 64 * 1024 };

static struct direct_load planned(unsigned align, off_t offset, size_t left, size_t room)
{
    struct direct_load l = { .align = align, .at = 7, .ready = 9 };
    direct_plan(&l, offset, left, room);
    ck_assert_uint_eq(l.at, 0);
    ck_assert_uint_eq(l.ready, 0);
    return l;
}

static const struct plan {
    unsigned align;
    off_t    offset;
    size_t   left;
    off_t    read_at;           /* expected, as are: */
    size_t   read, skip;
} plans[] = {
    { 512, 0, 1, 0, 512, 0 },           { 512, 0, 511, 0, 512, 0 },         { 512, 0, 512, 0, 512, 0 },
    { 512, 0, 513, 0, 1024, 0 },        { 512, 1, 511, 0, 512, 1 },         { 512, 1, 512, 0, 1024, 1 },
    { 512, 511, 1, 0, 512, 511 },       { 512, 511, 2, 0, 1024, 511 },      { 512, 512, 1, 512, 512, 0 },
    { 512, 513, 1, 512, 512, 1 },       { 512, 4095, 1, 3584, 512, 511 },   { 512, 4096, 1, 4096, 512, 0 },
    { 4096, 0, 1, 0, 4096, 0 },         { 4096, 511, 1, 0, 4096, 511 },     { 4096, 512, 3584, 0, 4096, 512 },
    { 4096, 4095, 1, 0, 4096, 4095 },   { 4096, 4095, 2, 0, 8192, 4095 },   { 4096, 4096, 4096, 4096, 4096, 0 },
    { 4096, 4097, 4095, 4096, 4096, 1 }, { 4096, 4097, 4096, 4096, 8192, 1 },
    { 512, 0, STAGE - 1, 0, STAGE, 0 }, { 512, 0, STAGE, 0, STAGE, 0 },     { 512, 0, STAGE + 1, 0, STAGE, 0 },
    { 512, 1, STAGE - 1, 0, STAGE, 1 }, { 512, 1, STAGE - 2, 0, STAGE, 1 }, { 512, 1, STAGE, 0, STAGE, 1 },
    { 4096, 4095, STAGE - 4095, 0, STAGE, 4095 }, { 4096, 4095, STAGE, 0, STAGE, 4095 },
    { 4096, 1, SIZE_MAX / 2, 0, STAGE, 1 },
    { 4096, (off_t)1 << 40 | 1, 1, (off_t)1 << 40, 4096, 1 },
    { 0, 0, 1, 0, 1, 0 },               { 0, 4095, 3, 4095, 3, 0 },         { 0, 1, STAGE, 1, STAGE, 0 },
    { 0, 1, STAGE + 1, 1, STAGE, 0 },
};

START_TEST(direct_plan_reads_whole_blocks_around_the_range)
{
    const struct plan *p = &plans[_i];
    struct direct_load l = planned(p->align, p->offset, p->left, STAGE);
    ck_assert_int_eq(l.offset, p->read_at);
    ck_assert_uint_eq(l.n, p->read);
    ck_assert_uint_eq(l.skip, p->skip);
}
END_TEST

/* Reads as a file of this size would, a piece at a time, and counts what is sent. */
static void check_transfer(unsigned align, size_t size, size_t first, size_t left, size_t room)
{
    size_t block = align > 0 ? align : 1;
    while (left > 0) {
        struct direct_load l = planned(align, (off_t)first, left, room);
        ck_assert_uint_eq((size_t)l.offset % block, 0);
        ck_assert_uint_eq(l.n % block, 0);
        ck_assert_uint_le(l.n, room);
        ck_assert_uint_eq((size_t)l.offset + l.skip, first);
        size_t got = size - (size_t)l.offset < l.n ? size - (size_t)l.offset : l.n;
        ck_assert(direct_loaded(&l, got, left));
        ck_assert_uint_eq(l.at, l.skip);
        ck_assert_uint_le(l.ready, left);
        ck_assert_uint_le(l.at + l.ready, got);
        ck_assert(l.ready == left || l.n == room);      /* less than all only when the stage is full */
        first += l.ready;
        left -= l.ready;
    }
}

static const size_t borders[] = { 0, 1, 2, 511, 512, 513, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 12287, 12288,
                                  12289, 65535, 65536, 65537, 69631, 69632, 69633, 131071, 131072, 131073 };
enum { BORDERS = sizeof borders / sizeof borders[0] };

START_TEST(direct_pieces_add_up_to_every_range_of_every_file)
{
    static const unsigned aligns[] = { 0, 512, 1024, 4096 };
    for (size_t s = 1; s < BORDERS; s++)
        for (size_t f = 0; f < s; f++)
            for (size_t n = 1; n <= s && borders[f] + borders[n] <= borders[s]; n++) {
                check_transfer(aligns[_i], borders[s], borders[f], borders[n], 8192);
                check_transfer(aligns[_i], borders[s], borders[f], borders[s] - borders[f], STAGE);
            }
}
END_TEST

START_TEST(direct_loaded_cuts_the_head_and_the_tail)
{
    struct direct_load l = planned(512, 100, 50, STAGE);
    ck_assert(direct_loaded(&l, 512, 50));
    ck_assert_uint_eq(l.at, 100);
    ck_assert_uint_eq(l.ready, 50);
    direct_sent(&l, 20);
    ck_assert_uint_eq(l.at, 120);
    ck_assert_uint_eq(l.ready, 30);
    direct_sent(&l, 30);
    ck_assert_uint_eq(l.ready, 0);
}
END_TEST

START_TEST(direct_loaded_sends_what_a_short_read_brought)
{
    struct direct_load l = planned(512, 100, 1000, STAGE);
    ck_assert(direct_loaded(&l, 101, 1000));
    ck_assert_uint_eq(l.at, 100);
    ck_assert_uint_eq(l.ready, 1);
}
END_TEST

START_TEST(direct_loaded_says_when_the_file_has_shrunk)
{
    struct direct_load l = planned(512, 100, 1000, STAGE);
    ck_assert(!direct_loaded(&l, 0, 1000));
    ck_assert(!direct_loaded(&l, 99, 1000));
    ck_assert(!direct_loaded(&l, 100, 1000));
    ck_assert_uint_eq(l.ready, 0);
    l = planned(0, 100, 1000, STAGE);
    ck_assert(!direct_loaded(&l, 0, 1000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("direct");
    TCase *t = tcase_create("direct");
    tcase_add_loop_test(t, direct_plan_reads_whole_blocks_around_the_range, 0, sizeof plans / sizeof plans[0]);
    tcase_add_loop_test(t, direct_pieces_add_up_to_every_range_of_every_file, 0, 4);
    tcase_add_test(t, direct_loaded_cuts_the_head_and_the_tail);
    tcase_add_test(t, direct_loaded_sends_what_a_short_read_brought);
    tcase_add_test(t, direct_loaded_says_when_the_file_has_shrunk);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
