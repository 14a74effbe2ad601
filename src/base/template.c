/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts with variables, cut into pieces where they lie. */
#include "base/template.h"

static bool name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           byte == '_';
}

static size_t variable_length(struct span s)
{
    size_t n = 0;
    while (n < s.n && name_byte(s.p[n]))
        n++;
    return n;
}

/* The text begins with a dollar and has more. */
static enum template_kind next_variable(struct span *text, struct span *piece)
{
    bool braces = text->p[1] == '{';
    struct span name = span_skip(*text, braces ? 2 : 1);
    size_t n = variable_length(name);
    *piece = *text;
    if (n == 0 || (braces && (n == name.n || name.p[n] != '}')))
        return TEMPLATE_BAD;
    *piece = (struct span){ name.p, n };
    *text = span_skip(name, braces ? n + 1 : n);
    return TEMPLATE_VARIABLE;
}

enum template_kind template_next(struct span *text, struct span *piece)
{
    if (text->n == 0)
        return TEMPLATE_END;
    if (text->p[0] == '$' && text->n > 1 && text->p[1] != '$')
        return next_variable(text, piece);
    *piece = *text;
    if (text->p[0] == '$' && text->n == 1)
        return TEMPLATE_BAD;
    size_t skipped = text->p[0] == '$' ? 1 : 0;     /* of two dollars the second is text */
    const char *rest = text->p + skipped + 1, *end = text->p + text->n;
    const char *dollar = rest < end ? memchr(rest, '$', (size_t)(end - rest)) : NULL;
    *piece = (struct span){ text->p + skipped, (size_t)((dollar != NULL ? dollar : end) - text->p) - skipped };
    *text = span_skip(*text, skipped + piece->n);
    return TEMPLATE_TEXT;
}

int template_find(const char *const *names, struct span name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (span_equal(span_of(names[i]), name))
            return i;
    return -1;
}

bool template_fault(struct span text, const char *const *names, struct span *piece, enum template_kind *kind)
{
    while ((*kind = template_next(&text, piece)) != TEMPLATE_END) {
        if (*kind == TEMPLATE_BAD)
            return true;
        if (*kind == TEMPLATE_VARIABLE && template_find(names, *piece) == -1)
            return true;
    }
    return false;
}
