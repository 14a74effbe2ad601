/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of peers, made small and readable.  Makes no system call. */
#include "core/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/fmt.h"

static struct peer peer_of_ip4(const uint8_t address[4], in_port_t port)
{
    struct peer p = { .family = AF_INET, .port = ntohs(port) };
    memcpy(p.address, address, 4);
    return p;
}

/* A client of IPv4 on a socket of IPv6 is a client of IPv4. */
static struct peer peer_of_ip6(const struct sockaddr_in6 *a)
{
    if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr))
        return peer_of_ip4(a->sin6_addr.s6_addr + 12, a->sin6_port);
    struct peer p = { .family = AF_INET6, .port = ntohs(a->sin6_port) };
    memcpy(p.address, a->sin6_addr.s6_addr, sizeof p.address);
    return p;
}

struct peer peer_of(const struct sockaddr_storage *address, socklen_t length)
{
    if (address == NULL || length < sizeof address->ss_family)
        return (struct peer){ 0 };
    if (address->ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *a = (const void *)address;
        return peer_of_ip4((const void *)&a->sin_addr, a->sin_port);
    }
    if (address->ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))
        return peer_of_ip6((const void *)address);
    return (struct peer){ .family = address->ss_family == AF_UNIX ? AF_UNIX : 0 };
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
