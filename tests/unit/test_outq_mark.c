/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/outq.c: marks, and the bytes that the access log says of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/access_tap.h"
#include "unit/outq_rig.h"

struct journal {
    struct rig        rig;
    struct access_tap tap;
};

static void journal_open(struct journal *j)
{
    rig_open(&j->rig);
    tap_open(&j->tap, "combined", &(struct access_source){ "epoll", "main.0" }, TAP_RING);
    j->rig.env.access = j->tap.log;
}

static void journal_close(struct journal *j)
{
    rig_close(&j->rig);
    tap_close(&j->tap);
}

/* Queues a mark for a reply whose target is one letter. */
static void mark(struct journal *j, char name, uint64_t body_bytes)
{
    struct access *a = block_get(&j->rig.env.blocks);
    *a = (struct access){ .status = 200, .body_bytes = body_bytes, .service = "s",
                          .method_n = 3, .target_n = 2, .version_n = 8 };
    memcpy(a->text, "GET/xHTTP/1.1", 13);
    a->text[4] = name;
    outq_mark(&j->rig.q, a);
}

/* How many bytes the log says of this reply; -1: nothing. */
static long long logged(struct journal *j, char name)
{
    char key[32];
    const char *text = tap_read(&j->tap);
    snprintf(key, sizeof key, "\"GET /%c HTTP/1.1\" 200 ", name);
    const char *at = strstr(text, key);
    if (at == NULL)
        return -1;
    ck_assert_msg(strstr(at + 1, key) == NULL, "logged twice: %s", text);
    at += strlen(key);
    return *at == '-' ? 0 : atoll(at);
}

START_TEST(outq_logs_a_mark_once_everything_before_it_is_sent)
{
    struct journal j;
    journal_open(&j);
    outq_put(&j.rig.q, SPAN("0123456789"));
    mark(&j, 'a', 6);
    outq_lend(&j.rig.q, SPAN("abcdef"), NULL);
    mark(&j, 'b', 6);
    outq_advance(&j.rig.q, 9);
    ck_assert_int_eq(logged(&j, 'a'), -1);
    outq_advance(&j.rig.q, 1);
    ck_assert_int_eq(logged(&j, 'a'), 6);
    ck_assert_int_eq(logged(&j, 'b'), -1);
    outq_advance(&j.rig.q, 6);
    ck_assert_int_eq(logged(&j, 'b'), 6);
    ck_assert_ptr_null(j.rig.q.head);
    journal_close(&j);
}
END_TEST

START_TEST(outq_logs_a_mark_at_once_when_nothing_is_queued)
{
    struct journal j;
    journal_open(&j);
    mark(&j, 'a', 0);
    ck_assert_uint_eq(j.rig.q.items, 0);
    ck_assert_int_eq(logged(&j, 'a'), 0);
    journal_close(&j);
}
END_TEST

START_TEST(outq_goes_on_over_marks_between_bytes)
{
    struct journal j;
    struct iovec iov[4];
    size_t bytes;
    journal_open(&j);
    outq_put(&j.rig.q, SPAN("one"));
    mark(&j, 'a', 1);
    outq_put(&j.rig.q, SPAN("two"));
    mark(&j, 'b', 1);
    outq_file(&j.rig.q, file_new(1), 0, 9);
    mark(&j, 'c', 9);
    ck_assert_int_eq(outq_iov(&j.rig.q, iov, 4, &bytes), 2);
    ck_assert_uint_eq(bytes, 6);
    outq_advance(&j.rig.q, 6);
    ck_assert_ptr_nonnull(outq_head_file(&j.rig.q));
    outq_advance(&j.rig.q, 9);
    ck_assert_int_eq(logged(&j, 'a'), 1);
    ck_assert_int_eq(logged(&j, 'b'), 1);
    ck_assert_int_eq(logged(&j, 'c'), 9);
    journal_close(&j);
}
END_TEST

/* A reply is a head of 20 bytes and a body of 100; two are queued, `sent` bytes go out, the rest is
 * dropped. */
static void drop_after(size_t sent)
{
    struct journal j;
    char *text = text_new(100, 6);
    journal_open(&j);
    for (char name = 'a'; name <= 'b'; name++) {
        outq_put(&j.rig.q, (struct span){ text, 20 });
        outq_lend(&j.rig.q, (struct span){ text, 100 }, NULL);
        mark(&j, name, 100);
    }
    outq_advance(&j.rig.q, sent);
    outq_clear(&j.rig.q);
    long long a = sent < 20 ? 0 : sent < 120 ? (long long)sent - 20 : 100;
    long long b = sent < 140 ? 0 : (long long)sent - 140;
    ck_assert_int_eq(logged(&j, 'a'), a);
    ck_assert_int_eq(logged(&j, 'b'), b);
    journal_close(&j);
    free(text);
}

START_TEST(outq_clear_logs_what_was_really_sent)
{
    for (size_t sent = 0; sent <= 240; sent++)
        drop_after(sent);
}
END_TEST

static TCase *case_marks(void)
{
    TCase *t = tcase_create("marks");
    tcase_add_test(t, outq_logs_a_mark_once_everything_before_it_is_sent);
    tcase_add_test(t, outq_logs_a_mark_at_once_when_nothing_is_queued);
    tcase_add_test(t, outq_goes_on_over_marks_between_bytes);
    tcase_add_test(t, outq_clear_logs_what_was_really_sent);
    return t;
}

int main(void)
{
    Suite *s = suite_create("outq_mark");
    suite_add_tcase(s, case_marks());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
