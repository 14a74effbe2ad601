/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks of addresses, as access lists name them: "10.0.0.0/8", "192.0.2.1", "2001:db8::/32" (RFC 4632, RFC 4291
 * section 2.3).  Pure. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct net {
    uint16_t family;            /* AF_INET or AF_INET6 */
    uint8_t  bits;              /* length of the prefix: at most 32 or 128 */
    uint8_t  address[16];       /* network byte order; the first 4 bytes for AF_INET; host bits are zero */
};

enum { NET_TEXT_SIZE = 64 };

/* What a text that names no network lacks. */
enum net_fault {
    NET_RIGHT,
    NET_NO_ADDRESS,             /* the part before '/' is no address */
    NET_NO_LENGTH,              /* the part behind it is no length for such an address */
    NET_HOST_BITS               /* bits behind the prefix are set: *n is the network around that address */
};

/* Reads a network; an address without '/' is a network of one.  IPv4 addresses written as IPv6 (::ffff:192.0.2.1) are
 * IPv4, as peers are. */
enum net_fault net_parse(struct span text, struct net *n);

/* "10.0.0.0/8" with a NUL; returns `to`. */
const char *net_format(const struct net *n, char to[NET_TEXT_SIZE]);

/* Does the network hold this address?  One of another family it does not. */
bool net_holds(const struct net *n, uint16_t family, const uint8_t address[16]);

#endif
