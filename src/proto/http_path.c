/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths: decoded once, cleaned of empty, "." and ".." segments, and encoded again for a Location.
 * The lookup itself cannot leave its root whatever comes out here (core/file.h); this keeps routes and the
 * rule about hidden files from being fooled.  Pure. */
#include "proto/http_internal.h"

/* One byte of an encoded path; false: a bad escape, or a control byte, which no honest name has. */
static bool path_byte(struct span *from, char *byte)
{
    int value = (unsigned char)from->p[0];
    size_t n = 1;
    if (value == '%') {
        int high = from->n >= 3 ? http_hex(from->p[1]) : -1, low = from->n >= 3 ? http_hex(from->p[2]) : -1;
        if (high < 0 || low < 0)
            return false;
        value = high * 16 + low;
        n = 3;
    }
    *byte = (char)value;
    *from = span_skip(*from, n);
    return value >= 0x20 && value != 0x7f;
}

/* Closes the segment that begins at `start` (behind its '/') and ends at `n`; returns the new length, 0:
 * the path climbs above the root. `more`: a '/' follows. */
static size_t segment_close(char *to, size_t start, size_t n, bool more)
{
    size_t length = n - start;
    bool dot = length == 1 && to[start] == '.';
    bool dots = length == 2 && to[start] == '.' && to[start + 1] == '.';
    if (length == 0 || dot)
        return start;
    if (!dots) {
        if (more)
            to[n++] = '/';
        return n;
    }
    if (start == 1)
        return 0;
    do
        start--;
    while (to[start - 1] != '/');
    return start;
}

unsigned http_path_decode(struct span encoded, char *to, struct span *path)
{
    if (encoded.n == 0 || encoded.p[0] != '/')
        return 400;
    if (encoded.n > HTTP_PATH_MAX)
        return 414;
    size_t start = 1, n = 1;
    to[0] = '/';
    encoded = span_skip(encoded, 1);
    while (encoded.n > 0) {
        char byte;
        if (!path_byte(&encoded, &byte))
            return 400;
        if (byte != '/') {
            to[n++] = byte;
            continue;
        }
        start = n = segment_close(to, start, n, true);
        if (n == 0)
            return 400;
    }
    n = segment_close(to, start, n, false);
    *path = (struct span){ to, n };
    return n == 0 ? 400 : 0;
}

bool http_path_hidden(struct span path)
{
    for (size_t i = 1; i < path.n; i++)
        if (path.p[i] == '.' && path.p[i - 1] == '/')
            return true;
    return false;
}

/* What has one of the classes, or is the byte `also`, stays as it is. */
static size_t encode(char *to, struct span s, unsigned classes, char also)
{
    static const char digit[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        if (http_is(s.p[i], classes) || s.p[i] == also) {
            to[n++] = s.p[i];
            continue;
        }
        to[n++] = '%';
        to[n++] = digit[byte >> 4];
        to[n++] = digit[byte & 15];
    }
    return n;
}

size_t http_path_encode(char *to, struct span path)
{
    return encode(to, path, CLASS_PATH, '/');
}

size_t http_query_encode(char *to, struct span query)
{
    return encode(to, query, CLASS_PATH | CLASS_PERCENT, '?');
}
