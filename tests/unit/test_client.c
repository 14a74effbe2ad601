/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of proto/client*.c: what is made of answers, however they are cut. */
#include "client_rig.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

struct sample {
    const char *answer;         /* to the first request */
    bool        head_only;
    bool        end;            /* the server closes behind it */
    const char *expected;       /* content; NULL: it is not looked at */
    uint64_t    answered, content, malformed, closed, status;
    bool        over;           /* the connection ends */
};

static const struct sample samples[] = {
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", .expected = "hello", .answered = 1 },
    { .answer = "HTTP/1.1 200 OK\r\ncontent-length:  5 \r\n\r\nhellO", .expected = "hello", .answered = 1, .content = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", .expected = "hello", .answered = 1, .content = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", .expected = "hello", .answered = 1, .content = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .answered = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .expected = "hello", .answered = 1, .content = 1 },
    { .answer = "HTTP/1.1 204 No Content\r\n\r\n", .answered = 1 },
    { .answer = "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", .head_only = true, .answered = 1 },
    { .answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .expected = "ok", .answered = 1 },
    { .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", .expected = "ok", .answered = 1, .status = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", .expected = "hello",
      .answered = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", .expected = "hello",
      .answered = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelpo\r\n0\r\n\r\n", .expected = "hello",
      .answered = 1, .content = 1 },
    { .answer = "HTTP/1.1 200 OK\r\n\r\nhello", .expected = "hello", .end = true, .answered = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", .answered = 1 },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", .end = true, .closed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nConten", .end = true, .closed = 1, .over = true },
    { .answer = "", .end = true, .closed = 1, .over = true },
    { .answer = "HTTP/2 200 OK\r\n\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 2OO OK\r\n\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .malformed = 1, .over = true },
    { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", .malformed = 1, .over = true },
};

enum { SAMPLES = sizeof samples / sizeof *samples };

static void check_sample(const struct sample *s, const struct rig *r, size_t cut)
{
    const struct client_sheet *sheet = r->sheet;
    bool same = sheet->answered == s->answered && sheet->content == s->content && sheet->malformed == s->malformed &&
                sheet->closed == s->closed && sheet->status == s->status && wire_over(&r->w) == s->over;
    if (!same)
        ck_abort_msg("cut at %zu: answered %d content %d malformed %d closed %d status %d over %d after:\n%s", cut,
                     (int)sheet->answered, (int)sheet->content, (int)sheet->malformed, (int)sheet->closed,
                     (int)sheet->status, wire_over(&r->w), s->answer);
}

/* One more request is sent where the connection goes on: it is not answered. */
static void try_sample(const struct sample *s, size_t cut, size_t step)
{
    struct rig r;
    struct span answer = span_of(s->answer);
    rig_init(&r, CLIENT_HTTP, GET);
    r.course.left = 1;
    r.plan.head_only = s->head_only;
    r.plan.checked = s->expected != NULL;
    r.plan.expected = span_of(s->expected);
    rig_open(&r);
    ck_assert(span_equal(wire_output(&r.w), SPAN(GET)));
    if (step > 0)
        wire_send_steps(&r.w, answer, step);
    else
        wire_send_split(&r.w, answer, cut);
    if (s->end)
        wire_eof(&r.w);
    check_sample(s, &r, cut);
    ck_assert_uint_eq(r.sheet->measured, s->answered);
    ck_assert_uint_eq(histogram_count(&r.sheet->latency), s->answered);
    rig_free(&r);
}

START_TEST(client_understands_answers_however_they_are_cut)
{
    const struct sample *s = &samples[_i];
    for (size_t cut = 0; cut <= strlen(s->answer); cut++)
        try_sample(s, cut, 0);
    for (size_t step = 1; step <= 3; step++)
        try_sample(s, 0, step);
}
END_TEST

START_TEST(client_asks_again_as_soon_as_it_is_answered)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    rig_open(&r);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert_uint_eq(r.w.output.n, i * strlen(GET));
        wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    }
    ck_assert_uint_eq(r.sheet->answered, 5);
    ck_assert_uint_eq(r.sheet->sent, 6);
    ck_assert_uint_eq(r.sheet->waiting, 1);
    wire_close(&r.w);
    ck_assert_uint_eq(r.sheet->reset, 1);       /* it was not the end of the run */
    rig_free(&r);
}
END_TEST

START_TEST(client_keeps_its_pipeline_full)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET GET GET GET);
    r.plan.depth = 4;
    r.plan.request_size = strlen(GET);
    rig_open(&r);
    ck_assert(span_equal(wire_output(&r.w), SPAN(GET GET GET GET)));
    wire_forget(&r.w);
    wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nbHTTP"));
    ck_assert(span_equal(wire_output(&r.w), SPAN(GET GET)));
    ck_assert_uint_eq(r.sheet->waiting, 4);
    wire_eof(&r.w);
    ck_assert_uint_eq(r.sheet->closed, 4);
    rig_free(&r);
}
END_TEST

START_TEST(client_with_a_connection_for_each_request_waits_for_the_end)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    r.plan.one_each = true;
    rig_open(&r);
    wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
    ck_assert_uint_eq(r.sheet->answered, 1);
    ck_assert(!wire_over(&r.w));
    ck_assert_uint_eq(r.sheet->sent, 1);
    wire_eof(&r.w);
    ck_assert(wire_over(&r.w));
    ck_assert_uint_eq(r.sheet->closed, 0);
    rig_open(&r);
    wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
    wire_pass(&r.w, 2000);
    ck_assert_msg(wire_over(&r.w), "a server that does not close is left");
    ck_assert_uint_eq(r.sheet->timeout, 0);
    rig_free(&r);
}
END_TEST

START_TEST(client_idle_asks_once)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    r.settings.idle = true;
    r.times.start_us = 0;
    rig_open(&r);
    wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
    ck_assert_uint_eq(r.sheet->sent, 1);
    ck_assert_uint_eq(r.sheet->measured, 0);
    ck_assert(r.course.settled);
    wire_pass(&r.w, 100000);
    ck_assert(!wire_over(&r.w));
    wire_eof(&r.w);
    ck_assert_uint_eq(r.sheet->idle_lost, 1);
    ck_assert_uint_eq(r.sheet->closed, 0);
    rig_free(&r);
}
END_TEST

START_TEST(client_gives_up_what_is_not_answered_in_time)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    rig_open(&r);
    wire_pass(&r.w, 900);
    ck_assert(!wire_over(&r.w));
    wire_pass(&r.w, 200);
    ck_assert(wire_over(&r.w));
    ck_assert_uint_eq(r.sheet->timeout, 1);
    rig_free(&r);
}
END_TEST

START_TEST(client_did_not_ask_for_that)
{
    struct rig r;
    rig_init(&r, CLIENT_HTTP, GET);
    r.course.left = 1;
    rig_open(&r);
    wire_send(&r.w, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc"));
    ck_assert(wire_over(&r.w));
    ck_assert_uint_eq(r.sheet->answered, 1);
    ck_assert_uint_eq(r.sheet->malformed, 1);
    rig_free(&r);
}
END_TEST

START_TEST(client_echo_compares_every_byte_however_it_is_cut)
{
    for (size_t step = 1; step <= 16; step++) {
        struct rig r;
        rig_init(&r, CLIENT_ECHO, "abcdefgh");
        r.plan.depth = 2;
        r.course.left = 3;
        rig_open(&r);
        ck_assert(span_equal(wire_output(&r.w), SPAN("abcdefghabcdefgh")));
        wire_send_steps(&r.w, SPAN("abcdefghabcdeFghabcdefgh"), step);
        ck_assert_uint_eq(r.sheet->answered, 3);
        ck_assert_uint_eq(r.sheet->content, 1);
        ck_assert(!wire_over(&r.w));
        rig_free(&r);
    }
}
END_TEST

static struct span datagram(char text[9], uint64_t number)
{
    memcpy(text, &number, sizeof number);
    text[8] = 'z';
    return (struct span){ text, 9 };
}

START_TEST(client_misses_datagrams_by_their_numbers)
{
    struct rig r;
    char text[9];
    rig_init(&r, CLIENT_ECHO_DATAGRAMS, "????????z");
    r.plan.depth = 4;
    r.course.left = 6;
    rig_open(&r);
    ck_assert_uint_eq(r.sheet->sent, 4);
    ck_assert(span_equal((struct span){ r.w.output.p + 9, 9 }, datagram(text, 2)));
    wire_send(&r.w, datagram(text, 3));         /* 1 and 2 were lost on the way, or come too late */
    ck_assert_uint_eq(r.sheet->timeout, 2);
    ck_assert_uint_eq(r.sheet->answered, 1);
    wire_send(&r.w, datagram(text, 1));
    ck_assert_uint_eq(r.sheet->answered, 1);
    ck_assert_uint_eq(r.sheet->content, 0);
    ck_assert_uint_eq(r.sheet->sent, 6);
    wire_pass(&r.w, 1100);
    ck_assert_uint_eq(r.sheet->timeout, 5);
    ck_assert(!wire_over(&r.w));
    rig_free(&r);
}
END_TEST

START_TEST(client_loses_only_datagrams_whose_time_is_over)
{
    struct rig r;
    char text[9];
    rig_init(&r, CLIENT_ECHO_DATAGRAMS, "????????z");
    r.plan.depth = 4;
    r.course.left = 8;
    rig_open(&r);
    wire_pass(&r.w, 500);
    wire_send(&r.w, datagram(text, 1));         /* and 5 is sent */
    wire_pass(&r.w, 600);                       /* 2, 3, and 4 are lost, and 6, 7, and 8 are sent */
    ck_assert_uint_eq(r.sheet->timeout, 3);
    ck_assert_uint_eq(r.sheet->waiting, 4);
    wire_send(&r.w, datagram(text, 5));
    ck_assert_uint_eq(r.sheet->answered, 2);
    wire_send(&r.w, datagram(text, 6));
    wire_pass(&r.w, 500);
    ck_assert_uint_eq(r.sheet->timeout, 3);     /* they have as long as the first */
    wire_pass(&r.w, 500);
    ck_assert_uint_eq(r.sheet->timeout, 5);
    ck_assert_uint_eq(r.sheet->answered, 3);
    ck_assert_uint_eq(r.sheet->content, 0);
    rig_free(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client");
    TCase *t = tcase_create("client");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, client_understands_answers_however_they_are_cut, 0, SAMPLES);
    tcase_add_test(t, client_asks_again_as_soon_as_it_is_answered);
    tcase_add_test(t, client_keeps_its_pipeline_full);
    tcase_add_test(t, client_with_a_connection_for_each_request_waits_for_the_end);
    tcase_add_test(t, client_idle_asks_once);
    tcase_add_test(t, client_gives_up_what_is_not_answered_in_time);
    tcase_add_test(t, client_did_not_ask_for_that);
    tcase_add_test(t, client_echo_compares_every_byte_however_it_is_cut);
    tcase_add_test(t, client_misses_datagrams_by_their_numbers);
    tcase_add_test(t, client_loses_only_datagrams_whose_time_is_over);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
