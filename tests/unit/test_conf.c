/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings: their values, their defaults, what is wrong with them, and how they are printed. */
#include "test_conf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#define HTTP(routes) \
    "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" routes "\n); } );\n"

/* ---- values ---- */

START_TEST(conf_has_a_default_for_every_setting)
{
    struct reading r = accepted(ECHO, NULL);
    const struct conf *c = r.conf;

    ck_assert_str_eq(c->file, "t.conf");
    ck_assert_uint_eq(c->workers, 0);
    ck_assert_str_eq(c->io_model, "epoll");
    ck_assert_ptr_null(c->io_model_place.file);
    ck_assert_ptr_null(c->user);
    ck_assert_ptr_null(c->group);
    ck_assert_int_eq(c->log_target, CONF_TARGET_AUTO);
    ck_assert_int_eq(c->log_level, LOG_INFO);
    ck_assert_uint_eq(c->log_buffer, 16 << 20);
    ck_assert_int_eq(c->access_target, CONF_TARGET_OFF);
    ck_assert_str_eq(c->access_format, "combined");
    ck_assert_ptr_null(c->mime_types);
    ck_assert_uint_eq(c->timeouts.header_ms, 10000);
    ck_assert_uint_eq(c->timeouts.body_ms, 30000);
    ck_assert_uint_eq(c->timeouts.idle_ms, 60000);
    ck_assert_uint_eq(c->timeouts.send_ms, 30000);
    ck_assert_uint_eq(c->timeouts.drain_ms, 30000);
    ck_assert_uint_eq(c->limits.connections, 10000);
    ck_assert_uint_eq(c->limits.request_line, 8192);
    ck_assert_uint_eq(c->limits.header_bytes, 32768);
    ck_assert_uint_eq(c->limits.header_count, 100);
    ck_assert_uint_eq(c->limits.body_bytes, 1048576);
    ck_assert_uint_eq(c->limits.requests, 0);
    ck_assert_uint_eq(c->limits.datagrams_per_address, 100);
    ck_assert_uint_eq(c->pool_count, 1);
    reading_end(&r);
}
END_TEST

START_TEST(conf_reads_every_setting_outside_of_services)
{
    struct reading r = accepted(
        "workers = 3; io_model = \"select\"; user = \"a\"; group = \"b\";\n"
        "log : { target = \"file:/var/log/x y\"; level = \"debug\"; buffer = \"64m\"; };\n"
        "access_log : { target = \"file:/a\"; format = \"json\"; };\n"
        "timeouts : { header = 1; body = 0.25; idle = 86400; send = 1.5e1; drain = 0.001; };\n"
        "limits : { connections = 1; request_line = \"1k\"; header_bytes = \"64K\"; header_count = 7;\n"
        "  body_bytes = \"2g\"; requests = 9; datagrams_per_address = 0; };\n"
        "mime_types = \"/dev/../etc/passwd\";\n" ECHO, NULL);
    const struct conf *c = r.conf;

    ck_assert_uint_eq(c->workers, 3);
    ck_assert_str_eq(c->io_model, "select");
    ck_assert_str_eq(c->io_model_place.file, "t.conf");
    ck_assert_uint_eq(c->io_model_place.line, 1);
    ck_assert_str_eq(c->user, "a");
    ck_assert_uint_eq(c->user_place.line, 1);
    ck_assert_str_eq(c->group, "b");
    ck_assert_int_eq(c->log_target, CONF_TARGET_FILE);
    ck_assert_str_eq(c->log_file, "/var/log/x y");
    ck_assert_uint_eq(c->log_place.line, 2);
    ck_assert_int_eq(c->log_level, LOG_DEBUG);
    ck_assert_uint_eq(c->log_buffer, 64 << 20);
    ck_assert_int_eq(c->access_target, CONF_TARGET_FILE);
    ck_assert_str_eq(c->access_file, "/a");
    ck_assert_uint_eq(c->access_place.line, 3);
    ck_assert_str_eq(c->access_format, "json");
    ck_assert_uint_eq(c->timeouts.header_ms, 1000);
    ck_assert_uint_eq(c->timeouts.body_ms, 250);
    ck_assert_uint_eq(c->timeouts.idle_ms, 86400000);
    ck_assert_uint_eq(c->timeouts.send_ms, 15000);
    ck_assert_uint_eq(c->timeouts.drain_ms, 1);
    ck_assert_uint_eq(c->limits.connections, 1);
    ck_assert_uint_eq(c->limits.request_line, 1024);
    ck_assert_uint_eq(c->limits.header_bytes, 65536);
    ck_assert_uint_eq(c->limits.header_count, 7);
    ck_assert_uint_eq(c->limits.body_bytes, UINT64_C(2) << 30);
    ck_assert_uint_eq(c->limits.requests, 9);
    ck_assert_uint_eq(c->limits.datagrams_per_address, 0);
    ck_assert_str_eq(c->mime_types, "/dev/../etc/passwd");
    reading_end(&r);
}
END_TEST

START_TEST(conf_reads_services_and_routes)
{
    struct reading r = accepted(
        "services = (\n"
        " { name = \"web\"; protocol = \"http\"; listen = [ \"8080\", \"127.0.0.1:81\" ];\n"
        "   routes = ( { path = \"/\"; root = \"/\"; index = ( \"a\", \"b\" ); dotfiles = true; },\n"
        "              { path = \"/\"; host = \"WWW.Example.ORG\"; root = \"/tmp\"; },\n"
        "              { path = \"/r\"; respond : { status = 201; type = \"a/b; c=d\"; body = \"x\" \"y\";"
        " }; },\n"
        "              { path = \"/d\"; respond : { }; },\n"
        "              { path = \"/to\"; redirect = \"/there\"; },\n"
        "              { path = \"/to2\"; redirect : { status = 308; to = \"http://h/%20\"; }; },\n"
        "              { path = \"/s\"; status = 410; } ); },\n"
        " { name = \"g\"; protocol = \"greet\"; listen = \"unix:/tmp/s\"; greeting = \"\"; },\n"
        " { name = \"h\"; protocol = \"greet\"; listen = ( \"0\" ) } )", NULL);
    const struct conf_service *web = r.conf->services, *g = web + 1;
    const struct conf_route *routes = web->routes;

    ck_assert_uint_eq(r.conf->service_count, 3);
    ck_assert_str_eq(web->name, "web");
    ck_assert_int_eq(web->protocol, CONF_HTTP);
    ck_assert_uint_eq(web->place.line, 2);
    ck_assert_uint_eq(web->listen_count, 2);
    ck_assert_str_eq(web->listens[1].text, "127.0.0.1:81");
    ck_assert_uint_eq(web->route_count, 7);
    ck_assert_uint_eq(routes[1].place.line, 4);
    ck_assert_int_eq(routes[0].kind, CONF_ROUTE_ROOT);
    ck_assert_uint_eq(routes[0].index_count, 2);
    ck_assert_str_eq(routes[0].index[1], "b");
    ck_assert(routes[0].dotfiles);
    ck_assert_uint_eq(routes[1].hosts.count, 1);
    ck_assert_str_eq(routes[1].hosts.v[0], "www.example.org");
    ck_assert_uint_eq(routes[1].index_count, 1);
    ck_assert_str_eq(routes[1].index[0], "index.html");
    ck_assert(!routes[1].dotfiles);
    ck_assert_int_eq(routes[2].kind, CONF_ROUTE_RESPOND);
    ck_assert_uint_eq(routes[2].status, 201);
    ck_assert_str_eq(routes[2].type, "a/b; c=d");
    ck_assert_str_eq(routes[2].body, "xy");
    ck_assert_uint_eq(routes[2].body_size, 2);
    ck_assert_uint_eq(routes[3].status, 200);
    ck_assert_str_eq(routes[3].type, "text/plain; charset=utf-8");
    ck_assert_uint_eq(routes[3].body_size, 0);
    ck_assert_int_eq(routes[4].kind, CONF_ROUTE_REDIRECT);
    ck_assert_uint_eq(routes[4].status, 302);
    ck_assert_str_eq(routes[4].to, "/there");
    ck_assert_uint_eq(routes[5].status, 308);
    ck_assert_str_eq(routes[5].to, "http://h/%20");
    ck_assert_int_eq(routes[6].kind, CONF_ROUTE_STATUS);
    ck_assert_uint_eq(routes[6].status, 410);
    ck_assert_str_eq(g->greeting, "");
    ck_assert_str_eq(g[1].greeting, "hello\n");
    reading_end(&r);
}
END_TEST

START_TEST(conf_knows_every_protocol)
{
    static const struct { const char *name; enum conf_protocol protocol; } all[] = {
        { "greet", CONF_GREET }, { "echo", CONF_ECHO }, { "discard", CONF_DISCARD }, { "chargen",
                                                                                       CONF_CHARGEN },
        { "daytime", CONF_DAYTIME }, { "time", CONF_TIME }, { "status", CONF_STATUS }
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char text[160];
        struct reading r;

        snprintf(text, sizeof(text), "services = ( { name = \"x\"; protocol = \"%s\"; listen = \"0\"; } );",
                 all[i].name);
        r = accepted(text, NULL);
        ck_assert_int_eq(r.conf->services[0].protocol, all[i].protocol);
        reading_end(&r);
    }
}
END_TEST

/* ---- complaints ---- */

START_TEST(conf_complains_about_everything_at_once_in_the_order_of_the_file)
{
    refused("wokers = 2;\n"
            "io_model = 7;\n"
            "log : { level = \"wran\"; target = \"syslog\"; };\n"
            "timeouts : { idle = 0; ilde = 1; };\n"
            "limits = 5;\n"
            "services = (\n"
            "  { name = \"\"; protocol = \"ehco\"; listen = \"localhost:80\"; },\n"
            "  { protocol = \"echo\"; listen = []; greeting = \"x\"; }\n"
            ");\n",
            "t.conf:1: wokers: is no known setting; did you mean 'workers'?\n"
            "t.conf:2: io_model: must be a string, not 7\n"
            "t.conf:3: log.level: must be \"error\", \"warn\", \"notice\", \"info\" or \"debug\", not"
            " \"wran\";"
            " did you mean 'warn'?\n"
            "t.conf:3: log.target: must be \"auto\", \"stderr\", \"journal\" or \"file:/PATH\", not"
            " \"syslog\"\n"
            "t.conf:4: timeouts.idle: must be a number of seconds from 0.001 to 86400, not 0\n"
            "t.conf:4: timeouts.ilde: is no known setting; did you mean 'idle'?\n"
            "t.conf:5: limits: must be a group { ... }, not 5\n"
            "t.conf:7: services.[0].name: must not be empty\n"
            "t.conf:7: services.[0].protocol: must be \"http\", \"greet\", \"echo\", \"discard\","
            " \"chargen\","
            " \"daytime\", \"time\" or \"status\", not \"ehco\"; did you mean 'echo'?\n"
            "t.conf:7: services.[0].listen: \"localhost:80\": 'localhost' is not an IPv4 address; names are"
            " not looked"
            " up, so write an address such as 127.0.0.1\n"
            "t.conf:8: services.[1].name: is missing; each service has a name of its own, for the log\n"
            "t.conf:8: services.[1].listen: needs one address at least, such as \"8080\"\n"
            "t.conf:8: services.[1].greeting: means nothing here: it is for protocol \"greet\"\n");
}
END_TEST

START_TEST(conf_names_the_range_of_a_number)
{
    refused("workers = 0; limits : { connections = 0; request_line = 1; header_bytes = 100;\n"
            "header_count = 99999; body_bytes = \"2000000g\"; requests = -1; };\n" ECHO,
            "t.conf:1: workers: must be \"auto\" or a whole number from 1 to 1024, not 0\n"
            "t.conf:1: limits.connections: must be a whole number from 1 to 1000000, not 0\n"
            "t.conf:1: limits.request_line: must be a size from 64 to 1048576 bytes, such as 65536 or"
            " \"64k\", not 1\n"
            "t.conf:1: limits.header_bytes: must be a size from 1024 to 16777216 bytes, such as 65536 or"
            " \"64k\","
            " not 100\n"
            "t.conf:2: limits.header_count: must be a whole number from 1 to 10000, not 99999\n"
            "t.conf:2: limits.body_bytes: must be a size from 0 to 1125899906842624 bytes, such as 65536 or"
            " \"64k\","
            " not \"2000000g\"\n"
            "t.conf:2: limits.requests: must be a whole number from 0 to 1000000000, not -1\n");
}
END_TEST

START_TEST(conf_refuses_values_of_a_wrong_type)
{
    refused("workers = 1.5;\n" "user = true;\n" "log = \"stderr\";\n" "timeouts : { idle = \"5\"; header = {"
                                                                      " }; };\n"
            "limits : { body_bytes = 1.5; header_bytes = \"k\"; requests = \"1\"; };\n" "services ="
                                                                                        " \"web\";\n",
            "t.conf:1: workers: must be \"auto\" or a whole number from 1 to 1024, not 1.5\n"
            "t.conf:2: user: must be a string, not true\n"
            "t.conf:3: log: must be a group { ... }, not \"stderr\"\n"
            "t.conf:4: timeouts.idle: must be a number of seconds from 0.001 to 86400, not \"5\"\n"
            "t.conf:4: timeouts.header: must be a number of seconds from 0.001 to 86400, not a group { }\n"
            "t.conf:5: limits.body_bytes: must be a size from 0 to 1125899906842624 bytes, such as 65536 or"
            " \"64k\","
            " not 1.5\n"
            "t.conf:5: limits.header_bytes: must be a size from 1024 to 16777216 bytes, such as 65536 or"
            " \"64k\","
            " not \"k\"\n"
            "t.conf:5: limits.requests: must be a whole number from 0 to 1000000000, not \"1\"\n"
            "t.conf:6: services: must be a list of services ( { name = \"web\"; ... } ), not \"web\"\n");
}
END_TEST

START_TEST(conf_refuses_lists_of_a_wrong_type)
{
    refused("user = ( 1 ); group = [ ];\n"
            "services = ( { name = \"a\"; protocol = \"http\"; listen = ( \"0\", 80, { } );\n"
            "routes = ( { path = \"/\"; root = \"/\"; index = 5; } ); },\n"
            "{ name = \"b\"; protocol = \"echo\"; listen = 8080; } );\n",
            "t.conf:1: user: must be a string, not a list ( )\n"
            "t.conf:1: group: must be a string, not an array [ ]\n"
            "t.conf:2: services.[0].listen.[1]: must be an address or a group { address = \"8080\"; ... }, not 80\n"
            "t.conf:2: services.[0].listen.[2].address: is missing; such as address = \"8080\"\n"
            "t.conf:3: services.[0].routes.[0].index: must be the name of a file or a list of names, not 5\n"
            "t.conf:4: services.[1].listen: must be an address such as \"8080\" or a list of addresses, not"
            " 8080\n");
}
END_TEST

START_TEST(conf_knows_what_is_a_size)
{
    static const char *const wrong[] = { "", "k", "1x", "1kk", "1 k", "-1", "+1", "0x10", "1.5m",
                                         "99999999999g",
                                         "99999999999999999999" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[200];
        struct reading r;

        snprintf(text, sizeof(text), "limits : { body_bytes = \"%s\"; };" ECHO, wrong[i]);
        r = reading_with(text, strlen(text), NULL, NULL);
        ck_assert_msg(r.conf == NULL && strstr(r.said, "limits.body_bytes: must be a size") != NULL, "%s",
                      text);
        reading_end(&r);
    }
}
END_TEST

START_TEST(conf_refuses_numbers_beyond_all_bounds)
{
    refused("timeouts : { header = 1e300; body = 86400.1; idle = 0.0004; send = -1; drain ="
            " 9223372036854775807; };\n"
            "workers = 4294967297;\n" ECHO,
            "t.conf:1: timeouts.header: must be a number of seconds from 0.001 to 86400, not 1e+300\n"
            "t.conf:1: timeouts.body: must be a number of seconds from 0.001 to 86400, not 86400.1\n"
            "t.conf:1: timeouts.idle: must be a number of seconds from 0.001 to 86400, not 0.0004\n"
            "t.conf:1: timeouts.send: must be a number of seconds from 0.001 to 86400, not -1\n"
            "t.conf:1: timeouts.drain: must be a number of seconds from 0.001 to 86400, not"
            " 9223372036854775807\n"
            "t.conf:2: workers: must be \"auto\" or a whole number from 1 to 1024, not 4294967297\n");
}
END_TEST

START_TEST(conf_wants_services)
{
    refused("", "t.conf:1: services: is missing; iomuxd needs one service at least\n");
    refused("# nothing\n", "t.conf:1: services: is missing; iomuxd needs one service at least\n");
    refused("\n\nservices = ();\n", "t.conf:3: services: must be from 1 to 1000 services, not 0\n");
    refused("services = ( 1, { } );\n",
            "t.conf:1: services.[0]: must be a service { name = \"web\"; ... }, not 1\n"
            "t.conf:1: services.[1].name: is missing; each service has a name of its own, for the log\n"
            "t.conf:1: services.[1].protocol: is missing; such as protocol = \"http\"\n"
            "t.conf:1: services.[1].listen: is missing; such as listen = \"8080\"\n");
}
END_TEST

START_TEST(conf_takes_datagrams_for_services_that_have_them)
{
    struct reading r = accepted("services = ( { name = \"e\"; protocol = \"echo\";\n"
                                "listen = [ \"127.0.0.1:7007\", \"udp:127.0.0.1:7007\" ]; } );", NULL);

    ck_assert(!r.conf->services[0].listens[0].datagram);
    ck_assert(r.conf->services[0].listens[1].datagram);
    reading_end(&r);
    refused("services = (\n"
            "{ name = \"g\"; protocol = \"greet\"; listen = [ \"1\",\n"
            "\"udp:1\" ]; },\n"
            "{ name = \"w\"; protocol = \"http\"; listen = \"udp:80\"; routes = ( { path = \"/\"; status = 404; }"
            " ); },\n"
            "{ name = \"e\"; protocol = \"echo\"; listen = [ \"udp:1\", \"udp:2\" ]; } );\n",
            "t.conf:3: services.[0].listen.[1]: \"udp:1\": \"greet\" does not work over datagrams; echo, discard,"
            " chargen, daytime and time do\n"
            "t.conf:4: services.[1].listen: \"udp:80\": \"http\" does not work over datagrams; echo, discard, chargen,"
            " daytime and time do\n"
            "t.conf:5: services.[2].listen.[0]: \"udp:1\" is taken by service \"g\"\n");
}
END_TEST

START_TEST(conf_refuses_what_later_versions_may_know)
{
    refused("metrics = \"/x\";\n"
            "services = ( { name = \"s\"; protocol = \"proxy\"; listen = \"0\"; } );\n",
            "t.conf:1: metrics: is no known setting\n"
            "t.conf:2: services.[0].protocol: must be \"http\", \"greet\", \"echo\", \"discard\","
            " \"chargen\","
            " \"daytime\", \"time\" or \"status\", not \"proxy\"\n");
}
END_TEST

START_TEST(conf_refuses_a_name_or_an_address_that_is_taken)
{
    refused("services = (\n"
            "{ name = \"a\"; protocol = \"echo\"; listen = [ \"80\", \"127.0.0.1:80\", \"0\", \"0\", \"x\""
            " ]; },\n"
            "{ name = \"a\"; protocol = \"echo\"; listen = [\n"
            "\"127.0.0.1:80\",\n"
            "\"[::]:80\", \"0.0.0.0:80\", \"unix:/a\", \"unix:/a\" ]; } );\n",
            "t.conf:2: services.[0].listen.[4]: \"x\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
            " unix:/PATH\n"
            "t.conf:3: services.[1].name: \"a\" is taken: each service has a name of its own\n"
            "t.conf:4: services.[1].listen.[0]: \"127.0.0.1:80\" is taken by service \"a\"\n"
            "t.conf:5: services.[1].listen.[1]: \"[::]:80\" is taken by service \"a\"\n"
            "t.conf:5: services.[1].listen.[2]: \"0.0.0.0:80\" is taken by service \"a\"\n"
            "t.conf:5: services.[1].listen.[4]: \"unix:/a\" is taken by service \"a\"\n");
}
END_TEST

START_TEST(conf_wants_routes_for_http_and_for_nothing_else)
{
    refused("services = ( { name = \"a\"; protocol = \"http\"; listen = \"0\"; },\n"
            "{ name = \"b\"; protocol = \"http\"; listen = \"0\"; routes = (); },\n"
            "{ name = \"c\"; protocol = \"echo\"; listen = \"0\"; routes = (); },\n"
            "{ name = \"d\"; protocol = \"http\"; listen = \"0\"; greeting = \"\"; routes = 5; },\n"
            "{ name = \"e\"; protocol = \"http\"; listen = \"0\"; routes = ( 5 ); } );\n",
            "t.conf:1: services.[0].routes: is missing; such as routes = ( { path = \"/\"; root ="
            " \"/srv/www\"; } )\n"
            "t.conf:2: services.[1].routes: needs one route at least\n"
            "t.conf:3: services.[2].routes: means nothing here: it is for protocol \"http\"\n"
            "t.conf:4: services.[3].greeting: means nothing here: it is for protocol \"greet\"\n"
            "t.conf:4: services.[3].routes: must be a list of routes ( { path = \"/\"; ... } ), not 5\n"
            "t.conf:5: services.[4].routes.[0]: must be a route { path = \"/\"; ... }, not 5\n");
}
END_TEST

START_TEST(conf_wants_one_answer_of_a_route)
{
    refused(HTTP("{ path = \"/a\"; },\n"
                 "{ path = \"/b\"; root = \"/\"; status = 404; redirect = \"/\"; },\n"
                 "{ path = \"/c\"; status = 404; index = \"x\"; dotfiles = true; },\n"
                 "{ root = \"/\"; }"),
            "t.conf:2: services.[0].routes.[0]: has no answer: a route needs one of root, alias, respond,"
            " redirect and status\n"
            "t.conf:3: services.[0].routes.[1].status: stands beside root: a route has exactly one of root,"
            " alias, respond, redirect and status\n"
            "t.conf:3: services.[0].routes.[1].redirect: stands beside root: a route has exactly one of"
            " root, alias, respond, redirect and status\n"
            "t.conf:4: services.[0].routes.[2].index: means nothing here: it is for a route with root or"
            " alias\n"
            "t.conf:4: services.[0].routes.[2].dotfiles: means nothing here: it is for a route with root or"
            " alias\n"
            "t.conf:5: services.[0].routes.[3].path: is missing; such as path = \"/\"\n");
}
END_TEST

START_TEST(conf_checks_what_a_route_says)
{
    refused(HTTP("{ path = \"a\"; host = \"h:80\"; root = \"/nonexistent\"; },\n"
                 "{ path = \"/b\"; root = \"/etc/passwd\"; index = \"a/b\"; dotfiles = 1; },\n"
                 "{ path = \"/c\"; respond : { status = 199; type = \"text\"; body = 5; }; },\n"
                 "{ path = \"/d\"; respond : { status = 204; body = \"x\"; }; },\n"
                 "{ path = \"/e\"; redirect = \"/a b\"; },\n"
                 "{ path = \"/f\"; redirect : { status = 304; to = \"\"; }; },\n"
                 "{ path = \"/g\"; redirect : { }; },\n"
                 "{ path = \"/h\"; redirect = 5; },\n"
                 "{ path = \"/i\"; status = 200; },\n"
                 "{ path = \"/j\"; redirect = \"/a\\r\\nX: y\"; }"),
            "t.conf:2: services.[0].routes.[0].path: \"a\" must begin with '/'\n"
            "t.conf:2: services.[0].routes.[0].host: \"h:80\" must be a name or an address as clients send"
            " it, without"
            " a port, such as \"www.example.org\"\n"
            "t.conf:2: services.[0].routes.[0].root: \"/nonexistent\": No such file or directory\n"
            "t.conf:3: services.[0].routes.[1].root: \"/etc/passwd\" is not a folder\n"
            "t.conf:3: services.[0].routes.[1].index: \"a/b\" must be the name of a file, without a folder\n"
            "t.conf:3: services.[0].routes.[1].dotfiles: must be true or false, not 1\n"
            "t.conf:4: services.[0].routes.[2].respond.status: must be a whole number from 200 to 599, not"
            " 199\n"
            "t.conf:4: services.[0].routes.[2].respond.type: \"text\" must be a media type, such as"
            " \"text/html; charset=utf-8\"\n"
            "t.conf:4: services.[0].routes.[2].respond.body: must be a string, not 5\n"
            "t.conf:5: services.[0].routes.[3].respond.body: must be empty: a reply with status 204 has"
            " none\n"
            "t.conf:6: services.[0].routes.[4].redirect: \"/a b\" must be a path or a URL, with spaces and"
            " the like as"
            " %20\n"
            "t.conf:7: services.[0].routes.[5].redirect.status: must be 301, 302, 303, 307 or 308, not 304\n"
            "t.conf:7: services.[0].routes.[5].redirect.to: must not be empty\n"
            "t.conf:8: services.[0].routes.[6].redirect.to: is missing; such as to = \"/new\"\n"
            "t.conf:9: services.[0].routes.[7].redirect: must be a path or URL, or a group { status = 302;"
            " to ="
            " \"/path\"; }, not 5\n"
            "t.conf:10: services.[0].routes.[8].status: must be a whole number from 400 to 599, not 200\n"
            "t.conf:11: services.[0].routes.[9].redirect: must not have control bytes such as \\x0D in it\n");
}
END_TEST

/* A list of n elements, with something before and behind it. */
static char *long_text(const char *before, const char *element, unsigned n, const char *behind)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(to);
    fputs(before, to);
    for (unsigned i = 0; i < n; i++)
        fprintf(to, "%s%s", i == 0 ? "" : ",", element);
    fputs(behind, to);
    fclose(to);
    return text;
}

START_TEST(conf_bounds_what_is_compared)
{
    char *routes = long_text("services=({name=\"a\" protocol=\"http\" listen=\"0\" routes=(", "{}", 10001,
                             ")})");
    char *index = long_text("services=({name=\"a\" protocol=\"http\" listen=\"0\" routes=({path=\"/\""
                            " root=\"/\""
                            " index=[", "\"a\"", 101, "]})})");
    char *listens = long_text("services=({name=\"a\" protocol=\"echo\" listen=[", "\"0\"", 1001, "]})");
    char *services = long_text("services=(", "{}", 1001, ")");
    char *first = long_text("services=({name=\"a\" protocol=\"echo\" listen=[", "\"0\"", 600,
                            "]},{name=\"b\" protocol=\"echo\" listen=[");
    char *both = long_text(first, "\"0\"", 600, "]})");

    refused(routes, "t.conf:1: services.[0].routes: has 10001 routes; 10000 are allowed\n");
    refused(index, "t.conf:1: services.[0].routes.[0].index: has 101 names; 100 are allowed\n");
    refused(listens, "t.conf:1: services.[0].listen: has 1001 elements; 1000 are allowed\n");
    refused(both, "t.conf:1: services.[1].listen: is too much: all services together have at most 1000"
            " addresses\n");
    refused(services, "t.conf:1: services: must be from 1 to 1000 services, not 1001\n");
    free(routes);
    free(index);
    free(listens);
    free(services);
    free(first);
    free(both);
}
END_TEST

START_TEST(conf_refuses_two_routes_for_the_same_path_and_host)
{
    refused(HTTP("{ path = \"/\"; status = 404; },\n"
                 "{ path = \"/\"; host = \"a\"; status = 404; },\n"
                 "{ path = \"/\"; host = \"A\"; status = 404; },\n"
                 "{ path = \"/\"; status = 410; }"),
            "t.conf:4: services.[0].routes.[2].path: \"/\" is taken: the route in line 3 has the same path"
            " and host\n"
            "t.conf:5: services.[0].routes.[3].path: \"/\" is taken: the route in line 2 has the same path"
            " and host\n");
}
END_TEST

START_TEST(conf_checks_names_and_accounts)
{
    refused("mime_types = \"/etc\";\n" ECHO, "t.conf:1: mime_types: \"/etc\" is not a regular file\n");
    refused("user = \"a b\"; group = \"\"; mime_types = \"/nonexistent\";\n"
            "log : { target = \"file:x\"; }; access_log : { target = \"stderr\"; };\n"
            "services = ( { name = \"a.b\"; protocol = \"echo\"; listen = \"0\"; } );\n",
            "t.conf:1: user: \"a b\" cannot be the name of an account\n"
            "t.conf:1: group: must not be empty\n"
            "t.conf:1: mime_types: \"/nonexistent\": No such file or directory\n"
            "t.conf:2: log.target: must be \"auto\", \"stderr\", \"journal\" or \"file:/PATH\", not"
            " \"file:x\"\n"
            "t.conf:2: access_log.target: must be \"off\", \"journal\" or \"file:/PATH\", not \"stderr\"\n"
            "t.conf:3: services.[0].name: \"a.b\" must be made of letters, digits, '-' and '_', at most 64"
            " of them\n");
}
END_TEST

static bool neither_journal(const char *target, char *why, size_t why_size)
{
    snprintf(why, why_size, "\"%s\" is not in this build", target);
    return strcmp(target, "journal") != 0;
}

START_TEST(conf_asks_for_the_targets_of_both_logs)
{
    static const char text[] = "log : { target = \"journal\"; };\naccess_log : { target = \"journal\"; };\n" ECHO;
    struct reading r = reading_by((struct conf_options){ .target_check = neither_journal }, text, sizeof text - 1);

    ck_assert_str_eq(r.said, "t.conf:1: log.target: \"journal\" is not in this build\n"
                             "t.conf:2: access_log.target: \"journal\" is not in this build\n");
    reading_end(&r);
    r = accepted(text, NULL);
    ck_assert_int_eq(r.conf->log_target, CONF_TARGET_JOURNAL);
    ck_assert_int_eq(r.conf->access_target, CONF_TARGET_JOURNAL);
    reading_end(&r);
}
END_TEST

START_TEST(conf_bounds_the_buffer_of_the_log)
{
    refused("log : { buffer = 65535; };\n" ECHO,
            "t.conf:1: log.buffer: must be a size from 65536 to 67108864 bytes, such as 65536 or \"64k\", not 65535\n");
    refused("log : { buffer = \"65m\"; };\n" ECHO,
            "t.conf:1: log.buffer: must be a size from 65536 to 67108864 bytes, such as 65536 or \"64k\", not \"65m\"\n");
}
END_TEST

static bool only_epoll(const char *name, char *why, size_t why_size)
{
    snprintf(why, why_size, "not built in");
    return strcmp(name, "epoll") == 0;
}

START_TEST(conf_asks_whether_a_model_can_be_used)
{
    static const char text[] = "\nio_model = \"io_uring\";\n" ECHO;
    struct reading r = reading_with(text, sizeof(text) - 1, NULL, only_epoll);

    ck_assert_str_eq(r.said, "t.conf:2: io_model: \"io_uring\" cannot be used: not built in\n");
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
    r = reading_with(ECHO, sizeof(ECHO) - 1, NULL, only_epoll);
    ck_assert_str_eq(r.said, "");
    reading_end(&r);
}
END_TEST

static bool no_model(const char *name, char *why, size_t why_size)
{
    (void)name;
    snprintf(why, why_size, "no model is built in");
    return false;
}

START_TEST(conf_checks_the_default_model_too)
{
    struct reading r = reading_with(ECHO, sizeof(ECHO) - 1, NULL, no_model);

    ck_assert_str_eq(r.said, "t.conf:1: io_model: is not set, and the default \"epoll\" cannot be used: no"
                             " model is"
                     " built in\n");
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
}
END_TEST

static bool only_root(const char *name, char *why, size_t why_size)
{
    snprintf(why, why_size, "there is no %s", name == NULL ? "default" : name);
    return name != NULL && strcmp(name, "root") == 0;
}

static bool no_journal(const char *target, char *why, size_t why_size)
{
    snprintf(why, why_size, "%s is not built in", target);
    return strcmp(target, "journal") != 0;
}

static void refused_by_checks(const char *text, const char *lines)
{
    const struct conf_options checks = { .user_check = only_root, .group_check = only_root,
                                         .target_check = no_journal, .model_check = only_epoll };
    struct reading r = reading_by(checks, text, strlen(text));

    ck_assert_str_eq(r.said, lines);
    ck_assert_int_eq(r.conf != NULL, lines[0] == '\0');
    reading_end(&r);
}

START_TEST(conf_asks_for_accounts_and_targets_with_everything_else)
{
    refused_by_checks("workers = 0;\nuser = \"a\";\nlog : {\n target = \"journal\";\n};\n"
                      "io_model = \"aio\";\n\ngroup = \"b\";\nusr = 1;\n" ECHO,
                      "t.conf:1: workers: must be \"auto\" or a whole number from 1 to 1024, not 0\n"
                      "t.conf:2: user: there is no a\n"
                      "t.conf:4: log.target: journal is not built in\n"
                      "t.conf:6: io_model: \"aio\" cannot be used: not built in\n"
                      "t.conf:8: group: there is no b\n"
                      "t.conf:9: usr: is no known setting; did you mean 'user'?\n");
    refused_by_checks("user = \"a b\"; group = \"root\"; log = { target = \"file:/journal\"; };\n" ECHO,
                      "t.conf:1: user: \"a b\" cannot be the name of an account\n");
    refused_by_checks("user = \"root\"; group = \"root\"; log = { target = \"stderr\"; };\n" ECHO, "");
}
END_TEST

START_TEST(conf_asks_for_the_default_account)
{
    refused_by_checks(ECHO "usr = 1;\n",
                      "t.conf:1: user: is not set, and there is no default\n"
                      "t.conf:2: usr: is no known setting; did you mean 'user'?\n");
}
END_TEST

START_TEST(conf_says_which_word_is_near_wherever_there_is_a_choice)
{
    refused("workers = \"atuo\"; log = { level = \"Debug\"; target = \"stder\"; };\n"
            "access_log = { target = \"of\"; format = \"jsn\"; }\n"
            "services = ( { name = \"a\"; protocol = \"HTTP\"; listen = \"0\"; },\n"
            "  { name = \"b\"; protocol = \"http\"; listen = \"0\"; routes = (\n"
            "    { path = \"/\"; root = \"/\"; dotfiles = \"True\"; direct_io = \"ON\"; },\n"
            "    { path = \"/a\"; root = \"/\"; direct_io = \"no\"; } ); } );\n",
            "t.conf:1: workers: must be \"auto\" or a whole number from 1 to 1024, not \"atuo\"; did you mean"
            " 'auto'?\n"
            "t.conf:1: log.level: must be \"error\", \"warn\", \"notice\", \"info\" or \"debug\", not"
            " \"Debug\"; did you mean 'debug'?\n"
            "t.conf:1: log.target: must be \"auto\", \"stderr\", \"journal\" or \"file:/PATH\", not \"stder\";"
            " did you mean 'stderr'?\n"
            "t.conf:2: access_log.target: must be \"off\", \"journal\" or \"file:/PATH\", not \"of\"; did you mean"
            " 'off'?\n"
            "t.conf:2: access_log.format: must be \"combined\", \"json\" or a text with fields such as \"$peer $status\","
            " not \"jsn\"; did you mean 'json'?\n"
            "t.conf:3: services.[0].protocol: must be \"http\", \"greet\", \"echo\", \"discard\", \"chargen\","
            " \"daytime\", \"time\" or \"status\", not \"HTTP\"; did you mean 'http'?\n"
            "t.conf:5: services.[1].routes.[0].dotfiles: must be true or false, not \"True\"; did you mean"
            " 'true'?\n"
            "t.conf:5: services.[1].routes.[0].direct_io: must be \"off\", \"on\" or a size in bytes, such as"
            " 1048576 or \"1m\", not \"ON\"; did you mean 'on'?\n"
            "t.conf:6: services.[1].routes.[1].direct_io: must be \"off\", \"on\" or a size in bytes, such as"
            " 1048576 or \"1m\", not \"no\"\n");
}
END_TEST

START_TEST(conf_blames_the_line_of_the_setting_not_of_its_group)
{
    refused("services = (\n{\nprotocol = \"echo\"; listen = \"0\";\nname = \"a\"; },\n"
            "{\nprotocol = \"http\"; listen = \"0\";\nname = \"a\"; routes = (\n"
            "{\nstatus = 404;\npath = \"/\"; },\n"
            "{\nstatus = 404;\npath = \"/\"; },\n"
            "{ path = \"/b\"; respond = {\nstatus = 204;\nbody = \"x\"; }; } ); } );\n",
            "t.conf:7: services.[1].name: \"a\" is taken: each service has a name of its own\n"
            "t.conf:13: services.[1].routes.[1].path: \"/\" is taken: the route in line 8 has the same path and"
            " host\n"
            "t.conf:16: services.[1].routes.[2].respond.body: must be empty: a reply with status 204 has"
            " none\n");
}
END_TEST

START_TEST(conf_keeps_where_the_root_of_a_route_stands)
{
    static const char *const overrides[] = { "services.w.routes.[0].root=/etc", NULL };
    struct reading r = accepted(HTTP("{ path = \"/\";\nroot = \"/\"; },\n{ path = \"/2\";\nroot = \"/\"; }"),
                                overrides);
    const struct conf_route *routes = r.conf->services[0].routes;

    ck_assert_str_eq(routes[0].place.file, "t.conf");
    ck_assert_str_eq(routes[0].root_place.file, "-o services.w.routes.[0].root=/etc");
    ck_assert_uint_eq(routes[0].root_place.line, 0);
    ck_assert_uint_eq(routes[1].place.line, 4);
    ck_assert_str_eq(routes[1].root_place.file, "t.conf");
    ck_assert_uint_eq(routes[1].root_place.line, 5);
    reading_end(&r);
}
END_TEST

START_TEST(conf_complaints_never_carry_control_bytes)
{
    refused("user = \"a\\x1b[31m\\n\"; log : { level = \"\\x07\"; };" ECHO,
            "t.conf:1: user: must not have control bytes such as \\x1B in it\n"
            "t.conf:1: log.level: must be \"error\", \"warn\", \"notice\", \"info\" or \"debug\", not"
            " \"\\x07\"\n");
}
END_TEST

START_TEST(conf_complain_writes_one_line_about_a_place)
{
    const struct conf_place place = { "f.conf", 7 }, override = { "-o a=b", 0 }, none = { NULL, 0 };
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    conf_complain(to, &place, "a.b", "must %s\n", "not");
    conf_complain(to, &override, "a", "x");
    conf_complain(to, &none, "a", "x");
    conf_complain(to, NULL, NULL, "x");
    fclose(to);
    ck_assert_str_eq(text, "f.conf:7: a.b: must not\\x0A\n-o a=b: a: x\na: x\nx\n");
    free(text);
}
END_TEST

/* ---- suggestions ---- */

static const char *near_to(const char *word, const char *candidate)
{
    struct conf_near n = { .word = word };

    conf_near_try(&n, candidate);
    return n.best;
}

START_TEST(near_takes_one_slip_in_three_letters)
{
    ck_assert_ptr_nonnull(near_to("wokers", "workers"));
    ck_assert_ptr_nonnull(near_to("wrokers", "workers"));
    ck_assert_ptr_nonnull(near_to("workerss", "workers"));
    ck_assert_ptr_nonnull(near_to("worcers", "workers"));
    ck_assert_ptr_nonnull(near_to("ot", "to"));
    ck_assert_ptr_nonnull(near_to("WORKERS", "workers"));
    ck_assert_ptr_nonnull(near_to("WROKERS", "workers"));
    ck_assert_ptr_null(near_to("x", "to"));
    ck_assert_ptr_null(near_to("abcers", "workers"));
    ck_assert_ptr_null(near_to("", "to"));
    ck_assert_ptr_null(near_to("a-name-that-is-longer-than-any-setting",
                               "a-name-that-is-longer-than-any-settin"));
}
END_TEST

START_TEST(near_prefers_the_nearest)
{
    struct conf_near n = { .word = "header_byte" };

    conf_near_try(&n, "header");
    conf_near_try(&n, "header_bytes");
    conf_near_try(&n, "header_count");
    ck_assert_str_eq(n.best, "header_bytes");
    ck_assert_uint_eq(n.distance, 1);
}
END_TEST

/* ---- printing ---- */

static void prints_the_same_again(const char *text)
{
    struct reading first = accepted(text, NULL), second;
    char *once = printed(first.conf), *twice;

    second = accepted(once, NULL);
    twice = printed(second.conf);
    ck_assert_str_eq(once, twice);
    free(once);
    free(twice);
    reading_end(&first);
    reading_end(&second);
}

START_TEST(conf_prints_a_configuration_that_prints_the_same)
{
    prints_the_same_again(ECHO);
    prints_the_same_again(
        "workers = 7; user = \"u\"; group = \"g\"; mime_types = \"/etc/passwd\";\n"
        "log : { target = \"file:/a \\\"b\\\" \\\\c\"; level = \"error\"; buffer = 65536; };\n"
        "access_log : { target = \"journal\"; format = \"json\"; };\n"
        "timeouts : { header = 0.001; body = 0.25; idle = 86400; send = 59.999; drain = 1.01; };\n"
        "limits : { body_bytes = \"1024g\"; };\n"
        "services = (\n"
        " { name = \"w\"; protocol = \"http\"; listen = ( \"0\", \"unix:/tmp/a b\" ); routes = (\n"
        "   { path = \"/\"; root = \"/\"; index = []; dotfiles = true; },\n"
        "   { path = \"/\\xff\\xc3\\xbc\"; host = \"[::1]\"; root = \"/\"; index = \"a\"; },\n"
        "   { path = \"/2\"; respond : { status = 500; body = \"\\x01\\x7f\\t\\r\\n\\f\\\"\\\\"
        " \\xf0\\x9f\\x98\\x80"
        "\\xed\\xa0\\x80 \\q\"; }; },\n"
        "   { path = \"/3\"; redirect : { to = \"/x\"; }; }, { path = \"/4\"; status = 599; } ); },\n"
        " { name = \"g\"; protocol = \"greet\"; listen = \"127.0.0.1:0\"; greeting = \"\"; } );\n");
}
END_TEST

START_TEST(conf_prints_strings_so_that_they_can_be_read)
{
    struct reading r = accepted(HTTP("{ path = \"/\"; respond : { body ="
                                     " \"\\x01\\x7F\\xFF\\xC3\\xBC\\n\\\"\"; }; }"), NULL);
    char *text = printed(r.conf);

    ck_assert_ptr_nonnull(strstr(text, "body = \"\\x01\\x7F\\xFF\xC3\xBC\\n\\\"\";"));
    free(text);
    reading_end(&r);
}
END_TEST

START_TEST(conf_prints_durations_exactly)
{
    struct reading r = accepted("timeouts : { header = 0.001; body = 0.25; idle = 60.0; send = 59.999; drain"
                                " = 1.01; };"
                                ECHO, NULL);
    char *text = printed(r.conf);

    ck_assert_ptr_nonnull(strstr(text, "header = 0.001;\n    body = 0.25;\n    idle = 60;\n    send ="
                                       " 59.999;\n"
                                 "    drain = 1.01;\n"));
    free(text);
    reading_end(&r);
}
END_TEST

START_TEST(conf_free_takes_null)
{
    conf_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf");
    TCase *values = tcase_create("values"), *complaints = tcase_create("complaints"),
    *print = tcase_create("print");

    tcase_add_test(values, conf_has_a_default_for_every_setting);
    tcase_add_test(values, conf_reads_every_setting_outside_of_services);
    tcase_add_test(values, conf_reads_services_and_routes);
    tcase_add_test(values, conf_knows_every_protocol);
    suite_add_tcase(suite, values);
    tcase_add_test(complaints, conf_complains_about_everything_at_once_in_the_order_of_the_file);
    tcase_add_test(complaints, conf_names_the_range_of_a_number);
    tcase_add_test(complaints, conf_refuses_values_of_a_wrong_type);
    tcase_add_test(complaints, conf_refuses_lists_of_a_wrong_type);
    tcase_add_test(complaints, conf_knows_what_is_a_size);
    tcase_add_test(complaints, conf_refuses_numbers_beyond_all_bounds);
    tcase_add_test(complaints, conf_wants_services);
    tcase_add_test(complaints, conf_takes_datagrams_for_services_that_have_them);
    tcase_add_test(complaints, conf_refuses_what_later_versions_may_know);
    tcase_add_test(complaints, conf_refuses_a_name_or_an_address_that_is_taken);
    tcase_add_test(complaints, conf_wants_routes_for_http_and_for_nothing_else);
    tcase_add_test(complaints, conf_wants_one_answer_of_a_route);
    tcase_add_test(complaints, conf_checks_what_a_route_says);
    tcase_add_test(complaints, conf_bounds_what_is_compared);
    tcase_add_test(complaints, conf_refuses_two_routes_for_the_same_path_and_host);
    tcase_add_test(complaints, conf_checks_names_and_accounts);
    tcase_add_test(complaints, conf_asks_for_the_targets_of_both_logs);
    tcase_add_test(complaints, conf_bounds_the_buffer_of_the_log);
    tcase_add_test(complaints, conf_asks_whether_a_model_can_be_used);
    tcase_add_test(complaints, conf_checks_the_default_model_too);
    tcase_add_test(complaints, conf_asks_for_accounts_and_targets_with_everything_else);
    tcase_add_test(complaints, conf_asks_for_the_default_account);
    tcase_add_test(complaints, conf_says_which_word_is_near_wherever_there_is_a_choice);
    tcase_add_test(complaints, conf_blames_the_line_of_the_setting_not_of_its_group);
    tcase_add_test(complaints, conf_keeps_where_the_root_of_a_route_stands);
    tcase_add_test(complaints, conf_complaints_never_carry_control_bytes);
    tcase_add_test(complaints, conf_complain_writes_one_line_about_a_place);
    tcase_add_test(complaints, near_takes_one_slip_in_three_letters);
    tcase_add_test(complaints, near_prefers_the_nearest);
    suite_add_tcase(suite, complaints);
    tcase_add_test(print, conf_prints_a_configuration_that_prints_the_same);
    tcase_add_test(print, conf_prints_strings_so_that_they_can_be_read);
    tcase_add_test(print, conf_prints_durations_exactly);
    tcase_add_test(print, conf_free_takes_null);
    suite_add_tcase(suite, print);
    return suite_run(suite);
}
