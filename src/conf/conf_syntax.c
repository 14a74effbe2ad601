/* SPDX-License-Identifier: BSD-2-Clause */
/* The order in which tokens may stand (libconfig's grammar): so that a complaint can say what is missing, and
 * so that libconfig 1.5, which loses memory when it stumbles over a string, never does.
 *
 *   group:  NAME '=' value [';' or ','] ...             from EXPECT_NAME
 *   list:   '(' [value {',' value}] ')'                 from EXPECT_FIRST
 *   array:  '[' [scalar {',' scalar}] ']'               the same; one type, which the source checks
 */
#include "conf/conf_token.h"

static char innermost(const struct conf_syntax *s)
{
    return s->depth == 0 ? '\0' : s->open[s->depth - 1];
}

static bool in_sequence(const struct conf_syntax *s)
{
    return innermost(s) == '(' || innermost(s) == '[';
}

bool conf_syntax_in_array(const struct conf_syntax *s)
{
    return innermost(s) == '[';
}

static void value_done(struct conf_syntax *s)
{
    s->expect = in_sequence(s) ? EXPECT_COMMA : EXPECT_TERMINATOR;
}

static bool closes_innermost(const struct conf_syntax *s, const struct conf_token *t)
{
    static const char pairs[] = "{}[]()";

    if (t->kind != TOKEN_CLOSE || s->depth == 0)
        return false;
    for (const char *p = pairs; *p != '\0'; p += 2)
        if (innermost(s) == p[0] && t->at[0] == p[1])
            return true;
    return false;
}

static const char *bracket_close(struct conf_syntax *s)
{
    s->depth--;
    value_done(s);
    return NULL;
}

static const char *bracket_open(struct conf_syntax *s, char which)
{
    if (innermost(s) == '[')
        return "a number, a string or a boolean: arrays [ ] hold nothing else, lists ( ) do";
    if (s->depth == CONF_DEPTH_MAX)
        return "at most 32 levels of nesting";
    s->open[s->depth++] = which;
    s->names[s->depth] = 0;
    s->expect = which == '{' ? EXPECT_NAME : EXPECT_FIRST;
    return NULL;
}

static const char *take_value(struct conf_syntax *s, const struct conf_token *t, bool *node)
{
    *node = in_sequence(s);
    switch (t->kind) {
    case TOKEN_OPEN:
        return bracket_open(s, t->at[0]);
    case TOKEN_STRING:
        s->after_string = true;
        value_done(s);
        return NULL;
    case TOKEN_SCALAR:
        value_done(s);
        return NULL;
    case TOKEN_NAME:
        return "a value; text needs quotes";
    default:
        return "a value";
    }
}

static const char *take_setting(struct conf_syntax *s, const struct conf_token *t, bool *node)
{
    if (t->kind == TOKEN_NAME) {
        if (++s->names[s->depth] > CONF_NAMES_MAX)
            return "at most 1000 settings in one group";
        *node = true;
        s->expect = EXPECT_EQUALS;
        return NULL;
    }
    if (closes_innermost(s, t))
        return bracket_close(s);
    if (t->kind == TOKEN_END && s->depth == 0)
        return NULL;
    if (s->expect == EXPECT_TERMINATOR)
        return s->depth == 0 ? "';' or a setting" : "';', a setting or '}'";
    return s->depth == 0 ? "a setting" : "a setting or '}'";
}

static const char *take_separator(struct conf_syntax *s, const struct conf_token *t)
{
    if (closes_innermost(s, t))
        return bracket_close(s);
    if (t->kind != TOKEN_COMMA)
        return innermost(s) == '(' ? "',' or ')'" : "',' or ']'";
    s->expect = EXPECT_VALUE;
    return NULL;
}

const char *conf_syntax_take(struct conf_syntax *s, const struct conf_token *t, bool *node)
{
    bool joins = s->after_string && t->kind == TOKEN_STRING;

    *node = false;
    if (joins)
        return NULL;
    s->after_string = false;
    switch (s->expect) {
    case EXPECT_TERMINATOR:
        if (t->kind == TOKEN_SEMICOLON || t->kind == TOKEN_COMMA) {
            s->expect = EXPECT_NAME;
            return NULL;
        }
        return take_setting(s, t, node);
    case EXPECT_NAME:
        return take_setting(s, t, node);
    case EXPECT_EQUALS:
        s->expect = EXPECT_VALUE;
        return t->kind == TOKEN_EQUALS ? NULL : "'=' behind the name of a setting";
    case EXPECT_FIRST:
        if (closes_innermost(s, t))
            return bracket_close(s);
        return take_value(s, t, node);
    case EXPECT_VALUE:
        return take_value(s, t, node);
    default:
        return take_separator(s, t);
    }
}
