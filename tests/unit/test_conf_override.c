/* SPDX-License-Identifier: BSD-2-Clause */
/* Overrides: -o PATH=VALUE. */
#include "test_conf.h"

#define TWO "services = ( { name = \"e\"; protocol = \"echo\"; listen = \"7\"; },\n" \
            "{ name = \"g\"; protocol = \"greet\"; listen = [ \"8\", \"9\" ]; } );\n"

#define OVERRIDES(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(override_replaces_a_setting)
{
    struct reading r = accepted("workers = 9; timeouts : { idle = 1; header = 2; };\n" TWO,
                                OVERRIDES("workers=2", "io_model=select", "timeouts.idle=5.5",
                                          "limits.body_bytes=2m"));

    ck_assert_uint_eq(r.conf->workers, 2);
    ck_assert_str_eq(r.conf->io_model, "select");
    ck_assert_uint_eq(r.conf->timeouts.idle_ms, 5500);
    ck_assert_uint_eq(r.conf->timeouts.header_ms, 2000);
    ck_assert_uint_eq(r.conf->limits.body_bytes, 2 << 20);
    reading_end(&r);
}
END_TEST

START_TEST(override_makes_the_groups_that_are_missing)
{
    struct reading r = accepted(TWO, OVERRIDES("log.level=debug", "log.target=file:/x",
                                               "log={level=\"warn\"}",
                                               "access_log.target=file:/y"));

    ck_assert_int_eq(r.conf->log_level, LOG_WARN);
    ck_assert_int_eq(r.conf->log_target, CONF_TARGET_AUTO);
    ck_assert_str_eq(r.conf->access_file, "/y");
    reading_end(&r);
}
END_TEST

START_TEST(override_reaches_services_by_number_and_by_name)
{
    struct reading r = accepted(TWO, OVERRIDES("services.[0].listen=8081",
                                               "services.g.listen=[\"127.0.0.1:0\"]",
                                               "services.[1].greeting=5", "services[0].name=f"));

    ck_assert_str_eq(r.conf->services[0].listens[0].text, "8081");
    ck_assert_str_eq(r.conf->services[0].name, "f");
    ck_assert_uint_eq(r.conf->services[1].listen_count, 1);
    ck_assert_str_eq(r.conf->services[1].listens[0].text, "127.0.0.1:0");
    ck_assert_str_eq(r.conf->services[1].listens[0].place.file, "-o services.g.listen=[\"127.0.0.1:0\"]");
    ck_assert_uint_eq(r.conf->services[1].listens[0].place.line, 0);
    ck_assert_str_eq(r.conf->services[1].greeting, "5");
    reading_end(&r);
}
END_TEST

START_TEST(override_replaces_elements_in_their_place)
{
    struct reading r = accepted(TWO, OVERRIDES("services.[0]={name=\"x\"; protocol=\"time\"; listen=\"1\";}",
                                               "services.g.listen.[0]=18",
                                               "services.x.name=y"));

    ck_assert_uint_eq(r.conf->service_count, 2);
    ck_assert_str_eq(r.conf->services[0].name, "y");
    ck_assert_str_eq(r.conf->services[1].name, "g");
    ck_assert_str_eq(r.conf->services[1].listens[0].text, "18");
    ck_assert_str_eq(r.conf->services[1].listens[1].text, "9");
    reading_end(&r);
}
END_TEST

START_TEST(override_takes_values_of_every_type)
{
    struct reading r = accepted(TWO, OVERRIDES(
        "limits={body_bytes=5000000000; connections=0x10L}",
        "timeouts={idle=.5}",
        "services.[0]={name=\"w\"; protocol=\"http\"; listen=[\"0\"]; routes=({path=\"/\"; root=\"/\";"
        " dotfiles=true;})}",
        "services.[0].routes.[0].dotfiles=false"));

    ck_assert_uint_eq(r.conf->limits.body_bytes, UINT64_C(5000000000));
    ck_assert_uint_eq(r.conf->limits.connections, 16);
    ck_assert_uint_eq(r.conf->timeouts.idle_ms, 500);
    ck_assert_int_eq(r.conf->services[0].protocol, CONF_HTTP);
    ck_assert(!r.conf->services[0].routes[0].dotfiles);
    reading_end(&r);
}
END_TEST

START_TEST(override_takes_what_is_no_value_as_a_string)
{
    struct reading r = accepted(TWO, OVERRIDES("services.e.listen=[::1]:80", "services.g.greeting=1; x=2",
                                               "user=a\"b", "group=\"q\""));

    ck_assert_str_eq(r.conf->services[0].listens[0].text, "[::1]:80");
    ck_assert_str_eq(r.conf->services[1].greeting, "1; x=2");
    ck_assert_str_eq(r.conf->user, "a\"b");
    ck_assert_str_eq(r.conf->group, "q");
    reading_end(&r);
}
END_TEST

START_TEST(override_makes_all_services)
{
    struct reading r = accepted("", OVERRIDES("services=({name=\"e\";protocol=\"echo\";listen=\"0\";})"));

    ck_assert_uint_eq(r.conf->service_count, 1);
    reading_end(&r);
}
END_TEST

START_TEST(override_never_includes)
{
    refused_with(TWO, OVERRIDES("services.g.listen=\n@include \"/etc/passwd\"\n"),
                 "-o services.g.listen=\\x0A@include \"/etc/passwd\"\\x0A: services.[1].listen:"
                 " \"\\x0A@include"
                 " \"/etc/passwd\"\\x0A\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
                 " unix:/PATH\n");
}
END_TEST

START_TEST(override_complaints_name_the_option)
{
    refused_with("wrkers = 1;\n" TWO,
                 OVERRIDES("workers=0", "wokers=2", "timeouts.ilde=1", "services.e.listen=localhost:1",
                           "io_model=", "log=off"),
                 "t.conf:1: wrkers: is no known setting; did you mean 'workers'?\n"
                 "-o workers=0: workers: must be \"auto\" or a whole number from 1 to 1024, not 0\n"
                 "-o wokers=2: wokers: is no known setting; did you mean 'workers'?\n"
                 "-o timeouts.ilde=1: timeouts.ilde: is no known setting; did you mean 'idle'?\n"
                 "-o services.e.listen=localhost:1: services.[0].listen: \"localhost:1\": 'localhost' is not"
                 " an IPv4"
                 " address; names are not looked up, so write an address such as 127.0.0.1\n"
                 "-o io_model=: io_model: must not be empty\n"
                 "-o log=off: log: must be a group { ... }, not \"off\"\n");
}
END_TEST

START_TEST(override_values_have_each_setting_once)
{
    refused_with(TWO "timeouts : { idle = 1; };\n",
                 OVERRIDES("timeouts={idle=2; idle=3; darin=1}",
                           "services.g={name=\"g\"; protocol=\"echo\"; listen=[\"0\", 5]; listen=\"1\"}",
                           "log={level=\"info\"; level=", "user=a=1; user=2"),
                 "-o timeouts={idle=2; idle=3; darin=1}: timeouts.idle: is set twice in the same group\n"
                 "-o timeouts={idle=2; idle=3; darin=1}: timeouts.darin: is no known setting; did you mean"
                 " 'drain'?\n"
                 "-o services.g={name=\"g\"; protocol=\"echo\"; listen=[\"0\", 5]; listen=\"1\"}:"
                 " services.[1].listen: is set twice in the same group\n"
                 "-o services.g={name=\"g\"; protocol=\"echo\"; listen=[\"0\", 5]; listen=\"1\"}:"
                 " services.[1].listen.[1]: must be an address or a group { address = \"8080\"; ... }, not 5\n"
                 "-o log={level=\"info\"; level=: log: must be a group { ... }, not \"{level=\"info\"; level=\"\n"
                 "-o user=a=1; user=2: user: \"a=1; user=2\" cannot be the name of an account\n");
    refused_with(TWO, OVERRIDES("services.g.greeting=1; v=2", "user=1; v=2"),
                 "-o user=1; v=2: user: \"1; v=2\" cannot be the name of an account\n");
}
END_TEST

START_TEST(override_complaints_name_the_other_route)
{
    refused_with("services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n"
                 "{ path = \"/a\"; status = 404; }, { path = \"/b\"; status = 404; } ); } );\n",
                 OVERRIDES("services.w.routes.[1].path=/a"),
                 "-o services.w.routes.[1].path=/a: services.[0].routes.[1].path: \"/a\" is taken: the route in"
                 " line 2 has the same path and host\n");
    refused_with("services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n"
                 "{ path = \"/a\"; status = 404; }, { path = \"/b\"; status = 404; } ); } );\n",
                 OVERRIDES("services.w.routes.[0]={path=\"/b\"; status=410}"),
                 "t.conf:2: services.[0].routes.[1].path: \"/b\" is taken: the route in -o"
                 " services.w.routes.[0]={path=\"/b\"; status=410} has the same path and host\n");
}
END_TEST

START_TEST(override_paths_must_lead_somewhere)
{
    refused_with("workers = 1;\n" TWO,
                 OVERRIDES("workers", "=1", "a..b=1", "services.[2].listen=1", "services.h.listen=1",
                           "workers.x=1",
                           "services.[x].a=1", "services.[0].[0]=1"),
                 "-o workers: is no PATH=VALUE: the '=' is missing\n"
                 "-o =1: is no PATH=VALUE: a path is made of names and [N], as in services.[0].listen\n"
                 "-o a..b=1: is no PATH=VALUE: a path is made of names and [N], as in services.[0].listen\n"
                 "-o services.[2].listen=1: services: has no element [2]; it has 2\n"
                 "-o services.h.listen=1: services: has no element with the name 'h'\n"
                 "-o workers.x=1: workers: has nothing inside, so there is no 'x' in it\n"
                 "-o services.[x].a=1: is no PATH=VALUE: a path is made of names and [N], as in"
                 " services.[0].listen\n"
                 "-o services.[0].[0]=1: services.[0]: is a group: it has settings with names, none with the"
                 " number [0]\n");
}
END_TEST

START_TEST(override_survives_odd_paths)
{
    static const char *const odd[] = {
        ".", "..=", "[=1", "[]=1", "[0=1", "a.=1", "a[=1", "a[99999999999999999999]=1", "services.=1", "1=1",
        "-a=1",
        "services.[0].[0]=1", "services.[00000000]=1", "services.[0].listen.[0]=1", "services.[0].name.[0]=1",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1", "\xff=1", "a b=1"
    };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct reading r = reading_with(TWO, sizeof(TWO) - 1, OVERRIDES(odd[i]), NULL);

        ck_assert_msg(r.conf == NULL && r.said_size > 0, "%s", odd[i]);
        reading_end(&r);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_override");
    TCase *all = tcase_create("all");

    tcase_add_test(all, override_replaces_a_setting);
    tcase_add_test(all, override_makes_the_groups_that_are_missing);
    tcase_add_test(all, override_reaches_services_by_number_and_by_name);
    tcase_add_test(all, override_replaces_elements_in_their_place);
    tcase_add_test(all, override_takes_values_of_every_type);
    tcase_add_test(all, override_takes_what_is_no_value_as_a_string);
    tcase_add_test(all, override_makes_all_services);
    tcase_add_test(all, override_never_includes);
    tcase_add_test(all, override_complaints_name_the_option);
    tcase_add_test(all, override_values_have_each_setting_once);
    tcase_add_test(all, override_complaints_name_the_other_route);
    tcase_add_test(all, override_paths_must_lead_somewhere);
    tcase_add_test(all, override_survives_odd_paths);
    suite_add_tcase(suite, all);
    return suite_run(suite);
}
