/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/outq.c: bytes and files.  Marks have tests of their own. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "unit/outq_rig.h"

/* More than any address space: a pool with blocks of this size fails. */
static const size_t IMPOSSIBLE = (size_t)1 << 48;

/* AddressSanitizer ends a program that asks for too much, unless told to answer as malloc(3) does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* Takes the first n bytes that are in memory, as a socket would that takes no more. */
static size_t take(struct outq *q, char *to, size_t n)
{
    struct iovec iov[3];
    size_t bytes, done = 0;
    int count = outq_iov(q, iov, 3, &bytes);
    for (int i = 0; i < count && done < n; i++) {
        size_t part = iov[i].iov_len < n - done ? iov[i].iov_len : n - done;
        memcpy(to + done, iov[i].iov_base, part);
        done += part;
    }
    outq_advance(q, done);
    return done;
}

/* What is queued, all of it in memory, is this. */
static void check_all(struct outq *q, struct span expected)
{
    struct iovec iov[4096];
    size_t bytes, at = 0;
    int count = outq_iov(q, iov, 4096, &bytes);
    ck_assert_uint_eq(bytes, expected.n);
    ck_assert_uint_eq(q->bytes, expected.n);
    for (int i = 0; i < count; i++) {
        ck_assert_uint_gt(iov[i].iov_len, 0);
        ck_assert_mem_eq(iov[i].iov_base, expected.p + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    ck_assert_uint_eq(at, expected.n);
}

START_TEST(outq_is_empty_at_first)
{
    struct rig g;
    struct iovec iov[1];
    size_t bytes = 1;
    rig_open(&g);
    ck_assert_int_eq(outq_iov(&g.q, iov, 1, &bytes), 0);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_ptr_null(outq_head_file(&g.q));
    ck_assert(!outq_failed(&g.q));
    outq_advance(&g.q, 0);
    rig_close(&g);
}
END_TEST

START_TEST(outq_put_copies)
{
    struct rig g;
    char text[] = "hello";
    rig_open(&g);
    outq_put(&g.q, span_of(text));
    memset(text, 'x', 5);
    outq_put(&g.q, SPAN(""));
    check_all(&g.q, SPAN("hello"));
    ck_assert_uint_eq(g.q.items, 1);
    rig_close(&g);
}
END_TEST

START_TEST(outq_put_takes_more_than_a_block)
{
    struct rig g;
    size_t n = 5 * ENV_BLOCK_SIZE + 17;
    char *text = text_new(n, 1);
    rig_open(&g);
    outq_put(&g.q, (struct span){ text, n });
    check_all(&g.q, (struct span){ text, n });
    rig_close(&g);
    free(text);
}
END_TEST

START_TEST(outq_keeps_bytes_in_place_while_it_grows)
{
    struct rig g;
    struct iovec before[2], after[2];
    size_t bytes, n = 40000;
    char *text = text_new(n, 2);
    rig_open(&g);
    outq_put(&g.q, SPAN("first"));
    outq_lend(&g.q, SPAN("second"), NULL);
    ck_assert_int_eq(outq_iov(&g.q, before, 2, &bytes), 2);
    for (size_t i = 0; i < n; i += 100)
        outq_put(&g.q, (struct span){ text + i, 100 });
    ck_assert_int_eq(outq_iov(&g.q, after, 2, &bytes), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_eq(before[i].iov_base, after[i].iov_base);
        ck_assert_uint_eq(before[i].iov_len, after[i].iov_len);
    }
    ck_assert_mem_eq(after[0].iov_base, "first", 5);
    rig_close(&g);
    free(text);
}
END_TEST

START_TEST(outq_appends_behind_bytes_that_are_being_sent)
{
    struct rig g;
    struct iovec before, after;
    size_t bytes;
    rig_open(&g);
    outq_put(&g.q, SPAN("one"));
    outq_iov(&g.q, &before, 1, &bytes);
    outq_put(&g.q, SPAN("two"));
    outq_iov(&g.q, &after, 1, &bytes);
    ck_assert_ptr_eq(before.iov_base, after.iov_base);
    outq_advance(&g.q, before.iov_len);
    check_all(&g.q, SPAN("two"));
    outq_put(&g.q, SPAN("three"));
    check_all(&g.q, SPAN("twothree"));
    rig_close(&g);
}
END_TEST

START_TEST(outq_commits_less_than_was_reserved)
{
    struct rig g;
    rig_open(&g);
    char *to = outq_reserve(&g.q, 100);
    memcpy(to, "abcdef", 6);
    outq_commit(&g.q, 4);
    to = outq_reserve(&g.q, 2);
    memcpy(to, "yz", 2);
    outq_commit(&g.q, 2);
    check_all(&g.q, SPAN("abcdyz"));
    rig_close(&g);
}
END_TEST

START_TEST(outq_reserves_its_maximum_wherever_the_block_stands)
{
    for (size_t fill = 0; fill <= ENV_BLOCK_SIZE; fill += 61) {
        struct rig g;
        char *text = text_new(fill, 3);
        rig_open(&g);
        outq_put(&g.q, (struct span){ text, fill });
        char *to = outq_reserve(&g.q, OUTQ_RESERVE_MAX);
        ck_assert_ptr_nonnull(to);
        memset(to, 'r', OUTQ_RESERVE_MAX);      /* a sanitizer sees whether it is ours */
        outq_commit(&g.q, OUTQ_RESERVE_MAX);
        ck_assert_uint_eq(g.q.bytes, fill + OUTQ_RESERVE_MAX);
        rig_close(&g);
        free(text);
    }
}
END_TEST

START_TEST(outq_sends_nothing_of_a_reservation_that_was_not_committed)
{
    struct rig g;
    rig_open(&g);
    ck_assert_ptr_nonnull(outq_reserve(&g.q, 10));
    ck_assert_uint_eq(g.q.bytes, 0);
    outq_file(&g.q, file_new(1), 5, 10);
    ck_assert_ptr_nonnull(outq_head_file(&g.q));
    ck_assert_int_eq(outq_head_file(&g.q)->offset, 5);
    outq_advance(&g.q, 10);
    ck_assert_ptr_null(g.q.head);
    rig_close(&g);
}
END_TEST

START_TEST(outq_gives_at_most_as_many_pieces_as_asked_for)
{
    struct rig g;
    struct iovec iov[8];
    size_t bytes;
    rig_open(&g);
    for (int i = 0; i < 6; i++)
        outq_lend(&g.q, SPAN("ab"), NULL);
    for (int max = 0; max <= 8; max++) {
        int expected = max < 6 ? max : 6;
        ck_assert_int_eq(outq_iov(&g.q, iov, max, &bytes), expected);
        ck_assert_uint_eq(bytes, 2u * (unsigned)expected);
    }
    rig_close(&g);
}
END_TEST

START_TEST(outq_stops_at_a_file_range_and_goes_on_behind_it)
{
    struct rig g;
    struct iovec iov[8];
    size_t bytes;
    rig_open(&g);
    outq_put(&g.q, SPAN("head"));
    outq_file(&g.q, file_new(1), 100, 50);
    outq_lend(&g.q, SPAN("tail"), NULL);
    ck_assert_uint_eq(g.q.bytes, 58);
    ck_assert_ptr_null(outq_head_file(&g.q));
    ck_assert_int_eq(outq_iov(&g.q, iov, 8, &bytes), 1);
    ck_assert_uint_eq(bytes, 4);
    outq_advance(&g.q, 4);
    ck_assert_int_eq(outq_iov(&g.q, iov, 8, &bytes), 0);
    outq_advance(&g.q, 20);
    ck_assert_int_eq(outq_head_file(&g.q)->offset, 120);
    ck_assert_uint_eq(outq_head_file(&g.q)->left, 30);
    outq_advance(&g.q, 30);
    check_all(&g.q, SPAN("tail"));
    rig_close(&g);
}
END_TEST

/* Copied, lent, copied over several blocks, lent: all in memory. */
static void fill_mixed(struct outq *q, const char *text, size_t n)
{
    outq_put(q, (struct span){ text, 10 });
    outq_lend(q, (struct span){ text + 10, 7 }, NULL);
    outq_put(q, (struct span){ text + 17, n - 20 });
    outq_lend(q, (struct span){ text + n - 3, 3 }, NULL);
}

START_TEST(outq_advances_in_steps_of_every_size)
{
    enum { LENGTH = 100 };
    char *text = text_new(LENGTH, 4), got[LENGTH];
    for (size_t step = 1; step <= LENGTH; step++) {
        struct rig g;
        size_t at = 0;
        rig_open(&g);
        fill_mixed(&g.q, text, LENGTH);
        while (g.q.bytes > 0) {
            at += take(&g.q, got + at, step);
            ck_assert_uint_eq(g.q.bytes, LENGTH - at);
        }
        ck_assert_uint_eq(at, LENGTH);
        ck_assert_mem_eq(got, text, LENGTH);
        ck_assert_ptr_null(g.q.head);
        rig_close(&g);
    }
    free(text);
}
END_TEST

START_TEST(outq_advances_over_every_split_in_two)
{
    enum { LENGTH = 9000 };
    char *text = text_new(LENGTH, 5);
    for (size_t split = 0; split <= LENGTH; split += split < 60 || split > LENGTH - 60 ? 1 : 13) {
        struct rig g;
        rig_open(&g);
        fill_mixed(&g.q, text, LENGTH);
        outq_advance(&g.q, split);
        check_all(&g.q, (struct span){ text + split, LENGTH - split });
        rig_close(&g);
    }
    free(text);
}
END_TEST

START_TEST(outq_gives_references_back_when_their_bytes_are_sent)
{
    struct rig g;
    struct file *f = file_new(3);
    rig_open(&g);
    outq_lend(&g.q, SPAN("abc"), f);
    outq_file(&g.q, f, 0, 10);
    outq_advance(&g.q, 2);
    ck_assert_uint_eq(f->refs, 3);
    outq_advance(&g.q, 1);
    ck_assert_uint_eq(f->refs, 2);
    outq_advance(&g.q, 9);
    ck_assert_uint_eq(f->refs, 2);
    outq_advance(&g.q, 1);
    ck_assert_uint_eq(f->refs, 1);
    file_unref(f);
    rig_close(&g);
}
END_TEST

START_TEST(outq_gives_references_back_at_once_when_there_is_nothing_to_send)
{
    struct rig g;
    struct file *f = file_new(3);
    rig_open(&g);
    outq_lend(&g.q, SPAN(""), f);
    outq_file(&g.q, f, 7, 0);
    ck_assert_uint_eq(f->refs, 1);
    ck_assert_uint_eq(g.q.items, 0);
    ck_assert(!outq_failed(&g.q));
    file_unref(f);
    rig_close(&g);
}
END_TEST

START_TEST(outq_clear_gives_everything_back)
{
    struct rig g;
    struct file *f = file_new(3);
    rig_open(&g);
    outq_put(&g.q, SPAN("abc"));
    outq_lend(&g.q, SPAN("def"), f);
    outq_file(&g.q, f, 0, 1 << 20);
    outq_mark(&g.q, block_get(&g.env.blocks));
    outq_clear(&g.q);
    ck_assert_uint_eq(f->refs, 1);
    outq_put(&g.q, SPAN("again"));
    check_all(&g.q, SPAN("again"));
    file_unref(f);
    rig_close(&g);
}
END_TEST

/* --- failures --- */

START_TEST(outq_is_marked_when_a_put_finds_no_memory)
{
    struct rig g;
    rig_open(&g);
    outq_put(&g.q, SPAN("before"));
    outq_lend(&g.q, SPAN("x"), NULL);           /* so that the next put needs a block of its own */
    g.env.blocks.size = IMPOSSIBLE;
    outq_put(&g.q, SPAN("lost"));
    ck_assert(outq_failed(&g.q));
    ck_assert_ptr_null(outq_reserve(&g.q, 1));
    check_all(&g.q, SPAN("beforex"));
    g.env.blocks.size = ENV_BLOCK_SIZE;
    outq_put(&g.q, SPAN("later"));
    ck_assert(outq_failed(&g.q));
    rig_close(&g);
}
END_TEST

START_TEST(outq_gives_references_back_when_it_finds_no_memory)
{
    struct rig g;
    struct file *f = file_new(2);
    rig_open(&g);
    g.env.items.size = IMPOSSIBLE;
    outq_lend(&g.q, SPAN("abc"), f);
    ck_assert_uint_eq(f->refs, 1);
    ck_assert(outq_failed(&g.q));
    g.q.failed = false;
    outq_file(&g.q, file_ref(f), 0, 3);
    ck_assert_uint_eq(f->refs, 1);
    ck_assert(outq_failed(&g.q));
    outq_lend(&g.q, SPAN("abc"), NULL);
    ck_assert_uint_eq(g.q.bytes, 0);
    file_unref(f);
    rig_close(&g);
}
END_TEST

START_TEST(outq_gives_a_record_back_when_it_finds_no_memory)
{
    struct rig g;
    rig_open(&g);
    outq_put(&g.q, SPAN("abc"));
    struct access *a = block_get(&g.env.blocks);
    g.env.items.size = IMPOSSIBLE;
    outq_mark(&g.q, a);
    ck_assert(outq_failed(&g.q));
    ck_assert_uint_eq(g.q.items, 1);
    rig_close(&g);
}
END_TEST

/* --- everything, compared with a plain string --- */

static unsigned next_random(unsigned *state, unsigned below)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 16) % below;
}

START_TEST(outq_holds_what_a_plain_string_would_hold)
{
    enum { ROUNDS = 4000, TEXT = 6000 };
    struct rig g;
    char *text = text_new(TEXT, 7), *model = malloc((size_t)ROUNDS * TEXT), got[TEXT];
    size_t begin = 0, end = 0;
    unsigned seed = 11;
    rig_open(&g);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = next_random(&seed, 4) == 0 ? next_random(&seed, TEXT) : next_random(&seed, 80);
        size_t at = next_random(&seed, (unsigned)(TEXT - n));
        switch (next_random(&seed, 4)) {
        case 0:
            outq_put(&g.q, (struct span){ text + at, n });
            break;
        case 1:
            outq_lend(&g.q, (struct span){ text + at, n }, NULL);
            break;
        default:
            n = take(&g.q, got, n);
            ck_assert_mem_eq(got, model + begin, n);
            begin += n;
            n = 0;
        }
        memcpy(model + end, text + at, n);
        end += n;
        ck_assert_uint_eq(g.q.bytes, end - begin);
        ck_assert((g.q.items == 0) == (g.q.head == NULL));
    }
    rig_close(&g);
    free(model);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outq");
    TCase *t = tcase_create("outq");
    tcase_add_test(t, outq_is_empty_at_first);
    tcase_add_test(t, outq_put_copies);
    tcase_add_test(t, outq_put_takes_more_than_a_block);
    tcase_add_test(t, outq_keeps_bytes_in_place_while_it_grows);
    tcase_add_test(t, outq_appends_behind_bytes_that_are_being_sent);
    tcase_add_test(t, outq_commits_less_than_was_reserved);
    tcase_add_test(t, outq_reserves_its_maximum_wherever_the_block_stands);
    tcase_add_test(t, outq_sends_nothing_of_a_reservation_that_was_not_committed);
    tcase_add_test(t, outq_gives_at_most_as_many_pieces_as_asked_for);
    tcase_add_test(t, outq_stops_at_a_file_range_and_goes_on_behind_it);
    tcase_add_test(t, outq_advances_in_steps_of_every_size);
    tcase_add_test(t, outq_advances_over_every_split_in_two);
    tcase_add_test(t, outq_gives_references_back_when_their_bytes_are_sent);
    tcase_add_test(t, outq_gives_references_back_at_once_when_there_is_nothing_to_send);
    tcase_add_test(t, outq_clear_gives_everything_back);
    tcase_add_test(t, outq_is_marked_when_a_put_finds_no_memory);
    tcase_add_test(t, outq_gives_references_back_when_it_finds_no_memory);
    tcase_add_test(t, outq_gives_a_record_back_when_it_finds_no_memory);
    tcase_add_test(t, outq_holds_what_a_plain_string_would_hold);
    suite_add_tcase(s, t);

    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
