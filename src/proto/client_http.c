/* SPDX-License-Identifier: BSD-2-Clause */
/* The asking side of HTTP/1.1 (RFC 9112): finds where each answer ends, and looks at what is in it.
 *
 *   HEAD -> (no content) | LENGTH | CHUNK_LINE -> CHUNK -> CHUNK_END -> CHUNK_LINE ... -> TRAILER | TO_END
 * A head, or the line of a chunk, is judged when it is complete; content is looked at as it comes. */
#include <string.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "proto/client_inner.h"

enum {
    HEAD_MAX = 64 * 1024,       /* bytes: longer ones are no answer */
    LINE_MAX_BYTES = 4096,      /* of a chunk's size line or a trailer field */
    END_MS = 1000               /* a server that has announced to close has so long for it */
};

/* What could not be understood. */
enum { BROKEN = SIZE_MAX };

struct head {
    uint64_t length;
    unsigned status;
    bool     has_length, chunked, close, keep_alive, old;
};

static struct span trimmed(struct span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_skip(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Is a word in a list with commas? */
static bool list_has(struct span list, struct span word)
{
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;
        if (span_equal_nocase(trimmed((struct span){ list.p, n }), word))
            return true;
        list = span_skip(list, comma != NULL ? n + 1 : n);
    }
    return false;
}

/* Two lengths that differ are an attack or a mistake (RFC 9112 section 6.3). */
static bool head_length(struct head *h, struct span value)
{
    uint64_t length;
    if (!fmt_parse_u64(value, UINT64_MAX / 2, &length) || (h->has_length && length != h->length))
        return false;
    h->length = length;
    h->has_length = true;
    return true;
}

static bool head_field(struct head *h, struct span name, struct span value)
{
    if (span_equal_nocase(name, SPAN("content-length")))
        return head_length(h, value);
    if (span_equal_nocase(name, SPAN("transfer-encoding"))) {
        h->chunked = list_has(value, SPAN("chunked"));
        return h->chunked;
    }
    if (span_equal_nocase(name, SPAN("connection"))) {
        h->close |= list_has(value, SPAN("close"));
        h->keep_alive |= list_has(value, SPAN("keep-alive"));
    }
    return true;
}

/* "HTTP/1.1 200 OK" */
static bool head_status(struct head *h, struct span line)
{
    if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || line.p[8] != ' ')
        return false;
    h->old = line.p[7] == '0';
    for (int i = 9; i < 12; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return false;
        h->status = h->status * 10 + (unsigned)(line.p[i] - '0');
    }
    return h->status >= 100 && h->status <= 599 && (line.n == 12 || line.p[12] == ' ');
}

/* The head without the empty line behind it; each line still has its CR LF. */
/* hot */
static bool head_parse(struct head *h, struct span in)
{
    bool first = true;
    while (in.n > 0) {
        const char *end = memchr(in.p, '\n', in.n), *colon;
        size_t n = end != NULL ? (size_t)(end - in.p) : in.n;
        struct span line = { in.p, n };
        in = span_skip(in, end != NULL ? n + 1 : n);
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            return false;
        line.n--;
        if (first && !head_status(h, line))
            return false;
        colon = first ? NULL : memchr(line.p, ':', line.n);
        if (!first && (colon == NULL || colon == line.p))
            return false;
        if (colon != NULL && !head_field(h, (struct span){ line.p, (size_t)(colon - line.p) },
                                         trimmed(span_skip(line, (size_t)(colon - line.p) + 1))))
            return false;
        first = false;
    }
    return !first;
}

static void count_status(struct client_sheet *sheet, unsigned status)
{
    uint64_t *const classes[] = { &sheet->status_2xx, &sheet->status_3xx, &sheet->status_4xx, &sheet->status_5xx };
    client_count(classes[status / 100 - 2], 1);
    if (status >= 400)
        client_count(&sheet->status, 1);
}

static void answer_complete(struct conn *c, struct client *k, uint64_t now_us)
{
    const struct client_settings *s = client_settings_of(c);
    const struct client_answer *a = &k->answer;
    bool wrong = s->plan->checked && (a->wrong || a->at != s->plan->expected.n);
    if (!s->idle)
        count_status(s->sheet, a->status);
    if (wrong && a->status < 400)
        client_count(&s->sheet->content, 1);
    k->expects_end = a->last || s->plan->one_each;
    client_answered(c, now_us, a->bytes);
    if (k->expects_end)
        conn_timeout(c, END_MS);
    k->answer = (struct client_answer){ 0 };
}

/* What follows the head (RFC 9112 section 6.3). */
static void answer_begin(struct conn *c, struct client *k, const struct head *h, uint64_t now_us)
{
    struct client_answer *a = &k->answer;
    a->status = (uint16_t)h->status;
    a->last = h->close || (h->old && !h->keep_alive);
    a->left = h->length;
    if (h->status < 200)
        return;                 /* the answer proper is still to come */
    if (client_settings_of(c)->plan->head_only || h->status == 204 || h->status == 304 ||
        (h->has_length && !h->chunked && h->length == 0)) {
        answer_complete(c, k, now_us);
    } else if (h->chunked) {
        a->step = STEP_CHUNK_LINE;
    } else if (h->has_length) {
        a->step = STEP_LENGTH;
    } else {
        a->step = STEP_TO_END;
        a->last = true;
    }
}

static size_t step_head(struct conn *c, struct client *k, struct span in, uint64_t now_us)
{
    const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
    struct head h = { 0 };
    if (end == NULL)
        return in.n > HEAD_MAX ? BROKEN : 0;
    size_t n = (size_t)(end - in.p);
    if (!head_parse(&h, (struct span){ in.p, n + 2 }))
        return BROKEN;
    k->answer.bytes += n + 4;
    answer_begin(c, k, &h, now_us);
    return n + 4;
}

/* Content: only in so far as it must be checked does anybody look at it. */
/* hot */
static size_t take_content(const struct conn *c, struct client *k, struct span in, uint64_t most)
{
    const struct client_plan *p = client_settings_of(c)->plan;
    struct client_answer *a = &k->answer;
    size_t n = in.n < most ? in.n : (size_t)most;
    if (p->checked && !a->wrong)
        a->wrong = a->at + n > p->expected.n || memcmp(in.p, p->expected.p + a->at, n) != 0;
    a->at += n;
    a->bytes += n;
    return n;
}

static size_t step_length(struct conn *c, struct client *k, struct span in, uint64_t now_us)
{
    size_t n = take_content(c, k, in, k->answer.left);
    k->answer.left -= n;
    if (k->answer.left == 0)
        answer_complete(c, k, now_us);
    return n;
}

/* A line with its CR LF; 0: it is not complete, or BROKEN. */
static size_t line_size(struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    if (end == NULL)
        return in.n > LINE_MAX_BYTES ? BROKEN : 0;
    return end > in.p && end[-1] == '\r' ? (size_t)(end - in.p) + 1 : BROKEN;
}

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The size stands in front; extensions behind ';' mean nothing here. */
static bool chunk_size(struct span line, uint64_t *size)
{
    size_t i = 0;
    *size = 0;
    for (; i < line.n && hex_value(line.p[i]) >= 0; i++) {
        if (*size >> 56 != 0)
            return false;
        *size = *size << 4 | (unsigned)hex_value(line.p[i]);
    }
    return i > 0 && (line.p[i] == '\r' || line.p[i] == ';' || line.p[i] == ' ' || line.p[i] == '\t');
}

static size_t step_chunk_line(struct client *k, struct span in)
{
    size_t n = line_size(in);
    if (n == 0 || n == BROKEN)
        return n;
    if (!chunk_size((struct span){ in.p, n }, &k->answer.left))
        return BROKEN;
    k->answer.bytes += n;
    k->answer.step = k->answer.left > 0 ? STEP_CHUNK : STEP_TRAILER;
    return n;
}

static size_t step_chunk(const struct conn *c, struct client *k, struct span in)
{
    size_t n = take_content(c, k, in, k->answer.left);
    k->answer.left -= n;
    if (k->answer.left == 0)
        k->answer.step = STEP_CHUNK_END;
    return n;
}

static size_t step_chunk_end(struct client *k, struct span in)
{
    if (in.n < 2)
        return in.p[0] == '\r' ? 0 : BROKEN;
    if (memcmp(in.p, "\r\n", 2) != 0)
        return BROKEN;
    k->answer.bytes += 2;
    k->answer.step = STEP_CHUNK_LINE;
    return 2;
}

static size_t step_trailer(struct conn *c, struct client *k, struct span in, uint64_t now_us)
{
    size_t n = line_size(in);
    if (n == 0 || n == BROKEN)
        return n;
    k->answer.bytes += n;
    if (n == 2)
        answer_complete(c, k, now_us);
    return n;
}

/* How many bytes were understood; 0: more are needed, or BROKEN. */
/* hot */
static size_t http_step(struct conn *c, struct client *k, struct span in, uint64_t now_us)
{
    switch ((enum client_http_step)k->answer.step) {
    case STEP_HEAD:       return step_head(c, k, in, now_us);
    case STEP_LENGTH:     return step_length(c, k, in, now_us);
    case STEP_CHUNK_LINE: return step_chunk_line(k, in);
    case STEP_CHUNK:      return step_chunk(c, k, in);
    case STEP_CHUNK_END:  return step_chunk_end(k, in);
    case STEP_TRAILER:    return step_trailer(c, k, in, now_us);
    case STEP_TO_END:     break;
    }
    return take_content(c, k, in, UINT64_MAX);
}

/* hot */
static size_t http_hear(struct conn *c, struct span in)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    uint64_t now_us = clock_monotonic_us();
    size_t used = 0, n = 1;
    while (used < in.n && k->count > 0 && n > 0) {
        n = http_step(c, k, span_skip(in, used), now_us);
        if (n == BROKEN) {
            client_fail(c, &s->sheet->malformed);
            return in.n;
        }
        used += n;
    }
    if (k->count == 0 && used < in.n) {         /* nobody asked for that */
        client_count(&s->sheet->malformed, 1);
        conn_abort(c);
        return in.n;
    }
    client_speak(c, now_us);
    return used;
}

/* The end completes an answer that says nothing of its length. */
static void answer_eof(struct conn *c)
{
    struct client *k = conn_state(c);
    if (k->answer.step == STEP_TO_END && k->count > 0)
        answer_complete(c, k, clock_monotonic_us());
    client_eof(c);
}

const struct proto client_http = {
    .name = "http-client",
    .open = client_open,
    .input = http_hear,
    .eof = answer_eof,
    .expired = client_expired,
    .room = client_room,
    .close = client_close,
    .speaks_us = client_speaks_us,
};
