/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/engine_uring.c with a real ring: more results than its ring holds, accepting many and one, and a
 * kernel that takes no operation any more, for which a seccomp filter stands.  Where no ring can be made the tests pass
 * and say why. */
#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/engine_table.h"
#include "fake/fake_net.h"

enum {
    REPORTS = 256,
    MANY = 6000,                /* operations: more than the smallest ring of results holds twice */
    LINE = 1500,                /* operations: more than the ring of submissions holds */
    PLACES = 1024,              /* ... which is this */
    VISITORS = 5,
    WAITS_MAX = 100000,
    WAIT_MS = 20000
};

struct bench {
    struct engine engine;
    struct done   done[REPORTS];
    struct op     ops[MANY];
    unsigned      reports[MANY];
    int           fds[2];       /* a pipe */
};

/* Valgrind does not know that a ring's wait may block. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* NULL where it cannot run. */
static struct bench *bench_open(unsigned connections_max)
{
    char why[256] = "this checker cannot run it";
    if (under_valgrind() || !engine_uring_available(why, sizeof why)) {
        fprintf(stderr, "io_uring is left out: %s\n", why);
        return NULL;
    }
    struct bench *b = calloc(1, sizeof *b);
    b->engine = (struct engine){ .ops = &engine_uring, .connections_max = connections_max };
    ck_assert_int_eq(b->engine.ops->open(&b->engine), 0);
    ck_assert_int_eq(pipe(b->fds), 0);
    for (unsigned i = 0; i < MANY; i++)
        b->ops[i] = (struct op){ .kind = OP_WATCH, .owner = &b->reports[i] };
    return b;
}

static void bench_close(struct bench *b)
{
    b->engine.ops->close(&b->engine);
    close(b->fds[0]);
    close(b->fds[1]);
    free(b);
}

static void bench_watch(struct bench *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        b->engine.ops->watch(&b->engine, &b->ops[i], b->fds[0]);
}

static int bench_wait(struct bench *b)
{
    return b->engine.ops->wait(&b->engine, b->done, REPORTS, WAIT_MS);
}

static unsigned bench_total(const struct bench *b)
{
    unsigned total = 0;
    for (unsigned i = 0; i < MANY; i++)
        total += b->reports[i];
    return total;
}

/* Waits until so many reports have come; counts them by operation. */
static void bench_collect(struct bench *b, unsigned count, int result)
{
    for (int left = WAITS_MAX; bench_total(b) < count && left > 0; left--) {
        int n = bench_wait(b);
        ck_assert_int_ge(n, 0);
        for (int i = 0; i < n; i++) {
            ck_assert_int_eq(b->done[i].result, result);
            ck_assert(!b->done[i].more);
            (*(unsigned *)b->done[i].op->owner)++;
        }
    }
    ck_assert_uint_eq(bench_total(b), count);
}

START_TEST(uring_loses_no_result_when_more_come_than_its_ring_holds)
{
    struct bench *b = bench_open(1);
    if (b == NULL)
        return;
    ck_assert_int_eq(write(b->fds[1], "x", 1), 1);
    for (int round = 0; round < 3; round++) {
        bench_watch(b, MANY);
        bench_collect(b, MANY, POLLIN);
        for (unsigned i = 0; i < MANY; i++)
            ck_assert_uint_eq(b->reports[i], 1);
        memset(b->reports, 0, sizeof b->reports);
    }
    ck_assert_int_eq(b->engine.strained, 0);
    bench_close(b);
}
END_TEST

START_TEST(uring_brings_back_once_whatever_is_cancelled)
{
    struct bench *b = bench_open(100);
    if (b == NULL)
        return;
    bench_watch(b, MANY);
    for (unsigned i = 0; i < MANY; i++)
        b->engine.ops->cancel(&b->engine, &b->ops[MANY - 1 - i]);
    bench_collect(b, MANY, -ECANCELED);
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(b->reports[i], 1);
    bench_close(b);
}
END_TEST

START_TEST(uring_makes_a_ring_for_any_number_of_connections)
{
    static const unsigned limits[] = { 1, 10000, 1000000, 4000000000u };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct bench *b = bench_open(limits[i]);
        if (b == NULL)
            return;
        ck_assert_uint_eq(b->engine.connections_max, limits[i]);
        ck_assert_int_eq(write(b->fds[1], "x", 1), 1);
        bench_watch(b, 1);
        bench_collect(b, 1, POLLIN);
        bench_close(b);
    }
}
END_TEST

/* The next report, which must be an accepted connection; closes it. */
static bool one_comes_in(struct bench *b)
{
    int n = b->engine.ops->wait(&b->engine, b->done, 1, WAIT_MS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_ge(b->done[0].result, 0);
    ck_assert_uint_eq(b->done[0].peer.family, AF_INET);
    b->engine.ops->close_fd(&b->engine, b->done[0].result);
    return b->done[0].more;
}

START_TEST(uring_accepts_one_when_asked_for_one_and_else_all)
{
    struct bench *b = bench_open(100);
    if (b == NULL)
        return;
    int listener = net_listen_tcp(), visitor[VISITORS];
    for (int i = 0; i < VISITORS; i++)
        visitor[i] = net_connect(listener);
    struct op door = { .kind = OP_ACCEPT };
    b->engine.ops->accept(&b->engine, &door, listener, false);
    ck_assert(!one_comes_in(b));
    ck_assert_int_eq(b->engine.ops->wait(&b->engine, b->done, 1, 0), 0);
    b->engine.ops->accept(&b->engine, &door, listener, true);
    for (int i = 1; i < VISITORS; i++)
        ck_assert(one_comes_in(b));
    b->engine.ops->cancel(&b->engine, &door);
    ck_assert_int_eq(bench_wait(b), 1);
    ck_assert(b->done[0].result == -ECANCELED && !b->done[0].more);
    for (int i = 0; i < VISITORS; i++)
        close(visitor[i]);
    close(listener);
    bench_close(b);
}
END_TEST

/* From now on no ring of this process gets anything done.  The last test of all: some run them in one process. */
static void kernel_goes_deaf(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

START_TEST(uring_gives_back_what_the_kernel_does_not_take_and_then_gives_up)
{
    struct bench *b = bench_open(100);
    if (b == NULL)
        return;
    kernel_goes_deaf();
    bench_watch(b, LINE);
    ck_assert_int_eq(b->engine.strained, EAGAIN);
    b->engine.ops->cancel(&b->engine, &b->ops[0]);              /* has a place, waits to be cancelled */
    b->engine.ops->cancel(&b->engine, &b->ops[0]);
    b->engine.ops->cancel(&b->engine, &b->ops[LINE - 1]);       /* comes back anyway */
    bench_collect(b, LINE - PLACES, -EAGAIN);
    for (unsigned i = 0; i < LINE; i++)
        ck_assert_uint_eq(b->reports[i], i < PLACES ? 0 : 1);
    double busy = cpu_seconds();
    int left = WAITS_MAX, n;
    while ((n = bench_wait(b)) == 0 && left-- > 0)
        b->engine.strained = 0;
    ck_assert(n == -1 && errno == EAGAIN);
    ck_assert_int_eq(b->engine.strained, EAGAIN);
    ck_assert_msg(cpu_seconds() - busy < 1.0, "it spins");
    bench_close(b);
}
END_TEST

static TCase *case_uring(void)
{
    TCase *t = tcase_create("uring");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, uring_loses_no_result_when_more_come_than_its_ring_holds);
    tcase_add_test(t, uring_brings_back_once_whatever_is_cancelled);
    tcase_add_test(t, uring_makes_a_ring_for_any_number_of_connections);
    tcase_add_test(t, uring_accepts_one_when_asked_for_one_and_else_all);
    tcase_add_test(t, uring_gives_back_what_the_kernel_does_not_take_and_then_gives_up);
    return t;
}

int main(void)
{
    Suite *s = suite_create("uring");
    suite_add_tcase(s, case_uring());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
