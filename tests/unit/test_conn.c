/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/conn.c: what a driver and a protocol may rely on.  The clock stands still until a test moves it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/conn_driver.h"

static const size_t IMPOSSIBLE = (size_t)1 << 48;      /* bytes: more than any address space */

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

enum { BIG = CONN_OUT_HIGH + 1000, MESSAGE_MAX = 200, SEND_MS = 3000, NOW_MS = 50000 };

/* --- a line protocol: each line is answered by itself; some words do more --- */

struct seen {
    char     told[8192];        /* o: open, l: a line, e: eof, x: expired, d: drain, r: room, c: close */
    unsigned offered;           /* calls of input */
    bool     finish_in_open;
    unsigned room_n;            /* bytes that room puts */
};

static const char big[BIG];

static void tell(struct conn *c, char what)
{
    struct seen *s = *(struct seen *const *)conn_settings(c);
    size_t n = strlen(s->told);
    if (n + 1 < sizeof s->told)
        s->told[n] = what;
}

static struct seen *seen_by(struct conn *c)
{
    return *(struct seen *const *)conn_settings(c);
}

static void line_open(struct conn *c)
{
    tell(c, 'o');
    ck_assert_uint_eq(*(unsigned *)conn_state(c), 0);
    if (seen_by(c)->finish_in_open)
        conn_finish(c);
}

static bool is_word(struct span line, const char *word)
{
    return span_equal(line, span_of(word));
}

static void line_obey(struct conn *c, struct span line)
{
    if (is_word(line, "bye"))
        conn_finish(c);
    else if (is_word(line, "now"))
        conn_finish_now(c);
    else if (is_word(line, "abort"))
        conn_abort(c);
    else if (is_word(line, "big"))
        outq_lend(conn_out(c), (struct span){ big, sizeof big }, NULL);
    else if (is_word(line, "lend"))
        outq_lend(conn_out(c), SPAN("l"), NULL);
    else if (is_word(line, "wait"))
        conn_timeout(c, 700);
    else
        outq_put(conn_out(c), line);
}

static size_t line_input(struct conn *c, struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    seen_by(c)->offered++;
    if (end == NULL)
        return 0;
    ++*(unsigned *)conn_state(c);
    tell(c, 'l');
    line_obey(c, (struct span){ in.p, (size_t)(end - in.p) });
    return (size_t)(end - in.p) + 1;
}

static void line_eof(struct conn *c)
{
    tell(c, 'e');
    conn_finish_now(c);
}

static void line_expired(struct conn *c)
{
    tell(c, 'x');
    outq_put(conn_out(c), SPAN("late"));
    conn_finish(c);
}

static void line_drain(struct conn *c)
{
    tell(c, 'd');
}

static void line_room(struct conn *c)
{
    tell(c, 'r');
    for (unsigned i = 0; i < seen_by(c)->room_n; i++)
        outq_put(conn_out(c), SPAN("."));
}

static void line_close(struct conn *c)
{
    tell(c, 'c');
}

static const struct proto bare = {
    .name = "bare", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .close = line_close,
};

static const struct proto full = {
    .name = "full", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .eof = line_eof,
    .expired = line_expired, .drain = line_drain, .close = line_close,
};

static const struct proto chatty = {
    .name = "chatty", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .room = line_room,
    .close = line_close,
};

/* --- the rig: an env, a service, a connection, and what went out --- */

struct rig {
    struct env      env;
    struct seen     seen, *seen_at;
    struct service  service;
    struct conn    *c;
    char            out[4096];
    size_t          out_n;
};

static void rig_prepare(struct rig *g, const struct proto *proto)
{
    *g = (struct rig){ .c = NULL };
    g->seen_at = &g->seen;
    env_init(&g->env, NULL);
    g->env.now_ms = NOW_MS;
    g->service = (struct service){ .name = "test", .proto = proto, .settings = &g->seen_at,
                                   .message_max = MESSAGE_MAX, .send_timeout_ms = SEND_MS };
}

static void rig_connect(struct rig *g)
{
    struct peer peer = { .port = 77 };
    g->c = conn_new(&g->env, &g->service, 5, &peer, 24);
    ck_assert_ptr_nonnull(g->c);
}

static void rig_open(struct rig *g, const struct proto *proto)
{
    rig_prepare(g, proto);
    rig_connect(g);
}

static void rig_close(struct rig *g)
{
    uint64_t closed = g->env.count.closed;
    conn_free(g->c);
    ck_assert_uint_eq(g->env.count.closed, closed + 1);
    ck_assert_ptr_nonnull(strchr(g->seen.told, 'c'));
    env_free(&g->env);
}

/* The bytes are lent for the call only: a copy that is freed behind it tells on whoever keeps them. */
static void in(struct rig *g, const char *text, size_t n)
{
    char *lent = malloc(n > 0 ? n : 1);
    memcpy(lent, text, n);
    conn_input(g->c, (struct span){ lent, n });
    free(lent);
}

static void say(struct rig *g, const char *text)
{
    in(g, text, strlen(text));
}

/* n bytes go out. */
static void send_out(struct rig *g, size_t n)
{
    struct iovec iov[16];
    size_t bytes;
    while (n > 0) {
        int count = outq_iov(conn_out(g->c), iov, 16, &bytes);
        ck_assert_int_gt(count, 0);
        size_t part = iov[0].iov_len < n ? iov[0].iov_len : n;
        size_t room = sizeof g->out - g->out_n, kept = part < room ? part : room;
        memcpy(g->out + g->out_n, iov[0].iov_base, kept);
        g->out_n += kept;
        conn_sent(g->c, part);
        n -= part;
    }
}

static void send_all(struct rig *g)
{
    send_out(g, g->c->out.bytes);
}

static void check_out(struct rig *g, const char *expected)
{
    send_all(g);
    ck_assert_uint_eq(g->out_n, strlen(expected));
    ck_assert_mem_eq(g->out, expected, g->out_n);
}

static void check_told(const struct rig *g, const char *expected)
{
    ck_assert_str_eq(g->seen.told, expected);
}

/* --- a connection's parts --- */

START_TEST(conn_has_what_it_was_made_of)
{
    struct rig g;
    rig_open(&g, &full);
    ck_assert_ptr_eq(conn_env(g.c), &g.env);
    ck_assert_ptr_eq(conn_service(g.c), &g.service);
    ck_assert_ptr_eq(conn_settings(g.c), &g.seen_at);
    ck_assert_uint_eq(conn_peer(g.c)->port, 77);
    ck_assert_int_eq(g.c->fd, 5);
    ck_assert_uint_eq(g.env.count.accepted, 1);
    check_told(&g, "o");
    ck_assert(!conn_ending(g.c) && !conn_over(g.c) && conn_wants_input(g.c) && !conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_gives_protocol_and_driver_zeroed_memory_of_their_own)
{
    struct rig g;
    rig_open(&g, &full);
    char *mine = conn_driver_part(g.c), zero[24] = { 0 };
    ck_assert_uint_eq((uintptr_t)mine % 16, 0);
    ck_assert_uint_eq((uintptr_t)conn_state(g.c) % 16, 0);
    ck_assert_mem_eq(mine, zero, sizeof zero);
    memset(mine, 0xff, sizeof zero);
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 0);
    rig_close(&g);
}
END_TEST

START_TEST(conn_has_a_generation_of_its_own_that_is_never_zero)
{
    struct rig g;
    rig_open(&g, &full);
    uint32_t first = g.c->generation;
    conn_free(g.c);
    g.env.generation = UINT32_MAX - 1;
    rig_connect(&g);
    uint32_t second = g.c->generation;
    conn_free(g.c);
    rig_connect(&g);
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_ne(second, first);
    ck_assert_uint_ne(g.c->generation, 0);
    ck_assert_uint_ne(g.c->generation, second);
    rig_close(&g);
}
END_TEST

START_TEST(conn_new_says_so_when_memory_is_out)
{
    struct rig g;
    struct proto huge = full;
    struct peer peer = { 0 };
    huge.state_size = IMPOSSIBLE;
    rig_prepare(&g, &huge);
    errno = 0;
    ck_assert_ptr_null(conn_new(&g.env, &g.service, 5, &peer, 0));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(g.env.count.accepted, 0);
    conn_free(NULL);
    env_free(&g.env);
}
END_TEST

START_TEST(conn_may_end_in_open)
{
    struct rig g;
    rig_prepare(&g, &full);
    g.seen.finish_in_open = true;
    rig_connect(&g);
    ck_assert(conn_ending(g.c) && conn_wants_shut(g.c) && !conn_wants_input(g.c));
    rig_close(&g);
}
END_TEST

/* --- input --- */

static const char lines[] = "one\nsecond\n\nx\nlast one\n";
static const char answers[] = "onesecondxlast one";

START_TEST(conn_answers_the_same_however_input_is_split_in_three)
{
    size_t n = strlen(lines);
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct rig g;
            rig_open(&g, &full);
            in(&g, lines, a);
            in(&g, lines + a, b - a);
            in(&g, lines + b, n - b);
            check_out(&g, answers);
            ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 5);
            ck_assert_ptr_null(g.c->kept);
            ck_assert_uint_eq(g.env.count.bytes_received, n);
            rig_close(&g);
        }
    }
}
END_TEST

START_TEST(conn_answers_the_same_byte_by_byte)
{
    struct rig g;
    rig_open(&g, &full);
    for (size_t i = 0; lines[i] != '\0'; i++)
        in(&g, lines + i, 1);
    check_out(&g, answers);
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_only_what_was_not_taken)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\n");
    ck_assert_ptr_null(g.c->kept);
    say(&g, "tw");
    ck_assert_ptr_nonnull(g.c->kept);
    say(&g, "o\n");
    ck_assert_ptr_null(g.c->kept);
    check_out(&g, "onetwo");
    rig_close(&g);
}
END_TEST

START_TEST(conn_offers_again_only_when_more_has_come)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\ntw");
    ck_assert_uint_eq(g.seen.offered, 2);
    ck_assert(!conn_resume(g.c));
    ck_assert_uint_eq(g.seen.offered, 2);
    say(&g, "o");
    ck_assert_uint_eq(g.seen.offered, 3);
    rig_close(&g);
}
END_TEST

START_TEST(conn_ends_a_peer_whose_message_never_ends)
{
    struct rig g;
    char text[MESSAGE_MAX + 1];
    memset(text, 'm', sizeof text);
    rig_open(&g, &full);
    in(&g, text, MESSAGE_MAX);
    ck_assert(!conn_over(g.c));
    in(&g, text, 1);
    ck_assert(conn_over(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    in(&g, text, MESSAGE_MAX + 1);
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_limits_messages_not_input)
{
    struct rig g;
    char text[MESSAGE_MAX * 4];
    memset(text, '\n', sizeof text);
    rig_open(&g, &full);
    in(&g, text, sizeof text);
    in(&g, text, MESSAGE_MAX - 1);
    ck_assert(!conn_over(g.c));
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), MESSAGE_MAX * 5 - 1);
    rig_close(&g);
}
END_TEST

START_TEST(conn_is_aborted_when_input_cannot_be_kept)
{
    struct rig g;
    rig_open(&g, &full);
    g.service.message_max = SIZE_MAX;
    say(&g, "begin");
    conn_input(g.c, (struct span){ "never read", IMPOSSIBLE });
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_is_aborted_when_output_found_no_memory)
{
    struct rig g;
    rig_open(&g, &full);
    g.env.blocks.size = IMPOSSIBLE;
    say(&g, "one\ntwo\n");
    ck_assert(conn_over(g.c));
    check_told(&g, "ol");
    g.env.blocks.size = ENV_BLOCK_SIZE;
    rig_close(&g);
}
END_TEST

/* --- back-pressure --- */

START_TEST(conn_stops_input_while_much_output_waits_and_goes_on_when_little_does)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nmore\nmo");
    ck_assert(!conn_wants_input(g.c));
    check_told(&g, "ol");
    say(&g, "st\n");                            /* what was on its way already is kept */
    check_told(&g, "ol");
    send_out(&g, BIG - CONN_OUT_LOW - 1);
    ck_assert(!conn_resume(g.c));
    ck_assert(!conn_wants_input(g.c));
    check_told(&g, "ol");
    send_out(&g, 1);
    ck_assert(conn_resume(g.c));
    ck_assert(conn_wants_input(g.c));
    check_told(&g, "olll");
    ck_assert_uint_eq(g.c->out.bytes, CONN_OUT_LOW + strlen("moremost"));
    ck_assert_ptr_null(g.c->kept);
    rig_close(&g);
}
END_TEST

START_TEST(conn_takes_kept_input_in_portions_when_each_fills_the_output)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nbig\nbig\nend\n");
    for (int i = 1; i <= 3; i++) {
        ck_assert_uint_eq(*(unsigned *)conn_state(g.c), (unsigned)i);
        ck_assert_uint_eq(g.c->out.bytes, BIG);
        send_all(&g);
        ck_assert(conn_resume(g.c));
    }
    ck_assert_uint_eq(*(unsigned *)conn_state(g.c), 4);
    ck_assert_uint_eq(g.c->out.bytes, 3);
    ck_assert(conn_wants_input(g.c));
    ck_assert(!conn_resume(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_counts_what_small_replies_cost)
{
    struct rig g;
    rig_open(&g, &full);
    for (int i = 0; i < 3000; i++)
        say(&g, i % 2 == 0 ? "a\n" : "lend\n");
    ck_assert(!conn_wants_input(g.c));
    ck_assert_uint_le(g.c->out.items, CONN_ITEMS_HIGH + 1);
    ck_assert_uint_lt(g.c->out.bytes, CONN_OUT_LOW);
    while (g.c->out.items > CONN_ITEMS_LOW) {
        ck_assert(!conn_resume(g.c));
        send_out(&g, 1);
    }
    ck_assert(conn_resume(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_input_whole_when_it_comes_while_paused)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\n");
    for (size_t i = 0; lines[i] != '\0'; i++)
        in(&g, lines + i, 1);
    ck_assert_uint_eq(g.seen.offered, 1);
    send_all(&g);
    g.out_n = 0;
    ck_assert(conn_resume(g.c));
    check_out(&g, answers);
    rig_close(&g);
}
END_TEST

START_TEST(conn_asks_for_more_when_there_is_room)
{
    struct rig g;
    rig_open(&g, &chatty);
    g.seen.room_n = 10;
    ck_assert(conn_resume(g.c));
    ck_assert_uint_eq(g.c->out.bytes, 10);
    g.seen.room_n = 0;
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orr");
    say(&g, "big\n");
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orrl");
    say(&g, "bye\n");
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "orrll");
    ck_assert(!conn_resume(g.c));
    check_told(&g, "orrll");
    rig_close(&g);
}
END_TEST

/* --- half-close and the end --- */

START_TEST(conn_tells_of_the_end_after_all_that_came_before)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nlast\n");
    conn_eof(g.c);
    check_told(&g, "ol");
    ck_assert(!conn_wants_input(g.c) && !conn_over(g.c));
    send_all(&g);
    g.out_n = 0;
    ck_assert(conn_resume(g.c));
    check_told(&g, "olle");
    check_out(&g, "last");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_does_not_tell_of_the_end_while_kept_input_pauses_it_again)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "big\nbig\nlast\n");
    conn_eof(g.c);
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "oll");
    send_all(&g);
    ck_assert(conn_resume(g.c));
    check_told(&g, "ollle");
    rig_close(&g);
}
END_TEST

START_TEST(conn_tells_of_the_end_at_once_when_a_message_stays_incomplete)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\ntw");
    conn_eof(g.c);
    check_told(&g, "ole");
    conn_eof(g.c);
    check_told(&g, "ole");
    check_out(&g, "one");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_delivers_the_answer_to_a_peer_that_shut_down_its_half)
{
    struct rig g;
    rig_open(&g, &bare);
    say(&g, "one\n");
    conn_eof(g.c);
    ck_assert(conn_ending(g.c) && !conn_over(g.c) && !conn_wants_shut(g.c));
    check_out(&g, "one");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_lingers_until_the_peer_is_through)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nbye\ntwo\n");
    check_told(&g, "oll");
    ck_assert(conn_ending(g.c) && !conn_over(g.c));
    ck_assert(!conn_wants_shut(g.c) && !conn_wants_input(g.c));
    check_out(&g, "one");
    ck_assert(conn_wants_shut(g.c) && !conn_over(g.c));
    conn_shut(g.c);
    ck_assert(!conn_wants_shut(g.c) && conn_wants_input(g.c) && !conn_over(g.c));
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + CONN_LINGER_MS);
    say(&g, "dropped\n");
    check_told(&g, "oll");
    ck_assert_uint_eq(g.c->out.bytes, 0);
    conn_eof(g.c);
    check_told(&g, "oll");
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_lingers_no_longer_than_its_time)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "bye\n");
    conn_shut(g.c);
    g.env.now_ms += 100;
    say(&g, "does not help\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + CONN_LINGER_MS);
    g.env.now_ms = conn_due(g.c);
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 0);
    check_told(&g, "ol");
    rig_close(&g);
}
END_TEST

START_TEST(conn_does_not_linger_for_a_peer_that_is_through_already)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nbye\n");
    conn_eof(g.c);
    check_told(&g, "oll");
    ck_assert(!conn_over(g.c));
    check_out(&g, "one");
    ck_assert(!conn_wants_shut(g.c));
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_now_is_over_once_all_is_sent)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nnow\n");
    ck_assert(!conn_over(g.c) && !conn_wants_input(g.c));
    check_out(&g, "one");
    ck_assert(!conn_wants_shut(g.c) && conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_finish_now_lingers_when_the_peer_sends_on_against_its_word)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "now\nmore\n");
    ck_assert(!conn_over(g.c) && conn_wants_shut(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "no");
    say(&g, "w\nmore\n");
    ck_assert(!conn_over(g.c) && conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_keeps_its_first_end)
{
    struct rig g;
    rig_open(&g, &full);
    conn_finish(g.c);
    conn_finish_now(g.c);
    ck_assert(conn_wants_shut(g.c) && !conn_over(g.c));
    rig_close(&g);
    rig_open(&g, &full);
    conn_abort(g.c);
    conn_finish(g.c);
    ck_assert(conn_over(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_abort_is_over_at_once)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "one\nabort\ntwo\n");
    check_told(&g, "oll");
    ck_assert(conn_over(g.c) && conn_ending(g.c) && !conn_wants_shut(g.c) && !conn_wants_input(g.c));
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    say(&g, "three\n");
    conn_eof(g.c);
    ck_assert(!conn_resume(g.c));
    conn_drain(g.c);
    check_told(&g, "oll");
    rig_close(&g);
}
END_TEST

START_TEST(conn_counts_a_reset_only_when_it_cost_something)
{
    struct rig g;
    rig_open(&g, &full);
    conn_broke(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.resets, 1);
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "one\nbye\n");
    conn_broke(g.c);
    ck_assert_uint_eq(g.env.count.resets, 1);
    rig_close(&g);
    rig_open(&g, &full);
    say(&g, "bye\n");
    conn_shut(g.c);
    conn_broke(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.resets, 0);
    rig_close(&g);
}
END_TEST

START_TEST(conn_hears_of_a_drain_once_it_is_open)
{
    struct rig g;
    rig_open(&g, &full);
    conn_drain(g.c);
    check_told(&g, "od");
    ck_assert(!conn_ending(g.c));
    conn_finish(g.c);
    conn_drain(g.c);
    check_told(&g, "od");
    rig_close(&g);
    rig_open(&g, &bare);
    conn_drain(g.c);
    ck_assert(conn_ending(g.c));
    rig_close(&g);
}
END_TEST

/* --- deadlines --- */

START_TEST(conn_is_never_due_without_a_deadline)
{
    struct rig g;
    rig_open(&g, &full);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    conn_timeout(g.c, 700);
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 700);
    conn_timeout(g.c, 0);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

START_TEST(conn_deadline_does_not_move_with_each_byte)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 700);
    for (int i = 0; i < 50; i++) {
        g.env.now_ms += 10;
        say(&g, "s");
    }
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 700);
    rig_close(&g);
}
END_TEST

START_TEST(conn_expired_is_told_to_the_protocol_once)
{
    struct rig g;
    rig_open(&g, &full);
    say(&g, "wait\n");
    g.env.now_ms += 700;
    conn_expired(g.c);
    check_told(&g, "olx");
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + SEND_MS);
    check_out(&g, "late");
    ck_assert(conn_wants_shut(g.c));
    rig_close(&g);
}
END_TEST

START_TEST(conn_expired_aborts_by_default)
{
    struct rig g;
    rig_open(&g, &bare);
    conn_timeout(g.c, 700);
    g.env.now_ms += 700;
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    rig_close(&g);
}
END_TEST

START_TEST(conn_output_must_move_within_the_send_timeout)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    g.env.now_ms += 50;
    say(&g, "0123456789\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 50 + SEND_MS);
    g.env.now_ms += SEND_MS - 1;
    say(&g, "more output does not count as progress\n");
    ck_assert_uint_eq(conn_due(g.c), NOW_MS + 50 + SEND_MS);
    send_out(&g, 1);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + SEND_MS);
    g.env.now_ms += SEND_MS;
    conn_expired(g.c);
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(g.env.count.timeouts, 1);
    check_told(&g, "oll");
    rig_close(&g);
}
END_TEST

START_TEST(conn_deadline_begins_anew_when_all_is_sent)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    g.env.now_ms += 2000;
    send_all(&g);
    ck_assert_uint_eq(conn_due(g.c), g.env.now_ms + 100);
    rig_close(&g);
}
END_TEST

START_TEST(conn_waits_for_ever_without_a_send_timeout)
{
    struct rig g;
    rig_open(&g, &full);
    g.service.send_timeout_ms = 0;
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

START_TEST(conn_that_is_over_is_never_due)
{
    struct rig g;
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "one\n");
    conn_broke(g.c);
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
    rig_open(&g, &full);
    conn_timeout(g.c, 100);
    say(&g, "now\n");
    ck_assert(conn_over(g.c));
    ck_assert_uint_eq(conn_due(g.c), UINT64_MAX);
    rig_close(&g);
}
END_TEST

static TCase *case_input(void)
{
    TCase *t = tcase_create("input");
    tcase_add_test(t, conn_has_what_it_was_made_of);
    tcase_add_test(t, conn_gives_protocol_and_driver_zeroed_memory_of_their_own);
    tcase_add_test(t, conn_has_a_generation_of_its_own_that_is_never_zero);
    tcase_add_test(t, conn_new_says_so_when_memory_is_out);
    tcase_add_test(t, conn_may_end_in_open);
    tcase_add_test(t, conn_answers_the_same_however_input_is_split_in_three);
    tcase_add_test(t, conn_answers_the_same_byte_by_byte);
    tcase_add_test(t, conn_keeps_only_what_was_not_taken);
    tcase_add_test(t, conn_offers_again_only_when_more_has_come);
    tcase_add_test(t, conn_ends_a_peer_whose_message_never_ends);
    tcase_add_test(t, conn_limits_messages_not_input);
    tcase_add_test(t, conn_is_aborted_when_input_cannot_be_kept);
    tcase_add_test(t, conn_is_aborted_when_output_found_no_memory);
    tcase_add_test(t, conn_stops_input_while_much_output_waits_and_goes_on_when_little_does);
    tcase_add_test(t, conn_takes_kept_input_in_portions_when_each_fills_the_output);
    tcase_add_test(t, conn_counts_what_small_replies_cost);
    tcase_add_test(t, conn_keeps_input_whole_when_it_comes_while_paused);
    tcase_add_test(t, conn_asks_for_more_when_there_is_room);
    return t;
}

static TCase *case_end(void)
{
    TCase *t = tcase_create("end");
    tcase_add_test(t, conn_tells_of_the_end_after_all_that_came_before);
    tcase_add_test(t, conn_does_not_tell_of_the_end_while_kept_input_pauses_it_again);
    tcase_add_test(t, conn_tells_of_the_end_at_once_when_a_message_stays_incomplete);
    tcase_add_test(t, conn_delivers_the_answer_to_a_peer_that_shut_down_its_half);
    tcase_add_test(t, conn_finish_lingers_until_the_peer_is_through);
    tcase_add_test(t, conn_lingers_no_longer_than_its_time);
    tcase_add_test(t, conn_does_not_linger_for_a_peer_that_is_through_already);
    tcase_add_test(t, conn_finish_now_is_over_once_all_is_sent);
    tcase_add_test(t, conn_finish_now_lingers_when_the_peer_sends_on_against_its_word);
    tcase_add_test(t, conn_keeps_its_first_end);
    tcase_add_test(t, conn_abort_is_over_at_once);
    tcase_add_test(t, conn_counts_a_reset_only_when_it_cost_something);
    tcase_add_test(t, conn_hears_of_a_drain_once_it_is_open);
    return t;
}

static TCase *case_deadlines(void)
{
    TCase *t = tcase_create("deadlines");
    tcase_add_test(t, conn_is_never_due_without_a_deadline);
    tcase_add_test(t, conn_deadline_does_not_move_with_each_byte);
    tcase_add_test(t, conn_expired_is_told_to_the_protocol_once);
    tcase_add_test(t, conn_expired_aborts_by_default);
    tcase_add_test(t, conn_output_must_move_within_the_send_timeout);
    tcase_add_test(t, conn_deadline_begins_anew_when_all_is_sent);
    tcase_add_test(t, conn_waits_for_ever_without_a_send_timeout);
    tcase_add_test(t, conn_that_is_over_is_never_due);
    return t;
}

int main(void)
{
    Suite *s = suite_create("conn");
    suite_add_tcase(s, case_input());
    suite_add_tcase(s, case_end());
    suite_add_tcase(s, case_deadlines());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
