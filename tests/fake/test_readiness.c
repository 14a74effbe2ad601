/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/readiness.c with a poller that is scripted: each hint, and each that does not come, is
 * ours. Here: the life of a connection, hints that are wrong, hints that come once. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fake/fake_net.h"
#include "fake/fake_readiness.h"

/* --- the plain life of a connection --- */

static void script_echo(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        check_armed(s, s->server[0], CAN_READ);
        net_send(s->client[0], "hello");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        net_expect(s->client[0], "hello");
        check_armed(s, s->server[0], CAN_READ);
        net_shut(s->client[0]);
        hint(s, 0, CAN_READ | PEER_GONE);
        break;
    case 3:
        net_expect_end(s->client[0]);
        check_gone(s, 0);
        ck_assert_uint_eq(s->seen.closed, 1);
        stage_halt(s);
    }
}

START_TEST(readiness_serves_a_connection_from_accept_to_end)
{
    poller_play_once(&fake_echo, _i, script_echo);
}
END_TEST

static void script_quick(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        s->client[0] = net_connect(s->listener.fd);
        net_send(s->client[0], "one\nnow\n");
        fake_hint(s->fake, s->listener.fd, CAN_READ);
        break;
    case 1:
        net_expect(s->client[0], "one\n");
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(poller_of(s)->conn_adds, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_never_adds_a_connection_that_ends_in_its_first_turn)
{
    poller_play_once(&fake_line, _i, script_quick);
}
END_TEST

/* What the poller was asked to report last, it was asked once. */
static void script_quiet(struct stage *s, unsigned step)
{
    if (step == 0)
        join(s, 0);
    else if (step == 1)
        joined(s, 0);
    if (step > 0 && step < 20) {
        net_send(s->client[0], "x");
        hint(s, 0, CAN_READ);
    }
    if (step == 2)
        s->note = poller_of(s)->arms;
    if (step == 20) {
        ck_assert_uint_eq(poller_of(s)->arms, s->note);
        stage_halt(s);
    }
}

START_TEST(readiness_says_nothing_to_the_poller_while_nothing_changes)
{
    poller_play_once(&fake_echo, _i, script_quiet);
}
END_TEST

/* --- hints that are wrong --- */

static void script_nonsense(struct stage *s, unsigned step)
{
    static const int nobody[] = { -1, INT_MIN, INT_MAX, 4000, 0, 1 };
    switch (step) {
    case 0:
        for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++)
            fake_hint_as(s->fake, nobody[i], CAN_READ | CAN_WRITE | PEER_GONE, (uint32_t)i);
        fake_hint_as(s->fake, poller_of(s)->fds_max, CAN_READ, 0);
        fake_hint_as(s->fake, poller_of(s)->fds_max - 1, CAN_READ, 0);
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        for (int i = 0; i < 10; i++)
            hint(s, 0, (unsigned)i % 8);        /* nothing is there */
        break;
    case 2:
        net_expect_quiet(s->client[0]);
        net_send(s->client[0], "still there");
        hint(s, 0, CAN_READ);
        break;
    case 3:
        net_expect(s->client[0], "still there");
        ck_assert_uint_gt(s->env.count.stale_events, 0);
        ck_assert_uint_gt(s->env.count.would_block, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_survives_hints_about_nobody_and_nothing)
{
    poller_play_once(&fake_echo, _i, script_nonsense);
}
END_TEST

static void script_generations(struct stage *s, unsigned step)
{
    uint32_t mine = s->server[0] != -1 ? poller_of(s)->entries[s->server[0]].generation : 0;
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "x");
        fake_hint_as(s->fake, s->server[0], CAN_READ, poller_of(s)->entries[s->server[0]].generation + 1);
        break;
    case 2:
        net_expect_quiet(s->client[0]);
        ck_assert_uint_eq(s->env.count.stale_events, 1);
        fake_hint_as(s->fake, s->server[0], CAN_READ, ANY_GENERATION);
        break;
    case 3:
        net_expect(s->client[0], "x");
        net_send(s->client[0], "y");
        fake_hint_as(s->fake, s->server[0], CAN_READ, mine);
        break;
    case 4:
        net_expect(s->client[0], "y");
        stage_halt(s);
    }
}

START_TEST(readiness_tells_a_connection_from_the_one_before)
{
    poller_play_once(&fake_echo, _i, script_generations);
}
END_TEST

/* In one batch: a connection ends, a new one gets its descriptor, more hints about the old one. */
static void script_reuse(struct stage *s, unsigned step)
{
    struct fake_poller *f = s->fake;
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "abort\n");
        hint(s, 0, CAN_READ);
        hint(s, 0, CAN_READ | CAN_WRITE);
        join(s, 1);
        hint(s, 0, CAN_READ | CAN_WRITE | PEER_GONE);
        hint(s, 0, CAN_READ);
        break;
    case 2:
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->env.count.stale_events, 3);
        joined(s, 1);
        ck_assert_int_eq(s->server[1], s->server[0]);
        net_send(s->client[1], "mine\n");
        fake_hint_as(f, s->server[1], CAN_READ, ANY_GENERATION);
        break;
    case 3:
        net_expect(s->client[1], "mine\n");
        stage_halt(s);
    }
}

START_TEST(readiness_is_not_confused_when_a_descriptor_is_reused_within_a_batch)
{
    poller_play_once(&fake_line, _i, script_reuse);
}
END_TEST

static void script_reversed(struct stage *s, unsigned step)
{
    enum { CLIENTS = 20 };
    if (step < CLIENTS)
        join(s, (int)step);
    if (step >= 1 && step <= CLIENTS)
        joined(s, (int)step - 1);
    if (step == CLIENTS) {
        for (int i = 0; i < CLIENTS; i++) {
            char text[2] = { (char)('a' + i), '\0' };
            net_send(s->client[i], text);
        }
        for (int i = CLIENTS; i-- > 0;) {
            hint(s, i, CAN_READ);
            hint(s, i, CAN_READ);
        }
    }
    if (step == CLIENTS + 1) {
        for (int i = 0; i < CLIENTS; i++) {
            char text[2] = { (char)('a' + i), '\0' };
            net_expect(s->client[i], text);
        }
        stage_halt(s);
    }
}

START_TEST(readiness_does_not_care_about_the_order_of_hints)
{
    poller_play_once(&fake_echo, _i, script_reversed);
}
END_TEST

/* --- hints that come once --- */

enum { PACKETS = 100 };

static void script_packets(struct stage *s, unsigned step)
{
    char text[32];
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        for (int i = 0; i < PACKETS; i++) {
            snprintf(text, sizeof text, "packet %d", i);
            net_send(s->client[0], text);
        }
        hint(s, 0, CAN_READ);
    } else if (s->env.count.receives > PACKETS) {
        for (int i = 0; i < PACKETS; i++) {
            snprintf(text, sizeof text, "packet %d", i);
            net_expect(s->client[0], text);
        }
        stage_halt(s);
    } else {
        ck_assert_int_eq(poller_of(s)->timeout_ms, 0);
    }
}

/* Each receive brings one packet, so that one wakeup's turns are used up many times over. */
START_TEST(readiness_takes_all_input_of_one_hint_over_many_turns)
{
    struct stage *s = poller_stage(&fake_echo, EDGE_LONG, net_listen_packets());
    poller_play(s, script_packets);
    poller_stage_end(s);
}
END_TEST

enum { FLOOD = 2 * 1024 * 1024 };       /* more than a wakeup's turns and scratch: 8 of 64 KiB */

static void script_flood(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        char *bytes = calloc(1, FLOOD);
        for (int i = 0; i < FLOOD; i += 100)
            bytes[i + 99 < FLOOD ? i + 99 : FLOOD - 1] = '\n';
        int flags = fcntl(s->client[0], F_GETFL);
        fcntl(s->client[0], F_SETFL, flags | O_NONBLOCK);
        ssize_t n = send(s->client[0], bytes, FLOOD, MSG_NOSIGNAL);     /* as much as fits */
        free(bytes);
        ck_assert_int_gt(n, 0);
        s->note = (size_t)n / 100;
        hint(s, 0, CAN_READ);
    } else if (step > 200) {
        stage_halt(s);
    }
}

/* Empty lines of 99 NULs are answered by as much; here they are swallowed: only their number counts. */
static size_t count_lines(struct conn *c, struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    if (end != NULL)
        conn_env(c)->count.messages++;
    return end != NULL ? (size_t)(end - in.p) + 1 : 0;
}

static void count_open(struct conn *c)
{
    const struct fake_settings *settings = conn_settings(c);
    settings->seen->opened++;
}

static void count_close(struct conn *c)
{
    const struct fake_settings *settings = conn_settings(c);
    settings->seen->closed++;
}

static const struct proto counting = {
    .name = "count", .open = count_open, .input = count_lines, .close = count_close,
};

START_TEST(readiness_takes_a_flood_of_one_hint)
{
    struct stage *s = poller_stage(&counting, _i, net_listen_unix());
    poller_play(s, script_flood);
    ck_assert_uint_eq(s->env.count.messages, s->note);
    poller_stage_end(s);
}
END_TEST

static void script_crowd(struct stage *s, unsigned step)
{
    enum { CROWD = 200 };               /* more than a listener's budget in one turn */
    if (step == 0)
        return;                         /* nobody is there: the listener is empty now */
    if (step == 1) {
        for (int i = 0; i < CROWD; i++)
            s->client[i] = net_connect(s->listener.fd);
        fake_hint(s->fake, s->listener.fd, CAN_READ);
    } else if (s->seen.opened == CROWD) {
        stage_halt(s);
    } else {
        ck_assert_int_eq(poller_of(s)->timeout_ms, 0);
    }
}

START_TEST(readiness_accepts_all_who_wait_after_one_hint)
{
    poller_play_once(&fake_echo, _i, script_crowd);
}
END_TEST

static void script_before_ready(struct stage *s, unsigned step)
{
    if (step == 0)
        return;                         /* no hint at all: what is added is taken as ready once */
    ck_assert_uint_eq(s->seen.opened, 1);
    stage_halt(s);
}

START_TEST(readiness_accepts_who_came_before_it_began)
{
    struct stage *s = poller_stage(&fake_echo, _i, net_listen_unix());
    s->client[0] = net_connect(s->listener.fd);
    poller_play(s, script_before_ready);
    poller_stage_end(s);
}
END_TEST

static TCase *case_hints(void)
{
    TCase *t = tcase_create("hints");
    FOR_ALL_POLLERS(t, readiness_serves_a_connection_from_accept_to_end);
    FOR_ALL_POLLERS(t, readiness_never_adds_a_connection_that_ends_in_its_first_turn);
    FOR_ALL_POLLERS(t, readiness_says_nothing_to_the_poller_while_nothing_changes);
    FOR_ALL_POLLERS(t, readiness_survives_hints_about_nobody_and_nothing);
    FOR_ALL_POLLERS(t, readiness_tells_a_connection_from_the_one_before);
    FOR_ALL_POLLERS(t, readiness_is_not_confused_when_a_descriptor_is_reused_within_a_batch);
    FOR_ALL_POLLERS(t, readiness_does_not_care_about_the_order_of_hints);
    tcase_add_test(t, readiness_takes_all_input_of_one_hint_over_many_turns);
    FOR_ALL_POLLERS(t, readiness_takes_a_flood_of_one_hint);
    FOR_ALL_POLLERS(t, readiness_accepts_all_who_wait_after_one_hint);
    FOR_ALL_POLLERS(t, readiness_accepts_who_came_before_it_began);
    return t;
}

int main(void)
{
    Suite *s = suite_create("readiness");
    suite_add_tcase(s, case_hints());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
