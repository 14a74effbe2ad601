/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses to listen on. */
#include "test_conf.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct conf_listen parsed(const char *text)
{
    struct conf_listen l = { .text = text };
    char why[200] = "";

    ck_assert_msg(conf_listen_parse(text, &l, why, sizeof(why)), "%s: %s", text, why);
    return l;
}

static void refuses(const char *text, const char *reason)
{
    struct conf_listen l = { .text = text };
    char why[200] = "";

    ck_assert_msg(!conf_listen_parse(text, &l, why, sizeof(why)), "%s", text);
    ck_assert_str_eq(why, reason);
}

static void is_inet(const char *text, const char *address, unsigned port, unsigned zone)
{
    struct conf_listen l = parsed(text);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l.address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l.address;
    char shown[INET6_ADDRSTRLEN];

    if (l.address.ss_family == AF_INET) {
        ck_assert_uint_eq(l.address_size, sizeof(*v4));
        ck_assert_ptr_nonnull(inet_ntop(AF_INET, &v4->sin_addr, shown, sizeof(shown)));
        ck_assert_uint_eq(ntohs(v4->sin_port), port);
    } else {
        ck_assert_int_eq(l.address.ss_family, AF_INET6);
        ck_assert_uint_eq(l.address_size, sizeof(*v6));
        ck_assert_ptr_nonnull(inet_ntop(AF_INET6, &v6->sin6_addr, shown, sizeof(shown)));
        ck_assert_uint_eq(ntohs(v6->sin6_port), port);
        ck_assert_uint_eq(v6->sin6_scope_id, zone);
    }
    ck_assert_str_eq(shown, address);
    ck_assert(!l.datagram);
}

START_TEST(listen_takes_a_port_for_all_addresses)
{
    struct conf_listen l = parsed("8080");

    ck_assert(l.wildcard);
    is_inet("8080", "::", 8080, 0);
    is_inet("0", "::", 0, 0);
    is_inet("65535", "::", 65535, 0);
}
END_TEST

START_TEST(listen_takes_addresses_of_both_families)
{
    ck_assert(!parsed("[::]:80").wildcard);
    ck_assert(!parsed("0.0.0.0:80").wildcard);
    is_inet("127.0.0.1:0", "127.0.0.1", 0, 0);
    is_inet("[::1]:443", "::1", 443, 0);
    is_inet("[::]:443", "::", 443, 0);
    is_inet("[fe80::1%7]:1", "fe80::1", 1, 7);
}
END_TEST

START_TEST(listen_takes_the_name_of_an_interface_as_zone)
{
    is_inet("[fe80::1%lo]:1", "fe80::1", 1, if_nametoindex("lo"));
    refuses("[fe80::1%nosuchif]:1", "there is no network interface 'nosuchif'");
    refuses("[fe80::1%]:1", "there is no network interface ''");
}
END_TEST

START_TEST(listen_takes_a_path_that_fits)
{
    struct sockaddr_un limits;
    char text[300] = "unix:/";
    struct conf_listen l;
    const struct sockaddr_un *address = (const struct sockaddr_un *)&l.address;

    memset(text + 6, 'x', sizeof(limits.sun_path) - 2);
    l = parsed(text);
    ck_assert_int_eq(l.address.ss_family, AF_UNIX);
    ck_assert_str_eq(address->sun_path, text + 5);
    ck_assert_uint_eq(l.address_size, sizeof(limits));
    strcat(text, "x");
    refuses(text, "has a path of 108 bytes; a Unix socket allows 107");
    refuses("unix:a", "needs an absolute path: unix:/PATH");
    refuses("unix:", "needs an absolute path: unix:/PATH");
}
END_TEST

START_TEST(listen_says_what_would_be_right)
{
    static const char brackets[] = "an IPv6 address needs brackets: \"[ADDRESS]:PORT\", such as"
                                   " \"[::1]:8080\"";
    static const char neither[] = "is neither a port from 0 to 65535 nor ADDRESS:PORT nor unix:/PATH";

    refuses("", "must not be empty");
    refuses("*:80", "for all addresses write the port alone: \"80\"");
    refuses(":80", "for all addresses write the port alone: \"80\"");
    refuses("127.0.0.1", "lacks a port: write \"127.0.0.1:8080\"");
    refuses("[::1]", "lacks a port: write \"[ADDRESS]:PORT\", such as \"[::1]:8080\"");
    refuses("[::1", "lacks a port: write \"[ADDRESS]:PORT\", such as \"[::1]:8080\"");
    refuses("::1:80", brackets);
    refuses("::", brackets);
    refuses("[]:80", "'' is not an IPv6 address");
    refuses("[127.0.0.1]:80", "'127.0.0.1' is not an IPv6 address");
    refuses("65536", neither);
    refuses("-1", neither);
    refuses("80 ", neither);
    refuses("http", neither);
    refuses("000080", neither);
    refuses("127.0.0.1:", "'' is not a port from 0 to 65535");
    refuses("127.0.0.1:99999", "'99999' is not a port from 0 to 65535");
    refuses("127.0.0.1:80x", "'80x' is not a port from 0 to 65535");
    refuses("localhost:80", "'localhost' is not an IPv4 address; names are not looked up, so write an"
                            " address such as"
            " 127.0.0.1");
    refuses("127.1:80", "'127.1' is not an IPv4 address; names are not looked up, so write an address such as"
            " 127.0.0.1");
    refuses("systemd:", "needs a name: \"systemd:NAME\", as FileDescriptorName= in the socket unit says it");
    refuses("udp:systemd:", "needs a name: \"udp:systemd:NAME\", as FileDescriptorName= in the socket unit says it");
    refuses("systemd:a:b", "must have a name of 1 to 255 printable ASCII bytes without blanks and colons");
    refuses("systemd:a b", "must have a name of 1 to 255 printable ASCII bytes without blanks and colons");
    refuses("sytemd:web", "'sytemd:' means nothing; did you mean 'systemd:'?");
}
END_TEST

START_TEST(listen_takes_datagrams_wherever_a_port_is)
{
    struct conf_listen all = parsed("udp:7007"), one = parsed("udp:127.0.0.1:0"), six = parsed("udp:[::1]:65535");

    ck_assert(all.datagram && one.datagram && six.datagram);
    ck_assert(all.wildcard && !one.wildcard && !six.wildcard);
    ck_assert_int_eq(one.address.ss_family, AF_INET);
    ck_assert_int_eq(six.address.ss_family, AF_INET6);
    ck_assert_uint_eq(ntohs(((const struct sockaddr_in6 *)&six.address)->sin6_port), 65535);
    refuses("udp:", "is neither a port from 0 to 65535 nor ADDRESS:PORT nor unix:/PATH");
    refuses("udp:x", "is neither a port from 0 to 65535 nor ADDRESS:PORT nor unix:/PATH");
    refuses("udp:unix:/x", "datagrams need a port: \"udp:PORT\" or \"udp:ADDRESS:PORT\"");
    refuses("udp:*:80", "for all addresses write the port alone: \"udp:80\"");
    refuses("udp:127.0.0.1", "lacks a port: write \"udp:127.0.0.1:8080\"");
    refuses("udp:[::1]", "lacks a port: write \"udp:[ADDRESS]:PORT\", such as \"udp:[::1]:8080\"");
    refuses("udp:::1:80", "an IPv6 address needs brackets: \"udp:[ADDRESS]:PORT\", such as \"udp:[::1]:8080\"");
    refuses("udp:udp:7", "'udp' is not an IPv4 address; names are not looked up, so write an address such as"
            " 127.0.0.1");
    refuses("UDP:7", "'UDP:' means nothing; did you mean 'udp:'?");
    refuses("upd:127.0.0.1:7", "'upd:' means nothing; did you mean 'udp:'?");
    refuses("unx:/run/x", "'unx:' means nothing; did you mean 'unix:'?");
}
END_TEST

START_TEST(listen_survives_text_of_any_length)
{
    char text[4096];

    for (size_t n = 1; n < sizeof(text); n += 97) {
        struct conf_listen l = { .text = text };
        char why[64];

        memset(text, '1', n);
        text[n - 1] = '\0';
        ck_assert(n < 7 || !conf_listen_parse(text, &l, why, sizeof(why)));
        if (n > 8) {
            text[n - 4] = ':';
            ck_assert(!conf_listen_parse(text, &l, why, sizeof(why)));
            text[0] = '[';
            text[n - 5] = ']';
            ck_assert(!conf_listen_parse(text, &l, why, sizeof(why)));
        }
    }
}
END_TEST

static bool same(const char *a, const char *b)
{
    const struct conf_listen x = parsed(a), y = parsed(b);

    ck_assert(conf_listen_same(&x, &y) == conf_listen_same(&y, &x));
    return conf_listen_same(&x, &y);
}

START_TEST(listen_knows_who_would_fight_for_an_address)
{
    ck_assert(same("80", "80"));
    ck_assert(same("80", "[::]:80"));
    ck_assert(same("80", "0.0.0.0:80"));
    ck_assert(same("[::1]:80", "[0:0::1]:80"));
    ck_assert(same("unix:/a", "unix:/a"));
    ck_assert(!same("80", "81"));
    ck_assert(!same("0", "0"));
    ck_assert(!same("127.0.0.1:0", "127.0.0.1:0"));
    ck_assert(!same("80", "127.0.0.1:80"));
    ck_assert(!same("[::]:80", "0.0.0.0:80"));
    ck_assert(!same("unix:/a", "unix:/b"));
    ck_assert(!same("unix:/a", "80"));
    ck_assert(same("udp:80", "udp:0.0.0.0:80"));
    ck_assert(!same("udp:80", "80"));
    ck_assert(!same("udp:127.0.0.1:80", "127.0.0.1:80"));
    ck_assert(!same("udp:0", "udp:0"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_listen");
    TCase *all = tcase_create("all");

    tcase_add_test(all, listen_takes_a_port_for_all_addresses);
    tcase_add_test(all, listen_takes_addresses_of_both_families);
    tcase_add_test(all, listen_takes_the_name_of_an_interface_as_zone);
    tcase_add_test(all, listen_takes_a_path_that_fits);
    tcase_add_test(all, listen_says_what_would_be_right);
    tcase_add_test(all, listen_takes_datagrams_wherever_a_port_is);
    tcase_add_test(all, listen_survives_text_of_any_length);
    tcase_add_test(all, listen_knows_who_would_fight_for_an_address);
    suite_add_tcase(suite, all);
    return suite_run(suite);
}
