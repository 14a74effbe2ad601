/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that wait for the next daemon: more of them than one bench holds, of several workers, of services that are no
 * more; where they go on; what is kept of them while they are on their way. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/conn_driver.h"
#include "core/heirs.h"
#include "core/parcel.h"
#include "daemon/bench.h"
#include "daemon/channel.h"
#include "daemon/generation.h"
#include "daemon/heir_list.h"
#include "daemon/inbox.h"
#include "daemon/lobby.h"
#include "proto/tiny.h"

static const char text[] =
    "services = ( { name = \"one\"; protocol = \"echo\"; listen = \"127.0.0.1:0\"; },\n"
    "             { name = \"two\"; protocol = \"echo\"; listen = \"127.0.0.1:0\"; } );\n"
    "pools = ( { name = \"a\"; workers = 2; services = [ \"one\" ]; },\n"
    "          { name = \"b\"; workers = 1; services = [ \"one\", \"two\" ]; } );\n";

enum { PLACES = 3, MANY = 6000 };       /* more than an inbox of INBOX_BUFFER bytes holds */

static const struct tiny_settings tiny = { .idle_ms = 1000 };
static const struct service one = { .name = "one", .proto = &proto_echo, .settings = &tiny, .message_max = 100 };
static const struct service two = { .name = "two", .proto = &proto_echo, .settings = &tiny, .message_max = 100 };
static const struct service gone = { .name = "gone", .proto = &proto_echo, .settings = &tiny, .message_max = 100 };
static const struct service other = { .name = "one", .proto = &proto_discard, .settings = &tiny, .message_max = 100 };

static struct generation *g;
static struct lobby old, new;           /* of the master before, and of the next one */
static int door;                        /* the end of the former that its worker has */
static struct heir_list *list;          /* of a worker of the former */
static struct heirs *face;
static struct env env;
static int carried[2];
static char buffer[PARCEL_MAX];

static void places_open(void)
{
    struct conf_options carried_over = { .file = "t.conf", .carried = true };
    struct conf *c = conf_read_text(&carried_over, text, strlen(text), stderr);

    ck_assert_ptr_nonnull(c);
    g = generation_new(1, c);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(pool_set_init(&g->pools, c), 0);
    ck_assert_int_eq(crew_init(&g->crew, &g->pools, NULL), 0);
    ck_assert_uint_eq(g->crew.count, PLACES);
    for (unsigned i = 0; i < PLACES; i++)
        ck_assert_int_eq(inbox_open(g->crew.v[i].inbox), 0);
}

static void setup(void)
{
    static const struct handed none;

    log_set_level(LOG_ERROR);
    places_open();
    lobby_init(&old);
    lobby_init(&new);
    ck_assert_int_eq(lobby_open(&old, &none), 0);
    door = dup(old.ends[1]);
    list = heir_list_new(g->conf);
    face = heir_list_face(list);
    env_init(&env, NULL);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, carried), 0);
}

static void teardown(void)
{
    lobby_close(&old);
    lobby_close(&new);
    heir_list_free(list);
    env_free(&env);
    crew_free(&g->crew);
    pool_set_free(&g->pools);
    conf_free(g->conf);
    report_free(g->report);
    free(g);
    close(carried[0]);
    close(carried[1]);
}

static enum heir_answer leave(const struct service *s)
{
    struct peer peer = { .port = 77 };
    struct conn *c = conn_new(&env, s, carried[1], &peer, 0);
    enum heir_answer answer = face->take(face, c, carried[1]);

    conn_free(c);
    return answer;
}

/* The next master: what the service manager has kept is given to it, and the one before is dead. */
static void next_master(void)
{
    struct handed_one kept = { .fd = dup(old.ends[0]) };
    const struct handed handed = { .v = &kept, .count = 1 };
    unsigned number = old.number;

    lobby_name(kept.name, number);
    lobby_close(&old);
    lobby_close(&new);
    ck_assert_int_eq(lobby_open(&new, &handed), 0);
    ck_assert_uint_eq(new.former[0].number, number);
    ck_assert_uint_ne(new.number, number);
    close(kept.fd);
    new.kept = true;
}

static void worker_ends(void)
{
    heir_list_free(list);
    list = heir_list_new(g->conf);
    face = heir_list_face(list);
    close(door);
    door = -1;
}

/* How many connections of a service wait in a place; they are taken out. */
static unsigned count_in(unsigned place, const char *service)
{
    struct span bytes;
    struct parcel p;
    unsigned n = 0;
    int fd;

    while (inbox_receive(g->crew.v[place].inbox[0], buffer, &bytes, &fd) == 1) {
        ck_assert(parcel_open(&p, bytes));
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
        n += span_equal(p.service, span_of(service));
    }
    return n;
}

static bool hears(const struct lobby *l)
{
    struct pollfd polled[8];
    size_t n = lobby_poll(l, polled, 8);

    return poll(polled, n, 0) > 0;
}

START_TEST(lobby_holds_more_than_a_bench_does)
{
    unsigned left = 0, got = 0;

    ck_assert_int_eq(heir_list_keep(list, door), 0);
    while (left < MANY && leave(&one) == HEIR_TOOK)     /* who is not root may have fewer descriptors on their way */
        left++;
    worker_ends();
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert(left < MANY || new.bench_count >= 2);
    for (int i = 0; i < 1000 && lobby_polled(&new) > 0; i++) {
        (void)lobby_turn(&new, g, 1 + 1000 * (uint64_t)i);
        for (unsigned place = 0; place < PLACES; place++)
            got += count_in(place, "one");
    }
    ck_assert_uint_eq(got, left);
    ck_assert_uint_eq(lobby_polled(&new), 0);
}
END_TEST

START_TEST(lobby_seats_who_comes_later_and_is_over_when_nobody_can)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    next_master();
    ck_assert(!lobby_turn(&new, g, 1));
    ck_assert(!hears(&new));
    ck_assert_int_eq(leave(&one), HEIR_TOOK);
    ck_assert(hears(&new));
    ck_assert(!lobby_turn(&new, g, 2));
    ck_assert_uint_eq(count_in(0, "one") + count_in(1, "one") + count_in(2, "one"), 1);
    ck_assert(!hears(&new));
    worker_ends();
    ck_assert(hears(&new));
    ck_assert(lobby_turn(&new, g, 3));
    ck_assert_uint_eq(lobby_polled(&new), 0);
}
END_TEST

START_TEST(lobby_spreads_them_over_those_who_serve_them)
{
    struct bench b;

    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert(face->serve(face, &gone));
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(leave(&one), HEIR_TOOK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(leave(&gone), HEIR_TOOK);
        ck_assert_int_eq(leave(&other), HEIR_TOOK);     /* the same name, another protocol */
    }
    bench_init(&b);                     /* another worker's */
    ck_assert_int_eq(bench_open(&b, door), 0);
    ck_assert_int_eq(bench_send(&b, SPAN("no parcel"), carried[1]), 0);
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(new.lost, 7);
    ck_assert_uint_eq(new.seated, 30);
    for (unsigned i = 0; i < PLACES; i++)
        ck_assert_uint_eq(count_in(i, "one"), 10);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(leave(&two), HEIR_TOOK);
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(count_in(2, "two"), 4);
    bench_close(&b);
}
END_TEST

/* Without descriptors, of which only so many may be on their way. */
static void fill_inbox(unsigned place)
{
    while (send(g->crew.v[place].inbox[1], "before", 6, MSG_DONTWAIT) == 6)
        ;
}

START_TEST(lobby_waits_for_inboxes_that_are_full)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    worker_ends();
    fill_inbox(2);
    next_master();
    (void)lobby_turn(&new, g, 1000);
    ck_assert_uint_gt(lobby_due_ms(&new), 1000);
    ck_assert_uint_lt(lobby_due_ms(&new), 2000);
    ck_assert(!hears(&new));            /* else the master would never sleep */
    while (recv(g->crew.v[2].inbox[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0)
        ;
    (void)lobby_turn(&new, g, 1001);
    ck_assert_uint_eq(count_in(2, "two"), 0);
    (void)lobby_turn(&new, g, 3000);
    ck_assert_uint_eq(count_in(2, "two"), 1);
    ck_assert_uint_eq(lobby_due_ms(&new), UINT64_MAX);
}
END_TEST

START_TEST(lobby_looks_less_often_while_inboxes_stay_full)
{
    uint64_t now = 1000, pause[8];

    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    fill_inbox(2);
    next_master();
    for (int i = 0; i < 8; i++) {
        (void)lobby_turn(&new, g, now);
        pause[i] = lobby_due_ms(&new) - now;
        now = lobby_due_ms(&new);
        ck_assert_uint_le(pause[i], 100);
        if (i > 1)                      /* the first one has taken over a bench */
            ck_assert(pause[i] == 2 * pause[i - 1] || pause[i] == 100);
    }
    ck_assert_uint_lt(pause[0], 10);
    ck_assert_uint_eq(pause[7], 100);
    while (recv(g->crew.v[2].inbox[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0)
        ;
    (void)lobby_turn(&new, g, now);
    ck_assert_uint_eq(count_in(2, "two"), 1);
    ck_assert_uint_eq(lobby_due_ms(&new), UINT64_MAX);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    fill_inbox(2);
    (void)lobby_turn(&new, g, now);
    ck_assert_uint_eq(lobby_due_ms(&new) - now, pause[0]);
}
END_TEST

/* One that is shut has room, as far as can be known before. */
START_TEST(lobby_asks_others_when_one_takes_nothing_after_all)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(leave(&one), HEIR_TOOK);
    inbox_shut(g->crew.v[0].inbox[0]);
    ck_assert(inbox_has_room(g->crew.v[0].inbox[1]));
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(new.seated, 6);
    ck_assert_uint_eq(count_in(1, "one") + count_in(2, "one"), 6);
    inbox_shut(g->crew.v[2].inbox[0]);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    (void)lobby_turn(&new, g, 2);
    ck_assert_uint_eq(new.failed, 1);
    ck_assert_uint_eq(new.lost, 0);
}
END_TEST

START_TEST(lobby_loses_nobody_when_the_next_master_dies_too)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(leave(&two), HEIR_TOOK);
    next_master();
    fill_inbox(2);
    (void)lobby_turn(&new, g, 1);       /* has taken the bench over, and nobody from it */
    ck_assert_uint_eq(new.bench_count, 1);
    old = new;
    lobby_init(&new);
    next_master();
    ck_assert_int_eq(leave(&two), HEIR_TOOK);   /* the worker of the first one has noticed nothing */
    crew_close_inbox(&g->crew.v[2]);
    ck_assert_int_eq(inbox_open(g->crew.v[2].inbox), 0);
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(count_in(2, "two"), 11);
}
END_TEST

START_TEST(lobby_takes_nothing_over_before_its_own_is_kept)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    next_master();
    new.kept = false;
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(new.bench_count, 0);
    ck_assert(!hears(&new));
    new.kept = true;
    ck_assert(hears(&new));
    (void)lobby_turn(&new, g, 2);
    ck_assert_uint_eq(count_in(2, "two"), 1);
}
END_TEST

START_TEST(lobby_that_nobody_keeps_is_no_heir)
{
    close(old.ends[0]);
    old.ends[0] = -1;
    ck_assert_int_eq(heir_list_keep(list, door), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert(!face->serve(face, &one));
    ck_assert_int_eq(leave(&one), HEIR_NONE);
}
END_TEST

START_TEST(lobby_that_is_kept_no_more_is_no_heir)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&one), HEIR_TOOK);
    close(old.ends[0]);                 /* with the bench in it */
    old.ends[0] = -1;
    ck_assert_int_eq(leave(&one), HEIR_NONE);
    ck_assert(!face->serve(face, &one));
}
END_TEST

START_TEST(lobby_drops_what_is_no_bench)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(send(door, "nothing", 7, 0), 7);
    ck_assert_int_eq(channel_send(door, &(struct channel_message){ .kind = CHANNEL_READY, .fd = -1 }), 0);
    ck_assert_int_eq(channel_send(door, &(struct channel_message){ .kind = CHANNEL_HEIR, .fd = carried[0] }), 0);
    next_master();
    worker_ends();
    ck_assert(lobby_turn(&new, g, 1));
    ck_assert_uint_eq(lobby_polled(&new), 0);
}
END_TEST

static unsigned waiting_in(int end)
{
    int bytes = 0;

    ck_assert_int_eq(ioctl(end, FIONREAD, &bytes), 0);
    return (unsigned)bytes;
}

START_TEST(lobby_keeps_no_benches_that_are_over)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_gt(waiting_in(new.ends[0]), 0);
    worker_ends();
    ck_assert(lobby_turn(&new, g, 2));
    ck_assert_uint_eq(waiting_in(new.ends[0]), 0);
}
END_TEST

START_TEST(lobby_finds_who_waits_where_a_worker_would_have_it_look_elsewhere)
{
    const int far = 1000000;
    int ends[2];

    ck_assert_int_eq(inbox_open(ends), 0);
    ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_PEEK_OFF, &far, sizeof far), 0);
    ck_assert_int_eq(channel_send(door, &(struct channel_message){ .kind = CHANNEL_BENCH, .fd = ends[0] }), 0);
    ck_assert_int_eq(inbox_send(ends[1], SPAN("no parcel"), carried[1]), 0);
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(new.lost, 1);
    ck_assert(!hears(&new));            /* else the master would never sleep */
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* A worker that a master before has left behind may put in more and more. */
START_TEST(lobby_has_an_end_to_benches)
{
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    next_master();
    for (int i = 0; i < 4096; i++)
        ck_assert_int_eq(lobby_add_bench(&new, -1), 0);
    ck_assert(!hears(&new));
    (void)lobby_turn(&new, g, 1);       /* those are none: they go */
    ck_assert_uint_eq(new.bench_count, 0);
    ck_assert(hears(&new));
    (void)lobby_turn(&new, g, 2);
    ck_assert_uint_eq(new.bench_count, 1);
}
END_TEST

START_TEST(lobby_does_not_keep_itself)
{
    int ends[2];

    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    ck_assert_int_eq(inbox_open(ends), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(channel_send(door, &(struct channel_message){ .kind = CHANNEL_BENCH, .fd = ends[i] }), 0);
    ck_assert_int_eq(channel_send(door, &(struct channel_message){ .kind = CHANNEL_BENCH, .fd = door }), 0);
    close(ends[0]);
    close(ends[1]);
    next_master();
    worker_ends();
    for (unsigned i = 0; i < 4; i++)
        (void)lobby_turn(&new, g, 1 + i);
    ck_assert_uint_eq(count_in(2, "two"), 1);
    ck_assert_uint_eq(lobby_polled(&new), 0);
}
END_TEST

START_TEST(lobby_hears_on_behind_an_empty_message)
{
    ck_assert_int_eq(send(door, "", 0, 0), 0);
    ck_assert_int_eq(heir_list_keep(list, door), 0);
    ck_assert_int_eq(leave(&two), HEIR_TOOK);
    next_master();
    worker_ends();
    ck_assert(lobby_turn(&new, g, 1));
    ck_assert_uint_eq(count_in(2, "two"), 1);
}
END_TEST

START_TEST(bench_takes_all_that_an_inbox_has)
{
    struct bench b;
    struct span parcel;
    int ends[2];
    struct conn *c = conn_new(&env, &two, carried[1], &(struct peer){ .port = 77 }, 0);

    bench_init(&b);
    ck_assert(!bench_fill(&b, carried[0]));
    ck_assert_int_eq(bench_open(&b, door), 0);
    ck_assert_int_eq(inbox_open(ends), 0);
    parcel = (struct span){ buffer, conn_pack(c, buffer) };
    conn_free(c);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(inbox_send(ends[1], parcel, carried[1]), 0);
    ck_assert(bench_fill(&b, ends[0]));
    ck_assert(bench_fill(&b, ends[0]));
    bench_close(&b);
    next_master();
    (void)lobby_turn(&new, g, 1);
    ck_assert_uint_eq(count_in(2, "two"), 5);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lobby");
    TCase *t = tcase_create("lobby");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, lobby_holds_more_than_a_bench_does);
    tcase_add_test(t, lobby_seats_who_comes_later_and_is_over_when_nobody_can);
    tcase_add_test(t, lobby_spreads_them_over_those_who_serve_them);
    tcase_add_test(t, lobby_waits_for_inboxes_that_are_full);
    tcase_add_test(t, lobby_looks_less_often_while_inboxes_stay_full);
    tcase_add_test(t, lobby_asks_others_when_one_takes_nothing_after_all);
    tcase_add_test(t, lobby_loses_nobody_when_the_next_master_dies_too);
    tcase_add_test(t, lobby_takes_nothing_over_before_its_own_is_kept);
    tcase_add_test(t, lobby_that_nobody_keeps_is_no_heir);
    tcase_add_test(t, lobby_that_is_kept_no_more_is_no_heir);
    tcase_add_test(t, lobby_drops_what_is_no_bench);
    tcase_add_test(t, lobby_keeps_no_benches_that_are_over);
    tcase_add_test(t, lobby_finds_who_waits_where_a_worker_would_have_it_look_elsewhere);
    tcase_add_test(t, lobby_has_an_end_to_benches);
    tcase_add_test(t, lobby_does_not_keep_itself);
    tcase_add_test(t, lobby_hears_on_behind_an_empty_message);
    tcase_add_test(t, bench_takes_all_that_an_inbox_has);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
