/* SPDX-License-Identifier: BSD-2-Clause */
/* Every model that can run here, with its real poller or engine, serving real sockets from a thread of its
 * own: many clients at once, bytes in pieces of random sizes, half-closes, files, drains.  A test is run
 * for each model over TCP and over Unix sockets; one that cannot run here passes and says why. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/file.h"
#include "driver/completion.h"
#include "driver/model.h"
#include "fake/fake_net.h"
#include "fake/fake_stage.h"

enum { CLIENTS = 50, BYTES_MAX = 400000, PIECE_MAX = 20000, WAIT_MS = 20000, FAMILIES = 2 };

struct server {
    struct stage       *stage;
    const struct model *model;
    pthread_t           thread;
    int                 result, error;
};

/* In the server's thread, when a byte came through the watch. */
static void drain_when_told(void *arg)
{
    struct stage *s = arg;
    char byte;
    if (read(s->watch.fd, &byte, 1) == 1)
        stage_drain(s, byte == 'h' ? 0 : WAIT_MS);
}

static void *server_main(void *arg)
{
    struct server *v = arg;
    v->result = v->model->driver->run(&v->stage->loop, v->model->ops);
    v->error = errno;
    return NULL;
}

/* Valgrind runs one thread at a time, and does not know that a ring's wait may block: the clients would never run. */
static bool stops_valgrind(const struct model *m)
{
    const char *preload = getenv("LD_PRELOAD");
    return m->driver == &driver_completion && preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* The thread sanitizer dies in the threads of the C library's aio; and one file of this test is shared by all threads
 * of the model blocking, which the daemon never does: there the system tests run under it. */
#ifdef __has_feature
#define UNDER_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

static bool stops_tsan(const struct model *m)
{
    return UNDER_TSAN && (strcmp(m->name, "aio") == 0 || strcmp(m->name, "blocking") == 0);
}

/* False: this model cannot run here.  The loop's number chooses model and family. */
static bool server_prepare(struct server *v, int number, const struct proto *proto)
{
    size_t count;
    char why[256] = "";
    *v = (struct server){ .model = &model_all(&count)[number / FAMILIES] };
    if (!model_available(v->model, why, sizeof why)) {
        fprintf(stderr, "model %s is left out: %s\n", v->model->name, why);
        return false;
    }
    if (stops_valgrind(v->model) || stops_tsan(v->model)) {
        fprintf(stderr, "model %s is left out: this checker cannot run it\n", v->model->name);
        return false;
    }
    v->stage = stage_new(proto, number % FAMILIES == 0 ? net_listen_tcp() : net_listen_unix());
    v->stage->watch.readable = drain_when_told;
    return true;
}

static void server_start(struct server *v)
{
    ck_assert_int_eq(pthread_create(&v->thread, NULL, server_main, v), 0);
}

static void server_tell(struct server *v, char what)
{
    ck_assert_int_eq(write(v->stage->watch_end, &what, 1), 1);
}

static void server_end(struct server *v)
{
    pthread_join(v->thread, NULL);
    ck_assert_msg(v->result == 0, "%s: %s", v->model->name, strerror(v->error));
    ck_assert_uint_eq(v->stage->ready, 1);
    stage_free(v->stage);
}

/* --- many clients --- */

struct caller {
    int      fd;
    unsigned seed;
    size_t   total, sent, got;
    bool     stops;             /* shuts down when all is sent, else when all is back */
    bool     shut, done;
};

/* The byte that caller `seed` sends at this place. */
static char caller_byte(const struct caller *c, size_t at)
{
    return (char)(c->seed * 31 + at * 7 + at / 251);
}

static unsigned next_random(unsigned *state, unsigned below)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 8) % below;
}

static void caller_shut(struct caller *c)
{
    if (!c->shut && c->sent == c->total && (c->stops || c->got == c->total)) {
        net_shut(c->fd);
        c->shut = true;
    }
}

static void caller_send(struct caller *c, unsigned *random)
{
    char piece[PIECE_MAX];
    size_t n = 1 + next_random(random, next_random(random, 3) == 0 ? 10 : PIECE_MAX - 1);
    n = n < c->total - c->sent ? n : c->total - c->sent;
    for (size_t i = 0; i < n; i++)
        piece[i] = caller_byte(c, c->sent + i);
    ssize_t part = send(c->fd, piece, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    ck_assert_msg(part > 0 || errno == EAGAIN, "send: %s", strerror(errno));
    c->sent += part > 0 ? (size_t)part : 0;
    caller_shut(c);
}

static void caller_receive(struct caller *c, unsigned *random)
{
    char piece[PIECE_MAX];
    ssize_t n = recv(c->fd, piece, 1 + next_random(random, PIECE_MAX - 1), MSG_DONTWAIT);
    if (n == -1 && errno == EAGAIN)
        return;
    ck_assert_msg(n >= 0, "recv: %s", strerror(errno));
    size_t i = 0;
    while (i < (size_t)n && piece[i] == caller_byte(c, c->got + i))
        i++;
    ck_assert_msg(i == (size_t)n, "byte %zu of %zu is wrong", c->got + i, c->total);
    c->got += (size_t)n;
    ck_assert_uint_le(c->got, c->sent);
    caller_shut(c);
    if (n > 0)
        return;
    ck_assert_msg(c->shut && c->got == c->total, "the end after %zu of %zu bytes", c->got, c->total);
    c->done = true;
}

static void callers_open(struct caller *callers, const struct stage *s)
{
    unsigned random = 4711;
    for (unsigned i = 0; i < CLIENTS; i++) {
        callers[i] = (struct caller){ .fd = net_connect(s->listener.fd), .seed = i, .stops = i % 2 == 0 };
        callers[i].total = i % 5 == 0 ? next_random(&random, 3) : next_random(&random, BYTES_MAX);
        caller_shut(&callers[i]);
    }
}

/* Calls on until all are done. */
static void callers_run(struct caller *callers)
{
    unsigned random = 42, left = CLIENTS;
    while (left > 0) {
        struct pollfd p[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
            p[i] = (struct pollfd){ callers[i].done ? -1 : callers[i].fd,
                                    callers[i].sent < callers[i].total ? POLLIN | POLLOUT : POLLIN, 0 };
        ck_assert_msg(poll(p, CLIENTS, WAIT_MS) > 0, "%u clients wait in vain", left);
        for (int i = 0; i < CLIENTS; i++) {
            if (p[i].revents & POLLOUT)
                caller_send(&callers[i], &random);
            if (p[i].revents & ~POLLOUT)
                caller_receive(&callers[i], &random);
            left -= p[i].fd != -1 && callers[i].done;
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        close(callers[i].fd);
}

START_TEST(model_gives_every_byte_back_and_drains)
{
    struct server v;
    struct caller callers[CLIENTS];
    if (!server_prepare(&v, _i, &fake_echo))
        return;
    server_start(&v);
    callers_open(callers, v.stage);
    callers_run(callers);
    for (int i = 0; i < 5; i++) {
        v.stage->client[i] = net_connect(v.stage->listener.fd);
        net_send(v.stage->client[i], "idle from here on");
        net_expect(v.stage->client[i], "idle from here on");
    }
    server_tell(&v, 'd');
    for (int i = 0; i < 5; i++) {
        net_expect_end(v.stage->client[i]);
        stage_leave(v.stage, i);
    }
    server_end(&v);
}
END_TEST

/* The worker goes while connections and requests wait that it has not looked at. */
START_TEST(model_answers_what_waits_when_it_drains)
{
    struct server v;
    if (!server_prepare(&v, _i, &fake_line))
        return;
    for (int i = 0; i < 40; i++) {
        v.stage->client[i] = net_connect(v.stage->listener.fd);
        net_send(v.stage->client[i], "waiting\n");
    }
    stage_drain(v.stage, WAIT_MS);
    server_start(&v);
    for (int i = 0; i < 40; i++) {
        net_expect(v.stage->client[i], "waiting\n");
        net_expect_end(v.stage->client[i]);
        stage_leave(v.stage, i);
    }
    server_end(&v);
}
END_TEST

START_TEST(model_ends_its_drain_at_the_deadline)
{
    struct server v;
    if (!server_prepare(&v, _i, &fake_line))
        return;
    server_start(&v);
    for (int i = 0; i < 5; i++) {
        v.stage->client[i] = net_connect(v.stage->listener.fd);
        net_send(v.stage->client[i], "big 20000000\n");
        net_expect_big(v.stage->client[i], 0, 1000);
    }
    server_tell(&v, 'h');
    server_end(&v);
}
END_TEST

/* --- files --- */

enum { FILE_SIZE = 3000001 };

static struct file *pattern_file(void)
{
    char path[] = "/var/tmp/iomuxd-test-XXXXXX";
    struct file *f = calloc(1, sizeof *f);
    char *bytes = malloc(FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = fake_byte(i);
    *f = (struct file){ .fd = mkstemp(path), .refs = 1, .size = FILE_SIZE };
    ck_assert_int_ne(f->fd, -1);
    unlink(path);
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) | O_NONBLOCK);      /* as core/file opens them */
    ck_assert_int_eq(write(f->fd, bytes, FILE_SIZE), FILE_SIZE);
    fsync(f->fd);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);                /* cold, if there is a disk behind it */
    free(bytes);
    return f;
}

START_TEST(model_sends_files_cold_and_warm)
{
    struct server v;
    if (!server_prepare(&v, _i, &fake_line))
        return;
    v.stage->settings.file = pattern_file();
    server_start(&v);
    for (int i = 0; i < 4; i++) {
        v.stage->client[i] = net_connect(v.stage->listener.fd);
        net_send(v.stage->client[i], "head\nfile\ntail\nfile\nbye\n");
    }
    for (int i = 0; i < 4; i++) {
        net_expect(v.stage->client[i], "head\n");
        net_expect_big(v.stage->client[i], 0, FILE_SIZE);
        net_expect(v.stage->client[i], "tail\n");
        net_expect_big(v.stage->client[i], 0, FILE_SIZE);
        net_expect_end(v.stage->client[i]);
        stage_leave(v.stage, i);
    }
    server_tell(&v, 'd');
    server_end(&v);
}
END_TEST

START_TEST(model_ends_whom_it_has_waited_for_long_enough)
{
    struct server v;
    if (!server_prepare(&v, _i, &fake_line))
        return;
    server_start(&v);
    v.stage->client[0] = net_connect(v.stage->listener.fd);
    net_send(v.stage->client[0], "wait 50\n");
    net_expect(v.stage->client[0], "late\n");
    net_expect_end(v.stage->client[0]);
    stage_leave(v.stage, 0);
    server_tell(&v, 'd');
    server_end(&v);
}
END_TEST

START_TEST(model_gives_everything_back_when_it_halts_in_the_middle)
{
    struct server v;
    if (!server_prepare(&v, _i, &fake_line))
        return;
    v.stage->settings.file = pattern_file();
    server_start(&v);
    for (int i = 0; i < 20; i++) {
        v.stage->client[i] = net_connect(v.stage->listener.fd);
        net_send(v.stage->client[i], i % 2 == 0 ? "file\nfile\nfile\n" : "unfinished");
    }
    net_expect_big(v.stage->client[0], 0, 1000);
    server_tell(&v, 'h');
    server_end(&v);
}
END_TEST

int main(void)
{
    size_t count;
    sigset_t told;
    sigemptyset(&told);         /* what tells a loop of completions and readiness is not for the clients' threads */
    for (int i = SIGRTMIN + 1; i <= SIGRTMIN + 2; i++)
        sigaddset(&told, i);
    sigaddset(&told, SIGIO);
    sigprocmask(SIG_BLOCK, &told, NULL);
    Suite *s = suite_create("models");
    TCase *t = tcase_create("models");
    (void)model_all(&count);
    int last = (int)count * FAMILIES;
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, model_gives_every_byte_back_and_drains, 0, last);
    tcase_add_loop_test(t, model_answers_what_waits_when_it_drains, 0, last);
    tcase_add_loop_test(t, model_ends_its_drain_at_the_deadline, 0, last);
    tcase_add_loop_test(t, model_sends_files_cold_and_warm, 0, last);
    tcase_add_loop_test(t, model_ends_whom_it_has_waited_for_long_enough, 0, last);
    tcase_add_loop_test(t, model_gives_everything_back_when_it_halts_in_the_middle, 0, last);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
