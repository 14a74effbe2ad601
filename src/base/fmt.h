/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and dates to text and back, by hand: printf costs more than the rest of a reply. */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"

enum {
    FMT_U64_MAX = 20,           /* digits of 2^64-1 */
    FMT_HEX_MAX = 16,
    FMT_HTTP_DATE_SIZE = 29,    /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    FMT_TIMESTAMP_SIZE = 24,    /* "1994-11-06T08:49:37.123Z" */
    FMT_CLF_DATE_SIZE = 26      /* "06/Nov/1994:08:49:37 +0000" */
};

/* Each writes without a NUL and returns the number of bytes written. */
size_t fmt_u64(char *to, uint64_t value);
size_t fmt_hex(char *to, uint64_t value);

/* Exactly FMT_HTTP_DATE_SIZE bytes, IMF-fixdate (RFC 9110 section 5.6.7). */
void fmt_http_date(char *to, time_t when);

/* Exactly FMT_TIMESTAMP_SIZE bytes, RFC 3339 in UTC with milliseconds. */
void fmt_timestamp(char *to, time_t when, unsigned ms);

/* Exactly FMT_CLF_DATE_SIZE bytes, as the common log format has it. */
void fmt_clf_date(char *to, time_t when);

/* IMF-fixdate, RFC 850 and asctime dates (RFC 9110 section 5.6.7).  False when it is none of them or names
 * no real instant.  `now` decides the century of a two-digit year: over 50 years ahead means the past. */
bool fmt_parse_http_date(struct span text, time_t now, time_t *when);

/* A decimal number of digits only, the whole span.  False when empty, not digits, or above `max`. */
bool fmt_parse_u64(struct span text, uint64_t max, uint64_t *value);

#endif
