/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is at the other end, in 20 bytes instead of a sockaddr_storage's 128. */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer {
    uint16_t family;            /* AF_INET (also for v4-mapped addresses), AF_INET6, AF_UNIX, or 0: unknown */
    uint16_t port;              /* host byte order */
    uint8_t  address[16];       /* network byte order; the first 4 bytes for AF_INET */
};

enum { PEER_TEXT_SIZE = 64 };

/* From what accept(2) gave; length may be 0. */
struct peer peer_of(const struct sockaddr_storage *address, socklen_t length);

/* The same peer; a client of IPv4 on a socket of IPv6 (::ffff:192.0.2.1) is a client of IPv4. */
struct peer peer_unmapped(const struct peer *p);

/* Has it an address that can be told from others, of IPv4 or IPv6? */
static inline bool peer_has_address(const struct peer *p)
{
    return p->family == AF_INET || p->family == AF_INET6;
}

/* What counts as one client where limits are per address: an IPv4 address, or the /64 of an IPv6 address, which is
 * what one host has at least.  The port does not matter. */
uint64_t peer_key(const struct peer *p);

/* Spreads keys over tables; `seed` is a secret: nobody shall be able to choose addresses that fall on each other. */
uint64_t peer_key_hash(uint64_t key, uint64_t seed);

/* "192.0.2.1:80", "[2001:db8::1]:80", "unix", with a NUL; returns the length. */
size_t peer_format(const struct peer *p, char text[PEER_TEXT_SIZE]);

/* The address without the port, "192.0.2.1", "2001:db8::1", "unix"; returns the length. */
size_t peer_format_address(const struct peer *p, char text[PEER_TEXT_SIZE]);

#endif
