/* SPDX-License-Identifier: BSD-2-Clause */
/* What chargen (RFC 864), daytime (RFC 867) and time (RFC 868) say, over connections and datagrams alike. */
#ifndef PROTO_TINY_TEXT_H
#define PROTO_TINY_TEXT_H

#include <stddef.h>
#include <time.h>

enum {
    CHARGEN_RING = 95,          /* printable characters */
    CHARGEN_SHOWN = 72,
    CHARGEN_LINE = CHARGEN_SHOWN + 2,
    DAYTIME_MAX = 96,
    TIME_SIZE = 4
};

/* Writes CHARGEN_LINE bytes: a line that begins with this character of the ring. */
void chargen_line(char *to, unsigned first);

/* Writes at most DAYTIME_MAX bytes; returns how many. */
size_t daytime_text(char *to, time_t now);

/* Writes TIME_SIZE bytes. */
void time_bytes(char *to, time_t now);

#endif
