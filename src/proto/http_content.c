/* SPDX-License-Identifier: BSD-2-Clause */
/* From a file that was found to a reply: its fields, conditions, ranges.  The fields of the plain 200 are noted with
 * the file, so that most replies are three copies.  Contents are never read here: they are copied from memory, lent,
 * or queued as ranges. */
#include "proto/http_internal.h"

#include "base/fmt.h"

enum {
    STRONG_DATE_S = 2,          /* since then: Last-Modified, in seconds, hides no change (RFC 9110 section 8.8.2.2) */
    SETTLED_MS = 100,           /* since its last change: no other one hides behind the same time stamp, which is a tick
                                 * of some kernel at most; */
    SETTLED_COARSE_MS = 2000,   /* where stamps are whole seconds, or two */
    ETAG_MAX = 3 * FMT_HEX_MAX + 11,    /* W/"mtime-size-inode-coding" */
    FIELDS_MAX = 512            /* bytes of all fields of a file's reply; a media type has at most 127 */
};

/* hot */
void http_content_send(struct http_exchange *x, struct span fields, struct file *taken, struct http_part part)
{
    bool body = !x->head_only && part.n > 0;
    size_t copied = body && taken->bytes != NULL && part.n <= HTTP_COPY_MAX ? (size_t)part.n : 0;
    char *p = http_head_begin(x, x->status, fields.n + copied);
    if (p != NULL) {
        memcpy(p, fields.p, fields.n);
        p += fields.n;
        if (copied > 0)
            memcpy(p, taken->bytes + part.first, copied);
        http_head_end(x, p + copied);
    }
    x->body_bytes = body ? part.n : 0;
    if (!body || copied > 0 || p == NULL)
        file_unref(taken);
    else if (taken->bytes != NULL)
        outq_lend(x->out, (struct span){ taken->bytes + part.first, (size_t)part.n }, taken);
    else
        outq_file(x->out, taken, (off_t)part.first, (size_t)part.n);
}

static bool stamp_settled(const struct env *e, const struct file *f)
{
    int64_t age_ms = (int64_t)(e->now_s - f->mtime_s) * 1000 + (int64_t)e->now_part_ms - f->mtime_ns / 1000000;
    return age_ms >= (f->mtime_ns != 0 ? SETTLED_MS : SETTLED_COARSE_MS);
}

/* Strong only when no second change can hide in the same time stamp (RFC 9110 section 8.8.1).  What is coded says so:
 * a sibling may be a link to the file itself. */
static size_t etag_write(char *to, const struct file *f, uint8_t coding, bool strong)
{
    char *p = to;
    if (!strong)
        p = http_head_put(p, SPAN("W/"));
    *p++ = '"';
    p += fmt_hex(p, (uint64_t)f->mtime_s * 1000000000u + (uint64_t)f->mtime_ns);
    *p++ = '-';
    p += fmt_hex(p, f->size);
    *p++ = '-';
    p += fmt_hex(p, f->inode);
    if (coding != HTTP_CODINGS) {
        *p++ = '-';
        p = http_head_put(p, http_coding_name(coding));
    }
    *p++ = '"';
    return (size_t)(p - to);
}

/* A field, if there is something to say. */
static char *known_add(char *p, struct span name, struct span value)
{
    if (value.n == 0)
        return p;
    p = http_head_put(p, name);
    p = http_head_put(p, value);
    return http_head_put(p, SPAN("\r\n"));
}

static char *modified_put(char *p, const struct http_validator *v)
{
    if ((v->removed & HTTP_REMOVE_LAST_MODIFIED) != 0)
        return p;
    p = http_head_put(p, SPAN("Last-Modified: "));
    fmt_http_date(p, v->modified_s);
    return http_head_put(p + FMT_HTTP_DATE_SIZE, SPAN("\r\n"));
}

/* What the head of a reply says about a representation. */
struct shown {
    const struct http_validator *v;
    struct span type, content_range, coding, vary;
    uint64_t    length;
    bool        dated;          /* Last-Modified */
};

/* All fields of a 200 or, with content_range, of a 206; returns their length. */
static size_t fields_write(char *to, const struct shown *s)
{
    unsigned removed = s->v->removed;
    char *p = known_add(to, SPAN("Content-Type: "), s->type);
    p = http_head_number(p, SPAN("Content-Length: "), s->length);
    p = known_add(p, SPAN("Content-Range: "), s->content_range);
    p = known_add(p, SPAN("Content-Encoding: "), s->coding);
    if (s->dated)
        p = modified_put(p, s->v);
    if ((removed & HTTP_REMOVE_ETAG) == 0)
        p = known_add(p, SPAN("ETag: "), s->v->etag);
    p = known_add(p, SPAN("Vary: "), s->vary);
    if ((removed & HTTP_REMOVE_ACCEPT_RANGES) == 0)
        p = http_head_put(p, SPAN("Accept-Ranges: bytes\r\n"));
    return (size_t)(http_head_put(p, SPAN("\r\n")) - to);
}

/* Which of the replies that differ only by what the client accepts. */
static uint8_t note_kind(const struct http_content *c)
{
    return c->varies ? (uint8_t)(c->coding + 1) : 0;
}

static void reply_whole(struct http_exchange *x, struct http_content *c, struct shown *s)
{
    char fields[FIELDS_MAX];
    struct file *f = c->file;
    s->length = f->size;
    size_t n = fields_write(fields, s);
    if (s->v->strong && n <= sizeof f->note) {
        memcpy(f->note, fields, n);
        f->note_n = (uint16_t)n;
        f->note_kind = note_kind(c);
    }
    x->status = 200;
    http_content_send(x, (struct span){ fields, n }, f, (struct http_part){ 0, f->size });
}

static void reply_part(struct http_exchange *x, struct file *taken, const struct shown *whole, struct http_part part)
{
    char fields[FIELDS_MAX], range[HTTP_CONTENT_RANGE_MAX];
    struct shown s = *whole;
    size_t n = http_content_range_put(range, part, taken->size);
    s.content_range = (struct span){ range, n };
    s.length = part.n;
    n = fields_write(fields, &s);
    x->status = 206;
    http_content_send(x, (struct span){ fields, n }, taken, part);
}

static void reply_multipart(struct http_exchange *x, struct file *taken, const struct shown *whole,
                            const struct http_parts *parts)
{
    char fields[FIELDS_MAX], type[sizeof "multipart/byteranges; boundary=" + HTTP_BOUNDARY_SIZE], *p;
    struct http_multipart m = { .type = whole->type, .size = taken->size, .parts = parts };
    struct shown s = *whole;
    http_multipart_mark(&m, x->env, taken);
    p = http_head_put(type, SPAN("multipart/byteranges; boundary="));
    p = http_head_put(p, (struct span){ m.boundary, HTTP_BOUNDARY_SIZE });
    s.type = (struct span){ type, (size_t)(p - type) };
    s.length = http_multipart_length(&m);
    size_t n = fields_write(fields, &s);
    http_head_end(x, http_head_put(http_head_begin(x, 206, n), (struct span){ fields, n }));
    x->body_bytes = s.length;
    http_multipart_queue(x->out, &m, taken);
}

static void reply_unsatisfiable(struct http_exchange *x, struct file *taken)
{
    char range[HTTP_CONTENT_RANGE_MAX], *p = http_head_put(range, SPAN("bytes */"));
    p += fmt_u64(p, taken->size);
    file_unref(taken);
    x->content_range = (struct span){ range, (size_t)(p - range) };
    http_reply_status(x, 416);
}

/* No more than RFC 9110 section 15.4.5 asks for: the client has the rest. Last-Modified is for want of an entity tag. */
static void reply_unmodified(struct http_exchange *x, struct file *taken, const struct shown *s)
{
    file_unref(taken);
    char *p = http_head_begin(x, 304, FIELDS_MAX);
    if (p != NULL) {
        if ((s->v->removed & HTTP_REMOVE_ETAG) == 0)
            p = known_add(p, SPAN("ETag: "), s->v->etag);
        else
            p = modified_put(p, s->v);
        p = known_add(p, SPAN("Vary: "), s->vary);
        p = http_head_put(p, SPAN("\r\n"));
    }
    http_head_end(x, p);
}

/* The Range field counts for GET alone (RFC 9110 section 14.2). */
static enum http_range parts_asked(const struct http_exchange *x, const struct file *f,
                                   const struct http_validator *v, struct http_parts *parts)
{
    const struct http_request *r = x->request;
    if (r->method != METHOD_GET || !http_has(r, FIELD_RANGE) || (r->repeated & FIELD_BIT(FIELD_RANGE)) != 0 ||
        !http_if_range(r, v, x->env->now_s))
        return RANGE_NONE;
    return http_range_parse(r->value[FIELD_RANGE], f->size, parts);
}

/* Who sent If-Range has the fields of the whole (RFC 9110 section 15.3.7); the media type stays, for clients that
 * look at bytes when they get none. */
static void reply_parts(struct http_exchange *x, struct file *taken, struct shown *s,
                        const struct http_parts *parts)
{
    s->dated = !http_has(x->request, FIELD_IF_RANGE);
    if (parts->count == 1)
        reply_part(x, taken, s, parts->v[0]);
    else
        reply_multipart(x, taken, s, parts);
}

/* What the note cannot answer: the first reply, conditions, ranges, and files that are still young. */
static void content_reply_anew(struct http_exchange *x, struct http_content *c, bool strong)
{
    struct file *f = c->file;
    time_t now = x->env->now_s, modified = f->mtime_s < now ? f->mtime_s : now;
    char etag[ETAG_MAX];
    struct http_validator v = { .etag = { etag, etag_write(etag, f, c->coding, strong) },
                                .modified_s = modified > 0 ? modified : 0, .strong = strong,
                                .strong_date = now - f->mtime_s >= STRONG_DATE_S,
                                .removed = http_fields_removed(x) };
    struct shown s = { .v = &v, .type = mime_type(x->site->mime, c->name), .dated = true,
                       .coding = http_coding_name(c->coding), .vary = x->vary };
    struct http_parts parts;

    unsigned status = http_precondition(x->request, &v, now);
    if (status == 304) {
        reply_unmodified(x, f, &s);
        return;
    }
    if (status != 0) {
        file_unref(f);
        http_reply_status(x, status);
        return;
    }
    enum http_range asked = parts_asked(x, f, &v, &parts);
    if (asked == RANGE_NONE)
        reply_whole(x, c, &s);
    else if (asked == RANGE_SOME)
        reply_parts(x, f, &s, &parts);
    else
        reply_unsatisfiable(x, f);
}

/* hot */
void http_content_reply(struct http_exchange *x, struct http_content *taken)
{
    struct file *f = taken->file;
    bool strong = stamp_settled(x->env, f);
    if (strong && f->note_n > 0 && f->note_kind == note_kind(taken) && (x->request->seen & CONDITIONS) == 0) {
        x->status = 200;
        http_content_send(x, (struct span){ f->note, f->note_n }, f, (struct http_part){ 0, f->size });
        return;
    }
    content_reply_anew(x, taken, strong);
}
