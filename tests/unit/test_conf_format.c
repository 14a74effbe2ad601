/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of access lines: a word, or a text with fields, which the daemon judges. */
#include "test_conf.h"

#define FORMAT(text) "access_log = { format = \"" text "\"; };\n" ECHO
#define AT_FORMAT "t.conf:1: access_log.format: "

static bool only_peer(const char *text, char *why, size_t why_size)
{
    snprintf(why, why_size, "there is only $peer");
    return strcmp(text, "$peer") == 0 || strchr(text, '$') == NULL;
}

static void judged(const char *text, const char *lines)
{
    struct reading r = reading_by((struct conf_options){ .format_check = only_peer }, text, strlen(text));

    ck_assert_str_eq(r.said, lines);
    ck_assert_int_eq(r.conf == NULL, lines[0] != '\0');
    reading_end(&r);
}

START_TEST(format_takes_words_and_texts_with_fields)
{
    static const char *const texts[] = { "combined", "json", "$peer", "a\t${b} $$", "$peer \xc3\xbc \"$agent\" \\" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct reading r = accepted(ECHO, NULL), again;
        char *text;

        r.conf->access_format = texts[i];
        text = printed(r.conf);
        again = accepted(text, NULL);
        ck_assert_str_eq(again.conf->access_format, texts[i]);
        free(text);
        reading_end(&r);
        reading_end(&again);
    }
}
END_TEST

START_TEST(format_asks_the_daemon_for_the_fields)
{
    judged(FORMAT("$peer"), "");
    judged(FORMAT("json"), "");
    judged(FORMAT("$pear"), AT_FORMAT "there is only $peer\n");
}
END_TEST

START_TEST(format_refuses_what_is_no_line)
{
    char text[3000], dollars[2100] = "";

    refused(FORMAT("comined"), AT_FORMAT "must be \"combined\", \"json\" or a text with fields such as"
                               " \"$peer $status\", not \"comined\"; did you mean 'combined'?\n");
    refused(FORMAT(""), AT_FORMAT "must be \"combined\", \"json\" or a text with fields such as"
                        " \"$peer $status\", not \"\"\n");
    refused(FORMAT("$peer\\n$peer"), AT_FORMAT "must be one line: of control bytes only \\t may be in it\n");
    refused("access_log = { format = 5; };\n" ECHO, AT_FORMAT "must be \"combined\", \"json\" or a text with fields"
                                                    " such as \"$peer $status\", not 5\n");
    memset(dollars, '$', 2001);
    snprintf(text, sizeof(text), FORMAT("%s"), dollars);
    refused(text, AT_FORMAT "has 2001 bytes; 2000 are allowed\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_format");
    TCase *format = tcase_create("format");

    tcase_add_test(format, format_takes_words_and_texts_with_fields);
    tcase_add_test(format, format_asks_the_daemon_for_the_fields);
    tcase_add_test(format, format_refuses_what_is_no_line);
    suite_add_tcase(suite, format);
    return suite_run(suite);
}
