/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of dates: what is taken for one is an instant that can be written, and read again as the same; a
 * year of two digits is never more than 50 years ahead.  The first bytes of an input are the time that it is. */
#include "claim.h"

#include "base/civil.h"
#include "base/fmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t now = 0;
    if (size < sizeof now)
        return 0;
    memcpy(&now, data, sizeof now);
    size -= sizeof now;
    struct span in = { copy_of((struct span){ (const char *)data + sizeof now, size }), size };
    time_t when, again;
    if (fmt_parse_http_date(in, (time_t)now, &when)) {
        char text[FMT_HTTP_DATE_SIZE];
        struct span written = { text, sizeof text };
        struct civil c = civil_of(when);
        CLAIM(c.year >= 0 && c.year <= 9999 && civil_valid(&c) && civil_time(&c) == when);
        fmt_http_date(text, when);
        CLAIM(fmt_parse_http_date(written, (time_t)now, &again) && again == when);
        if (memchr(in.p, '-', in.n) != NULL)
            CLAIM(c.year <= civil_of((time_t)now).year + 50);
    }
    free((char *)(uintptr_t)in.p);
    return 0;
}
