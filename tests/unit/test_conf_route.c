/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a route beside its answer: hosts. */
#include "test_conf.h"

#define HTTP(routes) \
    "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" routes "\n); } );\n"
#define ROUTE(more) HTTP("{ path = \"/\"; status = 404; " more " }")
#define AT_ROUTE "t.conf:2: services.[0].routes.[0]."

static const struct conf_route *first_route(const struct reading *r)
{
    return &r->conf->services[0].routes[0];
}

/* The text reads back to itself, and the line is in it. */
static void prints(const char *text, const char *line)
{
    struct reading first = accepted(text, NULL), second;
    char *once = printed(first.conf), *twice;

    ck_assert_msg(strstr(once, line) != NULL, "no \"%s\" in\n%s", line, once);
    second = accepted(once, NULL);
    twice = printed(second.conf);
    ck_assert_str_eq(once, twice);
    free(once);
    free(twice);
    reading_end(&first);
    reading_end(&second);
}

/* ---- host ---- */

START_TEST(host_takes_names_addresses_and_wildcards_in_one_form)
{
    struct reading r = accepted(ROUTE("host = [ \"A.Example\", \"b.example.\", \"*.C.example\", \"192.0.2.1\","
                                      " \"[2001:DB8:0:0::1]\", \"under_score\" ];"), NULL);
    static const char *const want[] = { "a.example", "b.example", "*.c.example", "192.0.2.1", "[2001:db8::1]",
                                        "under_score" };
    const struct conf_strings *hosts = &first_route(&r)->hosts;

    ck_assert_uint_eq(hosts->count, 6);
    for (unsigned i = 0; i < hosts->count; i++)
        ck_assert_str_eq(hosts->v[i], want[i]);
    reading_end(&r);
}
END_TEST

static const char *const bad_names[] = { "a:80", "a b", "a/b", ".", "a..b", ".a", "[::1", "[::g]", "[::1]:80", "::1" };

START_TEST(host_refuses_what_no_client_sends)
{
    char text[512], lines[512];

    snprintf(text, sizeof(text), ROUTE("host = \"%s\";"), bad_names[_i]);
    snprintf(lines, sizeof(lines), AT_ROUTE "host: \"%s\" must be a name or an address as clients send it, without a"
                                   " port, such as \"www.example.org\"\n", bad_names[_i]);
    refused(text, lines);
}
END_TEST

static const char *const bad_wildcards[] = { "*", "*.", "www.*", "*a.b", "*.*.b", "a.*.b" };

START_TEST(host_refuses_wildcards_elsewhere)
{
    char text[512], lines[512];

    snprintf(text, sizeof(text), ROUTE("host = \"%s\";"), bad_wildcards[_i]);
    snprintf(lines, sizeof(lines), AT_ROUTE "host: \"%s\" must have its '*' before the first dot, alone, such as"
                                   " \"*.example.org\"; a route without host answers for all\n", bad_wildcards[_i]);
    refused(text, lines);
}
END_TEST

START_TEST(host_refuses_lists_that_say_nothing_or_something_twice)
{
    refused(ROUTE("host = [];"), AT_ROUTE "host: needs one name at least; a route without host answers for all\n");
    refused(ROUTE("host = [ \"a\", \"b\", \"A.\" ];"), AT_ROUTE "host: has \"a\" twice\n");
    refused(ROUTE("host = 5;"), AT_ROUTE "host: must be the name of a host or a list of names, not 5\n");
    refused(HTTP("{ path = \"/\"; host = [ \"a\", \"b\" ]; status = 404; },\n"
                 "{ path = \"/\"; host = [ \"c\", \"B\" ]; status = 404; },\n"
                 "{ path = \"/\"; host = \"*.b\"; status = 404; }"),
            "t.conf:3: services.[0].routes.[1].path: \"/\" is taken: the route in line 2 has the same path and"
            " host\n");
}
END_TEST

START_TEST(host_is_printed_as_it_is_kept)
{
    prints(ROUTE("host = \"*.A\";"), "host = \"*.a\";\n");
    prints(ROUTE("host = ( \"A\", \"[::0]\" );"), "host = [ \"a\", \"[::]\" ];\n");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *suite = suite_create("conf_route");
    TCase *host = tcase_create("host");

    tcase_add_test(host, host_takes_names_addresses_and_wildcards_in_one_form);
    tcase_add_loop_test(host, host_refuses_what_no_client_sends, 0, COUNT(bad_names));
    tcase_add_loop_test(host, host_refuses_wildcards_elsewhere, 0, COUNT(bad_wildcards));
    tcase_add_test(host, host_refuses_lists_that_say_nothing_or_something_twice);
    tcase_add_test(host, host_is_printed_as_it_is_kept);
    suite_add_tcase(suite, host);
    return suite_run(suite);
}
