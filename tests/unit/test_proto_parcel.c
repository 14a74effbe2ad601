/* SPDX-License-Identifier: BSD-2-Clause */
/* Each protocol in the middle of its life, passed from one worker to another: where it may be passed, and that it goes on
 * as if nothing had been. */
#include "base/log.h"
#include "core/heirs.h"
#include "core/parcel.h"
#include "proto/tiny.h"
#include "proto/tiny_text.h"
#include "test_http.h"

static const struct tiny_settings settings = { .greeting = { "hello\n", 6 }, .idle_ms = 60000 };

static bool somebody(struct heirs *h, const struct service *s)
{
    (void)h, (void)s;
    return true;
}

static struct heirs heirs = { .serve = somebody };

/* What was logged, a line behind the other. */
static char heard[2000];

static void hear(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    (void)arg, (void)level, (void)about;
    ck_assert_uint_lt(strlen(heard) + line.n + 2, sizeof heard);
    strncat(heard, line.p, line.n);
    strcat(heard, "\n");
}

static bool can_move(const struct wire *w)
{
    return w->conn != NULL && conn_portable(w->conn);
}

/* The second wire is made here; its clock goes on where the first one's stands. */
static void move(struct wire *from, struct wire *to, const struct service *s)
{
    static char bytes[PARCEL_MAX];
    struct parcel p;
    ck_assert(can_move(from));
    size_t n = conn_pack(from->conn, bytes);
    ck_assert(parcel_open(&p, (struct span){ bytes, n }));
    wire_init(to);
    to->env.now_ms = from->env.now_ms;
    to->conn = conn_unpack(&to->env, s, -1, &p, 0);
    ck_assert_ptr_nonnull(to->conn);
    conn_taken(from->conn);
    wire_close(from);
    wire_send(to, SPAN(""));
}

static void says(struct wire *w, const char *text)
{
    struct span got = wire_output(w);
    ck_assert_msg(span_equal(got, span_of(text)), "got \"%.*s\", not \"%s\"", (int)got.n, got.p, text);
    wire_forget(w);
}

static bool has(const struct wire *w, const char *text)
{
    struct span got = wire_output(w);
    return got.n > 0 && memmem(got.p, got.n, text, strlen(text)) != NULL;
}

/* --- the small ones --- */

static struct wire a, b;

static void small(const struct proto *proto, struct service *s)
{
    *s = (struct service){ .name = "small", .proto = proto, .settings = &settings, .send_timeout_ms = 30000 };
    heard[0] = '\0';
    log_open(hear, NULL, LOG_INFO);
    wire_init(&a);
    a.window = proto == &proto_chargen ? 1000 : SIZE_MAX;
    wire_open(&a, s);
}

static void small_end(void)
{
    wire_free(&a);
    wire_free(&b);
}

START_TEST(greet_greets_once_and_nobody_leaves)
{
    struct service s;
    small(&proto_greet, &s);
    wire_send(&a, SPAN("one\n"));
    says(&a, "hello\n");
    move(&a, &b, &s);
    wire_send(&b, SPAN("two\n"));
    says(&b, "");
    wire_close(&b);
    ck_assert_str_eq(heard, "small: 127.0.0.1:5000 says \"one\"\nsmall: 127.0.0.1:5000 says \"two\"\n"
                            "small: 127.0.0.1:5000 left\n");
    small_end();
}
END_TEST

START_TEST(greet_stays_until_a_line_that_has_begun_is_said)
{
    struct service s;
    small(&proto_greet, &s);
    wire_send(&a, SPAN("half"));
    ck_assert(!can_move(&a));
    wire_pass(&a, 1000);
    ck_assert_str_eq(heard, "small: 127.0.0.1:5000 says \"half\"\n");
    move(&a, &b, &s);
    wire_send(&b, SPAN("\n"));          /* the end of that line is no message of its own */
    wire_send(&b, SPAN("x\n"));
    ck_assert_str_eq(heard, "small: 127.0.0.1:5000 says \"half\"\nsmall: 127.0.0.1:5000 says \"x\"\n");
    small_end();
}
END_TEST

START_TEST(echo_and_discard_keep_their_time)
{
    static const struct proto *const protos[] = { &proto_echo, &proto_discard };
    struct service s;
    small(protos[_i], &s);
    wire_send(&a, SPAN("ping"));
    wire_forget(&a);
    wire_pass(&a, 40000);
    move(&a, &b, &s);
    wire_pass(&b, 19000);
    ck_assert(!wire_over(&b) && !b.shut);
    wire_pass(&b, 2000);
    ck_assert(b.shut);
    small_end();
}
END_TEST

START_TEST(echo_stays_while_its_peer_does_not_read)
{
    struct service s;
    small(&proto_echo, &s);
    a.window = 2;
    wire_send(&a, SPAN("ping"));
    ck_assert(!can_move(&a));
    wire_read(&a, 2);
    ck_assert(can_move(&a));
    move(&a, &b, &s);
    wire_send(&b, SPAN("pong"));
    says(&b, "pong");
    small_end();
}
END_TEST

/* A protocol that always has something to say is silent while it waits to be passed, and goes on with its next line. */
START_TEST(chargen_goes_on_with_the_next_line)
{
    struct service s;
    char line[CHARGEN_LINE];
    small(&proto_chargen, &s);
    ck_assert(!can_move(&a));
    a.env.heirs = &heirs;
    a.env.draining = true;
    wire_drain(&a);
    wire_read(&a, 1 << 20);
    ck_assert(can_move(&a));
    size_t lines = wire_output(&a).n / CHARGEN_LINE;
    ck_assert_uint_eq(wire_output(&a).n, lines * CHARGEN_LINE);
    static char bytes[PARCEL_MAX];
    struct parcel p;
    ck_assert(parcel_open(&p, (struct span){ bytes, conn_pack(a.conn, bytes) }));
    wire_init(&b);
    b.window = 100;
    b.conn = conn_unpack(&b.env, &s, -1, &p, 0);
    wire_send(&b, SPAN(""));
    chargen_line(line, (unsigned)(lines % CHARGEN_RING));
    ck_assert_mem_eq(wire_output(&b).p, line, sizeof line);
    small_end();
}
END_TEST

START_TEST(daytime_and_time_end_where_they_are)
{
    static const struct proto *const protos[] = { &proto_daytime, &proto_time };
    struct service s;
    small(protos[_i], &s);
    ck_assert(!can_move(&a));
    wire_init(&b);
    small_end();
}
END_TEST

START_TEST(states_that_cannot_be_are_refused)
{
    static const struct { const struct proto *proto; struct span state; } wrong[] = {
        { &proto_greet, { "", 0 } }, { &proto_greet, { "\2", 1 } }, { &proto_greet, { "\0\0", 2 } },
        { &proto_chargen, { "\137", 1 } }, { &proto_chargen, { "\377", 1 } }, { &proto_chargen, { "", 0 } },
        { &proto_echo, { "x", 1 } }, { &proto_http, { "", 0 } }, { &proto_http, { "0123456789012345", 16 } },
    };
    struct service s = { .name = "s", .proto = wrong[_i].proto, .settings = &settings };
    struct parcel p = { .service = SPAN("s"), .proto = span_of(s.proto->name), .state = wrong[_i].state };
    struct env e;
    env_init(&e, NULL);
    ck_assert_ptr_null(conn_unpack(&e, &s, -1, &p, 0));
    env_free(&e);
}
END_TEST

/* --- HTTP --- */

static struct fixture f;

static void http_begin(void)
{
    static const struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain", .body = { "hello", 5 } }
    };
    fixture_init(&f);
    fixture_site(&f, routes, 1);
    f.wire.env.heirs = &heirs;
}

static void http_end(void)
{
    wire_free(&b);
    fixture_free(&f);
}

static void ask(struct wire *w)
{
    wire_send(w, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    ck_assert(has(w, "\r\n\r\nhello"));
    ck_assert(!has(w, "Connection: close"));
    wire_forget(w);
}

START_TEST(http_goes_on_between_requests)
{
    http_begin();
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    move(&f.wire, &b, &f.service);
    says(&b, "");
    ck_assert_uint_gt(conn_idle_since(b.conn), 0);
    ask(&b);
    ck_assert_uint_eq(b.env.count.requests, 1);
    http_end();
}
END_TEST

START_TEST(http_goes_on_with_half_a_head_wherever_it_is_cut)
{
    static const char text[] = "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        http_begin();
        wire_open(&f.wire, &f.service);
        ask(&f.wire);
        wire_send(&f.wire, (struct span){ text, cut });
        says(&f.wire, "");
        move(&f.wire, &b, &f.service);
        ck_assert(cut <= 2 || conn_idle_since(b.conn) == 0);
        wire_send(&b, (struct span){ text + cut, sizeof text - 1 - cut });
        ck_assert(has(&b, "hello"));
        http_end();
    }
}
END_TEST

START_TEST(http_keeps_the_time_of_a_head)
{
    http_begin();
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    wire_send(&f.wire, SPAN("GET / HT"));
    wire_pass(&f.wire, 7000);
    move(&f.wire, &b, &f.service);
    wire_pass(&b, 2500);
    says(&b, "");
    wire_pass(&b, 1000);
    ck_assert(has(&b, "HTTP/1.1 408 "));
    http_end();
}
END_TEST

START_TEST(http_keeps_the_time_of_the_first_request)
{
    http_begin();
    wire_open(&f.wire, &f.service);
    wire_pass(&f.wire, 7000);
    move(&f.wire, &b, &f.service);
    wire_pass(&b, 2000);
    wire_send(&b, SPAN("G"));
    wire_pass(&b, 500);
    says(&b, "");
    wire_pass(&b, 1000);
    ck_assert(has(&b, "HTTP/1.1 408 "));
    http_end();
}
END_TEST

START_TEST(http_keeps_its_idle_time_and_takes_the_new_one_with_the_next_request)
{
    http_begin();
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    wire_pass(&f.wire, 50000);
    static const struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain", .body = { "hello", 5 } }
    };
    f.limits.idle_ms = 5000;
    fixture_site(&f, routes, 1);
    move(&f.wire, &b, &f.service);
    wire_pass(&b, 9000);
    ask(&b);
    wire_pass(&b, 4000);
    ck_assert(!wire_over(&b));
    wire_pass(&b, 1500);
    ck_assert(wire_over(&b));
    http_end();
}
END_TEST

START_TEST(http_counts_requests_on)
{
    http_begin();
    f.limits.requests = 3;
    static const struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain", .body = { "hello", 5 } }
    };
    fixture_site(&f, routes, 1);
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    ask(&f.wire);
    move(&f.wire, &b, &f.service);
    wire_send(&b, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    ck_assert(has(&b, "Connection: close"));
    http_end();
}
END_TEST

START_TEST(http_stays_while_a_body_is_on_its_way)
{
    static const char *const begun[] = { "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo",
                                         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo" };
    static const char *const rest[] = { "dy", "dy\r\n0\r\n\r\n" };
    http_begin();
    wire_open(&f.wire, &f.service);
    f.wire.env.draining = true;
    wire_drain(&f.wire);
    wire_send(&f.wire, span_of(begun[_i]));
    ck_assert(!can_move(&f.wire));
    wire_send(&f.wire, span_of(rest[_i]));
    ck_assert(has(&f.wire, "HTTP/1.1 200 "));
    ck_assert(!has(&f.wire, "Connection: close"));      /* there is an heir */
    move(&f.wire, &b, &f.service);
    ask(&b);
    http_end();
}
END_TEST

START_TEST(http_without_an_heir_may_stay_and_ends_with_its_next_answer)
{
    static struct heirs nobody = { .patient = true };
    http_begin();
    nobody.serve = somebody;
    f.wire.env.heirs = &nobody;
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    f.wire.env.heirs = NULL;
    f.wire.env.draining = true;
    wire_init(&b);
    wire_drain(&f.wire);
    ck_assert(wire_over(&f.wire));      /* nobody serves: it goes at once */
    http_end();
}
END_TEST

static bool nobody_serves(struct heirs *h, const struct service *s)
{
    (void)h, (void)s;
    return false;
}

START_TEST(http_without_an_heir_is_not_cut_off_while_others_serve)
{
    static struct heirs others = { .patient = true, .serve = nobody_serves };
    http_begin();
    f.wire.env.heirs = &others;
    wire_open(&f.wire, &f.service);
    ask(&f.wire);
    f.wire.env.draining = true;
    wire_drain(&f.wire);
    ck_assert(!wire_over(&f.wire));
    wire_send(&f.wire, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    ck_assert(has(&f.wire, "Connection: close"));
    wire_init(&b);
    http_end();
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("small"), *h = tcase_create("http");
    tcase_add_test(t, greet_greets_once_and_nobody_leaves);
    tcase_add_test(t, greet_stays_until_a_line_that_has_begun_is_said);
    tcase_add_loop_test(t, echo_and_discard_keep_their_time, 0, 2);
    tcase_add_test(t, echo_stays_while_its_peer_does_not_read);
    tcase_add_test(t, chargen_goes_on_with_the_next_line);
    tcase_add_loop_test(t, daytime_and_time_end_where_they_are, 0, 2);
    tcase_add_loop_test(t, states_that_cannot_be_are_refused, 0, 9);
    tcase_add_test(h, http_goes_on_between_requests);
    tcase_add_test(h, http_goes_on_with_half_a_head_wherever_it_is_cut);
    tcase_add_test(h, http_keeps_the_time_of_a_head);
    tcase_add_test(h, http_keeps_the_time_of_the_first_request);
    tcase_add_test(h, http_keeps_its_idle_time_and_takes_the_new_one_with_the_next_request);
    tcase_add_test(h, http_counts_requests_on);
    tcase_add_loop_test(h, http_stays_while_a_body_is_on_its_way, 0, 2);
    tcase_add_test(h, http_without_an_heir_may_stay_and_ends_with_its_next_answer);
    tcase_add_test(h, http_without_an_heir_is_not_cut_off_while_others_serve);
    Suite *s = suite_create("proto_parcel");
    suite_add_tcase(s, t);
    suite_add_tcase(s, h);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
