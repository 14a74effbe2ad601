/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and dates, written and read by hand.  Knows no locale. */
#include "base/fmt.h"

#include <string.h>

#include "base/civil.h"

enum { TIME_TEXT_SIZE = 8 };    /* "08:49:37" */

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what four digits of a year can say. */
static const int64_t YEAR_0_S = -62167219200, YEAR_9999_END_S = 253402300799;

/* "00" to "99" */
static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    "99";

static inline void put_pair(char *to, unsigned value)
{
    memcpy(to, digit_pairs + value * 2, 2);
}

/* hot: two digits for each division */
size_t fmt_u64(char *to, uint64_t value)
{
    char digits[FMT_U64_MAX];
    char *p = digits + sizeof digits;
    while (value >= 100) {
        p -= 2;
        put_pair(p, (unsigned)(value % 100));
        value /= 100;
    }
    if (value >= 10) {
        p -= 2;
        put_pair(p, (unsigned)value);
    } else {
        *--p = (char)('0' + value);
    }
    size_t n = (size_t)(digits + sizeof digits - p);
    memcpy(to, p, n);
    return n;
}

/* Lower case, no leading zeros. */
size_t fmt_hex(char *to, uint64_t value)
{
    unsigned bits = value == 0 ? 1 : 64 - (unsigned)__builtin_clzll(value);
    size_t n = (bits + 3) / 4;
    for (size_t i = n; i-- > 0; value >>= 4)
        to[i] = "0123456789abcdef"[value & 15];
    return n;
}

static struct civil civil_of_four_digits(time_t when)
{
    if (when < YEAR_0_S)
        when = (time_t)YEAR_0_S;
    if (when > YEAR_9999_END_S)
        when = (time_t)YEAR_9999_END_S;
    return civil_of(when);
}

static void put_year(char *to, int64_t year)
{
    put_pair(to, (unsigned)(year / 100));
    put_pair(to + 2, (unsigned)(year % 100));
}

static void put_time(char *to, const struct civil *c)
{
    memcpy(to, "00:00:00", TIME_TEXT_SIZE);
    put_pair(to, c->hour);
    put_pair(to + 3, c->minute);
    put_pair(to + 6, c->second);
}

void fmt_http_date(char *to, time_t when)
{
    struct civil c = civil_of_four_digits(when);
    memcpy(to, "Sun, 06 Nov 1994 08:49:37 GMT", FMT_HTTP_DATE_SIZE);
    memcpy(to, civil_weekday_name(c.weekday), 3);
    put_pair(to + 5, c.day);
    memcpy(to + 8, civil_month_name(c.month), 3);
    put_year(to + 12, c.year);
    put_time(to + 17, &c);
}

void fmt_timestamp(char *to, time_t when, unsigned ms)
{
    struct civil c = civil_of_four_digits(when);
    memcpy(to, "1994-11-06T08:49:37.000Z", FMT_TIMESTAMP_SIZE);
    put_year(to, c.year);
    put_pair(to + 5, c.month);
    put_pair(to + 8, c.day);
    put_time(to + 11, &c);
    to[20] = (char)('0' + ms / 100 % 10);
    put_pair(to + 21, ms % 100);
}

void fmt_clf_date(char *to, time_t when)
{
    struct civil c = civil_of_four_digits(when);
    memcpy(to, "06/Nov/1994:08:49:37 +0000", FMT_CLF_DATE_SIZE);
    put_pair(to, c.day);
    memcpy(to + 3, civil_month_name(c.month), 3);
    put_year(to + 7, c.year);
    put_time(to + 12, &c);
}

/* The readers take what they know from the front of *s; false leaves *s anywhere. */

static bool take_text(struct span *s, const char *text, size_t n)
{
    if (s->n < n || memcmp(s->p, text, n) != 0)
        return false;
    *s = span_skip(*s, n);
    return true;
}

static bool take_number(struct span *s, size_t digits, unsigned *value)
{
    *value = 0;
    if (s->n < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = (unsigned char)s->p[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        *value = *value * 10 + digit;
    }
    *s = span_skip(*s, digits);
    return true;
}

/* The day's name must be one, but need not be the day that the date falls on: it says nothing new, and other
 * servers do not look at it either. */
static bool take_weekday(struct span *s, bool whole)
{
    for (unsigned i = 0; i < 7; i++) {
        const char *name = civil_weekday_name(i);
        if (take_text(s, name, whole ? strlen(name) : 3))
            return true;
    }
    return false;
}

static bool take_month(struct span *s, unsigned *month)
{
    for (*month = 1; *month <= 12; ++*month)
        if (take_text(s, civil_month_name(*month), 3))
            return true;
    return false;
}

static bool take_time(struct span *s, struct civil *c)
{
    return take_number(s, 2, &c->hour) && take_text(s, ":", 1) && take_number(s, 2, &c->minute) &&
           take_text(s, ":", 1) && take_number(s, 2, &c->second);
}

static bool take_year(struct span *s, struct civil *c)
{
    unsigned year;
    bool ok = take_number(s, 4, &year);
    c->year = year;
    return ok;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf_date(struct span s, struct civil *c)
{
    return take_weekday(&s, false) && take_text(&s, ", ", 2) && take_number(&s, 2, &c->day) &&
           take_text(&s, " ", 1) && take_month(&s, &c->month) && take_text(&s, " ", 1) && take_year(&s, c) &&
           take_text(&s, " ", 1) && take_time(&s, c) && take_text(&s, " GMT", 4) && s.n == 0;
}

/* The latest year with these two digits that puts the date not more than 50 years after now. */
static int64_t year_of_two_digits(unsigned digits, const struct civil *c, time_t now)
{
    struct civil limit = civil_of(now);
    limit.year += 50;
    struct civil date = *c;
    date.year = limit.year / 100 * 100 + digits;
    return civil_time(&date) > civil_time(&limit) ? date.year - 100 : date.year;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool read_rfc850_date(struct span s, time_t now, struct civil *c)
{
    unsigned digits;
    bool ok = take_weekday(&s, true) && take_text(&s, ", ", 2) && take_number(&s, 2, &c->day) &&
              take_text(&s, "-", 1) && take_month(&s, &c->month) && take_text(&s, "-", 1) &&
              take_number(&s, 2, &digits) && take_text(&s, " ", 1) && take_time(&s, c) &&
              take_text(&s, " GMT", 4) && s.n == 0;
    if (ok)
        c->year = year_of_two_digits(digits, c, now);
    return ok;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime_date(struct span s, struct civil *c)
{
    return take_weekday(&s, false) && take_text(&s, " ", 1) && take_month(&s, &c->month) &&
           take_text(&s, " ", 1) && take_number(&s, take_text(&s, " ", 1) ? 1 : 2, &c->day) &&
           take_text(&s, " ", 1) && take_time(&s, c) && take_text(&s, " ", 1) && take_year(&s, c) && s.n == 0;
}

bool fmt_parse_http_date(struct span text, time_t now, time_t *when)
{
    struct civil c = { 0 };
    if (!read_imf_date(text, &c) && !read_rfc850_date(text, now, &c) && !read_asctime_date(text, &c))
        return false;
    /* A leap second can only be the last of a day; time_t has no place for it, so it is the second before. */
    if (c.second == 60 && c.hour == 23 && c.minute == 59)
        c.second = 59;
    if (!civil_valid(&c))
        return false;
    *when = civil_time(&c);
    return true;
}

bool fmt_parse_u64(struct span text, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = (unsigned char)text.p[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, digit, &sum) ||
            sum > max)
            return false;
    }
    *value = sum;
    return true;
}
