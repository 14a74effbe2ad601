/* SPDX-License-Identifier: BSD-2-Clause */
/* Files: from a path beneath a root to a reply.  The fields of the plain 200 are noted with the file, so
 * that most replies are three copies.  Contents are never read here: they are copied from memory, lent, or
 * queued as a range. */
#include "proto/http_internal.h"

#include <errno.h>

#include "base/fmt.h"
#include "base/log.h"

enum {
    YOUNG_S = 2,                /* since its last change: another one could hide behind the same time stamp */
    ETAG_MAX = 3 * FMT_HEX_MAX + 6,     /* W/"mtime-size-inode" */
    FIELDS_MAX = 512            /* bytes of all fields of a file's reply; a media type has at most 127 */
};

/* The part of a file that is sent. */
struct part {
    uint64_t first, n;
};

/* hot.  Takes over the file. */
static void file_send(struct http_exchange *x, struct span fields, struct file *taken, struct part part)
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

/* Strong only when no second change can hide in the same time stamp (RFC 9110 section 8.8.1). */
static size_t etag_write(char *to, const struct file *f, bool strong)
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
    *p++ = '"';
    return (size_t)(p - to);
}

static char *validator_put(char *p, const struct http_validator *v)
{
    if ((v->removed & HTTP_REMOVE_LAST_MODIFIED) == 0) {
        p = http_head_put(p, SPAN("Last-Modified: "));
        fmt_http_date(p, v->modified_s);
        p = http_head_put(p + FMT_HTTP_DATE_SIZE, SPAN("\r\n"));
    }
    if ((v->removed & HTTP_REMOVE_ETAG) != 0)
        return p;
    p = http_head_put(p, SPAN("ETag: "));
    p = http_head_put(p, v->etag);
    return http_head_put(p, SPAN("\r\n"));
}

/* All fields of a 200 or, with content_range, of a 206; returns their length. */
static size_t fields_write(char *to, struct span type, uint64_t length, const struct http_validator *v,
                           struct span content_range)
{
    char *p = http_head_put(to, SPAN("Content-Type: "));
    p = http_head_put(p, type);
    p = http_head_put(p, SPAN("\r\n"));
    p = http_head_number(p, SPAN("Content-Length: "), length);
    p = validator_put(p, v);
    if ((v->removed & HTTP_REMOVE_ACCEPT_RANGES) == 0)
        p = http_head_put(p, SPAN("Accept-Ranges: bytes\r\n"));
    if (content_range.n > 0) {
        p = http_head_put(p, SPAN("Content-Range: "));
        p = http_head_put(p, content_range);
        p = http_head_put(p, SPAN("\r\n"));
    }
    p = http_head_put(p, SPAN("\r\n"));
    return (size_t)(p - to);
}

static void reply_whole(struct http_exchange *x, struct file *taken, struct span type,
                        const struct http_validator *v)
{
    char fields[FIELDS_MAX];
    size_t n = fields_write(fields, type, taken->size, v, SPAN(""));
    if (v->strong && n <= sizeof taken->note) {
        memcpy(taken->note, fields, n);
        taken->note_n = (uint16_t)n;
    }
    x->status = 200;
    file_send(x, (struct span){ fields, n }, taken, (struct part){ 0, taken->size });
}

enum { CONTENT_RANGE_MAX = 3 * FMT_U64_MAX + 16 };      /* bytes F-L/N */

static void reply_part(struct http_exchange *x, struct file *taken, struct span type,
                       const struct http_validator *v, struct part part)
{
    char fields[FIELDS_MAX], range[CONTENT_RANGE_MAX], *p = range;
    p = http_head_put(p, SPAN("bytes "));
    p += fmt_u64(p, part.first);
    *p++ = '-';
    p += fmt_u64(p, part.first + part.n - 1);
    *p++ = '/';
    p += fmt_u64(p, taken->size);
    size_t n = fields_write(fields, type, part.n, v, (struct span){ range, (size_t)(p - range) });
    x->status = 206;
    file_send(x, (struct span){ fields, n }, taken, part);
}

static void reply_unsatisfiable(struct http_exchange *x, struct file *taken)
{
    char range[CONTENT_RANGE_MAX], *p = http_head_put(range, SPAN("bytes */"));
    p += fmt_u64(p, taken->size);
    file_unref(taken);
    x->content_range = (struct span){ range, (size_t)(p - range) };
    http_reply_status(x, 416);
}

static void reply_unmodified(struct http_exchange *x, struct file *taken, const struct http_validator *v)
{
    file_unref(taken);
    char *p = http_head_begin(x, 304, FIELDS_MAX);
    if (p != NULL)
        p = http_head_put(validator_put(p, v), SPAN("\r\n"));
    http_head_end(x, p);
}

/* The Range field counts for GET alone (RFC 9110 section 14.2). */
static enum http_range range_asked(const struct http_exchange *x, const struct file *f,
                                   const struct http_validator *v, struct part *part)
{
    const struct http_request *r = x->request;
    uint64_t last = 0;
    if (r->method != METHOD_GET || !http_has(r, FIELD_RANGE) || (r->repeated & FIELD_BIT(FIELD_RANGE)) != 0 ||
        !http_if_range(r, v, x->env->now_s))
        return RANGE_NONE;
    enum http_range asked = http_range_parse(r->value[FIELD_RANGE], f->size, &part->first, &last);
    part->n = asked == RANGE_ONE ? last - part->first + 1 : 0;
    return asked;
}

/* What the note cannot answer: the first reply, conditions, ranges, and files that are still young. */
static void file_reply_anew(struct http_exchange *x, struct file *taken, struct span name, bool strong)
{
    time_t now = x->env->now_s, modified = taken->mtime_s < now ? taken->mtime_s : now;
    char etag[ETAG_MAX];
    struct http_validator v = { .modified_s = modified > 0 ? modified : 0, .strong = strong,
                                .removed = http_fields_removed(x) };
    struct span type = mime_type(x->site->mime, name);
    struct part part;

    v.etag = (struct span){ etag, etag_write(etag, taken, strong) };
    unsigned status = http_precondition(x->request, &v, now);
    if (status == 304) {
        reply_unmodified(x, taken, &v);
        return;
    }
    if (status != 0) {
        file_unref(taken);
        http_reply_status(x, status);
        return;
    }
    enum http_range asked = range_asked(x, taken, &v, &part);
    if (asked == RANGE_NONE)
        reply_whole(x, taken, type, &v);
    else if (asked == RANGE_ONE)
        reply_part(x, taken, type, &v, part);
    else
        reply_unsatisfiable(x, taken);
}

/* hot */
static void file_reply(struct http_exchange *x, struct file *taken, struct span name)
{
    bool strong = x->env->now_s - taken->mtime_s >= YOUNG_S;
    if (strong && taken->note_n > 0 && (x->request->seen & CONDITIONS) == 0) {
        x->status = 200;
        file_send(x, (struct span){ taken->note, taken->note_n }, taken, (struct part){ 0, taken->size });
        return;
    }
    file_reply_anew(x, taken, name, strong);
}

/* Which status tells a client of this error?  What leads out of the root is not there, for all it may
 * know. */
static unsigned status_of_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case EINVAL:
    case ENAMETOOLONG:
        return 404;
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return 503;
    default:
        return 500;
    }
}

static void file_failed(struct http_exchange *x, struct span name, int error)
{
    unsigned status = status_of_error(error);
    if (status == 500) {
        struct log_about about = x->env->about;
        about.service = x->site->name;
        errno = error;
        log_errno(LOG_ERROR, &about, "%s: cannot open %.*s", x->site->name, (int)name.n, name.p);
    }
    http_reply_status(x, status);
}

/* A folder none of whose index files is there: not to be listed, if it is one. */
static void folder_unlisted(struct http_exchange *x, const struct http_route *route, struct span name)
{
    struct file *f = NULL;
    int error = EISDIR;
    if (name.n > 1) {
        f = file_get(x->env, route->root, (struct span){ name.p, name.n - 1 });
        error = f != NULL ? ENOTDIR : errno;
    }
    file_unref(f);
    if (error == EISDIR)
        http_reply_status(x, 403);
    else
        file_failed(x, name, error);
}

/* `name` ends with '/' or is empty. */
static void folder_answer(struct http_exchange *x, const struct http_route *route, struct span name)
{
    char joined[4096];          /* PATH_MAX: what the kernel takes */
    for (unsigned i = 0; i < route->index_count; i++) {
        struct span index = route->index[i];
        if (name.n + index.n > sizeof joined)
            continue;
        memcpy(joined, name.p, name.n);
        memcpy(joined + name.n, index.p, index.n);
        struct span path = { joined, name.n + index.n };
        struct file *f = file_get(x->env, route->root, path);
        if (f != NULL) {
            file_reply(x, f, path);
            return;
        }
        if (errno != ENOENT && errno != EISDIR && errno != ENOTDIR) {
            file_failed(x, path, errno);
            return;
        }
    }
    folder_unlisted(x, route, name);
}

/* hot */
void http_file_answer(struct http_exchange *x, const struct http_route *route, struct span path)
{
    struct span name = span_skip(path, 1);
    if (name.n == 0 || name.p[name.n - 1] == '/') {
        folder_answer(x, route, name);
        return;
    }
    struct file *f = file_get(x->env, route->root, name);
    if (f != NULL)
        file_reply(x, f, name);
    else if (errno == EISDIR)
        http_reply_moved(x, path);
    else
        file_failed(x, name, errno);
}
