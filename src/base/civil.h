/* SPDX-License-Identifier: BSD-2-Clause */
/* Seconds since the Epoch as people write them, in UTC, and back: arithmetic only, no time zones, no locale,
 * no lock (gmtime_r takes one). */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct civil {
    int64_t  year;              /* of the proleptic Gregorian calendar */
    unsigned month, day;        /* from 1 */
    unsigned hour, minute, second;
    unsigned weekday;           /* 0 is Sunday */
};

struct civil civil_of(time_t when);

/* The weekday is not looked at.  Days beyond a month's end count into the next month. */
time_t civil_time(const struct civil *c);

/* Does this day and time of day exist?  The second may not be 60. */
bool civil_valid(const struct civil *c);

/* "Sunday" and "January"; the first three letters are the short form.  Month 1 is January. */
const char *civil_weekday_name(unsigned weekday);
const char *civil_month_name(unsigned month);

#endif
