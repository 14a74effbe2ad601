/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks of addresses, one or a list: "192.0.2.1", "10.0.0.0/8", "2001:db8::/32". */
#include "conf/conf_inner.h"

#include <limits.h>
#include <string.h>

static void net_gripe(struct conf_reader *r, const config_setting_t *node, const char *text,
                      enum net_fault fault, const struct net *n)
{
    char right[NET_TEXT_SIZE];

    if (fault == NET_HOST_BITS)
        conf_gripe(r, node, NULL, "\"%.60s\" is an address within a network; the network is \"%s\"", text,
                   net_format(n, right));
    else if (fault == NET_NO_LENGTH)
        conf_gripe(r, node, NULL, "\"%.60s\": behind the '/' must be a number of bits from 0 to %d", text,
                   n->family == AF_INET ? 32 : 128);
    else
        conf_gripe(r, node, NULL, "\"%.60s\" must be an address or a network, such as \"192.0.2.1\" or"
                                  " \"10.0.0.0/8\"", text);
}

static bool net_read(struct conf_reader *r, const config_setting_t *node, struct net *n)
{
    const char *text = conf_node_string(node);
    enum net_fault fault;

    if (text == NULL)
        return false;           /* it has been complained about */
    fault = net_parse((struct span){ text, strlen(text) }, n);
    if (fault != NET_RIGHT)
        net_gripe(r, node, text, fault, n);
    return fault == NET_RIGHT;
}

static void nets_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_nets *nets = conf_field(base, s->offset);
    unsigned n = conf_strings_count(r, node, "an address, a network such as \"10.0.0.0/8\", or a list of them");
    struct net *v;

    if (n == UINT_MAX)
        return;
    v = conf_memory_get(r->memory, (n + 1) * sizeof(*v));
    nets->v = v;
    nets->count = 0;
    for (unsigned i = 0; v != NULL && i < n; i++)
        nets->count += net_read(r, conf_strings_at(node, i), &v[nets->count]);
}

/* What is not set is shown as a comment. */
static void nets_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_nets *nets = conf_field_const(base, s->offset);
    char text[NET_TEXT_SIZE];

    if (nets->count == 0) {
        conf_print_indent(p);
        fprintf(p->to, "# %s is not set\n", s->key);
        return;
    }
    conf_print_key(p, s->key);
    fputs("[ ", p->to);
    for (unsigned i = 0; i < nets->count; i++)
        fprintf(p->to, "%s\"%s\"", i == 0 ? "" : ", ", net_format(&nets->v[i], text));
    fputs(" ];\n", p->to);
}

const struct conf_kind conf_kind_nets = { nets_read, NULL, nets_print };
