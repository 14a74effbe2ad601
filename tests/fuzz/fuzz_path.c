/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of paths: what is decoded never leaves the root, has no segment that a lookup would take for
 * another place, and is the same when it is encoded and decoded again. */
#include "claim.h"
#include "proto/http_internal.h"

static bool has(struct span s, const char *text)
{
    return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

static bool ends(struct span s, const char *text)
{
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p + s.n - n, text, n) == 0;
}

static void check_clean(struct span path)
{
    CLAIM(path.n > 0 && path.p[0] == '/');
    CLAIM(!has(path, "//") && !has(path, "/./") && !has(path, "/../"));
    CLAIM(!ends(path, "/.") && !ends(path, "/.."));
    for (size_t i = 0; i < path.n; i++)
        CLAIM((unsigned char)path.p[i] >= 0x20 && path.p[i] != 0x7f);
    bool hidden = false;
    for (size_t i = 0; i + 1 < path.n; i++)
        hidden |= path.p[i] == '/' && path.p[i + 1] == '.';
    CLAIM(http_path_hidden(path) == hidden);
}

static void check_again(struct span path)
{
    char *encoded = malloc(3 * path.n + 1), *again = malloc(HTTP_PATH_MAX);
    struct span back;
    CLAIM(encoded != NULL && again != NULL);
    struct span link = { encoded, http_path_encode(encoded, path) };
    for (size_t i = 0; i < link.n; i++)
        CLAIM(link.p[i] == '%' || http_is(link.p[i], CLASS_PATH));
    if (link.n <= HTTP_PATH_MAX)
        CLAIM(http_path_decode(link, again, &back) == 0 && span_equal(back, path));
    free(encoded);
    free(again);
}

/* The next byte of an encoded path, -1: a bad escape. */
static int next_byte(struct span *in)
{
    int high = -1, low = -1, byte = (unsigned char)in->p[0];
    if (byte != '%') {
        *in = span_skip(*in, 1);
        return byte;
    }
    if (in->n >= 3) {
        high = http_hex(in->p[1]);
        low = http_hex(in->p[2]);
        *in = span_skip(*in, 3);
    }
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Reads the path naively, counting how deep it goes; the status that is due. */
static unsigned status_of(struct span in)
{
    size_t length = 0, dots = 0;
    long depth = 0;
    if (in.n == 0 || in.p[0] != '/')
        return 400;
    if (in.n > HTTP_PATH_MAX)
        return 414;
    for (bool more = true; more && depth >= 0;) {
        more = in.n > 0;
        int byte = more ? next_byte(&in) : '/';
        if (byte < 0x20 || byte == 0x7f)
            return 400;
        if (byte != '/') {
            length++;
            dots += byte == '.';
            continue;
        }
        depth += length == 2 && dots == 2 ? -1 : length > 1 || (length == 1 && dots == 0);
        length = dots = 0;
    }
    return depth < 0 ? 400 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = { copy_of((struct span){ (const char *)data, size }), size }, path;
    char *to = malloc(HTTP_PATH_MAX);
    CLAIM(to != NULL);
    unsigned status = http_path_decode(in, to, &path);
    CLAIM(status == status_of(in));
    if (status == 0) {
        CLAIM(path.n <= in.n);
        check_clean(path);
        check_again(path);
    }
    free(to);
    free((char *)(uintptr_t)in.p);
    return 0;
}
