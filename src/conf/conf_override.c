/* SPDX-License-Identifier: BSD-2-Clause */
/* Overrides: -o PATH=VALUE changes the tree before it is checked, so that an override meets the same rules
 * as a line of the file.  VALUE is libconfig syntax if it can be, else it is a string as it stands. */
#include "conf/conf_source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* One step of a path. */
struct step {
    char     name[64];
    bool     is_index;
    unsigned index;
};

struct override {
    struct conf_reader *r;
    struct conf_origin *origin;
    const char         *value;
};

static bool override_fail(const struct override *o, const char *path, const char *text)
{
    conf_complaints_add(o->r->complaints, o->origin, path, "%s", text);
    return false;
}

/* Takes "name", "[N]" and the dot behind it off the path.  False: it is neither. */
static bool path_step(const char **path, const char *end, struct step *step)
{
    const char *p = *path;
    size_t n = 0;

    *step = (struct step){ .is_index = *p == '[' };
    p += step->is_index;
    while (p < end && (isalnum((unsigned char)*p) || strchr("_-*", *p) != NULL)) {
        if (n == sizeof(step->name) - 1 || (step->is_index && (!isdigit((unsigned char)*p) || n == 8)))
            return false;
        step->name[n++] = *p++;
    }
    if (n == 0 || (step->is_index && (p == end || *p++ != ']')))
        return false;
    if (p < end && *p != '.' && *p != '[')
        return false;
    if (p < end && *p == '.' && ++p == end)
        return false;
    step->index = step->is_index ? (unsigned)strtoul(step->name, NULL, 10) : 0;
    *path = p;
    return true;
}

/* services.web: the group of a list whose name this is. */
static config_setting_t *find_named(const config_setting_t *list, const char *name)
{
    for (int i = 0; i < config_setting_length(list); i++) {
        config_setting_t *element = config_setting_get_elem(list, (unsigned)i);
        config_setting_t *its_name = config_setting_get_member(element, "name");
        const char *text = its_name == NULL ? NULL : conf_node_string(its_name);

        if (text != NULL && strcmp(text, name) == 0)
            return element;
    }
    return NULL;
}

static config_setting_t *step_find(config_setting_t *node, const struct step *step)
{
    if (step->is_index)
        return config_setting_is_group(node) ? NULL : config_setting_get_elem(node, step->index);
    if (config_setting_is_group(node))
        return config_setting_get_member(node, step->name);
    return config_setting_is_list(node) ? find_named(node, step->name) : NULL;
}

static bool step_fail(const struct override *o, const config_setting_t *node, const struct step *step)
{
    char path[CONF_PATH_MAX], text[160];

    conf_tree_path(node, path, sizeof(path));
    if (!config_setting_is_aggregate(node))
        snprintf(text, sizeof(text), "has nothing inside, so there is no '%s' in it", step->name);
    else if (step->is_index && config_setting_is_group(node))
        snprintf(text, sizeof(text), "is a group: it has settings with names, none with the number [%u]",
                 step->index);
    else if (step->is_index)
        snprintf(text, sizeof(text), "has no element [%u]; it has %d", step->index,
                 config_setting_length(node));
    else if (config_setting_is_group(node))
        snprintf(text, sizeof(text), "'%s' is no name of a setting", step->name);
    else
        snprintf(text, sizeof(text), "has no element with the name '%s'", step->name);
    return override_fail(o, path[0] == '\0' ? NULL : path, text);
}

/* ---- values ---- */

static void copy_value(config_setting_t *to, const config_setting_t *from, struct conf_origin *origin)
{
    config_setting_set_hook(to, origin);
    switch (config_setting_type(from)) {
    case CONFIG_TYPE_INT:
        config_setting_set_int(to, config_setting_get_int(from));
        break;
    case CONFIG_TYPE_INT64:
        config_setting_set_int64(to, config_setting_get_int64(from));
        break;
    case CONFIG_TYPE_FLOAT:
        config_setting_set_float(to, config_setting_get_float(from));
        break;
    case CONFIG_TYPE_BOOL:
        config_setting_set_bool(to, config_setting_get_bool(from));
        break;
    case CONFIG_TYPE_STRING:
        config_setting_set_string(to, config_setting_get_string(from));
        break;
    default:
        for (int i = 0; i < config_setting_length(from); i++) {
            const config_setting_t *child = config_setting_get_elem(from, (unsigned)i);

            copy_value(config_setting_add(to, config_setting_name(child), config_setting_type(child)), child,
                       origin);
        }
        break;
    }
}

/* An empty setting in the place of the named one or of the element. */
static config_setting_t *setting_renew(config_setting_t *parent, const struct step *step, int type)
{
    config_setting_t *made, **elements;
    unsigned last;

    if (config_setting_is_group(parent)) {
        config_setting_remove(parent, step->name);
        return config_setting_add(parent, step->name, type);
    }
    made = config_setting_add(parent, NULL, type);
    if (made == NULL)
        return NULL;
    last = (unsigned)config_setting_length(parent) - 1;
    elements = parent->value.list->elements;
    elements[last] = elements[step->index];
    elements[step->index] = made;
    config_setting_remove_elem(parent, last);
    return made;
}

/* What would stop libconfig and is no matter of syntax: settings that stand twice in one group. */
static void complain_twice(const struct override *o, const config_setting_t *parent, const struct step *step,
                           const char *text)
{
    char path[CONF_PATH_MAX + sizeof(step->name) + 2];
    const struct conf_source_override whole = { o->origin, path };
    struct conf_source s = { .memory = o->r->memory, .complaints = o->r->complaints, .override = &whole,
                             .no_includes = true };
    size_t n;

    conf_tree_path(parent, path, CONF_PATH_MAX);
    n = strlen(path);
    snprintf(path + n, sizeof(path) - n, step->is_index ? "%s[%s]" : "%s%s", n > 0 ? "." : "", step->name);
    (void)conf_source_read_text(&s, o->origin->place.file, text, strlen(text));
    conf_source_free(&s);
}

/* The value as libconfig reads it, alone in a tree; false: it is no libconfig value. */
static bool parse_value(const struct override *o, config_t *tree, const config_setting_t *parent,
                        const struct step *step)
{
    static const struct conf_source_override silent = { NULL, NULL };
    struct conf_source s = { .memory = o->r->memory, .override = &silent, .no_includes = true };
    size_t size = strlen(o->value) + sizeof("v = ");
    char *text = conf_memory_get(o->r->memory, size);
    bool ok = false;

    if (text == NULL)
        return false;
    snprintf(text, size, "v = %s", o->value);
    if (conf_source_read_text(&s, o->origin->place.file, text, size - 1) == 0)
        ok = s.syntax.names[0] == 1 && config_read_string(tree, s.text);
    if (ok && s.twice > 0)
        complain_twice(o, parent, step, text);
    conf_source_free(&s);
    return ok;
}

static bool value_put(const struct override *o, config_setting_t *parent, const struct step *step)
{
    config_setting_t *from = NULL, *to;
    config_t tree;

    config_init(&tree);
    if (parse_value(o, &tree, parent, step))
        from = config_setting_get_elem(config_root_setting(&tree), 0);
    to = setting_renew(parent, step, from == NULL ? CONFIG_TYPE_STRING : config_setting_type(from));
    if (to != NULL && from != NULL) {
        copy_value(to, from, o->origin);
        if (config_setting_is_scalar(from) && config_setting_type(from) != CONFIG_TYPE_STRING)
            o->origin->raw = o->value;
    } else if (to != NULL) {
        config_setting_set_string(to, o->value);
        config_setting_set_hook(to, o->origin);
    }
    config_destroy(&tree);
    return to != NULL || step_fail(o, parent, step);
}

/* ---- the path ---- */

static config_setting_t *group_make(const struct override *o, config_setting_t *parent,
                                    const struct step *step)
{
    config_setting_t *made = NULL;

    if (config_setting_is_group(parent) && !step->is_index)
        made = config_setting_add(parent, step->name, CONFIG_TYPE_GROUP);
    if (made != NULL)
        config_setting_set_hook(made, o->origin);
    return made;
}

static bool path_check(const char *path, const char *end)
{
    struct step step;

    while (path_step(&path, end, &step))
        if (path == end)
            return true;
    return false;
}

/* The last step: the setting that is there is replaced, however it was found, or a new one is made. */
static bool path_end(const struct override *o, config_setting_t *node, config_setting_t *child,
                     const struct step *step)
{
    struct step by_index = { .is_index = true };

    if (child == NULL || config_setting_name(child) != NULL)
        return value_put(o, node, step);
    by_index.index = (unsigned)config_setting_index(child);
    snprintf(by_index.name, sizeof(by_index.name), "%u", by_index.index);
    return value_put(o, node, &by_index);
}

static bool path_follow(const struct override *o, config_setting_t *node, const char *path, const char *end)
{
    struct step step;

    while (path_step(&path, end, &step)) {
        config_setting_t *child = step_find(node, &step);

        if (child == NULL && !(config_setting_is_group(node) && !step.is_index))
            return step_fail(o, node, &step);
        if (path == end)
            return path_end(o, node, child, &step);
        if (child == NULL && (child = group_make(o, node, &step)) == NULL)
            return step_fail(o, node, &step);
        node = child;
    }
    return false;
}

bool conf_override_apply(struct conf_reader *r, config_t *tree, const char *option, size_t order)
{
    struct conf_origin *origin = conf_memory_get(r->memory, sizeof(*origin));
    size_t size = strlen(option) + sizeof("-o ");
    char *shown = conf_memory_get(r->memory, size);
    struct override o = { .r = r, .origin = origin };
    const char *equals;

    if (origin == NULL || shown == NULL)
        return false;
    snprintf(shown, size, "-o %s", option);
    *origin = (struct conf_origin){ .place = { shown, 0 }, .order = order };
    option = shown + sizeof("-o ") - 1;
    equals = strchr(option, '=');
    if (equals == NULL)
        return override_fail(&o, NULL, "is no PATH=VALUE: the '=' is missing");
    if (!path_check(option, equals))
        return override_fail(&o, NULL, "is no PATH=VALUE: a path is made of names and [N], as in"
                                       " services.[0].listen");
    o.value = equals + 1;
    return path_follow(&o, config_root_setting(tree), option, equals);
}
