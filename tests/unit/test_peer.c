/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/peer.c. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "core/peer.h"

static struct peer peer_ip4(const char *address, uint16_t port)
{
    struct sockaddr_storage storage = { 0 };
    struct sockaddr_in *a = (void *)&storage;
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, address, &a->sin_addr), 1);
    return peer_of(&storage, sizeof *a);
}

static struct peer peer_ip6(const char *address, uint16_t port)
{
    struct sockaddr_storage storage = { 0 };
    struct sockaddr_in6 *a = (void *)&storage;
    a->sin6_family = AF_INET6;
    a->sin6_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET6, address, &a->sin6_addr), 1);
    return peer_of(&storage, sizeof *a);
}

static void check_peer(struct peer p, const char *whole, const char *address)
{
    char text[PEER_TEXT_SIZE];
    ck_assert_uint_eq(peer_format(&p, text), strlen(whole));
    ck_assert_str_eq(text, whole);
    ck_assert_uint_eq(peer_format_address(&p, text), strlen(address));
    ck_assert_str_eq(text, address);
}

START_TEST(peer_of_ip4_is_address_and_port)
{
    check_peer(peer_ip4("192.0.2.1", 80), "192.0.2.1:80", "192.0.2.1");
    check_peer(peer_ip4("0.0.0.0", 0), "0.0.0.0:0", "0.0.0.0");
    check_peer(peer_ip4("255.255.255.255", 65535), "255.255.255.255:65535", "255.255.255.255");
}
END_TEST

START_TEST(peer_of_ip6_has_brackets_around_its_address)
{
    check_peer(peer_ip6("2001:db8::1", 80), "[2001:db8::1]:80", "2001:db8::1");
    check_peer(peer_ip6("::", 1), "[::]:1", "::");
    check_peer(peer_ip6("1111:2222:3333:4444:5555:6666:7777:8888", 65535),
               "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", "1111:2222:3333:4444:5555:6666:7777:8888");
}
END_TEST

START_TEST(peer_of_ip4_on_a_socket_of_ip6_is_ip4)
{
    struct peer p = peer_ip6("::ffff:198.51.100.7", 1234);
    ck_assert_uint_eq(p.family, AF_INET);
    check_peer(p, "198.51.100.7:1234", "198.51.100.7");
}
END_TEST

START_TEST(peer_of_a_unix_socket_is_unix)
{
    struct sockaddr_storage storage = { .ss_family = AF_UNIX };
    check_peer(peer_of(&storage, sizeof(sa_family_t)), "unix", "unix");
    check_peer(peer_of(&storage, sizeof(struct sockaddr_un)), "unix", "unix");
}
END_TEST

START_TEST(peer_that_nobody_told_is_unknown)
{
    struct sockaddr_storage storage = { .ss_family = AF_INET };
    check_peer(peer_of(&storage, 0), "unknown", "unknown");
    check_peer(peer_of(NULL, 0), "unknown", "unknown");
    check_peer(peer_of(&storage, sizeof(sa_family_t)), "unknown", "unknown");
    storage.ss_family = AF_INET6;
    check_peer(peer_of(&storage, sizeof(struct sockaddr_in)), "unknown", "unknown");
    storage.ss_family = AF_NETLINK;
    check_peer(peer_of(&storage, sizeof storage), "unknown", "unknown");
    check_peer((struct peer){ 0 }, "unknown", "unknown");
}
END_TEST

START_TEST(peer_is_small)
{
    ck_assert_uint_le(sizeof(struct peer), 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("peer");
    TCase *t = tcase_create("peer");
    tcase_add_test(t, peer_of_ip4_is_address_and_port);
    tcase_add_test(t, peer_of_ip6_has_brackets_around_its_address);
    tcase_add_test(t, peer_of_ip4_on_a_socket_of_ip6_is_ip4);
    tcase_add_test(t, peer_of_a_unix_socket_is_unix);
    tcase_add_test(t, peer_that_nobody_told_is_unknown);
    tcase_add_test(t, peer_is_small);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
