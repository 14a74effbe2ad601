/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection in bytes: what travels, what does not, and what is no parcel.  The protocol here counts lines. */
#include <errno.h>

#include "conn_rig.h"
#include "core/heirs.h"
#include "core/parcel.h"
#include "core/proxy.h"
#include "core/tally.h"

static size_t line_pack(const struct conn *c, char *to, size_t room)
{
    ck_assert_uint_ge(room, PARCEL_STATE_MAX);
    memcpy(to, conn_state_const(c), sizeof(unsigned));
    return sizeof(unsigned);
}

static bool line_unpack(struct conn *c, struct span state)
{
    if (state.n != sizeof(unsigned))
        return false;
    memcpy(conn_state(c), state.p, state.n);
    return true;
}

static bool line_portable(const struct conn *c)
{
    return *(const unsigned *)conn_state_const(c) != 13;
}

static const struct proto moving = {
    .name = "moving", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .drain = line_drain,
    .room = line_room, .close = line_close, .portable = line_portable, .pack = line_pack, .unpack = line_unpack,
};

static const struct proto staying = {
    .name = "staying", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .close = line_close,
};

static char parcel_bytes[PARCEL_MAX];

/* From one worker to another, whose clock stands `later` ms further. */
static void move(struct rig *from, struct rig *to, uint64_t later)
{
    struct parcel p;
    size_t n = conn_pack(from->c, parcel_bytes);
    ck_assert_uint_gt(n, 0);
    ck_assert(parcel_open(&p, (struct span){ parcel_bytes, n }));
    ck_assert(span_equal(p.service, SPAN("test")));
    rig_prepare(to, from->service.proto);
    to->env.now_ms = from->env.now_ms + later;
    to->c = conn_unpack(&to->env, &to->service, 9, &p, 24);
    ck_assert_ptr_nonnull(to->c);
    conn_taken(from->c);
    ck_assert(conn_over(from->c));
    ck_assert(conn_passed(from->c));
    conn_free(from->c);
    ck_assert_uint_eq(from->env.count.closed, 0);
    ck_assert_uint_eq(from->env.count.passed_on, 1);
    ck_assert_uint_eq(to->env.count.accepted, 0);
    ck_assert_uint_eq(to->env.count.taken_over, 1);
    env_free(&from->env);
}

START_TEST(parcel_brings_everything_and_greets_nobody)
{
    struct rig a, b;
    rig_open(&a, &moving);
    say(&a, "one\nwait\ntw");
    send_all(&a);
    ck_assert(conn_portable(a.c));
    uint64_t due = conn_due(a.c), received = a.c->received, sent = a.c->sent;
    move(&a, &b, 100);
    check_told(&a, "ollc");
    check_told(&b, "");
    ck_assert_uint_eq(*(unsigned *)conn_state(b.c), 2);
    ck_assert_int_eq(b.c->fd, 9);
    ck_assert_uint_eq(b.c->peer.port, 77);
    ck_assert_uint_eq(conn_due(b.c), due);
    ck_assert_uint_eq(b.c->received, received);
    ck_assert_uint_eq(b.c->sent, sent);
    ck_assert_uint_eq(b.c->opened_s, NOW_MS / 1000);
    say(&b, "o\n");                     /* behind what was kept */
    check_out(&b, "two");
    rig_close(&b);
    check_told(&b, "lc");
}
END_TEST

START_TEST(parcel_offers_at_once_what_is_complete_by_now)
{
    struct rig a, b;
    rig_open(&a, &moving);
    say(&a, "abc");
    size_t n = conn_pack(a.c, parcel_bytes);
    parcel_bytes[n - 1] = '\n';
    struct parcel p;
    ck_assert(parcel_open(&p, (struct span){ parcel_bytes, n }));
    rig_prepare(&b, &moving);
    b.c = conn_unpack(&b.env, &b.service, 9, &p, 24);
    check_out(&b, "ab");
    rig_close(&b);
    rig_close(&a);
}
END_TEST

START_TEST(parcel_has_no_deadline_that_is_too_far_away)
{
    struct rig a, b;
    rig_open(&a, &moving);
    say(&a, "wait\n");
    a.c->deadline_ms += 1000000;
    a.c->progress_ms += 1000000;
    a.c->opened_s += 1000;
    move(&a, &b, 0);
    ck_assert_uint_eq(conn_due(b.c), NOW_MS + 700);
    ck_assert_uint_eq(b.c->progress_ms, NOW_MS);
    ck_assert_uint_eq(b.c->opened_s, NOW_MS / 1000);
    rig_close(&b);
}
END_TEST

START_TEST(parcel_that_was_long_on_its_way_is_heard_before_it_is_late)
{
    struct rig a, b;
    rig_open(&a, &moving);
    say(&a, "wait\n");
    move(&a, &b, 3000);
    ck_assert_uint_eq(conn_due(b.c), NOW_MS + 3000 + 250);
    b.c->timeout_ms = 60000;
    b.c->deadline_ms = b.env.now_ms + 200;
    move(&b, &a, 100);
    ck_assert_uint_eq(conn_due(a.c), NOW_MS + 3000 + 100 + 250);
    rig_close(&a);
}
END_TEST

static void check_stays(struct rig *g)
{
    ck_assert(!conn_portable(g->c));
    ck_assert_uint_eq(conn_pack(g->c, parcel_bytes), 0);
}

START_TEST(parcel_is_made_between_messages_only)
{
    struct rig g;
    rig_open(&g, &moving);
    say(&g, "one\n");
    check_stays(&g);                    /* its answer is not sent */
    send_all(&g);
    ck_assert(conn_portable(g.c));
    *(unsigned *)conn_state(g.c) = 13;
    check_stays(&g);                    /* the protocol says so */
    *(unsigned *)conn_state(g.c) = 1;
    g.c->leaving = true;
    check_stays(&g);
    g.c->leaving = false;
    g.c->extra = true;
    check_stays(&g);
    g.c->extra = false;
    ck_assert(conn_portable(g.c));
    conn_finish(g.c);
    check_stays(&g);
    rig_close(&g);
    rig_open(&g, &half_open);
    conn_eof(g.c);
    check_stays(&g);                    /* half-closed: it finishes where it is */
    rig_close(&g);
    rig_open(&g, &staying);
    check_stays(&g);                    /* a state, and nobody to pack it */
    rig_close(&g);
}
END_TEST

START_TEST(parcel_does_not_hold_any_amount_of_input)
{
    static char much[PARCEL_MAX];
    struct rig g;
    rig_open(&g, &moving);
    g.service.message_max = 2 * sizeof much;
    memset(much, 'x', sizeof much);
    in(&g, much, sizeof much / 2);
    ck_assert(conn_portable(g.c));
    ck_assert_uint_gt(conn_pack(g.c, parcel_bytes), sizeof much / 2);
    in(&g, much, sizeof much / 2);
    check_stays(&g);
    rig_close(&g);
}
END_TEST

/* --- with proxies and limits --- */

static const struct net anybody = { .family = AF_INET };
static const struct proxy_rules proxies = { .trusted = &anybody, .trusted_count = 1, .header_ms = 4000 };

static void open_proxied(struct rig *g)
{
    struct peer peer = { .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 77 };
    rig_prepare(g, &moving);
    g->service.proxy = &proxies;
    g->c = conn_new(&g->env, &g->service, 5, &peer, 24);
}

START_TEST(parcel_takes_half_a_header_of_a_proxy_along)
{
    struct rig a, b;
    open_proxied(&a);
    say(&a, "PROXY TCP4 192.0.2.7 192");
    check_told(&a, "");
    move(&a, &b, 0);
    ck_assert_uint_eq(conn_due(b.c), NOW_MS + 4000);
    say(&b, ".0.2.1 4711 80\r\nhello\n");
    check_told(&b, "ol");
    ck_assert_uint_eq(b.c->peer.port, 4711);
    rig_close(&b);
}
END_TEST

START_TEST(parcel_knows_the_client_that_a_proxy_named)
{
    struct rig a, b;
    open_proxied(&a);
    say(&a, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n");
    move(&a, &b, 0);
    ck_assert_uint_eq(b.c->peer.port, 4711);
    say(&b, "hello\n");
    check_told(&b, "l");
    rig_close(&b);
}
END_TEST

START_TEST(parcel_is_counted_with_its_address_and_never_refused)
{
    struct rig a, b;
    struct peer peer = { .family = AF_INET, .address = { 192, 0, 2, 7 }, .port = 77 };
    struct parcel p;
    rig_prepare(&a, &moving);
    a.c = conn_new(&a.env, &a.service, 5, &peer, 24);
    ck_assert(parcel_open(&p, (struct span){ parcel_bytes, conn_pack(a.c, parcel_bytes) }));
    rig_prepare(&b, &moving);
    b.env.tally = tally_new(1, 64, 4711);
    b.c = conn_unpack(&b.env, &b.service, 9, &p, 24);
    ck_assert(tally_is_full(b.env.tally, &peer));
    struct conn *second = conn_unpack(&b.env, &b.service, 10, &p, 24);
    ck_assert(!conn_ending(second));
    conn_free(second);
    ck_assert(tally_is_full(b.env.tally, &peer));
    conn_free(b.c);
    ck_assert(!tally_is_full(b.env.tally, &peer));
    tally_free(b.env.tally);
    env_free(&b.env);
    rig_close(&a);
}
END_TEST

/* --- what is no parcel --- */

static size_t sample(struct rig *g)
{
    rig_open(g, &moving);
    say(g, "one\ntw");
    send_all(g);
    return conn_pack(g->c, parcel_bytes);
}

START_TEST(parcel_is_refused_unless_it_is_whole)
{
    struct rig g;
    struct parcel p;
    size_t n = sample(&g);
    for (size_t i = 0; i < n; i++) {
        char *cut = malloc(i + 1);
        memcpy(cut, parcel_bytes, i);
        ck_assert(!parcel_open(&p, (struct span){ cut, i }));
        free(cut);
    }
    ck_assert(parcel_open(&p, (struct span){ parcel_bytes, n }));
    ck_assert(!parcel_open(&p, (struct span){ parcel_bytes, n + 1 }));
    ck_assert(!parcel_open(&p, (struct span){ parcel_bytes, PARCEL_MAX + 1 }));
    rig_close(&g);
}
END_TEST

/* Whatever a byte is changed to: refused, or a connection that can be used and freed. */
START_TEST(parcel_with_a_wrong_byte_does_no_harm)
{
    struct rig g, b;
    size_t n = sample(&g), opened = 0;
    rig_prepare(&b, &moving);
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct parcel p;
            parcel_bytes[i] = (char)(parcel_bytes[i] ^ 1 << bit);
            b.seen.told[0] = '\0';
            b.c = parcel_open(&p, (struct span){ parcel_bytes, n }) ? conn_unpack(&b.env, &b.service, 9, &p, 24) : NULL;
            if (b.c != NULL) {
                say(&b, "o\n");
                opened++;
            }
            conn_free(b.c);
            parcel_bytes[i] = (char)(parcel_bytes[i] ^ 1 << bit);
        }
    }
    ck_assert_uint_gt(opened, 0);
    env_free(&b.env);
    rig_close(&g);
}
END_TEST

START_TEST(parcel_of_another_protocol_is_refused)
{
    struct rig g, b;
    struct parcel p;
    ck_assert(parcel_open(&p, (struct span){ parcel_bytes, sample(&g) }));
    rig_prepare(&b, &full);
    errno = 0;
    ck_assert_ptr_null(conn_unpack(&b.env, &b.service, 9, &p, 24));
    ck_assert_int_eq(errno, EBADMSG);
    env_free(&b.env);
    rig_close(&g);
}
END_TEST

/* --- heirs --- */

static bool heirs_there;

static bool heirs_serve(struct heirs *h, const struct service *s)
{
    (void)h;
    ck_assert_str_eq(s->name, "test");
    return heirs_there;
}

START_TEST(heirs_keep_a_connection_going_that_would_end)
{
    struct heirs heirs = { .serve = heirs_serve };
    struct rig g;
    rig_open(&g, &moving);
    g.env.heirs = &heirs;
    heirs_there = true;
    ck_assert(!conn_has_heir(g.c));     /* the worker stays */
    g.env.draining = true;
    ck_assert(conn_has_heir(g.c));
    conn_drain(g.c);
    check_told(&g, "o");
    ck_assert(!conn_may_stay(g.c));
    heirs.patient = true;
    ck_assert(conn_may_stay(g.c));
    heirs_there = false;
    conn_drain(g.c);
    check_told(&g, "od");
    rig_close(&g);
}
END_TEST

START_TEST(heirs_make_who_speaks_unasked_silent)
{
    struct heirs heirs = { .serve = heirs_serve };
    struct rig g;
    rig_open(&g, &moving);
    g.seen.room_n = 3;
    g.env.heirs = &heirs;
    g.env.draining = heirs_there = true;
    ck_assert(!conn_resume(g.c));
    ck_assert(conn_portable(g.c));
    heirs_there = false;
    ck_assert(conn_resume(g.c));
    check_out(&g, "...");
    rig_close(&g);
}
END_TEST

int main(void)
{
    TCase *moves = tcase_create("moves"), *limits = tcase_create("limits"), *wrong = tcase_create("wrong"),
          *heirs = tcase_create("heirs");
    tcase_add_test(moves, parcel_brings_everything_and_greets_nobody);
    tcase_add_test(moves, parcel_offers_at_once_what_is_complete_by_now);
    tcase_add_test(moves, parcel_has_no_deadline_that_is_too_far_away);
    tcase_add_test(moves, parcel_that_was_long_on_its_way_is_heard_before_it_is_late);
    tcase_add_test(moves, parcel_is_made_between_messages_only);
    tcase_add_test(moves, parcel_does_not_hold_any_amount_of_input);
    tcase_add_test(limits, parcel_takes_half_a_header_of_a_proxy_along);
    tcase_add_test(limits, parcel_knows_the_client_that_a_proxy_named);
    tcase_add_test(limits, parcel_is_counted_with_its_address_and_never_refused);
    tcase_add_test(wrong, parcel_is_refused_unless_it_is_whole);
    tcase_add_test(wrong, parcel_with_a_wrong_byte_does_no_harm);
    tcase_add_test(wrong, parcel_of_another_protocol_is_refused);
    tcase_add_test(heirs, heirs_keep_a_connection_going_that_would_end);
    tcase_add_test(heirs, heirs_make_who_speaks_unasked_silent);
    Suite *s = suite_create("parcel");
    suite_add_tcase(s, moves);
    suite_add_tcase(s, limits);
    suite_add_tcase(s, wrong);
    suite_add_tcase(s, heirs);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
