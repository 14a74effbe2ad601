/* SPDX-License-Identifier: BSD-2-Clause */
/* Cuts a text of libconfig's syntax into tokens.  libconfig 1.5 has a scanner of its own, which is run
 * later on a text that passed this one: it wraps numbers that are too large, ends a string at a zero byte,
 * takes an unfinished comment for the end of the file and knows one message, "syntax error". */
#include "conf/conf_token.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_MAX = 64 };       /* bytes of a number, sign and suffix included */

static void step_lines(struct conf_tokens *t, const char *to)
{
    for (; t->p < to; t->p++)
        t->line += *t->p == '\n';
}

/* At most `n` bytes from p are this word. */
static bool text_starts(const struct conf_tokens *t, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(t->end - t->p) >= n && memcmp(t->p, word, n) == 0;
}

static const char *line_end(const struct conf_tokens *t)
{
    const char *end = memchr(t->p, '\n', (size_t)(t->end - t->p));

    return end == NULL ? t->end : end;
}

/* False: a comment has no end, and p stands at its start. */
static bool skip_blanks(struct conf_tokens *t)
{
    while (t->p < t->end) {
        if (strchr(" \t\r\n\f", *t->p) != NULL && *t->p != '\0') {
            step_lines(t, t->p + 1);
        } else if (*t->p == '#' || text_starts(t, "//")) {
            t->p = line_end(t);
        } else if (text_starts(t, "/*")) {
            const char *close = memmem(t->p + 2, (size_t)(t->end - t->p) - 2, "*/", 2);

            if (close == NULL)
                return false;
            step_lines(t, close + 2);
        } else {
            return true;
        }
    }
    return true;
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '*' || c == '_' || c == '-';
}

static void bad_token(struct conf_token *out, const char *why)
{
    out->kind = TOKEN_BAD;
    out->why = why;
}

static bool word_is(const struct conf_token *t, const char *word)
{
    return t->size == strlen(word) && strncasecmp(t->at, word, t->size) == 0;
}

static void cut_name(struct conf_tokens *t, struct conf_token *out)
{
    while (t->p < t->end && is_name_byte(*t->p))
        t->p++;
    out->size = (size_t)(t->p - out->at);
    out->kind = word_is(out, "true") || word_is(out, "false") ? TOKEN_SCALAR : TOKEN_NAME;
    out->type = TYPE_BOOLEAN;
}

/* Digits of the base with nothing behind them but libconfig's L or LL. */
static const char *check_integer(const char *text, const char *digits, int base, struct conf_token *out)
{
    char *end;
    long long value;

    if (!isxdigit((unsigned char)digits[0]))
        return "is not a number";
    errno = 0;
    value = strtoll(text, &end, base);
    if (*end != '\0' && strcmp(end, "L") != 0 && strcmp(end, "LL") != 0)
        return "is not a number; text needs quotes";
    out->wide = *end == '\0' && (value > INT_MAX || value < INT_MIN);
    out->type = out->wide || *end == 'L' ? TYPE_INTEGER_L : TYPE_INTEGER;
    return errno == ERANGE ? "is too large a number" : NULL;
}

static const char *check_float(const char *text, const char *digits)
{
    char *end;

    if (digits[strspn(digits, ".")] == '\0' || digits[strspn(digits, "0123456789.eE+-")] != '\0')
        return "is not a number; text needs quotes";
    if (!isfinite(strtod(text, &end)))
        return "is too large a number";
    return *end == '\0' ? NULL : "is not a number; text needs quotes";
}

/* NULL, or what is wrong with it. */
static const char *check_number(const char *text, struct conf_token *out)
{
    const char *digits = text + (*text == '+' || *text == '-');

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return check_integer(text, text + 2, 16, out);
    if (strpbrk(digits, ".eE") != NULL) {
        out->type = TYPE_FLOAT;
        return check_float(text, digits);
    }
    return isdigit((unsigned char)*digits) ? check_integer(text, digits, 10, out) : "is not a number";
}

static void token_take_number(struct conf_tokens *t, struct conf_token *out)
{
    char text[NUMBER_MAX + 1];
    const char *why;

    while (t->p < t->end && (is_name_byte(*t->p) || *t->p == '.' || *t->p == '+'))
        t->p++;
    out->size = (size_t)(t->p - out->at);
    out->kind = TOKEN_SCALAR;
    if (out->size > NUMBER_MAX) {
        bad_token(out, "is too long for a number");
        return;
    }
    memcpy(text, out->at, out->size);
    text[out->size] = '\0';
    if ((why = check_number(text, out)) != NULL)
        bad_token(out, why);
}

static bool is_zero_escape(const char *p, const char *end)
{
    return end - p >= 4 && (p[1] == 'x' || p[1] == 'X') && p[2] == '0' && p[3] == '0';
}

static void cut_string(struct conf_tokens *t, struct conf_token *out)
{
    const char *p = t->p + 1;

    out->kind = TOKEN_STRING;
    for (; p < t->end && *p != '"'; p++) {
        if (*p != '\\')
            continue;
        if (is_zero_escape(p, t->end)) {
            step_lines(t, p);
            out->line = t->line;
            out->size = 4;
            out->at = p;
            bad_token(out, "cannot stand in a string");
            return;
        }
        p += p + 1 < t->end && (p[1] == '\\' || p[1] == '"');
    }
    if (p >= t->end) {
        out->size = 1;
        bad_token(out, "begins a string that has no end");
        return;
    }
    step_lines(t, p + 1);
    out->size = (size_t)(t->p - out->at);
}

static bool at_line_start(const struct conf_tokens *t)
{
    const char *p = t->p;

    while (p > t->start && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    return p == t->start || p[-1] == '\n';
}

/* The directive with its path: @include "PATH", first on its line. */
static void cut_include(struct conf_tokens *t, struct conf_token *out)
{
    static const char word[] = "@include";
    const char *stop = line_end(t), *p = t->p + sizeof(word) - 1;

    out->size = 1;
    if (!text_starts(t, word) || !at_line_start(t) || p >= stop || (*p != ' ' && *p != '\t')) {
        bad_token(out, "is only allowed in @include \"FILE\", first on its line");
        return;
    }
    p += strspn(p, " \t");
    if (*p++ != '"') {
        bad_token(out, "needs a file name in quotes: @include \"FILE\"");
        return;
    }
    while (p < stop && *p != '"')
        p += *p == '\\' && p + 1 < stop ? 2 : 1;
    if (p >= stop) {
        bad_token(out, "names a file without a closing quote");
        return;
    }
    t->p = p + 1;
    out->size = (size_t)(t->p - out->at);
    out->kind = TOKEN_INCLUDE;
}

static void token_cut_sign(struct conf_tokens *t, struct conf_token *out)
{
    out->size = 1;
    switch (*t->p) {
    case '=': case ':':
        out->kind = TOKEN_EQUALS;
        break;
    case '{': case '[': case '(':
        out->kind = TOKEN_OPEN;
        break;
    case '}': case ']': case ')':
        out->kind = TOKEN_CLOSE;
        break;
    case ',':
        out->kind = TOKEN_COMMA;
        break;
    case ';':
        out->kind = TOKEN_SEMICOLON;
        break;
    default:
        bad_token(out, "means nothing here");
        return;
    }
    t->p++;
}

void conf_token_next(struct conf_tokens *t, struct conf_token *out)
{
    bool whole = skip_blanks(t);

    *out = (struct conf_token){ .kind = TOKEN_END, .at = t->p, .line = t->line };
    if (!whole) {
        out->size = 2;
        bad_token(out, "begins a comment that has no end");
    } else if (t->p == t->end) {
        return;
    } else if (isalpha((unsigned char)*t->p) || *t->p == '*') {
        cut_name(t, out);
    } else if (isdigit((unsigned char)*t->p) || strchr("+-.", *t->p) != NULL) {
        token_take_number(t, out);
    } else if (*t->p == '"') {
        cut_string(t, out);
    } else if (*t->p == '@') {
        cut_include(t, out);
    } else {
        token_cut_sign(t, out);
    }
}
