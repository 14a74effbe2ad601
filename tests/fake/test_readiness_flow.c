/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/readiness.c with a scripted poller: half-closes, output that blocks, files that are
 * cold. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/conn_driver.h"
#include "core/file.h"
#include "fake/fake_net.h"
#include "fake/fake_readiness.h"

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
    poller_play_once(&fake_line, _i, script_data_and_end);
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
    poller_play_once(&fake_line, _i, script_late_end);
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
    poller_play_once(&fake_line, EDGE_LONG, script_silent_end);
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
    poller_play_once(&fake_line, _i, script_reset);
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
    poller_play_once(&fake_line, _i, script_linger);
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
    poller_play_once(&fake_line, _i, script_blocked);
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
    poller_play_once(&fake_line, LEVEL, script_half_blocked);
}
END_TEST

/* --- files --- */

enum { FILE_SIZE = 3 * 512 * 1024 + 77 };

/* A file of fake_proto's pattern, on a disk if this machine has one under /var/tmp, and not in its page
 * cache. */
static struct file *cold_file(size_t size)
{
    char path[] = "/var/tmp/iomuxd-test-XXXXXX";
    struct file *f = calloc(1, sizeof *f);
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = fake_byte(i);
    f->fd = mkstemp(path);
    ck_assert_int_ne(f->fd, -1);
    unlink(path);
    ck_assert_int_eq(write(f->fd, bytes, size), (ssize_t)size);
    fsync(f->fd);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    f->refs = 1;
    f->size = size;
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->settings.file = cold_file(FILE_SIZE);
    poller_play(s, script_file);
    poller_stage_end(s);
}
END_TEST

/* The helper's answer is here or not: the driver hears of it when the script says so. */
static void script_gone_while_cold(struct stage *s, unsigned step)
{
    if (step == 0) {
        join(s, 0);
    } else if (step == 1) {
        joined(s, 0);
        net_send(s->client[0], "file\n");
        hint(s, 0, CAN_READ);
    } else if (step == 2) {
        if (s->env.count.cold_reads == 0) {     /* no disk: it is sent already */
            stage_halt(s);
            return;
        }
        net_send(s->client[0], "abort\n");
        hint(s, 0, CAN_READ);
    } else if (s->seen.closed == 0) {
        ck_assert(poller_of(s)->entries[s->server[0]].added);
        check_armed(s, s->server[0], 0);        /* nothing can be done until the helper answers */
        hint(s, 0, CAN_READ | CAN_WRITE | PEER_GONE);
        if (step > 5)
            hint_warm(s);
    } else {
        ck_assert_uint_gt(step, 5);
        check_gone(s, 0);
        stage_halt(s);
    }
}

START_TEST(readiness_waits_for_a_helper_before_it_frees)
{
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->settings.file = cold_file(CONN_OUT_LOW);         /* so little that input is still wanted */
    poller_play(s, script_gone_while_cold);
    poller_stage_end(s);
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    s->settings.file = cold_file(FILE_SIZE);
    poller_play(s, script_halt_while_cold);
    poller_stage_end(s);
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
    struct stage *s = poller_stage(&fake_line, _i, net_listen_unix());
    struct file *f = calloc(1, sizeof *f);
    *f = (struct file){ .fd = memfd_create("file", MFD_CLOEXEC), .refs = 1, .size = 100000 };
    ck_assert_int_eq(ftruncate(f->fd, 100), 0);
    s->settings.file = f;
    poller_play(s, script_shrunk);
    poller_stage_end(s);
}
END_TEST

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

int main(void)
{
    Suite *s = suite_create("readiness_flow");
    suite_add_tcase(s, case_ends());
    suite_add_tcase(s, case_files());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
