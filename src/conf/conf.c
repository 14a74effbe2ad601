/* SPDX-License-Identifier: BSD-2-Clause */
/* From a file to a configuration: read the text, make the tree, apply the overrides, read the settings by
 * their tables.  Wrong syntax ends it; apart from that every complaint is made at once. */
#include "conf/conf.h"

#include <stdlib.h>

#include "conf/conf_inner.h"
#include "conf/conf_source.h"

/* What conf_read hands out: the configuration and everything that it points to. */
struct conf_whole {
    struct conf        conf;        /* first: conf_free gets a pointer to it */
    struct conf_memory memory;
};

/* The overrides are independent of each other: all are tried. */
static void apply_overrides(struct conf_reader *r, config_t *tree)
{
    for (unsigned i = 0; i < r->options->override_count; i++)
        conf_override_apply(r, tree, r->options->overrides[i], SIZE_MAX / 2 + i);
}

/* The default of io_model need not be there in every build; that matters where a pool has no other. */
static void check_default_model(struct conf_reader *r, const config_setting_t *root, const struct conf *c)
{
    char why[CONF_WHY_SIZE] = "";

    if (!conf_pools_inherit_model(c) || config_setting_get_member(root, "io_model") != NULL || r->options->model_check == NULL)
        return;
    if (!r->options->model_check(c->io_model, why, sizeof(why)))
        conf_gripe(r, root, "io_model", "is not set, and the default \"%s\" cannot be used: %s", c->io_model,
                   why);
}

/* The same for the account: it must be there although nobody named it. */
static void check_default_user(struct conf_reader *r, const config_setting_t *root)
{
    char why[CONF_WHY_SIZE] = "";

    if (config_setting_get_member(root, "user") == NULL && r->options->user_check != NULL &&
        !r->options->user_check(NULL, why, sizeof(why)))
        conf_gripe(r, root, "user", "is not set, and %s", why);
}

static void read_settings(struct conf_reader *r, struct conf *c, const struct conf_source *s)
{
    struct conf_origin root = { .place = { s->main_file, 1 } };
    config_t tree;

    config_init(&tree);
    if (conf_tree_build(&tree, s, &root) == 0) {
        apply_overrides(r, &tree);
        c->file = s->main_file;
        r->conf = c;
        conf_group_read(r, conf_settings, config_root_setting(&tree), c);
        conf_pools_complete(r, c);
        check_default_model(r, config_root_setting(&tree), c);
        check_default_user(r, config_root_setting(&tree));
    }
    config_destroy(&tree);
}

/* text NULL: from the file. */
static struct conf *conf_make(const struct conf_options *options, const char *text, size_t size, FILE *to)
{
    struct conf_complaints complaints = { .v = NULL };
    struct conf_whole *whole = calloc(1, sizeof(*whole));
    struct conf_source source = { .complaints = &complaints, .no_includes = text != NULL };
    struct conf_reader reader = { .options = options, .complaints = &complaints };
    int r;

    if (whole == NULL) {
        fputs("out of memory\n", to);
        return NULL;
    }
    source.memory = reader.memory = &whole->memory;
    r = text == NULL ? conf_source_read_file(&source, options->file)
                     : conf_source_read_text(&source, options->file, text, size);
    if (r == 0)
        read_settings(&reader, &whole->conf, &source);
    conf_complaints_write(&complaints, to);
    if (whole->memory.failed)
        fputs("out of memory\n", to);
    if (r == -1 || complaints.count > 0 || complaints.lost || whole->memory.failed) {
        conf_free(&whole->conf);
        whole = NULL;
    }
    conf_source_free(&source);
    conf_complaints_free(&complaints);
    return whole == NULL ? NULL : &whole->conf;
}

struct conf *conf_read(const struct conf_options *options, FILE *complaints)
{
    return conf_make(options, NULL, 0, complaints);
}

struct conf *conf_read_text(const struct conf_options *options, const char *text, size_t size,
                            FILE *complaints)
{
    return conf_make(options, text, size, complaints);
}

void conf_free(struct conf *c)
{
    struct conf_whole *whole = (struct conf_whole *)c;

    if (whole == NULL)
        return;
    conf_memory_free(&whole->memory);
    free(whole);
}

void conf_print(const struct conf *c, FILE *to)
{
    struct conf_printer p = { .to = to };

    fputs("# The effective configuration of iomuxd, with all defaults.\n", to);
    conf_group_print(&p, conf_settings, c);
}
