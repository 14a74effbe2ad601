/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/warm.c.  Owners are only ever compared, so plain numbers stand in for connections. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/warm.h"
#include "unit/folder.h"

enum { WAIT_MS = 20000, SIZE = 100000 };

static struct conn *owner_of(size_t number)
{
    return (struct conn *)(uintptr_t)(number * 16 + 16);
}

static size_t number_of(const struct conn *owner)
{
    return (size_t)(uintptr_t)owner / 16 - 1;
}

static bool rings(const struct warm *w, int timeout_ms)
{
    struct pollfd p = { .fd = warm_fd(w), .events = POLLIN };
    return poll(&p, 1, timeout_ms) == 1;
}

static int ask(struct warm *w, struct conn *owner, int fd, off_t offset, size_t n)
{
    return warm_ask(w, owner, &(struct warm_range){ .fd = fd, .offset = offset, .n = n });
}

static struct conn *next_answer(struct warm *w)
{
    ssize_t result;
    return warm_answer(w, &result);
}

/* The next answer, waited for as a loop does. */
static struct conn *answer(struct warm *w)
{
    for (;;) {
        struct conn *c = next_answer(w);
        if (c != NULL)
            return c;
        ck_assert(rings(w, WAIT_MS));
    }
}

static int file_of(size_t n)
{
    int fd = memfd_create("warm", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
    return fd;
}

START_TEST(warm_starts_no_thread_and_says_nothing_unasked)
{
    unsigned before = descriptors_open();
    struct warm *w = warm_open();
    ck_assert_ptr_nonnull(w);
    ck_assert_ptr_null(next_answer(w));
    ck_assert(!rings(w, 0));
    warm_close(w);
    warm_close(NULL);
    ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

START_TEST(warm_answers_each_question_once)
{
    enum { ASKS = 3000 };
    struct warm *w = warm_open();
    unsigned *times = calloc(ASKS, sizeof *times);
    int fd = file_of(SIZE);
    size_t asked = 0, answered = 0;
    while (answered < ASKS) {
        for (int burst = 0; burst < 50 && asked < ASKS; burst++, asked++)
            ck_assert_int_eq(ask(w, owner_of(asked), fd, (off_t)(asked % 7) * 1000, asked % SIZE), 0);
        for (struct conn *c = answer(w); c != NULL; c = next_answer(w), answered++) {
            ck_assert_uint_lt(number_of(c), ASKS);
            ck_assert_uint_eq(++times[number_of(c)], 1);
        }
    }
    ck_assert_ptr_null(next_answer(w));
    ck_assert(!rings(w, 0));
    free(times);
    close(fd);
    warm_close(w);
}
END_TEST

START_TEST(warm_rings_for_every_answer_that_waits)
{
    struct warm *w = warm_open();
    int fd = file_of(SIZE);
    for (size_t i = 0; i < 500; i++) {
        ck_assert_int_eq(ask(w, owner_of(i), fd, 0, 1), 0);
        ck_assert_uint_eq(number_of(answer(w)), i);
        ck_assert_ptr_null(next_answer(w));
        ck_assert(!rings(w, 0));
    }
    close(fd);
    warm_close(w);
}
END_TEST

START_TEST(warm_answers_also_what_cannot_be_read)
{
    struct warm *w = warm_open();
    int end[2], fd = file_of(100);
    ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
    ck_assert_int_eq(ask(w, owner_of(1), -1, 0, 10), 0);
    ck_assert_uint_eq(number_of(answer(w)), 1);
    ck_assert_int_eq(ask(w, owner_of(2), end[0], 0, 10), 0);
    ck_assert_uint_eq(number_of(answer(w)), 2);
    ck_assert_int_eq(ask(w, owner_of(3), fd, 50, 1000), 0);
    ck_assert_uint_eq(number_of(answer(w)), 3);
    ck_assert_int_eq(ask(w, owner_of(4), fd, 1000, 1000), 0);
    ck_assert_uint_eq(number_of(answer(w)), 4);
    close(end[0]);
    close(end[1]);
    close(fd);
    warm_close(w);
}
END_TEST

/* /dev/urandom is a slow disk: 256 MiB of it take long, one byte takes no time.  The helper that rests when
 * both are asked for takes one of them; the other must not wait behind it. */
START_TEST(warm_lets_a_quick_answer_overtake_a_slow_one)
{
    struct warm *w = warm_open();
    int slow = open("/dev/urandom", O_RDONLY | O_CLOEXEC), quick = file_of(1);
    ck_assert_int_ne(slow, -1);
    ck_assert_int_eq(ask(w, owner_of(0), quick, 0, 1), 0);
    ck_assert_uint_eq(number_of(answer(w)), 0);
    ck_assert_int_eq(ask(w, owner_of(1), slow, 0, 256u << 20), 0);
    ck_assert_int_eq(ask(w, owner_of(2), quick, 0, 1), 0);
    ck_assert_uint_eq(number_of(answer(w)), 2);
    ck_assert_uint_eq(number_of(answer(w)), 1);
    close(slow);
    close(quick);
    warm_close(w);
}
END_TEST

START_TEST(warm_close_forgets_what_was_not_answered)
{
    unsigned before = descriptors_open();
    for (int round = 0; round < 30; round++) {
        struct warm *w = warm_open();
        int fd = file_of(SIZE);
        for (size_t i = 0; i < 200; i++)
            ck_assert_int_eq(ask(w, owner_of(i), fd, 0, SIZE), 0);
        for (int i = 0; i < round; i++)
            ck_assert_ptr_nonnull(answer(w));
        warm_close(w);
        close(fd);
    }
    ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

static ssize_t loaded(struct warm *w, int fd, off_t offset, char *to, size_t n)
{
    const struct warm_range range = { .fd = fd, .offset = offset, .n = n, .to = to };
    ssize_t result = 0;
    ck_assert_int_eq(warm_ask(w, owner_of(1), &range), 0);
    ck_assert(rings(w, WAIT_MS));
    while (warm_answer(w, &result) == NULL)
        ck_assert(rings(w, WAIT_MS));
    ck_assert_int_eq(warm_load(&range), result);
    return result;
}

START_TEST(warm_loads_into_memory_and_says_how_much)
{
    struct warm *w = warm_open();
    char bytes[] = "0123456789", got[20];
    int fd = memfd_create("warm", MFD_CLOEXEC);
    ck_assert_int_eq(write(fd, bytes, 10), 10);
    ck_assert_int_eq(loaded(w, fd, 0, got, sizeof got), 10);
    ck_assert_mem_eq(got, bytes, 10);
    ck_assert_int_eq(loaded(w, fd, 3, got, 4), 4);
    ck_assert_mem_eq(got, "3456", 4);
    ck_assert_int_eq(loaded(w, fd, 10, got, 4), 0);
    ck_assert_int_eq(loaded(w, -1, 0, got, 4), -EBADF);
    close(fd);
    warm_close(w);
}
END_TEST

static void must_not_run_here(int signal)
{
    (void)signal;
    _exit(99);          /* a helper took a signal that was the loop's */
}

START_TEST(warm_helpers_take_no_signals)
{
    struct warm *w = warm_open();
    struct sigaction act = { .sa_handler = must_not_run_here };
    sigset_t usr1, before;
    int fd = file_of(SIZE);
    sigaction(SIGUSR1, &act, NULL);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(ask(w, owner_of(i), fd, 0, SIZE), 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &before);
    kill(getpid(), SIGUSR1);
    for (size_t i = 0; i < 8; i++)
        ck_assert_ptr_nonnull(answer(w));
    struct timespec none = { 0 };
    ck_assert_int_eq(sigtimedwait(&usr1, NULL, &none), SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(fd);
    warm_close(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("warm");
    TCase *t = tcase_create("warm");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, warm_starts_no_thread_and_says_nothing_unasked);
    tcase_add_test(t, warm_answers_each_question_once);
    tcase_add_test(t, warm_rings_for_every_answer_that_waits);
    tcase_add_test(t, warm_answers_also_what_cannot_be_read);
    tcase_add_test(t, warm_lets_a_quick_answer_overtake_a_slow_one);
    tcase_add_test(t, warm_close_forgets_what_was_not_answered);
    tcase_add_test(t, warm_loads_into_memory_and_says_how_much);
    tcase_add_test(t, warm_helpers_take_no_signals);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
