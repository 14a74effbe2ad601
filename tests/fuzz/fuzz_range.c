/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of Range fields: parts lie within the file, do not touch each other, and are what a naive reading
 * of the field asks for, byte by byte.  The first byte of an input is the size of the file. */
#include "claim.h"
#include "proto/http_internal.h"

enum { SIZE_MAX_HERE = 256 };

/* Digits at the front, saturated far above every size here; -1: there are none. */
static long number(struct span *s)
{
    long value = -1;
    for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; *s = span_skip(*s, 1)) {
        value = (value < 0 ? 0 : value) * 10 + s->p[0] - '0';
        value = value > 100000 ? 100000 : value;
    }
    return value;
}

/* Marks the bytes that one range asks for. */
static void mark(struct span spec, long size, bool *asked)
{
    long first = number(&spec), last;
    CLAIM(spec.n > 0 && spec.p[0] == '-');
    spec = span_skip(spec, 1);
    last = number(&spec);
    CLAIM(spec.n == 0 && (first >= 0 || last >= 0));
    if (first < 0) {
        first = last > size ? 0 : size - last;
        last = size - 1;
    } else if (last < 0) {
        last = size - 1;
    }
    for (long i = first; i <= last && i < size; i++)
        asked[i] = true;
}

static void check_parts(struct span value, uint64_t size, const struct http_parts *parts)
{
    bool asked[SIZE_MAX_HERE] = { false }, sent[SIZE_MAX_HERE] = { false };
    struct span spec;
    value = span_skip(value, strlen("bytes="));
    while (http_next_element(&value, &spec))
        mark(spec, (long)size, asked);
    CLAIM(parts->count >= 1 && parts->count <= HTTP_PARTS_MAX);
    for (unsigned i = 0; i < parts->count; i++) {
        struct http_part p = parts->v[i];
        CLAIM(p.n > 0 && p.first < size && p.n <= size - p.first);
        CLAIM(p.first == 0 || !sent[p.first - 1]);
        CLAIM(p.first + p.n == size || !sent[p.first + p.n]);
        for (uint64_t at = p.first; at < p.first + p.n; at++) {
            CLAIM(!sent[at]);
            sent[at] = true;
        }
    }
    CLAIM(memcmp(asked, sent, sizeof asked) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parts parts;
    if (size < 1)
        return 0;
    struct span in = { copy_of((struct span){ (const char *)data + 1, size - 1 }), size - 1 };
    enum http_range asked = http_range_parse(in, data[0], &parts);
    if (asked == RANGE_SOME)
        check_parts(in, data[0], &parts);
    if (asked == RANGE_UNSATISFIABLE)
        CLAIM(parts.count == 0);
    CLAIM(http_range_parse(in, UINT64_MAX, &parts) != RANGE_SOME || parts.v[0].n > 0);
    free((char *)(uintptr_t)in.p);
    return 0;
}
