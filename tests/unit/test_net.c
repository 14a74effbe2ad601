/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/net.c. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "base/net.h"

static struct net net_of(const char *text)
{
    struct net n;
    ck_assert_msg(net_parse(span_of(text), &n) == NET_RIGHT, "%s", text);
    return n;
}

static bool holds(const char *net, const char *address)
{
    struct net n = net_of(net), a = net_of(address);
    return net_holds(&n, a.family, a.address);
}

START_TEST(net_holds_what_shares_its_prefix)
{
    ck_assert(holds("10.0.0.0/8", "10.255.1.2"));
    ck_assert(!holds("10.0.0.0/8", "11.0.0.0"));
    ck_assert(holds("192.0.2.128/25", "192.0.2.200"));
    ck_assert(!holds("192.0.2.128/25", "192.0.2.127"));
    ck_assert(holds("192.0.2.1", "192.0.2.1"));
    ck_assert(!holds("192.0.2.1", "192.0.2.2"));
    ck_assert(holds("0.0.0.0/0", "255.1.2.3"));
    ck_assert(!holds("0.0.0.0/0", "::1"));
    ck_assert(holds("::/0", "2001:db8::1"));
    ck_assert(!holds("::/0", "127.0.0.1"));
    ck_assert(holds("2001:db8::/33", "2001:db8:7fff::1"));
    ck_assert(!holds("2001:db8::/33", "2001:db8:8000::1"));
    ck_assert(holds("::1", "::1"));
    ck_assert(!holds("::1/128", "::2"));
}
END_TEST

START_TEST(net_takes_mapped_addresses_for_what_they_are)
{
    ck_assert(holds("::ffff:192.0.2.0/120", "192.0.2.77"));
    ck_assert(holds("192.0.2.0/24", "::ffff:192.0.2.77"));
    ck_assert(!holds("::/0", "::ffff:192.0.2.77"));
}
END_TEST

START_TEST(net_is_written_as_it_is_read)
{
    static const char *const texts[] = { "10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "::1/128" };
    char to[NET_TEXT_SIZE];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct net n = net_of(texts[i]);
        ck_assert_str_eq(net_format(&n, to), texts[i]);
    }
}
END_TEST

START_TEST(net_says_what_is_wrong)
{
    static const struct { const char *text; enum net_fault fault; } wrong[] = {
        { "", NET_NO_ADDRESS }, { "/8", NET_NO_ADDRESS }, { "10.0.0/8", NET_NO_ADDRESS }, { "host", NET_NO_ADDRESS },
        { "10.0.0.0.0", NET_NO_ADDRESS }, { "1.2.3.256", NET_NO_ADDRESS }, { ":::", NET_NO_ADDRESS },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NET_NO_ADDRESS },
        { "10.0.0.0/", NET_NO_LENGTH }, { "10.0.0.0/33", NET_NO_LENGTH }, { "10.0.0.0/-1", NET_NO_LENGTH },
        { "10.0.0.0/8 ", NET_NO_LENGTH }, { "::/129", NET_NO_LENGTH }, { "::/x", NET_NO_LENGTH },
        { "10.0.0.1/8", NET_HOST_BITS }, { "192.0.2.129/25", NET_HOST_BITS }, { "2001:db8::1/32", NET_HOST_BITS },
    };
    struct net n;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(net_parse(span_of(wrong[i].text), &n) == wrong[i].fault, "%s", wrong[i].text);
}
END_TEST

START_TEST(net_with_host_bits_names_the_network_around)
{
    char to[NET_TEXT_SIZE];
    struct net n;
    ck_assert_int_eq(net_parse(SPAN("192.0.2.129/26"), &n), NET_HOST_BITS);
    ck_assert_str_eq(net_format(&n, to), "192.0.2.128/26");
    ck_assert_int_eq(net_parse(SPAN("2001:db8:ffff::1/33"), &n), NET_HOST_BITS);
    ck_assert_str_eq(net_format(&n, to), "2001:db8:8000::/33");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("net");
    TCase *t = tcase_create("net");
    tcase_add_test(t, net_holds_what_shares_its_prefix);
    tcase_add_test(t, net_takes_mapped_addresses_for_what_they_are);
    tcase_add_test(t, net_is_written_as_it_is_read);
    tcase_add_test(t, net_says_what_is_wrong);
    tcase_add_test(t, net_with_host_bits_names_the_network_around);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
