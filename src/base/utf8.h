/* SPDX-License-Identifier: BSD-2-Clause */
/* Is it text?  UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Bytes of the whole, valid character at p < end, 1 to 4; 0 when there is none.  Looks at [p, end) only. */
size_t utf8_length(const char *p, const char *end);

/* The same, but 0 for control characters as well: U+0000-001F and U+007F-009F, which a terminal obeys. */
size_t utf8_printable(const char *p, const char *end);

#endif
