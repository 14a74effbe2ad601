/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings of control and reload: control, generations. */
#include "test_conf.h"

static const struct { const char *text, *control; unsigned generations; const char *printed; } right[] = {
    { ECHO, NULL, 3, "# control is not set" },
    { "control = \"off\";\n" ECHO, "off", 3, "control = \"off\";" },
    { "control = \"/run/x.sock\";\n" ECHO, "/run/x.sock", 3, "control = \"/run/x.sock\";" },
    { "generations = 2;\n" ECHO, NULL, 2, "generations = 2;" },
    { "generations = 32;\n" ECHO, NULL, 32, "generations = 32;" },
};

static void has(const struct conf *c, const char *control, unsigned generations)
{
    ck_assert_uint_eq(c->generations, generations);
    if (control == NULL)
        ck_assert_ptr_null(c->control);
    else
        ck_assert_str_eq(c->control, control);
}

START_TEST(control_settings_are_read_and_print_what_reads_back)
{
    struct reading r = accepted(right[_i].text, NULL), again;
    char *text = printed(r.conf);

    has(r.conf, right[_i].control, right[_i].generations);
    ck_assert_msg(strstr(text, right[_i].printed) != NULL, "%s", text);
    again = accepted(text, NULL);
    has(again.conf, right[_i].control, right[_i].generations);
    reading_end(&again);
    free(text);
    reading_end(&r);
}
END_TEST

START_TEST(control_is_off_or_an_absolute_path_that_fits)
{
    char text[400], path[200];

    refused("control = \"sock\";\n" ECHO, "t.conf:1: control: \"sock\" must be \"off\" or an absolute path\n");
    refused("control = \"\";\n" ECHO, "t.conf:1: control: must not be empty\n");
    refused("control = 7;\n" ECHO, "t.conf:1: control: must be a string, not 7\n");
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    snprintf(text, sizeof text, "control = \"%s\";\n" ECHO, path);
    refused(text, "t.conf:1: control: has 108 bytes; a Unix socket allows 107\n");
    path[107] = '\0';
    snprintf(text, sizeof text, "control = \"%s\";\n" ECHO, path);
    struct reading r = accepted(text, NULL);
    reading_end(&r);
}
END_TEST

START_TEST(generations_are_two_at_least)
{
    static const char *const wrong[] = { "0", "1", "33", "-1", "\"3\"", "2.5", "true" };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[200];

        snprintf(text, sizeof text, "generations = %s;\n" ECHO, wrong[i]);
        struct reading r = reading_with(text, strlen(text), NULL, NULL);
        ck_assert_msg(r.conf == NULL && strncmp(r.said, "t.conf:1: generations: ", 23) == 0, "%s: %s", wrong[i], r.said);
        reading_end(&r);
    }
}
END_TEST

START_TEST(sockets_of_systemd_are_addresses_without_an_address)
{
    struct reading r = accepted("services = ( { name = \"e\"; protocol = \"echo\";"
                                " listen = [ \"systemd:web\", \"udp:systemd:web\" ]; } );\n", NULL);
    const struct conf_listen *l = r.conf->services[0].listens;
    char *text = printed(r.conf);

    ck_assert_str_eq(l[0].handed, "web");
    ck_assert_str_eq(l[1].handed, "web");
    ck_assert(!l[0].datagram && l[1].datagram);
    ck_assert(!l[0].wildcard);
    ck_assert_ptr_nonnull(strstr(text, "listen = [ \"systemd:web\", \"udp:systemd:web\" ];"));
    free(text);
    reading_end(&r);
    refused("services = ( { name = \"e\"; protocol = \"echo\"; listen = \"systemd:a\"; },\n"
            "{ name = \"f\"; protocol = \"echo\"; listen = [ \"systemd:b\", \"systemd:a\" ]; } );\n",
            "t.conf:2: services.[1].listen.[1]: \"systemd:a\" is taken by service \"e\"\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conf_control");
    TCase *t = tcase_create("conf_control");

    tcase_add_loop_test(t, control_settings_are_read_and_print_what_reads_back, 0, sizeof right / sizeof *right);
    tcase_add_test(t, control_is_off_or_an_absolute_path_that_fits);
    tcase_add_test(t, generations_are_two_at_least);
    tcase_add_test(t, sockets_of_systemd_are_addresses_without_an_address);
    suite_add_tcase(s, t);
    return suite_run(s);
}
