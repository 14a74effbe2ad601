/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses to listen on: "PORT", "ADDR:PORT", "[ADDR6]:PORT", these with "udp:" before them, "unix:/path",
 * "systemd:NAME".
 * Numbers only: a name would need the resolver, which may be slow, or answer otherwise tomorrow. */
#include "conf/conf_inner.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { HANDED_MAX_BYTES = 255 };        /* of a name (systemd.socket(5)) */
enum { HOST_MAX = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE };     /* ADDRESS%ZONE */

struct listen_why {
    char       *text;
    size_t      size;
    const char *prefix;         /* of what would be right: "udp:" or nothing */
};

static bool listen_refuse(const struct listen_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool listen_refuse(const struct listen_why *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why->text, why->size, format, args);
    va_end(args);
    return false;
}

static bool parse_port(const char *text, in_port_t *port)
{
    size_t n = strspn(text, "0123456789");
    unsigned long value;

    if (n == 0 || n > 5 || text[n] != '\0')
        return false;
    value = strtoul(text, NULL, 10);
    *port = htons((in_port_t)value);
    return value <= 65535;
}

static bool unix_parse(const char *path, struct conf_listen *l, const struct listen_why *why)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&l->address;
    size_t n = strlen(path);

    if (path[0] != '/')
        return listen_refuse(why, "needs an absolute path: unix:/PATH");
    if (n >= sizeof(address->sun_path))
        return listen_refuse(why, "has a path of %zu bytes; a Unix socket allows %zu", n,
                             sizeof(address->sun_path) - 1);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, n + 1);
    l->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return true;
}

/* The names that systemd allows (FileDescriptorName=): ASCII without control bytes and colons.  Blanks are left out
 * too, since the log separates words by them. */
static bool handed_parse_name(const char *name, struct conf_listen *l, const struct listen_why *why)
{
    size_t n = 0;

    while (name[n] > ' ' && name[n] < 0x7f && name[n] != ':')
        n++;
    if (n == 0 && name[n] == '\0')
        return listen_refuse(why, "needs a name: \"%ssystemd:NAME\", as FileDescriptorName= in the socket unit says it",
                             why->prefix);
    if (name[n] != '\0' || n > HANDED_MAX_BYTES)
        return listen_refuse(why, "must have a name of 1 to %d printable ASCII bytes without blanks and colons",
                             HANDED_MAX_BYTES);
    l->handed = name;
    return true;
}

static void wildcard_set(struct conf_listen *l, in_port_t port)
{
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)&l->address;

    address->sin6_family = AF_INET6;
    address->sin6_port = port;
    address->sin6_addr = in6addr_any;
    l->address_size = sizeof(*address);
    l->wildcard = true;
}

static bool ipv4_parse(const char *host, in_port_t port, struct conf_listen *l, const struct listen_why *why)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&l->address;

    if (inet_pton(AF_INET, host, &address->sin_addr) != 1)
        return listen_refuse(why, "'%s' is not an IPv4 address; names are not looked up, so write an address"
                                  " such as 127.0.0.1", host);
    address->sin_family = AF_INET;
    address->sin_port = port;
    l->address_size = sizeof(*address);
    return true;
}

/* The zone of a link-local address (RFC 4007): the name or the number of an interface. */
static bool zone_parse(const char *zone, uint32_t *index, const struct listen_why *why)
{
    size_t n = strspn(zone, "0123456789");

    *index = n > 0 && n < 10 && zone[n] == '\0' ? (uint32_t)strtoul(zone, NULL, 10) : if_nametoindex(zone);
    return *index != 0 || listen_refuse(why, "there is no network interface '%s'", zone);
}

static bool ipv6_parse(char *host, in_port_t port, struct conf_listen *l, const struct listen_why *why)
{
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)&l->address;
    char *zone = strchr(host, '%');

    if (zone != NULL)
        *zone++ = '\0';
    if (inet_pton(AF_INET6, host, &address->sin6_addr) != 1)
        return listen_refuse(why, "'%s' is not an IPv6 address", host);
    if (zone != NULL && !zone_parse(zone, &address->sin6_scope_id, why))
        return false;
    address->sin6_family = AF_INET6;
    address->sin6_port = port;
    l->address_size = sizeof(*address);
    return true;
}

/* No colon at all: a port, or an address that lacks one. */
static bool bare_parse(const char *text, struct conf_listen *l, const struct listen_why *why)
{
    struct in_addr ignored;
    in_port_t port;

    if (parse_port(text, &port)) {
        wildcard_set(l, port);
        return true;
    }
    if (inet_pton(AF_INET, text, &ignored) == 1)
        return listen_refuse(why, "lacks a port: write \"%s%s:8080\"", why->prefix, text);
    return listen_refuse(why, "is neither a port from 0 to 65535 nor ADDRESS:PORT nor unix:/PATH");
}

/* "UDP:53", "unx:/run/x": no address of hexadecimal digits is as near as that to a prefix. */
static bool prefix_check(const char *text, const struct listen_why *why)
{
    size_t n = strcspn(text, ":");
    char prefix[12] = "";
    struct conf_near near = { .word = prefix };

    if (n + 1 >= sizeof(prefix))
        return true;
    memcpy(prefix, text, n + 1);
    conf_near_try(&near, "udp:");
    conf_near_try(&near, "unix:");
    conf_near_try(&near, "systemd:");
    return near.best == NULL || strcmp(near.best, prefix) == 0 ||
           listen_refuse(why, "'%s' means nothing; did you mean '%s'?", prefix, near.best);
}

/* What stands before "PORT" when it is no address. */
static bool host_check(const char *host, const char *port, const struct listen_why *why)
{
    if (host[0] == '\0' || strcmp(host, "*") == 0)
        return listen_refuse(why, "for all addresses write the port alone: \"%s%s\"", why->prefix, port);
    if (host[0] != '[' && strchr(host, ':') != NULL)
        return listen_refuse(why, "an IPv6 address needs brackets: \"%s[ADDRESS]:PORT\", such as"
                                  " \"%s[::1]:8080\"", why->prefix, why->prefix);
    return true;
}

static bool inet_parse(const char *text, const char *colon, struct conf_listen *l,
                       const struct listen_why *why)
{
    size_t n = (size_t)(colon - text);
    char host[HOST_MAX + 2] = "";
    in_port_t port;

    memcpy(host, text, n < sizeof(host) ? n : sizeof(host) - 1);
    if (!prefix_check(text, why) || !host_check(host, colon + 1, why))
        return false;
    if (n >= sizeof(host))
        return listen_refuse(why, "is too long for an address");
    if (text[0] == '[' && text[n - 1] != ']')
        return listen_refuse(why, "lacks a port: write \"%s[ADDRESS]:PORT\", such as \"%s[::1]:8080\"",
                             why->prefix, why->prefix);
    if (!parse_port(colon + 1, &port))
        return listen_refuse(why, "'%.20s' is not a port from 0 to 65535", colon + 1);
    if (text[0] != '[')
        return ipv4_parse(host, port, l, why);
    host[n - 1] = '\0';
    return ipv6_parse(host + 1, port, l, why);
}

bool conf_listen_parse(const char *text, struct conf_listen *l, char *why_text, size_t why_size)
{
    struct listen_why why = { why_text, why_size, "" };
    const char *colon;

    if (text[0] == '\0')
        return listen_refuse(&why, "must not be empty");
    if (strncmp(text, "unix:", 5) == 0)
        return unix_parse(text + 5, l, &why);
    if (strncmp(text, "udp:", 4) == 0) {
        text += 4;
        why.prefix = "udp:";
        l->datagram = true;
    }
    if (l->datagram && strncmp(text, "unix:", 5) == 0)
        return listen_refuse(&why, "datagrams need a port: \"udp:PORT\" or \"udp:ADDRESS:PORT\"");
    if (strncmp(text, "systemd:", 8) == 0)
        return handed_parse_name(text + 8, l, &why);
    colon = strrchr(text, ':');
    return colon == NULL ? bare_parse(text, l, &why) : inet_parse(text, colon, l, &why);
}

static bool is_any(const struct conf_listen *l)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l->address;

    if (l->address.ss_family == AF_INET)
        return v4->sin_addr.s_addr == htonl(INADDR_ANY);
    return l->address.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Both families keep the port at the same place (POSIX does not say so, Linux does). */
static in_port_t port_of(const struct conf_listen *l)
{
    return ((const struct sockaddr_in *)&l->address)->sin_port;
}

bool conf_listen_same(const struct conf_listen *a, const struct conf_listen *b)
{
    bool on_path = a->address.ss_family == AF_UNIX || b->address.ss_family == AF_UNIX;

    if (a->datagram != b->datagram)
        return false;       /* UDP and TCP have ports of their own */
    if (a->handed != NULL || b->handed != NULL)
        return a->handed != NULL && b->handed != NULL && strcmp(a->handed, b->handed) == 0;
    if (!on_path && (port_of(a) == 0 || port_of(a) != port_of(b)))
        return false;       /* port 0 is another one each time */
    if ((a->wildcard || b->wildcard) && is_any(a) && is_any(b))
        return true;
    return a->address_size == b->address_size && memcmp(&a->address, &b->address, a->address_size) == 0;
}

/* ---- the listeners of a service: each an address, or a group with an address ---- */

enum { LISTENERS_MAX = 1000 };

static const config_setting_t *listen_node(const config_setting_t *listen, unsigned i)
{
    bool one = conf_node_string(listen) != NULL || config_setting_is_group(listen);

    return one ? listen : config_setting_get_elem(listen, i);
}

const config_setting_t *conf_listen_at(const config_setting_t *listen, unsigned i)
{
    const config_setting_t *node = listen_node(listen, i);

    return config_setting_is_group(node) ? config_setting_get_member(node, "address") : node;
}

/* One that does not parse stays in the list with the family AF_UNSPEC, which is the same as nothing. */
static void address_take(struct conf_reader *r, const config_setting_t *node, const char *text,
                         struct conf_listen *l)
{
    char why[200];

    l->text = conf_memory_keep(r->memory, text, strlen(text));
    l->place = conf_node_origin(node)->place;
    if (!conf_listen_parse(l->text != NULL ? l->text : text, l, why, sizeof(why)))
        conf_gripe(r, node, NULL, "\"%.60s\": %s", text, why);
}

static void one_listen_read(struct conf_reader *r, config_setting_t *node, struct conf_listen *l)
{
    const char *text = conf_node_string(node);

    if (text != NULL) {
        address_take(r, node, text, l);
    } else if (config_setting_is_group(node)) {
        conf_group_read(r, conf_listen_settings, node, l);
        if (l->text != NULL)
            address_take(r, config_setting_get_member(node, "address"), l->text, l);
    } else {
        conf_gripe_value(r, node, NULL, "an address or a group { address = \"8080\"; ... }");
    }
}

static unsigned listen_count(struct conf_reader *r, const config_setting_t *node)
{
    unsigned n = (unsigned)config_setting_length(node);

    if (conf_node_string(node) != NULL || config_setting_is_group(node))
        return 1;
    if (config_setting_is_scalar(node)) {
        conf_gripe_value(r, node, NULL, "an address such as \"8080\" or a list of addresses");
        return 0;
    }
    if (n == 0)
        conf_gripe(r, node, NULL, "needs one address at least, such as \"8080\"");
    if (n <= LISTENERS_MAX)
        return n;
    conf_gripe(r, node, NULL, "has %u elements; %d are allowed", n, LISTENERS_MAX);
    return 0;
}

static void listen_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    struct conf_service *service = base;
    unsigned n = listen_count(r, node);

    (void)s;
    if (n == 0)
        return;
    service->listens = conf_memory_get(r->memory, n * sizeof(*service->listens));
    service->listen_count = service->listens == NULL ? 0 : n;
    for (unsigned i = 0; i < service->listen_count; i++) {
        bool one = conf_node_string(node) != NULL || config_setting_is_group(node);

        one_listen_read(r, one ? node : config_setting_get_elem(node, i), &service->listens[i]);
    }
}

static bool is_plain(const struct conf_listen *l)
{
    return l->proxy.on_place.file == NULL && l->proxy.trusted_place.file == NULL;
}

/* Only what it says itself: the rest is printed with the service. */
static void listen_group_print(struct conf_printer *p, const struct conf_listen *l)
{
    char text[NET_TEXT_SIZE];

    fputs("{ address = ", p->to);
    conf_print_string(p, l->text);
    if (l->proxy.on_place.file != NULL)
        fprintf(p->to, "; proxy_protocol = %s", l->proxy.on ? "true" : "false");
    for (unsigned i = 0; l->proxy.trusted_place.file != NULL && i < l->proxy.trusted.count; i++)
        fprintf(p->to, "%s\"%s\"", i == 0 ? "; trusted = [ " : ", ", net_format(&l->proxy.trusted.v[i], text));
    fputs(l->proxy.trusted_place.file != NULL && l->proxy.trusted.count > 0 ? " ]; }" : "; }", p->to);
}

static void listen_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_service *service = base;
    bool plain = true;

    for (unsigned i = 0; i < service->listen_count; i++)
        plain &= is_plain(&service->listens[i]);
    conf_print_key(p, s->key);
    fputs(plain ? "[ " : "( ", p->to);
    for (unsigned i = 0; i < service->listen_count; i++) {
        fputs(i == 0 ? "" : ", ", p->to);
        if (is_plain(&service->listens[i]))
            conf_print_string(p, service->listens[i].text);
        else
            listen_group_print(p, &service->listens[i]);
    }
    fputs(plain ? " ];\n" : " );\n", p->to);
}

const struct conf_kind conf_kind_listen = { listen_read, NULL, listen_print };
