/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks: read, written, compared. */
#include "base/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fmt.h"

enum { MAPPED_BITS = 96 };      /* of ::ffff:0:0/96, in front of an IPv4 address */

static unsigned bits_max(uint16_t family)
{
    return family == AF_INET ? 32 : 128;
}

static bool address_parse(struct span s, struct net *n)
{
    char text[INET6_ADDRSTRLEN];
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    n->family = memchr(text, ':', s.n) != NULL ? AF_INET6 : AF_INET;
    return inet_pton(n->family, text, n->address) == 1;
}

static bool is_mapped(const struct net *n)
{
    static const uint8_t start[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    return n->family == AF_INET6 && n->bits >= MAPPED_BITS && memcmp(n->address, start, sizeof start) == 0;
}

static void unmap(struct net *n)
{
    memmove(n->address, n->address + 12, 4);
    memset(n->address + 4, 0, sizeof n->address - 4);
    n->family = AF_INET;
    n->bits = (uint8_t)(n->bits - MAPPED_BITS);
}

/* The bits of byte i that belong to the prefix. */
static uint8_t mask_of(unsigned bits, unsigned i)
{
    unsigned before = 8 * i;
    if (bits >= before + 8)
        return 0xff;
    return (uint8_t)(bits <= before ? 0 : 0xff00u >> (bits - before));
}

/* True when there were host bits to clear. */
static bool host_bits_clear(struct net *n)
{
    bool set = false;
    for (unsigned i = 0; i < sizeof n->address; i++) {
        uint8_t kept = n->address[i] & mask_of(n->bits, i);
        set |= kept != n->address[i];
        n->address[i] = kept;
    }
    return set;
}

enum net_fault net_parse(struct span text, struct net *n)
{
    const char *slash = text.n == 0 ? NULL : memchr(text.p, '/', text.n);
    size_t address_n = slash == NULL ? text.n : (size_t)(slash - text.p);
    uint64_t bits;
    *n = (struct net){ 0 };
    if (!address_parse((struct span){ text.p, address_n }, n))
        return NET_NO_ADDRESS;
    bits = bits_max(n->family);
    if (slash != NULL && !fmt_parse_u64(span_skip(text, address_n + 1), bits, &bits))
        return NET_NO_LENGTH;
    n->bits = (uint8_t)bits;
    if (is_mapped(n))
        unmap(n);
    return host_bits_clear(n) ? NET_HOST_BITS : NET_RIGHT;
}

const char *net_format(const struct net *n, char to[NET_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "";
    inet_ntop(n->family, n->address, address, sizeof address);
    snprintf(to, NET_TEXT_SIZE, "%s/%u", address, n->bits);
    return to;
}

bool net_holds(const struct net *n, uint16_t family, const uint8_t address[16])
{
    if (n->family != family)
        return false;
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->address, address, whole) != 0)
        return false;
    return rest == 0 || (address[whole] & mask_of(n->bits, whole)) == n->address[whole];
}
