/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of request heads: the verdict of http_parse comes at one byte and is the same for every cut, and
 * http_seek, which looks at each byte once, wakes it at that byte and at no other.  What is accepted holds what a
 * reader of it relies on. */
#include "claim.h"
#include "proto/http_internal.h"

enum { INPUT_MAX = 2048 };      /* bytes: each prefix is parsed */

static const struct http_limits limits = { .request_line = 100, .header_bytes = 300, .header_count = 8,
                                           .body_bytes = 100 };

static bool within(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* What the server does with an accepted head rests on this. */
static void check_request(const struct http_request *r, struct span head)
{
    CLAIM(head.n >= 16 && memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    CLAIM(within(r->method_text, head) && within(r->target, head) && within(r->fields, head));
    CLAIM(within(r->authority, r->target) && within(r->query, r->target));
    CLAIM(r->major == 1 && (!r->chunked || (r->length == 0 && r->minor > 0)));
    CLAIM(r->minor == 0 || http_has(r, FIELD_HOST));
    CLAIM((r->repeated & (FIELD_BIT(FIELD_HOST) | FIELD_BIT(FIELD_CONTENT_LENGTH) |
                          (r->chunked ? FIELD_BIT(FIELD_TRANSFER_ENCODING) : 0))) == 0);
    CLAIM(!http_has(r, FIELD_TRANSFER_ENCODING) || r->chunked);
    CLAIM(http_host(r).n > 0 || !http_has(r, FIELD_HOST));
    if (r->method != METHOD_CONNECT && !r->asterisk)
        CLAIM(r->path.n > 0 && r->path.p[0] == '/' && memchr(r->path.p, '?', r->path.n) == NULL);
    if (r->plain)
        CLAIM(r->query.n == 0 && memchr(r->path.p, '%', r->path.n) == NULL &&
              memmem(r->path.p, r->path.n, "//", 2) == NULL && memmem(r->path.p, r->path.n, "/.", 2) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    struct span in = { copy_of((struct span){ (const char *)data, size }), size };
    struct http_request r;
    struct http_seek seek = { 0 };
    long verdict = 0;
    for (size_t n = 1; n <= size && verdict == 0; n++) {
        struct span part = { in.p, n };
        verdict = http_parse(&r, part, &limits);
        CLAIM(http_seek(&seek, part, &limits) == (verdict != 0));
        CLAIM(verdict <= 0 || (size_t)verdict == n);
    }
    CLAIM(http_parse(&r, in, &limits) == verdict);
    if (verdict > 0)
        check_request(&r, (struct span){ in.p, (size_t)verdict });
    free((char *)(uintptr_t)in.p);
    return 0;
}
