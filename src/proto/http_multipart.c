/* SPDX-License-Identifier: BSD-2-Clause */
/* Several parts of one file in one reply: multipart/byteranges, RFC 9110 sections 14.6 and 15.3.7.2.  Heads of parts
 * are copied, contents are lent or queued as ranges of the file; the length is known before anything is queued. */
#include "proto/http_internal.h"

#include "base/fmt.h"
#include "base/random.h"

enum {
    PART_HEAD_MAX = 512,        /* bytes; a media type has at most 127 */
    PART_COPY_MAX = 512         /* bytes of content in memory that are copied between two heads: cheaper than a piece */
};

size_t http_content_range_put(char *to, struct http_part part, uint64_t size)
{
    char *p = http_head_put(to, SPAN("bytes "));
    p += fmt_u64(p, part.first);
    *p++ = '-';
    p += fmt_u64(p, part.first + part.n - 1);
    *p++ = '/';
    p += fmt_u64(p, size);
    return (size_t)(p - to);
}

/* The key is the worker's own, and the time is too short for anybody to see the boundary and put it into the file. */
void http_multipart_mark(struct http_multipart *m, const struct env *e, const struct file *f)
{
    static const char digit[] = "0123456789abcdef";
    uint64_t about[] = { e->now_ms, (uint64_t)f->mtime_s, (uint64_t)f->mtime_ns, f->inode, f->size, 0 };
    for (unsigned i = 0; i < HTTP_BOUNDARY_SIZE; i += 16) {
        about[5] = i;
        uint64_t hash = random_hash(e->secret, about, sizeof about);
        for (unsigned at = 0; at < 16; at++, hash >>= 4)
            m->boundary[i + at] = digit[hash & 15];
    }
}

static size_t part_head_put(char *to, const struct http_multipart *m, unsigned i)
{
    char *p = http_head_put(to, i == 0 ? SPAN("--") : SPAN("\r\n--"));
    p = http_head_put(p, (struct span){ m->boundary, HTTP_BOUNDARY_SIZE });
    p = http_head_put(p, SPAN("\r\nContent-Type: "));
    p = http_head_put(p, m->type);
    p = http_head_put(p, SPAN("\r\nContent-Range: "));
    p += http_content_range_put(p, m->parts->v[i], m->size);
    return (size_t)(http_head_put(p, SPAN("\r\n\r\n")) - to);
}

static size_t multipart_end_put(char *to, const struct http_multipart *m)
{
    char *p = http_head_put(to, SPAN("\r\n--"));
    p = http_head_put(p, (struct span){ m->boundary, HTTP_BOUNDARY_SIZE });
    return (size_t)(http_head_put(p, SPAN("--\r\n")) - to);
}

uint64_t http_multipart_length(const struct http_multipart *m)
{
    char scratch[PART_HEAD_MAX];
    uint64_t n = multipart_end_put(scratch, m);
    for (unsigned i = 0; i < m->parts->count; i++)
        n += part_head_put(scratch, m, i) + m->parts->v[i].n;
    return n;
}

static void part_queue(struct outq *q, struct http_part part, struct file *f)
{
    if (f->bytes == NULL)
        outq_file(q, file_ref(f), (off_t)part.first, (size_t)part.n);
    else if (part.n <= PART_COPY_MAX)
        outq_put(q, (struct span){ f->bytes + part.first, (size_t)part.n });
    else
        outq_lend(q, (struct span){ f->bytes + part.first, (size_t)part.n }, file_ref(f));
}

void http_multipart_queue(struct outq *q, const struct http_multipart *m, struct file *taken)
{
    char text[PART_HEAD_MAX];
    for (unsigned i = 0; i < m->parts->count; i++) {
        outq_put(q, (struct span){ text, part_head_put(text, m, i) });
        part_queue(q, m->parts->v[i], taken);
    }
    outq_put(q, (struct span){ text, multipart_end_put(text, m) });
    file_unref(taken);
}
