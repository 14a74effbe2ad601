/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of parcels: bytes of another process are refused, or a connection that can be used, passed on and
 * freed; what is passed on is taken again. */
#include <string.h>

#include "../unit/wire.h"
#include "claim.h"
#include "core/parcel.h"
#include "proto/http.h"
#include "proto/tiny.h"

enum { KINDS = 5 };

static struct http_site *site;

static const struct service *service_of(unsigned kind)
{
    static const struct proto *const protos[KINDS] = { &proto_http, &proto_greet, &proto_echo, &proto_discard,
                                                       &proto_chargen };
    static const struct tiny_settings tiny = { .greeting = { "hello\n", 6 }, .idle_ms = 60000 };
    static struct service s;
    s = (struct service){ .name = "web", .proto = protos[kind], .settings = kind == 0 ? (const void *)site : &tiny,
                          .message_max = 4096, .send_timeout_ms = 30000 };
    return &s;
}

static void site_make(void)
{
    static const struct http_route_spec route = { .path = "/", .kind = HTTP_ROUTE_RESPOND, .status = 200,
                                                  .type = "text/plain", .body = { "hello", 5 } };
    static const struct http_limits limits = { .request_line = 256, .header_bytes = 1024, .header_count = 16,
                                               .body_bytes = 1000, .header_ms = 10000, .body_ms = 30000, .idle_ms = 60000 };
    if (site == NULL)
        site = http_site_new("web", &route, 1, &limits, NULL);
    CLAIM(site != NULL);
}

static void use(struct wire *w)
{
    wire_send(w, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    wire_pass(w, 100000);
    wire_close(w);
}

static void try_service(struct span bytes, const struct service *s)
{
    static char again[PARCEL_MAX];
    struct parcel p, q;
    struct wire w;
    if (!parcel_open(&p, bytes))
        return;
    CLAIM(p.service.n + p.proto.n + p.state.n + p.kept.n < bytes.n);
    wire_init(&w);
    w.window = 1 << 20;
    w.conn = conn_unpack(&w.env, s, -1, &p, 0);
    if (w.conn != NULL) {
        size_t n = conn_portable(w.conn) ? conn_pack(w.conn, again) : 0;
        CLAIM(!conn_portable(w.conn) || (n > 0 && parcel_open(&q, (struct span){ again, n })));
        use(&w);
    }
    wire_free(&w);
}

/* A first byte says which service; the rest is a parcel, or the state and the kept input of one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    site_make();
    const struct service *s = service_of(data[0] % KINDS);
    struct span in = { (const char *)data + 1, size - 1 };
    char *copy = copy_of(in);
    try_service((struct span){ copy, in.n }, s);
    free(copy);
    struct wire w;
    size_t state_n = (size_t)data[1] < in.n - 1 ? data[1] : in.n - 1;
    struct parcel p = { .service = SPAN("web"), .proto = span_of(s->proto->name), .opened_s = 1,
                        .state = { in.p + 1, state_n }, .kept = { in.p + 1 + state_n, in.n - 1 - state_n } };
    wire_init(&w);
    w.window = 1 << 20;
    w.conn = conn_unpack(&w.env, s, -1, &p, 0);
    if (w.conn != NULL)
        use(&w);
    wire_free(&w);
    return 0;
}
