/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings sandbox and watchdog. */
#include "test_conf.h"

static const struct { const char *text; enum conf_sandbox sandbox; unsigned watchdog_ms; } right[] = {
    { ECHO, CONF_SANDBOX_AUTO, 10000 },
    { "sandbox = \"auto\"; watchdog = 1;\n" ECHO, CONF_SANDBOX_AUTO, 1000 },
    { "sandbox = \"require\"; watchdog = 2.5;\n" ECHO, CONF_SANDBOX_REQUIRE, 2500 },
    { "sandbox = \"off\"; watchdog = 0;\n" ECHO, CONF_SANDBOX_OFF, 0 },
    { "watchdog = 0.0;\n" ECHO, CONF_SANDBOX_AUTO, 0 },
    { "watchdog = 3600;\n" ECHO, CONF_SANDBOX_AUTO, 3600000 },
};

START_TEST(safety_is_read_and_prints_what_reads_back)
{
    struct reading r = accepted(right[_i].text, NULL);
    char *text = printed(r.conf);
    struct reading again = accepted(text, NULL);

    ck_assert_int_eq(r.conf->sandbox, right[_i].sandbox);
    ck_assert_uint_eq(r.conf->watchdog_ms, right[_i].watchdog_ms);
    ck_assert_int_eq(again.conf->sandbox, right[_i].sandbox);
    ck_assert_uint_eq(again.conf->watchdog_ms, right[_i].watchdog_ms);
    reading_end(&again);
    free(text);
    reading_end(&r);
}
END_TEST

START_TEST(safety_says_what_is_wrong_and_what_would_be_right)
{
    refused("sandbox = \"on\"; watchdog = 0.5;\n" ECHO,
            "t.conf:1: sandbox: must be \"auto\", \"require\" or \"off\", not \"on\"\n"
            "t.conf:1: watchdog: must be 0 or a number of seconds from 1 to 3600, not 0.5\n");
    refused("sandbox = true; watchdog = \"10\";\n" ECHO,
            "t.conf:1: sandbox: must be \"auto\", \"require\" or \"off\", not true\n"
            "t.conf:1: watchdog: must be 0 or a number of seconds from 1 to 3600, not \"10\"\n");
    refused("sandbox = \"requires\"; watchdog = 3601;\n" ECHO,
            "t.conf:1: sandbox: must be \"auto\", \"require\" or \"off\", not \"requires\"; did you mean 'require'?\n"
            "t.conf:1: watchdog: must be 0 or a number of seconds from 1 to 3600, not 3601\n");
    refused("watchdog = -1;\n" ECHO, "t.conf:1: watchdog: must be 0 or a number of seconds from 1 to 3600, not -1\n");
}
END_TEST

static bool nothing_is_there(const char *word, char *why, size_t why_size)
{
    ck_assert_str_eq(word, "require");
    snprintf(why, why_size, "the kernel has none");
    return false;
}

START_TEST(safety_refuses_to_require_what_is_not_there)
{
    static const char required[] = "\nsandbox = \"require\";\n" ECHO, wished[] = "sandbox = \"auto\";\n" ECHO;
    struct conf_options options = { .sandbox_check = nothing_is_there };
    struct reading r = reading_by(options, required, strlen(required));

    ck_assert_str_eq(r.said, "t.conf:2: sandbox: \"require\": the kernel has none\n");
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
    r = reading_by(options, wished, strlen(wished));
    ck_assert_str_eq(r.said, "");
    reading_end(&r);
}
END_TEST

static void warned(const char *text, const char *lines)
{
    struct reading r = accepted(text, NULL);
    char *said = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&said, &size);

    ck_assert_ptr_nonnull(to);
    conf_warn(r.conf, to);
    fclose(to);
    ck_assert_str_eq(said, lines);
    free(said);
    reading_end(&r);
}

#define LIVE(listen, more) "services = ( { name = \"s\"; protocol = \"status\"; listen = " listen ";\n" more " } );\n"
#define ROUTE(listen, of_service, more)                                                                         \
    "services = ( { name = \"s\"; protocol = \"http\"; listen = " listen "; " of_service "\n"                      \
    "  routes = ( { path = \"/\"; respond : { status = 200; body = \"\"; }; },\n"                                \
    "             { path = \"/s/\"; status = true; " more " } ); } );\n"
#define ANYBODY "anybody can read the statistics; allow = [ \"127.0.0.1\", \"::1\" ] limits it\n"

START_TEST(safety_warns_of_statistics_that_anybody_can_read)
{
    warned(LIVE("\"9000\"", ""), "t.conf:1: services.[0]: " ANYBODY);
    warned(LIVE("[ \"127.0.0.1:9000\", \"192.0.2.1:9000\" ]", ""), "t.conf:1: services.[0]: " ANYBODY);
    warned(LIVE("\"[2001:db8::1]:9000\"", "deny = \"10.0.0.0/8\";"), "t.conf:1: services.[0]: " ANYBODY);
    warned(ROUTE("\"9000\"", "", ""), "t.conf:3: services.[0].routes.[1].status: " ANYBODY);
    warned(ROUTE("\"9000\"", "allow = \"10.0.0.0/8\";", "deny = \"10.0.0.1\";"),
           "t.conf:3: services.[0].routes.[1].status: " ANYBODY);
}
END_TEST

START_TEST(safety_warns_of_nothing_that_is_limited)
{
    warned(LIVE("[ \"127.0.0.9:9000\", \"[::1]:9000\", \"unix:/run/x\" ]", ""), "");
    warned(LIVE("\"9000\"", "allow = [];"), "");
    warned(ROUTE("\"127.0.0.1:9000\"", "", ""), "");
    warned(ROUTE("\"9000\"", "", "allow = \"10.0.0.0/8\";"), "");
    warned(ROUTE("\"9000\"", "allow = \"10.0.0.0/8\";", ""), "");
    warned(ECHO, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf_safety");
    TCase *t = tcase_create("conf_safety");

    tcase_add_loop_test(t, safety_is_read_and_prints_what_reads_back, 0, sizeof right / sizeof right[0]);
    tcase_add_test(t, safety_says_what_is_wrong_and_what_would_be_right);
    tcase_add_test(t, safety_refuses_to_require_what_is_not_there);
    tcase_add_test(t, safety_warns_of_statistics_that_anybody_can_read);
    tcase_add_test(t, safety_warns_of_nothing_that_is_limited);
    suite_add_tcase(s, t);
    return suite_run(s);
}
