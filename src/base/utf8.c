/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 checked character by character (RFC 3629 section 4). */
#include "base/utf8.h"

#include <stdbool.h>

static bool is_tail(unsigned char b)
{
    return b >= 0x80 && b <= 0xBF;
}

/* The second byte is what tells overlong forms, surrogates and what is beyond U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default:   return is_tail(second);
    }
}

size_t utf8_length(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t room = (size_t)(end - p);
    size_t n;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xC2 || u[0] > 0xF4)
        return 0;
    n = u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    if (room < n || !second_fits(u[0], u[1]))
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_tail(u[i]))
            return 0;
    return n;
}

size_t utf8_printable(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    if (u[0] < 0x20 || u[0] == 0x7F)
        return 0;
    if (u[0] == 0xC2 && end - p >= 2 && u[1] < 0xA0)
        return 0;
    return utf8_length(p, end);
}
