/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer target of what a file route answers.  The first byte of an input chooses what is fed: header fields of a
 * request for the file that the second byte chooses; a Range field; a list with weights; a date; a name that is listed;
 * a candidate. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/wire.h"
#include "base/fmt.h"
#include "base/utf8.h"
#include "core/catalog.h"
#include "core/file.h"
#include "proto/http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(condition)                                            \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "not so: %s\n", #condition);            \
            abort();                                                \
        }                                                           \
    } while (0)

enum { TEXT_SIZE = 3000, LARGE_SIZE = 40000, OLD_S = 1000000000 };

struct world {
    struct wire        wire;
    struct service     service;
    struct http_limits limits;
    bool               made;
    char               folder[32];
    char               large[LARGE_SIZE];
};

static struct world *world_of_files(void)
{
    static struct world w = { .folder = "/tmp/fuzz_file.XXXXXX" };
    return &w;
}

static void folder_remove(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", world_of_files()->folder);
    CLAIM(system(command) == 0);
}

/* Each file is the beginning of the largest, and old. */
static void folder_add(struct world *w, const char *name, size_t n)
{
    struct timespec times[2] = { { .tv_sec = OLD_S }, { .tv_sec = OLD_S } };
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *f = fopen(path, "we");
    CLAIM(f != NULL && fwrite(w->large, 1, n, f) == n && fclose(f) == 0);
    CLAIM(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void files_make(struct world *w)
{
    static const struct { const char *name; size_t n; } files[] = {
        { "ten.txt", 10 }, { "text.html", TEXT_SIZE }, { "text.html.gz", 1000 }, { "text.html.br", 900 },
        { "large.bin", LARGE_SIZE }, { "large.bin.zst", 30000 }, { "empty", 0 }, { "sub/index.html", 20 },
        { "sub/.hidden", 3 }, { "list/a", 1 }, { "list/b<", 2 },
    };
    char path[64];
    CLAIM(mkdtemp(w->folder) != NULL && atexit(folder_remove) == 0);
    snprintf(path, sizeof path, "%s/sub", w->folder);
    CLAIM(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/list", w->folder);
    CLAIM(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < sizeof w->large; i++)
        w->large[i] = (char)(i * 31 + i / 127);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        folder_add(w, files[i].name, files[i].n);
}

static void site_make(struct world *w)
{
    static const char *const index[] = { "index.html" }, *const try[] = { "$path", "$path.html", "$path/", "/ten.txt" };
    static const struct http_page page = { 416, { "text/plain", 10 }, { "page\n", 5 } };
    struct root *root = root_open(w->folder);
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = root, .index = index, .index_count = 1,
          .codings = { HTTP_CODING_BR, HTTP_CODING_ZSTD, HTTP_CODING_GZIP }, .coding_count = 3,
          .pages = { &page, 1 } },
        { .path = "/try", .kind = HTTP_ROUTE_ROOT, .root = root, .alias = true, .index = index, .index_count = 1,
          .try = try, .try_count = 4 },
        { .path = "/auto", .kind = HTTP_ROUTE_ROOT, .root = root, .alias = true, .autoindex = HTTP_AUTOINDEX_ON },
    };
    w->limits = (struct http_limits){ .request_line = 200, .header_bytes = 4000, .header_count = 20, .body_bytes = 300,
                                      .header_ms = 1000, .body_ms = 1000, .idle_ms = 1000 };
    w->service = (struct service){ .name = "web", .proto = &proto_http, .message_max = http_message_max(&w->limits),
                                   .send_timeout_ms = 1000 };
    w->service.settings = http_site_new("web", routes, sizeof routes / sizeof routes[0], &w->limits,
                                        mime_new(span_of(mime_builtin)));
    CLAIM(root != NULL && w->service.settings != NULL);
    wire_init(&w->wire);
    w->wire.env.files = file_cache_new();
    w->made = true;
}

/* ---- whole requests ---- */

/* The value of a field that is there once at most; p NULL: it is not. */
static struct span field_value(struct span head, const char *name)
{
    struct span value = { NULL, 0 };
    size_t n = strlen(name);
    for (const char *p = head.p; (p = memmem(p, (size_t)(head.p + head.n - p), name, n)) != NULL; p += n) {
        CLAIM(value.p == NULL);
        const char *end = memmem(p + n, (size_t)(head.p + head.n - p) - n, "\r\n", 2);
        CLAIM(end != NULL);
        value = (struct span){ p + n, (size_t)(end - p) - n };
    }
    return value;
}

/* "bytes F-L/N" at the start of s: the content that follows must be just that of the file. */
static size_t check_range(const struct world *w, struct span range, struct span content)
{
    unsigned long first = 0, last = 0, size = 0;
    char text[96];
    CLAIM(range.n < sizeof text);
    memcpy(text, range.p, range.n);
    text[range.n] = '\0';
    CLAIM(sscanf(text, "bytes %lu-%lu/%lu", &first, &last, &size) == 3);
    CLAIM(first <= last && last < size && size <= LARGE_SIZE && last - first + 1 <= content.n);
    CLAIM(memcmp(content.p, w->large + first, last - first + 1) == 0);
    return last - first + 1;
}

static void check_parts(const struct world *w, struct span type, struct span body)
{
    const char *boundary = memmem(type.p, type.n, "boundary=", 9) + 9;
    struct span mark = { boundary, (size_t)(type.p + type.n - boundary) };
    unsigned parts = 0;
    for (;; parts++) {
        CLAIM(body.n > mark.n + 4 && memcmp(body.p, "--", 2) == 0 && memcmp(body.p + 2, mark.p, mark.n) == 0);
        body = span_skip(body, mark.n + 2);
        if (memcmp(body.p, "--\r\n", 4) == 0)
            break;
        const char *end = memmem(body.p, body.n, "\r\n\r\n", 4);
        CLAIM(end != NULL);
        struct span head = { body.p, (size_t)(end - body.p) + 2 };
        CLAIM(field_value(head, "\r\nContent-Type: ").n > 0);
        body = span_skip(body, head.n + 2);
        body = span_skip(body, check_range(w, field_value(head, "\r\nContent-Range: "), body));
        CLAIM(body.n > 2 && memcmp(body.p, "\r\n", 2) == 0);
        body = span_skip(body, 2);
    }
    CLAIM(body.n == 4 && parts > 1 && parts <= HTTP_PARTS_MAX);
}

static void check_reply(const struct world *w, struct span out, bool head_only)
{
    const char *end = out.n > 0 ? memmem(out.p, out.n, "\r\n\r\n", 4) : NULL;
    CLAIM(end != NULL && memcmp(out.p, "HTTP/1.1 ", 9) == 0);
    unsigned status = (unsigned)strtoul(out.p + 9, NULL, 10);
    struct span head = { out.p, (size_t)(end - out.p) + 2 }, body = span_skip(out, head.n + 2);
    struct span length = field_value(head, "\r\nContent-Length: "), type = field_value(head, "\r\nContent-Type: ");
    CLAIM((status == 304) == (length.p == NULL));
    if (head_only || status == 304) {
        CLAIM(body.n == 0 && status != 206);
        return;
    }
    CLAIM(body.n == strtoul(length.p, NULL, 10));
    if (status != 206)
        return;
    struct span range = field_value(head, "\r\nContent-Range: ");
    if (range.p != NULL)
        CLAIM(check_range(w, range, body) == body.n);
    else
        check_parts(w, type, body);
}

/* Only replies to a head that is one request are looked at: others are the concern of fuzz_http. */
static void try_fields(struct world *w, struct span in, uint8_t which)
{
    static const char *const targets[] = { "/ten.txt", "/text.html", "/large.bin", "/empty", "/sub/", "/nothing",
                                           "/try/text", "/try/sub", "/try/x", "/auto/list/", "/auto/" };
    char *request = malloc(in.n + 128);
    struct http_request r;
    CLAIM(request != NULL);
    int n = sprintf(request, "%s %s HTTP/1.1\r\nHost: x\r\n", which & 0x80 ? "HEAD" : "GET",
                    targets[(which & 0x7f) % (sizeof targets / sizeof targets[0])]);
    memcpy(request + n, in.p, in.n);
    size_t size = (size_t)n + in.n;
    memcpy(request + size, "\r\n\r\n", 4);
    long head = http_parse(&r, (struct span){ request, size + 4 }, &w->limits);
    if (head == (long)size + 4 && r.length == 0 && !r.chunked) {
        wire_close(&w->wire);
        wire_open(&w->wire, &w->service);
        wire_send(&w->wire, (struct span){ request, size + 4 });
        check_reply(w, wire_output(&w->wire), (which & 0x80) != 0);
    }
    free(request);
}

/* ---- pieces ---- */

static void try_range(struct span in, uint64_t size)
{
    struct http_parts parts;
    enum http_range asked = http_range_parse(in, size, &parts);
    CLAIM(asked != RANGE_SOME || (parts.count > 0 && parts.count <= HTTP_PARTS_MAX));
    for (unsigned i = 0; asked == RANGE_SOME && i < parts.count; i++) {
        struct http_part a = parts.v[i];
        CLAIM(a.n > 0 && a.first < size && a.n <= size - a.first);
        for (unsigned j = 0; j < i; j++)
            CLAIM(a.first + a.n < parts.v[j].first || parts.v[j].first + parts.v[j].n < a.first);
    }
}

static void try_choices(struct span in)
{
    struct span list = in, value;
    unsigned weight;
    while (http_next_choice(&list, &value, &weight)) {
        CLAIM(weight <= 1000 && value.n > 0);
        CLAIM(value.p >= in.p && value.p + value.n <= in.p + in.n && list.n < in.n);
    }
}

static void try_date(struct span in)
{
    time_t when, again;
    char text[FMT_HTTP_DATE_SIZE];
    if (!fmt_parse_http_date(in, WIRE_NOW_S, &when))
        return;
    fmt_http_date(text, when);
    CLAIM(fmt_parse_http_date((struct span){ text, sizeof text }, WIRE_NOW_S, &again) && again == when);
}

/* The list of one name is text that ends where it should, whatever the name. */
static void try_name(struct span in)
{
    char name[256];
    size_t n = in.n < sizeof name - 1 ? in.n : sizeof name - 1;
    bool cut;
    memcpy(name, in.p, n);
    name[n] = '\0';
    struct catalog_entry entries[] = { { .name = name, .size = n }, { .name = name, .folder = true },
                                       { .name = "a10" }, { .name = name + n / 2 } };
    struct catalog c = { .v = entries, .count = 4 };
    http_listing_sort(&c);
    CLAIM(entries[0].folder);
    struct file *lists[] = { http_listing_html(&c, in, true, &cut), http_listing_json(&c, &cut) };
    for (unsigned i = 0; i < 2; i++) {
        struct file *f = lists[i];
        CLAIM(f != NULL && !cut);
        for (const char *p = f->bytes, *end = p + f->size; p < end;) {
            size_t length = utf8_length(p, end);
            CLAIM(length > 0 && ((unsigned char)*p >= 0x20 || *p == '\n'));
            p += length;
        }
        file_unref(f);
    }
}

static void try_candidate(struct span in, size_t cut)
{
    char *text = malloc(in.n + 1), *to = malloc(HTTP_NAME_MAX);
    CLAIM(text != NULL && to != NULL);
    cut = cut < in.n ? cut : in.n;
    memcpy(text, in.p, cut);
    text[cut] = '\0';
    struct http_candidate c = http_candidate_of(text);
    struct span name = http_candidate_name(&c, span_skip(in, cut), to);
    CLAIM(name.n <= HTTP_NAME_MAX || !c.path);
    free(text);
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = world_of_files();
    if (!w->made) {
        files_make(w);
        site_make(w);
    }
    if (size < 2)
        return 0;
    struct span in = { (const char *)data + 2, size - 2 };
    switch (data[0]) {
    case 'r':
        try_range(in, data[1]);
        break;
    case 'c':
        try_choices(in);
        break;
    case 'd':
        try_date(in);
        break;
    case 'n':
        try_name(in);
        break;
    case 't':
        try_candidate(in, data[1]);
        break;
    default:
        try_fields(w, in, data[1]);
        break;
    }
    return 0;
}
