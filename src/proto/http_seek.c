/* SPDX-License-Identifier: BSD-2-Clause */
/* A head that comes in pieces: looks at each byte once and says when parsing is worth while, that is when
 * the head is complete, a limit is passed, or a byte stands where it cannot.  Must agree with http_parse
 * byte for byte: then a verdict comes at the same byte however the input was cut.  Knows forms, no
 * meaning. */
#include "proto/http_internal.h"

/* METHOD_FIRST -> METHOD -> TARGET_FIRST -> TARGET -> VERSION ... -> LINE -> NAME -> VALUE -> VALUE_LF ->
 * LINE
 *                                                                       \-> LAST_LF -> WORTH          */
enum seek_step {
    SEEK_METHOD_FIRST,          /* the first byte of the method */
    SEEK_METHOD,                /* more of it, or the space behind it */
    SEEK_TARGET_FIRST,
    SEEK_TARGET,
    SEEK_VERSION,               /* and the next 9: "HTTP/D.D\r\n" */
    SEEK_LINE = SEEK_VERSION + 10,      /* the first byte of a field line or of the empty line */
    SEEK_NAME,
    SEEK_VALUE,
    SEEK_VALUE_LF,
    SEEK_LAST_LF,
    SEEK_WORTH                  /* parse it */
};

static enum seek_step seek_version(enum seek_step step, char byte)
{
    static const char form[] = "HTTP/0.0\r\n";
    char want = form[step - SEEK_VERSION];
    bool right = want == '0' ? byte >= '0' && byte <= '9' : byte == want;
    return right ? step + 1 : SEEK_WORTH;
}

static enum seek_step seek_value(char byte)
{
    unsigned char b = (unsigned char)byte;
    if (b == '\r')
        return SEEK_VALUE_LF;
    return (b >= 0x20 && b != 0x7f) || b == '\t' ? SEEK_VALUE : SEEK_WORTH;
}

static enum seek_step seek_next(enum seek_step step, char byte)
{
    switch (step) {
    case SEEK_METHOD_FIRST:
        return http_is(byte, CLASS_TOKEN) ? SEEK_METHOD : SEEK_WORTH;
    case SEEK_METHOD:
        return http_is(byte, CLASS_TOKEN) ? SEEK_METHOD : byte == ' ' ? SEEK_TARGET_FIRST : SEEK_WORTH;
    case SEEK_TARGET_FIRST:
        return http_is(byte, CLASS_TARGET) ? SEEK_TARGET : SEEK_WORTH;
    case SEEK_TARGET:
        return http_is(byte, CLASS_TARGET) ? SEEK_TARGET : byte == ' ' ? SEEK_VERSION : SEEK_WORTH;
    case SEEK_LINE:
        return http_is(byte, CLASS_TOKEN) ? SEEK_NAME : byte == '\r' ? SEEK_LAST_LF : SEEK_WORTH;
    case SEEK_NAME:
        return http_is(byte, CLASS_TOKEN) ? SEEK_NAME : byte == ':' ? SEEK_VALUE : SEEK_WORTH;
    case SEEK_VALUE:
        return seek_value(byte);
    case SEEK_VALUE_LF:
        return byte == '\n' ? SEEK_LINE : SEEK_WORTH;
    case SEEK_LAST_LF:
    case SEEK_WORTH:
        return SEEK_WORTH;
    default:
        return seek_version(step, byte);
    }
}

bool http_seek(struct http_seek *k, struct span in, const struct http_limits *limits)
{
    enum seek_step step = k->step;
    size_t i = k->seen;
    for (; i < in.n && step != SEEK_WORTH; i++) {
        step = seek_next(step, in.p[i]);
        if (step == SEEK_LINE && k->fields_at == 0)
            k->fields_at = (uint32_t)i + 1;
    }
    k->step = (uint8_t)step;
    k->seen = (uint32_t)i;
    if (step == SEEK_WORTH || k->fields_at > (size_t)limits->request_line + 2)
        return true;
    size_t room = k->fields_at == 0 ? limits->request_line : (size_t)limits->header_bytes;
    return in.n - k->fields_at > room + 2;
}
