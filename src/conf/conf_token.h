/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of libconfig's syntax, and the order in which they may stand.  Pure: text in, tokens out. */
#ifndef CONF_CONF_TOKEN_H
#define CONF_CONF_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum conf_token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_EQUALS,               /* '=' or ':' */
    TOKEN_STRING,               /* with its quotes */
    TOKEN_SCALAR,               /* a number or a boolean */
    TOKEN_OPEN, TOKEN_CLOSE,    /* one of { [ ( and } ] ) */
    TOKEN_COMMA, TOKEN_SEMICOLON,
    TOKEN_INCLUDE,              /* the whole directive */
    TOKEN_BAD                   /* why says what is wrong */
};

/* Of strings and scalars.  libconfig makes two of integers, with and without L. */
enum conf_type { TYPE_STRING, TYPE_BOOLEAN, TYPE_INTEGER, TYPE_INTEGER_L, TYPE_FLOAT };

struct conf_token {
    enum conf_token_kind kind;
    enum conf_type       type;
    const char          *at;
    size_t               size;
    unsigned             line;      /* where it begins; of a bad one: where it is bad */
    const char          *why;
    bool                 wide;      /* an integer that needs more than 32 bits and has no L */
};

struct conf_tokens {
    const char *p, *start, *end;
    unsigned    line;               /* of p */
};

void conf_token_next(struct conf_tokens *t, struct conf_token *out);

enum {
    CONF_DEPTH_MAX = 32,        /* groups in lists in groups ...: services need 5 */
    CONF_NAMES_MAX = 1000       /* settings of a group: libconfig compares each with all before it */
};

enum conf_expect {
    EXPECT_NAME,        /* a setting, or the end of its group */
    EXPECT_TERMINATOR,  /* the same, or ';' or ',' behind the last setting */
    EXPECT_EQUALS,      /* behind a name */
    EXPECT_VALUE,       /* behind '=', or behind ',' in a list or array */
    EXPECT_FIRST,       /* a value, or the end of an empty list or array */
    EXPECT_COMMA        /* behind a value in a list or array, or its end */
};

/* Zero is a valid start. */
struct conf_syntax {
    enum conf_expect expect;
    unsigned         depth;
    char             open[CONF_DEPTH_MAX];
    unsigned         names[CONF_DEPTH_MAX + 1];     /* so far, at each depth */
    bool             after_string;          /* adjacent strings are one value */
};

/* Is what has been taken last within an array? */
bool conf_syntax_in_array(const struct conf_syntax *s);

/* Takes the next token.  NULL: it fits, and *node tells whether a setting or an element begins with it.
 * Else what should have stood there. */
const char *conf_syntax_take(struct conf_syntax *s, const struct conf_token *t, bool *node);

#endif
