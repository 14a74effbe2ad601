/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/ring.c: a producer with threads, a consumer that believes nothing, and deaths in between. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ring.h"

enum { KIND = 3, SIZE = RING_SIZE_MIN };

/* Both sides of a ring in one process. */
static struct both {
    struct ring_shared *shared;
    struct ring         in;
    struct ring_reader  out;
    uint32_t            state;
    int                 bell[2];
    size_t              size;
    _Alignas(16) char   bytes[RING_RECORD_MAX];
} b;

static void both_open(size_t size)
{
    memset(&b, 0, sizeof b);
    b.size = size;
    b.shared = mmap(NULL, RING_CONTROL_SIZE + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(b.shared, MAP_FAILED);
    ck_assert_int_eq(pipe2(b.bell, O_NONBLOCK), 0);
    ring_prepare(b.shared, size, "worker x");
    ck_assert_int_eq(ring_join(&b.in, b.shared, &(struct bell){ &b.state, b.bell[1] }), 0);
    ring_reader_open(&b.out, b.shared);
}

static void setup(void)
{
    both_open(SIZE);
}

static void teardown(void)
{
    munmap(b.shared, RING_CONTROL_SIZE + b.size);
    close(b.bell[0]);
    close(b.bell[1]);
}

static bool put(uint64_t number, size_t n, bool urgent)
{
    static char filler[RING_RECORD_MAX];
    const struct span parts[] = { { (const char *)&number, sizeof number }, { filler, n - sizeof number } };

    return ring_put(&b.in, KIND, number, urgent, parts, 2);
}

/* The number in the next record; -1: there is none, -2: what is there is none. */
static long long take(void)
{
    struct ring_record r;
    uint64_t number;
    int got = ring_take(&b.out, &r, b.bytes);

    if (got != 1)
        return got - 1;
    ck_assert_uint_eq(r.kind, KIND);
    ck_assert_uint_ge(r.n, sizeof number);
    memcpy(&number, b.bytes, sizeof number);
    ck_assert_uint_eq(r.when_us, number);
    return (long long)number;
}

static int rings(void)
{
    char bytes[64];
    ssize_t n = read(b.bell[0], bytes, sizeof bytes);

    return n > 0 ? (int)n : 0;
}

START_TEST(ring_gives_records_in_their_order)
{
    for (uint64_t i = 1; i <= 20; i++)
        ck_assert(put(i, 8 + i, false));
    for (uint64_t i = 1; i <= 20; i++)
        ck_assert_int_eq(take(), (long long)i);
    ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(ring_shows_the_next_record_without_taking_it)
{
    struct ring_record r;

    ck_assert(!ring_peek(&b.out, &r));
    put(5, 100, false);
    ck_assert(ring_peek(&b.out, &r));
    ck_assert_uint_eq(r.when_us, 5);
    ck_assert(ring_peek(&b.out, &r));
    ck_assert_int_eq(take(), 5);
    ck_assert(!ring_peek(&b.out, &r));
}
END_TEST

/* Every length, so that every place of the end is met. */
START_TEST(ring_wraps_around_whole_records)
{
    uint64_t next = 0;

    for (uint64_t i = 0; i < 20000; i++) {
        ck_assert(put(i, 8 + (i * 37) % 3000, false));
        if (i % 3 != 0)
            continue;
        for (long long got = take(); got != -1; got = take())
            ck_assert_int_eq(got, (long long)next++);
        ring_release(&b.out);
    }
    for (long long got = take(); got != -1; got = take())
        ck_assert_int_eq(got, (long long)next++);
    ck_assert_uint_eq(next, 20000);
    ck_assert_uint_eq(b.shared->dropped, 0);
}
END_TEST

START_TEST(ring_that_is_full_counts_and_goes_on)
{
    uint64_t n = 0;

    while (put(n, 500, false))
        n++;
    ck_assert_uint_ge(n, SIZE / 520 - 1);
    ck_assert(!put(n, 500, false));
    ck_assert_uint_eq(b.shared->dropped, 2);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_int_eq(take(), (long long)i);
    ck_assert_msg(!put(n, 500, false), "what was taken is needed until it is released");
    ring_release(&b.out);
    ck_assert(put(n, 500, false));
    ck_assert_int_eq(take(), (long long)n);
}
END_TEST

START_TEST(ring_takes_no_record_that_is_too_long)
{
    static char bytes[RING_RECORD_MAX];

    ck_assert(!ring_put(&b.in, KIND, 0, false, &(struct span){ bytes, sizeof bytes - 8 }, 1));
    ck_assert(ring_put(&b.in, KIND, 0, false, &(struct span){ bytes, sizeof bytes - 16 }, 1));
    ck_assert_uint_eq(b.shared->dropped, 1);
}
END_TEST

START_TEST(ring_reader_that_died_is_followed_by_one_that_takes_the_same)
{
    put(1, 50, false);
    put(2, 50, false);
    put(3, 50, false);
    ck_assert_int_eq(take(), 1);
    ring_release(&b.out);
    ck_assert_int_eq(take(), 2);
    ring_reader_open(&b.out, b.shared);
    ck_assert_int_eq(take(), 2);
    ck_assert_int_eq(take(), 3);
}
END_TEST

START_TEST(ring_keeps_its_size_while_records_wait)
{
    put(1, 50, false);
    ring_prepare(b.shared, RING_SIZE_MAX, "worker y");
    ck_assert_uint_eq(b.shared->size, SIZE);
    ck_assert_str_eq(b.shared->owner, "worker y");
    take();
    ring_release(&b.out);
    ring_prepare(b.shared, SIZE + 1, "worker y");
    ck_assert_uint_eq(b.shared->size, 2 * SIZE);
}
END_TEST

START_TEST(ring_that_was_not_made_is_not_joined)
{
    struct ring_shared *s = calloc(1, RING_CONTROL_SIZE);
    struct ring r;

    ck_assert_int_eq(ring_join(&r, s, &(struct bell){ &b.state, -1 }), -1);
    free(s);
}
END_TEST

/* An empty ring goes back to its front, so that little logging takes little memory. */
START_TEST(ring_uses_little_memory_when_it_is_read)
{
    size_t most = 0;

    teardown();
    both_open(16 * 1024 * 1024);
    for (uint64_t i = 0; i < 30000; i++) {
        ck_assert(put(i, 1000, false));
        ck_assert_int_eq(take(), (long long)i);
        ring_release(&b.out);
        most = (b.in.head & (b.size - 1)) > most ? b.in.head & (b.size - 1) : most;
    }
    ck_assert_uint_lt(most, 512 * 1024);
}
END_TEST

/* What a pause has touched is given back. */
START_TEST(ring_gives_memory_back)
{
    unsigned char pages[16 * 1024 / 4];
    unsigned resident = 0;
    uint64_t n = 0, next = 0;

    teardown();
    both_open(16 * 1024 * 1024);
    while (put(n, 10000, false))
        n++;
    for (long long got = take(); got != -1; got = take())
        ck_assert_int_eq(got, (long long)next++);
    ring_release(&b.out);
    for (int i = 0; i < 40; i++) {
        ck_assert(put(n, 10000, false));
        ck_assert_int_eq(take(), (long long)n++);
        ring_release(&b.out);
    }
    ck_assert_int_eq(mincore((char *)b.shared + RING_CONTROL_SIZE, b.size, pages), 0);
    for (size_t i = 0; i < sizeof pages; i++)
        resident += pages[i] & 1;
    ck_assert_uint_lt(resident, 1024 * 1024 / 4096);
}
END_TEST

/* ---- bells ---- */

START_TEST(ring_wakes_who_sleeps_once)
{
    put(1, 50, false);
    ck_assert_int_eq(rings(), 0);
    bell_set(&b.state, BELL_ASLEEP);
    put(2, 50, false);
    put(3, 50, false);
    ck_assert_int_eq(rings(), 1);
}
END_TEST

START_TEST(ring_lets_who_naps_sleep_unless_it_is_urgent)
{
    bell_set(&b.state, BELL_NAPPING);
    put(1, 50, false);
    ck_assert_int_eq(rings(), 0);
    put(2, 50, true);
    ck_assert_int_eq(rings(), 1);
}
END_TEST

START_TEST(ring_wakes_who_naps_before_it_is_full)
{
    bell_set(&b.state, BELL_NAPPING);
    for (int i = 0; i < SIZE / 1100; i++)
        put(1, 1000, false);
    ck_assert_int_eq(rings(), 1);
}
END_TEST

START_TEST(ring_leaves_who_cannot_take_records_alone)
{
    bell_set(&b.state, BELL_ASLEEP);
    b.shared->deaf = 1;
    put(1, 50, true);
    ck_assert_int_eq(rings(), 0);
}
END_TEST

/* ---- threads and deaths ---- */

enum { THREADS = 4, EACH = 20000 };

static void *put_many(void *arg)
{
    uint64_t base = (uint64_t)(uintptr_t)arg << 32;

    for (uint64_t i = 0; i < EACH;)
        if (put(base + i, 8 + i % 200, false))
            i++;
        else
            sched_yield();
    return NULL;
}

START_TEST(ring_takes_turns_between_threads)
{
    pthread_t threads[THREADS];
    uint64_t next[THREADS] = { 0 };
    unsigned got = 0;

    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, (void *)i), 0);
    while (got < THREADS * EACH) {
        long long number = take();

        if (number == -1) {
            ring_release(&b.out);
            sched_yield();
            continue;
        }
        ck_assert_int_ge(number, 0);
        ck_assert_int_lt(number >> 32, THREADS);
        ck_assert_uint_eq((uint32_t)number, next[number >> 32]++);
        got++;
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(take(), -1);
}
END_TEST

/* A producer is killed at any moment; another one goes on behind the last whole record. */
START_TEST(ring_outlives_producers_that_are_killed)
{
    uint64_t next = 0;

    for (int round = 0; round < 30; round++) {
        pid_t pid = fork();

        ck_assert_int_ne(pid, -1);
        if (pid == 0) {
            struct ring own;

            if (ring_join(&own, b.shared, &(struct bell){ &b.state, b.bell[1] }) == -1)
                _exit(1);
            b.in = own;
            for (uint64_t i = next;;)
                i += put(i, 8 + i % 3000, false);
        }
        for (int taken = 0; taken < 200; taken++) {
            long long number = take();

            if (number >= 0)
                ck_assert_uint_eq((uint64_t)number, next++);
            ck_assert_int_ne(number, -2);
            ring_release(&b.out);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (long long number = take(); number != -1; number = take())
            ck_assert_uint_eq((uint64_t)number, next++);
        ring_release(&b.out);
    }
}
END_TEST

/* ---- what nobody may believe ---- */

static char *data(void)
{
    return (char *)b.shared + RING_CONTROL_SIZE;
}

static const uint32_t bad_lengths[] = { 0, 1, 15, 17 + 50 + 8, RING_RECORD_MAX + 1, SIZE, UINT32_MAX };

START_TEST(ring_passes_over_lengths_that_are_none)
{
    put(1, 50, false);
    memcpy(data(), &bad_lengths[_i], sizeof *bad_lengths);
    ck_assert_int_eq(take(), -2);
    ck_assert_int_eq(take(), -1);
    put(2, 50, false);
    ck_assert_int_eq(take(), 2);
}
END_TEST

static const uint64_t bad_heads[] = { 1, 4, SIZE + 8, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63 };

START_TEST(ring_passes_over_positions_that_are_none)
{
    struct ring_record r;

    __atomic_store_n(&b.shared->head, bad_heads[_i], __ATOMIC_RELEASE);
    ring_peek(&b.out, &r);
    ck_assert_int_eq(take(), -2);
    ck_assert_int_eq(take(), -1);
    ck_assert_int_eq(ring_join(&b.in, b.shared, &(struct bell){ &b.state, -1 }), 0);
    for (uint64_t i = 1; i < 3; i++) {
        put(i, 50, false);
        if (take() == -2)       /* a gap up to where records may begin */
            ck_assert_int_eq(take(), -1);
    }
    put(3, 50, false);
    ck_assert_int_eq(take(), 3);
}
END_TEST

static const uint64_t bad_sizes[] = { 0, 1, SIZE - 1, SIZE / 2, 3 * SIZE, UINT64_C(2) * RING_SIZE_MAX, UINT64_MAX };

START_TEST(ring_passes_over_sizes_that_are_none)
{
    put(1, 50, false);
    b.shared->size = bad_sizes[_i];
    ck_assert_int_eq(take(), -2);
    ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(ring_with_a_consumer_that_lies_is_full)
{
    __atomic_store_n(&b.shared->tail, UINT64_C(1) << 40, __ATOMIC_RELEASE);
    ck_assert_int_eq(ring_join(&b.in, b.shared, &(struct bell){ &b.state, -1 }), 0);
    ck_assert(!put(1, 50, false));
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("ring");
    TCase *t = tcase_create("ring");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, ring_gives_records_in_their_order);
    tcase_add_test(t, ring_shows_the_next_record_without_taking_it);
    tcase_add_test(t, ring_wraps_around_whole_records);
    tcase_add_test(t, ring_that_is_full_counts_and_goes_on);
    tcase_add_test(t, ring_takes_no_record_that_is_too_long);
    tcase_add_test(t, ring_reader_that_died_is_followed_by_one_that_takes_the_same);
    tcase_add_test(t, ring_keeps_its_size_while_records_wait);
    tcase_add_test(t, ring_that_was_not_made_is_not_joined);
    tcase_add_test(t, ring_uses_little_memory_when_it_is_read);
    tcase_add_test(t, ring_gives_memory_back);
    tcase_add_test(t, ring_wakes_who_sleeps_once);
    tcase_add_test(t, ring_lets_who_naps_sleep_unless_it_is_urgent);
    tcase_add_test(t, ring_wakes_who_naps_before_it_is_full);
    tcase_add_test(t, ring_leaves_who_cannot_take_records_alone);
    tcase_add_test(t, ring_takes_turns_between_threads);
    tcase_add_test(t, ring_outlives_producers_that_are_killed);
    tcase_add_loop_test(t, ring_passes_over_lengths_that_are_none, 0, COUNT(bad_lengths));
    tcase_add_loop_test(t, ring_passes_over_positions_that_are_none, 0, COUNT(bad_heads));
    tcase_add_loop_test(t, ring_passes_over_sizes_that_are_none, 0, COUNT(bad_sizes));
    tcase_add_test(t, ring_with_a_consumer_that_lies_is_full);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
