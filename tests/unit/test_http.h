/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of HTTP share: a folder of files, a site over it, a connection without a socket, and a
 * reader of replies that is as strict as the parser of requests. */
#ifndef TESTS_TEST_HTTP_H
#define TESTS_TEST_HTTP_H

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/file.h"
#include "proto/http.h"
#include "wire.h"

enum { OLD_S = 1000000000 };    /* Sun, 09 Sep 2001 01:46:40 GMT: when the files changed */

struct fixture {
    struct wire       wire;
    struct service    service;
    struct http_site *site;
    struct mime      *mime;
    struct root      *root;
    struct file_cache *files;
    struct http_limits limits;
    char              folder[32];
};

static inline struct http_limits fixture_limits(void)
{
    return (struct http_limits){ .request_line = 256, .header_bytes = 1024, .header_count = 16,
                                 .body_bytes = 1000,
                                 .header_ms = 10000, .body_ms = 30000, .idle_ms = 60000 };
}

/* Whether symbolic links are followed here: only where openat2(2) can be had, see core/beneath.h.  (valgrind does
 * not know that call.) */
static inline bool fixture_follows_links(void)
{
    unsigned long long how[3] = { O_RDONLY };           /* struct open_how */
    long opened = syscall(SYS_openat2, AT_FDCWD, ".", how, sizeof how);
    if (opened != -1)
        close((int)opened);
    return opened != -1;
}

/* Begins a fixture: a folder without files. */
static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/test_http.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    f->root = root_open(f->folder);
    f->mime = mime_new(span_of(mime_builtin));
    f->files = file_cache_new();
    ck_assert(f->root != NULL && f->mime != NULL && f->files != NULL);
    f->limits = fixture_limits();
    wire_init(&f->wire);
    f->wire.env.files = f->files;
}

static inline const char *fixture_path(struct fixture *f, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return path;
}

static inline void fixture_date(struct fixture *f, const char *name, time_t s)
{
    struct timespec times[2] = { { .tv_sec = s }, { .tv_sec = s } };
    ck_assert_int_eq(utimensat(AT_FDCWD, fixture_path(f, name), times, 0), 0);
}

/* The same, as file systems stamp that count finer than seconds. */
static inline void fixture_stamp(struct fixture *f, const char *name, time_t s, long ns)
{
    struct timespec times[2] = { { .tv_sec = s, .tv_nsec = ns }, { .tv_sec = s, .tv_nsec = ns } };
    ck_assert_int_eq(utimensat(AT_FDCWD, fixture_path(f, name), times, 0), 0);
}

static inline void fixture_file(struct fixture *f, const char *name, const void *bytes, size_t n)
{
    int fd = open(fixture_path(f, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    fixture_date(f, name, OLD_S);
}

static inline void fixture_folder(struct fixture *f, const char *name)
{
    ck_assert_int_eq(mkdir(fixture_path(f, name), 0755), 0);
}

/* The site; may be called again for another one. */
static inline void fixture_site(struct fixture *f, const struct http_route_spec *routes, unsigned count)
{
    http_site_free(f->site);
    f->site = http_site_new("web", routes, count, &f->limits, f->mime);
    ck_assert_ptr_nonnull(f->site);
    f->service = (struct service){ .name = "web", .proto = &proto_http, .settings = f->site,
                                   .message_max = http_message_max(&f->limits), .send_timeout_ms = 30000 };
}

static inline void fixture_free(struct fixture *f)
{
    char command[64];
    wire_free(&f->wire);
    http_site_free(f->site);
    mime_free(f->mime);
    root_close(f->root);
    file_cache_free(f->files);
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    ck_assert_int_eq(system(command), 0);
}

/* A reply, cut out of output. */
struct reply {
    unsigned    status;
    struct span head;           /* status line, fields, empty line */
    struct span body;
};

/* The value of a field; p is NULL when it is not there, and it must not be there twice. */
static inline struct span reply_field(const struct reply *r, const char *name)
{
    struct span value = { NULL, 0 }, rest = r->head;
    size_t n = strlen(name);
    while (rest.n > 0) {
        const char *end = memmem(rest.p, rest.n, "\r\n", 2);
        ck_assert_ptr_nonnull(end);
        size_t line = (size_t)(end - rest.p);
        if (line > n + 1 && rest.p[n] == ':' && strncasecmp(rest.p, name, n) == 0) {
            ck_assert_msg(value.p == NULL, "%s came twice", name);
            ck_assert_int_eq(rest.p[n + 1], ' ');
            value = (struct span){ rest.p + n + 2, line - n - 2 };
        }
        rest = span_skip(rest, line + 2);
    }
    return value;
}

#define ck_assert_span_eq(value_, text)                                                     \
    do {                                                                                    \
        struct span have_ = (value_);                                                       \
        ck_assert_msg(span_equal(have_, span_of(text)), "\"%.*s\" is not \"%s\"",           \
                      (int)have_.n, have_.p == NULL ? "" : have_.p, text);                  \
    } while (0)

/* Takes the first reply off the output; `bodyless` when the request was HEAD.  False: there is none. */
static inline bool reply_take(struct span *output, bool bodyless, struct reply *r)
{
    if (output->n == 0)
        return false;
    const char *end = memmem(output->p, output->n, "\r\n\r\n", 4);
    ck_assert_msg(end != NULL && output->n > 15 && memcmp(output->p, "HTTP/1.1 ", 9) == 0,
                  "no head: \"%.*s\"",
                  (int)output->n, output->p);
    r->head = (struct span){ output->p, (size_t)(end - output->p) + 2 };
    r->status = (unsigned)strtoul(output->p + 9, NULL, 10);
    *output = span_skip(*output, r->head.n + 2);
    struct span length = reply_field(r, "Content-Length");
    bool none = r->status == 100 || r->status == 204 || r->status == 304;
    ck_assert_msg(none == (length.p == NULL), "Content-Length and %u", r->status);
    ck_assert_msg((r->status == 100) == (reply_field(r, "Date").p == NULL), "Date and %u", r->status);
    r->body = (struct span){ output->p, none || bodyless ? 0 : strtoul(length.p, NULL, 10) };
    ck_assert_uint_le(r->body.n, output->n);
    *output = span_skip(*output, r->body.n);
    return true;
}

/* Sends one request on a new connection and returns its only reply; it lives until the next call. */
static inline struct reply fixture_ask(struct fixture *f, const char *request)
{
    struct reply r = { 0 };
    wire_close(&f->wire);
    wire_open(&f->wire, &f->service);
    wire_send(&f->wire, span_of(request));
    struct span out = wire_output(&f->wire);
    ck_assert_msg(reply_take(&out, strncmp(request, "HEAD ", 5) == 0, &r), "no reply to %s", request);
    ck_assert_uint_eq(out.n, 0);
    return r;
}

static inline int run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

#endif
