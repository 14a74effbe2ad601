/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parser says about bytes that clients send, one line for each input, for tests/matrix/test_differential.py:
 * "METHOD:BYTES" for each message, BYTES being the length of its body, then how it went on: "end" (nothing is left),
 * "more" (the last message is incomplete), "close" (the connection ends behind it), or the status of a refusal.
 * Inputs come on stdin, each behind its length in 8 hexadecimal digits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http_internal.h"

static const struct http_limits limits = { .request_line = 8192, .header_bytes = 32768, .header_count = 100,
                                           .body_bytes = 100000 };

/* Where the body behind a head ends: 1, 0: it is incomplete, -STATUS.  *data: bytes without chunk framing. */
static int body_end(const struct http_request *r, struct span in, size_t *taken, uint64_t *data)
{
    struct http_chunk chunk = { 0 };
    if (r->length > limits.body_bytes)
        return -413;
    if (!r->chunked) {
        *taken = in.n < r->length ? in.n : (size_t)r->length;
        *data = r->length;
        return *taken == r->length;
    }
    int done = http_chunk_feed(&chunk, in, &limits, taken);
    *data = chunk.total;
    return done;
}

/* One message at the front of *in.  1: go on, 0: that was the last, and why was printed. */
static int message(struct span *in)
{
    struct http_request r;
    uint64_t data = 0;
    size_t taken = 0;
    if (span_starts_with(*in, SPAN("\r\n")))
        *in = span_skip(*in, 2);
    if (in->n == 0 || span_equal(*in, SPAN("\r")))
        return puts("end"), 0;
    long n = http_parse(&r, *in, &limits);
    if (n <= 0)
        return n < 0 ? printf("%ld\n", -n) : puts("more"), 0;
    int done = body_end(&r, span_skip(*in, (size_t)n), &taken, &data);
    if (done <= 0)
        return done < 0 ? printf("%d\n", -done) : puts("more"), 0;
    printf("%.*s:%llu ", (int)r.method_text.n, r.method_text.p, (unsigned long long)data);
    *in = span_skip(*in, (size_t)n + taken);
    return r.keep_alive && r.method != METHOD_CONNECT ? 1 : (puts("close"), 0);
}

int main(void)
{
    char digits[9] = "";
    while (fread(digits, 1, 8, stdin) == 8) {
        size_t n = strtoul(digits, NULL, 16);
        char *bytes = malloc(n + 1);
        if (bytes == NULL || fread(bytes, 1, n, stdin) != n)
            return 1;
        struct span in = { bytes, n };
        while (message(&in))
            ;
        free(bytes);
    }
    return 0;
}
