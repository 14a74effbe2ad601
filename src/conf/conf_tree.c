/* SPDX-License-Identifier: BSD-2-Clause */
/* The libconfig tree: made from the joined text, with an origin on every setting. */
#include "conf/conf_source.h"

#include <string.h>

/* Settings of a tree stand in the order in which their names and elements stand in the text. */
static void attach_origins(config_setting_t *node, struct conf_origin *origins, size_t count, size_t *next)
{
    int n = config_setting_length(node);

    for (int i = 0; i < n; i++) {
        config_setting_t *child = config_setting_get_elem(node, (unsigned)i);

        if (*next < count)
            config_setting_set_hook(child, &origins[*next]);
        (*next)++;
        attach_origins(child, origins, count, next);
    }
}

/* What the source lets pass does not fail here.  If it does, the setting that libconfig stumbled over is the
 * one behind the last that it made. */
static void complain_parse(const config_t *tree, const struct conf_source *s, size_t made)
{
    struct conf_origin end = { .place = { s->main_file, 0 } };
    const struct conf_origin *where = made < s->origin_count ? &s->origins[made] : &end;

    conf_complaints_add(s->complaints, where, NULL, "libconfig cannot read this: %s",
                        config_error_text(tree));
}

int conf_tree_build(config_t *tree, const struct conf_source *s, struct conf_origin *root)
{
    int ok = config_read_string(tree, s->text == NULL ? "" : s->text);
    size_t made = 0;

    attach_origins(config_root_setting(tree), s->origins, s->origin_count, &made);
    config_setting_set_hook(config_root_setting(tree), root);
    if (!ok)
        complain_parse(tree, s, made);
    return ok ? 0 : -1;
}

void conf_tree_path(const config_setting_t *node, char *to, size_t size)
{
    size_t n;

    to[0] = '\0';
    if (config_setting_is_root(node))
        return;
    conf_tree_path(config_setting_parent(node), to, size);
    n = strlen(to);
    if (config_setting_name(node) != NULL)
        snprintf(to + n, size - n, "%s%s", n > 0 ? "." : "", config_setting_name(node));
    else
        snprintf(to + n, size - n, "%s[%d]", n > 0 ? "." : "", config_setting_index(node));
}

const struct conf_origin *conf_node_origin(const config_setting_t *node)
{
    return config_setting_get_hook(node);
}

const char *conf_node_string(const config_setting_t *node)
{
    if (config_setting_type(node) == CONFIG_TYPE_STRING) {
        const char *text = config_setting_get_string(node);

        return text == NULL ? "" : text;
    }
    return config_setting_is_scalar(node) ? conf_node_origin(node)->raw : NULL;
}
