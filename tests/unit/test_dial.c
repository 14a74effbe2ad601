/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of connections that loops make (driver/dial.h), on every I/O model that can run here, with real sockets. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "core/conn.h"
#include "driver/dial.h"
#include "driver/driver.h"
#include "driver/model.h"

enum { PATIENCE_US = 20000000 };        /* a busy machine needs long */

/* What a test sees; threads write it, on the model blocking. */
struct scene {
    const struct model *model;
    struct env          env;
    struct loop         loop;
    struct watch        watch;
    struct dial         dial;
    struct proto        proto;
    struct sockaddr_in  to, from;
    int                 listener, peer, alarm[2];
    void              (*script)(struct scene *s);
    unsigned            step;
    uint64_t            give_up_us;
    unsigned            opened, closed, over, heard;
    int                 error;
    struct conn        *conn;           /* of models with one thread */
    bool                speaks;         /* it may */
};

static struct scene *scene_of(const struct conn *c)
{
    struct scene *const *s = conn_settings(c);
    return *s;
}

static unsigned get(unsigned *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void grow(unsigned *at)
{
    __atomic_fetch_add(at, 1, __ATOMIC_ACQ_REL);
}

static void scene_open(struct conn *c)
{
    scene_of(c)->conn = c;
    grow(&scene_of(c)->opened);
}

static size_t scene_input(struct conn *c, struct span in)
{
    grow(&scene_of(c)->heard);
    return in.n;
}

static void scene_room(struct conn *c)
{
    bool speaks = true;
    if (__atomic_compare_exchange_n(&scene_of(c)->speaks, &speaks, false, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        outq_put(conn_out(c), SPAN("hello"));
}

static uint64_t scene_speaks_us(const struct conn *c)
{
    (void)c;
    return clock_monotonic_us() + 5000;
}

static void scene_close(struct conn *c)
{
    grow(&scene_of(c)->closed);
}

static void scene_over(struct dial *d, int error)
{
    struct scene *s = *(struct scene *const *)d->service.settings;
    __atomic_store_n(&s->error, error, __ATOMIC_RELAXED);
    grow(&s->over);
}

static void scene_rest(void *arg)
{
    struct scene *s = arg;
    if (clock_monotonic_us() > s->give_up_us)
        s->loop.phase = LOOP_HALT;      /* and the test fails, since its script has not ended */
    s->script(s);
}

static void scene_ready(void *arg)
{
    struct scene *s = arg;
    s->loop.connect(s->loop.self, &s->dial);
}

/* The loop is kept awake by a clock: a byte in its watch every few milliseconds. */
static void *scene_clock(void *arg)
{
    const struct scene *s = arg;
    char byte;
    while (recv(s->alarm[1], &byte, 1, MSG_DONTWAIT) != 0) {
        (void)!write(s->alarm[1], "", 1);
        usleep(2000);
    }
    return NULL;
}

static void scene_rang(void *arg)
{
    const struct scene *s = arg;
    char bytes[256];
    while (recv(s->alarm[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

static struct sockaddr_in loopback(uint8_t last)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last) };
}

static int listener_new(struct scene *s, int type)
{
    socklen_t size = sizeof s->to;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    s->to = loopback(1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&s->to, sizeof s->to), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s->to, &size), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

/* False: the model of this turn cannot run here. */
static bool scene_init(struct scene *s, int turn, int type)
{
    size_t count;
    char why[256];
    const struct model *all = model_all(&count);
    *s = (struct scene){ 0 };
    if ((size_t)turn >= count || !model_available(&all[turn], why, sizeof why))
        return false;
    s->model = &all[turn];
    signal(SIGPIPE, SIG_IGN);
    s->listener = listener_new(s, type);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s->alarm), 0);
    s->proto = (struct proto){ .name = "scene", .open = scene_open, .input = scene_input, .room = scene_room,
                               .close = scene_close, .speaks_us = scene_speaks_us };
    return true;
}

static void scene_run(struct scene *s, int type, void (*script)(struct scene *s))
{
    struct scene *settings = s;
    pthread_t clock;
    s->dial = (struct dial){ .to = (struct sockaddr *)&s->to, .to_size = sizeof s->to, .type = type, .over = scene_over };
    if (s->from.sin_family != 0) {
        s->dial.from = (struct sockaddr *)&s->from;
        s->dial.from_size = sizeof s->from;
    }
    s->dial.service = (struct service){ .name = "scene", .proto = &s->proto, .settings = &settings, .dial = &s->dial };
    s->script = script;
    s->give_up_us = clock_monotonic_us() + PATIENCE_US;
    env_init(&s->env, NULL);
    s->env.about.worker = "0";
    s->watch = (struct watch){ .fd = s->alarm[0], .readable = scene_rang, .arg = s };
    s->loop = (struct loop){ .env = &s->env, .watches = &s->watch, .watch_count = 1, .connections_max = 4, .dials = true,
                             .ready = scene_ready, .rest = scene_rest, .arg = s };
    sigset_t ours, before;
    thread_signals(&ours);      /* those of the loop are for its own threads */
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    ck_assert_int_eq(pthread_create(&clock, NULL, scene_clock, s), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ck_assert_int_eq(s->model->driver->run(&s->loop, s->model->ops), 0);
    shutdown(s->alarm[0], SHUT_RDWR);
    pthread_join(clock, NULL);
    ck_assert_uint_eq(s->opened, s->closed);
    ck_assert_uint_eq(s->over, 1);
    env_free(&s->env);
    close(s->listener);
    close(s->alarm[0]);
    close(s->alarm[1]);
}

static int peer_accept(struct scene *s)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int fd = accept(s->listener, (struct sockaddr *)&from, &size);
    ck_assert_int_ge(fd, 0);
    if (s->from.sin_family != 0)
        ck_assert_uint_eq(from.sin_addr.s_addr, s->from.sin_addr.s_addr);
    return fd;
}

/* It is made, woken, says what it has to say, hears, and goes. */
static void script_talk(struct scene *s)
{
    char text[8] = "";
    if (s->step == 0 && get(&s->opened) == 1) {
        s->peer = peer_accept(s);
        __atomic_store_n(&s->speaks, true, __ATOMIC_RELEASE);
        if (s->loop.wake != NULL)
            s->loop.wake(s->loop.self, s->conn);
        s->step++;
    } else if (s->step == 1 && recv(s->peer, text, sizeof text, MSG_DONTWAIT) == 5) {
        ck_assert_str_eq(text, "hello");
        ck_assert_int_eq(write(s->peer, "you too", 7), 7);
        s->step++;
    } else if (s->step == 2 && get(&s->heard) == 1) {
        close(s->peer);
        s->step++;
    } else if (s->step == 3 && get(&s->over) == 1) {
        s->loop.phase = LOOP_HALT;
        s->step++;
    }
}

START_TEST(dial_makes_a_connection_that_talks)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    s.from = loopback(9);
    scene_run(&s, SOCK_STREAM, script_talk);
    ck_assert_uint_eq(s.step, 4);
    ck_assert_uint_eq(s.opened, 1);
    ck_assert_int_eq(s.error, 0);
}
END_TEST

enum { DEADLINE_MS = 50, LATER_US = 600 * 1000000 };

static void open_with_deadline(struct conn *c)
{
    scene_open(c);
    conn_timeout(c, DEADLINE_MS);
}

static uint64_t speaks_much_later(const struct conn *c)
{
    (void)c;
    return clock_monotonic_us() + LATER_US;
}

static void scene_expired(struct conn *c)
{
    grow(&scene_of(c)->heard);
    conn_abort(c);
}

static void script_expire(struct scene *s)
{
    if (get(&s->over) == 1) {
        s->step = 1;
        s->loop.phase = LOOP_HALT;
    }
}

/* Who will have something to say much later is late all the same. */
START_TEST(dial_keeps_the_deadline_of_who_speaks_later)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    s.proto.open = open_with_deadline;
    s.proto.speaks_us = speaks_much_later;
    s.proto.expired = scene_expired;
    scene_run(&s, SOCK_STREAM, script_expire);
    ck_assert_uint_eq(s.step, 1);
    ck_assert_uint_eq(s.heard, 1);
}
END_TEST

static void script_fail(struct scene *s)
{
    if (get(&s->over) == 1) {
        s->step = 1;
        s->loop.phase = LOOP_HALT;
    }
}

START_TEST(dial_tells_that_nobody_is_there)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    shutdown(s.listener, SHUT_RDWR);
    scene_run(&s, SOCK_STREAM, script_fail);
    ck_assert_uint_eq(s.step, 1);
    ck_assert_uint_eq(s.opened, 0);
    ck_assert_int_eq(s.error, ECONNREFUSED);
}
END_TEST

START_TEST(dial_tells_that_an_address_is_not_ours)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    s.from = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = inet_addr("192.0.2.1") };
    scene_run(&s, SOCK_STREAM, script_fail);
    ck_assert_uint_eq(s.opened, 0);
    ck_assert_int_eq(s.error, EADDRNOTAVAIL);
}
END_TEST

static void script_halt(struct scene *s)
{
    if (++s->step == 10)
        s->loop.phase = LOOP_HALT;
}

/* A full backlog answers nothing, so the connection is never made. */
START_TEST(dial_under_way_ends_with_the_loop)
{
    struct scene s;
    int waiting[4];
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    for (int i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(waiting[i], (struct sockaddr *)&s.to, sizeof s.to);
    }
    scene_run(&s, SOCK_STREAM, script_halt);
    ck_assert_uint_eq(s.opened, 0);
    ck_assert_int_eq(s.error, ECANCELED);
    for (int i = 0; i < 4; i++)
        close(waiting[i]);
}
END_TEST

static void script_live(struct scene *s)
{
    if (get(&s->opened) == 1 && ++s->step == 3)
        s->loop.phase = LOOP_HALT;
}

START_TEST(dial_made_ends_with_the_loop)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_STREAM))
        return;
    scene_run(&s, SOCK_STREAM, script_live);
    ck_assert_uint_eq(s.opened, 1);
    ck_assert_int_eq(s.error, 0);
}
END_TEST

/* Three datagrams that wait already are heard, each by itself. */
static void script_letters(struct scene *s)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    char text[8];
    if (s->step == 0 && get(&s->opened) == 1) {
        __atomic_store_n(&s->speaks, true, __ATOMIC_RELEASE);
        if (s->loop.wake != NULL)
            s->loop.wake(s->loop.self, s->conn);
        s->step++;
    } else if (s->step == 1 && recvfrom(s->listener, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &size) == 5) {
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(sendto(s->listener, "abc", 3, 0, (struct sockaddr *)&from, size), 3);
        s->step++;
    } else if (s->step == 2 && get(&s->heard) == 3) {
        s->loop.phase = LOOP_HALT;
        s->step++;
    }
}

START_TEST(dial_hears_every_datagram)
{
    struct scene s;
    if (!scene_init(&s, _i, SOCK_DGRAM))
        return;
    scene_run(&s, SOCK_DGRAM, script_letters);
    ck_assert_uint_eq(s.step, 3);
    ck_assert_uint_eq(s.heard, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dial");
    TCase *t = tcase_create("dial");
    size_t models;
    (void)model_all(&models);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, dial_makes_a_connection_that_talks, 0, (int)models);
    tcase_add_loop_test(t, dial_keeps_the_deadline_of_who_speaks_later, 0, (int)models);
    tcase_add_loop_test(t, dial_tells_that_nobody_is_there, 0, (int)models);
    tcase_add_loop_test(t, dial_tells_that_an_address_is_not_ours, 0, (int)models);
    tcase_add_loop_test(t, dial_under_way_ends_with_the_loop, 0, (int)models);
    tcase_add_loop_test(t, dial_made_ends_with_the_loop, 0, (int)models);
    tcase_add_loop_test(t, dial_hears_every_datagram, 0, (int)models);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
