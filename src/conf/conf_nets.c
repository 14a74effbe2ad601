/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks of addresses, one or a list: "192.0.2.1", "10.0.0.0/8", "2001:db8::/32"; in lists of who may come in also
 * "unix", for all who come by Unix sockets. */
#include "conf/conf_inner.h"

#include <string.h>
#include <sys/socket.h>

static const char local_word[] = "unix";

static bool net_check(struct conf_reader *r, const config_setting_t *node, const char *value, const char *want)
{
    struct net net;
    char right[NET_TEXT_SIZE];

    switch (net_parse(span_of(value), &net)) {
    case NET_RIGHT:
        return true;
    case NET_NO_ADDRESS:
        conf_gripe(r, node, NULL, "\"%.60s\" must be %s, such as \"192.0.2.0/24\" or \"2001:db8::1\"", value, want);
        break;
    case NET_NO_LENGTH:
        conf_gripe(r, node, NULL, "\"%.60s\" must have a length from 0 to %d behind its '/'", value,
                   net.family == AF_INET6 ? 128 : 32);
        break;
    case NET_HOST_BITS:
        conf_gripe(r, node, NULL, "\"%.60s\" has bits set behind its length: the network is \"%s\"", value,
                   net_format(&net, right));
        break;
    }
    return false;
}

bool conf_check_net(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return net_check(r, node, value, "an address or a network");
}

bool conf_check_net_or_unix(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return strcmp(value, local_word) == 0 || net_check(r, node, value, "an address, a network or \"unix\"");
}

static void nets_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_nets *nets = conf_field(base, s->offset);
    struct conf_strings texts;
    struct net *v;

    conf_strings_read(r, s, node, "a network such as \"10.0.0.0/8\", or a list of networks", &texts);
    v = conf_memory_get(r->memory, (texts.count + 1) * sizeof(*v));
    *nets = (struct conf_nets){ .v = v, .set = true };
    for (unsigned i = 0; i < texts.count && v != NULL && !r->memory->failed; i++) {
        struct net *n = &v[nets->count++];

        if (strcmp(texts.v[i], local_word) == 0)
            *n = (struct net){ .family = AF_UNIX };
        else
            net_parse(span_of(texts.v[i]), n);
    }
}

const char *conf_net_text(const struct net *n, char to[NET_TEXT_SIZE])
{
    return n->family == AF_UNIX ? local_word : net_format(n, to);
}

static void nets_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_nets *nets = conf_field_const(base, s->offset);
    char text[NET_TEXT_SIZE];

    if (!nets->set)
        return;
    conf_print_key(p, s->key);
    fputs("[ ", p->to);
    for (unsigned i = 0; i < nets->count; i++)
        fprintf(p->to, "%s\"%s\"", i == 0 ? "" : ", ", conf_net_text(&nets->v[i], text));
    fputs(nets->count == 0 ? "];\n" : " ];\n", p->to);
}

const struct conf_kind conf_kind_nets = { nets_read, NULL, nets_print };
