/* SPDX-License-Identifier: BSD-2-Clause */
/* A request head, in one pass: RFC 9112 sections 2.2, 3 and 5, without any of the leniencies.  Only the
 * form of bytes is judged here, so that a verdict does not depend on how the head was cut into pieces: a
 * byte that cannot stand where it stands refuses the head at once, everything else waits for its end
 * (http_judge).  Copies nothing, allocates nothing. */
#include "proto/http_internal.h"

#include "base/scan.h"

#define COMMON (CLASS_TOKEN | CLASS_TARGET | CLASS_HOST | CLASS_PATH)

const unsigned char http_class[256] = {
    ['0' ... '9'] = COMMON, ['A' ... 'Z'] = COMMON, ['a' ... 'z'] = COMMON,
    ['-'] = COMMON, ['_'] = COMMON, ['~'] = COMMON, ['!'] = COMMON, ['$'] = COMMON, ['&'] = COMMON,
    ['\''] = COMMON,
    ['*'] = COMMON, ['+'] = COMMON,
    ['.'] = COMMON | CLASS_DOT_SLASH,
    ['/'] = CLASS_TARGET | CLASS_PATH | CLASS_DOT_SLASH | CLASS_SLASH,
    ['%'] = CLASS_TOKEN | CLASS_TARGET | CLASS_HOST | CLASS_PERCENT,
    ['?'] = CLASS_TARGET,
    ['('] = CLASS_TARGET | CLASS_HOST | CLASS_PATH, [')'] = CLASS_TARGET | CLASS_HOST | CLASS_PATH,
    [','] = CLASS_TARGET | CLASS_HOST | CLASS_PATH, [';'] = CLASS_TARGET | CLASS_HOST | CLASS_PATH,
    ['='] = CLASS_TARGET | CLASS_HOST | CLASS_PATH,
    [':'] = CLASS_TARGET | CLASS_PATH, ['@'] = CLASS_TARGET | CLASS_PATH,
    ['#'] = CLASS_TOKEN, ['^'] = CLASS_TOKEN | CLASS_TARGET, ['`'] = CLASS_TOKEN | CLASS_TARGET,
    ['|'] = CLASS_TOKEN | CLASS_TARGET | CLASS_PATH_TOO,
    ['['] = CLASS_TARGET | CLASS_PATH_TOO, [']'] = CLASS_TARGET | CLASS_PATH_TOO,
    ['\\'] = CLASS_TARGET, ['{'] = CLASS_TARGET, ['}'] = CLASS_TARGET,
};

/* Where the parser stands. `end` is the end of the input or of what the limits allow, whichever comes
 * first. */
struct parser {
    const char *p, *end;
    long        verdict;        /* why it stopped: 0 incomplete, -STATUS */
};

static bool head_refused(struct parser *s)
{
    s->verdict = -400;
    return false;
}

static inline bool blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static enum http_method method_of(struct span m)
{
    static const struct { struct span name; enum http_method method; } known[] = {
        { { "GET", 3 }, METHOD_GET }, { { "HEAD", 4 }, METHOD_HEAD }, { { "POST", 4 }, METHOD_POST },
        { { "PUT", 3 }, METHOD_PUT }, { { "DELETE", 6 }, METHOD_DELETE }, { { "PATCH", 5 }, METHOD_PATCH },
        { { "OPTIONS", 7 }, METHOD_OPTIONS }, { { "CONNECT", 7 }, METHOD_CONNECT },
        { { "TRACE", 5 }, METHOD_TRACE },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_equal(m, known[i].name))
            return known[i].method;
    return METHOD_UNKNOWN;
}

/* hot */
static inline bool parse_method(struct parser *s, struct http_request *r)
{
    const char *start = s->p, *p = start;
    if (s->end - p >= 4 && memcmp(p, "GET ", 4) == 0) {
        r->method_text = (struct span){ start, 3 };
        r->method = METHOD_GET;
        s->p += 4;
        return true;
    }
    while (p < s->end && http_is(*p, CLASS_TOKEN))
        p++;
    if (p == s->end) {
        s->verdict = -501;      /* if the limit cut it: a method longer than any that is known */
        return false;
    }
    if (*p != ' ' || p == start)
        return head_refused(s);
    r->method_text = (struct span){ start, (size_t)(p - start) };
    r->method = (uint8_t)method_of(r->method_text);
    s->p = p + 1;
    return true;
}

/* hot */
static inline bool parse_target(struct parser *s, struct http_request *r)
{
    const char *start = s->p, *p = start;
    unsigned unusual = 0, behind_slash = 0;
    for (; p < s->end; p++) {
        unsigned class = http_class[(unsigned char)*p];
        if ((class & CLASS_TARGET) == 0)
            break;
        unusual |= (class & behind_slash) | (~class & CLASS_PATH);
        behind_slash = (class & CLASS_SLASH) / (CLASS_SLASH / CLASS_DOT_SLASH);
    }
    r->target = (struct span){ start, (size_t)(p - start) };
    if (p == s->end) {
        s->verdict = -414;
        return false;
    }
    if (*p != ' ' || p == start)
        return head_refused(s);
    r->plain = unusual == 0 && *start == '/';
    s->p = p + 1;
    return true;
}

/* The byte at place i of "HTTP/D.D\r\n". */
static bool version_byte(size_t i, char byte)
{
    static const char form[] = "HTTP/0.0\r\n";
    return form[i] == '0' ? byte >= '0' && byte <= '9' : byte == form[i];
}

/* hot */
static inline bool parse_version(struct parser *s, struct http_request *r)
{
    enum { VERSION_SIZE = 8, LINE_REST = 10 };
    const char *p = s->p;
    size_t there = (size_t)(s->end - p);
    if (there < LINE_REST || memcmp(p, "HTTP/1.1\r\n", LINE_REST) != 0) {
        for (size_t i = 0; i < LINE_REST && i < there; i++)
            if (!version_byte(i, p[i]))
                return head_refused(s);
        if (there < LINE_REST) {
            s->verdict = -414;
            return false;
        }
    }
    r->version = (struct span){ p, VERSION_SIZE };
    r->major = (uint8_t)(p[5] - '0');
    r->minor = (uint8_t)(p[7] - '0');
    s->p = p + LINE_REST;
    return true;
}

/* Compares a token with a name in lower case.  Setting bit 5 folds letters, and makes no other two token
 * bytes of which one is a letter or '-' the same. */
static inline bool name_is(const char *p, const char *lower, size_t n)
{
    unsigned different = 0;
    for (size_t i = 0; i < n; i++)
        different |= (unsigned char)(p[i] | 0x20) ^ (unsigned char)lower[i];
    return different == 0;
}

#define NAMED(literal, field) (name_is(p, literal, sizeof(literal) - 1) ? (field) : FIELD_COUNT)

/* hot */
static inline enum http_field field_of(const char *p, size_t n)
{
    switch (n) {
    case 4: return NAMED("host", FIELD_HOST);
    case 5: return NAMED("range", FIELD_RANGE);
    case 6: return (p[0] | 0x20) == 'e' ? NAMED("expect", FIELD_EXPECT) : NAMED("accept", FIELD_ACCEPT);
    case 7: return NAMED("referer", FIELD_REFERER);
    case 8: return (p[3] | 0x20) == 'm' ? NAMED("if-match", FIELD_IF_MATCH)
                                        : NAMED("if-range", FIELD_IF_RANGE);
    case 10: return (p[0] | 0x20) == 'u' ? NAMED("user-agent", FIELD_USER_AGENT)
                                         : NAMED("connection", FIELD_CONNECTION);
    case 13: return (p[0] | 0x20) == 'i' ? NAMED("if-none-match", FIELD_IF_NONE_MATCH)
                                         : NAMED("authorization", FIELD_AUTHORIZATION);
    case 14: return NAMED("content-length", FIELD_CONTENT_LENGTH);
    case 15: return NAMED("accept-encoding", FIELD_ACCEPT_ENCODING);
    case 17: return (p[0] | 0x20) == 't' ? NAMED("transfer-encoding", FIELD_TRANSFER_ENCODING)
                                         : NAMED("if-modified-since", FIELD_IF_MODIFIED_SINCE);
    case 19: return NAMED("if-unmodified-since", FIELD_IF_UNMODIFIED_SINCE);
    default: return FIELD_COUNT;
    }
}

/* One line "name: value CRLF" at s->p; *name_n is 0 when it is the empty line that ends the head.
 * False: it is refused, or not all there. */
static inline bool parse_field(struct parser *s, size_t *name_n, struct span *value)
{
    const char *start = s->p, *p = start, *end = s->end;
    while (p < end && http_is(*p, CLASS_TOKEN))
        p++;
    if (p == end)
        return false;
    *name_n = (size_t)(p - start);
    bool last = *name_n == 0;
    if (!last) {
        if (*p++ != ':')
            return head_refused(s);     /* also space before the colon, RFC 9112 section 5.1 */
        while (p < end && blank(*p))
            p++;
    }
    const char *from = p;
    p = last ? p : scan_control(p, end);
    if (p == end)
        return false;
    if (*p != '\r')
        return head_refused(s);         /* also folding (a line that begins with a blank), a bare LF, NUL */
    if (p + 1 == end)
        return false;
    if (p[1] != '\n')
        return head_refused(s);
    s->p = p + 2;
    while (p > from && blank(p[-1]))
        p--;
    *value = (struct span){ from, (size_t)(p - from) };
    return true;
}

/* hot */
static bool parse_fields(struct parser *s, struct http_request *r, unsigned *count)
{
    const char *start = s->p;
    for (;;) {
        const char *name = s->p;
        struct span value;
        size_t n;
        if (!parse_field(s, &n, &value))
            return false;
        if (n == 0) {
            r->fields = (struct span){ start, (size_t)(name - start) };
            return true;
        }
        ++*count;
        enum http_field field = field_of(name, n);
        if (field == FIELD_COUNT)
            continue;
        r->repeated |= r->seen & FIELD_BIT(field);
        r->seen |= FIELD_BIT(field);
        r->value[field] = value;
    }
}

/* The end for a part of at most `room` bytes, CRLF included; *cut: the limit comes before the end of the
 * input. */
static inline const char *limit_end(const char *p, const char *end, size_t room, bool *cut)
{
    *cut = (size_t)(end - p) > room;
    return *cut ? p + room : end;
}

/* hot */
long http_parse(struct http_request *r, struct span in, const struct http_limits *limits)
{
    const char *end = in.p + in.n;
    struct parser s = { .p = in.p };
    unsigned count = 0;
    bool cut;

    r->method_text.n = r->target.n = r->version.n = 0;
    r->seen = r->repeated = 0;
    r->method = METHOD_UNKNOWN;
    s.end = limit_end(in.p, end, (size_t)limits->request_line + 2, &cut);
    if (!parse_method(&s, r) || !parse_target(&s, r) || !parse_version(&s, r))
        return s.verdict == -400 || cut ? s.verdict : 0;

    s.verdict = -431;
    s.end = limit_end(s.p, end, (size_t)limits->header_bytes + 2, &cut);
    if (!parse_fields(&s, r, &count))
        return s.verdict == -400 || cut ? s.verdict : 0;
    if (count > limits->header_count)
        return -431;
    unsigned status = http_judge(r);
    return status != 0 ? -(long)status : s.p - in.p;
}

bool http_next_field(struct span *fields, enum http_field field, struct span *value)
{
    while (fields->n > 0) {
        struct parser s = { .p = fields->p, .end = fields->p + fields->n };
        size_t n;
        const char *name = s.p;
        if (!parse_field(&s, &n, value) || n == 0)
            return false;
        *fields = span_skip(*fields, (size_t)(s.p - fields->p));
        if (field_of(name, n) == field)
            return true;
    }
    return false;
}
