/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client accepts: lists of values with weights, RFC 9110 section 12.4.2, and what Accept says of the two forms
 * that a list of a folder has.  Pure. */
#include "proto/http_internal.h"

enum { WEIGHT_WHOLE = 1000 };

/* The piece of *s before the next `end` that is not within quotes, without blanks around it; *s goes behind it. */
static struct span piece_next(struct span *s, char end)
{
    bool quoted = false;
    size_t n = 0;
    for (; n < s->n && (quoted || s->p[n] != end); n++)
        if (s->p[n] == '"')
            quoted = !quoted;
    struct span piece = { s->p, n };
    *s = span_skip(*s, n < s->n ? n + 1 : n);
    while (piece.n > 0 && (piece.p[0] == ' ' || piece.p[0] == '\t'))
        piece = span_skip(piece, 1);
    while (piece.n > 0 && (piece.p[piece.n - 1] == ' ' || piece.p[piece.n - 1] == '\t'))
        piece.n--;
    return piece;
}

/* qvalue: from 0 to 1, with at most three digits behind the point. */
static bool weight_parse(struct span s, unsigned *weight)
{
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return false;
    unsigned value = s.p[0] == '1' ? WEIGHT_WHOLE : 0, scale = WEIGHT_WHOLE / 10;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        value += (unsigned)(s.p[i] - '0') * scale;
    }
    *weight = value;
    return value <= WEIGHT_WHOLE;
}

/* The weight among the parameters; without one it is 1.  False: it is malformed. */
static bool weight_find(struct span parameters, unsigned *weight)
{
    *weight = WEIGHT_WHOLE;
    while (parameters.n > 0) {
        struct span p = piece_next(&parameters, ';');
        if (p.n >= 2 && (p.p[0] | 0x20) == 'q' && p.p[1] == '=')
            return weight_parse(span_skip(p, 2), weight);
    }
    return true;
}

bool http_next_choice(struct span *list, struct span *value, unsigned *weight)
{
    struct span element;
    while (http_next_element(list, &element)) {
        *value = piece_next(&element, ';');
        if (value->n > 0 && weight_find(element, weight))
            return true;
    }
    return false;
}

/* How well a media range fits "TYPE/SUBTYPE": 0: not at all, 3: exactly. */
static unsigned range_fit(struct span range, struct span media)
{
    const char *slash = memchr(media.p, '/', media.n);
    size_t type_n = (size_t)(slash - media.p) + 1;
    if (span_equal_nocase(range, media))
        return 3;
    if (range.n == type_n + 1 && range.p[type_n] == '*' && strncasecmp(range.p, media.p, type_n) == 0)
        return 2;
    return span_equal(range, SPAN("*/*"));
}

/* The weight of the range that fits best (RFC 9110 section 12.5.1); 0: it is not accepted. */
static unsigned media_weight(const struct http_request *r, struct span media)
{
    struct span fields = r->fields, list, range;
    unsigned best = 0, found = 0, weight;
    while (http_next_field(&fields, FIELD_ACCEPT, &list))
        while (http_next_choice(&list, &range, &weight)) {
            unsigned fit = range_fit(range, media);
            if (fit > best || (fit > 0 && fit == best && weight > found))
                found = weight;
            best = fit > best ? fit : best;
        }
    return found;
}

bool http_accepts_json(const struct http_request *r)
{
    return http_has(r, FIELD_ACCEPT) &&
           media_weight(r, SPAN("application/json")) > media_weight(r, SPAN("text/html"));
}
