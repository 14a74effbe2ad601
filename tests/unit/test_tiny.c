/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of proto/tiny.c, without a socket. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/tiny.h"
#include "wire.h"

enum { IDLE_MS = 60000, LINES_MAX = 64, FOREVER_MS = 7 * 24 * 3600 * 1000 };

static const struct tiny_settings settings = { .greeting = { "hello\n", 6 }, .idle_ms = IDLE_MS };
static const struct tiny_settings patient = { .greeting = { "hello\n", 6 } };

static struct service service_of(const struct proto *p, const char *name)
{
    return (struct service){ .name = name, .proto = p, .settings = &settings, .send_timeout_ms = 30000 };
}

/* What was logged. */
static struct {
    int  n;
    char line[LINES_MAX][LOG_LINE_MAX + 1];
    char event[LINES_MAX][16];
    char peer[LINES_MAX][PEER_TEXT_SIZE];
    char service[LINES_MAX][16];
    char worker[LINES_MAX][16];
} heard;

static void hear(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    (void)arg;
    ck_assert_int_eq(level, LOG_INFO);
    ck_assert_int_lt(heard.n, LINES_MAX);
    memcpy(heard.line[heard.n], line.p, line.n);
    heard.line[heard.n][line.n] = '\0';
    snprintf(heard.event[heard.n], sizeof heard.event[0], "%s", about->event);
    snprintf(heard.peer[heard.n], sizeof heard.peer[0], "%s", about->peer);
    snprintf(heard.service[heard.n], sizeof heard.service[0], "%s", about->service);
    snprintf(heard.worker[heard.n], sizeof heard.worker[0], "%s", about->worker);
    heard.n++;
}

static struct wire w;
static struct service s;       /* outlives the test, as the connection that tear_down closes needs it */

static void set_up(void)
{
    heard.n = 0;
    log_open(hear, NULL, LOG_INFO);
    wire_init(&w);
    w.env.about.worker = "main.0";
}

static void tear_down(void)
{
    wire_free(&w);
    ck_assert_uint_eq(w.env.count.accepted, w.env.count.closed);
}

static void check_output(const char *want)
{
    ck_assert_str_eq(wire_output(&w).p, want);
    ck_assert_uint_eq(wire_output(&w).n, strlen(want));
}

static void check_heard(int i, const char *want)
{
    ck_assert_int_lt(i, heard.n);
    ck_assert_str_eq(heard.line[i], want);
}

/* --- greet --- */

START_TEST(greet_sends_its_greeting_and_logs_what_is_said)
{
    s = service_of(&proto_greet, "greeter");
    wire_open(&w, &s);
    check_output("hello\n");
    wire_send(&w, SPAN("good day\n"));
    ck_assert_int_eq(heard.n, 1);
    check_heard(0, "greeter: 127.0.0.1:5000 says \"good day\"");
    ck_assert_str_eq(heard.event[0], "message");
    ck_assert_str_eq(heard.peer[0], "127.0.0.1:5000");
    ck_assert_str_eq(heard.service[0], "greeter");
    ck_assert_str_eq(heard.worker[0], "main.0");
    wire_eof(&w);
    ck_assert(wire_over(&w));
    ck_assert_int_eq(heard.n, 2);
    check_heard(1, "greeter: 127.0.0.1:5000 left");
    ck_assert_str_eq(heard.event[1], "left");
    ck_assert_uint_eq(w.env.count.messages, 1);
}
END_TEST

static const char talk[] = "one\ntwo\r\n\nlonger with spaces\n\r\nno end";

/* However the network cuts it. */
START_TEST(greet_hears_the_same_lines_however_they_are_split)
{
    size_t n = sizeof talk - 1;
    s = service_of(&proto_greet, "g");
    wire_open(&w, &s);
    if (_i == 0)
        wire_send_steps(&w, SPAN(talk), 1);
    else
        wire_send_split(&w, SPAN(talk), (size_t)_i - 1);
    ck_assert_uint_ge(n, (size_t)_i - (_i > 0));
    ck_assert_int_eq(heard.n, 5);
    wire_eof(&w);
    ck_assert_int_eq(heard.n, 7);
    check_heard(0, "g: 127.0.0.1:5000 says \"one\"");
    check_heard(1, "g: 127.0.0.1:5000 says \"two\"");
    check_heard(2, "g: 127.0.0.1:5000 says \"\"");
    check_heard(3, "g: 127.0.0.1:5000 says \"longer with spaces\"");
    check_heard(4, "g: 127.0.0.1:5000 says \"\"");
    check_heard(5, "g: 127.0.0.1:5000 says \"no end\"");
    check_heard(6, "g: 127.0.0.1:5000 left");
    ck_assert_uint_eq(w.env.count.messages, 6);
}
END_TEST

START_TEST(greet_hears_a_message_without_line_end_after_a_moment)
{
    s = service_of(&proto_greet, "g");
    wire_open(&w, &s);
    wire_send(&w, SPAN("hi"));
    ck_assert_int_eq(heard.n, 0);
    wire_pass(&w, 1000);
    ck_assert_int_eq(heard.n, 1);
    check_heard(0, "g: 127.0.0.1:5000 says \"hi\"");
    ck_assert(!wire_over(&w));
    wire_send(&w, SPAN("\n"));              /* only the end of what was heard */
    ck_assert_int_eq(heard.n, 1);
    wire_send(&w, SPAN("there"));
    wire_pass(&w, 1000);
    wire_send(&w, SPAN(" you\n"));
    ck_assert_int_eq(heard.n, 3);
    check_heard(1, "g: 127.0.0.1:5000 says \"there\"");
    check_heard(2, "g: 127.0.0.1:5000 says \" you\"");
    wire_send(&w, SPAN("\n"));
    ck_assert_int_eq(heard.n, 4);
    check_heard(3, "g: 127.0.0.1:5000 says \"\"");
}
END_TEST

/* A line of any length, in pieces of at most TINY_MESSAGE_MAX, no byte lost or doubled. */
START_TEST(greet_logs_a_long_line_in_pieces)
{
    static const size_t lengths[] = { TINY_MESSAGE_MAX - 1, TINY_MESSAGE_MAX, TINY_MESSAGE_MAX + 1,
                                      3 * TINY_MESSAGE_MAX, 5 * TINY_MESSAGE_MAX + 17 };
    static const size_t steps[] = { SIZE_MAX, 1, 1000, TINY_MESSAGE_MAX, 20000 };
    s = service_of(&proto_greet, "g");
    size_t length = lengths[_i % 5], step = steps[_i / 5], sum = 0;
    char *text = malloc(length + 1);
    memset(text, 'x', length);
    text[length] = '\n';
    wire_open(&w, &s);
    wire_send_steps(&w, (struct span){ text, length + 1 }, step);
    for (int i = 0; i < heard.n; i++) {
        const char *from = strchr(heard.line[i], '"') + 1;
        size_t n = strlen(from) - 1;
        ck_assert_uint_le(n, TINY_MESSAGE_MAX);
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_eq(strspn(from, "x"), n);
        sum += n;
    }
    ck_assert_uint_eq(sum, length);
    ck_assert_int_eq(heard.n, (int)((length + TINY_MESSAGE_MAX - 1) / TINY_MESSAGE_MAX));
    free(text);
}
END_TEST

START_TEST(greet_lets_nobody_forge_a_line)
{
    s = service_of(&proto_greet, "g");
    wire_open(&w, &s);
    wire_send(&w, SPAN("a\0b\rc\x1b[2J\xff\n\0\0\n"));
    ck_assert_int_eq(heard.n, 2);
    check_heard(0, "g: 127.0.0.1:5000 says \"a\\x00b\\x0dc\\x1b[2J\\xff\"");
    check_heard(1, "g: 127.0.0.1:5000 says \"\\x00\\x00\"");
}
END_TEST

START_TEST(greet_takes_a_flood_of_nul_bytes)
{
    s = service_of(&proto_greet, "g");
    char *zeros = calloc(1, TINY_MESSAGE_MAX);
    wire_open(&w, &s);
    wire_send(&w, (struct span){ zeros, TINY_MESSAGE_MAX });
    ck_assert_int_eq(heard.n, 1);
    ck_assert_str_eq(heard.line[0] + strlen(heard.line[0]) - 8, "\\x00...\"");
    free(zeros);
}
END_TEST

START_TEST(greet_says_nothing_below_level_info)
{
    s = service_of(&proto_greet, "g");
    log_set_level(LOG_NOTICE);
    wire_open(&w, &s);
    wire_send(&w, SPAN("one\ntwo\nthree"));
    wire_eof(&w);
    ck_assert_int_eq(heard.n, 0);
    ck_assert_uint_eq(w.env.count.messages, 3);
}
END_TEST

START_TEST(greet_logs_what_was_begun_when_the_connection_breaks)
{
    s = service_of(&proto_greet, "g");
    wire_open(&w, &s);
    wire_send(&w, SPAN("half"));
    wire_break(&w);
    ck_assert(wire_over(&w));
    ck_assert_int_eq(heard.n, 2);
    check_heard(0, "g: 127.0.0.1:5000 says \"half\"");
    check_heard(1, "g: 127.0.0.1:5000 left");
}
END_TEST

START_TEST(greet_without_a_greeting_is_silent)
{
    static const struct tiny_settings silent = { .idle_ms = IDLE_MS };
    s = service_of(&proto_greet, "g");
    s.settings = &silent;
    wire_open(&w, &s);
    check_output("");
    wire_send(&w, SPAN("x\n"));
    ck_assert_int_eq(heard.n, 1);
    ck_assert(!wire_over(&w));
}
END_TEST

/* --- idle, for all that wait for a peer --- */

static const struct proto *const waiting[] = { &proto_greet, &proto_echo, &proto_discard };

START_TEST(tiny_lets_a_silent_peer_go)
{
    s = service_of(waiting[_i], "s");
    wire_open(&w, &s);
    wire_pass(&w, IDLE_MS - 1000);
    ck_assert(!w.shut);
    wire_send(&w, SPAN("x\n"));
    wire_pass(&w, IDLE_MS - 1000);
    ck_assert(!w.shut);
    wire_pass(&w, 2000);
    ck_assert(w.shut || wire_over(&w));
    wire_pass(&w, CONN_LINGER_MS + 1);
    ck_assert(wire_over(&w));
    ck_assert_uint_eq(w.env.count.timeouts, 1);
}
END_TEST

START_TEST(tiny_waits_for_ever_when_told_so)
{
    s = service_of(waiting[_i], "s");
    s.settings = &patient;
    wire_open(&w, &s);
    wire_send(&w, SPAN("x\n"));
    wire_pass(&w, FOREVER_MS);
    ck_assert(!w.shut && !wire_over(&w));
}
END_TEST

START_TEST(tiny_ends_when_the_worker_goes)
{
    s = service_of(waiting[_i], "s");
    wire_open(&w, &s);
    wire_send(&w, SPAN("x\n"));
    wire_drain(&w);
    ck_assert(w.shut);
    wire_eof(&w);
    ck_assert(wire_over(&w));
}
END_TEST

/* --- echo --- */

START_TEST(echo_sends_back_what_it_gets)
{
    s = service_of(&proto_echo, "echo");
    wire_open(&w, &s);
    wire_send(&w, SPAN("one"));
    check_output("one");
    wire_send_steps(&w, SPAN(" two three"), 1);
    check_output("one two three");
    wire_eof(&w);
    ck_assert(wire_over(&w));
    check_output("one two three");
    ck_assert_uint_eq(w.env.count.messages, 11);
    ck_assert_int_eq(heard.n, 0);
}
END_TEST

static char pattern_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

/* A peer that does not read is made to wait, and still gets every byte, also those after its own end. */
START_TEST(echo_gives_every_byte_back_to_a_slow_reader)
{
    enum { TOTAL = 3 * 1024 * 1024, STEP = 50000 };
    s = service_of(&proto_echo, "echo");
    char *text = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        text[i] = pattern_at(i);
    w.window = 0;
    wire_open(&w, &s);
    wire_send_steps(&w, (struct span){ text, TOTAL }, 30000);
    wire_eof(&w);
    ck_assert(!conn_wants_input(w.conn));
    ck_assert_uint_gt(w.waiting.n, TOTAL / 2);      /* it was not read into memory without bound */
    size_t got = 0;
    while (!wire_over(&w) && got < TOTAL) {
        wire_read(&w, STEP);
        struct span out = wire_output(&w);
        ck_assert_uint_gt(out.n, 0);
        ck_assert_int_eq(memcmp(out.p, text + got, out.n), 0);
        got += out.n;
        wire_forget(&w);
    }
    ck_assert_uint_eq(got, TOTAL);
    ck_assert(wire_over(&w));
    free(text);
}
END_TEST

START_TEST(echo_gives_up_a_peer_that_reads_no_more)
{
    s = service_of(&proto_echo, "echo");
    w.window = 0;
    wire_open(&w, &s);
    wire_send(&w, SPAN("x"));
    wire_pass(&w, 29000);
    ck_assert(!wire_over(&w));
    wire_pass(&w, 2000);
    ck_assert(wire_over(&w));
}
END_TEST

/* --- discard --- */

START_TEST(discard_answers_nothing)
{
    s = service_of(&proto_discard, "discard");
    wire_open(&w, &s);
    wire_send_steps(&w, SPAN("anything at all"), 4);
    check_output("");
    ck_assert_uint_eq(w.env.count.messages, 4);
    wire_eof(&w);
    ck_assert(wire_over(&w));
    check_output("");
}
END_TEST

/* --- chargen --- */

/* Line k begins with character k of the ring of 95. */
static void check_chargen(struct span out)
{
    for (size_t i = 0; i < out.n; i++) {
        size_t line = i / 74, column = i % 74;
        char want = column == 72 ? '\r' : column == 73 ? '\n' : (char)(' ' + (line + column) % 95);
        ck_assert_msg(out.p[i] == want, "line %zu, column %zu: %d", line, column, out.p[i]);
    }
}

START_TEST(chargen_sends_rotating_lines)
{
    enum { TOTAL = 300000 };
    s = service_of(&proto_chargen, "chargen");
    w.window = TOTAL;
    w.send_max = _i == 0 ? SIZE_MAX : 1013;
    wire_open(&w, &s);
    ck_assert_uint_eq(wire_output(&w).n, TOTAL);
    check_chargen(wire_output(&w));
    ck_assert_int_eq(strncmp(wire_output(&w).p, " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "[\\]^_`abcdefg\r\n!\"#", 77), 0);
}
END_TEST

START_TEST(chargen_queues_little_for_a_peer_that_does_not_read)
{
    s = service_of(&proto_chargen, "chargen");
    w.window = 0;
    wire_open(&w, &s);
    ck_assert_uint_ge(w.conn->out.bytes, 16 * 1024);
    for (int i = 0; i < 100; i++) {
        wire_read(&w, 1000);
        wire_send(&w, SPAN("ignored"));
        ck_assert_uint_lt(w.conn->out.bytes, 20 * 1024);
    }
    check_chargen(wire_output(&w));
    wire_pass(&w, 31000);
    ck_assert(wire_over(&w));
}
END_TEST

START_TEST(chargen_stops_when_its_peer_has_ended)
{
    s = service_of(&proto_chargen, "chargen");
    w.window = 1000;
    wire_open(&w, &s);
    wire_eof(&w);
    ck_assert(!wire_over(&w));
    wire_read(&w, 1000000);
    ck_assert(wire_over(&w));
    ck_assert_uint_lt(wire_output(&w).n, 30000);
    check_chargen(wire_output(&w));
}
END_TEST

START_TEST(chargen_stops_when_the_worker_goes)
{
    s = service_of(&proto_chargen, "chargen");
    w.window = 1000;
    wire_open(&w, &s);
    wire_drain(&w);
    wire_read(&w, 1000000);
    ck_assert(w.shut);
    wire_eof(&w);
    ck_assert(wire_over(&w));
}
END_TEST

/* --- daytime, time --- */

START_TEST(daytime_tells_the_time_and_ends)
{
    s = service_of(&proto_daytime, "daytime");
    wire_open(&w, &s);
    check_output("Sunday, November 22, 2026 07:54:07-UTC\r\n");
    ck_assert(w.shut);
    ck_assert(!wire_over(&w));              /* lingers, so that no reset destroys the line */
    wire_send(&w, SPAN("thanks"));
    wire_eof(&w);
    ck_assert(wire_over(&w));
}
END_TEST

START_TEST(time_sends_seconds_since_1900_and_ends)
{
    s = service_of(&proto_time, "time");
    wire_open(&w, &s);
    /* 1795334047 + 2208988800 = 4004322847 = 0xeead1e1f */
    ck_assert_uint_eq(wire_output(&w).n, 4);
    ck_assert_mem_eq(wire_output(&w).p, "\xee\xad\x1e\x1f", 4);
    ck_assert(w.shut);
    wire_pass(&w, CONN_LINGER_MS + 1);
    ck_assert(wire_over(&w));
}
END_TEST

START_TEST(time_wraps_as_its_protocol_does)
{
    s = service_of(&proto_time, "time");
    w.env.now_s = 2085978496 + 5;           /* 2036-02-07T06:28:21Z: 2^32 + 5 seconds after 1900 */
    wire_open(&w, &s);
    ck_assert_mem_eq(wire_output(&w).p, "\0\0\0\x05", 4);
}
END_TEST

static TCase *tiny_case(void)
{
    TCase *t = tcase_create("tiny");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, greet_sends_its_greeting_and_logs_what_is_said);
    tcase_add_loop_test(t, greet_hears_the_same_lines_however_they_are_split, 0, (int)sizeof talk + 1);
    tcase_add_test(t, greet_hears_a_message_without_line_end_after_a_moment);
    tcase_add_loop_test(t, greet_logs_a_long_line_in_pieces, 0, 25);
    tcase_add_test(t, greet_lets_nobody_forge_a_line);
    tcase_add_test(t, greet_takes_a_flood_of_nul_bytes);
    tcase_add_test(t, greet_says_nothing_below_level_info);
    tcase_add_test(t, greet_logs_what_was_begun_when_the_connection_breaks);
    tcase_add_test(t, greet_without_a_greeting_is_silent);
    tcase_add_loop_test(t, tiny_lets_a_silent_peer_go, 0, 3);
    tcase_add_loop_test(t, tiny_waits_for_ever_when_told_so, 0, 3);
    tcase_add_loop_test(t, tiny_ends_when_the_worker_goes, 0, 3);
    tcase_add_test(t, echo_sends_back_what_it_gets);
    tcase_add_test(t, echo_gives_every_byte_back_to_a_slow_reader);
    tcase_add_test(t, echo_gives_up_a_peer_that_reads_no_more);
    tcase_add_test(t, discard_answers_nothing);
    tcase_add_loop_test(t, chargen_sends_rotating_lines, 0, 2);
    tcase_add_test(t, chargen_queues_little_for_a_peer_that_does_not_read);
    tcase_add_test(t, chargen_stops_when_its_peer_has_ended);
    tcase_add_test(t, chargen_stops_when_the_worker_goes);
    tcase_add_test(t, daytime_tells_the_time_and_ends);
    tcase_add_test(t, time_sends_seconds_since_1900_and_ends);
    tcase_add_test(t, time_wraps_as_its_protocol_does);
    return t;
}

int main(void)
{
    Suite *suite = suite_create("tiny");
    suite_add_tcase(suite, tiny_case());
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
