/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the configuration share: a text is read, and what came of it is kept for looking at. */
#ifndef TESTS_UNIT_TEST_CONF_H
#define TESTS_UNIT_TEST_CONF_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_source.h"

struct reading {
    struct conf *conf;
    char        *said;
    size_t       said_size;
};

enum { OVERRIDES_MAX = 8 };

/* The file is called t.conf. */
static inline struct reading reading_by(struct conf_options options, const char *text, size_t size)
{
    struct reading r = { .conf = NULL };
    FILE *to = open_memstream(&r.said, &r.said_size);

    ck_assert_ptr_nonnull(to);
    options.file = "t.conf";
    r.conf = conf_read_text(&options, text, size, to);
    fclose(to);
    return r;
}

/* Overrides are a list that ends with NULL, or NULL. */
static inline struct reading reading_with(const char *text, size_t size, const char *const *overrides,
                                          conf_word_check *check)
{
    struct conf_options options = { .overrides = overrides, .model_check = check };

    while (overrides != NULL && overrides[options.override_count] != NULL)
        options.override_count++;
    return reading_by(options, text, size);
}

static inline void reading_end(struct reading *r)
{
    conf_free(r->conf);
    free(r->said);
}

/* The text is refused with exactly these lines. */
static inline void refused_with(const char *text, const char *const *overrides, const char *lines)
{
    struct reading r = reading_with(text, strlen(text), overrides, NULL);

    ck_assert_str_eq(r.said, lines);
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
}

static inline void refused(const char *text, const char *lines)
{
    refused_with(text, NULL, lines);
}

/* The text is accepted in silence. */
static inline struct reading accepted(const char *text, const char *const *overrides)
{
    struct reading r = reading_with(text, strlen(text), overrides, NULL);

    ck_assert_str_eq(r.said, "");
    ck_assert_ptr_nonnull(r.conf);
    return r;
}

/* What conf_print writes; the caller frees it. */
static inline char *printed(const struct conf *c)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(to);
    conf_print(c, to);
    fclose(to);
    return text;
}

static inline int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* A service that is right, for tests about something else. */
#define ECHO "services = ( { name = \"e\"; protocol = \"echo\"; listen = \"0\"; } );\n"

#endif
