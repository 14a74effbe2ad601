/* SPDX-License-Identifier: BSD-2-Clause */
/* The Gregorian calendar in UTC.  A year is taken to begin on 1 March, so that the leap day is its last day
 * and the lengths of the months before it follow one formula: (153 * month + 2) / 5 days. */
#include "base/civil.h"

#include <assert.h>

enum {
    DAY_S = 86400,
    ERA_YEARS = 400,
    ERA_DAYS = 146097,          /* the calendar repeats after 400 years */
    EPOCH_DAYS = 719468,        /* from 0000-03-01 to 1970-01-01 */
    EPOCH_WEEKDAY = 4           /* 1970-01-01 was a Thursday */
};

static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct civil civil_of(time_t when)
{
    int64_t days = div_floor(when, DAY_S);
    unsigned rest = (unsigned)(when - days * DAY_S);
    int64_t weekday = (days % 7 + 7 + EPOCH_WEEKDAY) % 7;
    days += EPOCH_DAYS;
    int64_t era = div_floor(days, ERA_DAYS);
    unsigned day = (unsigned)(days - era * ERA_DAYS);
    /* Leap days so far come off: one in 1460 days, but not the one in 36524, and the last day of the era. */
    unsigned year = (day - day / 1460 + day / 36524 - day / (ERA_DAYS - 1)) / 365;
    unsigned day_of_year = day - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153;       /* 0 is March */
    return (struct civil){
        .year = era * ERA_YEARS + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
        .weekday = (unsigned)weekday,
    };
}

time_t civil_time(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = div_floor(year, ERA_YEARS);
    int64_t year_of_era = year - era * ERA_YEARS;
    int64_t month = c->month > 2 ? c->month - 3 : c->month + 9;
    int64_t day = year_of_era * 365 + year_of_era / 4 - year_of_era / 100;
    day += (153 * month + 2) / 5 + c->day - 1;
    int64_t days = era * ERA_DAYS + day - EPOCH_DAYS;
    return (time_t)(days * DAY_S + (int64_t)c->hour * 3600 + (int64_t)c->minute * 60 + c->second);
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

bool civil_valid(const struct civil *c)
{
    return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= month_days(c->year, c->month) &&
           c->hour < 24 && c->minute < 60 && c->second < 60;
}

const char *civil_weekday_name(unsigned weekday)
{
    static const char *const names[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
                                         "Saturday" };
    assert(weekday < 7);
    return names[weekday];
}

const char *civil_month_name(unsigned month)
{
    static const char *const names[] = { "January", "February", "March", "April", "May", "June", "July",
                                         "August", "September", "October", "November", "December" };
    assert(month >= 1 && month <= 12);
    return names[month - 1];
}
