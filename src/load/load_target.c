/* SPDX-License-Identifier: BSD-2-Clause */
/* From a URL and options to addresses, and to the bytes that are sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/load.h"

enum { CONTENT_MAX = 256 * 1024 * 1024 };

__attribute__((format(printf, 1, 2)))
static int target_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("iomux-load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return -1;
}

struct scheme {
    const char      *prefix, *port;
    enum client_kind kind;
};

static const struct scheme *scheme_of(const char *url)
{
    static const struct scheme schemes[] = {
        { "http://", "80", CLIENT_HTTP }, { "echo://", "7", CLIENT_ECHO }, { "echo+udp://", "7", CLIENT_ECHO_DATAGRAMS },
    };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    return NULL;
}

/* "HOST", "HOST:PORT", "[ADDR6]:PORT" */
static bool authority_cut(struct load_target *t, const char *p, size_t n)
{
    bool brackets = n > 0 && p[0] == '[';
    const char *end = brackets ? memchr(p, ']', n) : memchr(p, ':', n);
    size_t host = end == NULL ? n : (size_t)(end - p) - brackets;
    size_t rest = end == NULL ? n : (size_t)(end - p) + brackets;
    if ((brackets && end == NULL) || host == 0 || host >= sizeof t->host)
        return false;
    memcpy(t->host, p + brackets, host);
    t->host[host] = '\0';
    if (rest == n)
        return true;
    if (p[rest] != ':' || n - rest - 1 == 0 || n - rest - 1 >= sizeof t->port)
        return false;
    memcpy(t->port, p + rest + 1, n - rest - 1);
    t->port[n - rest - 1] = '\0';
    return t->port[strspn(t->port, "0123456789")] == '\0';
}

static int url_cut(struct load_target *t, const char *url)
{
    const struct scheme *scheme = scheme_of(url);
    if (scheme == NULL)
        return target_fail("'%s': a URL begins with http://, echo:// or echo+udp://", url);
    const char *authority = url + strlen(scheme->prefix);
    size_t n = strcspn(authority, "/?#");
    t->kind = scheme->kind;
    t->path = authority + n;
    snprintf(t->port, sizeof t->port, "%s", scheme->port);
    if (!authority_cut(t, authority, n))
        return target_fail("'%s': behind %s stands HOST[:PORT]", url, scheme->prefix);
    if (t->kind != CLIENT_HTTP && t->path[0] != '\0' && strcmp(t->path, "/") != 0)
        return target_fail("'%s': echo has no path", url);
    if (strpbrk(t->path, " \t\r\n#") != NULL)
        return target_fail("'%s': a path has no blanks and no '#'", url);
    return 0;
}

static bool answers(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
    bool is = fd != -1 && connect(fd, a->ai_addr, a->ai_addrlen) == 0;
    if (fd != -1)
        close(fd);
    return is;
}

/* A name may have several addresses, and a server be on some of them only. */
static const struct addrinfo *address_choose(const struct addrinfo *all)
{
    for (const struct addrinfo *a = all; all->ai_next != NULL && a != NULL; a = a->ai_next)
        if (answers(a))
            return a;
    return all;
}

static int host_resolve(struct load_target *t)
{
    struct addrinfo hints = { .ai_socktype = t->kind == CLIENT_ECHO_DATAGRAMS ? SOCK_DGRAM : SOCK_STREAM,
                              .ai_flags = AI_NUMERICSERV }, *found;
    int error = getaddrinfo(t->host, t->port, &hints, &found);
    if (error != 0)
        return target_fail("%s, port %s: %s", t->host, t->port,
                           error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    const struct addrinfo *a = address_choose(found);
    memcpy(&t->to, a->ai_addr, a->ai_addrlen);
    t->to_size = a->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* One address, as text of n bytes. */
static bool source_parse(const char *p, size_t n, struct sockaddr_storage *a)
{
    char text[INET6_ADDRSTRLEN];
    if (n == 0 || n >= sizeof text)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    *a = (struct sockaddr_storage){ 0 };
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)a)->sin_addr) == 1)
        a->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)a)->sin6_addr) == 1)
        a->ss_family = AF_INET6;
    return a->ss_family != 0;
}

static int source_add(struct load_target *t, const struct sockaddr_storage *a)
{
    void *more = NULL;
    if (a->ss_family != t->to.ss_family)
        return target_fail("--source: an address of another family than %s has", t->host);
    if (t->source_count == LOAD_SOURCES_MAX)
        return target_fail("--source: more than %d addresses", LOAD_SOURCES_MAX);
    more = reallocarray(t->sources, t->source_count + 1, sizeof *t->sources);
    if (more == NULL)
        return target_fail("out of memory");
    t->sources = more;
    t->sources[t->source_count++] = *a;
    t->source_size = a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return 0;
}

static uint32_t *host_part(struct sockaddr_storage *a)
{
    return &((struct sockaddr_in *)a)->sin_addr.s_addr;
}

/* From the one to the other, both of IPv4. */
static int source_range(struct load_target *t, struct sockaddr_storage *from, struct sockaddr_storage *to)
{
    uint32_t first = ntohl(*host_part(from)), last = ntohl(*host_part(to));
    if (first > last)
        return target_fail("--source: a range goes from the lower address to the higher");
    for (uint64_t n = first; n <= last; n++) {
        *host_part(from) = htonl((uint32_t)n);
        if (source_add(t, from) == -1)
            return -1;
    }
    return 0;
}

static int sources_part(struct load_target *t, const char *p, size_t n)
{
    struct sockaddr_storage from, to;
    const char *dash = memchr(p, '-', n);
    size_t first = dash != NULL ? (size_t)(dash - p) : n;
    if (!source_parse(p, first, &from) || (dash != NULL && !source_parse(dash + 1, n - first - 1, &to)))
        return target_fail("--source: '%.*s' is not ADDR or ADDR-ADDR", (int)n, p);
    if (dash == NULL)
        return source_add(t, &from);
    if (from.ss_family != AF_INET || to.ss_family != AF_INET)
        return target_fail("--source: a range is of IPv4 addresses");
    return source_range(t, &from, &to);
}

int load_sources_make(struct load_target *t, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        if (sources_part(t, text, n) == -1)
            return -1;
        text += n + (text[n] == ',');
    }
    return 0;
}

/* A whole file; NULL: it was said why not. */
static char *content_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "re");
    char *content = NULL;
    size_t n = 0, room = 0, got = 1;
    while (f != NULL && got > 0 && n <= CONTENT_MAX) {
        if (n == room) {
            char *more = realloc(content, room = room * 2 + 65536);
            if (more == NULL)
                break;
            content = more;
        }
        got = fread(content + n, 1, room - n, f);
        n += got;
    }
    bool whole = f != NULL && got == 0 && !ferror(f);
    if (!whole) {
        target_fail("%s: %s", path, n > CONTENT_MAX ? "too large" : strerror(errno));
        free(content);
        content = NULL;
    }
    if (f != NULL)
        fclose(f);
    *size = n;
    return content;
}

static int expected_make(struct load_target *t, const struct load_options *o)
{
    if (o->verify_file != NULL) {
        t->expected = content_read(o->verify_file, &t->expected_size);
    } else if (o->expect_text != NULL) {
        t->expected = strdup(o->expect_text);
        t->expected_size = strlen(o->expect_text);
    } else {
        return 0;
    }
    return t->expected == NULL ? -1 : 0;
}

/* The content of requests. */
static int data_make(const struct load_options *o, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (o->data == NULL)
        return 0;
    if (o->data[0] == '@') {
        *data = content_read(o->data + 1, size);
    } else {
        *data = strdup(o->data);
        *size = strlen(o->data);
    }
    return *data == NULL ? -1 : 0;
}

static bool has_header(const struct load_options *o, const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < o->header_count; i++)
        if (strncasecmp(o->headers[i], name, n) == 0 && o->headers[i][n] == ':')
            return true;
    return false;
}

static void head_write(FILE *f, const struct load_target *t, const struct load_options *o, size_t data_size)
{
    bool six = strchr(t->host, ':') != NULL;
    fprintf(f, "%s %s%s HTTP/1.1\r\n", o->method, t->path[0] == '/' ? "" : "/", t->path);
    if (!has_header(o, "Host"))
        fprintf(f, "Host: %s%s%s%s%s\r\n", six ? "[" : "", t->host, six ? "]" : "", strcmp(t->port, "80") == 0 ? "" : ":",
                strcmp(t->port, "80") == 0 ? "" : t->port);
    if (!has_header(o, "User-Agent"))
        fprintf(f, "User-Agent: iomux-load/%s\r\n", PACKAGE_VERSION);
    for (unsigned i = 0; i < o->header_count; i++)
        fprintf(f, "%s\r\n", o->headers[i]);
    if (o->one_each && !has_header(o, "Connection"))
        fputs("Connection: close\r\n", f);
    if (o->data != NULL && !has_header(o, "Content-Length"))
        fprintf(f, "Content-Length: %zu\r\n", data_size);
    fputs("\r\n", f);
}

static int request_http(struct load_target *t, const struct load_options *o)
{
    const unsigned depth = o->depth > 0 ? o->depth : 1;
    size_t data_size, size = 0;
    char *data, *all = NULL;
    if (data_make(o, &data, &data_size) == -1)
        return -1;
    FILE *f = open_memstream(&all, &size);
    for (unsigned i = 0; f != NULL && i < depth; i++) {
        head_write(f, t, o, data_size);
        if (data_size > 0)
            fwrite(data, 1, data_size, f);
    }
    free(data);
    if (f == NULL || fclose(f) != 0) {
        free(all);
        return target_fail("out of memory");
    }
    t->request = all;
    if (depth > 1 && size > LOAD_UNDER_WAY_MAX)
        return target_fail("the requests that are pipelined have at most %d bytes together", LOAD_UNDER_WAY_MAX);
    t->request_size = size / depth;
    return 0;
}

/* Text that differs from place to place, so that bytes that change places are seen. */
static int request_echo(struct load_target *t, const struct load_options *o)
{
    uint32_t seed = 1;
    t->request = malloc(o->size);
    t->request_size = o->size;
    if (t->request == NULL)
        return target_fail("out of memory");
    for (size_t i = 0; i < o->size; i++) {
        seed = seed * 1664525 + 1013904223;
        t->request[i] = (char)('a' + (seed >> 16) % 26);
    }
    t->request[o->size - 1] = '\n';
    return 0;
}

int load_target_make(struct load_target *t, const struct load_options *o)
{
    *t = (struct load_target){ 0 };
    if (url_cut(t, o->url) == -1 || host_resolve(t) == -1)
        return -1;
    if (o->sources != NULL && load_sources_make(t, o->sources) == -1)
        return -1;
    if (expected_make(t, o) == -1)
        return -1;
    return t->kind == CLIENT_HTTP ? request_http(t, o) : request_echo(t, o);
}

void load_target_free(struct load_target *t)
{
    free(t->sources);
    free(t->request);
    free(t->expected);
}
