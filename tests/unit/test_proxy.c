/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/proxy.c: each header whole, in every prefix (which must not be taken for a whole one), and with a request
 * behind it. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/proxy.h"

/* A copy that ends where the memory ends: a sanitizer sees who reads on. */
static long parse_copy(struct span in, struct proxy_header *h)
{
    char *copy = malloc(in.n > 0 ? in.n : 1);
    if (in.n > 0)
        memcpy(copy, in.p, in.n);
    long n = proxy_parse((struct span){ copy, in.n }, h);
    free(copy);
    return n;
}

/* The header is right, is nothing but incomplete before its end, and does not depend on what follows. */
static struct proxy_header taken(struct span header)
{
    struct proxy_header h, again;
    char *more = malloc(header.n + 200);
    ck_assert_int_eq(parse_copy(header, &h), (long)header.n);
    for (size_t n = 0; n < header.n; n++)
        ck_assert_msg(parse_copy((struct span){ header.p, n }, &again) == 0, "%zu of %zu bytes", n, header.n);
    memcpy(more, header.p, header.n);
    for (size_t n = 1; n < 200; n += 13) {
        memset(more + header.n, n % 2 == 0 ? '\r' : 'G', n);
        ck_assert_int_eq(parse_copy((struct span){ more, header.n + n }, &again), (long)header.n);
        ck_assert(again.known == h.known && memcmp(&again.client, &h.client, sizeof h.client) == 0);
    }
    free(more);
    return h;
}

/* No prefix is taken for a header; from some length on it is refused, and stays so. */
static void refuses(struct span bytes)
{
    struct proxy_header h;
    bool refused = false;
    for (size_t n = 0; n <= bytes.n; n++) {
        long result = parse_copy((struct span){ bytes.p, n }, &h);
        ck_assert_msg(result <= 0, "%.*s is taken", (int)n, bytes.p);
        ck_assert_msg(!refused || result == -1, "%.*s is incomplete again", (int)n, bytes.p);
        refused = result == -1;
    }
    ck_assert_msg(refused, "%.*s is incomplete", (int)bytes.n, bytes.p);
}

static void check_client(struct proxy_header h, const char *text)
{
    char shown[PEER_TEXT_SIZE];
    ck_assert(h.known);
    peer_format(&h.client, shown);
    ck_assert_str_eq(shown, text);
}

#define LINE_TAKEN(text) taken(SPAN("PROXY " text "\r\n"))
#define LINE_REFUSED(text) refuses(SPAN("PROXY " text "\r\n"))

START_TEST(proxy_reads_lines_of_version_1)
{
    check_client(LINE_TAKEN("TCP4 192.0.2.1 198.51.100.7 56324 443"), "192.0.2.1:56324");
    check_client(LINE_TAKEN("TCP4 0.0.0.0 255.255.255.255 0 65535"), "0.0.0.0:0");
    check_client(LINE_TAKEN("TCP6 2001:db8::1 ::1 1 2"), "[2001:db8::1]:1");
    check_client(LINE_TAKEN("TCP6 ::ffff:192.0.2.9 ::ffff:192.0.2.1 7 8"), "192.0.2.9:7");
    check_client(LINE_TAKEN("TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
                            " 65535 65535"), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(proxy_line_may_know_nothing)
{
    ck_assert(!LINE_TAKEN("UNKNOWN").known);
    ck_assert(!LINE_TAKEN("UNKNOWN ").known);
    ck_assert(!LINE_TAKEN("UNKNOWN 192.0.2.1 x  y").known);
    ck_assert(!LINE_TAKEN("UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
                          " 65535 65535").known);
}
END_TEST

START_TEST(proxy_line_in_another_form_is_refused)
{
    LINE_REFUSED("");
    LINE_REFUSED("UNKNOWNX");
    LINE_REFUSED("unknown");
    LINE_REFUSED("TCP4");
    LINE_REFUSED("TCP4 192.0.2.1");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 1");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 1 2 3");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 1 2 ");
    LINE_REFUSED("TCP4  192.0.2.1 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2.1\t192.0.2.2 1 2");
    LINE_REFUSED(" TCP4 192.0.2.1 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2.01 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2.256 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2.0/24 192.0.2.2 1 2");
    LINE_REFUSED("TCP4 192.0.2.1 x 1 2");
    LINE_REFUSED("TCP4 ::1 ::1 1 2");
    LINE_REFUSED("TCP6 192.0.2.1 192.0.2.2 1 2");
    LINE_REFUSED("TCP6 ::1 192.0.2.2 1 2");
    LINE_REFUSED("TCP6 ::1%lo ::1 1 2");
    LINE_REFUSED("TCP6 [::1] ::1 1 2");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 65536 2");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 1 65536");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 01 2");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 1 00");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 -1 2");
    LINE_REFUSED("TCP4 192.0.2.1 192.0.2.2 +1 2");
    LINE_REFUSED("TCP5 192.0.2.1 192.0.2.2 1 2");
    LINE_REFUSED("UDP4 192.0.2.1 192.0.2.2 1 2");
    refuses(SPAN("PROXYTCP4 192.0.2.1 192.0.2.2 1 2\r\n"));
    refuses(SPAN("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"));
    refuses(SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"));
    refuses(SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n"));
    refuses(SPAN("PROXY UNKNOWN\rx\r\n"));
    refuses(SPAN("PROXY UNKNOWN\nx\r\n"));
    refuses(SPAN("GET / HTTP/1.1\r\n"));
    refuses(SPAN("PRI * HTTP/2.0\r\n"));
    refuses(SPAN("\r\n"  "GET"));
}
END_TEST

START_TEST(proxy_line_has_107_bytes_at_most)
{
    struct proxy_header h;
    char line[200] = "PROXY UNKNOWN ";
    size_t n = strlen(line);
    memset(line + n, 'x', sizeof line - n);
    memcpy(line + PROXY_V1_MAX - 2, "\r\n", 2);
    ck_assert(!taken((struct span){ line, PROXY_V1_MAX }).known);
    memset(line + n, 'x', sizeof line - n);
    memcpy(line + PROXY_V1_MAX - 1, "\r\n", 2);
    refuses((struct span){ line, PROXY_V1_MAX + 1 });
    memset(line + n, 'x', sizeof line - n);
    refuses((struct span){ line, PROXY_V1_MAX });
    ck_assert_int_eq(parse_copy((struct span){ line, PROXY_V1_MAX - 2 }, &h), 0);
}
END_TEST

/* ---- version 2 ---- */

struct block {
    unsigned char bytes[16 + 65535];
    size_t        n;
};

static struct span block_span(const struct block *b)
{
    return (struct span){ (const char *)b->bytes, b->n };
}

static void block_begin(struct block *b, unsigned command, unsigned family)
{
    memcpy(b->bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    b->bytes[12] = (unsigned char)command;
    b->bytes[13] = (unsigned char)family;
    b->bytes[14] = b->bytes[15] = 0;
    b->n = 16;
}

static void block_add(struct block *b, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    b->bytes[14] = (unsigned char)((b->n - 16) >> 8);
    b->bytes[15] = (unsigned char)(b->n - 16);
}

static void block_extension(struct block *b, unsigned type, const void *bytes, size_t n)
{
    unsigned char head[3] = { (unsigned char)type, (unsigned char)(n >> 8), (unsigned char)n };
    block_add(b, head, sizeof head);
    block_add(b, bytes, n);
}

/* 192.0.2.1:4660 to 198.51.100.7:443 */
static const unsigned char ends4[] = { 192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 0x01, 0xbb };

static struct block block4(unsigned command, unsigned family)
{
    struct block b;
    block_begin(&b, command, family);
    block_add(&b, ends4, sizeof ends4);
    return b;
}

static struct block block6(const char *client)
{
    struct block b;
    unsigned char ends[36] = { [32] = 0x00, 0x50, 0x1f, 0x90 };
    block_begin(&b, 0x21, 0x21);
    ck_assert_int_eq(inet_pton(AF_INET6, client, ends), 1);
    block_add(&b, ends, sizeof ends);
    return b;
}

START_TEST(proxy_reads_blocks_of_version_2)
{
    struct block b = block4(0x21, 0x11);
    check_client(taken(block_span(&b)), "192.0.2.1:4660");
    b = block4(0x21, 0x12);
    check_client(taken(block_span(&b)), "192.0.2.1:4660");
    b = block6("2001:db8::1");
    check_client(taken(block_span(&b)), "[2001:db8::1]:80");
    b = block6("::ffff:192.0.2.9");
    check_client(taken(block_span(&b)), "192.0.2.9:80");
    char paths[216] = "/run/client";
    block_begin(&b, 0x21, 0x31);
    block_add(&b, paths, sizeof paths);
    check_client(taken(block_span(&b)), "unix");
}
END_TEST

START_TEST(proxy_block_may_know_nothing)
{
    struct block b;
    block_begin(&b, 0x20, 0x00);
    ck_assert(!taken(block_span(&b)).known);
    block_add(&b, "\x01\x02 whatever", 11);
    ck_assert(!taken(block_span(&b)).known);
    b = block4(0x20, 0x11);                     /* LOCAL: addresses mean nothing */
    ck_assert(!taken(block_span(&b)).known);
    block_begin(&b, 0x20, 0xff);
    ck_assert(!taken(block_span(&b)).known);
    block_begin(&b, 0x21, 0x00);
    ck_assert(!taken(block_span(&b)).known);
}
END_TEST

START_TEST(proxy_block_that_cannot_be_is_refused)
{
    static const unsigned families[] = { 0x01, 0x02, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xff };
    struct block b;
    for (unsigned command = 0; command < 256; command++) {
        if (command == 0x20 || command == 0x21)
            continue;
        b = block4(command, 0x11);
        refuses(block_span(&b));
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        b = block4(0x21, families[i]);
        refuses(block_span(&b));
    }
    b = block4(0x21, 0x21);                     /* too short for IPv6 */
    refuses(block_span(&b));
    block_begin(&b, 0x21, 0x11);
    block_add(&b, ends4, sizeof ends4 - 1);
    refuses(block_span(&b));
    b = block6("::1");
    b.bytes[13] = 0x31;                         /* too short for paths */
    refuses(block_span(&b));
    b = block4(0x21, 0x11);
    for (size_t i = 0; i < 12; i++) {           /* any byte of the signature */
        struct block bad = b;
        bad.bytes[i] ^= 1;
        refuses(block_span(&bad));
    }
}
END_TEST

START_TEST(proxy_passes_over_extensions_that_lie_in_the_header)
{
    struct block b = block4(0x21, 0x11), longest;
    block_extension(&b, 0x01, "h2", 2);
    block_extension(&b, 0x04, "", 0);
    block_extension(&b, 0xe0, "\0\1\2", 3);
    check_client(taken(block_span(&b)), "192.0.2.1:4660");
    struct block bad = b;
    bad.bytes[16 + 12 + 2]++;                   /* shifts what follows */
    refuses(block_span(&bad));
    bad = b;
    block_add(&bad, "\x01", 1);
    refuses(block_span(&bad));
    bad = b;
    block_add(&bad, "\x01\0\1", 3);
    refuses(block_span(&bad));
    longest = block4(0x21, 0x11);
    static const char zeros[65535 - 12 - 3];
    block_extension(&longest, 0xee, zeros, sizeof zeros);
    ck_assert_uint_eq(longest.n, PROXY_HEADER_MAX);
    struct proxy_header h;
    ck_assert_int_eq(parse_copy(block_span(&longest), &h), PROXY_HEADER_MAX);
    ck_assert_int_eq(parse_copy((struct span){ (const char *)longest.bytes, longest.n - 1 }, &h), 0);
}
END_TEST

/* Bit by bit, as the polynomial says it. */
static uint32_t crc32c_plain(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

START_TEST(proxy_believes_a_checksum_only_when_it_is_right)
{
    ck_assert_uint_eq(crc32c_plain((const unsigned char *)"123456789", 9), 0xe3069283);
    struct block b = block4(0x21, 0x11);
    block_extension(&b, 0x01, "h2", 2);
    block_extension(&b, 0x03, "\0\0\0\0", 4);
    size_t at = b.n - 4;
    block_extension(&b, 0x02, "example.org", 11);
    uint32_t crc = crc32c_plain(b.bytes, b.n);
    for (int i = 0; i < 4; i++)
        b.bytes[at + (size_t)i] = (unsigned char)(crc >> (24 - 8 * i));
    check_client(taken(block_span(&b)), "192.0.2.1:4660");
    for (size_t i = 16; i < b.n; i++) {         /* any bit behind the length, but not the frame of extensions */
        struct block bad = b;
        bad.bytes[i] ^= 0x40;
        struct proxy_header h;
        ck_assert_int_eq(parse_copy(block_span(&bad), &h), i == at - 3 ? (long)b.n : -1);
    }
    struct block brief = block4(0x21, 0x11);
    block_extension(&brief, 0x03, "\0\0\0", 3);
    refuses(block_span(&brief));
}
END_TEST

START_TEST(proxy_trusts_whom_it_is_told_to)
{
    struct net nets[2];
    ck_assert_int_eq(net_parse(SPAN("10.0.0.0/8"), &nets[0]), NET_RIGHT);
    ck_assert_int_eq(net_parse(SPAN("::1"), &nets[1]), NET_RIGHT);
    struct proxy_rules some = { .trusted = nets, .trusted_count = 2 }, none = { 0 };
    struct peer inside = { .family = AF_INET, .address = { 10, 1, 2, 3 } };
    struct peer outside = { .family = AF_INET, .address = { 11, 1, 2, 3 } };
    struct peer six = { .family = AF_INET6, .address = { [15] = 1 } };
    struct peer local = { .family = AF_UNIX }, unknown = { 0 };
    ck_assert(proxy_trusts(&some, &inside) && !proxy_trusts(&some, &outside) && proxy_trusts(&some, &six));
    ck_assert(!proxy_trusts(&none, &inside) && !proxy_trusts(&none, &six));
    ck_assert(proxy_trusts(&some, &local) && proxy_trusts(&none, &local));
    ck_assert(!proxy_trusts(&some, &unknown) && !proxy_trusts(&none, &unknown));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proxy");
    TCase *t = tcase_create("proxy");
    tcase_add_test(t, proxy_reads_lines_of_version_1);
    tcase_add_test(t, proxy_line_may_know_nothing);
    tcase_add_test(t, proxy_line_in_another_form_is_refused);
    tcase_add_test(t, proxy_line_has_107_bytes_at_most);
    tcase_add_test(t, proxy_reads_blocks_of_version_2);
    tcase_add_test(t, proxy_block_may_know_nothing);
    tcase_add_test(t, proxy_block_that_cannot_be_is_refused);
    tcase_add_test(t, proxy_passes_over_extensions_that_lie_in_the_header);
    tcase_add_test(t, proxy_believes_a_checksum_only_when_it_is_right);
    tcase_add_test(t, proxy_trusts_whom_it_is_told_to);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
