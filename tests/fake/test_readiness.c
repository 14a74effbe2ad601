/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/readiness.c with a poller that is scripted: each hint, and each that does not come, is ours.
 * What holds for every poller is run with three: edge-triggered, edge-triggered whose short reads prove nothing,
 * level-triggered. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/conn_driver.h"
#include "core/file.h"
#include "driver/readiness.h"
#include "fake/fake_net.h"
#include "fake/fake_poller.h"
#include "fake/fake_stage.h"

enum { EDGE, EDGE_LONG, LEVEL, POLLERS };

static void poller_step(struct fake_poller *f, int timeout_ms)
{
    struct stage *s = f->arg;
    (void)timeout_ms;
    s->script(s, s->step++);
}

static struct stage *stage_with(const struct proto *proto, int kind, int taken_listener)
{
    struct stage *s = stage_new(proto, taken_listener);
    struct fake_poller *f = malloc(sizeof *f);
    fake_poller_make(f, kind != LEVEL, kind != EDGE_LONG);
    f->step = poller_step;
    f->arg = s;
    s->fake = f;
    return s;
}

/* Runs a script to its end, which must be a good one. */
static void play(struct stage *s, stage_script *script)
{
    struct fake_poller *f = s->fake;
    ck_assert_int_eq(stage_run(s, &driver_readiness, &f->ops, script), 0);
    ck_assert_uint_eq(s->ready, 1);
    ck_assert_uint_eq(f->conn_adds, f->conn_removes);
    ck_assert(!f->is_open);
}

static void stage_end(struct stage *s)
{
    free(s->fake);
    stage_free(s);
}

static void play_once(const struct proto *proto, int kind, stage_script *script)
{
    struct stage *s = stage_with(proto, kind, net_listen_unix());
    play(s, script);
    stage_end(s);
}

/* --- words of scripts --- */

static struct fake_poller *poller_of(struct stage *s)
{
    return s->fake;
}

/* Client i connects, and the driver is told. */
static void join(struct stage *s, int i)
{
    s->client[i] = net_connect(s->listener.fd);
    fake_hint(s->fake, s->listener.fd, CAN_READ);
}

/* In the step after join: which descriptor did it get? */
static void joined(struct stage *s, int i)
{
    s->server[i] = poller_of(s)->last_added;
    ck_assert(poller_of(s)->entries[s->server[i]].added);
}

static void hint(struct stage *s, int i, unsigned can)
{
    fake_hint(s->fake, s->server[i], can);
}

static void check_gone(struct stage *s, int i)
{
    ck_assert(!poller_of(s)->entries[s->server[i]].added);
}

static void check_armed(struct stage *s, int fd, unsigned can)
{
    if (!poller_of(s)->ops.edge)
        ck_assert_uint_eq(poller_of(s)->entries[fd].armed, can);
}

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
    play_once(&fake_echo, _i, script_echo);
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
    play_once(&fake_line, _i, script_quick);
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
    play_once(&fake_echo, _i, script_quiet);
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
    play_once(&fake_echo, _i, script_nonsense);
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
    play_once(&fake_echo, _i, script_generations);
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
    play_once(&fake_line, _i, script_reuse);
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
    play_once(&fake_echo, _i, script_reversed);
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
    }
}

/* Each receive brings one packet, so that one wakeup's turns are used up many times over. */
START_TEST(readiness_takes_all_input_of_one_hint_over_many_turns)
{
    struct stage *s = stage_with(&fake_echo, EDGE_LONG, net_listen_packets());
    play(s, script_packets);
    stage_end(s);
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

static const struct proto counting = { .name = "count", .open = count_open, .input = count_lines, .close = count_close };

START_TEST(readiness_takes_a_flood_of_one_hint)
{
    struct stage *s = stage_with(&counting, _i, net_listen_unix());
    play(s, script_flood);
    ck_assert_uint_eq(s->env.count.messages, s->note);
    stage_end(s);
}
END_TEST

static void script_crowd(struct stage *s, unsigned step)
{
    enum { CROWD = 120 };               /* more than a listener's budget */
    if (step == 0) {
        for (int i = 0; i < CROWD; i++)
            s->client[i] = net_connect(s->listener.fd);
        fake_hint(s->fake, s->listener.fd, CAN_READ);
    } else if (s->seen.opened == CROWD) {
        stage_halt(s);
    } else {
        ck_assert_uint_lt(step, 10);
    }
}

START_TEST(readiness_accepts_all_who_wait_after_one_hint)
{
    play_once(&fake_echo, _i, script_crowd);
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
    struct stage *s = stage_with(&fake_echo, _i, net_listen_unix());
    s->client[0] = net_connect(s->listener.fd);
    play(s, script_before_ready);
    stage_end(s);
}
END_TEST

/* --- half-close --- */

static void script_data_and_end(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "last\n");
        net_shut(s->client[0]);
        hint(s, 0, CAN_READ | PEER_GONE);
        break;
    case 2:
        net_expect(s->client[0], "last\n");
        net_expect_end(s->client[0]);
        check_gone(s, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_sees_data_and_end_in_one_hint)
{
    play_once(&fake_line, _i, script_data_and_end);
}
END_TEST

static void script_late_end(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "last\n");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        net_expect(s->client[0], "last\n");
        net_shut(s->client[0]);
        hint(s, 0, CAN_READ);
        break;
    case 3:
        net_expect_end(s->client[0]);
        check_gone(s, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_sees_an_end_that_is_hinted_later)
{
    play_once(&fake_line, _i, script_late_end);
}
END_TEST

static void script_silent_end(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "last\n");
        net_shut(s->client[0]);
        hint(s, 0, CAN_READ);           /* this poller cannot tell of the end */
        break;
    case 2:
        net_expect(s->client[0], "last\n");
        net_expect_end(s->client[0]);
        stage_halt(s);
    }
}

START_TEST(readiness_reads_to_the_end_where_a_short_read_proves_nothing)
{
    play_once(&fake_line, EDGE_LONG, script_silent_end);
}
END_TEST

static void script_reset(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "x\n");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        stage_leave(s, 0);              /* with "x" unread: that is a reset */
        hint(s, 0, CAN_READ | CAN_WRITE | PEER_GONE);
        break;
    case 3:
        check_gone(s, 0);
        ck_assert_uint_eq(s->env.count.resets, 1);
        stage_halt(s);
    }
}

START_TEST(readiness_frees_a_connection_that_broke)
{
    play_once(&fake_line, _i, script_reset);
}
END_TEST

static void script_linger(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "one\nbye\nmore\n");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        net_expect(s->client[0], "one\n");
        net_expect_end(s->client[0]);
        ck_assert(poller_of(s)->entries[s->server[0]].added);
        check_armed(s, s->server[0], CAN_READ);
        net_send(s->client[0], "and more\n");
        hint(s, 0, CAN_READ);
        break;
    case 3:
        ck_assert(poller_of(s)->entries[s->server[0]].added);
        net_shut(s->client[0]);
        hint(s, 0, CAN_READ);
        break;
    case 4:
        check_gone(s, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_lingers_until_the_peer_has_the_last_answer)
{
    play_once(&fake_line, _i, script_linger);
}
END_TEST

/* --- output that blocks --- */

enum { BIG = 3000000 };

static void script_blocked(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "big 3000000\n");
        hint(s, 0, CAN_READ);
    } else if (step == 2) {
        check_armed(s, s->server[0], CAN_WRITE);        /* and no input: too much output waits */
        net_send(s->client[0], "behind\n");
        hint(s, 0, CAN_READ);                           /* not asked for, and not to be forgotten */
    } else if (s->note < BIG) {
        if (step == 3) {
            ck_assert_uint_eq(s->env.count.bytes_received, strlen("big 3000000\n"));
            check_armed(s, s->server[0], CAN_WRITE);
        }
        char got[65536];
        size_t n = net_take(s->client[0], got, sizeof got);
        net_check_big(got, s->note, s->note + n > BIG ? BIG - s->note : n);
        s->note += n;
        hint(s, 0, CAN_WRITE);
        if (s->note > BIG)
            ck_assert_uint_eq(s->note, BIG + strlen("behind\n"));
    } else {
        if (s->note == BIG)
            net_expect(s->client[0], "behind\n");
        check_armed(s, s->server[0], CAN_READ);
        stage_halt(s);
    }
}

START_TEST(readiness_goes_on_when_blocked_output_has_room_again)
{
    play_once(&fake_line, _i, script_blocked);
}
END_TEST

/* Little output waits behind a full socket: more input is wanted meanwhile. */
static void script_half_blocked(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "big 200000\n");
        hint(s, 0, CAN_READ);
    } else if (poller_of(s)->entries[s->server[0]].armed != (CAN_READ | CAN_WRITE)) {
        ck_assert_uint_lt(step, 50);
        check_armed(s, s->server[0], CAN_READ);         /* it fitted: once more */
        net_send(s->client[0], "big 200000\n");
        hint(s, 0, CAN_READ);
    } else {
        stage_halt(s);
    }
}

START_TEST(readiness_asks_for_input_while_little_output_is_blocked)
{
    play_once(&fake_line, LEVEL, script_half_blocked);
}
END_TEST

/* --- places --- */

static void script_full_house(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        for (int i = 0; i < 4; i++)
            s->client[i] = net_connect(s->listener.fd);
        fake_hint(s->fake, s->listener.fd, CAN_READ);
        break;
    case 1:
        ck_assert_uint_eq(s->seen.opened, 2);
        check_armed(s, s->listener.fd, 0);
        fake_hint(s->fake, s->listener.fd, CAN_READ);
        break;
    case 2:
        ck_assert_uint_eq(s->seen.opened, 2);
        joined(s, 1);
        net_send(s->client[1], "x");
        net_shut(s->client[1]);
        hint(s, 1, CAN_READ | PEER_GONE);
        break;
    case 3:                             /* its place is taken at once, without a hint */
        ck_assert_uint_eq(s->seen.opened, 3);
        ck_assert_uint_eq(s->seen.closed, 1);
        check_armed(s, s->listener.fd, 0);
        joined(s, 2);
        net_shut(s->client[2]);
        hint(s, 2, CAN_READ | PEER_GONE);
        break;
    case 4:
        ck_assert_uint_eq(s->seen.opened, 4);
        joined(s, 3);
        net_shut(s->client[3]);
        hint(s, 3, CAN_READ | PEER_GONE);
        break;
    case 5:                             /* the backlog is empty: the poller tells of the next */
        check_armed(s, s->listener.fd, CAN_READ);
        join(s, 4);
        break;
    case 6:
        ck_assert_uint_eq(s->seen.opened, 5);
        stage_halt(s);
    }
}

START_TEST(readiness_accepts_as_places_become_free)
{
    struct stage *s = stage_with(&fake_echo, _i, net_listen_unix());
    s->loop.connections_max = 2;
    play(s, script_full_house);
    stage_end(s);
}
END_TEST

static struct rlimit descriptors_end(void)
{
    struct rlimit limit, low;
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(next);
    low = (struct rlimit){ (rlim_t)next, limit.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    return limit;
}

static void script_shortage(struct stage *s, unsigned step)
{
    struct rlimit limit;
    switch (step) {
    case 0:
        join(s, 0);
        limit = descriptors_end();
        s->note = limit.rlim_cur;
        break;
    case 1:
        ck_assert_uint_eq(s->seen.opened, 0);
        check_armed(s, s->listener.fd, 0);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = s->note;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        break;
    default:                            /* no hint: the pause ends by itself */
        if (s->seen.opened == 1) {
            check_armed(s, s->listener.fd, CAN_READ);
            ck_assert_uint_eq(s->log_lines, 2);
            stage_halt(s);
        }
    }
}

START_TEST(readiness_accepts_again_after_descriptors_were_short)
{
    play_once(&fake_echo, _i, script_shortage);
}
END_TEST

static void script_add_fails(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        poller_of(s)->add_errno = ENOSPC;
        join(s, 0);
        break;
    case 1:
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(poller_of(s)->conn_adds, 0);
        join(s, 1);
        break;
    case 2:
        joined(s, 1);
        net_send(s->client[1], "x");
        hint(s, 1, CAN_READ);
        break;
    case 3:
        net_expect(s->client[1], "x");
        stage_halt(s);
    }
}

START_TEST(readiness_drops_who_cannot_be_added_and_serves_the_others)
{
    play_once(&fake_echo, _i, script_add_fails);
}
END_TEST

/* --- the wait itself --- */

static void script_broken_wait(struct stage *s, unsigned step)
{
    if (step == 0)
        join(s, 0);
    else
        poller_of(s)->wait_errno = EBADF;
}

START_TEST(readiness_ends_with_the_error_of_a_wait_that_cannot_work)
{
    struct stage *s = stage_with(&fake_echo, _i, net_listen_unix());
    ck_assert_int_eq(stage_run(s, &driver_readiness, &poller_of(s)->ops, script_broken_wait), -1);
    ck_assert_int_eq(errno, EBADF);
    net_expect_end(s->client[0]);
    stage_end(s);
}
END_TEST

static void script_interrupted(struct stage *s, unsigned step)
{
    poller_of(s)->wait_errno = step < 5 ? EINTR : 0;
    if (step == 5)
        join(s, 0);
    if (step == 6) {
        ck_assert_uint_eq(s->seen.opened, 1);
        stage_halt(s);
    }
}

START_TEST(readiness_goes_on_after_an_interrupted_wait)
{
    play_once(&fake_echo, _i, script_interrupted);
}
END_TEST

static void script_never(struct stage *s, unsigned step)
{
    (void)s, (void)step;
    ck_abort_msg("it runs");
}

START_TEST(readiness_says_why_it_cannot_start)
{
    struct stage *s = stage_with(&fake_echo, _i, net_listen_unix());
    poller_of(s)->open_errno = EMFILE;
    ck_assert_int_eq(stage_run(s, &driver_readiness, &poller_of(s)->ops, script_never), -1);
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_uint_eq(s->ready, 0);
    stage_end(s);
}
END_TEST

static void script_watch(struct stage *s, unsigned step)
{
    if (step == 0)
        ck_assert_int_eq(write(s->watch_end, "x", 1), 1);
    if (step == 0 || step == 1)
        fake_hint(s->fake, s->watch.fd, CAN_READ);
    check_armed(s, s->watch.fd, CAN_READ);
    if (step == 2) {
        ck_assert_uint_eq(s->watched, 2);
        stage_halt(s);
    }
}

START_TEST(readiness_calls_a_watch_when_its_descriptor_is_hinted)
{
    play_once(&fake_echo, _i, script_watch);
}
END_TEST

/* A worker inherits its listener under a number that its master chose. */
START_TEST(readiness_takes_listeners_with_high_numbers)
{
    struct stage *s = stage_with(&fake_echo, _i, net_listen_unix());
    int high = fcntl(s->listener.fd, F_DUPFD_CLOEXEC, 3000);
    ck_assert_int_ne(high, -1);
    close(s->listener.fd);
    s->listener.fd = high;
    s->loop.connections_max = 10;
    play(s, script_echo);
    stage_end(s);
}
END_TEST

/* --- deadlines --- */

static void script_deadline(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "wait 50\n");
        hint(s, 0, CAN_READ);
        break;
    default:
        if (s->seen.expired == 0)
            break;
        net_expect(s->client[0], "late\n");
        net_expect_end(s->client[0]);
        ck_assert_uint_eq(s->seen.expired, 1);
        stage_halt(s);
    }
}

START_TEST(readiness_wakes_for_deadlines)
{
    play_once(&fake_line, _i, script_deadline);
}
END_TEST

static void script_send_timeout(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "big 3000000\n");
        hint(s, 0, CAN_READ);
    } else if (s->seen.closed == 1) {
        ck_assert_uint_eq(s->env.count.timeouts, 1);
        stage_halt(s);
    }
}

START_TEST(readiness_ends_who_does_not_read)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    s->service.send_timeout_ms = 50;
    play(s, script_send_timeout);
    stage_end(s);
}
END_TEST

/* --- files --- */

enum { FILE_SIZE = 3 * 512 * 1024 + 77 };

/* A file of fake_proto's pattern, on a disk if this machine has one under /var/tmp, and not in its page cache. */
static struct file *cold_file(void)
{
    char path[] = "/var/tmp/iomuxd-test-XXXXXX";
    struct file *f = calloc(1, sizeof *f);
    char *bytes = malloc(FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = fake_byte(i);
    f->fd = mkstemp(path);
    ck_assert_int_ne(f->fd, -1);
    unlink(path);
    ck_assert_int_eq(write(f->fd, bytes, FILE_SIZE), FILE_SIZE);
    fsync(f->fd);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    f->refs = 1;
    f->size = FILE_SIZE;
    free(bytes);
    return f;
}

/* The helpers' bell is what was added first. */
static void hint_warm(struct stage *s)
{
    for (int fd = 0; fd < FAKE_FDS; fd++)
        if (poller_of(s)->entries[fd].added && fd != s->listener.fd && fd != s->watch.fd &&
            poller_of(s)->entries[fd].generation == ANY_GENERATION && net_ready(fd, POLLIN))
            fake_hint(s->fake, fd, CAN_READ);
}

static void script_file(struct stage *s, unsigned step)
{
    char got[65536];
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "file\n");
        hint(s, 0, CAN_READ);
    } else if (s->note < FILE_SIZE) {
        size_t n = net_take(s->client[0], got, sizeof got);
        net_check_big(got, s->note, n);
        s->note += n;
        hint_warm(s);
        hint(s, 0, n > 0 ? CAN_WRITE : 0);
    } else {
        net_expect_quiet(s->client[0]);
        stage_halt(s);
    }
}

START_TEST(readiness_sends_a_file_warm_or_cold)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    s->settings.file = cold_file();
    play(s, script_file);
    stage_end(s);
}
END_TEST

static void script_gone_while_cold(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "file\nx\n");
        hint(s, 0, CAN_READ);
    } else if (step == 2) {
        stage_leave(s, 0);
        hint(s, 0, CAN_READ | CAN_WRITE | PEER_GONE);
    } else if (s->seen.closed == 0) {
        if (s->env.count.resets > 0)
            check_armed(s, s->server[0], 0);    /* nothing can be done until the helper answers */
        hint_warm(s);
        if (!s->env.count.resets)
            hint(s, 0, CAN_WRITE | CAN_READ);
    } else {
        check_gone(s, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_waits_for_a_helper_before_it_frees)
{
    for (int i = 0; i < 5; i++) {
        struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
        s->settings.file = cold_file();
        play(s, script_gone_while_cold);
        stage_end(s);
    }
}
END_TEST

static void script_halt_while_cold(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "file\n");
        hint(s, 0, CAN_READ);
    } else {
        stage_halt(s);
    }
}

START_TEST(readiness_halts_while_a_helper_reads)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    s->settings.file = cold_file();
    play(s, script_halt_while_cold);
    stage_end(s);
}
END_TEST

static void script_shrunk(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "file\n");
        hint(s, 0, CAN_READ);
    } else if (s->seen.closed == 1) {
        char got[200];
        ck_assert_uint_eq(net_take(s->client[0], got, sizeof got), 100);
        net_expect_end(s->client[0]);
        stage_halt(s);
    } else {
        hint_warm(s);
    }
}

/* What was promised cannot be sent: the peer must see that it is not the whole. */
START_TEST(readiness_ends_a_connection_whose_file_shrank)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    struct file *f = calloc(1, sizeof *f);
    *f = (struct file){ .fd = memfd_create("file", MFD_CLOEXEC), .refs = 1, .size = 100000 };
    ck_assert_int_eq(ftruncate(f->fd, 100), 0);
    s->settings.file = f;
    play(s, script_shrunk);
    stage_end(s);
}
END_TEST

/* --- the end --- */

static void script_drain(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        join(s, 1);
        break;
    case 2:
        joined(s, 1);
        net_send(s->client[1], "unread\n");             /* no hint */
        s->client[2] = net_connect(s->listener.fd);     /* no hint */
        net_send(s->client[2], "in the backlog\n");
        stage_drain(s, 20000);
        break;
    case 3:
        net_expect_end(s->client[0]);
        net_expect(s->client[1], "unread\n");
        net_expect_end(s->client[1]);
        net_expect(s->client[2], "in the backlog\n");
        net_expect_end(s->client[2]);
        ck_assert_uint_eq(s->seen.drained, 3);
        ck_assert(!poller_of(s)->entries[s->listener.fd].added);
        fake_hint_as(s->fake, s->listener.fd, CAN_READ, 0);
        break;
    case 4:
        joined(s, 2);
        for (int i = 0; i < 3; i++) {
            net_shut(s->client[i]);
            hint(s, i, CAN_READ | PEER_GONE);
        }
        break;
    default:
        ck_abort_msg("it should have ended by itself");
    }
}

START_TEST(readiness_drains_after_answering_what_has_come)
{
    play_once(&fake_line, _i, script_drain);
}
END_TEST

static void script_drain_empty(struct stage *s, unsigned step)
{
    ck_assert_uint_eq(step, 0);
    stage_drain(s, 20000);
}

START_TEST(readiness_drains_at_once_when_nobody_is_there)
{
    play_once(&fake_line, _i, script_drain_empty);
}
END_TEST

static void script_drain_deadline(struct stage *s, unsigned step)
{
    switch (step) {
    case 0:
        join(s, 0);
        break;
    case 1:
        joined(s, 0);
        net_send(s->client[0], "big 3000000\n");
        hint(s, 0, CAN_READ);
        break;
    case 2:
        stage_drain(s, 60);
        break;
    default:
        ck_assert_uint_lt(step, 200);
    }
}

START_TEST(readiness_ends_a_drain_at_its_deadline)
{
    play_once(&fake_line, _i, script_drain_deadline);
}
END_TEST

static void script_halt(struct stage *s, unsigned step)
{
    if (step < 10)
        join(s, (int)step);
    else
        stage_halt(s);
}

START_TEST(readiness_halts_with_connections_in_every_state)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    play(s, script_halt);
    for (int i = 0; i < 10; i++)
        net_expect_end(s->client[i]);
    stage_end(s);
}
END_TEST

static void script_drain_by_watch(struct stage *s, unsigned step)
{
    if (step == 0)
        join(s, 0);
    if (step == 1)
        fake_hint(s->fake, s->watch.fd, CAN_READ);
    if (step == 2) {
        net_expect_end(s->client[0]);
        fake_hint(s->fake, s->watch.fd, CAN_READ);
    }
    ck_assert_uint_le(step, 2);
}

static void drain_then_halt(void *arg)
{
    struct stage *s = arg;
    if (s->watched++ == 0)
        stage_drain(s, 20000);
    else
        stage_halt(s);
}

START_TEST(readiness_obeys_its_watches)
{
    struct stage *s = stage_with(&fake_line, _i, net_listen_unix());
    s->watch.readable = drain_then_halt;
    play(s, script_drain_by_watch);
    stage_end(s);
}
END_TEST

#define FOR_ALL_POLLERS(tcase, test) tcase_add_loop_test(tcase, test, 0, POLLERS)

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

static TCase *case_ends(void)
{
    TCase *t = tcase_create("ends");
    FOR_ALL_POLLERS(t, readiness_sees_data_and_end_in_one_hint);
    FOR_ALL_POLLERS(t, readiness_sees_an_end_that_is_hinted_later);
    tcase_add_test(t, readiness_reads_to_the_end_where_a_short_read_proves_nothing);
    FOR_ALL_POLLERS(t, readiness_frees_a_connection_that_broke);
    FOR_ALL_POLLERS(t, readiness_lingers_until_the_peer_has_the_last_answer);
    FOR_ALL_POLLERS(t, readiness_goes_on_when_blocked_output_has_room_again);
    tcase_add_test(t, readiness_asks_for_input_while_little_output_is_blocked);
    return t;
}

static TCase *case_shortages(void)
{
    TCase *t = tcase_create("shortages");
    FOR_ALL_POLLERS(t, readiness_accepts_as_places_become_free);
    FOR_ALL_POLLERS(t, readiness_accepts_again_after_descriptors_were_short);
    FOR_ALL_POLLERS(t, readiness_drops_who_cannot_be_added_and_serves_the_others);
    FOR_ALL_POLLERS(t, readiness_ends_with_the_error_of_a_wait_that_cannot_work);
    FOR_ALL_POLLERS(t, readiness_goes_on_after_an_interrupted_wait);
    FOR_ALL_POLLERS(t, readiness_says_why_it_cannot_start);
    FOR_ALL_POLLERS(t, readiness_calls_a_watch_when_its_descriptor_is_hinted);
    FOR_ALL_POLLERS(t, readiness_takes_listeners_with_high_numbers);
    FOR_ALL_POLLERS(t, readiness_wakes_for_deadlines);
    FOR_ALL_POLLERS(t, readiness_ends_who_does_not_read);
    return t;
}

static TCase *case_files(void)
{
    TCase *t = tcase_create("files");
    tcase_set_timeout(t, 30);
    FOR_ALL_POLLERS(t, readiness_sends_a_file_warm_or_cold);
    FOR_ALL_POLLERS(t, readiness_waits_for_a_helper_before_it_frees);
    FOR_ALL_POLLERS(t, readiness_halts_while_a_helper_reads);
    FOR_ALL_POLLERS(t, readiness_ends_a_connection_whose_file_shrank);
    return t;
}

static TCase *case_drain(void)
{
    TCase *t = tcase_create("drain");
    FOR_ALL_POLLERS(t, readiness_drains_after_answering_what_has_come);
    FOR_ALL_POLLERS(t, readiness_drains_at_once_when_nobody_is_there);
    FOR_ALL_POLLERS(t, readiness_ends_a_drain_at_its_deadline);
    FOR_ALL_POLLERS(t, readiness_halts_with_connections_in_every_state);
    FOR_ALL_POLLERS(t, readiness_obeys_its_watches);
    return t;
}

int main(void)
{
    Suite *s = suite_create("readiness");
    suite_add_tcase(s, case_hints());
    suite_add_tcase(s, case_ends());
    suite_add_tcase(s, case_shortages());
    suite_add_tcase(s, case_files());
    suite_add_tcase(s, case_drain());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
