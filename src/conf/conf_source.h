/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration: one file and what it includes, joined, checked for syntax, with the place
 * of each setting.  And the libconfig tree that is made of it. */
#ifndef CONF_CONF_SOURCE_H
#define CONF_CONF_SOURCE_H

#include <libconfig.h>

#include "conf/conf_inner.h"
#include "conf/conf_token.h"

struct conf_source {
    struct conf_memory     *memory;         /* file names are kept in it */
    struct conf_complaints *complaints;     /* NULL: keep silent */
    bool                    no_includes;
    const char             *main_file;      /* includes are relative to its folder */
    char                   *text;
    size_t                  size, room;
    struct conf_origin     *origins;        /* of each setting and element, in the order of the text */
    size_t                  origin_count, origin_room;
    struct conf_syntax      syntax;
    unsigned                depth;          /* of includes */
};

/* Reads a file with all its includes; 0, or -1 after a complaint. */
int conf_source_read_file(struct conf_source *s, const char *file);

/* The same from memory; `text` has a NUL behind its `size` bytes. */
int conf_source_read_text(struct conf_source *s, const char *name, const char *text, size_t size);

void conf_source_free(struct conf_source *s);

/* Makes the tree and lets each setting know its origin; 0, or -1 after a complaint.  `root` is the origin
 * of the whole file.  The tree must be destroyed before the source is freed. */
int conf_tree_build(config_t *tree, const struct conf_source *s, struct conf_origin *root);

/* The path of a setting as libconfig writes it: services.[0].listen */
void conf_tree_path(const config_setting_t *node, char *to, size_t size);

/* Applies -o PATH=VALUE to the tree.  False after a complaint. */
bool conf_override_apply(struct conf_reader *r, config_t *tree, const char *option, size_t order);

/* conf_read with the text in memory, without includes; for fuzzing and tests.  options->file names it. */
struct conf *conf_read_text(const struct conf_options *options, const char *text, size_t size,
                            FILE *complaints);

#endif
