/* SPDX-License-Identifier: BSD-2-Clause */
/* The small classic services over datagrams: echo (RFC 862), discard (RFC 863), chargen (RFC 864), daytime (RFC 867),
 * time (RFC 868).  They need no settings. */
#ifndef PROTO_TINY_UDP_H
#define PROTO_TINY_UDP_H

#include "core/datagram.h"

extern const struct datagram_proto udp_echo, udp_discard, udp_chargen, udp_daytime, udp_time;

#endif
