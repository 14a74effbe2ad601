/* SPDX-License-Identifier: BSD-2-Clause */
/* Access lines as text.  Owns nothing but its forms; writes where it is told to.
 *
 * Nobody's input can forge a line or a field.  In a text with fields, and in `combined`, which is one, every byte
 * outside printable ASCII is \xNN, and so are quotes and backslashes.  A field between quotes ends at the next
 * quote.  Outside of quotes blanks are escaped too; so are the byte that the form has right behind the field, so
 * that the field ends there, and whatever else stands between fields and not in most values, so that a line can
 * be split.
 * In `json` valid UTF-8 stays as it is; a byte that is not part of valid UTF-8 becomes the character of its
 * number, \u0080 to \u00ff (so a reader sees Latin-1 where a client sent Latin-1). */
#include "core/access_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmt.h"
#include "base/template.h"
#include "base/utf8.h"
#include "core/access.h"

enum field {
    FIELD_LITERAL, FIELD_PEER, FIELD_PORT, FIELD_USER, FIELD_TIME, FIELD_TIME_LOCAL, FIELD_METHOD, FIELD_TARGET,
    FIELD_PATH, FIELD_QUERY, FIELD_VERSION, FIELD_REQUEST, FIELD_HOST, FIELD_STATUS, FIELD_BYTES,
    FIELD_DURATION_US, FIELD_REFERER, FIELD_AGENT, FIELD_SERVICE, FIELD_MODEL, FIELD_WORKER,
    FIELD_CONNECTION_REQUESTS
};

/* In the order of enum field, from FIELD_PEER on. */
const char *const access_field_names[] = {
    "peer", "port", "user", "time", "time_local", "method", "target", "path", "query", "version", "request", "host",
    "status", "bytes", "duration_us", "referer", "agent", "service", "model", "worker", "connection_requests", NULL
};

enum {
    NUMBERS_MAX = 64,           /* bytes of a field that is no text: an address is the longest */
    ESCAPED = 4, ESCAPED_JSON = 6,      /* bytes that one byte of text may need: \xNN, \u00NN */
    NAME_MAX_BYTES = 256,       /* of a service, a model or a worker, that a line shows */
    JSON_FRAME = 640,           /* bytes of a line beside its texts: field names, numbers, date, address */
    PIECES_MAX = 128
};

struct piece {
    struct span literal;        /* FIELD_LITERAL: a piece of the form's text */
    uint8_t     field;          /* enum field */
    bool        quoted;         /* it stands between quotes */
    uint8_t     end;            /* the byte behind a field that does not; 0: none that could end it */
};

struct access_form {
    bool         json;
    unsigned     count;
    size_t       line_max;
    struct piece pieces[PIECES_MAX];
    bool         quoted[256], bare[256];    /* which bytes of texts are escaped, between quotes and outside */
    char         text[];
};

_Static_assert(JSON_FRAME + ESCAPED_JSON * (ACCESS_TEXT_MAX + 3 * NAME_MAX_BYTES) <= ACCESS_LINE_MAX, "any line fits");

/* ---- the texts of a record ---- */

/* In the order in which they stand in it. */
struct access_texts {
    struct span method, target, version, referer, agent, host, user;
};

/* A line shows at most `max` bytes of it. */
static struct span next_text(const char **p, uint16_t n, size_t max)
{
    struct span s = { *p, n < max ? n : max };
    *p += n;
    return s;
}

static struct access_texts texts_of(const struct access *a)
{
    const char *p = a->text;
    struct access_texts t;
    t.method = next_text(&p, a->method_n, ACCESS_METHOD_MAX);
    t.target = next_text(&p, a->target_n, ACCESS_TARGET_MAX);
    t.version = next_text(&p, a->version_n, ACCESS_VERSION_MAX);
    t.referer = next_text(&p, a->referer_n, ACCESS_REFERER_MAX);
    t.agent = next_text(&p, a->agent_n, ACCESS_AGENT_MAX);
    t.host = next_text(&p, a->host_n, ACCESS_HOST_MAX);
    t.user = next_text(&p, a->user_n, ACCESS_USER_MAX);
    return t;
}

static struct span name_of(const char *name)
{
    struct span s = span_of(name);
    return (struct span){ s.p, s.n < NAME_MAX_BYTES ? s.n : NAME_MAX_BYTES };
}

/* What stands before the path: "http://host" of an absolute-form target. */
static size_t path_start(struct span target)
{
    const char *slashes = memmem(target.p, target.n, "://", 3);
    if (target.p[0] == '/' || slashes == NULL)
        return 0;
    size_t n = (size_t)(slashes - target.p) + 3;
    while (n < target.n && target.p[n] != '/' && target.p[n] != '?')
        n++;
    return n;
}

static size_t query_start(struct span target)
{
    const char *q = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
    return q != NULL ? (size_t)(q - target.p) : target.n;
}

static struct span path_of(struct span target)
{
    size_t end = query_start(target), start = end > 0 ? path_start((struct span){ target.p, end }) : 0;
    return (struct span){ target.p + start, end - start };
}

static struct span text_of(const struct access_facts *facts, enum field field)
{
    struct access_texts t = texts_of(facts->reply);
    switch (field) {
    case FIELD_USER:    return t.user;
    case FIELD_METHOD:  return t.method;
    case FIELD_TARGET:  return t.target;
    case FIELD_PATH:    return path_of(t.target);
    case FIELD_QUERY:   return span_skip(t.target, query_start(t.target));
    case FIELD_VERSION: return t.version;
    case FIELD_HOST:    return t.host;
    case FIELD_REFERER: return t.referer;
    case FIELD_AGENT:   return t.agent;
    case FIELD_SERVICE: return name_of(facts->reply->service);
    case FIELD_MODEL:   return name_of(facts->source->model);
    case FIELD_WORKER:  return name_of(facts->source->worker);
    default:            return SPAN("");
    }
}

/* ---- a form ---- */

/* Bytes of a field's text at most; 0: it is no text. */
static size_t field_text_max(enum field field)
{
    switch (field) {
    case FIELD_USER:    return ACCESS_USER_MAX;
    case FIELD_METHOD:  return ACCESS_METHOD_MAX;
    case FIELD_VERSION: return ACCESS_VERSION_MAX;
    case FIELD_TARGET: case FIELD_PATH: case FIELD_QUERY:
        return ACCESS_TARGET_MAX;
    case FIELD_REQUEST: return ACCESS_METHOD_MAX + ACCESS_TARGET_MAX + ACCESS_VERSION_MAX;
    case FIELD_HOST:    return ACCESS_HOST_MAX;
    case FIELD_REFERER: return ACCESS_REFERER_MAX;
    case FIELD_AGENT:   return ACCESS_AGENT_MAX;
    case FIELD_SERVICE: case FIELD_MODEL: case FIELD_WORKER:
        return NAME_MAX_BYTES;
    default:            return 0;
    }
}

static size_t form_line_max(const struct access_form *f)
{
    size_t n = 1;
    for (unsigned i = 0; i < f->count; i++) {
        const struct piece *p = &f->pieces[i];
        n += p->field == FIELD_LITERAL ? p->literal.n : NUMBERS_MAX + ESCAPED * field_text_max(p->field);
    }
    return n;
}

static bool letter_or_digit(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* Bytes of addresses, paths and names: they separate only what stands right in front of them. */
static bool is_common(unsigned char byte)
{
    return letter_or_digit(byte) || (byte != '\0' && strchr("-._~/:", byte) != NULL);
}

static void escape_tables(struct access_form *f)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        f->quoted[byte] = byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\';
        f->bare[byte] = f->quoted[byte] || byte == ' ';
    }
    for (unsigned i = 0; i < f->count; i++) {
        struct span s = f->pieces[i].literal;
        for (size_t j = 0; j < s.n; j++)
            f->bare[(unsigned char)s.p[j]] |= !is_common((unsigned char)s.p[j]);
        if (i > 0 && s.n > 0 && !letter_or_digit((unsigned char)s.p[0]))
            f->pieces[i - 1].end = (uint8_t)s.p[0];
    }
}

static bool quotes_flip(struct span s, bool quoted)
{
    for (size_t i = 0; i < s.n; i++)
        quoted ^= s.p[i] == '"';
    return quoted;
}

/* 0, or what is wrong with the text. */
static int form_compile(struct access_form *f, struct span text)
{
    enum template_kind kind;
    struct span s;
    bool quoted = false;
    while ((kind = template_next(&text, &s)) != TEMPLATE_END) {
        int field = kind == TEMPLATE_VARIABLE ? template_find(access_field_names, s) : -1;
        if (kind == TEMPLATE_BAD || (kind == TEMPLATE_VARIABLE && field == -1))
            return EINVAL;
        if (f->count == PIECES_MAX)
            return EMSGSIZE;
        struct piece *p = &f->pieces[f->count++];
        *p = (struct piece){ .field = (uint8_t)(field + 1), .quoted = quoted };
        if (kind == TEMPLATE_TEXT) {
            p->literal = s;
            quoted = quotes_flip(s, quoted);
        }
    }
    escape_tables(f);
    f->line_max = form_line_max(f);
    return f->line_max <= ACCESS_LINE_MAX ? 0 : EMSGSIZE;
}

static const char combined[] = "$peer - $user [$time_local] \"$request\" $status $bytes \"$referer\" \"$agent\"";

struct access_form *access_form_new(const char *text)
{
    if (strcmp(text, "combined") == 0)
        text = combined;
    size_t n = strlen(text);
    struct access_form *f = calloc(1, sizeof *f + n + 1);
    if (f == NULL)
        return NULL;
    f->json = strcmp(text, "json") == 0;
    memcpy(f->text, text, n);
    int error = form_compile(f, (struct span){ f->text, n });
    if (error == 0)
        return f;
    free(f);
    errno = error;
    return NULL;
}

void access_form_free(struct access_form *f)
{
    free(f);
}

/* ---- writing: room was made sure of ---- */

static char *put_bytes(char *p, struct span s)
{
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static char *put_literal(char *p, const char *word)
{
    return put_bytes(p, span_of(word));
}

static char *put_number(char *p, uint64_t value)
{
    return p + fmt_u64(p, value);
}

static char *put_hex_byte(char *p, const char *start, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    p = put_literal(p, start);
    *p++ = digits[byte >> 4];
    *p++ = digits[byte & 15];
    return p;
}

static char *put_peer(char *p, const struct peer *peer)
{
    char text[PEER_TEXT_SIZE];
    return put_bytes(p, (struct span){ text, peer_format_address(peer, text) });
}

/* Which bytes of a text are escaped. */
struct escape {
    const bool *table;          /* of 256; */
    uint8_t     end;            /* and this one, unless it is 0: a NUL always is */
};

/* "-" when it is empty. */
static char *put_text(char *p, struct span s, struct escape e)
{
    if (s.n == 0)
        *p++ = '-';
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        if (e.table[byte] || byte == e.end)
            p = put_hex_byte(p, "\\x", byte);
        else
            *p++ = (char)byte;
    }
    return p;
}

/* METHOD TARGET VERSION; "-" when nothing that looks like a request came. */
static char *put_request(char *p, const struct access *a, struct escape e)
{
    struct access_texts t = texts_of(a);
    if (t.method.n + t.target.n + t.version.n == 0)
        return put_literal(p, "-");
    p = put_text(p, t.method, e);
    *p++ = ' ';
    p = put_text(p, t.target, e);
    *p++ = ' ';
    return put_text(p, t.version, e);
}

static char *put_timestamp(char *p, time_t when)
{
    fmt_timestamp(p, when, 0);
    return p + FMT_TIMESTAMP_SIZE;
}

static char *put_clf_date(char *p, time_t when)
{
    fmt_clf_date(p, when);
    return p + FMT_CLF_DATE_SIZE;
}

static char *put_field(char *p, enum field field, const struct access_facts *facts, struct escape e)
{
    const struct access *a = facts->reply;
    switch (field) {
    case FIELD_PEER:                return put_peer(p, &a->peer);
    case FIELD_PORT:                return put_number(p, a->peer.port);
    case FIELD_TIME:                return put_timestamp(p, a->when_s);
    case FIELD_TIME_LOCAL:          return put_clf_date(p, a->when_s);
    case FIELD_REQUEST:             return put_request(p, a, e);
    case FIELD_STATUS:              return put_number(p, a->status);
    case FIELD_BYTES:               return put_number(p, a->body_bytes);
    case FIELD_DURATION_US:         return put_number(p, facts->duration_us);
    case FIELD_CONNECTION_REQUESTS: return put_number(p, a->nth);
    default:                        return put_text(p, text_of(facts, field), e);
    }
}

static char *put_form(char *p, const struct access_form *f, const struct access_facts *facts)
{
    for (unsigned i = 0; i < f->count; i++) {
        const struct piece *piece = &f->pieces[i];
        if (piece->field == FIELD_LITERAL)
            p = put_bytes(p, piece->literal);
        else
            p = put_field(p, piece->field, facts, piece->quoted ? (struct escape){ f->quoted, 0 }
                                                                : (struct escape){ f->bare, piece->end });
    }
    return p;
}

/* *taken: how many bytes of the text it was. */
static char *put_json_character(char *p, const char *at, const char *end, size_t *taken)
{
    size_t n = utf8_printable(at, end);
    if (n == 0) {
        *taken = utf8_length(at, end) == 2 ? 2 : 1;     /* U+0080 to U+009F: the second byte is the number */
        return put_hex_byte(p, "\\u00", (unsigned char)at[*taken - 1]);
    }
    *taken = n;
    if (*at == '"' || *at == '\\')
        *p++ = '\\';
    return put_bytes(p, (struct span){ at, n });
}

/* `before` ends with the quote that opens the text. */
static char *put_json_text(char *p, const char *before, struct span s)
{
    size_t taken;
    p = put_literal(p, before);
    for (size_t i = 0; i < s.n; i += taken)
        p = put_json_character(p, s.p + i, s.p + s.n, &taken);
    *p++ = '"';
    return p;
}

/* One object; every member is always there. */
static char *put_json(char *p, const struct access_facts *facts)
{
    const struct access *a = facts->reply;
    p = put_literal(p, "{\"time\":\"");
    p = put_timestamp(p, a->when_s);
    p = put_json_text(p, "\",\"service\":\"", text_of(facts, FIELD_SERVICE));
    p = put_json_text(p, ",\"model\":\"", text_of(facts, FIELD_MODEL));
    p = put_json_text(p, ",\"worker\":\"", text_of(facts, FIELD_WORKER));
    p = put_literal(p, ",\"peer\":\"");
    p = put_peer(p, &a->peer);
    p = put_json_text(p, "\",\"user\":\"", text_of(facts, FIELD_USER));
    p = put_json_text(p, ",\"method\":\"", text_of(facts, FIELD_METHOD));
    p = put_json_text(p, ",\"target\":\"", text_of(facts, FIELD_TARGET));
    p = put_json_text(p, ",\"version\":\"", text_of(facts, FIELD_VERSION));
    p = put_json_text(p, ",\"host\":\"", text_of(facts, FIELD_HOST));
    p = put_literal(p, ",\"status\":");
    p = put_number(p, a->status);
    p = put_literal(p, ",\"bytes\":");
    p = put_number(p, a->body_bytes);
    p = put_literal(p, ",\"duration_us\":");
    p = put_number(p, facts->duration_us);
    p = put_json_text(p, ",\"referer\":\"", text_of(facts, FIELD_REFERER));
    p = put_json_text(p, ",\"agent\":\"", text_of(facts, FIELD_AGENT));
    return put_literal(p, "}");
}

size_t access_line_max(const struct access_form *f, const struct access_facts *facts)
{
    const struct access *a = facts->reply;
    if (!f->json)
        return f->line_max;
    size_t text = (size_t)a->method_n + a->target_n + a->version_n + a->referer_n + a->agent_n + a->host_n + a->user_n;
    return JSON_FRAME + ESCAPED_JSON * (text + text_of(facts, FIELD_SERVICE).n + text_of(facts, FIELD_MODEL).n +
                                        text_of(facts, FIELD_WORKER).n);
}

char *access_line_put(char *to, const struct access_form *f, const struct access_facts *facts)
{
    char *p = f->json ? put_json(to, facts) : put_form(to, f, facts);
    *p++ = '\n';
    return p;
}
