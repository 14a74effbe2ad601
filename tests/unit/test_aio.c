/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/engine_aio.c with real descriptors: any number of them may be asked about at a time, and
 * threads may be missing. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "driver/aio_room.h"
#include "driver/engine_table.h"

enum {
    MANY = 3000, REPORTS = 256, WAIT_MS = 20000,
    SOMEBODY = 65534,           /* limits on processes are not for root */
    TRIES = 10,                 /* without threads */
    REST_MS = 10                /* between two of them at least */
};

struct bench {
    struct engine engine;
    struct done   done[REPORTS];
    struct op     ops[MANY];
    unsigned      reports[MANY];
};

/* NULL where it cannot run. */
static struct bench *bench_open(void)
{
    char why[256];
    struct bench *b;
    if (!engine_aio_available(why, sizeof why)) {
        fprintf(stderr, "aio is left out: %s\n", why);
        return NULL;
    }
    b = calloc(1, sizeof *b);
    b->engine = (struct engine){ .ops = &engine_aio, .connections_max = 10 };
    ck_assert_int_eq(b->engine.ops->open(&b->engine), 0);
    for (unsigned i = 0; i < MANY; i++)
        b->ops[i] = (struct op){ .kind = OP_WATCH, .owner = &b->reports[i] };
    return b;
}

static unsigned take_reports(struct bench *b, int expected)
{
    int n = b->engine.ops->wait(&b->engine, b->done, REPORTS, WAIT_MS);
    ck_assert_int_gt(n, 0);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(b->done[i].result, expected);
        ++*(unsigned *)b->done[i].op->owner;
    }
    return (unsigned)n;
}

static void each_was_told_once(struct bench *b)
{
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(b->reports[i], 1);
    memset(b->reports, 0, sizeof b->reports);
}

START_TEST(aio_asks_about_any_number_of_descriptors)
{
    struct bench *b = bench_open();
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b == NULL)
        return;
    ck_assert_int_ne(fd, -1);
    for (unsigned i = 0; i < MANY; i++)
        b->engine.ops->watch(&b->engine, &b->ops[i], fd);
    ck_assert_int_eq(b->engine.ops->wait(&b->engine, b->done, REPORTS, 0), 0);
    ck_assert_int_eq(eventfd_write(fd, 1), 0);
    for (unsigned n = 0; n < MANY; n += take_reports(b, 1))
        ;
    each_was_told_once(b);
    for (unsigned i = 0; i < MANY; i++) {
        b->engine.ops->watch(&b->engine, &b->ops[i], fd);
        b->engine.ops->cancel(&b->engine, &b->ops[i]);
    }
    for (unsigned n = 0; n < MANY; n += take_reports(b, -ECANCELED))
        ;
    each_was_told_once(b);
    for (unsigned i = 0; i < MANY; i++)
        b->engine.ops->forget(&b->engine, &b->ops[i]);
    b->engine.ops->close(&b->engine);
    close(fd);
    free(b);
}
END_TEST

static void *thread_of_no_use(void *arg)
{
    return arg;
}

/* From here on this process can make none.  False where that cannot be had. */
static bool threads_are_out(void)
{
    struct rlimit limit;
    pthread_t id;
    ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit.rlim_cur = 0;
    if ((geteuid() == 0 && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == -1) || setrlimit(RLIMIT_NPROC, &limit) == -1)
        return false;
    if (pthread_create(&id, NULL, thread_of_no_use, NULL) != 0)
        return true;
    pthread_join(id, NULL);
    return false;
}

/* The leak sanitizer needs one at the end, and to look at this process, which becoming somebody else forbade. */
static void threads_are_back(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &limit), 0);
    (void)prctl(PR_SET_DUMPABLE, 1);
}

START_TEST(aio_without_threads_rests_between_tries)
{
    struct op recv = { .kind = OP_RECV };
    int ends[2];
    if (!threads_are_out()) {
        fprintf(stderr, "a test without threads is left out\n");
        threads_are_back();
        return;
    }
    struct bench *b = bench_open();
    if (b == NULL) {
        threads_are_back();
        return;
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    uint64_t begin = clock_monotonic_ms();
    for (unsigned i = 0; i < TRIES; i++) {      /* as a driver does: what could not be started is started again */
        b->engine.ops->recv(&b->engine, &recv, ends[0], false);
        ck_assert_int_eq(b->engine.ops->wait(&b->engine, b->done, REPORTS, WAIT_MS), 1);
        ck_assert_int_eq(b->done[0].result, -EAGAIN);
        ck_assert_int_eq(b->engine.strained, EAGAIN);
        b->engine.strained = 0;
    }
    ck_assert_uint_ge(clock_monotonic_ms() - begin, TRIES * REST_MS);
    b->engine.ops->forget(&b->engine, &recv);
    b->engine.ops->close(&b->engine);
    threads_are_back();
    close(ends[0]);
    close(ends[1]);
    free(b);
}
END_TEST

/* From here on this process can open nothing more.  The limit of before. */
static rlim_t descriptors_are_out(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    ck_assert_int_ne(next, -1);
    close(next);
    limit.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void descriptors_are_back(rlim_t most)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = most;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A listener, and one who comes. */
static int listener_open(int *client)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(*client, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

START_TEST(an_answer_without_a_descriptor_rests_between_tries_and_deafens_nobody)
{
    struct op send = { .kind = OP_SEND }, accept = { .kind = OP_ACCEPT };
    struct iovec iov = { "a", 1 };
    struct bench *b = bench_open();
    int ends[2], client, listener;
    if (b == NULL)
        return;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    listener = listener_open(&client);
    rlim_t before = descriptors_are_out();
    uint64_t begin = clock_monotonic_ms();
    for (unsigned i = 0; i < TRIES; i++) {
        b->engine.ops->send(&b->engine, &send, ends[0], &iov, 1, false);
        ck_assert_int_eq(b->engine.ops->wait(&b->engine, b->done, REPORTS, WAIT_MS), 1);
        ck_assert_int_eq(b->done[0].result, -EAGAIN);
        ck_assert_int_eq(b->engine.strained, EMFILE);
        b->engine.strained = 0;
    }
    ck_assert_uint_ge(clock_monotonic_ms() - begin, TRIES * REST_MS);
    b->engine.ops->accept(&b->engine, &accept, listener, false);
    b->engine.ops->send(&b->engine, &send, ends[0], &iov, 1, false);
    ck_assert_int_eq(b->engine.ops->wait(&b->engine, b->done, REPORTS, WAIT_MS), 2);
    ck_assert_ptr_eq(b->done[1].op, &accept);
    ck_assert_int_eq(b->done[1].result, -EMFILE);
    descriptors_are_back(before);
    b->engine.ops->forget(&b->engine, &send);
    b->engine.ops->forget(&b->engine, &accept);
    b->engine.ops->close(&b->engine);
    close(ends[0]);
    close(ends[1]);
    close(client);
    close(listener);
    free(b);
}
END_TEST

START_TEST(what_is_known_of_threads_is_forgotten_in_time_by_a_busy_worker_too)
{
    struct aio_room r = { .peak = 5 };
    ck_assert(aio_room_forget(&r, 2, false));
    ck_assert_uint_eq(r.lately, 5);
    ck_assert_uint_eq(r.peak, 2);
    r.forgot_ms = clock_monotonic_ms() - AIO_ROOM_LOOK_MS;
    ck_assert(aio_room_forget(&r, 1, false));
    ck_assert_uint_eq(r.lately, 2);
    ck_assert(aio_room_forget(&r, 0, true));
    ck_assert_uint_eq(r.lately, 1);
}
END_TEST

START_TEST(what_is_open_already_is_not_for_connections)
{
    enum { OPEN = 40, LEFT = 12, SPARE = 2 };
    int open[OPEN];
    for (unsigned i = 0; i < OPEN; i++)
        open[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    rlim_t before = descriptors_are_out();
    ck_assert_uint_eq(aio_room_connections(1000, open[0]), 1);
    descriptors_are_back((rlim_t)open[OPEN - 1] + 1 + LEFT);
    ck_assert_uint_eq(aio_room_connections(1000, open[0]), (LEFT - SPARE) / 2);
    ck_assert_uint_eq(aio_room_connections(3, open[0]), 3);
    descriptors_are_back(before);
    for (unsigned i = 0; i < OPEN; i++)
        close(open[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("aio");
    TCase *t = tcase_create("aio");
    TCase *limited = tcase_create("limited");
    tcase_set_timeout(t, 60);
    tcase_set_tags(limited, "descriptor_limit");
    tcase_add_test(t, aio_asks_about_any_number_of_descriptors);
    tcase_add_test(t, aio_without_threads_rests_between_tries);
    tcase_add_test(limited, an_answer_without_a_descriptor_rests_between_tries_and_deafens_nobody);
    tcase_add_test(t, what_is_known_of_threads_is_forgotten_in_time_by_a_busy_worker_too);
    tcase_add_test(limited, what_is_open_already_is_not_for_connections);
    suite_add_tcase(s, t);
    suite_add_tcase(s, limited);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
