/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/heap.c. */
#include <check.h>
#include <stdlib.h>

#include "base/heap.h"

enum { NODES = 500 };

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Every node knows its place, and no parent is larger than its children. */
static void check_order(const struct heap *h)
{
    size_t bad = 0;
    for (size_t i = 1; i <= h->count; i++)
        bad += h->v[i]->at != i || (i > 1 && h->v[i / 2]->key > h->v[i]->key);
    ck_assert_uint_eq(bad, 0);
}

START_TEST(heap_is_empty_at_first)
{
    struct heap h = { 0 };
    ck_assert_ptr_null(heap_top(&h));
    heap_free(&h);
}
END_TEST

START_TEST(heap_gives_the_smallest_key_first)
{
    struct heap h = { 0 };
    struct heap_node n[NODES] = { 0 };
    uint32_t seed = 7;
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(heap_set(&h, &n[i], random_next(&seed) % 100), 0);
    uint64_t last = 0;
    for (int i = 0; i < NODES; i++) {
        struct heap_node *top = heap_top(&h);
        ck_assert_uint_ge(top->key, last);
        last = top->key;
        heap_remove(&h, top);
        ck_assert_uint_eq(top->at, 0);
        check_order(&h);
    }
    ck_assert_ptr_null(heap_top(&h));
    heap_free(&h);
}
END_TEST

START_TEST(heap_moves_a_node_that_is_in)
{
    struct heap h = { 0 };
    struct heap_node a = { 0 }, b = { 0 }, c = { 0 };
    heap_set(&h, &a, 10);
    heap_set(&h, &b, 20);
    heap_set(&h, &c, 30);
    heap_set(&h, &c, 5);
    ck_assert_ptr_eq(heap_top(&h), &c);
    heap_set(&h, &c, UINT64_MAX);
    ck_assert_ptr_eq(heap_top(&h), &a);
    heap_set(&h, &a, 25);
    ck_assert_ptr_eq(heap_top(&h), &b);
    ck_assert_uint_eq(h.count, 3);
    heap_free(&h);
}
END_TEST

START_TEST(heap_remove_is_harmless_for_a_node_that_is_out)
{
    struct heap h = { 0 };
    struct heap_node a = { 0 }, b = { 0 };
    heap_remove(&h, &a);
    heap_set(&h, &b, 1);
    heap_remove(&h, &a);
    heap_remove(&h, &b);
    heap_remove(&h, &b);
    ck_assert_ptr_null(heap_top(&h));
    heap_free(&h);
}
END_TEST

START_TEST(heap_stays_in_order_whatever_is_done_to_it)
{
    struct heap h = { 0 };
    struct heap_node n[NODES] = { 0 };
    uint32_t seed = 42;
    size_t in = 0;
    for (int step = 0; step < 10000; step++) {
        struct heap_node *x = &n[random_next(&seed) % NODES];
        bool was_in = x->at != 0;
        if (random_next(&seed) % 3 == 0) {
            heap_remove(&h, x);
            in -= was_in;
        } else {
            if (heap_set(&h, x, random_next(&seed) % 1000) == -1)
                ck_abort_msg("heap_set failed");
            in += !was_in;
        }
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < NODES; i++)
            if (n[i].at != 0 && n[i].key < least)
                least = n[i].key;
        uint64_t top = heap_top(&h) != NULL ? heap_top(&h)->key : UINT64_MAX;
        if (h.count != in || top != least)
            ck_abort_msg("step %d: %zu nodes, %zu wanted", step, h.count, in);
        if (step % 100 == 0)
            check_order(&h);
    }
    heap_free(&h);
}
END_TEST

START_TEST(heap_free_leaves_an_empty_heap)
{
    struct heap h = { 0 };
    struct heap_node a = { 0 };
    heap_set(&h, &a, 1);
    heap_remove(&h, &a);
    heap_free(&h);
    heap_free(&h);
    ck_assert_ptr_null(heap_top(&h));
    ck_assert_int_eq(heap_set(&h, &a, 2), 0);
    ck_assert_ptr_eq(heap_top(&h), &a);
    heap_free(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("heap");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, heap_is_empty_at_first);
    tcase_add_test(t, heap_gives_the_smallest_key_first);
    tcase_add_test(t, heap_moves_a_node_that_is_in);
    tcase_add_test(t, heap_remove_is_harmless_for_a_node_that_is_out);
    tcase_add_test(t, heap_stays_in_order_whatever_is_done_to_it);
    tcase_add_test(t, heap_free_leaves_an_empty_heap);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
