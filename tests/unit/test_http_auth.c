/* SPDX-License-Identifier: BSD-2-Clause */
/* Basic authentication: who gets in, who does not, and that nothing is known of either before it is proved. */
#include "test_http.h"

#include <errno.h>

#include "core/errand.h"
#include "core/verified.h"
#include "unit/access_tap.h"

#define H "Host: x\r\n"
#define CHALLENGE "Basic realm=\"A \\\"quoted\\\\\\\" realm\", charset=\"UTF-8\""

static struct fixture f;

static const struct http_user users[] = {
    { "anna", "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2" },     /* secret */
    { "bj\xc3\xb6rn", "$1$abcdefgh$Abj3MQ9GTohjsHn6M1Vr5/" },                               /* p:w d<u umlaut> */
    { "ann", "ab.mruLNQ7ZWQ" },                                                             /* des */
};

static void auth_setup(void)
{
    static const struct http_header header = { "X-A", "b" };
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .users = users, .user_count = 3,
          .realm = "A \"quoted\\\" realm", .add = &header, .add_count = 1 },
        { .path = "/open", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("open") },
        { .path = "/closed", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("closed"), .users = users,
          .user_count = 1, .realm = "" },
    };
    fixture_init(&f);
    fixture_file(&f, "a.txt", "0123456789", 10);
    routes[0].root = f.root;
    fixture_site(&f, routes, 3);
    f.wire.env.verified = verified_new();
}

static void auth_teardown(void)
{
    verified_free(f.wire.env.verified);
    fixture_free(&f);
}

static struct reply ask(const char *method, const char *target, const char *credentials)
{
    char request[4096];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n" H "%s%s%s\r\n", method, target,
             credentials != NULL ? "Authorization: " : "", credentials != NULL ? credentials : "",
             credentials != NULL ? "\r\n" : "");
    return fixture_ask(&f, request);
}

/* Base64 by the book, for credentials of any bytes. */
static const char *basic(const char *text)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static char to[4096];
    size_t n = (size_t)snprintf(to, sizeof to, "Basic "), size = strlen(text);
    for (size_t i = 0; i < size; i += 3) {
        unsigned char b[3] = { 0 };
        size_t left = size - i < 3 ? size - i : 3;
        memcpy(b, text + i, left);
        to[n++] = digit[b[0] >> 2];
        to[n++] = digit[(b[0] & 3) << 4 | b[1] >> 4];
        to[n++] = left > 1 ? digit[(b[1] & 15) << 2 | b[2] >> 6] : '=';
        to[n++] = left > 2 ? digit[b[2] & 63] : '=';
    }
    to[n] = '\0';
    return to;
}

static const char *const right[] = { "anna:secret", "bj\xc3\xb6rn:p:w d\xc3\xbc", "ann:des" };

START_TEST(auth_lets_users_in_with_their_passwords)
{
    for (int round = 0; round < 3; round++) {       /* the first is checked, the others are remembered */
        struct reply r = ask("GET", "/a.txt", basic(right[_i]));
        ck_assert_uint_eq(r.status, 200);
        ck_assert_span_eq(r.body, "0123456789");
        ck_assert_span_eq(reply_field(&r, "X-A"), "b");
        ck_assert_ptr_null(reply_field(&r, "WWW-Authenticate").p);
    }
    ck_assert_uint_eq(ask("HEAD", "/a.txt", basic(right[_i])).status, 200);
    ck_assert_uint_eq(ask("POST", "/a.txt", basic(right[_i])).status, 405);
    ck_assert_uint_eq(ask("OPTIONS", "/a.txt", basic(right[_i])).status, 204);
    ck_assert_uint_eq(ask("GET", "/none", basic(right[_i])).status, 404);
}
END_TEST

static const char *const wrong[] = {
    "anna:secreT", "anna:", "anna", "anna:secret ", "Anna:secret", "nobody:secret", ":secret", ":", "ann:secret",
    "anna:des", "bj\xc3\xb6rn:p", "anna:secret\n", "anna\x01:secret", "bj\xf6rn:p:w d\xfc",
};

START_TEST(auth_refuses_everybody_else_in_the_same_words)
{
    for (int round = 0; round < 2; round++) {
        struct reply r = ask("GET", "/a.txt", basic(wrong[_i]));
        ck_assert_uint_eq(r.status, 401);
        ck_assert_span_eq(reply_field(&r, "WWW-Authenticate"), CHALLENGE);
        ck_assert_span_eq(reply_field(&r, "X-A"), "b");
        ck_assert_ptr_null(reply_field(&r, "ETag").p);
        ck_assert_span_eq(r.body, "401 Unauthorized\n");
    }
    ck_assert_uint_eq(ask("POST", "/a.txt", basic(wrong[_i])).status, 401);
    ck_assert_uint_eq(ask("OPTIONS", "/a.txt", basic(wrong[_i])).status, 401);
    ck_assert_uint_eq(ask("GET", "/none", basic(wrong[_i])).status, 401);
}
END_TEST

/* YW5uYTpzZWNyZXQ= is anna:secret. */
static const char *const malformed[] = {
    "", "Basic", "Basic ", "BasicYW5uYTpzZWNyZXQ=", "Bearer YW5uYTpzZWNyZXQ=", "Basic YW5uYTpzZWNyZXQ",
    "Basic YW5uYTpzZWNyZXQ==", "Basic YW5uYTpzZWNyZXR=", "Basic YW5uYTpzZWNyZXQ= x", "Basic YW5u YTpzZWNyZXQ=",
    "Basic =YW5uYTpzZWNyZXQ", "Basic YW5uYTpzZWNyZXQ-", "Basic ====", "Basic A===", "Basic anna:secret",
    "Digest username=\"anna\"", "Basic YW5uYTpzZWNyZXQ=\r\nAuthorization: Basic YW5uYTpzZWNyZXQ=",
};

START_TEST(auth_takes_strict_base64_only)
{
    struct reply r = ask("GET", "/a.txt", malformed[_i]);
    ck_assert_uint_eq(r.status, 401);
    ck_assert_span_eq(reply_field(&r, "WWW-Authenticate"), CHALLENGE);
    ck_assert_uint_eq(ask("GET", "/a.txt", "bAsIc   YW5uYTpzZWNyZXQ=").status, 200);
    ck_assert_uint_eq(ask("GET", "/a.txt", NULL).status, 401);
}
END_TEST

START_TEST(auth_takes_credentials_of_any_length_for_wrong)
{
    char text[1200];
    f.limits.header_bytes = 4096;
    for (size_t n = 400; n < sizeof text; n += 50) {
        memset(text, 'x', n);
        memcpy(text, "anna:", 5);
        text[n] = '\0';
        char request[4096];
        snprintf(request, sizeof request, "GET /open HTTP/1.1\r\n" H "Authorization: %s\r\n\r\n", basic(text));
        if (strlen(request) < 1024)
            ck_assert_uint_eq(ask("GET", "/a.txt", basic(text)).status, 401);
    }
}
END_TEST

START_TEST(auth_is_a_matter_of_each_route)
{
    ck_assert_uint_eq(ask("GET", "/open", NULL).status, 200);
    ck_assert_uint_eq(ask("GET", "/open", basic("anna:wrong")).status, 200);
    ck_assert_uint_eq(ask("GET", "/a.txt", basic("ann:des")).status, 200);
    struct reply r = ask("GET", "/closed", basic("ann:des"));
    ck_assert_uint_eq(r.status, 401);
    ck_assert_span_eq(reply_field(&r, "WWW-Authenticate"), "Basic realm=\"\", charset=\"UTF-8\"");
    ck_assert_uint_eq(ask("GET", "/closed", basic("anna:secret")).status, 200);
    ck_assert_uint_eq(ask("OPTIONS", "*", NULL).status, 204);
}
END_TEST

START_TEST(auth_answers_pipelined_requests_and_bodies_in_order)
{
    static const unsigned statuses[] = { 200, 401, 200, 405, 200, 401 };
    struct reply r;
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, SPAN("GET /open HTTP/1.1\r\n" H "\r\n"
                            "GET /a.txt HTTP/1.1\r\n" H "Authorization: Basic YW5uYTp4\r\n\r\n"
                            "GET /a.txt HTTP/1.1\r\n" H "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n\r\n"
                            "PUT /a.txt HTTP/1.1\r\n" H "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                            "POST /closed HTTP/1.1\r\n" H "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"
                            "Content-Length: 5\r\n\r\n12345"
                            "GET /closed HTTP/1.1\r\n" H "\r\n"));
    struct span out = wire_output(&f.wire);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        ck_assert(reply_take(&out, false, &r));
        ck_assert_uint_eq(r.status, statuses[i]);
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(auth_answers_the_same_however_input_is_split)
{
    static const char request[] = "POST /closed HTTP/1.1\r\n" H "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"
                                  "Content-Length: 5\r\n\r\n12345";
    for (size_t at = 1; at < sizeof request - 1; at++) {
        struct reply r;
        verified_free(f.wire.env.verified);
        f.wire.env.verified = at % 2 == 0 ? verified_new() : NULL;
        wire_close(&f.wire);
        wire_open(&f.wire, &f.service);
        wire_send_split(&f.wire, (struct span){ request, sizeof request - 1 }, at);
        struct span out = wire_output(&f.wire);
        ck_assert(reply_take(&out, false, &r));
        ck_assert_span_eq(r.body, "closed");
    }
}
END_TEST

/* Without credentials nobody is told to go on with a body. */
START_TEST(auth_is_asked_before_a_body_is)
{
    struct reply r;
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, SPAN("POST /closed HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    struct span out = wire_output(&f.wire);
    ck_assert(reply_take(&out, false, &r));
    ck_assert_uint_eq(r.status, 401);
}
END_TEST

START_TEST(auth_says_in_the_access_log_who_it_was)
{
    struct access_tap tap;
    tap_open(&tap, "$user $status", &(struct access_source){ "m", "w" }, TAP_RING);
    f.wire.env.access = tap.log;
    ask("GET", "/a.txt", basic("anna:secret"));
    ask("GET", "/a.txt", basic("anna:wrong"));
    ask("GET", "/a.txt", basic("bj\xc3\xb6rn:p:w d\xc3\xbc"));
    ask("GET", "/open", basic("anna:secret"));
    wire_close(&f.wire);
    f.wire.env.access = NULL;
    ck_assert_str_eq(tap_read(&tap), "anna 200\n- 401\nbj\\xc3\\xb6rn 200\n- 200\n");
    tap_close(&tap);
}
END_TEST

START_TEST(auth_refuses_what_would_forge_a_head)
{
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_STATUS, .status = 404, .users = users,
                                     .user_count = 1, .realm = "a\r\nX: b" };
    ck_assert_ptr_null(http_site_new("web", &route, 1, &f.limits, f.mime));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_auth");
    TCase *tc = tcase_create("auth");
    tcase_add_checked_fixture(tc, auth_setup, auth_teardown);
    tcase_add_loop_test(tc, auth_lets_users_in_with_their_passwords, 0, COUNT(right));
    tcase_add_loop_test(tc, auth_refuses_everybody_else_in_the_same_words, 0, COUNT(wrong));
    tcase_add_loop_test(tc, auth_takes_strict_base64_only, 0, COUNT(malformed));
    tcase_add_test(tc, auth_takes_credentials_of_any_length_for_wrong);
    tcase_add_test(tc, auth_is_a_matter_of_each_route);
    tcase_add_test(tc, auth_answers_pipelined_requests_and_bodies_in_order);
    tcase_add_test(tc, auth_answers_the_same_however_input_is_split);
    tcase_add_test(tc, auth_is_asked_before_a_body_is);
    tcase_add_test(tc, auth_says_in_the_access_log_who_it_was);
    tcase_add_test(tc, auth_refuses_what_would_forge_a_head);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
