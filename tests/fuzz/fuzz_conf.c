/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration.  Lines at the start that begin with "-o " are overrides, the rest is the
 * file.  Beyond memory errors and leaks it holds that what is refused is refused with reasons, each with its
 * place, that libconfig never refuses what was found fit for it, and that what is printed reads back to the
 * same. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_source.h"

enum { OVERRIDES_MAX = 4 };

struct text {
    char  *bytes;
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct text print_configuration(const struct conf *c)
{
    struct text t = { .bytes = NULL };
    FILE *to = open_memstream(&t.bytes, &t.size);

    if (to == NULL)
        abort();
    conf_print(c, to);
    fclose(to);
    return t;
}

/* "NAME:LINE: ..." or "-o ...: ..." */
static void check_complaint(const char *line, const char *name)
{
    static const char never[] = ": libconfig cannot read this";
    size_t n = strlen(name);
    char *behind;

    if (strncmp(line, "-o ", 3) == 0 && strstr(line, ": ") != NULL)
        return;
    if (strncmp(line, name, n) != 0 || line[n] != ':' || strtoul(line + n + 1, &behind, 10) == 0)
        abort();
    if (strncmp(behind, ": ", 2) != 0 || strncmp(behind, never, sizeof(never) - 1) == 0)
        abort();
}

static void check_complaints(const char *said, const char *name)
{
    for (const char *end; *said != '\0'; said = end + 1) {
        check_complaint(said, name);
        end = strchr(said, '\n');
        if (end == NULL)
            abort();
    }
}

static struct conf *read_text(const struct conf_options *o, const char *bytes, size_t size)
{
    struct text said = { .bytes = NULL };
    FILE *to = open_memstream(&said.bytes, &said.size);
    struct conf *c;

    if (to == NULL)
        abort();
    c = conf_read_text(o, bytes, size, to);
    fclose(to);
    if ((c == NULL) == (said.size == 0))
        abort();
    check_complaints(said.bytes, o->file);
    free(said.bytes);
    return c;
}

static void check_printed(const struct conf *c)
{
    const struct conf_options plain = { .file = "printed" };
    struct text once = print_configuration(c), twice;
    struct conf *again = read_text(&plain, once.bytes, once.size);

    if (again == NULL)
        abort();
    twice = print_configuration(again);
    if (once.size != twice.size || memcmp(once.bytes, twice.bytes, once.size) != 0)
        abort();
    conf_free(again);
    free(once.bytes);
    free(twice.bytes);
}

/* No default of this kind either. */
static bool refuse_words(const char *word, char *why, size_t why_size)
{
    snprintf(why, why_size, "there is no %s", word == NULL ? "default" : word);
    return word != NULL && strchr(word, 'x') == NULL;
}

/* Cuts the overrides off the start of the text; returns what is left. */
static char *take_overrides(char *text, const char **overrides, unsigned *count)
{
    char *line;

    while (*count < OVERRIDES_MAX && strncmp(text, "-o ", 3) == 0 && (line = strchr(text, '\n')) != NULL) {
        *line = '\0';
        overrides[(*count)++] = text + 3;
        text = line + 1;
    }
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *overrides[OVERRIDES_MAX];
    struct conf_options options = { .file = "fuzz.conf", .overrides = overrides, .group_check = refuse_words,
                                    .target_check = refuse_words, .model_check = refuse_words };
    char *all = malloc(size + 1), *text;
    struct conf *c;

    if (all == NULL)
        abort();
    memcpy(all, data, size);
    all[size] = '\0';
    text = take_overrides(all, overrides, &options.override_count);
    options.user_check = size % 8 == 0 ? refuse_words : NULL;      /* else nothing would pass without a user */
    c = read_text(&options, text, size - (size_t)(text - all));
    if (c != NULL)
        check_printed(c);
    conf_free(c);
    free(all);
    return 0;
}
