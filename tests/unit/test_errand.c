/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/errand.c, with the connection that it belongs to: a protocol that answers each line only when an errand
 * has come back with what to say. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "unit/conn_rig.h"

enum { WAIT_MS = 20000 };

/* An errand answers a line with the same line; it waits for `gate` if there is one. */
struct walk {
    struct errand    errand;
    pthread_mutex_t *gate;
    unsigned        *works, *frees;
    char             line[32];
    size_t           n;
    bool             again;             /* a second errand behind the first */
};

struct world {
    struct rig      rig;
    pthread_mutex_t gate;
    unsigned        works, frees;
};

static struct world *world_of(struct conn *c)
{
    return (struct world *)(void *)conn_env(c);     /* the rig comes first in it, the env first in the rig */
}

static void walk_work(struct errand *e)
{
    struct walk *w = (struct walk *)(void *)e;
    pthread_mutex_lock(w->gate);
    ++*w->works;
    pthread_mutex_unlock(w->gate);
}

static void walk_free(struct errand *e)
{
    struct walk *w = (struct walk *)(void *)e;
    ++*w->frees;
    free(w);
}

static void walk_begin(struct conn *c, struct span line, bool again)
{
    struct world *world = world_of(c);
    struct walk *w = calloc(1, sizeof *w);
    ck_assert_uint_le(line.n, sizeof w->line);
    *w = (struct walk){ .errand = { .work = walk_work, .free = walk_free }, .gate = &world->gate,
                        .works = &world->works, .frees = &world->frees, .n = line.n, .again = again };
    memcpy(w->line, line.p, line.n);
    conn_errand(c, &w->errand);
}

static size_t walker_input(struct conn *c, struct span given)
{
    const char *end = memchr(given.p, '\n', given.n);
    if (end == NULL)
        return 0;
    tell(c, 'l');
    struct span line = { given.p, (size_t)(end - given.p) };
    walk_begin(c, line, is_word(line, "twice"));
    return line.n + 1;
}

static void walker_back(struct conn *c, struct errand *e)
{
    struct walk *w = (struct walk *)(void *)e;
    tell(c, 'b');
    if (w->again)
        walk_begin(c, SPAN("second"), false);
    else
        outq_put(conn_out(c), (struct span){ w->line, w->n });
}

static const struct proto walker = {
    .name = "walker", .state_size = sizeof(unsigned), .open = line_open, .input = walker_input, .eof = line_eof,
    .expired = line_expired, .drain = line_drain, .back = walker_back, .close = line_close,
};

static void world_open(struct world *w, bool helpers)
{
    rig_prepare(&w->rig, &walker);
    pthread_mutex_init(&w->gate, NULL);
    w->works = w->frees = 0;
    if (helpers)
        w->rig.env.errands = errands_open();
    rig_connect(&w->rig);
}

static void world_close(struct world *w)
{
    struct errands *helpers = w->rig.env.errands;
    errands_end(&w->rig.env);
    rig_close(&w->rig);
    errands_close(helpers);
    pthread_mutex_destroy(&w->gate);
}

/* Waits for the bell as a loop does, and goes on with whoever is back. */
static void wait_back(struct world *w)
{
    struct pollfd p = { .fd = errands_fd(w->rig.env.errands), .events = POLLIN };
    struct conn *c;
    while ((c = errand_back(&w->rig.env)) == NULL)
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    ck_assert_ptr_eq(c, w->rig.c);
    ck_assert(conn_resume(c));
}

START_TEST(errand_is_done_at_once_where_there_are_no_helpers)
{
    struct world w;
    world_open(&w, false);
    say(&w.rig, "one\ntwo\n");
    ck_assert_uint_eq(w.works, 0);              /* not within the input */
    while (conn_resume(w.rig.c))
        ;
    check_told(&w.rig, "olblb");
    check_out(&w.rig, "onetwo");
    ck_assert_uint_eq(w.works, 2);
    ck_assert_uint_eq(w.frees, 2);
    world_close(&w);
}
END_TEST

START_TEST(errand_is_done_apart_from_its_answer_where_the_connection_has_a_thread)
{
    struct world w;
    world_open(&w, false);
    ck_assert(!conn_work(w.rig.c));             /* there is none */
    say(&w.rig, "one\n");
    ck_assert(conn_work(w.rig.c));
    ck_assert_uint_eq(w.works, 1);
    check_told(&w.rig, "ol");                   /* now the thread can hear of other things */
    ck_assert(!conn_work(w.rig.c));
    ck_assert(conn_resume(w.rig.c));
    check_told(&w.rig, "olb");
    check_out(&w.rig, "one");
    ck_assert_uint_eq(w.works, 1);
    world_close(&w);
}
END_TEST

START_TEST(errand_holds_back_input_and_its_end_until_it_is_back)
{
    struct world w;
    world_open(&w, true);
    pthread_mutex_lock(&w.gate);
    say(&w.rig, "one\nt");
    ck_assert(!conn_wants_input(w.rig.c));
    ck_assert(!conn_resume(w.rig.c));
    say(&w.rig, "wo\n");                        /* an operation that was under way */
    conn_eof(w.rig.c);
    check_told(&w.rig, "ol");
    ck_assert_uint_eq(w.rig.c->in_flight, 1);
    pthread_mutex_unlock(&w.gate);
    wait_back(&w);
    check_told(&w.rig, "olbl");
    wait_back(&w);
    check_told(&w.rig, "olblbe");
    check_out(&w.rig, "onetwo");
    ck_assert_uint_eq(w.rig.c->in_flight, 0);
    ck_assert(conn_over(w.rig.c));
    world_close(&w);
}
END_TEST

START_TEST(errand_may_be_followed_by_another)
{
    struct world w;
    world_open(&w, true);
    say(&w.rig, "twice\nend\n");
    wait_back(&w);
    check_told(&w.rig, "olb");
    wait_back(&w);
    check_told(&w.rig, "olbbl");
    wait_back(&w);
    check_out(&w.rig, "secondend");
    ck_assert_uint_eq(w.frees, 3);
    world_close(&w);
}
END_TEST

START_TEST(errand_stops_the_clock_of_the_protocol_but_not_that_of_sending)
{
    struct world w;
    world_open(&w, true);
    conn_timeout(w.rig.c, 700);
    pthread_mutex_lock(&w.gate);
    say(&w.rig, "one\n");
    ck_assert_uint_eq(conn_due(w.rig.c), UINT64_MAX);
    outq_put(conn_out(w.rig.c), SPAN("x"));
    ck_assert_uint_ne(conn_due(w.rig.c), UINT64_MAX);
    send_all(&w.rig);
    w.rig.env.now_ms += 5000;
    pthread_mutex_unlock(&w.gate);
    wait_back(&w);
    send_all(&w.rig);
    ck_assert_uint_eq(conn_due(w.rig.c), NOW_MS + 5000 + 700);
    world_close(&w);
}
END_TEST

START_TEST(errand_of_a_broken_connection_comes_back_to_nobody)
{
    struct world w;
    world_open(&w, true);
    pthread_mutex_lock(&w.gate);
    say(&w.rig, "one\n");
    conn_broke(w.rig.c);
    ck_assert(conn_over(w.rig.c));
    ck_assert_uint_eq(w.rig.c->in_flight, 1);   /* so nobody frees it */
    pthread_mutex_unlock(&w.gate);
    struct conn *c;
    while ((c = errand_back(&w.rig.env)) == NULL)
        sched_yield();
    ck_assert_uint_eq(c->in_flight, 0);
    world_close(&w);
    check_told(&w.rig, "olc");
    ck_assert_uint_eq(w.frees, 1);
}
END_TEST

START_TEST(errands_come_back_at_the_end_and_no_more_are_taken)
{
    enum { MANY = 20 };
    struct world w;
    struct conn *c[MANY];
    world_open(&w, true);
    for (int i = 0; i < MANY; i++) {
        struct peer peer = { 0 };
        c[i] = conn_new(&w.rig.env, &w.rig.service, 6 + i, &peer, 0);
        conn_input(c[i], SPAN("x\n"));
    }
    errands_end(&w.rig.env);
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_eq(c[i]->in_flight, 0);
        conn_free(c[i]);
    }
    ck_assert_uint_eq(w.frees, MANY);
    say(&w.rig, "late\n");
    ck_assert_uint_eq(w.rig.c->in_flight, 0);
    ck_assert(conn_resume(w.rig.c));            /* done by whoever asks */
    check_out(&w.rig, "late");
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("errand");
    TCase *t = tcase_create("errand");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, errand_is_done_at_once_where_there_are_no_helpers);
    tcase_add_test(t, errand_is_done_apart_from_its_answer_where_the_connection_has_a_thread);
    tcase_add_test(t, errand_holds_back_input_and_its_end_until_it_is_back);
    tcase_add_test(t, errand_may_be_followed_by_another);
    tcase_add_test(t, errand_stops_the_clock_of_the_protocol_but_not_that_of_sending);
    tcase_add_test(t, errand_of_a_broken_connection_comes_back_to_nobody);
    tcase_add_test(t, errands_come_back_at_the_end_and_no_more_are_taken);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
