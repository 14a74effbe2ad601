/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups of settings, read, checked and printed by their tables; and the words of complaints about values.
 * Knows no particular setting. */
#include "conf/conf_inner.h"
#include "conf/conf_source.h"

#include <string.h>

/* ---- complaints ---- */

static void gripe_path(const config_setting_t *node, const char *key, char *to, size_t size)
{
    size_t n;

    conf_tree_path(node, to, size);
    n = strlen(to);
    if (key != NULL)
        snprintf(to + n, size - n, "%s%s", n > 0 ? "." : "", key);
}

void conf_gripe(struct conf_reader *r, const config_setting_t *node, const char *key, const char *format, ...)
{
    char path[CONF_PATH_MAX];
    va_list args;

    if (conf_node_origin(node)->told)
        return;
    gripe_path(node, key, path, sizeof(path));
    va_start(args, format);
    conf_complaints_vadd(r->complaints, conf_node_origin(node), path[0] == '\0' ? NULL : path, format, args);
    va_end(args);
}

static void describe_value(const config_setting_t *node, char *to, size_t size)
{
    const char *string = config_setting_get_string(node);

    if (string != NULL)
        snprintf(to, size, "\"%.60s\"%s", string, strlen(string) > 60 ? "..." : "");
    else if (config_setting_type(node) == CONFIG_TYPE_FLOAT)
        snprintf(to, size, "%.15g", config_setting_get_float(node));
    else if (config_setting_type(node) == CONFIG_TYPE_BOOL)
        snprintf(to, size, "%s", config_setting_get_bool(node) ? "true" : "false");
    else if (config_setting_is_scalar(node))
        snprintf(to, size, "%lld", config_setting_get_int64(node));
    else if (config_setting_is_group(node))
        snprintf(to, size, "a group { }");
    else
        snprintf(to, size, config_setting_is_list(node) ? "a list ( )" : "an array [ ]");
}

void conf_gripe_value(struct conf_reader *r, const config_setting_t *node, const struct conf_word *words,
                      const char *want, ...)
{
    struct conf_near near = { .word = conf_node_string(node) };
    char wanted[256], given[128], meant[64];
    va_list args;

    va_start(args, want);
    vsnprintf(wanted, sizeof(wanted), want, args);
    va_end(args);
    describe_value(node, given, sizeof(given));
    for (; near.word != NULL && words != NULL && words->name != NULL; words++)
        conf_near_try(&near, words->name);
    conf_gripe(r, node, NULL, "must be %s, not %s%s", wanted, given,
               conf_near_text(&near, meant, sizeof(meant)));
}

/* ---- reading ---- */

static const struct conf_setting *setting_find(const struct conf_setting *members, const char *key)
{
    for (; members->key != NULL; members++)
        if (strcmp(members->key, key) == 0)
            return members;
    return NULL;
}

static void check_known(struct conf_reader *r, const struct conf_setting *members,
                        const config_setting_t *node)
{
    int n = config_setting_length(node);

    for (int i = 0; i < n; i++) {
        const config_setting_t *child = config_setting_get_elem(node, (unsigned)i);
        struct conf_near near = { .word = config_setting_name(child) };
        char meant[64];

        if (setting_find(members, near.word) != NULL)
            continue;
        for (const struct conf_setting *s = members; s->key != NULL; s++)
            conf_near_try(&near, s->key);
        conf_gripe(r, child, NULL, "is no known setting%s", conf_near_text(&near, meant, sizeof(meant)));
    }
}

static void setting_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                         void *base)
{
    if (s->place_offset != 0)
        *(struct conf_place *)conf_field(base, s->place_offset) = conf_node_origin(node)->place;
    s->kind->read(r, s, node, base);
}

void conf_group_read(struct conf_reader *r, const struct conf_setting *members, config_setting_t *node,
                     void *base)
{
    if (node != NULL)
        check_known(r, members, node);
    for (const struct conf_setting *s = members; s->key != NULL; s++) {
        config_setting_t *member = node == NULL ? NULL : config_setting_get_member(node, s->key);

        if (s->kind->fall_back != NULL)
            s->kind->fall_back(s, base);
        if (member != NULL)
            setting_read(r, s, member, base);
        else if (s->required != NULL && node != NULL)
            conf_gripe(r, node, s->key, "is missing; %s", s->required);
    }
}

void conf_group_check(struct conf_reader *r, const struct conf_setting *members, const config_setting_t *node,
                      const void *base)
{
    for (const struct conf_setting *s = members; s->key != NULL; s++) {
        const config_setting_t *member = config_setting_get_member(node, s->key);

        if (member != NULL && s->applies != NULL && !s->applies(base))
            conf_gripe(r, member, NULL, "means nothing here: it is for %s", s->only);
    }
}

/* ---- printing ---- */

void conf_print_indent(struct conf_printer *p)
{
    fprintf(p->to, "%*s", (int)(4 * p->depth), "");
}

void conf_print_key(struct conf_printer *p, const char *key)
{
    conf_print_indent(p);
    fprintf(p->to, "%s = ", key);
}

void conf_group_print(struct conf_printer *p, const struct conf_setting *members, const void *base)
{
    for (const struct conf_setting *s = members; s->key != NULL; s++)
        if (s->applies == NULL || s->applies(base))
            s->kind->print(p, s, base);
}

void conf_list_print(struct conf_printer *p, const char *key, const struct conf_setting *members,
                     const struct conf_list *list)
{
    conf_print_key(p, key);
    fputs("(\n", p->to);
    p->depth++;
    for (unsigned i = 0; i < list->count; i++) {
        conf_print_indent(p);
        fputs("{\n", p->to);
        p->depth++;
        conf_group_print(p, members, (const char *)list->first + i * list->size);
        p->depth--;
        conf_print_indent(p);
        fputs(i + 1 < list->count ? "},\n" : "}\n", p->to);
    }
    p->depth--;
    conf_print_indent(p);
    fputs(");\n", p->to);
}

static void group_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       void *base)
{
    if (!config_setting_is_group(node))
        conf_gripe_value(r, node, NULL, "a group { ... }");
    else
        conf_group_read(r, s->members, node, conf_field(base, s->offset));
}

static void group_fall_back(const struct conf_setting *s, void *base)
{
    conf_group_read(NULL, s->members, NULL, conf_field(base, s->offset));
}

static void group_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_print_indent(p);
    fprintf(p->to, "%s : {\n", s->key);
    p->depth++;
    conf_group_print(p, s->members, conf_field_const(base, s->offset));
    p->depth--;
    conf_print_indent(p);
    fputs("};\n", p->to);
}

const struct conf_kind conf_kind_group = { group_read, group_fall_back, group_print };
const struct conf_kind conf_kind_part = { group_read, NULL, group_print };
