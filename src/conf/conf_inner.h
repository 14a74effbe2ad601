/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share: memory, complaints, where a setting came from, and the words in
 * which the tables of settings are written.  For src/conf and its tests only. */
#ifndef CONF_CONF_INNER_H
#define CONF_CONF_INNER_H

#include <libconfig.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"

/* ---- memory: everything of one configuration, freed at once ---- */

struct conf_memory {
    struct conf_chunk *chunks;
    bool               failed;      /* sticky: asked once, at the end */
};

/* Zeroed memory, or NULL, and then `failed` is set. */
void *conf_memory_get(struct conf_memory *m, size_t size);
char *conf_memory_keep(struct conf_memory *m, const char *bytes, size_t size);
void conf_memory_free(struct conf_memory *m);

/* Makes the array that the pointer at `block` points to longer, from the heap, until it has room for `need`
 * elements of `size` bytes.  -1: out of memory, and all is as before. */
int conf_memory_grow(void *block, size_t *room, size_t need, size_t size);

/* ---- complaints: gathered, then written in the order of the settings ---- */

/* Where a setting came from. */
struct conf_origin {
    struct conf_place place;
    const char       *raw;          /* an override's bare number or boolean as given, else NULL */
    size_t            order;        /* the settings of all files in reading order, then the overrides */
    bool              told;         /* what is wrong with it has been said: nothing more about it */
};

struct conf_complaints {
    struct conf_complaint *v;
    size_t                 count, room;
    bool                   lost;    /* memory ran out */
};

/* path may be NULL: the complaint is about the file. */
void conf_complaints_add(struct conf_complaints *c, const struct conf_origin *where, const char *path,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
void conf_complaints_vadd(struct conf_complaints *c, const struct conf_origin *where, const char *path,
                          const char *format, va_list args) __attribute__((format(printf, 4, 0)));
void conf_complaints_write(struct conf_complaints *c, FILE *to);
void conf_complaints_free(struct conf_complaints *c);

/* Where another setting stands, for a complaint about the one at `from`: "line 7", "b.conf:7" or "-o a=b". */
const char *conf_place_seen(const struct conf_place *from, const struct conf_place *of,
                            char text[CONF_PLACE_SIZE]);

/* ---- the tables of settings ---- */

enum {
    CONF_PATH_MAX = 512,            /* of a setting's path in a complaint; a longer one is cut */
    CONF_WHY_SIZE = 512             /* for what a conf_word_check says: names of all models */
};

#define CONF_PROTOCOL_UNKNOWN UINT_MAX      /* until a service's protocol has been read */

struct conf_reader {
    const struct conf_options *options;
    struct conf_memory        *memory;
    struct conf_complaints    *complaints;
    const struct conf         *conf;            /* that is being filled, in the order of the table */
    unsigned                   listen_count;    /* of all services */
    bool                       services_known;  /* all can be referred to by name */
    bool                       pools_unsure;    /* which services they have: some could not be read */
};

struct conf_printer {
    FILE    *to;
    unsigned depth;
};

struct conf_word {
    const char *name;               /* NULL ends a table */
    unsigned    value;
};

struct conf_setting;

/* A kind of value: how it is read, what it is without being set, how it is written. */
struct conf_kind {
    void (*read)(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base);
    void (*fall_back)(const struct conf_setting *s, void *base);    /* optional */
    void (*print)(struct conf_printer *p, const struct conf_setting *s, const void *base);
};

/* One setting of a group.  `base` is the structure that the group fills; offsets count from its start. */
struct conf_setting {
    const char                *key;             /* NULL ends a table */
    const struct conf_kind    *kind;
    size_t                     offset;
    size_t                     file_offset;     /* targets: the path of the file */
    size_t                     place_offset;    /* a struct conf_place; 0: not kept */
    uint64_t                   min, max;        /* in the unit in which it is kept */
    uint64_t                   fallback;
    const char                *fallback_text;
    const struct conf_word    *words;           /* choices and targets */
    const struct conf_setting *members;         /* groups */
    const char                *required;        /* what to write, as it must be there; NULL: it need not */
    /* optional: complains if a string is not fit. */
    bool                     (*check)(struct conf_reader *r, const config_setting_t *node, const char *value);
    /* optional: does it mean anything in this structure?  If not, `only` says where it would. */
    bool                     (*applies)(const void *base);
    const char                *only;
};

extern const struct conf_kind
    conf_kind_count, conf_kind_workers, conf_kind_size, conf_kind_size64, conf_kind_direct_io,
    conf_kind_seconds, conf_kind_micros, conf_kind_flag,
    conf_kind_sandbox, conf_kind_watchdog,
    conf_kind_text, conf_kind_word, conf_kind_choice, conf_kind_target, conf_kind_format, conf_kind_model,
    conf_kind_hosts, conf_kind_index, conf_kind_listen, conf_kind_status, conf_kind_route_status,
    conf_kind_try, conf_kind_autoindex, conf_kind_precompressed, conf_kind_error_pages, conf_kind_statuses,
    conf_kind_redirect, conf_kind_redirect_status,
    conf_kind_methods, conf_kind_nets, conf_kind_auth, conf_kind_users,
    conf_kind_headers, conf_kind_header_add, conf_kind_header_remove, conf_kind_cache_control, conf_kind_expires,
    conf_kind_routes, conf_kind_services, conf_kind_pools, conf_kind_pool_services,
    conf_kind_group,        /* with defaults also when it is not there */
    conf_kind_part;         /* without */

/* Every setting outside of lists; those of a service; of a listener that is a group; of a route; of an error page; of
 * a pool. */
extern const struct conf_setting conf_settings[], conf_service_settings[], conf_listen_settings[],
    conf_route_settings[], conf_error_page_settings[], conf_pool_settings[];

/* Reads a group by its table: unknown keys, missing keys, values and defaults.  node NULL: defaults only. */
void conf_group_read(struct conf_reader *r, const struct conf_setting *members, config_setting_t *node,
                     void *base);
/* Complains about settings that are there and do not apply. */
void conf_group_check(struct conf_reader *r, const struct conf_setting *members, const config_setting_t *node,
                      const void *base);
void conf_group_print(struct conf_printer *p, const struct conf_setting *members, const void *base);

/* Structures that groups of a list have filled. */
struct conf_list {
    const void *first;
    unsigned    count;
    size_t      size;               /* of one */
};

void conf_list_print(struct conf_printer *p, const char *key, const struct conf_setting *members,
                     const struct conf_list *list);

/* Is every method one that a route of this kind answers? */
void conf_methods_check(struct conf_reader *r, const struct conf_route *route, const config_setting_t *node);

/* What can only be seen with all of a route, or a service, in view; `outer` is the service's, NULL: h is. */
void conf_headers_check(struct conf_reader *r, const struct conf_headers *h, const struct conf_headers *outer,
                        const config_setting_t *node);
void conf_cache_check(struct conf_reader *r, const struct conf_route *route, const struct conf_headers *outer,
                      const config_setting_t *node);

/* Makes the pool of everything if there is none. */
void conf_pools_complete(struct conf_reader *r, struct conf *c);

/* Has a pool its model from outside?  Such a one has no place of its own for it. */
bool conf_pools_inherit_model(const struct conf *c);

/* "path.key: message"; key may be NULL. */
void conf_gripe(struct conf_reader *r, const config_setting_t *node, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "path: must be WANT, not GIVEN", with the nearest of the words if there are any. */
void conf_gripe_value(struct conf_reader *r, const config_setting_t *node, const struct conf_word *words,
                      const char *want, ...) __attribute__((format(printf, 4, 5)));

/* The string of a setting; a bare number or boolean of an override counts as one.  NULL: it is none. */
const char *conf_node_string(const config_setting_t *node);
const struct conf_origin *conf_node_origin(const config_setting_t *node);

/* Checks of strings. */
bool conf_check_model(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_user(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_group(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_control(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_target(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_readable_file(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_folder(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_error_page(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_service_name(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_pool_name(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_file_name(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_route_path(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_host(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_location(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_method(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_net(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_net_or_unix(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_cache_control(struct conf_reader *r, const config_setting_t *node, const char *value);
bool conf_check_media_type(struct conf_reader *r, const config_setting_t *node, const char *value);

/* Reads one word of a list of them to *word; NULL after a complaint. */
void conf_word_at(struct conf_reader *r, const struct conf_setting *s, const config_setting_t *node, unsigned i,
                  const char **word);

/* One string, or a list or array of strings: how many there are, UINT_MAX after a complaint that it is
 * something else than `want`; and the setting of each.  Elements that are no strings have been complained
 * about, and must be passed over. */
unsigned conf_strings_count(struct conf_reader *r, const config_setting_t *node, const char *want);
const config_setting_t *conf_strings_at(const config_setting_t *node, unsigned i);

enum { CONF_STRINGS_MAX = 1000 };       /* a complaint about one of them counts its neighbours */

/* Reads words, one or many, that s->check finds fit.  Those that are not have been complained about and are
 * left out. */
void conf_strings_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       const char *want, struct conf_strings *to);

/* Reads "PORT", "ADDR:PORT", "[ADDR6]:PORT", "unix:/path" or "systemd:NAME" into l; l->handed is part of the text.
 * False: the reason is in `why`. */
bool conf_listen_parse(const char *text, struct conf_listen *l, char *why, size_t why_size);
/* The setting of the i-th listener of a service, for a complaint about its address. */
const config_setting_t *conf_listen_at(const config_setting_t *listen, unsigned i);

/* Gives listeners what their service says of the PROXY protocol, and complains about what does not fit together. */
void conf_proxy_check(struct conf_reader *r, struct conf_service *service, const config_setting_t *node);

/* Would the two fight for the same address? */
bool conf_listen_same(const struct conf_listen *a, const struct conf_listen *b);

/* Printing: "key = " at the right depth; a string in libconfig's syntax; strings as an array. */
void conf_print_key(struct conf_printer *p, const char *key);
void conf_print_indent(struct conf_printer *p);
void conf_print_string(struct conf_printer *p, const char *text);
void conf_print_strings(struct conf_printer *p, const char *key, const char *const *texts, unsigned count);

static inline void *conf_field(void *base, size_t offset)
{
    return (char *)base + offset;
}

static inline const void *conf_field_const(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

#endif
