/* SPDX-License-Identifier: BSD-2-Clause */
/* The texts of the small services that speak by themselves. */
#include "proto/tiny_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/civil.h"

/* The 95 printable characters in a ring, each line one further along (RFC 864). */
#define CHARGEN_CHARACTERS                                    \
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNO"        \
    "PQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

/* hot */
void chargen_line(char *to, unsigned first)
{
    static const char ring_twice[] = CHARGEN_CHARACTERS CHARGEN_CHARACTERS;
    _Static_assert(sizeof ring_twice == 2 * CHARGEN_RING + 1, "all printable characters");
    memcpy(to, ring_twice + first, CHARGEN_SHOWN);
    memcpy(to + CHARGEN_SHOWN, "\r\n", 2);
}

/* "Sunday, November 22, 2026 07:54:07-UTC", the first form that RFC 867 suggests. */
size_t daytime_text(char *to, time_t now)
{
    struct civil t = civil_of(now);
    return (size_t)snprintf(to, DAYTIME_MAX, "%s, %s %u, %lld %02u:%02u:%02u-UTC\r\n",
                            civil_weekday_name(t.weekday), civil_month_name(t.month), t.day, (long long)t.year,
                            t.hour, t.minute, t.second);
}

/* Seconds from 1900-01-01 to 1970-01-01 (RFC 868).  The 32 bits wrap in 2036, as the protocol has it. */
static const uint64_t TIME_1970 = 2208988800;

void time_bytes(char *to, time_t now)
{
    uint64_t seconds = (uint64_t)now + TIME_1970;
    for (int i = 0; i < TIME_SIZE; i++)
        to[i] = (char)(seconds >> (24 - 8 * i));
}
