/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of a folder as a page or as JSON.  Names are bytes that anybody may have chosen: they are escaped for where
 * they stand, and what is no UTF-8 is shown as U+FFFD, while links lead to the very bytes.  Pure; in memory that grows. */
#include "proto/http_internal.h"

#include <stdlib.h>

#include "base/fmt.h"
#include "base/utf8.h"
#include "core/catalog.h"

static const size_t LISTING_MAX = 4u << 20;     /* bytes: whoever reads slowly keeps them in memory */

enum { NAME_BYTES_MAX = 255 };      /* NAME_MAX */

/* ---- text that grows ---- */

/* Sticky: a put that fails makes all later ones fail. */
struct listing {
    char  *p;
    size_t n, room;
    bool   failed;
};

static void listing_put(struct listing *l, struct span s)
{
    if (l->n + s.n > l->room && !l->failed) {
        size_t room = 2 * (l->n + s.n) + 4096;
        char *more = realloc(l->p, room);
        l->failed = more == NULL;
        l->p = l->failed ? l->p : more;
        l->room = l->failed ? l->room : room;
    }
    if (l->failed || s.n == 0)
        return;
    memcpy(l->p + l->n, s.p, s.n);
    l->n += s.n;
}

/* NULL when memory is out. */
static struct file *listing_file(struct listing *l)
{
    struct file *f = l->failed ? NULL : file_of_bytes(l->p, l->n);
    if (f == NULL)
        free(l->p);
    return f;
}

#define PUT(l, literal) listing_put((l), SPAN(literal))

static void listing_number(struct listing *l, uint64_t value)
{
    char text[FMT_U64_MAX];
    listing_put(l, (struct span){ text, fmt_u64(text, value) });
}

/* ---- escaping ---- */

static struct span html_escape(char byte)
{
    switch (byte) {
    case '&':  return SPAN("&amp;");
    case '<':  return SPAN("&lt;");
    case '>':  return SPAN("&gt;");
    case '"':  return SPAN("&quot;");
    case '\'': return SPAN("&#39;");
    default:   return SPAN("");
    }
}

#define REPLACEMENT "\xef\xbf\xbd"      /* U+FFFD */

/* Control characters have no place in HTML; they are shown as what they are: unreadable. */
static void html_put(struct listing *l, struct span s)
{
    const char *end = s.p + s.n;
    for (const char *p = s.p; p < end;) {
        struct span escaped = html_escape(*p);
        size_t n = utf8_printable(p, end);
        if (escaped.n > 0)
            listing_put(l, escaped);
        else if (n == 0)
            PUT(l, REPLACEMENT);
        else
            listing_put(l, (struct span){ p, n });
        p += n > 0 ? n : 1;
    }
}

/* RFC 8259 section 7. */
static void json_put(struct listing *l, struct span s)
{
    static const char digit[] = "0123456789abcdef";
    const char *end = s.p + s.n;
    for (const char *p = s.p; p < end;) {
        unsigned char byte = (unsigned char)*p;
        size_t n = utf8_length(p, end);
        if (byte == '"' || byte == '\\') {
            PUT(l, "\\");
            listing_put(l, (struct span){ p, 1 });
        } else if (byte < 0x20 || byte == 0x7f) {
            PUT(l, "\\u00");
            listing_put(l, (struct span){ &digit[byte >> 4], 1 });
            listing_put(l, (struct span){ &digit[byte & 15], 1 });
        } else if (n == 0) {
            PUT(l, "\\ufffd");
        } else {
            listing_put(l, (struct span){ p, n });
        }
        p += n > 0 ? n : 1;
    }
}

/* The "./" keeps a colon in a name from making it a scheme (RFC 3986 section 4.2). */
static void link_put(struct listing *l, struct span name)
{
    char encoded[3 * NAME_BYTES_MAX];
    PUT(l, "./");
    while (name.n > 0) {
        struct span piece = { name.p, name.n < NAME_BYTES_MAX ? name.n : NAME_BYTES_MAX };
        html_put(l, (struct span){ encoded, http_path_encode(encoded, piece) });
        name = span_skip(name, piece.n);
    }
}

/* ---- order ---- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static int lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : (unsigned char)byte;
}

/* Numbers by their value, however many digits: that without leading zeros is longer, or greater.  Both begin with a
 * digit; they go behind the numbers. */
static int numbers_compare(const char **a, const char **b)
{
    size_t n = 0, m = 0;
    while (**a == '0')
        ++*a;
    while (**b == '0')
        ++*b;
    while (is_digit((*a)[n]))
        n++;
    while (is_digit((*b)[m]))
        m++;
    int order = n != m ? (n < m ? -1 : 1) : memcmp(*a, *b, n);
    *a += n;
    *b += m;
    return order;
}

/* As people sort: "a2" before "a10", "B" after "a". */
static int names_compare(const char *a, const char *b)
{
    const char *p = a, *q = b;
    while (*p != '\0' && *q != '\0') {
        if (is_digit(*p) && is_digit(*q)) {
            int order = numbers_compare(&p, &q);
            if (order != 0)
                return order;
            continue;
        }
        if (lower(*p) != lower(*q))
            return lower(*p) - lower(*q);
        p++;
        q++;
    }
    if (*p != *q)
        return *p == '\0' ? -1 : 1;
    return strcmp(a, b);
}

static int entries_compare(const void *a, const void *b)
{
    const struct catalog_entry *x = a, *y = b;
    if (x->folder != y->folder)
        return x->folder ? -1 : 1;
    return names_compare(x->name, y->name);
}

/* ---- the page ---- */

/* The policy allows this style and nothing else; its hash is checked by tests/matrix/test_autoindex.py. */
#define STYLE                                                                                                   \
    ":root{color-scheme:light dark;--text:#1d1f23;--faint:#666b75;--line:#e3e5e9;--link:#0b5cad;--back:#fff;"   \
    "--hover:#f4f6f8}"                                                                                          \
    "@media(prefers-color-scheme:dark){:root{--text:#e4e6ea;--faint:#9aa0ab;--line:#33373e;--link:#7ab8ff;"     \
    "--back:#17191d;--hover:#202329}}"                                                                          \
    "body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}"                \
    "main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}"                                              \
    "h1{font-size:1.25rem;font-weight:600;margin:0 0 1rem;overflow-wrap:anywhere}"                              \
    "table{width:100%;border-collapse:collapse}"                                                                \
    "th{font-size:.8rem;font-weight:600;color:var(--faint);text-align:left}"                                    \
    "th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}"                        \
    "tbody tr:hover{background:var(--hover)}"                                                                   \
    "td:first-child{overflow-wrap:anywhere}"                                                                    \
    "th+th,td+td{white-space:nowrap;text-align:right;color:var(--faint);font-variant-numeric:tabular-nums}"     \
    "a{color:var(--link);text-decoration:none}"                                                                 \
    "a:hover,a:focus{text-decoration:underline}"                                                                \
    ".d a{font-weight:600}"                                                                                     \
    "p{color:var(--faint)}"                                                                                     \
    "@media(max-width:36rem){thead{display:none}"                                                               \
    "tr{display:flex;flex-wrap:wrap;justify-content:space-between;border-bottom:1px solid var(--line)}"         \
    "td{border:0;padding:.1rem .25rem}td:first-child{flex:1 0 100%;padding-top:.5rem}"                          \
    "td+td{font-size:.8rem;padding-bottom:.5rem}}"

/* "512 B", "1.4 KiB", "37 MiB": two or three digits, rounded down. */
static void size_put(struct listing *l, uint64_t size)
{
    static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    unsigned unit = 0;
    uint64_t tenths = 0;
    for (; size >= 1024; size /= 1024, unit++)
        tenths = size % 1024 * 10 / 1024;
    listing_number(l, size);
    if (unit > 0 && size < 10) {
        PUT(l, ".");
        listing_number(l, tenths);
    }
    listing_put(l, span_of(units[unit]));
}

static void time_put(struct listing *l, time_t when)
{
    char text[FMT_TIMESTAMP_SIZE];
    fmt_timestamp(text, when, 0);
    PUT(l, "<time datetime=\"");
    listing_put(l, (struct span){ text, 19 });
    PUT(l, "Z\">");
    listing_put(l, (struct span){ text, 10 });
    PUT(l, " ");
    listing_put(l, (struct span){ text + 11, 5 });
    PUT(l, "</time>");
}

static void row_put(struct listing *l, const struct catalog_entry *e)
{
    struct span name = span_of(e->name), slash = e->folder ? SPAN("/") : SPAN("");
    listing_put(l, e->folder ? SPAN("<tr class=\"d\"><td><a href=\"") : SPAN("<tr><td><a href=\""));
    link_put(l, name);
    listing_put(l, slash);
    PUT(l, "\">");
    html_put(l, name);
    listing_put(l, slash);
    PUT(l, "</a></td><td>");
    if (!e->folder)
        size_put(l, e->size);
    PUT(l, "</td><td>");
    time_put(l, e->mtime_s);
    PUT(l, "</td></tr>\n");
}

static void page_begin(struct listing *l, struct span path, bool parent)
{
    PUT(l, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Index of ");
    html_put(l, path);
    PUT(l, "</title>\n<style>" STYLE "</style>\n</head>\n<body>\n<main>\n<h1>Index of ");
    html_put(l, path);
    PUT(l, "</h1>\n<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th>"
           "<th scope=\"col\">Modified (UTC)</th></tr></thead>\n<tbody>\n");
    if (parent)
        PUT(l, "<tr class=\"d\"><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
}

static void page_end(struct listing *l, unsigned shown, bool cut)
{
    PUT(l, "</tbody>\n</table>\n");
    if (shown == 0)
        PUT(l, "<p>There is nothing in this folder.</p>\n");
    if (cut) {
        PUT(l, "<p>There is more in this folder than these ");
        listing_number(l, shown);
        PUT(l, " entries.</p>\n");
    }
    PUT(l, "</main>\n</body>\n</html>\n");
}

/* ---- JSON ---- */

static void object_put(struct listing *l, const struct catalog_entry *e)
{
    char time[FMT_TIMESTAMP_SIZE];
    PUT(l, "{\"name\":\"");
    json_put(l, span_of(e->name));
    PUT(l, "\",\"type\":\"");
    listing_put(l, e->folder ? SPAN("directory") : SPAN("file"));
    PUT(l, "\",");
    if (!e->folder) {
        PUT(l, "\"size\":");
        listing_number(l, e->size);
        PUT(l, ",");
    }
    fmt_timestamp(time, e->mtime_s, 0);
    PUT(l, "\"mtime\":\"");
    listing_put(l, (struct span){ time, 19 });
    PUT(l, "Z\"}");
}

/* ---- */

void http_listing_sort(struct catalog *c)
{
    if (c->count > 1)
        qsort(c->v, c->count, sizeof *c->v, entries_compare);
}

struct file *http_listing_html(const struct catalog *c, struct span path, bool parent, bool *cut)
{
    struct listing l = { 0 };
    unsigned shown = 0;
    page_begin(&l, path, parent);
    for (; shown < c->count && l.n < LISTING_MAX; shown++)
        row_put(&l, &c->v[shown]);
    *cut = c->cut || shown < c->count;
    page_end(&l, shown, *cut);
    return listing_file(&l);
}

struct file *http_listing_json(const struct catalog *c, bool *cut)
{
    struct listing l = { 0 };
    unsigned shown = 0;
    for (; shown < c->count && l.n < LISTING_MAX; shown++) {
        listing_put(&l, shown == 0 ? SPAN("[\n") : SPAN(",\n"));
        object_put(&l, &c->v[shown]);
    }
    *cut = c->cut || shown < c->count;
    listing_put(&l, shown == 0 ? SPAN("[]\n") : SPAN("\n]\n"));
    return listing_file(&l);
}
