/* SPDX-License-Identifier: BSD-2-Clause */
/* The small classic services over a connection: greet, echo (RFC 862), discard (RFC 863), chargen (RFC 864),
 * daytime (RFC 867), time (RFC 868). */
#ifndef PROTO_TINY_H
#define PROTO_TINY_H

#include "core/conn.h"

/* The settings of all of them. */
struct tiny_settings {
    struct span greeting;       /* greet: sent when a connection begins */
    unsigned    idle_ms;        /* a peer that is silent for so long is let go; 0: never */
};

enum { TINY_MESSAGE_MAX = 8192 };   /* greet: a longer line is logged in pieces */

extern const struct proto proto_greet, proto_echo, proto_discard, proto_chargen, proto_daytime, proto_time;

#endif
