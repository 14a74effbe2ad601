/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of how drivers pass connections to heirs and take them over, with a scripted poller and a scripted engine.  The
 * heir keeps a duplicate of what it took, so the client's end stays open. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/conn_driver.h"
#include "core/heirs.h"
#include "fake/fake_completion.h"
#include "fake/fake_net.h"
#include "fake/fake_readiness.h"

struct fake_heirs {
    struct heirs     face;              /* first */
    enum heir_answer answer;
    bool             nobody;
    unsigned         asked, took;
    int              fd;                /* of the latest; -1: none */
    struct fake_poller *watched;        /* it must have forgotten the socket by then */
};

static struct fake_heirs heirs;

static bool heirs_serve(struct heirs *h, const struct service *s)
{
    ck_assert_str_eq(s->name, "test");
    return !((struct fake_heirs *)(void *)h)->nobody;
}

static enum heir_answer heirs_take(struct heirs *face, const struct conn *c, int fd)
{
    struct fake_heirs *h = (struct fake_heirs *)(void *)face;
    ck_assert(conn_portable(c));
    ck_assert(h->watched == NULL || !h->watched->entries[fd].added);
    h->asked++;
    if (h->answer != HEIR_TOOK)
        return h->answer;
    h->took++;
    if (h->fd != -1)
        close(h->fd);
    h->fd = dup(fd);
    return HEIR_TOOK;
}

static void heirs_make(struct stage *s, enum heir_answer answer)
{
    heirs = (struct fake_heirs){ .face = { .serve = heirs_serve, .take = heirs_take }, .answer = answer, .fd = -1 };
    s->env.heirs = &heirs.face;
}

static void heirs_end(void)
{
    if (heirs.fd != -1)
        close(heirs.fd);
}

/* A connection of another worker, with half a line that was not taken. */
static int adopted(struct stage *s)
{
    static char bytes[PARCEL_MAX];
    int pair[2];
    struct peer peer = { .port = 77 };
    struct env env;
    struct parcel p;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    env_init(&env, NULL);
    struct conn *c = conn_new(&env, &s->service, -1, &peer, 0);
    ck_assert(parcel_open(&p, (struct span){ bytes, conn_pack(c, bytes) }));
    conn_free(c);
    env_free(&env);
    s->seen.opened--, s->seen.closed--;         /* elsewhere */
    p.kept = SPAN("ha");
    s->loop.adopt(s->loop.self, &s->service, pair[1], &p);
    return pair[0];
}

static void play(const struct proto *proto, int kind, stage_script *script, enum heir_answer answer)
{
    struct stage *s = poller_stage(proto, kind, net_listen_unix());
    heirs_make(s, answer);
    heirs.watched = s->fake;
    poller_play(s, script);
    heirs_end();
    poller_stage_end(s);
}

/* --- readiness --- */

static void script_idle(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        stage_drain(s, 60000);
        break;
    default:
        ck_abort_msg("an empty worker goes on");
    }
}

START_TEST(readiness_passes_who_is_idle_and_ends)
{
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    heirs_make(s, HEIR_TOOK);
    heirs.watched = s->fake;
    poller_play(s, script_idle);
    ck_assert_uint_eq(heirs.took, 1);
    ck_assert_uint_eq(s->seen.drained, 0);
    ck_assert_uint_eq(s->env.count.passed_on, 1);
    net_expect_quiet(s->client[0]);             /* not shut down, not closed */
    net_send(s->client[0], "for the heir");
    net_expect(heirs.fd, "for the heir");
    heirs_end();
    poller_stage_end(s);
}
END_TEST

static void script_busy_heir(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        stage_drain(s, 60000);
        break;
    case 2:
        ck_assert_uint_eq(heirs.asked, 1);
        ck_assert(poller_of(s)->timeout_ms >= 0 && poller_of(s)->timeout_ms <= 5);
        check_armed(s, s->server[0], CAN_READ);
        net_send(s->client[0], "x\n");         /* it is served meanwhile */
        hint(s, 0, CAN_READ);
        break;
    case 3:
        net_expect(s->client[0], "x\n");
        heirs.answer = HEIR_TOOK;
    }
}

START_TEST(readiness_goes_on_while_heirs_are_busy_and_asks_again)
{
    play(&fake_line, _i, script_busy_heir, HEIR_BUSY);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* note: bytes that the client has read */
static void script_output(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "big 1000040\nhal");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        stage_drain(s, 60000);
        break;
    default:
        ck_assert_uint_eq(heirs.took, 0);
        while (net_ready(s->client[0], POLLIN)) {
            char bytes[65536];
            size_t n = net_take(s->client[0], bytes, sizeof bytes);
            net_check_big(bytes, s->note, n);
            s->note += n;
        }
        hint(s, 0, CAN_WRITE);
    }
}

START_TEST(readiness_passes_who_is_busy_when_all_is_sent)
{
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    heirs_make(s, HEIR_TOOK);
    poller_play(s, script_output);
    ck_assert_uint_eq(heirs.took, 1);
    heirs_end();
    poller_stage_end(s);
}
END_TEST

static void script_nobody(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        stage_drain(s, 60000);
        break;
    case 2:
        ck_assert_uint_eq(s->seen.drained, 0);
        heirs.nobody = true;                    /* the daemon ends after all */
        s->loop.review = true;
        break;
    case 3:
        ck_assert_uint_eq(s->seen.drained, 1);
        net_expect_end(s->client[0]);
        stage_halt(s);
    }
}

START_TEST(readiness_reviews_who_has_an_heir_when_it_is_told_to)
{
    play(&fake_line, _i, script_nobody, HEIR_NONE);
}
END_TEST

static void script_adopt(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        s->client[0] = adopted(s);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "lf\nnext\n");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        net_expect(s->client[0], "half\nnext\n");
        ck_assert_uint_eq(s->env.count.taken_over, 1);
        s->client[1] = adopted(s);              /* in a house that is full, too */
        stage_halt(s);
    }
}

START_TEST(readiness_takes_over_connections_in_a_full_house_too)
{
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->loop.connections_max = 1;
    poller_play(s, script_adopt);
    ck_assert_uint_eq(s->seen.opened, 0);
    poller_stage_end(s);
}
END_TEST

/* --- completion --- */

static void complete(const struct proto *proto, stage_script *script, enum heir_answer answer)
{
    struct stage *s = engine_stage(proto);
    heirs_make(s, answer);
    engine_play(s, script);
    heirs_end();
    engine_stage_end(s);
}

static struct fake_op *recv_of(struct stage *s, int i)
{
    return fake_op_find(s->fake, OP_RECV, s->server[i]);
}

/* What a kernel returns by itself: the door, and the watch when the worker is empty. */
static void doors_come_back(struct stage *s)
{
    struct fake_op *door = fake_op_find(s->fake, OP_ACCEPT, -1);
    if (heirs.took > 0)
        fake_return_ended(s->fake, false);
    else if (door != NULL && door->cancelled)
        fake_return(s->fake, door, -ECANCELED);
}

static void script_recalled(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        stage_drain(s, 60000);
    } else if (heirs.took == 0 && recv_of(s, 0) != NULL) {
        ck_assert(recv_of(s, 0)->recalled);
        fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    }
}

START_TEST(completion_takes_a_receive_back_before_it_passes)
{
    complete(&fake_line, script_recalled, HEIR_TOOK);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* Bytes come before the receive is back: they are answered here. */
static void script_late_bytes(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        stage_drain(s, 60000);
    } else if (heirs.took == 0 && recv_of(s, 0) != NULL && recv_of(s, 0)->recalled) {
        if (s->note++ == 0)
            receive(s, 0, "late\nhal");
        else
            fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    } else if (heirs.took == 0 && flies(s, OP_SEND, 0)) {
        send_some(s, 0, ALL);
        check_sent(s, 0, "late\n");
    }
}

START_TEST(completion_serves_what_a_receive_brings_before_it_passes)
{
    complete(&fake_line, script_late_bytes, HEIR_TOOK);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* A receive that goes on by itself is taken back as well. */
static void script_flowing(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        receive(s, 0, "one\n");
    } else if (step == 2) {
        send_some(s, 0, ALL);
        ck_assert(recv_of(s, 0)->many);
        fake_receive(s->fake, s->server[0], "t", 1, true);
        stage_drain(s, 60000);
    } else if (heirs.took == 0 && recv_of(s, 0) != NULL && recv_of(s, 0)->recalled) {
        if (s->note++ == 0)
            fake_receive(s->fake, s->server[0], "w", 1, true);
        else
            fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    }
}

START_TEST(completion_takes_back_a_receive_that_goes_on_by_itself)
{
    complete(&fake_line, script_flowing, HEIR_TOOK);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* For a moment nothing is started: the heir will have read soon. */
static void script_busy(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        stage_drain(s, 60000);
    } else if (recv_of(s, 0) != NULL) {
        ck_assert(recv_of(s, 0)->recalled);
        fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    } else if (heirs.asked >= 2) {
        heirs.answer = HEIR_TOOK;
    }
}

START_TEST(completion_waits_for_a_busy_heir)
{
    complete(&fake_line, script_busy, HEIR_BUSY);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* A request on its way keeps the looks for what has come going, a hundred of them: the heir is asked again before. */
static void script_request_waits(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        net_send(s->client[0], "for the heir");
        stage_drain(s, 60000);
    } else if (recv_of(s, 0) != NULL && heirs.asked == 0) {
        fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    } else if (heirs.asked == 1) {
        ck_assert_uint_lt(++s->note, 50);
        poll(NULL, 0, 1);
    } else {
        heirs.answer = HEIR_TOOK;
    }
}

START_TEST(completion_asks_a_busy_heir_again_while_it_takes_what_came)
{
    complete(&fake_line, script_request_waits, HEIR_BUSY);
    ck_assert_uint_eq(heirs.took, 1);
}
END_TEST

/* ... but not for ever. */
static void script_stuck(struct stage *s, unsigned step)
{
    doors_come_back(s);
    if (step == 0) {
        admit(s, 0);
    } else if (step == 1) {
        stage_drain(s, 60000);
    } else if (recv_of(s, 0) != NULL && recv_of(s, 0)->recalled && s->note < 2) {
        fake_return(s->fake, recv_of(s, 0), -ECANCELED);
    } else if (recv_of(s, 0) != NULL && s->note == 0) {
        receive(s, 0, "served\n");
        s->note = 1;
    } else if (s->note == 1 && flies(s, OP_SEND, 0)) {
        send_some(s, 0, ALL);
        check_sent(s, 0, "served\n");
        s->note = 2;
        stage_halt(s);
    }
}

START_TEST(completion_goes_on_when_an_heir_is_busy_for_long)
{
    complete(&fake_line, script_stuck, HEIR_BUSY);
    ck_assert_uint_eq(heirs.took, 0);
}
END_TEST

static void script_adopt_flight(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        s->client[0] = adopted(s);
        break;
    case 1: {
        struct fake_op *recv = fake_op_find(s->fake, OP_RECV, -1);
        ck_assert_ptr_nonnull(recv);
        s->server[0] = recv->fd;
        receive(s, 0, "lf\n");
        break;
    }
    case 2:
        send_some(s, 0, ALL);
        check_sent(s, 0, "half\n");
        stage_halt(s);
    }
}

START_TEST(completion_takes_over_connections)
{
    engine_play_once(&fake_line, script_adopt_flight);
}
END_TEST

static void script_adopt_many(struct stage *s, unsigned step)
{
    if (step == 0)
        for (int i = 0; i < STAGE_CLIENTS; i++)
            s->client[i] = adopted(s);
    for (int i = 0; i < STAGE_CLIENTS && step == 1; i++)
        net_expect_quiet(s->client[i]);
    if (step == 1)
        stage_halt(s);
}

START_TEST(completion_takes_over_more_connections_than_it_would_let_in)
{
    struct stage *s = engine_stage(&fake_line);
    s->loop.connections_max = 1;
    engine_play(s, script_adopt_many);
    ck_assert_uint_eq(s->env.count.taken_over, STAGE_CLIENTS);
    ck_assert_uint_eq(s->env.count.refused, 0);
    engine_stage_end(s);
}
END_TEST

int main(void)
{
    TCase *r = tcase_create("readiness"), *c = tcase_create("completion");
    FOR_ALL_POLLERS(r, readiness_passes_who_is_idle_and_ends);
    FOR_ALL_POLLERS(r, readiness_goes_on_while_heirs_are_busy_and_asks_again);
    FOR_ALL_POLLERS(r, readiness_passes_who_is_busy_when_all_is_sent);
    FOR_ALL_POLLERS(r, readiness_reviews_who_has_an_heir_when_it_is_told_to);
    FOR_ALL_POLLERS(r, readiness_takes_over_connections_in_a_full_house_too);
    tcase_add_test(c, completion_takes_a_receive_back_before_it_passes);
    tcase_add_test(c, completion_serves_what_a_receive_brings_before_it_passes);
    tcase_add_test(c, completion_takes_back_a_receive_that_goes_on_by_itself);
    tcase_add_test(c, completion_waits_for_a_busy_heir);
    tcase_add_test(c, completion_asks_a_busy_heir_again_while_it_takes_what_came);
    tcase_add_test(c, completion_goes_on_when_an_heir_is_busy_for_long);
    tcase_add_test(c, completion_takes_over_connections);
    tcase_add_test(c, completion_takes_over_more_connections_than_it_would_let_in);
    Suite *s = suite_create("passing");
    suite_add_tcase(s, r);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
