/* SPDX-License-Identifier: BSD-2-Clause */
/* Heirs and their inboxes: who gets which connection, a full inbox, one whose reader is gone, descriptors that run out,
 * and what is no connection. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/conn_driver.h"
#include "core/parcel.h"
#include "daemon/channel.h"
#include "daemon/heir_list.h"
#include "daemon/inbox.h"

enum { INBOXES = 3 };

static size_t take_all(struct conn *c, struct span in)
{
    (void)c;
    return in.n;
}

static const struct proto plain = { .name = "plain", .input = take_all };
static const struct service web = { .name = "web", .proto = &plain, .message_max = 100 };
static const struct service mail = { .name = "mail", .proto = &plain, .message_max = 100 };
static const struct service other = { .name = "other", .proto = &plain, .message_max = 100 };

static struct conf_service configured[40];
static struct conf conf = { .services = configured, .service_count = 40 };

static struct heir_list *list;
static struct heirs *face;
static struct env env;
static struct conn *on_web, *on_mail;
static int ends[INBOXES][2], carried[2];
static char buffer[PARCEL_MAX];

static void setup(void)
{
    struct peer peer = { .port = 77 };

    for (unsigned i = 0; i < 40; i++)
        configured[i].name = "another";
    configured[3].name = "web";
    configured[37].name = "mail";
    list = heir_list_new(&conf);
    face = heir_list_face(list);
    env_init(&env, NULL);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, carried), 0);
    on_web = conn_new(&env, &web, carried[1], &peer, 0);
    on_mail = conn_new(&env, &mail, carried[1], &peer, 0);
    for (unsigned i = 0; i < INBOXES; i++)
        ck_assert_int_eq(inbox_open(ends[i]), 0);
}

static void teardown(void)
{
    conn_free(on_web);
    conn_free(on_mail);
    env_free(&env);
    heir_list_free(list);
    for (unsigned i = 0; i < INBOXES; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
    close(carried[0]);
    close(carried[1]);
}

static void tell_heir(uint32_t pool, unsigned inbox)
{
    heir_list_add(list, pool, dup(ends[inbox][1]));
}

/* Web is served by both pools, mail by the second. */
static void tell_of_two_pools(void)
{
    heir_list_begin(list, PARCEL_FORM);
    heir_list_serves(list, channel_serves(0, 0, 1 << 3));
    heir_list_serves(list, channel_serves(1, 0, 1 << 3));
    heir_list_serves(list, channel_serves(1, 2, 1 << (37 - 32)));
    tell_heir(0, 0);
    tell_heir(1, 1);
    tell_heir(1, 2);
}

/* How many connections of a service wait there; they are taken out. */
static unsigned count_in(unsigned inbox, const char *service)
{
    struct span bytes;
    struct parcel p;
    unsigned n = 0;
    int fd;

    while (inbox_receive(ends[inbox][0], buffer, &bytes, &fd) == 1) {
        ck_assert(parcel_open(&p, bytes));
        n += span_equal(p.service, span_of(service));
        close(fd);
    }
    return n;
}

START_TEST(heirs_take_their_turns_and_what_they_serve)
{
    tell_of_two_pools();
    ck_assert(face->serve(face, &web) && face->serve(face, &mail) && !face->serve(face, &other));
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_TOOK);
    for (unsigned i = 0; i < INBOXES; i++)
        ck_assert_uint_eq(count_in(i, "web"), 10);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(face->take(face, on_mail, carried[1]), HEIR_TOOK);
    ck_assert_uint_eq(count_in(0, "mail"), 0);
    ck_assert_uint_gt(count_in(1, "mail"), 4);
    ck_assert_uint_gt(count_in(2, "mail"), 4);
}
END_TEST

START_TEST(heirs_of_another_form_are_none)
{
    heir_list_begin(list, PARCEL_FORM + 1);
    heir_list_serves(list, channel_serves(0, 0, 1 << 3));
    tell_heir(0, 0);
    ck_assert(!face->serve(face, &web));
    ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_NONE);
}
END_TEST

START_TEST(heirs_that_are_told_anew_replace_the_others)
{
    tell_of_two_pools();
    heir_list_begin(list, PARCEL_FORM);
    heir_list_serves(list, channel_serves(0, 2, 1 << (37 - 32)));
    tell_heir(0, 2);
    ck_assert(!face->serve(face, &web) && face->serve(face, &mail));
    ck_assert_int_eq(face->take(face, on_mail, carried[1]), HEIR_TOOK);
    ck_assert_uint_eq(count_in(2, "mail"), 1);
    heir_list_be_patient(list);
    ck_assert(face->patient);
    heir_list_end(list);
    ck_assert(!face->patient && !face->serve(face, &mail));
}
END_TEST

START_TEST(heirs_that_are_full_are_busy_and_those_that_are_gone_are_dropped)
{
    unsigned n = 0;

    heir_list_begin(list, PARCEL_FORM);
    heir_list_serves(list, channel_serves(0, 0, 1 << 3));
    tell_heir(0, 0);
    while (face->take(face, on_web, carried[1]) == HEIR_TOOK)
        n++;
    ck_assert_uint_gt(n, 20);
    ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_BUSY);
    tell_heir(0, 1);
    ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_TOOK);      /* by the other one */
    inbox_shut(ends[1][0]);
    ck_assert_uint_eq(count_in(0, "web"), n);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_TOOK);
    ck_assert_uint_eq(count_in(0, "web"), 4);
    ck_assert_uint_eq(count_in(1, "web"), 1);   /* what was there can still be taken out */
    inbox_shut(ends[0][0]);
    ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_NONE);
    ck_assert(!face->serve(face, &web));
}
END_TEST

START_TEST(heirs_get_no_connection_that_is_not_portable)
{
    tell_of_two_pools();
    outq_put(conn_out(on_web), SPAN("x"));
    ck_assert_int_eq(face->take(face, on_web, carried[1]), HEIR_NONE);
}
END_TEST

/* --- inboxes --- */

START_TEST(inbox_keeps_what_waits_when_the_sender_is_gone)
{
    struct span bytes;
    char text[4];
    int fd;

    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("parcel"), carried[1]), 0);
    close(ends[0][1]);
    close(carried[1]);                  /* the descriptor lives in the message alone */
    carried[1] = ends[0][1] = -1;
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), 1);
    ck_assert(span_equal(bytes, SPAN("parcel")));
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(write(fd, "ok", 2), 2);
    ck_assert_int_eq(read(carried[0], text, sizeof text), 2);
    close(fd);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), -1);
    ck_assert_int_eq(errno, EPIPE);
    on_web->fd = on_mail->fd = -1;
}
END_TEST

/* Who takes over what waits in the first inbox: the second one, if he wants to. */
struct mover {
    bool     wants;
    unsigned asked, took;
};

static bool mover_has_room(void *arg)
{
    struct mover *m = arg;

    m->asked++;
    return inbox_has_room(ends[1][1]);
}

/* It is not where it was any more: else two might have it when one of them dies now. */
static int mover_take(void *arg, struct span parcel, int fd)
{
    struct mover *m = arg;
    struct span left;
    static char room[PARCEL_MAX];

    ck_assert(inbox_peek(ends[0][0], room, &left) != 1 || !span_equal(left, parcel));
    m->took++;
    errno = ENOBUFS;
    return m->wants ? inbox_send(ends[1][1], parcel, fd) : -1;
}

static int move(struct mover *m)
{
    return inbox_pass(ends[0][0], &(struct inbox_taker){ .has_room = mover_has_room, .take = mover_take, .arg = m });
}

START_TEST(inbox_moves_what_waits_to_another)
{
    struct mover m = { .wants = true };
    struct span bytes;
    char text[4];
    int fd;

    ck_assert_int_eq(move(&m), 0);
    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("parcel"), carried[1]), 0);
    ck_assert_int_eq(send(ends[0][1], "nothing beside", 14, 0), 14);
    inbox_shut(ends[0][0]);
    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("late"), carried[1]), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(move(&m), 1);
    ck_assert_int_eq(move(&m), 1);
    ck_assert_int_eq(move(&m), 0);
    ck_assert_uint_eq(m.took, 1);
    ck_assert_int_eq(inbox_receive(ends[1][0], buffer, &bytes, &fd), 1);
    ck_assert(span_equal(bytes, SPAN("parcel")));
    ck_assert_int_eq(write(fd, "ok", 2), 2);
    ck_assert_int_eq(read(carried[0], text, sizeof text), 2);
    close(fd);
    ck_assert_int_eq(inbox_receive(ends[1][0], buffer, &bytes, &fd), 0);
}
END_TEST

START_TEST(inbox_loses_what_is_not_taken_after_all_and_goes_on)
{
    struct mover m = { .wants = false };
    char text[4];

    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("parcel"), carried[1]), 0);
    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("another"), carried[1]), 0);
    ck_assert_int_eq(move(&m), 1);
    ck_assert_int_eq(move(&m), 1);
    ck_assert_int_eq(move(&m), 0);
    ck_assert_uint_eq(m.took, 2);
    close(carried[1]);
    carried[1] = on_web->fd = on_mail->fd = -1;
    ck_assert_int_eq(read(carried[0], text, sizeof text), 0);       /* nobody holds it any more */
}
END_TEST

START_TEST(inbox_that_nobody_reads_has_no_room)
{
    ck_assert(inbox_has_room(ends[1][1]));
    close(ends[1][0]);
    ends[1][0] = -1;
    ck_assert(!inbox_has_room(ends[1][1]));
    ck_assert(!inbox_has_room(-1));
}
END_TEST

START_TEST(inbox_keeps_what_another_has_no_room_for)
{
    struct mover m = { .wants = true };
    struct span bytes;
    int fd;

    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("parcel"), carried[1]), 0);
    while (inbox_send(ends[1][1], SPAN("before"), carried[1]) == 0)
        ;
    ck_assert(inbox_is_busy(errno));
    ck_assert_int_eq(move(&m), -1);
    ck_assert(inbox_is_busy(errno));
    ck_assert_uint_eq(m.asked, 1);
    ck_assert_uint_eq(m.took, 0);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), 1);
    ck_assert(span_equal(bytes, SPAN("parcel")));
    close(fd);
}
END_TEST

START_TEST(inbox_takes_nothing_without_a_descriptor_for_it)
{
    struct rlimit before, none;
    struct span bytes;
    int fd;

    ck_assert_int_eq(inbox_send(ends[0][1], SPAN("parcel"), carried[1]), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), -1);
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), 1);
    close(fd);
}
END_TEST

START_TEST(inbox_drops_what_is_no_connection)
{
    static char large[PARCEL_MAX + 1];
    struct span bytes;
    int fd;

    ck_assert_int_eq(send(ends[0][1], "nothing beside", 14, 0), 14);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(inbox_send(ends[0][1], (struct span){ large, sizeof large }, carried[1]), 0);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(inbox_receive(ends[0][0], buffer, &bytes, &fd), 0);
}
END_TEST

int main(void)
{
    TCase *heirs = tcase_create("heirs"), *inbox = tcase_create("inbox");
    tcase_add_checked_fixture(heirs, setup, teardown);
    tcase_add_checked_fixture(inbox, setup, teardown);
    tcase_add_test(heirs, heirs_take_their_turns_and_what_they_serve);
    tcase_add_test(heirs, heirs_of_another_form_are_none);
    tcase_add_test(heirs, heirs_that_are_told_anew_replace_the_others);
    tcase_add_test(heirs, heirs_that_are_full_are_busy_and_those_that_are_gone_are_dropped);
    tcase_add_test(heirs, heirs_get_no_connection_that_is_not_portable);
    tcase_add_test(inbox, inbox_keeps_what_waits_when_the_sender_is_gone);
    tcase_add_test(inbox, inbox_moves_what_waits_to_another);
    tcase_add_test(inbox, inbox_loses_what_is_not_taken_after_all_and_goes_on);
    tcase_add_test(inbox, inbox_that_nobody_reads_has_no_room);
    tcase_add_test(inbox, inbox_keeps_what_another_has_no_room_for);
    tcase_add_test(inbox, inbox_takes_nothing_without_a_descriptor_for_it);
    tcase_add_test(inbox, inbox_drops_what_is_no_connection);
    Suite *s = suite_create("heir_list");
    suite_add_tcase(s, heirs);
    suite_add_tcase(s, inbox);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
