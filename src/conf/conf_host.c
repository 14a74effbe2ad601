/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosts of a route: names, addresses, and "*.NAME" for all that end in NAME.  They are kept in the one form in
 * which they are compared: lower case, without a dot at the end, IPv6 addresses as RFC 5952 writes them. */
#include "conf/conf_inner.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

enum { LITERAL_SIZE = INET6_ADDRSTRLEN + 2 };       /* with brackets and a NUL */

/* "[ADDR6]" in its one form; false: it is none. */
static bool literal_normal(const char *host, char to[LITERAL_SIZE])
{
    char inside[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t n = strlen(host);

    if (n < 2 || n - 2 >= sizeof(inside) || host[0] != '[' || host[n - 1] != ']')
        return false;
    memcpy(inside, host + 1, n - 2);
    inside[n - 2] = '\0';
    if (inet_pton(AF_INET6, inside, &address) != 1)
        return false;
    inet_ntop(AF_INET6, &address, inside, sizeof(inside));
    snprintf(to, LITERAL_SIZE, "[%s]", inside);
    return true;
}

/* Labels of letters, digits, '-' and '_', with a dot between each two and perhaps one at the end. */
static bool name_fits(const char *name)
{
    size_t label = 0;

    for (; *name != '\0'; name++) {
        if (*name == '.' && label == 0)
            return false;
        label = *name == '.' ? 0 : label + 1;
        if (*name != '.' && !isalnum((unsigned char)*name) && *name != '-' && *name != '_')
            return false;
    }
    return label > 0 || name[-1] == '.';
}

/* A name (RFC 1123), an IPv4 address or an IPv6 address in brackets (RFC 9110 section 7.2), no port. */
bool conf_check_host(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    bool wildcard = value[0] == '*' && value[1] == '.' && value[2] != '\0';
    char normal[LITERAL_SIZE];

    if (literal_normal(value, normal) || name_fits(wildcard ? value + 2 : value))
        return true;
    if (strchr(value, '*') != NULL)
        conf_gripe(r, node, NULL, "\"%.60s\" must have its '*' before the first dot, alone, such as"
                                  " \"*.example.org\"; a route without host answers for all", value);
    else
        conf_gripe(r, node, NULL, "\"%.60s\" must be a name or an address as clients send it, without a port,"
                                  " such as \"www.example.org\"", value);
    return false;
}

static const char *host_normal(struct conf_reader *r, const char *host)
{
    char literal[LITERAL_SIZE], *kept;
    size_t n = strlen(host);

    if (literal_normal(host, literal))
        return conf_memory_keep(r->memory, literal, strlen(literal));
    if (host[n - 1] == '.')
        n--;
    kept = conf_memory_keep(r->memory, host, n);
    for (size_t i = 0; kept != NULL && i < n; i++)
        kept[i] = (char)tolower((unsigned char)kept[i]);
    return kept;
}

/* Each host once: a second one is a slip. */
static void hosts_compare(struct conf_reader *r, const config_setting_t *node, const struct conf_strings *hosts)
{
    for (unsigned i = 1; i < hosts->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(hosts->v[i], hosts->v[j]) == 0) {
                conf_gripe(r, node, NULL, "has \"%.60s\" twice", hosts->v[i]);
                return;
            }
}

static void hosts_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_strings *hosts = conf_field(base, s->offset), written;
    const char **normal;

    conf_strings_read(r, s, node, "the name of a host or a list of names", &written);
    if (written.v != NULL && config_setting_length(node) == 0 && conf_node_string(node) == NULL)
        conf_gripe(r, node, NULL, "needs one name at least; a route without host answers for all");
    normal = conf_memory_get(r->memory, written.count * sizeof(*normal));
    if (normal == NULL)
        return;
    for (unsigned i = 0; i < written.count; i++) {
        normal[i] = host_normal(r, written.v[i]);
        if (normal[i] == NULL)
            return;
    }
    *hosts = (struct conf_strings){ normal, written.count };
    hosts_compare(r, node, hosts);
}

static void hosts_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_strings *hosts = conf_field_const(base, s->offset);

    if (hosts->count > 1) {
        conf_print_strings(p, s->key, hosts->v, hosts->count);
    } else if (hosts->count == 1) {
        conf_print_key(p, s->key);
        conf_print_string(p, hosts->v[0]);
        fputs(";\n", p->to);
    }
}

const struct conf_kind conf_kind_hosts = { hosts_read, NULL, hosts_print };
