/* SPDX-License-Identifier: BSD-2-Clause */
/* What a route answers, and whom: methods and networks. */
#include "test_http.h"

#include <arpa/inet.h>
#include <errno.h>

static struct fixture f;

static void rules_setup(void)
{
    fixture_init(&f);
    fixture_file(&f, "a.txt", "0123456789", 10);
}

static void rules_teardown(void)
{
    fixture_free(&f);
}

static struct reply ask(const char *method, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
    return fixture_ask(&f, request);
}

/* ---- methods ---- */

static const char *const all[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };

static const struct { enum http_route_kind kind; const char *const methods[4]; const char *allow; } limited[] = {
    { HTTP_ROUTE_ROOT, { "GET" }, "GET, HEAD, OPTIONS" }, { HTTP_ROUTE_ROOT, { "HEAD" }, "HEAD, OPTIONS" },
    { HTTP_ROUTE_RESPOND, { "POST" }, "POST, OPTIONS" }, { HTTP_ROUTE_RESPOND, { "POST", "GET" },
    "GET, HEAD, POST, OPTIONS" }, { HTTP_ROUTE_STATUS, { "DELETE", "PUT", "OPTIONS" }, "PUT, DELETE, OPTIONS" },
    { HTTP_ROUTE_REDIRECT, { "PATCH" }, "PATCH, OPTIONS" }, { HTTP_ROUTE_RESPOND, { "OPTIONS" }, "OPTIONS" },
};

START_TEST(rules_let_a_route_answer_some_methods_and_name_them)
{
    struct http_route_spec route = { .path = "/", .kind = limited[_i].kind, .root = f.root, .status = 404,
                                     .to = "/", .methods = limited[_i].methods };
    while (limited[_i].methods[route.method_count] != NULL)
        route.method_count++;
    fixture_site(&f, &route, 1);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct reply r = ask(all[i], "/a.txt");
        bool allowed = strstr(limited[_i].allow, all[i]) != NULL;
        ck_assert_msg((r.status != 405) == allowed, "%s: %u", all[i], r.status);
        if (r.status == 405 || strcmp(all[i], "OPTIONS") == 0)
            ck_assert_span_eq(reply_field(&r, "Allow"), limited[_i].allow);
    }
    struct reply r = ask("OPTIONS", "*");
    ck_assert_uint_eq(r.status, 204);
    ck_assert_span_eq(reply_field(&r, "Allow"), limited[_i].allow);
    r = ask("TRACE", "/a.txt");
    ck_assert_uint_eq(r.status, 405);
    ck_assert_span_eq(reply_field(&r, "Allow"), limited[_i].allow);
    ck_assert_uint_eq(ask("BREW", "/a.txt").status, 501);
    ck_assert_uint_eq(ask("get", "/a.txt").status, 501);
}
END_TEST

START_TEST(rules_refuse_methods_that_the_route_cannot_answer)
{
    static const char *const bad[] = { "POST", "TRACE", "get", "" };
    for (size_t i = 0; i < 4; i++) {
        struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .methods = &bad[i],
                                         .method_count = 1 };
        errno = 0;
        ck_assert_ptr_null(http_site_new("web", &route, 1, &f.limits, f.mime));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

/* ---- networks ---- */

/* "+" lets in, "-" does not; "!" stands for `closed`. */
static unsigned read_nets(const char *text, struct http_net *nets, bool *closed)
{
    char copy[256], *rest = copy, *word;
    unsigned n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    *closed = false;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0')
            continue;
        *closed |= *word == '!';
        if (*word == '!')
            continue;
        nets[n] = (struct http_net){ .deny = *word == '-', .local = strcmp(word + 1, "unix") == 0 };
        if (!nets[n].local)
            ck_assert_int_eq(net_parse(span_of(word + 1), &nets[n].net), NET_RIGHT);
        n++;
    }
    return n;
}

static struct peer peer_from(const char *text)
{
    struct peer p = { .port = 1 };
    p.family = strcmp(text, "unix") == 0 ? AF_UNIX : strcmp(text, "?") == 0 ? 0 :
               strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    if (p.family == AF_INET || p.family == AF_INET6)
        ck_assert_int_eq(inet_pton(p.family, text, p.address), 1);
    return p;
}

static const struct { const char *nets, *in, *out; } guards[] = {
    { "+10.0.0.0/8", "10.0.0.0 10.255.255.255", "11.0.0.0 9.255.255.255 ::1 unix ? a00::" },
    { "-10.0.0.0/8", "11.0.0.0 ::1 unix ?", "10.1.2.3" },
    { "+10.0.0.0/8 -10.1.0.0/16 +10.1.2.0/24 -10.1.2.3", "10.0.0.1 10.1.2.4 10.2.0.0", "10.1.3.1 10.1.2.3 1.1.1.1" },
    { "-10.1.2.3 +10.1.2.0/24 -10.1.0.0/16 +10.0.0.0/8", "10.0.0.1 10.1.2.4 10.2.0.0", "10.1.3.1 10.1.2.3 1.1.1.1" },
    { "+10.0.0.0/8 -10.0.0.0/8", "", "10.0.0.1 1.1.1.1" }, { "-0.0.0.0/0", "::1 unix ?", "1.1.1.1" },
    { "+0.0.0.0/0", "1.1.1.1", "::1 unix ?" }, { "+::/0 -2001:db8::/32", "::1 2001:db9::", "2001:db8::1 1.1.1.1 unix" },
    { "+unix", "unix", "1.1.1.1 ::1 ?" }, { "-unix", "1.1.1.1 ::1 ?", "unix" }, { "+unix -unix", "", "unix 1.1.1.1" },
    { "!", "", "1.1.1.1 ::1 unix ?" }, { "! -1.1.1.1", "", "1.1.1.1 1.1.1.2" },
    { "+::ffff:1.2.3.4", "1.2.3.4", "1.2.3.5 ::1" },
};

static void check_peers(const char *peers, unsigned status)
{
    char copy[256], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", peers);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0')
            continue;
        f.wire.peer = peer_from(word);
        struct reply r = ask("GET", "/a.txt");
        ck_assert_msg(r.status == status, "%s: %u", word, r.status);
    }
}

START_TEST(rules_let_in_by_the_longest_prefix)
{
    struct http_net nets[8];
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .nets = nets };
    route.net_count = read_nets(guards[_i].nets, nets, &route.closed);
    fixture_site(&f, &route, 1);
    check_peers(guards[_i].in, 200);
    check_peers(guards[_i].out, 403);
}
END_TEST

START_TEST(rules_ask_who_comes_before_what_is_asked)
{
    struct http_net nets[1] = { { .deny = true } };
    const struct http_header header = { "X-A", "b" };
    struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root, .nets = nets, .net_count = 1,
                                     .add = &header, .add_count = 1 };
    net_parse(SPAN("127.0.0.0/8"), &nets[0].net);
    fixture_site(&f, &route, 1);
    struct reply r = ask("POST", "/a.txt");
    ck_assert_uint_eq(r.status, 403);
    ck_assert_span_eq(reply_field(&r, "X-A"), "b");
    ck_assert_uint_eq(ask("OPTIONS", "/a.txt").status, 403);
    ck_assert_uint_eq(ask("GET", "/none").status, 403);
    ck_assert_uint_eq(ask("OPTIONS", "*").status, 204);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("http_rules");
    TCase *tc = tcase_create("rules");
    tcase_add_checked_fixture(tc, rules_setup, rules_teardown);
    tcase_add_loop_test(tc, rules_let_a_route_answer_some_methods_and_name_them, 0, COUNT(limited));
    tcase_add_test(tc, rules_refuse_methods_that_the_route_cannot_answer);
    tcase_add_loop_test(tc, rules_let_in_by_the_longest_prefix, 0, COUNT(guards));
    tcase_add_test(tc, rules_ask_who_comes_before_what_is_asked);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
