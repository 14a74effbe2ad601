/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/completion.c with a scripted engine: files, deadlines, an engine that fails, drains,
 * halts. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "driver/completion.h"
#include "driver/dial.h"
#include "fake/fake_completion.h"
#include "fake/fake_net.h"

/* --- files --- */

enum { FILE_SIZE = 200000 };

/* Only its size counts: the fake makes up its bytes. */
static struct file *any_file(void)
{
    struct file *f = calloc(1, sizeof *f);
    *f = (struct file){ .fd = -1, .refs = 1, .size = FILE_SIZE };
    return f;
}

static struct stage *stage_with_file(void)
{
    struct stage *s = engine_stage(&fake_line);
    s->settings.file = any_file();
    return s;
}

/* note: bytes that each load and send move at most */
static void script_file(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    struct fake_op *load = fake_op_find(f, OP_LOAD, -1);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        receive(s, 0, "head\nfile\ntail\n");
    } else if (load != NULL) {
        ck_assert(!flies(s, OP_SEND, 0));
        fake_load(f, load, s->note);
    } else if (flies(s, OP_SEND, 0)) {
        struct fake_op *o = fake_op_find(f, OP_SEND, s->server[0]);
        size_t sent = f->out[s->server[0]].n;
        ck_assert_int_eq(o->more_follows, sent + o->n < 5 + FILE_SIZE + 5);
        send_some(s, 0, s->note / 3 + 1);       /* a loaded piece takes several sends */
    } else {
        const struct fake_output *out = &f->out[s->server[0]];
        ck_assert_uint_eq(out->n, 5 + FILE_SIZE + 5);
        ck_assert_mem_eq(out->p, "head\n", 5);
        net_check_big(out->p + 5, 0, FILE_SIZE);
        ck_assert_mem_eq(out->p + 5 + FILE_SIZE, "tail\n", 5);
        stage_halt(s);
    }
}

START_TEST(completion_sends_a_file_in_pieces_of_any_size)
{
    static const size_t pieces[] = { 1000, 4097, 65535, 1 << 30 };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct stage *s = stage_with_file();
        s->note = pieces[i];
        engine_play(s, script_file);
        engine_stage_end(s);
    }
}
END_TEST

/* note: what the load returns instead of bytes */
static void script_load_fails(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "file\n");
        break;
    case 2:
        fake_load(s->fake, fake_op_find(s->fake, OP_LOAD, -1), 100);
        break;
    case 3:
        send_some(s, 0, ALL);
        break;
    case 4:
        fake_return(s->fake, fake_op_find(s->fake, OP_LOAD, -1), -(int)s->note);
        break;
    case 5:
        net_expect_end(s->client[0]);
        receive_end(s, 0);
        break;
    case 6:
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_ends_a_connection_whose_file_cannot_be_read)
{
    static const int errors[] = { 0, EIO, EISDIR };     /* 0: it shrank */
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct stage *s = stage_with_file();
        s->note = (size_t)errors[i];
        engine_play(s, script_load_fails);
        engine_stage_end(s);
    }
}
END_TEST

static void script_load_again(struct stage *s, unsigned step)
{
    struct fake_op *load = fake_op_find(s->fake, OP_LOAD, -1);
    if (step == 0)
        admit(s, 0);
    else if (step == 1)
        receive(s, 0, "file\n");
    else if (step == 2)
        fake_return(s->fake, load, -EAGAIN);
    else if (step == 3)
        fake_return(s->fake, load, -EINTR);
    else if (load != NULL)
        fake_load(s->fake, load, ALL);
    else if (flies(s, OP_SEND, 0))
        send_some(s, 0, ALL);
    else {
        ck_assert_uint_eq(engine_of(s)->out[s->server[0]].n, FILE_SIZE);
        net_check_big(engine_of(s)->out[s->server[0]].p, 0, FILE_SIZE);
        stage_halt(s);
    }
}

START_TEST(completion_loads_again_after_what_passes)
{
    struct stage *s = stage_with_file();
    engine_play(s, script_load_again);
    engine_stage_end(s);
}
END_TEST

static void script_gone_while_loading(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        admit(s, 0);
        break;
    case 1:
        receive(s, 0, "file\n");
        break;
    case 2:
        spoil(s, OP_RECV, 0, ECONNRESET);
        break;
    case 3:                                     /* into memory that must still be there */
        ck_assert_uint_eq(s->seen.closed, 0);
        fake_load(s->fake, fake_op_find(s->fake, OP_LOAD, -1), ALL);
        break;
    case 4:
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(completion_keeps_memory_until_the_load_is_back)
{
    struct stage *s = stage_with_file();
    engine_play(s, script_gone_while_loading);
    engine_stage_end(s);
}
END_TEST

/* --- time --- */

static void script_deadline(struct stage *s, unsigned step)
{
    if (step == 0)
        admit(s, 0);
    else if (step == 1)
        receive(s, 0, "wait 50\n");
    else if (s->seen.expired == 1 && flies(s, OP_SEND, 0))
        send_some(s, 0, ALL);
    else if (s->seen.expired == 1) {
        check_sent(s, 0, "late\n");
        net_expect_end(s->client[0]);
        stage_halt(s);
    }
}

START_TEST(completion_wakes_for_deadlines)
{
    engine_play_once(&fake_line, script_deadline);
}
END_TEST

static void script_send_timeout(struct stage *s, unsigned step)
{
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        receive(s, 0, "x\n");
    } else if (s->seen.closed == 0) {
        fake_return_ended(s->fake, false);
    } else {
        ck_assert_uint_eq(s->env.count.timeouts, 1);
        stage_halt(s);
    }
}

START_TEST(completion_ends_who_does_not_read)
{
    struct stage *s = engine_stage(&fake_line);
    s->service.send_timeout_ms = 50;
    engine_play(s, script_send_timeout);
    engine_stage_end(s);
}
END_TEST

/* --- the wait itself --- */

static void script_interrupted(struct stage *s, unsigned step)
{
    engine_of(s)->wait_errno = step < 5 ? EINTR : 0;
    if (step == 5)
        admit(s, 0);
    if (step == 6) {
        ck_assert_uint_eq(s->seen.opened, 1);
        stage_halt(s);
    }
}

START_TEST(completion_goes_on_after_an_interrupted_wait)
{
    engine_play_once(&fake_echo, script_interrupted);
}
END_TEST

static void script_broken_wait(struct stage *s, unsigned step)
{
    (void)step;
    engine_of(s)->wait_errno = EBADF;
}

START_TEST(completion_ends_with_the_error_of_a_wait_that_cannot_work)
{
    struct stage *s = engine_stage(&fake_echo);
    ck_assert_int_eq(stage_run(s, &driver_completion, &engine_of(s)->ops, script_broken_wait), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert(!engine_of(s)->is_open);
    engine_stage_end(s);
}
END_TEST

static void script_never(struct stage *s, unsigned step)
{
    (void)s, (void)step;
    ck_abort_msg("it runs");
}

START_TEST(completion_says_why_it_cannot_start)
{
    struct stage *s = engine_stage(&fake_echo);
    engine_of(s)->open_errno = EPERM;
    ck_assert_int_eq(stage_run(s, &driver_completion, &engine_of(s)->ops, script_never), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_uint_eq(s->ready, 0);
    engine_stage_end(s);
}
END_TEST

/* --- the end --- */

/* Everything is in flight: the door, the watch, receives, sends of memory and of a file, a load; one
 * connection is over already and waits, one lingers. */
static void script_all_in_flight(struct stage *s, unsigned step)
{
    if (step < 6) {
        admit(s, (int)step);
    } else if (step == 6) {
        receive(s, 1, "some output\n");
        receive(s, 2, "file\n");
        receive(s, 3, "file\n");
        receive(s, 4, "x\n");
        receive(s, 5, "bye\n");
    } else if (step == 7) {
        fake_load(s->fake, fake_op_find(s->fake, OP_LOAD, -1), 5000);
        spoil(s, OP_SEND, 4, EPIPE);
    } else {
        ck_assert(flies(s, OP_RECV, 0));
        ck_assert(flies(s, OP_SEND, 1) && flies(s, OP_RECV, 1));
        ck_assert_ptr_nonnull(fake_op_find(s->fake, OP_LOAD, -1));
        ck_assert(flies(s, OP_SEND, 2) || flies(s, OP_SEND, 3));
        ck_assert(flies(s, OP_RECV, 4) && flies(s, OP_RECV, 5));
        stage_halt(s);
    }
}

START_TEST(completion_halts_with_everything_in_flight)
{
    struct stage *s = stage_with_file();
    engine_play(s, script_all_in_flight);
    for (int i = 0; i < 6; i++)
        net_expect_end(s->client[i]);
    engine_stage_end(s);
}
END_TEST

/* A connection that is accepted while the driver is waiting for its cancelled accept. */
static void step_accept_at_the_end(struct fake_engine *f, int timeout_ms)
{
    struct stage *s = f->arg;
    (void)timeout_ms;
    if (s->loop.phase != LOOP_HALT) {
        stage_halt(s);
        return;
    }
    if (s->client[0] == -1) {
        s->client[0] = net_connect(s->listener.fd);
        fake_accept(f, s->listener.fd, false);
    }
    fake_return_ended(f, false);
}

START_TEST(completion_closes_who_is_accepted_while_it_halts)
{
    struct stage *s = engine_stage(&fake_echo);
    engine_of(s)->step = step_accept_at_the_end;
    ck_assert_int_eq(stage_run(s, &driver_completion, &engine_of(s)->ops, script_never), 0);
    net_expect_end(s->client[0]);
    ck_assert_uint_eq(s->seen.opened, 0);
    engine_stage_end(s);
}
END_TEST

/* What a kernel would do now: requests that have come are received, answers leave, ends are seen. */
static void script_drain(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    if (step < 3) {
        admit(s, (int)step);
    } else if (step == 3) {
        s->client[3] = net_connect(s->listener.fd);     /* waits in the backlog */
        stage_drain(s, 20000);
    } else if (step == 4) {                             /* the first look after the backlog was taken */
        s->server[3] = -1;
        for (int fd = 0; fd < FAKE_ENGINE_FDS; fd++)
            if (fake_op_find(f, OP_RECV, fd) != NULL && fd != s->server[0] && fd != s->server[1] &&
                fd != s->server[2])
                s->server[3] = fd;
        ck_assert_int_ne(s->server[3], -1);
        receive(s, 1, "was in the socket\n");
        receive(s, 3, "was in the backlog\n");
    } else if (step < 100 && s->seen.drained < 4) {
        fake_return_ended(f, false);
    } else {
        for (int i = 0; i < 4; i++)
            if (flies(s, OP_SEND, i))
                send_some(s, i, ALL);
            else if (flies(s, OP_RECV, i) && net_ready(s->client[i], POLLIN))
                receive_end(s, i);
        fake_return_ended(f, false);
    }
}

START_TEST(completion_drains_after_answering_what_has_come)
{
    struct stage *s = engine_stage(&fake_line);
    engine_play(s, script_drain);
    ck_assert_uint_eq(s->seen.drained, 4);
    ck_assert_uint_eq(s->seen.closed, 4);
    check_sent(s, 0, "");
    check_sent(s, 1, "was in the socket\n");
    check_sent(s, 3, "was in the backlog\n");
    for (int i = 0; i < 4; i++)
        net_expect_end(s->client[i]);
    engine_stage_end(s);
}
END_TEST

/* The accept was cancelled, but a connection came first, and late. */
static void script_late_accept(struct stage *s, unsigned step)
{
    struct fake_engine *f = s->fake;
    struct fake_op *door = fake_op_find(f, OP_ACCEPT, s->listener.fd);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        stage_drain(s, 20000);
    } else if (s->seen.drained == 0) {
        ck_assert(door->cancelled);                     /* it does not come back yet */
    } else if (s->client[1] == -1) {
        admit(s, 1);
    } else if (s->note == 0) {
        s->note = 1;
        receive(s, 1, "late, but here\n");
    } else {
        for (int i = 0; i < 2; i++)
            if (flies(s, OP_SEND, i))
                send_some(s, i, ALL);
            else if (flies(s, OP_RECV, i) && net_ready(s->client[i], POLLIN))
                receive_end(s, i);
        fake_return_ended(f, false);
    }
}

START_TEST(completion_drains_who_is_accepted_late)
{
    struct stage *s = engine_stage(&fake_line);
    engine_play(s, script_late_accept);
    ck_assert_uint_eq(s->seen.drained, 2);
    check_sent(s, 1, "late, but here\n");
    engine_stage_end(s);
}
END_TEST

static void script_drain_deadline(struct stage *s, unsigned step)
{
    if (step == 0)
        admit(s, 0);
    else if (step == 1)
        receive(s, 0, "never read\n");
    else if (step == 2)
        stage_drain(s, 60);
    else if (fake_op_find(s->fake, OP_ACCEPT, -1) != NULL)
        fake_return(s->fake, fake_op_find(s->fake, OP_ACCEPT, -1), -ECANCELED);
    ck_assert_uint_lt(step, 200);
}

START_TEST(completion_ends_a_drain_at_its_deadline)
{
    engine_play_once(&fake_line, script_drain_deadline);
}
END_TEST

/* --- what is watched, and connections that are made --- */

enum { PAUSE_MS = 30 };

static void read_later(void *arg)
{
    struct stage *s = arg;
    if (s->watched++ > 0)
        return;
    s->note = s->env.now_ms;
    s->watch.again_ms = s->env.now_ms + PAUSE_MS;
    s->loop.paused = true;
}

static void script_watch_pauses(struct stage *s, unsigned step)
{
    struct fake_op *watch = fake_op_find(s->fake, OP_WATCH, s->watch.fd);
    if (step == 0) {
        fake_return(s->fake, watch, 1);
    } else if (s->watched == 1) {
        ck_assert_ptr_null(watch);
    } else {
        ck_assert_uint_eq(s->watched, 2);
        ck_assert_uint_ge(s->env.now_ms, s->note + PAUSE_MS);
        ck_assert_ptr_nonnull(watch);
        stage_halt(s);
    }
}

START_TEST(completion_does_not_ask_for_a_watch_that_pauses)
{
    struct stage *s = engine_stage(&fake_line);
    s->watch.readable = read_later;
    engine_play(s, script_watch_pauses);
    engine_stage_end(s);
}
END_TEST

static void script_halt_in_a_pause(struct stage *s, unsigned step)
{
    if (step == 0)
        fake_return(s->fake, fake_op_find(s->fake, OP_WATCH, s->watch.fd), 1);
    else
        stage_halt(s);
}

START_TEST(completion_halts_while_a_watch_pauses)
{
    struct stage *s = engine_stage(&fake_line);
    s->watch.readable = read_later;
    engine_play(s, script_halt_in_a_pause);
    ck_assert_uint_eq(s->watched, 1);
    engine_stage_end(s);
}
END_TEST

static struct dial dial;
static int dial_error;

static void dial_over(struct dial *d, int error)
{
    ck_assert_ptr_eq(d, &dial);
    dial_error = error;
}

/* Once it is tried again, if it was not tried at all. */
static void script_dial(struct stage *s, unsigned step)
{
    struct fake_op *connects = fake_op_find(s->fake, OP_CONNECT, -1);
    if (step == 0) {
        s->loop.connect(s->loop.self, &dial);
    } else if (step == 1) {
        ck_assert_ptr_nonnull(connects);
        fake_return(s->fake, connects, -EAGAIN);
    } else if (dial.type == SOCK_STREAM && step == 2) {
        ck_assert_ptr_nonnull(connects);
        ck_assert_int_eq(dial_error, 0);
        fake_return(s->fake, connects, -ECONNREFUSED);
    } else {
        ck_assert_ptr_null(connects);
        stage_halt(s);
    }
}

START_TEST(completion_tries_again_to_connect_what_was_not_tried)
{
    static const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 9 };
    struct stage *s = engine_stage(&fake_line);
    bool stream = _i == 0;
    dial = (struct dial){ .to = (const struct sockaddr *)&to, .to_size = sizeof to,
                          .type = stream ? SOCK_STREAM : SOCK_DGRAM, .over = dial_over };
    dial.service = s->service;
    dial.service.dial = &dial;
    s->loop.dials = true;
    engine_play(s, script_dial);
    ck_assert_uint_eq(engine_of(s)->started[OP_CONNECT], stream ? 2 : 1);
    ck_assert_int_eq(dial_error, stream ? ECONNREFUSED : EAGAIN);
    engine_stage_end(s);
}
END_TEST

static TCase *case_others(void)
{
    TCase *t = tcase_create("others");
    tcase_add_test(t, completion_does_not_ask_for_a_watch_that_pauses);
    tcase_add_test(t, completion_halts_while_a_watch_pauses);
    tcase_add_loop_test(t, completion_tries_again_to_connect_what_was_not_tried, 0, 2);
    return t;
}

static TCase *case_files(void)
{
    TCase *t = tcase_create("files");
    tcase_add_test(t, completion_sends_a_file_in_pieces_of_any_size);
    tcase_add_test(t, completion_ends_a_connection_whose_file_cannot_be_read);
    tcase_add_test(t, completion_loads_again_after_what_passes);
    tcase_add_test(t, completion_keeps_memory_until_the_load_is_back);
    return t;
}

static TCase *case_end(void)
{
    TCase *t = tcase_create("end");
    tcase_add_test(t, completion_wakes_for_deadlines);
    tcase_add_test(t, completion_ends_who_does_not_read);
    tcase_add_test(t, completion_goes_on_after_an_interrupted_wait);
    tcase_add_test(t, completion_ends_with_the_error_of_a_wait_that_cannot_work);
    tcase_add_test(t, completion_says_why_it_cannot_start);
    tcase_add_test(t, completion_halts_with_everything_in_flight);
    tcase_add_test(t, completion_closes_who_is_accepted_while_it_halts);
    tcase_add_test(t, completion_drains_after_answering_what_has_come);
    tcase_add_test(t, completion_drains_who_is_accepted_late);
    tcase_add_test(t, completion_ends_a_drain_at_its_deadline);
    return t;
}

int main(void)
{
    Suite *s = suite_create("completion_limits");
    suite_add_tcase(s, case_files());
    suite_add_tcase(s, case_end());
    suite_add_tcase(s, case_others());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
