/* SPDX-License-Identifier: BSD-2-Clause */
/* The chunked transfer coding, RFC 9112 section 7.1, decoded only to find the end of a body: data is
 * dropped, extensions are checked for their form and ignored, trailer fields are checked and dropped
 * (section 7.1.2).  Line ends are CR LF and nothing else.  Pure.
 *
 *   SIZE_FIRST -> SIZE -> [extensions] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                           \ size 0: LINE -> NAME -> VALUE -> VALUE_LF -> LINE -> LAST_LF
 * Extensions: EXT -> EXT_NAME -> [EXT_NAME_BWS] -> EXT_IS -> EXT_TOKEN or EXT_QUOTED -> [EXT_VALUE_BWS] */
#include "proto/http_internal.h"

enum {
    CHUNK_LINE_MAX = 1024,          /* bytes of one size line: a size and a few extensions */
    CHUNK_EXTENSIONS_MAX = 16384    /* bytes of all size lines with extensions: only attackers use them */
};

enum chunk_step {
    CHUNK_SIZE_FIRST,           /* the first digit of a size */
    CHUNK_SIZE,                 /* more digits, or what ends them */
    CHUNK_SIZE_BWS,             /* blanks behind the size: only an extension may follow */
    CHUNK_EXT,                  /* behind ';': blanks, then a name */
    CHUNK_EXT_NAME,
    CHUNK_EXT_NAME_BWS,         /* blanks behind the name: '=' or ';' must follow */
    CHUNK_EXT_IS,               /* behind '=': blanks, then a value */
    CHUNK_EXT_TOKEN,
    CHUNK_EXT_QUOTED,
    CHUNK_EXT_ESCAPED,          /* behind '\' in a quoted value */
    CHUNK_EXT_QUOTED_END,       /* behind the closing quote */
    CHUNK_EXT_VALUE_BWS,        /* blanks behind a value: ';' must follow */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_LINE,                 /* the first byte of a trailer field or of the empty line */
    CHUNK_NAME,
    CHUNK_VALUE,
    CHUNK_VALUE_LF,
    CHUNK_LAST_LF,
    CHUNK_END,
    CHUNK_BAD
};

static bool chunk_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Text that may stand in a field value or a quoted string. */
static bool chunk_text(char byte)
{
    unsigned char b = (unsigned char)byte;
    return (b >= 0x20 && b != 0x7f) || b == '\t';
}

/* What may follow a size, an extension's name or its value; `bws` is the step for blanks. */
static enum chunk_step extension_border(char byte, enum chunk_step bws)
{
    if (chunk_blank(byte))
        return bws;
    return byte == ';' ? CHUNK_EXT : CHUNK_BAD;
}

static enum chunk_step size_step(struct http_chunk *k, char byte)
{
    int digit = http_hex(byte);
    if (digit >= 0) {
        k->left = k->left >> 60 != 0 ? UINT64_MAX : k->left << 4 | (unsigned)digit;
        return CHUNK_SIZE;
    }
    if (k->step == CHUNK_SIZE_FIRST)
        return CHUNK_BAD;
    return byte == '\r' ? CHUNK_SIZE_LF : extension_border(byte, CHUNK_SIZE_BWS);
}

static enum chunk_step name_step(char byte)
{
    if (http_is(byte, CLASS_TOKEN))
        return CHUNK_EXT_NAME;
    if (byte == '\r')
        return CHUNK_SIZE_LF;
    return byte == '=' ? CHUNK_EXT_IS : extension_border(byte, CHUNK_EXT_NAME_BWS);
}

static enum chunk_step extension_step(enum chunk_step step, char byte)
{
    switch (step) {
    case CHUNK_SIZE_BWS:
    case CHUNK_EXT_VALUE_BWS:
        return extension_border(byte, step);
    case CHUNK_EXT:
        return chunk_blank(byte) ? step : http_is(byte, CLASS_TOKEN) ? CHUNK_EXT_NAME : CHUNK_BAD;
    case CHUNK_EXT_NAME:
        return name_step(byte);
    case CHUNK_EXT_NAME_BWS:
        return byte == '=' ? CHUNK_EXT_IS : extension_border(byte, step);
    case CHUNK_EXT_IS:
        if (chunk_blank(byte))
            return step;
        return byte == '"' ? CHUNK_EXT_QUOTED : http_is(byte, CLASS_TOKEN) ? CHUNK_EXT_TOKEN : CHUNK_BAD;
    case CHUNK_EXT_TOKEN:
        if (http_is(byte, CLASS_TOKEN))
            return step;
        return byte == '\r' ? CHUNK_SIZE_LF : extension_border(byte, CHUNK_EXT_VALUE_BWS);
    case CHUNK_EXT_QUOTED:
        if (!chunk_text(byte))
            return CHUNK_BAD;
        return byte == '"' ? CHUNK_EXT_QUOTED_END : byte == '\\' ? CHUNK_EXT_ESCAPED : step;
    case CHUNK_EXT_ESCAPED:
        return chunk_text(byte) ? CHUNK_EXT_QUOTED : CHUNK_BAD;
    default:                    /* CHUNK_EXT_QUOTED_END */
        return byte == '\r' ? CHUNK_SIZE_LF : extension_border(byte, CHUNK_EXT_VALUE_BWS);
    }
}

static enum chunk_step trailer_step(enum chunk_step step, char byte)
{
    switch (step) {
    case CHUNK_LINE:
        return http_is(byte, CLASS_TOKEN) ? CHUNK_NAME : byte == '\r' ? CHUNK_LAST_LF : CHUNK_BAD;
    case CHUNK_NAME:
        return http_is(byte, CLASS_TOKEN) ? step : byte == ':' ? CHUNK_VALUE : CHUNK_BAD;
    case CHUNK_VALUE:
        return byte == '\r' ? CHUNK_VALUE_LF : chunk_text(byte) ? step : CHUNK_BAD;
    case CHUNK_VALUE_LF:
        return byte == '\n' ? CHUNK_LINE : CHUNK_BAD;
    default:                    /* CHUNK_LAST_LF */
        return byte == '\n' ? CHUNK_END : CHUNK_BAD;
    }
}

/* The size line is complete. */
static enum chunk_step size_done(struct http_chunk *k, char byte)
{
    if (byte != '\n')
        return CHUNK_BAD;
    k->line_bytes = 0;
    return k->left > 0 ? CHUNK_DATA : CHUNK_LINE;
}

static enum chunk_step chunk_next(struct http_chunk *k, char byte)
{
    enum chunk_step step = k->step;
    switch (step) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return size_step(k, byte);
    case CHUNK_SIZE_LF:
        return size_done(k, byte);
    case CHUNK_DATA_CR:
        return byte == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    case CHUNK_DATA_LF:
        k->left = 0;
        return byte == '\n' ? CHUNK_SIZE_FIRST : CHUNK_BAD;
    default:
        return step >= CHUNK_LINE ? trailer_step(step, byte) : extension_step(step, byte);
    }
}

/* Is what was read so far within the limits?  `was`: the step before.  0 or -STATUS. */
static int chunk_limits(struct http_chunk *k, enum chunk_step was, const struct http_limits *limits)
{
    if (k->step == CHUNK_BAD)
        return -400;
    if (was >= CHUNK_LINE)
        return ++k->line_bytes > limits->header_bytes + 2 ? -431 : 0;
    if (k->step == CHUNK_SIZE_LF)
        return k->left > limits->body_bytes - k->total ? -413 : 0;
    if (was >= CHUNK_SIZE_LF)
        return 0;
    if (k->step >= CHUNK_SIZE_BWS && k->step < CHUNK_SIZE_LF && ++k->extension_bytes > CHUNK_EXTENSIONS_MAX)
        return -400;
    return ++k->line_bytes > CHUNK_LINE_MAX ? -400 : 0;
}

static size_t chunk_skip(struct http_chunk *k, size_t there)
{
    size_t n = k->left < there ? (size_t)k->left : there;
    k->left -= n;
    k->total += n;
    if (k->left == 0)
        k->step = CHUNK_DATA_CR;
    return n;
}

int http_chunk_feed(struct http_chunk *k, struct span in, const struct http_limits *limits, size_t *taken)
{
    size_t i = 0;
    int verdict = 0;
    while (i < in.n && k->step != CHUNK_END && verdict == 0) {
        if (k->step == CHUNK_DATA) {
            i += chunk_skip(k, in.n - i);
            continue;
        }
        enum chunk_step was = k->step;
        k->step = (uint8_t)chunk_next(k, in.p[i++]);
        verdict = chunk_limits(k, was, limits);
    }
    *taken = i;
    return verdict != 0 ? verdict : k->step == CHUNK_END;
}
