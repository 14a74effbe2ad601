/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of values that are strings: texts, words, choices, log targets, lists of names; and how strings are
 * printed. */
#include "conf/conf_inner.h"

#include <limits.h>
#include <string.h>

#include "base/utf8.h"

/* ---- printing ---- */

/* The letter behind the backslash, 0: it has none. */
static char escape_letter(char c)
{
    switch (c) {
    case '"': case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\f':
        return 'f';
    default:
        return 0;
    }
}

static void print_escaped(struct conf_printer *p, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        size_t n = utf8_printable(text, end);

        if (escape_letter(*text) != 0)
            fprintf(p->to, "\\%c", escape_letter(*text));
        else if (n == 0)
            fprintf(p->to, "\\x%02X", (unsigned char)*text);
        else
            fwrite(text, 1, n, p->to);
        text += n > 0 ? n : 1;
    }
}

void conf_print_string(struct conf_printer *p, const char *text)
{
    putc('"', p->to);
    print_escaped(p, text);
    putc('"', p->to);
}

void conf_print_strings(struct conf_printer *p, const char *key, const char *const *texts, unsigned count)
{
    conf_print_key(p, key);
    fputs("[ ", p->to);
    for (unsigned i = 0; i < count; i++) {
        fputs(i == 0 ? "" : ", ", p->to);
        conf_print_string(p, texts[i]);
    }
    fputs(count == 0 ? "];\n" : " ];\n", p->to);
}

/* ---- texts (anything) and words (not empty, no control bytes) ---- */

static const char **text_field(const struct conf_setting *s, void *base)
{
    return conf_field(base, s->offset);
}

static void text_store(struct conf_reader *r, const struct conf_setting *s, const char *text, void *base)
{
    *text_field(s, base) = conf_memory_keep(r->memory, text, strlen(text));
}

static void text_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    const char *text = conf_node_string(node);

    if (text == NULL)
        conf_gripe_value(r, node, NULL, "a string");
    else
        text_store(r, s, text, base);
}

/* The string if it is fit for a word, else NULL after a complaint. */
static const char *word_of_node(struct conf_reader *r, const struct conf_setting *s,
                                const config_setting_t *node)
{
    const char *text = conf_node_string(node);

    if (text == NULL) {
        conf_gripe_value(r, node, NULL, "a string");
        return NULL;
    }
    if (text[0] == '\0') {
        conf_gripe(r, node, NULL, "must not be empty");
        return NULL;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            conf_gripe(r, node, NULL, "must not have control bytes such as \\x%02X in it", (unsigned)*p);
            return NULL;
        }
    }
    return s->check == NULL || s->check(r, node, text) ? text : NULL;
}

static void word_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    const char *word = word_of_node(r, s, node);

    if (word != NULL)
        text_store(r, s, word, base);
}

static void text_fall_back(const struct conf_setting *s, void *base)
{
    *text_field(s, base) = s->fallback_text;
}

/* What is not set and has no default is shown as a comment. */
static void text_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const char *text = *(const char *const *)conf_field_const(base, s->offset);

    if (text == NULL) {
        conf_print_indent(p);
        fprintf(p->to, "# %s is not set\n", s->key);
        return;
    }
    conf_print_key(p, s->key);
    conf_print_string(p, text);
    fputs(";\n", p->to);
}

/* ---- one string or many ---- */

const config_setting_t *conf_strings_at(const config_setting_t *node, unsigned i)
{
    return conf_node_string(node) != NULL ? node : config_setting_get_elem(node, i);
}

unsigned conf_strings_count(struct conf_reader *r, const config_setting_t *node, const char *want)
{
    unsigned n = (unsigned)config_setting_length(node);

    if (conf_node_string(node) != NULL)
        return 1;
    if (config_setting_is_scalar(node) || config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "%s", want);
        return UINT_MAX;
    }
    if (n > CONF_STRINGS_MAX) {
        conf_gripe(r, node, NULL, "has %u elements; %d are allowed", n, CONF_STRINGS_MAX);
        return UINT_MAX;
    }
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *element = config_setting_get_elem(node, i);

        if (conf_node_string(element) == NULL)
            conf_gripe_value(r, element, NULL, "a string");
    }
    return n;
}

void conf_strings_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       const char *want, struct conf_strings *to)
{
    unsigned n = conf_strings_count(r, node, want);
    const char **words = n == UINT_MAX ? NULL : conf_memory_get(r->memory, n * sizeof(*words));

    *to = (struct conf_strings){ words, 0 };
    for (unsigned i = 0; words != NULL && i < n; i++) {
        const config_setting_t *element = conf_strings_at(node, i);
        const char *word = conf_node_string(element) == NULL ? NULL : word_of_node(r, s, element);

        if (word != NULL)
            words[to->count++] = conf_memory_keep(r->memory, word, strlen(word));
    }
}

/* The kind of a word reads one word to the start of what it is given. */
void conf_word_at(struct conf_reader *r, const struct conf_setting *s, const config_setting_t *node, unsigned i,
                  const char **word)
{
    const struct conf_setting one = { .key = s->key, .check = s->check };
    const config_setting_t *element = conf_strings_at(node, i);

    *word = NULL;
    if (conf_node_string(element) != NULL)
        word_read(r, &one, (config_setting_t *)element, word);
}

/* ---- choices ---- */

static void unsigned_store(const struct conf_setting *s, unsigned value, void *base)
{
    *(unsigned *)conf_field(base, s->offset) = value;
}

static const char *word_name(const struct conf_setting *s, const void *base)
{
    const struct conf_word *w = s->words;

    while (w->name != NULL && w->value != *(const unsigned *)conf_field_const(base, s->offset))
        w++;
    return w->name;
}

/* "a", "b" or "c" */
static void list_words(const struct conf_word *words, const char *more, char *to, size_t size)
{
    size_t n = 0;

    to[0] = '\0';
    for (const struct conf_word *w = words; w->name != NULL && n < size; w++) {
        const char *between = w == words ? "" : w[1].name == NULL && more == NULL ? " or " : ", ";

        n += (size_t)snprintf(to + n, size - n, "%s\"%s\"", between, w->name);
    }
    if (more != NULL && n < size)
        snprintf(to + n, size - n, " or \"%s\"", more);
}

static bool find_word(const struct conf_setting *s, const char *text, void *base)
{
    for (const struct conf_word *w = s->words; text != NULL && w->name != NULL; w++) {
        if (strcmp(w->name, text) == 0) {
            unsigned_store(s, w->value, base);
            return true;
        }
    }
    return false;
}

static void choice_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    char words[160];

    if (find_word(s, conf_node_string(node), base))
        return;
    list_words(s->words, NULL, words, sizeof(words));
    conf_gripe_value(r, node, s->words, "%s", words);
}

static void choice_fall_back(const struct conf_setting *s, void *base)
{
    unsigned_store(s, (unsigned)s->fallback, base);
}

static void choice_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_print_key(p, s->key);
    fprintf(p->to, "\"%s\";\n", word_name(s, base));
}

/* ---- targets of logs: a word or "file:/PATH" ---- */

static const char file_prefix[] = "file:";

/* The path behind "file:" if that is what it is, else NULL. */
static const char *file_target(const char *text)
{
    const size_t n = sizeof(file_prefix) - 1;

    return text != NULL && strncmp(text, file_prefix, n) == 0 && text[n] == '/' ? text + n : NULL;
}

static void target_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    const char *text = conf_node_string(node), *file = file_target(text);
    char words[160];

    if (find_word(s, text, base)) {
        if (s->check != NULL)
            s->check(r, node, text);
        return;
    }
    if (file == NULL) {
        list_words(s->words, "file:/PATH", words, sizeof(words));
        conf_gripe_value(r, node, s->words, "%s", words);
    } else if (word_of_node(r, s, node) != NULL) {
        unsigned_store(s, CONF_TARGET_FILE, base);
        *(const char **)conf_field(base, s->file_offset) = conf_memory_keep(r->memory, file, strlen(file));
    }
}

static void target_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    if (word_name(s, base) != NULL) {
        choice_print(p, s, base);
        return;
    }
    conf_print_key(p, s->key);
    fprintf(p->to, "\"%s", file_prefix);
    print_escaped(p, *(const char *const *)conf_field_const(base, s->file_offset));
    fputs("\";\n", p->to);
}

const struct conf_kind conf_kind_text = { text_read, text_fall_back, text_print };
const struct conf_kind conf_kind_word = { word_read, text_fall_back, text_print };
const struct conf_kind conf_kind_choice = { choice_read, choice_fall_back, choice_print };
const struct conf_kind conf_kind_target = { target_read, choice_fall_back, target_print };
