/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of access lines: one of two words, or a text with fields.  Which fields there are only the daemon knows. */
#include "conf/conf_inner.h"

#include <string.h>

enum { FORMAT_MAX = 2000 };         /* bytes: all fields, twice */

static const struct conf_word format_words[] = { { "combined", 0 }, { "json", 0 }, { NULL, 0 } };

static bool format_is_word(const char *text)
{
    for (const struct conf_word *w = format_words; w->name != NULL; w++)
        if (strcmp(w->name, text) == 0)
            return true;
    return false;
}

/* A tab may stand between fields. */
static bool format_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool format_fits(struct conf_reader *r, const config_setting_t *node, const char *text)
{
    char why[CONF_WHY_SIZE] = "";

    if (!format_clean(text))
        conf_gripe(r, node, NULL, "must be one line: of control bytes only \\t may be in it");
    else if (strlen(text) > FORMAT_MAX)
        conf_gripe(r, node, NULL, "has %zu bytes; %d are allowed", strlen(text), FORMAT_MAX);
    else if (r->options->format_check != NULL && !r->options->format_check(text, why, sizeof(why)))
        conf_gripe(r, node, NULL, "%s", why);
    else
        return true;
    return false;
}

static void format_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    const char *text = conf_node_string(node);

    if (text == NULL || (!format_is_word(text) && strchr(text, '$') == NULL))
        conf_gripe_value(r, node, format_words, "\"combined\", \"json\" or a text with fields such as"
                                                " \"$peer $status\"");
    else if (format_fits(r, node, text))
        conf_kind_text.read(r, s, node, base);
}

static void format_fall_back(const struct conf_setting *s, void *base)
{
    conf_kind_text.fall_back(s, base);
}

static void format_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_kind_text.print(p, s, base);
}

const struct conf_kind conf_kind_format = { format_read, format_fall_back, format_print };
