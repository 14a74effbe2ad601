/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of the chunk decoder: however the input is cut, it says the same at the same byte, and where it
 * finds an end a naive reader of RFC 9112 section 7.1 finds the same data and the same end. */
#include "claim.h"
#include "proto/http_internal.h"

static const struct http_limits limits = { .header_bytes = 200, .body_bytes = 5000 };

struct outcome {
    int      verdict;
    size_t   taken;
    uint64_t total;
};

/* Feeds pieces of `first` bytes, then of `step` bytes. */
static struct outcome decode(struct span in, size_t first, size_t step)
{
    struct http_chunk k = { 0 };
    struct outcome o = { 0, 0, 0 };
    for (size_t n = first; o.verdict == 0 && in.n > 0; n = step) {
        size_t taken;
        n = n < in.n ? n : in.n;
        char *piece = copy_of((struct span){ in.p, n });
        o.verdict = http_chunk_feed(&k, (struct span){ piece, n }, &limits, &taken);
        free(piece);
        CLAIM(taken <= n && (taken == n || o.verdict != 0));
        o.taken += taken;
        in = span_skip(in, taken);
    }
    o.total = k.total;
    return o;
}

static bool same(struct outcome a, struct outcome b)
{
    return a.verdict == b.verdict && a.taken == b.taken && a.total == b.total;
}

/* The next line without its CR LF. */
static struct span line_of(struct span *in)
{
    const char *end = memmem(in->p, in->n, "\r\n", 2);
    CLAIM(end != NULL);
    struct span line = { in->p, (size_t)(end - in->p) };
    *in = span_skip(*in, line.n + 2);
    return line;
}

/* Reads again what was accepted: sizes, data, trailers, an empty line, and nothing behind it. */
static void check_end(struct span in, uint64_t total)
{
    for (;;) {
        struct span line = line_of(&in);
        uint64_t n = 0;
        size_t digits = 0;
        for (; digits < line.n && http_hex(line.p[digits]) >= 0; digits++)
            n = n * 16 + (unsigned)http_hex(line.p[digits]);
        CLAIM(digits > 0 && n <= total);
        if (n == 0)
            break;
        total -= n;
        CLAIM(in.n >= n + 2 && memcmp(in.p + n, "\r\n", 2) == 0);
        in = span_skip(in, (size_t)n + 2);
    }
    CLAIM(total == 0);
    while (line_of(&in).n > 0)
        ;
    CLAIM(in.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct span in = { (const char *)data + 2, size - 2 };
    struct outcome whole = decode(in, in.n, in.n);
    CLAIM(same(whole, decode(in, 1, 1)));
    CLAIM(same(whole, decode(in, data[0] + 1u, in.n)));
    CLAIM(same(whole, decode(in, data[0] + 1u, data[1] + 1u)));
    CLAIM(whole.total <= limits.body_bytes);
    if (whole.verdict == 1)
        check_end((struct span){ in.p, whole.taken }, whole.total);
    return 0;
}
