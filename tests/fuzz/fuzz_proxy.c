/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of the PROXY protocol: whatever is taken for a header is one in its shortest form only, what is
 * refused stays so however much follows, and a connection answers the same however the input is cut. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/wire.h"
#include "core/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(condition)                                            \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "not so: %s\n", #condition);            \
            abort();                                                \
        }                                                           \
    } while (0)

static bool same_header(const struct proxy_header *a, const struct proxy_header *b)
{
    return a->known == b->known && (!a->known || memcmp(&a->client, &b->client, sizeof a->client) == 0);
}

/* Prefixes: all of short inputs, some of long ones. */
static void try_parser(struct span in)
{
    struct proxy_header whole, part;
    long n = proxy_parse(in, &whole), before = 0;
    CLAIM(n >= -1 && n <= (long)in.n);
    for (size_t i = 0; i <= in.n; i += i < 300 ? 1 : 977) {
        char *copy = malloc(i + 1);
        CLAIM(copy != NULL);
        if (i > 0)
            memcpy(copy, in.p, i);
        long result = proxy_parse((struct span){ copy, i }, &part);
        free(copy);
        CLAIM(before == 0 || result == before);
        CLAIM(n <= 0 || result == ((long)i < n ? 0 : n));
        CLAIM(result <= 0 || same_header(&whole, &part));
        before = result;
    }
    CLAIM(!whole.known || n <= 0 || whole.client.family == AF_INET || whole.client.family == AF_INET6 ||
          whole.client.family == AF_UNIX);
}

/* Echoes what is behind the header. */
static size_t give_back(struct conn *c, struct span in)
{
    outq_put(conn_out(c), in);
    return in.n;
}

static const struct proto mirror = { .name = "mirror", .input = give_back };
static const struct net everybody = { .family = AF_INET };
static const struct proxy_rules rules = { .trusted = &everybody, .trusted_count = 1, .header_ms = 1000 };
static const struct service service = { .name = "mirror", .proto = &mirror, .proxy = &rules, .message_max = 100,
                                        .send_timeout_ms = 1000 };

/* The length of what came back, and where the connection stands. */
static size_t feed(struct wire *w, struct span in, size_t cut, bool bytewise)
{
    wire_close(w);
    wire_open(w, &service);
    if (bytewise)
        wire_send_steps(w, in, 1);
    else
        wire_send_split(w, in, cut < in.n ? cut : in.n);
    return wire_output(w).n;
}

static void try_connection(struct span in, size_t cut)
{
    struct proxy_header h;
    struct wire w;
    long n = proxy_parse(in, &h);
    wire_init(&w);
    for (int round = 0; round < 3; round++) {
        size_t out = feed(&w, in, round == 0 ? in.n : cut, round == 2 && in.n < 2000);
        CLAIM(out == (n > 0 ? in.n - (size_t)n : 0));
        CLAIM(wire_over(&w) == (n < 0));
        CLAIM(n <= 0 || !h.known || memcmp(&w.conn->peer, &h.client, sizeof h.client) == 0);
    }
    wire_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = { (const char *)data + 1, size - 1 };
    try_parser(in);
    try_connection(in, data[0]);
    return 0;
}
