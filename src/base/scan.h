/* SPDX-License-Identifier: BSD-2-Clause */
/* Fast searches in text, several bytes at a time.  Each looks at [p, end) only and returns the
 * place found, or `end`. */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

/* The first byte below 0x20 except HTAB, or 0x7f: what ends a field value (RFC 9110 section 5.5). */
const char *scan_control(const char *p, const char *end);

/* The first byte that cannot stand in a request target: 0x00-0x20, 0x7f (bytes from 0x80 pass). */
const char *scan_target_end(const char *p, const char *end);

#endif
