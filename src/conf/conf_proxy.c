/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol: what a service says holds for its listeners, and what a listener says itself goes before that.
 * Whoever is trusted can pass for anybody, so nobody is by default.  Who lists proxies and never says proxy_protocol,
 * be it false, has forgotten it. */
#include "conf/conf_inner.h"

static void proxy_inherit(struct conf_proxy *own, const struct conf_proxy *from)
{
    if (own->on_place.file == NULL)
        own->on = from->on;
    if (own->trusted_place.file == NULL)
        own->trusted = from->trusted;
}

static void listener_check(struct conf_reader *r, const struct conf_listen *l, bool forgotten,
                           const config_setting_t *node)
{
    if (l->text == NULL || l->address.ss_family == AF_UNSPEC)
        return;                 /* what is wrong with it has been said */
    if (l->proxy.on && l->datagram)
        conf_gripe(r, node, NULL, "\"%.60s\": the PROXY protocol is for streams; for this address write"
                                  " { address = \"%.60s\"; proxy_protocol = false; }", l->text, l->text);
    else if (l->proxy.on && l->proxy.trusted.count == 0 && l->address.ss_family != AF_UNIX)
        conf_gripe(r, node, NULL, "\"%.60s\": with proxy_protocol the addresses of the proxies must be there, such as"
                                  " trusted = [ \"127.0.0.1\" ]", l->text);
    else if (forgotten && l->proxy.trusted_place.file != NULL)
        conf_gripe(r, node, NULL, "\"%.60s\": trusted means nothing without proxy_protocol = true", l->text);
}

void conf_proxy_check(struct conf_reader *r, struct conf_service *service, const config_setting_t *node)
{
    const config_setting_t *listen = config_setting_get_member(node, "listen");
    bool said = service->proxy.on_place.file != NULL, said_once = said;

    for (unsigned i = 0; i < service->listen_count; i++) {
        struct conf_listen *l = &service->listens[i];
        bool said_here = said || l->proxy.on_place.file != NULL;

        proxy_inherit(&l->proxy, &service->proxy);
        listener_check(r, l, !said_here, conf_listen_at(listen, i));
        said_once |= said_here;
    }
    if (!said_once && service->listen_count > 0 && service->proxy.trusted_place.file != NULL)
        conf_gripe(r, config_setting_get_member(node, "trusted"), NULL,
                   "means nothing without proxy_protocol = true");
}
