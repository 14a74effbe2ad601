/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of HTTP.  The first byte of an input chooses what is fed: the machine, whole and cut in
 * pieces, which must answer the same, or a table of media types.  The second and third cut the rest. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/wire.h"
#include "claim.h"
#include "core/file.h"
#include "proto/http_internal.h"

struct world {
    struct wire        wire;
    struct service     service;
    struct http_limits limits;
    bool               made;
    char               folder[32];
};

static struct world *the_world(void)
{
    static struct world w = { .folder = "/tmp/fuzz_http.XXXXXX" };
    return &w;
}

static void world_remove(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", the_world()->folder);
    CLAIM(system(command) == 0);
}

static void world_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    CLAIM(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* A folder with an index, a file and a folder, removed at exit. */
static void world_make(struct world *w)
{
    static const char *const index[] = { "index.html" };
    static const struct http_header added = { "X-A", "b" };
    static const struct http_user user = { "u", "ab.mruLNQ7ZWQ" };       /* of the password des */
    char path[64];
    CLAIM(mkdtemp(w->folder) != NULL && atexit(world_remove) == 0);
    world_file(w->folder, "index.html", "<p>index\n");
    world_file(w->folder, "a.txt", "0123456789");
    snprintf(path, sizeof path, "%s/d", w->folder);
    CLAIM(mkdir(path, 0700) == 0);
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = root_open(w->folder), .index = index,
          .index_count = 1 },
        { .path = "/h", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain",
          .body = SPAN("hello\n") },
        { .path = "/h", .hosts = (const char *const[]){ "b.c", "*.d" }, .host_count = 2,
          .kind = HTTP_ROUTE_RESPOND, .status = 204 },
        { .path = "/r", .kind = HTTP_ROUTE_REDIRECT, .status = 302, .to = "/h" },
        { .path = "/v", .kind = HTTP_ROUTE_REDIRECT, .status = 308, .to = "https://$host$path$query",
          .add = &added, .add_count = 1, .expires = true },
        { .path = "/p", .kind = HTTP_ROUTE_RESPOND, .status = 200, .body = SPAN("in\n"), .users = &user,
          .user_count = 1, .realm = "fuzz" },
        { .path = "/s/", .kind = HTTP_ROUTE_STATUS, .status = 410 },
    };
    w->limits = (struct http_limits){ .request_line = 200, .header_bytes = 400, .header_count = 8,
                                      .body_bytes = 300,
                                      .header_ms = 1000, .body_ms = 1000, .idle_ms = 1000 };
    w->service = (struct service){ .name = "web", .proto = &proto_http,
                                   .message_max = http_message_max(&w->limits),
                                   .send_timeout_ms = 1000 };
    w->service.settings = http_site_new("web", routes, sizeof routes / sizeof routes[0], &w->limits,
                                        mime_new(span_of(mime_builtin)));
    CLAIM(w->service.settings != NULL && routes[0].root != NULL);
    wire_init(&w->wire);
    w->wire.env.files = file_cache_new();
    w->made = true;
}

static size_t field_number(const char *head, size_t n)
{
    const char *p = memmem(head, n, "\r\nContent-Length: ", 18);
    return p == NULL ? 0 : strtoul(p + 18, NULL, 10);
}

/* The output is a row of replies, each with a head that is one, and as many as were counted. */
static void check_output(struct span out, uint64_t replies)
{
    uint64_t seen = 0;
    while (out.n > 0) {
        CLAIM(out.n > 17 && memcmp(out.p, "HTTP/1.1 ", 9) == 0 && out.p[9] >= '1' && out.p[9] <= '5');
        const char *end = memmem(out.p, out.n, "\r\n\r\n", 4);
        CLAIM(end != NULL);
        size_t head = (size_t)(end - out.p) + 4, body = field_number(out.p, head);
        for (size_t i = 0; i < head; i++)
            CLAIM((out.p[i] >= 0x20 && out.p[i] != 0x7f) || out.p[i] == '\r' || out.p[i] == '\n');
        seen += out.p[9] != '1';
        out = span_skip(out, head);
        bool none = out.n == 0 || (out.n >= 9 && memcmp(out.p, "HTTP/1.1 ", 9) == 0);
        CLAIM(none || body <= out.n);
        out = span_skip(out, none ? 0 : body);
    }
    CLAIM(seen == replies);
}

/* Feeds the input cut at `a` and `b`, or byte by byte, and ends it in one of three ways. */
static void feed_cut(struct world *w, struct span in, size_t a, size_t b, unsigned how)
{
    uint64_t before = w->wire.env.count.requests;
    wire_close(&w->wire);
    wire_open(&w->wire, &w->service);
    if (how & 1) {
        wire_send_steps(&w->wire, in, 1);
    } else {
        a = a < in.n ? a : in.n;
        b = b < in.n - a ? b : in.n - a;
        wire_send(&w->wire, (struct span){ in.p, a });
        wire_send(&w->wire, (struct span){ in.p + a, b });
        wire_send(&w->wire, span_skip(in, a + b));
    }
    if (how & 2)
        wire_eof(&w->wire);
    else if (how & 4)
        wire_pass(&w->wire, 100000);
    check_output(wire_output(&w->wire), w->wire.env.count.requests - before);
    CLAIM((how & 6) == 0 || w->wire.conn == NULL || conn_ending(w->wire.conn));
}

static void try_machine(struct world *w, struct span in, const uint8_t *cut)
{
    unsigned end = cut[0] & 6;
    feed_cut(w, in, in.n, 0, end & ~1u);
    struct span out = wire_output(&w->wire);
    char *whole = malloc(out.n + 1);
    CLAIM(whole != NULL);
    memcpy(whole, out.p, out.n);
    for (unsigned round = 0; round < 2; round++) {
        feed_cut(w, in, cut[0], cut[1], end | round);
        CLAIM(end == 4 || span_equal(wire_output(&w->wire), (struct span){ whole, out.n }));
    }
    free(whole);
}

static void try_mime(struct span in)
{
    struct mime *m = mime_new(in);
    CLAIM(m != NULL);
    struct span type = mime_type(m, (struct span){ in.p, in.n < 9 ? in.n : 9 });
    CLAIM(type.n > 2 && memchr(type.p, '/', type.n) != NULL);
    for (size_t i = 0; i < type.n; i++)
        CLAIM(type.p[i] >= ' ' && type.p[i] <= '~');
    mime_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = the_world();
    if (!w->made)
        world_make(w);
    if (size < 3)
        return 0;
    struct span in = { (const char *)data + 3, size - 3 };
    switch (data[0]) {
    case 'm':
        try_mime(in);
        break;
    default:
        try_machine(w, in, data + 1);
        break;
    }
    return 0;
}
