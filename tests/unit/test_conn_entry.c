/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/conn_entry.c: the header of a proxy before everything else, places for addresses, refusals; and since when
 * a connection is idle. */
#include "core/proxy.h"
#include "core/tally.h"
#include "unit/conn_rig.h"

enum { HEADER_MS = 2000 };

#define WORDS "no place\n"
#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.7 4711 80\r\n"

static bool line_idle(const struct conn *c)
{
    return *(const unsigned *)conn_state_const(c) > 0;  /* it has taken a line */
}

static const struct proto polite = {
    .name = "polite", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .eof = line_eof,
    .refusal = { WORDS, sizeof WORDS - 1 }, .expired = line_expired, .drain = line_drain, .close = line_close,
    .idle = line_idle,
};

static struct net proxies = { .family = AF_INET, .bits = 8, .address = { 10 } };
static const struct proxy_rules rules = { .trusted = &proxies, .trusted_count = 1, .header_ms = HEADER_MS };

static const struct peer a_proxy = { .family = AF_INET, .port = 5, .address = { 10, 0, 0, 1 } };
static const struct peer a_stranger = { .family = AF_INET, .port = 6, .address = { 203, 0, 113, 9 } };

static void enter(struct rig *g, const struct proto *proto, const struct peer *peer, bool proxied)
{
    rig_prepare(g, proto);
    g->service.proxy = proxied ? &rules : NULL;
    g->c = conn_new(&g->env, &g->service, 5, peer, 24);
    ck_assert_ptr_nonnull(g->c);
}

/* As rig_close, for a connection that its protocol never heard of. */
static void leave_unheard(struct rig *g)
{
    check_told(g, "");
    conn_free(g->c);
    check_told(g, "");
    ck_assert_uint_eq(g->env.count.closed, 1);
    env_free(&g->env);
}

static void check_peer(const struct rig *g, const char *text)
{
    char shown[PEER_TEXT_SIZE];
    peer_format(conn_peer(g->c), shown);
    ck_assert_str_eq(shown, text);
}

/* --- the header of a proxy --- */

START_TEST(entry_opens_behind_the_header_however_it_is_cut)
{
    static const char all[] = HEADER "one\ntwo\n";
    for (size_t cut = 0; cut < sizeof all - 1; cut++) {
        struct rig g;
        enter(&g, &full, &a_proxy, true);
        check_told(&g, "");
        in(&g, all, cut);
        check_told(&g, cut < sizeof HEADER - 1 ? "" : cut < sizeof HEADER + 3 ? "o" : "ol");
        in(&g, all + cut, sizeof all - 1 - cut);
        check_told(&g, "oll");
        check_peer(&g, "192.0.2.1:4711");
        check_out(&g, "onetwo");
        rig_close(&g);
    }
}
END_TEST

START_TEST(entry_takes_a_header_byte_by_byte)
{
    static const char all[] = HEADER "one\n";
    struct rig g;
    enter(&g, &full, &a_proxy, true);
    for (size_t i = 0; i < sizeof all - 1; i++)
        in(&g, all + i, 1);
    check_told(&g, "ol");
    rig_close(&g);
}
END_TEST

START_TEST(entry_keeps_the_proxy_as_peer_when_the_header_knows_no_other)
{
    struct rig g;
    enter(&g, &full, &a_proxy, true);
    say(&g, "PROXY UNKNOWN\r\none\n");
    check_told(&g, "ol");
    check_peer(&g, "10.0.0.1:5");
    rig_close(&g);
}
END_TEST

/* chatty speaks unasked: not before the header. */
START_TEST(entry_lets_nobody_speak_before_the_header)
{
    struct rig g;
    enter(&g, &chatty, &a_proxy, true);
    g.seen.room_n = 3;
    ck_assert(!conn_resume(g.c));
    check_told(&g, "");
    say(&g, HEADER);
    check_told(&g, "o");
    ck_assert(conn_resume(g.c));
    check_told(&g, "or");
    rig_close(&g);
}
END_TEST

START_TEST(entry_turns_strangers_away)
{
    struct rig g;
    enter(&g, &full, &a_stranger, true);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.refused_proxy, 1);
    leave_unheard(&g);
}
END_TEST

START_TEST(entry_ends_who_sends_no_header)
{
    struct rig g;
    enter(&g, &full, &a_proxy, true);
    say(&g, "one\n");
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.refused_proxy, 1);
    leave_unheard(&g);
}
END_TEST

START_TEST(entry_does_not_wait_for_a_header_for_ever)
{
    struct rig g;
    enter(&g, &full, &a_proxy, true);
    for (int i = 0; i < 10; i++) {
        in(&g, &HEADER[i], 1);
        ck_assert_uint_eq(conn_due(g.c), NOW_MS + HEADER_MS);
        g.env.now_ms += 100;
    }
    g.env.now_ms = NOW_MS + HEADER_MS;
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    leave_unheard(&g);
}
END_TEST

START_TEST(entry_ends_with_a_peer_that_leaves_before_its_header)
{
    struct rig g;
    enter(&g, &full, &a_proxy, true);
    say(&g, "PROX");
    conn_eof(g.c);
    ck_assert(conn_over(g.c));
    leave_unheard(&g);
    enter(&g, &full, &a_proxy, true);
    conn_drain(g.c);
    ck_assert(conn_over(g.c));
    leave_unheard(&g);
}
END_TEST

/* A header of version 2 may be longer than any message of the protocol. */
START_TEST(entry_keeps_a_long_header)
{
    enum { LONG = 30000 };
    struct rig g;
    char *header = calloc(1, 16 + LONG);
    memcpy(header, "\r\n\r\n\0\r\nQUIT\n\x20\0", 14);
    header[14] = (char)(LONG >> 8);
    header[15] = (char)(LONG & 255);
    enter(&g, &full, &a_proxy, true);
    for (size_t at = 0; at < 16 + LONG; at += 1000)
        in(&g, header + at, at + 1000 < 16 + LONG ? 1000 : 16 + LONG - at);
    check_told(&g, "o");
    say(&g, "one\n");
    check_told(&g, "ol");
    free(header);
    rig_close(&g);
}
END_TEST

/* --- places for addresses --- */

START_TEST(entry_counts_addresses_up_and_down)
{
    struct tally *tally = tally_new(1, 10, 1);
    struct rig g, h;
    rig_prepare(&g, &polite);
    g.env.tally = tally;
    g.c = conn_new(&g.env, &g.service, 5, &a_stranger, 0);
    check_told(&g, "o");
    ck_assert(!g.c->refused);

    rig_prepare(&h, &polite);
    h.env.tally = tally;
    h.c = conn_new(&h.env, &h.service, 6, &a_stranger, 0);
    ck_assert(h.c->refused);
    ck_assert_uint_eq(h.env.count.refused_address, 1);
    check_out(&h, WORDS);
    ck_assert(conn_wants_shut(h.c));
    conn_shut(h.c);
    ck_assert_uint_eq(conn_due(h.c), NOW_MS + CONN_LINGER_SHORT_MS);
    say(&h, "one\n");
    leave_unheard(&h);
    ck_assert(tally_is_full(tally, &a_stranger));       /* who was not counted gives nothing back */

    rig_close(&g);
    ck_assert(!tally_is_full(tally, &a_stranger));
    tally_free(tally);
}
END_TEST

START_TEST(entry_counts_the_client_behind_the_proxy)
{
    struct tally *tally = tally_new(1, 10, 1);
    struct peer client = { .family = AF_INET, .address = { 192, 0, 2, 1 } };
    struct rig g, h;
    for (int i = 0; i < 2; i++) {
        struct rig *r = i == 0 ? &g : &h;
        rig_prepare(r, &polite);
        r->env.tally = tally;
        r->service.proxy = &rules;
        r->c = conn_new(&r->env, &r->service, 5, &a_proxy, 0);
        ck_assert(!tally_is_full(tally, &a_proxy));
        say(r, HEADER "one\n");
    }
    ck_assert(tally_is_full(tally, &client) && !tally_is_full(tally, &a_proxy));
    check_out(&g, "one");
    check_out(&h, WORDS);
    leave_unheard(&h);
    rig_close(&g);
    ck_assert(!tally_is_full(tally, &client));
    tally_free(tally);
}
END_TEST

START_TEST(entry_without_words_is_over_at_once)
{
    struct rig g;
    enter(&g, &full, &a_stranger, false);
    conn_refuse(g.c);
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

/* --- deadlines that are earned --- */

START_TEST(conn_extends_a_deadline_but_not_beyond_a_whole_one)
{
    struct rig g;
    rig_open(&g, &full);
    conn_extend(g.c, 100);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    conn_timeout(g.c, 1000);
    conn_extend(g.c, 500);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 1000);
    g.env.now_ms += 400;
    conn_extend(g.c, 300);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 1300);
    conn_extend(g.c, UINT32_MAX);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 1400);
    rig_close(&g);
}
END_TEST

START_TEST(conn_lingers_shortly_with_who_has_had_its_time)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    g.env.now_ms += 100;
    conn_expired(g.c);
    check_out(&g, "late");
    conn_shut(g.c);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 100 + CONN_LINGER_SHORT_MS);
    rig_close(&g);
}
END_TEST

/* --- giving way --- */

START_TEST(conn_that_gives_way_in_the_middle_of_a_message_is_told_to_come_again)
{
    struct rig g;
    rig_open(&g, &polite);
    say(&g, "one\ntw");
    g.c->leaving = true;
    conn_eof(g.c);
    check_told(&g, "ol");
    check_out(&g, "one" WORDS);
    ck_assert(conn_over(g.c));
    rig_close(&g);
    rig_open(&g, &polite);
    say(&g, "one\n");
    g.c->leaving = true;
    conn_eof(g.c);
    check_told(&g, "ole");
    check_out(&g, "one");
    rig_close(&g);
}
END_TEST

/* --- who is idle --- */

START_TEST(conn_is_idle_when_nothing_is_under_way)
{
    struct rig g;
    rig_open(&g, &polite);
    ck_assert_uint_eq(conn_idle_since(g.c), 0);         /* nothing was answered */
    g.env.now_ms += 10;
    say(&g, "one\n");
    ck_assert_uint_eq(conn_idle_since(g.c), 0);         /* the answer waits */
    g.env.now_ms += 10;
    send_all(&g);
    g.env.now_ms += 10;
    ck_assert_uint_eq(conn_idle_since(g.c), NOW_MS + 20);
    say(&g, "tw");
    ck_assert_uint_eq(conn_idle_since(g.c), 0);         /* part of a message is there */
    say(&g, "o\n");
    send_all(&g);
    ck_assert_uint_eq(conn_idle_since(g.c), NOW_MS + 30);
    conn_finish(g.c);
    ck_assert_uint_eq(conn_idle_since(g.c), 0);
    rig_close(&g);
    rig_open(&g, &full);                                /* it never says so */
    say(&g, "one\n");
    send_all(&g);
    ck_assert_uint_eq(conn_idle_since(g.c), 0);
    rig_close(&g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_entry");
    TCase *t = tcase_create("conn_entry");
    tcase_add_test(t, entry_opens_behind_the_header_however_it_is_cut);
    tcase_add_test(t, entry_takes_a_header_byte_by_byte);
    tcase_add_test(t, entry_keeps_the_proxy_as_peer_when_the_header_knows_no_other);
    tcase_add_test(t, entry_lets_nobody_speak_before_the_header);
    tcase_add_test(t, entry_turns_strangers_away);
    tcase_add_test(t, entry_ends_who_sends_no_header);
    tcase_add_test(t, entry_does_not_wait_for_a_header_for_ever);
    tcase_add_test(t, entry_ends_with_a_peer_that_leaves_before_its_header);
    tcase_add_test(t, entry_keeps_a_long_header);
    tcase_add_test(t, entry_counts_addresses_up_and_down);
    tcase_add_test(t, entry_counts_the_client_behind_the_proxy);
    tcase_add_test(t, entry_without_words_is_over_at_once);
    tcase_add_test(t, conn_extends_a_deadline_but_not_beyond_a_whole_one);
    tcase_add_test(t, conn_lingers_shortly_with_who_has_had_its_time);
    tcase_add_test(t, conn_that_gives_way_in_the_middle_of_a_message_is_told_to_come_again);
    tcase_add_test(t, conn_is_idle_when_nothing_is_under_way);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
