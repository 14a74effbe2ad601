/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/readiness.c with a scripted poller: places and descriptors that run out, a poller that
 * fails, deadlines, drains, halts. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "driver/readiness.h"
#include "fake/fake_net.h"
#include "fake/fake_readiness.h"

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
    struct stage *s = poller_stage(&fake_echo, _i, net_listen_unix());
    s->loop.connections_max = 2;
    poller_play(s, script_full_house);
    poller_stage_end(s);
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
        if (net_ready(s->client[0], POLLIN))
            stage_halt(s);      /* valgrind plays a shortage: it accepts, closes and then says EMFILE */
        break;
    default:                            /* no hint: the pause ends by itself */
        if (s->seen.opened == 1) {
            check_armed(s, s->listener.fd, CAN_READ);
            ck_assert_uint_eq(s->log_lines, 1);
            stage_halt(s);
        }
    }
}

START_TEST(readiness_accepts_again_after_descriptors_were_short)
{
    poller_play_once(&fake_echo, _i, script_shortage);
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
        ck_assert_uint_eq(s->log_lines, 1);
        ck_assert_int_gt(poller_of(s)->timeout_ms, 0);
        check_armed(s, s->listener.fd, 0);
        join(s, 1);
        break;
    default:                            /* the pause ends by itself */
        if (s->seen.opened == 2 && s->note == 0) {
            check_armed(s, s->listener.fd, CAN_READ);
            joined(s, 1);
            net_send(s->client[1], "x");
            hint(s, 1, CAN_READ);
            s->note = step;
        } else if (s->note != 0) {
            net_expect(s->client[1], "x");
            ck_assert_uint_eq(s->log_lines, 1);
            stage_halt(s);
        }
    }
}

START_TEST(readiness_drops_who_cannot_be_added_and_the_others_wait_a_moment)
{
    poller_play_once(&fake_echo, _i, script_add_fails);
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
    struct stage *s = poller_stage(&fake_echo, _i, net_listen_unix());
    ck_assert_int_eq(stage_run(s, &driver_readiness, &poller_of(s)->ops, script_broken_wait), -1);
    ck_assert_int_eq(errno, EBADF);
    net_expect_end(s->client[0]);
    poller_stage_end(s);
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
    poller_play_once(&fake_echo, _i, script_interrupted);
}
END_TEST

static void script_never(struct stage *s, unsigned step)
{
    (void)s, (void)step;
    ck_abort_msg("it runs");
}

START_TEST(readiness_says_why_it_cannot_start)
{
    struct stage *s = poller_stage(&fake_echo, _i, net_listen_unix());
    poller_of(s)->open_errno = EMFILE;
    ck_assert_int_eq(stage_run(s, &driver_readiness, &poller_of(s)->ops, script_never), -1);
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_uint_eq(s->ready, 0);
    poller_stage_end(s);
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
    poller_play_once(&fake_echo, _i, script_watch);
}
END_TEST

static void script_served(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "x");
        hint(s, 0, CAN_READ);
    } else {
        net_expect(s->client[0], "x");
        stage_halt(s);
    }
}

/* A worker inherits its listener under a number that its master chose. */
START_TEST(readiness_takes_listeners_with_high_numbers)
{
    struct stage *s = poller_stage(&fake_echo, _i, net_listen_unix());
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;    /* the soft limit may be 1024 */
    setrlimit(RLIMIT_NOFILE, &limit);
    int high = fcntl(s->listener.fd, F_DUPFD_CLOEXEC, 3000);
    ck_assert_int_ne(high, -1);
    close(s->listener.fd);
    s->listener.fd = high;
    s->loop.connections_max = 10;
    poller_play(s, script_served);
    poller_stage_end(s);
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
    poller_play_once(&fake_line, _i, script_deadline);
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->service.send_timeout_ms = 50;
    poller_play(s, script_send_timeout);
    poller_stage_end(s);
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
    poller_play_once(&fake_line, _i, script_drain);
}
END_TEST

static void script_drain_empty(struct stage *s, unsigned step)
{
    ck_assert_uint_eq(step, 0);
    stage_drain(s, 20000);
}

START_TEST(readiness_drains_at_once_when_nobody_is_there)
{
    poller_play_once(&fake_line, _i, script_drain_empty);
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
    poller_play_once(&fake_line, _i, script_drain_deadline);
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    poller_play(s, script_halt);
    for (int i = 0; i < 10; i++)
        net_expect_end(s->client[i]);
    poller_stage_end(s);
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->watch.readable = drain_then_halt;
    poller_play(s, script_drain_by_watch);
    poller_stage_end(s);
}
END_TEST

enum { PAUSE_MS = 30 };

/* What is there cannot be read the first time. */
static void read_later(void *arg)
{
    struct stage *s = arg;
    char byte;
    if (s->watched++ > 0) {
        ck_assert_int_eq(read(s->watch.fd, &byte, 1), 1);
        return;
    }
    s->note = s->env.now_ms;
    s->watch.again_ms = s->env.now_ms + PAUSE_MS;
    s->loop.paused = true;
}

/* Meanwhile nobody speaks of it, and the loop sleeps no longer than the pause. */
static void script_watch_pauses(struct stage *s, unsigned step)
{
    if (step == 0) {
        ck_assert_int_eq(write(s->watch_end, "x", 1), 1);
        fake_hint(s->fake, s->watch.fd, CAN_READ);
    } else if (s->watched == 1) {
        check_armed(s, s->watch.fd, 0);
        ck_assert_int_ge(poller_of(s)->timeout_ms, 0);
        ck_assert_int_le(poller_of(s)->timeout_ms, PAUSE_MS);
    } else {
        ck_assert_uint_eq(s->watched, 2);
        ck_assert_uint_ge(s->env.now_ms, s->note + PAUSE_MS);
        check_armed(s, s->watch.fd, CAN_READ);
        ck_assert(!s->loop.paused);
        ck_assert_int_eq(poller_of(s)->timeout_ms, -1);
        stage_halt(s);
    }
}

START_TEST(readiness_lets_a_watch_pause)
{
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->watch.readable = read_later;
    poller_play(s, script_watch_pauses);
    poller_stage_end(s);
}
END_TEST

static TCase *case_shortages(void)
{
    TCase *t = tcase_create("shortages");
    FOR_ALL_POLLERS(t, readiness_accepts_as_places_become_free);
    FOR_ALL_POLLERS(t, readiness_accepts_again_after_descriptors_were_short);
    FOR_ALL_POLLERS(t, readiness_drops_who_cannot_be_added_and_the_others_wait_a_moment);
    FOR_ALL_POLLERS(t, readiness_ends_with_the_error_of_a_wait_that_cannot_work);
    FOR_ALL_POLLERS(t, readiness_goes_on_after_an_interrupted_wait);
    FOR_ALL_POLLERS(t, readiness_says_why_it_cannot_start);
    FOR_ALL_POLLERS(t, readiness_calls_a_watch_when_its_descriptor_is_hinted);
    FOR_ALL_POLLERS(t, readiness_lets_a_watch_pause);
    FOR_ALL_POLLERS(t, readiness_takes_listeners_with_high_numbers);
    FOR_ALL_POLLERS(t, readiness_wakes_for_deadlines);
    FOR_ALL_POLLERS(t, readiness_ends_who_does_not_read);
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
    Suite *s = suite_create("readiness_limits");
    suite_add_tcase(s, case_shortages());
    suite_add_tcase(s, case_drain());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
