/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of peers, made small and readable.  Makes no system call. */
#include "core/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/fmt.h"

static struct peer peer_of_ip4(const struct sockaddr_in *a)
{
    struct peer p = { .family = AF_INET, .port = ntohs(a->sin_port) };
    memcpy(p.address, &a->sin_addr, 4);
    return p;
}

static struct peer peer_of_ip6(const struct sockaddr_in6 *a)
{
    struct peer p = { .family = AF_INET6, .port = ntohs(a->sin6_port) };
    memcpy(p.address, a->sin6_addr.s6_addr, sizeof p.address);
    return peer_unmapped(&p);
}

struct peer peer_unmapped(const struct peer *p)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct peer four = { .family = AF_INET, .port = p->port };
    if (p->family != AF_INET6 || memcmp(p->address, mapped, sizeof mapped) != 0)
        return *p;
    memcpy(four.address, p->address + sizeof mapped, 4);
    return four;
}

struct peer peer_of(const struct sockaddr_storage *address, socklen_t length)
{
    if (address == NULL || length < sizeof address->ss_family)
        return (struct peer){ 0 };
    if (address->ss_family == AF_INET && length >= sizeof(struct sockaddr_in))
        return peer_of_ip4((const void *)address);
    if (address->ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))
        return peer_of_ip6((const void *)address);
    return (struct peer){ .family = address->ss_family == AF_UNIX ? AF_UNIX : 0 };
}

/* An IPv4 address stands where no sender of IPv6 can be: beneath ff00::/8, the multicast addresses. */
uint64_t peer_key(const struct peer *p)
{
    uint64_t key = p->family == AF_INET6 ? 0 : UINT64_C(0xffffffff);
    int bytes = p->family == AF_INET6 ? 8 : 4;
    for (int i = 0; i < bytes; i++)
        key = key << 8 | p->address[i];
    return key;
}

/* Each bit of the key reaches those that choose the place (the finish of SplitMix64, with a secret before it). */
uint64_t peer_key_hash(uint64_t key, uint64_t seed)
{
    uint64_t x = (key ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static size_t put_word(char *to, const char *word)
{
    size_t n = strlen(word);
    memcpy(to, word, n + 1);
    return n;
}

static size_t put_ip4(char *to, const uint8_t address[4])
{
    size_t n = fmt_u64(to, address[0]);
    for (int i = 1; i < 4; i++) {
        to[n++] = '.';
        n += fmt_u64(to + n, address[i]);
    }
    to[n] = '\0';
    return n;
}

size_t peer_format_address(const struct peer *p, char text[PEER_TEXT_SIZE])
{
    switch (p->family) {
    case AF_INET:
        return put_ip4(text, p->address);
    case AF_INET6:
        inet_ntop(AF_INET6, p->address, text, INET6_ADDRSTRLEN);
        return strlen(text);
    case AF_UNIX:
        return put_word(text, "unix");
    default:
        return put_word(text, "unknown");
    }
}

size_t peer_format(const struct peer *p, char text[PEER_TEXT_SIZE])
{
    if (p->family != AF_INET && p->family != AF_INET6)
        return peer_format_address(p, text);
    size_t bracket = p->family == AF_INET6;
    size_t n = bracket + peer_format_address(p, text + bracket);
    if (bracket) {
        text[0] = '[';
        text[n++] = ']';
    }
    text[n++] = ':';
    n += fmt_u64(text + n, p->port);
    text[n] = '\0';
    return n;
}
