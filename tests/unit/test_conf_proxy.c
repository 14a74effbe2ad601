/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_protocol and trusted, on a service and on its listeners; limits for addresses. */
#include "test_conf.h"

#define SERVICE(settings) "services = ( { name = \"e\"; protocol = \"echo\"; " settings " } );\n"

static struct conf_listen listener(const struct reading *r, unsigned i)
{
    ck_assert_uint_gt(r->conf->services[0].listen_count, i);
    return r->conf->services[0].listens[i];
}

START_TEST(proxy_protocol_is_off_by_default)
{
    struct reading r = accepted(SERVICE("listen = [ \"80\", \"udp:80\" ];"), NULL);

    ck_assert(!listener(&r, 0).proxy.on && !listener(&r, 1).proxy.on);
    reading_end(&r);
}
END_TEST

START_TEST(proxy_protocol_of_a_service_holds_for_its_listeners)
{
    struct reading r = accepted(SERVICE("proxy_protocol = true; trusted = \"10.0.0.0/8\"; "
                                        "listen = [ \"80\", \"[::1]:81\" ];"), NULL);

    for (unsigned i = 0; i < 2; i++) {
        struct conf_proxy p = listener(&r, i).proxy;
        ck_assert(p.on);
        ck_assert_uint_eq(p.trusted.count, 1);
        ck_assert_uint_eq(p.trusted.v[0].bits, 8);
        ck_assert_uint_eq(p.trusted.v[0].address[0], 10);
    }
    reading_end(&r);
}
END_TEST

START_TEST(proxy_protocol_of_a_listener_goes_before_that_of_its_service)
{
    struct reading r = accepted(SERVICE("proxy_protocol = true; trusted = [ \"10.0.0.0/8\", \"::1\" ]; "
                                        "listen = ( \"80\", { address = \"81\"; proxy_protocol = false; }, "
                                        "{ address = \"82\"; trusted = [ \"192.0.2.1\" ]; }, "
                                        "{ address = \"udp:80\"; proxy_protocol = false; } );"), NULL);

    ck_assert(listener(&r, 0).proxy.on && !listener(&r, 1).proxy.on && listener(&r, 2).proxy.on);
    ck_assert(!listener(&r, 3).proxy.on && listener(&r, 3).datagram);
    ck_assert_uint_eq(listener(&r, 0).proxy.trusted.count, 2);
    ck_assert_uint_eq(listener(&r, 2).proxy.trusted.count, 1);
    ck_assert_uint_eq(listener(&r, 2).proxy.trusted.v[0].address[0], 192);
    reading_end(&r);
}
END_TEST

START_TEST(proxy_protocol_of_a_listener_alone)
{
    struct reading r = accepted(SERVICE("listen = { address = \"127.0.0.1:0\"; proxy_protocol = true; "
                                        "trusted = \"127.0.0.1\"; };"), NULL);

    ck_assert_uint_eq(r.conf->services[0].listen_count, 1);
    ck_assert(listener(&r, 0).proxy.on && !r.conf->services[0].proxy.on);
    ck_assert_int_eq(listener(&r, 0).address.ss_family, AF_INET);
    reading_end(&r);
}
END_TEST

START_TEST(proxy_protocol_needs_no_trust_on_a_unix_socket)
{
    struct reading r = accepted(SERVICE("proxy_protocol = true; listen = \"unix:/run/e\";"), NULL);

    ck_assert(listener(&r, 0).proxy.on);
    reading_end(&r);
}
END_TEST

START_TEST(proxy_protocol_that_cannot_be_is_refused)
{
    refused(SERVICE("proxy_protocol = true; listen = \"80\";"),
            "t.conf:1: services.[0].listen: \"80\": with proxy_protocol the addresses of the proxies must be there, such"
            " as trusted = [ \"127.0.0.1\" ]\n");
    refused(SERVICE("listen = ( { address = \"80\"; proxy_protocol = true; trusted = [ ]; } );"),
            "t.conf:1: services.[0].listen.[0].address: \"80\": with proxy_protocol the addresses of the proxies must be"
            " there, such as trusted = [ \"127.0.0.1\" ]\n");
    refused(SERVICE("proxy_protocol = true; trusted = \"::1\"; listen = [ \"80\", \"udp:80\" ];"),
            "t.conf:1: services.[0].listen.[1]: \"udp:80\": the PROXY protocol is for streams; for this address write"
            " { address = \"udp:80\"; proxy_protocol = false; }\n");
    refused(SERVICE("trusted = \"::1\"; listen = \"80\";"),
            "t.conf:1: services.[0].trusted: means nothing without proxy_protocol = true\n");
    refused(SERVICE("listen = { address = \"80\"; trusted = \"::1\"; };"),
            "t.conf:1: services.[0].listen.address: \"80\": trusted means nothing without proxy_protocol = true\n");
}
END_TEST

START_TEST(proxies_may_stay_listed_when_the_protocol_is_switched_off)
{
    struct reading r = accepted(SERVICE("proxy_protocol = false; trusted = \"::1\"; listen = \"80\";"), NULL);

    ck_assert(!listener(&r, 0).proxy.on);
    reading_end(&r);
    r = accepted(SERVICE("listen = { address = \"80\"; trusted = \"::1\"; proxy_protocol = false; };"), NULL);
    ck_assert(!listener(&r, 0).proxy.on);
    reading_end(&r);
}
END_TEST

START_TEST(proxies_that_are_no_networks_are_refused)
{
    refused(SERVICE("proxy_protocol = true; listen = \"80\";\n"
                    "trusted = [ \"10.0.0.1/8\",\n \"10.0.0.0/33\",\n \"proxy\",\n \"::1/129\" ];"),
            "t.conf:1: services.[0].listen: \"80\": with proxy_protocol the addresses of the proxies must be there, such"
            " as trusted = [ \"127.0.0.1\" ]\n"
            "t.conf:2: services.[0].trusted.[0]: \"10.0.0.1/8\" has bits set behind its length: the network is"
            " \"10.0.0.0/8\"\n"
            "t.conf:3: services.[0].trusted.[1]: \"10.0.0.0/33\" must have a length from 0 to 32 behind its '/'\n"
            "t.conf:4: services.[0].trusted.[2]: \"proxy\" must be an address or a network, such as \"192.0.2.0/24\" or"
            " \"2001:db8::1\"\n"
            "t.conf:5: services.[0].trusted.[3]: \"::1/129\" must have a length from 0 to 128 behind its '/'\n");
    refused(SERVICE("listen = \"80\"; proxy_protocol = \"yes\"; trusted = 10;"),
            "t.conf:1: services.[0].proxy_protocol: must be true or false, not \"yes\"\n"
            "t.conf:1: services.[0].trusted: must be a network such as \"10.0.0.0/8\", or a list of networks,"
            " not 10\n");
}
END_TEST

START_TEST(listeners_as_groups_are_checked_as_others_are)
{
    refused(SERVICE("listen = ( { address = \"80\"; }, { adress = \"81\"; }, { address = 82; }, \"80\" );"),
            "t.conf:1: services.[0].listen.[1].address: is missing; such as address = \"8080\"\n"
            "t.conf:1: services.[0].listen.[1].adress: is no known setting; did you mean 'address'?\n"
            "t.conf:1: services.[0].listen.[2].address: must be a string, not 82\n"
            "t.conf:1: services.[0].listen.[3]: \"80\" is taken by service \"e\"\n");
    refused(SERVICE("listen = ( { address = \"\"; }, { address = \"x\"; } );"),
            "t.conf:1: services.[0].listen.[0].address: must not be empty\n"
            "t.conf:1: services.[0].listen.[1].address: \"x\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
            " unix:/PATH\n");
}
END_TEST

START_TEST(overrides_reach_into_listeners)
{
    const char *const overrides[] = { "services.e.listen.[0].proxy_protocol=true",
                                      "services.e.listen.[0].trusted=[\"127.0.0.0/8\"]", NULL };
    struct reading r = accepted(SERVICE("listen = ( { address = \"80\"; } );"), overrides);

    ck_assert(listener(&r, 0).proxy.on);
    ck_assert_uint_eq(listener(&r, 0).proxy.trusted.count, 1);
    reading_end(&r);
}
END_TEST

/* Prints what was read, reads that, and prints it again. */
static void prints_itself(const char *text, const char *part)
{
    struct reading r = accepted(text, NULL), again;
    char *first = printed(r.conf), *second;

    ck_assert_msg(strstr(first, part) != NULL, "no \"%s\" in:\n%s", part, first);
    again = accepted(first, NULL);
    second = printed(again.conf);
    ck_assert_str_eq(first, second);
    free(first);
    free(second);
    reading_end(&again);
    reading_end(&r);
}

START_TEST(proxies_are_printed_as_they_are_read)
{
    prints_itself(SERVICE("listen = [ \"80\", \"81\" ];"),
                  "listen = [ \"80\", \"81\" ];\n        proxy_protocol = false;\n");
    prints_itself(SERVICE("proxy_protocol = true; trusted = [ \"10.0.0.0/8\", \"::1\" ]; listen = [ \"80\" ];"),
                  "proxy_protocol = true;\n        trusted = [ \"10.0.0.0/8\", \"::1/128\" ];\n");
    prints_itself(SERVICE("listen = ( \"80\", { address = \"81\"; proxy_protocol = true;"
                          " trusted = [ \"127.0.0.1\", \"::1\" ]; }, { address = \"82\"; proxy_protocol = false; } );"),
                  "listen = ( \"80\", { address = \"81\"; proxy_protocol = true; trusted = [ \"127.0.0.1/32\","
                  " \"::1/128\" ]; }, { address = \"82\"; proxy_protocol = false; } );\n");
}
END_TEST

START_TEST(limits_for_addresses_and_bodies)
{
    struct reading r = accepted(ECHO "limits : { connections_per_address = 20; requests_per_second = 50;"
                                " body_rate = \"2k\"; };\n", NULL);

    ck_assert_uint_eq(r.conf->limits.connections_per_address, 20);
    ck_assert_uint_eq(r.conf->limits.requests_per_second, 50);
    ck_assert_uint_eq(r.conf->limits.body_rate, 2048);
    reading_end(&r);
    r = accepted(ECHO, NULL);
    ck_assert_uint_eq(r.conf->limits.connections_per_address, 0);
    ck_assert_uint_eq(r.conf->limits.requests_per_second, 0);
    ck_assert_uint_eq(r.conf->limits.body_rate, 1024);
    reading_end(&r);
    refused(ECHO "limits : { connections_per_address = -1; requests_per_second = 1000001; body_rate = \"2g\"; };\n",
            "t.conf:2: limits.connections_per_address: must be a whole number from 0 to 1000000, not -1\n"
            "t.conf:2: limits.requests_per_second: must be a whole number from 0 to 1000000, not 1000001\n"
            "t.conf:2: limits.body_rate: must be a size from 0 to 1073741824 bytes, such as 65536 or \"64k\","
            " not \"2g\"\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_proxy");
    TCase *all = tcase_create("all");

    tcase_add_test(all, proxy_protocol_is_off_by_default);
    tcase_add_test(all, proxy_protocol_of_a_service_holds_for_its_listeners);
    tcase_add_test(all, proxy_protocol_of_a_listener_goes_before_that_of_its_service);
    tcase_add_test(all, proxy_protocol_of_a_listener_alone);
    tcase_add_test(all, proxy_protocol_needs_no_trust_on_a_unix_socket);
    tcase_add_test(all, proxy_protocol_that_cannot_be_is_refused);
    tcase_add_test(all, proxies_may_stay_listed_when_the_protocol_is_switched_off);
    tcase_add_test(all, proxies_that_are_no_networks_are_refused);
    tcase_add_test(all, listeners_as_groups_are_checked_as_others_are);
    tcase_add_test(all, overrides_reach_into_listeners);
    tcase_add_test(all, proxies_are_printed_as_they_are_read);
    tcase_add_test(all, limits_for_addresses_and_bodies);
    suite_add_tcase(suite, all);
    return suite_run(suite);
}
