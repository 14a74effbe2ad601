/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a route beside its answer: hosts, methods, networks, header fields, how long replies may be kept. */
#include "test_conf.h"

#define HTTP(routes) \
    "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" routes "\n); } );\n"
#define ROUTE(more) HTTP("{ path = \"/\"; status = 404; " more " }")
#define SERVICE(service, routes) \
    "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; " service " routes = (\n" routes "\n); } );\n"
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

/* ---- methods ---- */

START_TEST(methods_are_names)
{
    struct reading r = accepted(ROUTE("methods = [ \"GET\", \"POST\" ];"), NULL);

    ck_assert_uint_eq(first_route(&r)->methods.count, 2);
    ck_assert_str_eq(first_route(&r)->methods.v[1], "POST");
    reading_end(&r);
    prints(ROUTE("methods = \"PUT\";"), "methods = [ \"PUT\" ];\n");
    refused(ROUTE("methods = [];"), AT_ROUTE "methods: needs one method at least\n");
    refused(ROUTE("methods = [ \"GET\", \"gte\", \"TRACE\" ];"),
            AT_ROUTE "methods.[1]: must be \"GET\", \"HEAD\", \"POST\", \"PUT\", \"DELETE\", \"PATCH\" or"
            " \"OPTIONS\", not \"gte\"; did you mean 'GET'?\n"
            AT_ROUTE "methods.[2]: must be \"GET\", \"HEAD\", \"POST\", \"PUT\", \"DELETE\", \"PATCH\" or"
            " \"OPTIONS\", not \"TRACE\"\n");
}
END_TEST

START_TEST(methods_are_those_that_the_route_could_answer)
{
    refused(HTTP("{ path = \"/\"; root = \"/\"; methods = [ \"HEAD\", \"POST\" ]; },\n"
                 "{ path = \"/r\"; respond : { }; methods = [ \"POST\", \"PUT\" ]; },\n"
                 "{ path = \"/to\"; redirect = \"/\"; methods = [ \"POST\", \"PUT\", \"DELETE\", \"PATCH\" ]; }"),
            AT_ROUTE "methods: has POST, which such a route does not answer: it knows GET, HEAD and OPTIONS\n"
            "t.conf:3: services.[0].routes.[1].methods: has PUT, which such a route does not answer: it knows GET,"
            " HEAD, POST and OPTIONS\n");
}
END_TEST

/* ---- allow and deny ---- */

START_TEST(nets_are_networks_addresses_and_unix)
{
    struct reading r = accepted(ROUTE("allow = [ \"10.0.0.0/8\", \"::1\", \"unix\" ]; deny = \"10.1.0.0/16\";"), NULL);
    const struct conf_route *route = first_route(&r);

    ck_assert(route->allow.set && route->deny.set);
    ck_assert_uint_eq(route->allow.count, 3);
    ck_assert_uint_eq(route->allow.v[0].bits, 8);
    ck_assert_uint_eq(route->allow.v[1].bits, 128);
    ck_assert(route->allow.v[1].family == AF_INET6 && route->allow.v[2].family == AF_UNIX);
    ck_assert_uint_eq(route->deny.v[0].bits, 16);
    reading_end(&r);
    r = accepted(ROUTE("allow = [];"), NULL);
    ck_assert(first_route(&r)->allow.set && !first_route(&r)->deny.set);
    reading_end(&r);
}
END_TEST

START_TEST(nets_refuse_what_is_none_and_say_the_right_one)
{
    refused(ROUTE("allow = [ \"10.1.2.3/8\", \"10.0.0.0/33\", \"::/129\", \"example.org\", \"2001:db8::1/32\", \"\" ];"),
            AT_ROUTE "allow.[0]: \"10.1.2.3/8\" has bits set behind its length: the network is \"10.0.0.0/8\"\n"
            AT_ROUTE "allow.[1]: \"10.0.0.0/33\" must have a length from 0 to 32 behind its '/'\n"
            AT_ROUTE "allow.[2]: \"::/129\" must have a length from 0 to 128 behind its '/'\n"
            AT_ROUTE "allow.[3]: \"example.org\" must be an address, a network or \"unix\", such as \"192.0.2.0/24\" or"
            " \"2001:db8::1\"\n"
            AT_ROUTE "allow.[4]: \"2001:db8::1/32\" has bits set behind its length: the network is"
            " \"2001:db8::/32\"\n"
            AT_ROUTE "allow.[5]: must not be empty\n");
    refused(ROUTE("deny = 5;"), AT_ROUTE "deny: must be a network such as \"10.0.0.0/8\", or a list of networks, not 5\n");
}
END_TEST

START_TEST(nets_are_printed_where_they_are_set)
{
    prints(ROUTE("allow = [ \"2001:DB8::/32\", \"unix\", \"192.0.2.1\" ];"),
           "allow = [ \"2001:db8::/32\", \"unix\", \"192.0.2.1/32\" ];\n");
    prints(SERVICE("deny = [];", "{ path = \"/\"; status = 404; }"), "deny = [ ];\n");
}
END_TEST

/* ---- headers ---- */

START_TEST(headers_are_read_from_groups_and_lists)
{
    struct reading r = accepted(ROUTE("headers : { add = ( { name = \"X.1\"; value = \"a\\tb\"; },"
                                      " { name = \"Link\"; value = \"1\"; }, { name = \"Link\"; value = \"\"; } );"
                                      " remove = [ \"etag\", \"Accept-Ranges\" ]; };"), NULL);
    const struct conf_headers *h = &first_route(&r)->headers;

    ck_assert_uint_eq(h->add_count, 3);
    ck_assert_str_eq(h->add[0].name, "X.1");
    ck_assert_str_eq(h->add[0].value, "a\tb");
    ck_assert_str_eq(h->add[2].value, "");
    ck_assert_uint_eq(conf_header_removed(h), CONF_REMOVE_ETAG | CONF_REMOVE_ACCEPT_RANGES);
    ck_assert(conf_header_adds(h, "LINK") && !conf_header_adds(h, "Lin"));
    reading_end(&r);
    r = accepted(ROUTE("headers : { add : { X-Frame-Options = \"DENY\"; A_b = \"c\"; }; };"), NULL);
    h = &first_route(&r)->headers;
    ck_assert_uint_eq(h->add_count, 2);
    ck_assert_str_eq(h->add[0].name, "X-Frame-Options");
    ck_assert_str_eq(h->add[1].value, "c");
    reading_end(&r);
}
END_TEST

static const struct { const char *headers, *fault; } bad_headers[] = {
    { "add : { Content-Length = \"5\"; };",
      ".add.Content-Length: Content-Length cannot be set here: it says where the reply ends" },
    { "add : { date = \"5\"; };", ".add.date: Date cannot be set here: it is the server's clock" },
    { "add : { X-A = 5; };", ".add.X-A: must be a string, not 5" },
    { "add : { X-A = \"a\\r\\nX: b\"; };", ".add.X-A: must not have control bytes such as \\x0D in it" },
    { "add : { X-A = \" a\"; };", ".add.X-A: \" a\" must not begin or end with a blank" },
    { "add : { X* = \"a\"; Y = \"b\"; }; remove = \"Y\";", ".remove: has Y, which is added here too" },
    { "add = \"X: a\";", ".add: must be a group { X-Name = \"text\"; } or a list of fields"
      " ( { name = \"X-Name\"; value = \"text\"; } ), not \"X: a\"" },
    { "add = ( { name = \"X Y\"; value = \"a\"; } );",
      ".add.[0].name: \"X Y\" is no name of a header field: letters, digits and -" },
    { "add = ( { name = \"\"; value = \"a\"; } );",
      ".add.[0].name: \"\" is no name of a header field: letters, digits and -" },
    { "add = ( { name = \"ETag\"; value = \"a\"; } );",
      ".add.[0].name: ETag cannot be set here: it must change with the content" },
    { "add = ( { nam = \"X\"; value = \"a\"; } );",
      ".add.[0]: must be a field { name = \"X-Name\"; value = \"text\"; }, not a group { }" },
    { "add = ( { name = \"X\"; value = \"a\"; more = 1; } );",
      ".add.[0]: must be a field { name = \"X-Name\"; value = \"text\"; }, not a group { }" },
    { "add = ( \"X\" );", ".add.[0]: must be a field { name = \"X-Name\"; value = \"text\"; }, not \"X\"" },
    { "remove = [ \"Content-Type\" ];", ".remove: \"Content-Type\" cannot be removed: ETag, Last-Modified and"
      " Accept-Ranges can, and on a route what its service adds" },
    { "remove = 5;", ".remove: must be the name of a header field or a list of names, not 5" },
    { "ad = 5;", ".ad: is no known setting; did you mean 'add'?" },
};

START_TEST(headers_refuse_what_the_server_must_say_itself_and_what_is_no_field)
{
    char text[512], lines[512];

    snprintf(text, sizeof(text), ROUTE("headers : { %s };"), bad_headers[_i].headers);
    snprintf(lines, sizeof(lines), AT_ROUTE "headers%s\n", bad_headers[_i].fault);
    refused(text, lines);
}
END_TEST

START_TEST(headers_of_a_service_can_be_removed_on_its_routes)
{
    struct reading r = accepted(SERVICE("headers : { add : { X-A = \"a\"; }; remove = \"ETag\"; };",
                                        "{ path = \"/\"; status = 404; headers : { remove = \"x-a\"; }; }"), NULL);

    ck_assert(conf_header_adds(&r.conf->services[0].headers, "X-A"));
    ck_assert(conf_header_removes(&first_route(&r)->headers, "X-A"));
    reading_end(&r);
    refused(SERVICE("headers : { add : { X-A = \"a\"; }; remove = \"X-B\"; };",
                    "{ path = \"/\"; status = 404; headers : { remove = \"X-C\"; }; }"),
            "t.conf:1: services.[0].headers.remove: \"X-B\" cannot be removed: ETag, Last-Modified and Accept-Ranges"
            " can, and on a route what its service adds\n"
            AT_ROUTE "headers.remove: \"X-C\" cannot be removed: ETag, Last-Modified and Accept-Ranges can, and on a"
            " route what its service adds\n");
    refused("services = ( { name = \"e\"; protocol = \"echo\"; listen = \"0\"; headers : { }; } );",
            "t.conf:1: services.[0].headers: means nothing here: it is for protocol \"http\"\n");
}
END_TEST

START_TEST(headers_are_printed_as_a_list)
{
    prints(SERVICE("headers : { add : { X-A = \"a \\\" b\"; }; };",
                   "{ path = \"/\"; status = 404; headers : { remove = [ \"ETag\" ]; }; }"),
           "{ name = \"X-A\"; value = \"a \\\" b\"; }\n");
}
END_TEST

/* ---- cache_control and expires ---- */

static const char *const directives[] = {
    "no-store", "public, max-age=3600", "max-age=0,must-revalidate", "private=\\\"set-cookie, x\\\"",
    "s-maxage=1 , immutable", "community=UCI", "stale-while-revalidate=60, stale-if-error=2147483647"
};

START_TEST(cache_control_takes_directives)
{
    char text[512];
    struct reading r;

    snprintf(text, sizeof(text), ROUTE("cache_control = \"%s\"; expires = 86400;"), directives[_i]);
    r = accepted(text, NULL);
    ck_assert_uint_eq(first_route(&r)->expires_s, 86400);
    ck_assert_ptr_nonnull(first_route(&r)->cache_control);
    reading_end(&r);
}
END_TEST

static const char *const no_directives[] = {
    "max-age", "max-age=", "max-age=1h", "max-age=-1", "max-age=2147483648", "public max-age=1", "public,", ",public",
    "a=\\\"b", "a=b=c", "public; max-age=1", "a b"
};

START_TEST(cache_control_refuses_what_is_none)
{
    char text[512], lines[512], value[64];
    size_t n = 0;

    for (const char *p = no_directives[_i]; *p != '\0'; p++)
        if (*p != '\\')
            value[n++] = *p;
    value[n] = '\0';
    snprintf(text, sizeof(text), ROUTE("cache_control = \"%s\";"), no_directives[_i]);
    snprintf(lines, sizeof(lines), AT_ROUTE "cache_control: \"%s\" must be directives such as"
                                   " \"public, max-age=3600\" or \"no-store\"\n", value);
    refused(text, lines);
}
END_TEST

START_TEST(expires_is_a_number_of_seconds)
{
    struct reading r = accepted(ROUTE(""), NULL);

    ck_assert_uint_eq(first_route(&r)->expires_s, CONF_EXPIRES_UNSET);
    ck_assert_ptr_null(first_route(&r)->cache_control);
    reading_end(&r);
    r = accepted(ROUTE("expires = 0;"), NULL);
    ck_assert_uint_eq(first_route(&r)->expires_s, 0);
    reading_end(&r);
    refused(ROUTE("expires = -1;"), AT_ROUTE "expires: must be a whole number of seconds from 0, which is at once, to"
                                    " 316224000, not -1\n");
    refused(ROUTE("expires = \"1h\";"), AT_ROUTE "expires: must be a whole number of seconds from 0, which is at once,"
                                        " to 316224000, not \"1h\"\n");
    refused(ROUTE("expires = 316224001;"), AT_ROUTE "expires: must be a whole number of seconds from 0, which is at"
                                           " once, to 316224000, not 316224001\n");
}
END_TEST

START_TEST(cache_settings_stand_alone)
{
    refused(ROUTE("expires = 1; headers : { add : { cache-control = \"a\"; }; };"),
            AT_ROUTE "expires: stands beside headers.add.Cache-Control, which says it too: one of them\n");
    refused(SERVICE("headers : { add : { Expires = \"0\"; }; };",
                    "{ path = \"/\"; status = 404; cache_control = \"no-store\"; }"),
            AT_ROUTE "cache_control: stands beside headers.add.Expires, which says it too: one of them\n");
    refused(SERVICE("", "{ path = \"/\"; status = true; cache_control = \"private\"; }"),
            AT_ROUTE "cache_control: means nothing beside status = true, whose answers are never kept\n");
    refused(SERVICE("", "{ path = \"/\"; status = true; expires = 1; }"),
            AT_ROUTE "expires: means nothing beside status = true, whose answers are never kept\n");
}
END_TEST

START_TEST(cache_settings_are_printed)
{
    prints(ROUTE("cache_control = \"a=\\\"b\\\"\"; expires = 0;"),
           "cache_control = \"a=\\\"b\\\"\";\n                expires = 0;\n");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

/* ---- the status of the daemon ---- */

START_TEST(status_true_is_the_daemons)
{
    struct reading r = accepted(HTTP("{ path = \"/s\"; status = true; allow = \"::1\"; }, { path = \"/\"; status = 410; }"), NULL);

    ck_assert_int_eq(first_route(&r)->kind, CONF_ROUTE_LIVE);
    ck_assert_int_eq(first_route(&r)[1].kind, CONF_ROUTE_STATUS);
    reading_end(&r);
    prints(HTTP("{ path = \"/s\"; status = true; }"), "status = true;\n");
    refused(HTTP("{ path = \"/\"; status = false; }"), AT_ROUTE "status: must be true, for the status of the daemon, or a whole"
            " number from 400 to 599, not false\n");
    refused(HTTP("{ path = \"/\"; status = true; methods = \"POST\"; }"), AT_ROUTE "methods: has POST, which such a route does"
            " not answer: it knows GET, HEAD and OPTIONS\n");
    refused(HTTP("{ path = \"/\"; status = true; index = \"a\"; }"), AT_ROUTE "index: means nothing here: it is for a route"
            " with root or alias\n");
}
END_TEST

#define STATUS(more) "services = ( { name = \"s\"; protocol = \"status\"; " more " } );\n"

START_TEST(status_is_a_protocol_with_nothing_but_who_is_let_in)
{
    prints(STATUS("listen = \"127.0.0.1:0\"; allow = \"127.0.0.1\";"), "protocol = \"status\";\n");
    refused(STATUS("listen = \"0\"; routes = ();"), "t.conf:1: services.[0].routes: means nothing here: it is for protocol"
            " \"http\"\n");
    refused(STATUS("listen = \"udp:127.0.0.1:0\";"), "t.conf:1: services.[0].listen: \"udp:127.0.0.1:0\": \"status\" does not"
            " work over datagrams; echo, discard, chargen, daytime and time do\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_route");
    TCase *host = tcase_create("host"), *who = tcase_create("who"),
    *headers = tcase_create("headers"), *cache = tcase_create("cache");

    tcase_add_test(host, status_true_is_the_daemons);
    tcase_add_test(host, status_is_a_protocol_with_nothing_but_who_is_let_in);
    tcase_add_test(host, host_takes_names_addresses_and_wildcards_in_one_form);
    tcase_add_loop_test(host, host_refuses_what_no_client_sends, 0, COUNT(bad_names));
    tcase_add_loop_test(host, host_refuses_wildcards_elsewhere, 0, COUNT(bad_wildcards));
    tcase_add_test(host, host_refuses_lists_that_say_nothing_or_something_twice);
    tcase_add_test(host, host_is_printed_as_it_is_kept);
    suite_add_tcase(suite, host);
    tcase_add_test(who, methods_are_names);
    tcase_add_test(who, methods_are_those_that_the_route_could_answer);
    tcase_add_test(who, nets_are_networks_addresses_and_unix);
    tcase_add_test(who, nets_refuse_what_is_none_and_say_the_right_one);
    tcase_add_test(who, nets_are_printed_where_they_are_set);
    suite_add_tcase(suite, who);
    tcase_add_test(headers, headers_are_read_from_groups_and_lists);
    tcase_add_loop_test(headers, headers_refuse_what_the_server_must_say_itself_and_what_is_no_field, 0,
                        COUNT(bad_headers));
    tcase_add_test(headers, headers_of_a_service_can_be_removed_on_its_routes);
    tcase_add_test(headers, headers_are_printed_as_a_list);
    suite_add_tcase(suite, headers);
    tcase_add_loop_test(cache, cache_control_takes_directives, 0, COUNT(directives));
    tcase_add_loop_test(cache, cache_control_refuses_what_is_none, 0, COUNT(no_directives));
    tcase_add_test(cache, expires_is_a_number_of_seconds);
    tcase_add_test(cache, cache_settings_stand_alone);
    tcase_add_test(cache, cache_settings_are_printed);
    suite_add_tcase(suite, cache);
    return suite_run(suite);
}
