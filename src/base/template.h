/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts with variables: $name or ${name}, and $$ for a dollar.  Knows no names. */
#ifndef BASE_TEMPLATE_H
#define BASE_TEMPLATE_H

#include "base/span.h"

enum template_kind {
    TEMPLATE_END,
    TEMPLATE_TEXT,              /* what stands there */
    TEMPLATE_VARIABLE,          /* its name */
    TEMPLATE_BAD                /* from a dollar on that begins no variable */
};

/* Takes the next piece off the text; pieces lie in the text. */
enum template_kind template_next(struct span *text, struct span *piece);

/* The place of a name in a table that ends with NULL, -1: it is not there. */
int template_find(const char *const *names, struct span name);

/* The first piece that is bad or a variable of none of these names; false: there is none. */
bool template_fault(struct span text, const char *const *names, struct span *piece, enum template_kind *kind);

#endif
