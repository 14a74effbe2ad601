/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of networks: who may come in, and who may not. */
#include "conf/conf_inner.h"

#include <string.h>
#include <sys/socket.h>

static const char local_word[] = "unix";

bool conf_check_net(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    struct net net;
    char right[NET_TEXT_SIZE];

    if (strcmp(value, local_word) == 0)
        return true;
    switch (net_parse(span_of(value), &net)) {
    case NET_RIGHT:
        return true;
    case NET_NO_ADDRESS:
        conf_gripe(r, node, NULL, "\"%.60s\" must be an address, a network or \"unix\", such as \"192.0.2.0/24\" or"
                                  " \"2001:db8::1\"", value);
        break;
    case NET_NO_LENGTH:
        conf_gripe(r, node, NULL, "\"%.60s\" must have a length from 0 to %d behind its '/'", value,
                   strchr(value, ':') != NULL ? 128 : 32);
        break;
    case NET_HOST_BITS:
        conf_gripe(r, node, NULL, "\"%.60s\" has bits set behind its length: the network is \"%s\"", value,
                   net_format(&net, right));
        break;
    }
    return false;
}

static void nets_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_nets *nets = conf_field(base, s->offset);
    struct conf_strings texts;

    conf_strings_read(r, s, node, "a network or a list of networks", &texts);
    nets->v = conf_memory_get(r->memory, texts.count * sizeof(*nets->v));
    nets->set = true;
    for (unsigned i = 0; i < texts.count && nets->v != NULL && !r->memory->failed; i++) {
        struct conf_net *n = &nets->v[nets->count++];

        n->local = strcmp(texts.v[i], local_word) == 0;
        if (!n->local)
            net_parse(span_of(texts.v[i]), &n->net);
    }
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
        fprintf(p->to, "%s\"%s\"", i == 0 ? "" : ", ",
                nets->v[i].local ? local_word : net_format(&nets->v[i].net, text));
    fputs(nets->count == 0 ? "];\n" : " ];\n", p->to);
}

const struct conf_kind conf_kind_nets = { nets_read, NULL, nets_print };
