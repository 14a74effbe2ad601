/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fields of a complete head mean together: where the body ends, whether the connection lasts,
 * which host and path are meant.  RFC 9112 sections 3.2, 3.3, 6 and 9.3; where framing is in doubt, the
 * request is refused. */
#include "proto/http_internal.h"

#include "base/fmt.h"
#include "base/net.h"

enum { ELEMENTS_MAX = 64 };     /* blanks and commas before an element: see RFC 9110 section 5.6.1.2 */

static bool list_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == ',';
}

/* The length of the element at the start, quoted strings (RFC 9110 section 5.6.4) as one piece. */
static size_t element_length(struct span list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list.n && (quoted || list.p[i] != ','); i++)
        if (list.p[i] == '"')
            quoted = !quoted;
    return i;
}

bool http_next_element(struct span *list, struct span *element)
{
    unsigned skipped = 0;
    while (list->n > 0 && list_blank(list->p[0]) && skipped++ < ELEMENTS_MAX)
        *list = span_skip(*list, 1);
    if (list->n == 0 || list_blank(list->p[0]))
        return false;
    size_t n = element_length(*list);
    *element = (struct span){ list->p, n };
    *list = span_skip(*list, n);
    while (element->n > 0 && list_blank(element->p[element->n - 1]))
        element->n--;
    return true;
}

/* Length of a port at the end of an authority, its colon included; -1: it is no port. */
static long port_length(struct span s)
{
    uint64_t port;
    if (s.n == 0)
        return 0;
    if (s.p[0] != ':')
        return -1;
    struct span digits = span_skip(s, 1);
    if (digits.n > 0 && !fmt_parse_u64(digits, UINT16_MAX, &port))
        return -1;
    return (long)s.n;
}

static bool literal_byte(char byte)
{
    return http_hex(byte) >= 0 || byte == ':' || byte == '.';
}

/* "v" version "." anything: addresses of the future, which the grammar has already. */
static bool future_valid(struct span s)
{
    size_t i = 1;
    while (i < s.n && http_hex(s.p[i]) >= 0)
        i++;
    if (i == 1 || i + 1 >= s.n || s.p[i] != '.')
        return false;
    for (i++; i < s.n; i++)
        if (s.p[i] != ':' && (!http_is(s.p[i], CLASS_HOST) || http_is(s.p[i], CLASS_PERCENT)))
            return false;
    return true;
}

static bool ipv6_valid(struct span s)
{
    struct net net;
    for (size_t i = 0; i < s.n; i++)
        if (!literal_byte(s.p[i]))
            return false;
    return memchr(s.p, ':', s.n) != NULL && net_parse(s, &net) == NET_RIGHT;
}

/* "[" address "]" at the start: its length, 0: it is none. */
static size_t literal_length(struct span s)
{
    const char *end = memchr(s.p, ']', s.n);
    if (end == NULL || end == s.p + 1)
        return 0;
    struct span inner = { s.p + 1, (size_t)(end - s.p) - 1 };
    bool valid = (inner.p[0] | 0x20) == 'v' ? future_valid(inner) : ipv6_valid(inner);
    return valid ? inner.n + 2 : 0;
}

static size_t name_length(struct span s)
{
    size_t i = 0;
    for (; i < s.n && http_is(s.p[i], CLASS_HOST); i++)
        if (s.p[i] == '%' && (s.n - i < 3 || http_hex(s.p[i + 1]) < 0 || http_hex(s.p[i + 2]) < 0))
            return 0;
    return i;
}

/* uri-host [ ":" port ], RFC 9110 section 7.2; *host: without the port.  An empty host names no http resource
 * (section 4.2.1) and is refused. */
static bool authority_valid(struct span s, struct span *host)
{
    size_t n = s.n > 0 && s.p[0] == '[' ? literal_length(s) : name_length(s);
    *host = (struct span){ s.p, n };
    return n > 0 && port_length(span_skip(s, n)) >= 0;
}

struct span http_host(const struct http_request *r)
{
    struct span host = { NULL, 0 };
    if (r->authority.n > 0)
        authority_valid(r->authority, &host);
    else if (http_has(r, FIELD_HOST))
        authority_valid(r->value[FIELD_HOST], &host);
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;               /* a fully qualified name */
    return host;
}

static unsigned judge_host(const struct http_request *r)
{
    struct span host;
    if (!http_has(r, FIELD_HOST))
        return r->minor == 0 ? 0 : 400;
    if ((r->repeated & FIELD_BIT(FIELD_HOST)) != 0 || !authority_valid(r->value[FIELD_HOST], &host))
        return 400;
    return 0;
}

/* One line of Transfer-Encoding; *chunked: the coding before it, then its last one, is chunked.  False: in doubt,
 * since nothing may come behind chunked, and whom an empty element means nobody knows. */
static bool codings_clear(struct span list, bool *chunked)
{
    struct span coding;
    if (list.n == 0 || list_blank(list.p[0]) || list_blank(list.p[list.n - 1]))
        return false;
    while (http_next_element(&list, &coding)) {
        if (*chunked)
            return false;
        *chunked = span_equal_nocase(coding, SPAN("chunked"));
    }
    return list.n == 0;
}

/* RFC 9112 section 6.1.  Only chunked, once and alone, is understood. */
static unsigned judge_coding(struct http_request *r)
{
    struct span fields = r->fields, list = r->value[FIELD_TRANSFER_ENCODING];
    bool repeated = (r->repeated & FIELD_BIT(FIELD_TRANSFER_ENCODING)) != 0, chunked = false;
    if (http_has(r, FIELD_CONTENT_LENGTH) || r->minor == 0)
        return 400;
    if (!repeated && span_equal_nocase(list, SPAN("chunked"))) {
        r->chunked = true;
        return 0;
    }
    while (http_next_field(&fields, FIELD_TRANSFER_ENCODING, &list))
        if (!codings_clear(list, &chunked))
            return 400;
    return chunked ? 501 : 400;
}

/* Digits only; what does not fit is saturated, so that a limit refuses it. */
static unsigned judge_length(struct http_request *r)
{
    struct span s = r->value[FIELD_CONTENT_LENGTH];
    if (s.n == 0 || (r->repeated & FIELD_BIT(FIELD_CONTENT_LENGTH)) != 0)
        return 400;
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - '0';
        if (digit > 9)
            return 400;
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    r->length = value;
    return 0;
}

static void judge_option(struct span list, bool *close, bool *keep_alive)
{
    struct span option;
    while (http_next_element(&list, &option)) {
        *close |= span_equal_nocase(option, SPAN("close"));
        *keep_alive |= span_equal_nocase(option, SPAN("keep-alive"));
    }
}

/* RFC 9112 section 9.3. */
static void judge_connection(struct http_request *r)
{
    bool close = false, keep_alive = false;
    struct span fields = r->fields, value;
    if ((r->repeated & FIELD_BIT(FIELD_CONNECTION)) == 0)
        judge_option(r->value[FIELD_CONNECTION], &close, &keep_alive);
    else
        while (http_next_field(&fields, FIELD_CONNECTION, &value))
            judge_option(value, &close, &keep_alive);
    r->keep_alive = !close && (keep_alive || r->minor > 0);
}

/* RFC 9110 section 10.1.1.  HTTP/1.0 knows no interim replies: ignored there. */
static enum http_expect judge_expect(const struct http_request *r)
{
    struct span fields = r->fields, list, expectation;
    enum http_expect expect = EXPECT_NOTHING;
    if (r->minor == 0)
        return EXPECT_NOTHING;
    while (http_next_field(&fields, FIELD_EXPECT, &list))
        while (http_next_element(&list, &expectation)) {
            if (!span_equal_nocase(expectation, SPAN("100-continue")))
                return EXPECT_UNKNOWN;
            expect = EXPECT_CONTINUE;
        }
    return expect;
}

/* A path and a query.  What RFC 3986 keeps out of a path refuses the request (RFC 9112 section 3), but for what
 * browsers send all the same; a query means nothing here and may be anything that a target may. */
static unsigned judge_path(struct http_request *r, struct span s)
{
    size_t n = 0;
    while (n < s.n && http_is(s.p[n], CLASS_PATH | CLASS_PERCENT | CLASS_PATH_TOO))
        n++;
    r->path = (struct span){ s.p, n };
    r->query = span_skip(s, n);
    return n < s.n && s.p[n] != '?' ? 400 : 0;
}

/* absolute-form, RFC 9112 section 3.2.2.  https on a connection that is not secured: RFC 9110 section 7.4. */
static unsigned judge_absolute(struct http_request *r)
{
    struct span s = r->target, host, http = SPAN("http://"), https = SPAN("https://");
    if (s.n >= https.n && strncasecmp(s.p, https.p, https.n) == 0)
        return 421;
    if (s.n < http.n || strncasecmp(s.p, http.p, http.n) != 0)
        return 400;
    s = span_skip(s, http.n);
    size_t n = 0;
    while (n < s.n && s.p[n] != '/' && s.p[n] != '?')
        n++;
    r->authority = (struct span){ s.p, n };
    if (!authority_valid(r->authority, &host))
        return 400;
    unsigned status = judge_path(r, span_skip(s, n));
    if (r->path.n == 0)
        r->path = SPAN("/");
    return status;
}

/* authority-form belongs to CONNECT, which is refused later, as a method. */
static unsigned judge_connect(struct http_request *r)
{
    struct span host, port;
    if (!authority_valid(r->target, &host))
        return 400;
    port = span_skip(r->target, host.n);
    return port.n < 2 ? 400 : 0;
}

static unsigned judge_target(struct http_request *r)
{
    if (r->method == METHOD_CONNECT)
        return judge_connect(r);
    if (r->target.p[0] == '/')
        return judge_path(r, r->target);
    if (r->target.n == 1 && r->target.p[0] == '*') {
        r->asterisk = true;
        return r->method == METHOD_OPTIONS ? 0 : 400;
    }
    return judge_absolute(r);
}

/* hot */
unsigned http_judge(struct http_request *r)
{
    unsigned status;
    r->length = 0;
    r->chunked = r->asterisk = false;
    r->expect = EXPECT_NOTHING;
    r->keep_alive = r->minor > 0;
    r->authority.n = r->query.n = 0;
    if (r->major != 1)
        return 505;
    status = judge_host(r);
    if (status == 0 && http_has(r, FIELD_TRANSFER_ENCODING))
        status = judge_coding(r);
    else if (status == 0 && http_has(r, FIELD_CONTENT_LENGTH))
        status = judge_length(r);
    if (http_has(r, FIELD_CONNECTION))
        judge_connection(r);
    if (http_has(r, FIELD_EXPECT))
        r->expect = (uint8_t)judge_expect(r);
    if (status != 0)
        return status;
    if (r->plain && r->method != METHOD_CONNECT) {
        r->path = r->target;
        return 0;
    }
    return judge_target(r);
}
