/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of the PROXY protocol, read strictly: a sender is a program, and what it does not say in the one right form
 * must not be guessed at.  Pure: no state but the input, which comes again, longer, until it is complete. */
#include "core/proxy.h"

#include <string.h>

#include "base/fmt.h"

bool proxy_trusts(const struct proxy_rules *r, const struct peer *p)
{
    for (unsigned i = 0; i < r->trusted_count; i++)
        if (net_holds(&r->trusted[i], p->family, p->address))
            return true;
    return p->family == AF_UNIX;
}

/* ---- version 1: a line of text ---- */

/* The next word, with exactly one space before it. */
static bool word_next(struct span *line, struct span *word)
{
    if (line->n == 0 || line->p[0] != ' ')
        return false;
    *line = span_skip(*line, 1);
    const char *end = line->n == 0 ? NULL : memchr(line->p, ' ', line->n);
    *word = (struct span){ line->p, end == NULL ? line->n : (size_t)(end - line->p) };
    *line = span_skip(*line, word->n);
    return word->n > 0;
}

/* An address of this family.  One of IPv4 written as IPv6 becomes what it is, as with peers of sockets. */
static bool address_read(struct span word, uint16_t family, struct peer *p)
{
    struct net n;
    bool six = memchr(word.p, ':', word.n) != NULL;
    if (six != (family == AF_INET6) || memchr(word.p, '/', word.n) != NULL || net_parse(word, &n) != NET_RIGHT)
        return false;
    *p = (struct peer){ .family = n.family };
    memcpy(p->address, n.address, sizeof p->address);
    return true;
}

/* Leading zeros are forbidden: somebody might take them for octal. */
static bool port_read(struct span word, uint16_t *port)
{
    uint64_t value;
    if (word.n > 5 || (word.n > 1 && word.p[0] == '0') || !fmt_parse_u64(word, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return true;
}

/* What stands behind "PROXY TCP4". */
static bool ends_read(struct span line, uint16_t family, struct proxy_header *h)
{
    struct span from, to, from_port, to_port;
    struct peer server;
    h->known = true;
    return word_next(&line, &from) && word_next(&line, &to) && word_next(&line, &from_port) &&
           word_next(&line, &to_port) && line.n == 0 &&
           address_read(from, family, &h->client) && address_read(to, family, &server) &&
           port_read(from_port, &h->client.port) && port_read(to_port, &server.port);
}

/* A line behind "PROXY", without its end. */
static bool line_read(struct span line, struct proxy_header *h)
{
    struct span word;
    if (!word_next(&line, &word))
        return false;
    if (span_equal(word, SPAN("TCP4")))
        return ends_read(line, AF_INET, h);
    if (span_equal(word, SPAN("TCP6")))
        return ends_read(line, AF_INET6, h);
    return span_equal(word, SPAN("UNKNOWN"));   /* what follows is to be passed over */
}

static long line_parse(struct span in, struct span start, struct proxy_header *h)
{
    size_t most = in.n < PROXY_V1_MAX ? in.n : PROXY_V1_MAX;
    const char *end = memchr(in.p, '\r', most);
    size_t n = end == NULL ? most : (size_t)(end - in.p);
    if (memchr(in.p, '\n', n) != NULL || n + 2 > PROXY_V1_MAX)
        return -1;
    if (end == NULL || n + 1 == in.n)
        return 0;
    if (in.p[n + 1] != '\n' || !line_read((struct span){ in.p + start.n, n - start.n }, h))
        return -1;
    return (long)n + 2;
}

/* ---- version 2: binary ---- */

enum {
    V2_FIXED = 16,              /* bytes: signature, version and command, family and transport, length */
    V2_AT_COMMAND = 12, V2_AT_FAMILY = 13, V2_AT_LENGTH = 14,
    V2_LOCAL = 0x20, V2_PROXY = 0x21,
    TLV_HEAD = 3,               /* type, length of 16 bits */
    TLV_CRC32C = 0x03
};

static unsigned byte_at(struct span s, size_t at)
{
    return (unsigned char)s.p[at];
}

static unsigned short_at(struct span s, size_t at)
{
    return byte_at(s, at) << 8 | byte_at(s, at + 1);
}

/* Bytes of both ends, by family and transport; -1: there is no such pair. */
static int ends_size(unsigned family)
{
    switch (family) {
    case 0x00:            return 0;     /* unspecified */
    case 0x11: case 0x12: return 12;    /* IPv4, stream and datagram */
    case 0x21: case 0x22: return 36;    /* IPv6 */
    case 0x31: case 0x32: return 216;   /* Unix */
    }
    return -1;
}

static struct peer client_read(struct span in)
{
    struct peer p = { 0 };
    switch (byte_at(in, V2_AT_FAMILY) >> 4) {
    case 1:
        p = (struct peer){ .family = AF_INET, .port = (uint16_t)short_at(in, V2_FIXED + 8) };
        memcpy(p.address, in.p + V2_FIXED, 4);
        return p;
    case 2:
        p = (struct peer){ .family = AF_INET6, .port = (uint16_t)short_at(in, V2_FIXED + 32) };
        memcpy(p.address, in.p + V2_FIXED, 16);
        return peer_unmapped(&p);
    case 3:
        return (struct peer){ .family = AF_UNIX };
    }
    return p;
}

/* CRC-32C (RFC 9260 appendix A), reflected, four bits at a time. */
static uint32_t crc32c_add(uint32_t crc, unsigned byte)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75
    };
    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

/* The checksum over the whole header, its own four bytes taken as zero. */
static bool checksum_right(struct span header, size_t at)
{
    uint32_t crc = 0xffffffff, said = (uint32_t)short_at(header, at) << 16 | short_at(header, at + 2);
    for (size_t i = 0; i < header.n; i++)
        crc = crc32c_add(crc, i >= at && i < at + 4 ? 0 : byte_at(header, i));
    return (crc ^ 0xffffffff) == said;
}

/* The extensions behind the addresses: each must lie in the header, and a checksum must be right. */
static bool extensions_right(struct span header, size_t at)
{
    while (at < header.n) {
        if (header.n - at < TLV_HEAD)
            return false;
        unsigned type = byte_at(header, at), n = short_at(header, at + 1);
        at += TLV_HEAD;
        if (n > header.n - at || (type == TLV_CRC32C && (n != 4 || !checksum_right(header, at))))
            return false;
        at += n;
    }
    return true;
}

/* A LOCAL header says nothing of a client, and its other bytes are to be passed over whatever they are. */
static bool block_read(struct span header, struct proxy_header *h)
{
    unsigned command = byte_at(header, V2_AT_COMMAND), family = byte_at(header, V2_AT_FAMILY);
    int size = ends_size(family);
    if (command == V2_LOCAL)
        return true;
    if (size == -1 || header.n < V2_FIXED + (size_t)size || !extensions_right(header, V2_FIXED + (size_t)size))
        return false;
    h->known = size > 0;
    h->client = client_read(header);
    return true;
}

static long block_parse(struct span in, struct proxy_header *h)
{
    if (in.n > V2_AT_COMMAND && byte_at(in, V2_AT_COMMAND) != V2_LOCAL && byte_at(in, V2_AT_COMMAND) != V2_PROXY)
        return -1;
    if (in.n < V2_FIXED)
        return 0;
    size_t n = V2_FIXED + short_at(in, V2_AT_LENGTH);
    if (in.n < n)
        return 0;
    return block_read((struct span){ in.p, n }, h) ? (long)n : -1;
}

/* ---- either ---- */

static bool may_begin(struct span in, struct span start)
{
    size_t n = in.n < start.n ? in.n : start.n;
    return n == 0 || memcmp(in.p, start.p, n) == 0;
}

long proxy_parse(struct span in, struct proxy_header *h)
{
    struct span v1 = SPAN("PROXY"), v2 = SPAN("\r\n\r\n\0\r\nQUIT\n");
    *h = (struct proxy_header){ 0 };
    if (may_begin(in, v1))
        return in.n < v1.n ? 0 : line_parse(in, v1, h);
    if (may_begin(in, v2))
        return in.n < v2.n ? 0 : block_parse(in, h);
    return -1;
}
