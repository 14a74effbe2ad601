/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt, revision 3.x): what a proxy says of its client
 * before the client's first byte.  Who may say it is a matter of settings: whoever may can pass for anybody. */
#ifndef CORE_PROXY_H
#define CORE_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/net.h"
#include "base/span.h"
#include "core/peer.h"

enum {
    PROXY_V1_MAX = 107,         /* bytes of a header of version 1, its line end included */
    PROXY_HEADER_MAX = 16 + 65535       /* of version 2, whose length has 16 bits */
};

struct proxy_header {
    bool        known;          /* it names the client; else the connection is what it seems (a health check) */
    struct peer client;
};

/* The header at the front of the input: its length, 0: incomplete so far, -1: it is none, whatever follows. */
long proxy_parse(struct span in, struct proxy_header *h);

/* How a listener takes connections from proxies. */
struct proxy_rules {
    const struct net *trusted;  /* proxies; everybody else is turned away */
    unsigned          trusted_count;
    unsigned          header_ms;        /* time for the header */
};

/* May the peer say who its client is?  On a Unix socket everybody who may connect. */
bool proxy_trusts(const struct proxy_rules *r, const struct peer *p);

#endif
