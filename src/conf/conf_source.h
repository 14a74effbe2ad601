/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration: one file and what it includes, joined, checked for syntax, with the place
 * of each setting.  And the libconfig tree that is made of it. */
#ifndef CONF_CONF_SOURCE_H
#define CONF_CONF_SOURCE_H

#include <libconfig.h>

#include "conf/conf_inner.h"
#include "conf/conf_names.h"
#include "conf/conf_token.h"

enum { CONF_TEXT_MAX = 1 << 20 };           /* bytes of all files together: a wrong file may be longer */

/* An override's value is a text too, "v = VALUE", and all of it stands in one place. */
struct conf_source_override {
    const struct conf_origin *origin;
    const char               *path;         /* of the setting, in the place of v */
};

struct conf_source {
    struct conf_memory     *memory;         /* file names are kept in it */
    struct conf_complaints *complaints;     /* NULL: keep silent */
    const struct conf_source_override *override;    /* NULL: a file */
    bool                    no_includes;
    const char             *main_file;      /* includes are relative to its folder */
    char                   *text;           /* for libconfig: what it would not take is not in it */
    size_t                  size, room;
    size_t                  taken;          /* bytes of all files so far */
    struct conf_origin     *origins;        /* of each setting and element, in the order of the text */
    size_t                  origin_count, origin_room;
    size_t                  order;          /* of the last setting or element, left out or not */
    struct conf_syntax      syntax;
    struct conf_names       names;
    bool                    skipping;       /* a setting that stands twice ... */
    unsigned                skip_depth;     /* ... at this depth of names */
    size_t                  array_at;       /* where in the text the last array begins */
    enum conf_type          array_type;     /* of its first element */
    bool                    array_mixed;    /* libconfig gets a list */
    unsigned                twice;          /* settings that are left out */
    unsigned                depth;          /* of includes */
};

/* Reads a file with all its includes; 0, or -1 after a complaint.  Settings that stand twice and arrays of
 * several types are complained about and are no failure: what is left can be read. */
int conf_source_read_file(struct conf_source *s, const char *file);

/* The same from memory; `text` has a NUL behind its `size` bytes. */
int conf_source_read_text(struct conf_source *s, const char *name, const char *text, size_t size);

void conf_source_free(struct conf_source *s);

/* The content of a regular file with a NUL behind it, for the caller to free, or NULL and the reason.  One
 * that grows meanwhile may have a byte more than CONF_TEXT_MAX. */
char *conf_file_load(const char *path, size_t *size, const char **why);

/* Makes the tree and lets each setting know its origin; 0, or -1 after a complaint.  `root` is the origin
 * of the whole file.  The tree must be destroyed before the source is freed. */
int conf_tree_build(config_t *tree, const struct conf_source *s, struct conf_origin *root);

/* The path of a setting as libconfig writes it: services.[0].listen */
void conf_tree_path(const config_setting_t *node, char *to, size_t size);

/* Applies -o PATH=VALUE to the tree.  False after a complaint. */
bool conf_override_apply(struct conf_reader *r, config_t *tree, const char *option, size_t order);

#endif
