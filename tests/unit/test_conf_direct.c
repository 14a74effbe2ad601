/* SPDX-License-Identifier: BSD-2-Clause */
/* The setting direct_io of a route. */
#include "test_conf.h"

#define SITE(more) "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" \
                   "{ path = \"/\"; root = \"/\"; " more "} ); } );\n"

static const struct { const char *text; uint64_t bytes; const char *printed; } right[] = {
    { SITE(""), 0, "direct_io = \"off\";" },
    { SITE("direct_io = \"off\"; "), 0, "direct_io = \"off\";" },
    { SITE("direct_io = \"on\"; "), 1, "direct_io = \"on\";" },
    { SITE("direct_io = \"1m\"; "), 1048576, "direct_io = 1048576;" },
    { SITE("direct_io = \"70000\"; "), 70000, "direct_io = 70000;" },
    { SITE("direct_io = 70000; "), 70000, "direct_io = 70000;" },
    { SITE("direct_io = \"5G\"; "), UINT64_C(5) << 30, "direct_io = 5368709120" },
};

START_TEST(direct_io_is_off_on_or_a_size_and_prints_what_reads_back)
{
    struct reading r = accepted(right[_i].text, NULL);
    ck_assert_uint_eq(r.conf->services[0].routes[0].direct_io, right[_i].bytes);
    char *text = printed(r.conf);
    ck_assert_msg(strstr(text, right[_i].printed) != NULL, "%s", text);
    struct reading again = accepted(text, NULL);
    ck_assert_uint_eq(again.conf->services[0].routes[0].direct_io, right[_i].bytes);
    reading_end(&again);
    free(text);
    reading_end(&r);
}
END_TEST

static const char *const wrong[] = {
    SITE("direct_io = \"yes\"; "), SITE("direct_io = true; "), SITE("direct_io = 0; "), SITE("direct_io = -1; "),
    SITE("direct_io = \"1x\"; "), SITE("direct_io = \"\"; "), SITE("direct_io = 1.5; "),
    SITE("direct_io = \"99999999999g\"; "), SITE("direct_io = [ \"on\" ]; "),
};

START_TEST(direct_io_refuses_what_is_none_of_them)
{
    struct reading r = reading_with(wrong[_i], strlen(wrong[_i]), NULL, NULL);
    ck_assert_ptr_null(r.conf);
    ck_assert_msg(strstr(r.said, "t.conf:2: services.w.routes.[0].direct_io: ") != NULL ||
                  strstr(r.said, "t.conf:2: services.[0].routes.[0].direct_io: ") != NULL, "%s", r.said);
    ck_assert_msg(strstr(r.said, "\"off\", \"on\" or a size") != NULL, "%s", r.said);
    reading_end(&r);
}
END_TEST

START_TEST(direct_io_means_nothing_without_a_root)
{
    static const char text[] = "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n"
                               "{ path = \"/\"; status = 404; direct_io = \"on\"; } ); } );\n";
    struct reading r = reading_with(text, strlen(text), NULL, NULL);
    ck_assert_ptr_null(r.conf);
    ck_assert_msg(strstr(r.said, "a route with root") != NULL, "%s", r.said);
    reading_end(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf_direct");
    TCase *t = tcase_create("conf_direct");
    tcase_add_loop_test(t, direct_io_is_off_on_or_a_size_and_prints_what_reads_back, 0,
                        sizeof right / sizeof right[0]);
    tcase_add_loop_test(t, direct_io_refuses_what_is_none_of_them, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(t, direct_io_means_nothing_without_a_root);
    suite_add_tcase(s, t);
    return suite_run(s);
}
