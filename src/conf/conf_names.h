/* SPDX-License-Identifier: BSD-2-Clause */
/* Which settings the open groups of a text have had so far: so that one that stands twice is found before
 * libconfig sees it, which says the last name only and then stops.  Knows neither files nor libconfig. */
#ifndef CONF_CONF_NAMES_H
#define CONF_CONF_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/conf_token.h"

struct conf_name {
    struct conf_place place;        /* where it stands first */
    size_t            at, size;     /* in the bytes of all names */
    uint32_t          hash;
};

/* One group, list or array that is open; the first is the file itself. */
struct conf_level {
    size_t   names, bytes;          /* of the levels around it */
    size_t   now;                   /* a group: the name that was added or found last */
    unsigned elements;              /* a list or array: so far */
};

/* Zero is a valid start.  A level that is closed is forgotten. */
struct conf_names {
    char              *bytes;
    size_t             size, room;
    struct conf_name  *v;
    size_t             count, name_room;
    struct conf_level  levels[CONF_DEPTH_MAX + 1];
    unsigned           depth;
};

/* A setting of the innermost group begins.  0: *before is NULL if its name is new, else what stands first,
 * until the next call; -1: out of memory.  `name` is copied, the place's file is not. */
int conf_names_add(struct conf_names *n, const struct conf_token *name, const struct conf_place *place,
                   const struct conf_name **before);

/* An element of the innermost list or array begins. */
void conf_names_element(struct conf_names *n);

/* The value that has begun is a group, list or array; the innermost one ends.  The syntax is right. */
void conf_names_open(struct conf_names *n);
void conf_names_close(struct conf_names *n);

/* The path of what began last, as libconfig writes it: services.[0].listen.  A long one is cut. */
void conf_names_path(const struct conf_names *n, char *to, size_t size);

void conf_names_free(struct conf_names *n);

#endif
