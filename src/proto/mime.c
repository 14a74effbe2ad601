/* SPDX-License-Identifier: BSD-2-Clause */
/* Media types by file name extension: a hash table made once from text, looked up without case.
 * Owns copies of all it answers. */
#include "proto/http.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    TYPE_MAX = 127,             /* bytes, charset included: RFC 6838 section 4.2 allows 127 for each half */
    EXTENSION_MAX = 16          /* bytes: the longest that is in use has 11 */
};

struct mime_entry {
    struct span extension;      /* length 0: a free place */
    struct span type;
};

struct mime {
    size_t             room;    /* places, a power of two, at least twice the entries */
    struct mime_entry *places;
    char              *text;    /* all types and extensions */
    char              *text_end;
};

static bool mime_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The next line, without its end and without a comment; false at the end of the text. */
static bool mime_line(struct span *text, struct span *line)
{
    if (text->n == 0)
        return false;
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - text->p);
    *line = (struct span){ text->p, n };
    *text = span_skip(*text, end == NULL ? n : n + 1);
    const char *comment = n == 0 ? NULL : memchr(line->p, '#', n);
    if (comment != NULL)
        line->n = (size_t)(comment - line->p);
    return true;
}

static bool mime_word(struct span *line, struct span *word)
{
    size_t skip = 0, n = 0;
    while (skip < line->n && mime_blank(line->p[skip]))
        skip++;
    *line = span_skip(*line, skip);
    while (n < line->n && !mime_blank(line->p[n]))
        n++;
    *word = (struct span){ line->p, n };
    *line = span_skip(*line, n);
    return n > 0;
}

static char mime_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static size_t mime_hash(struct span extension)
{
    uint32_t h = 2166136261u;   /* FNV-1a */
    for (size_t i = 0; i < extension.n; i++)
        h = (h ^ (unsigned char)mime_lower(extension.p[i])) * 16777619u;
    return h;
}

/* Its place, or the free place where it belongs. */
static struct mime_entry *mime_place(const struct mime *m, struct span extension)
{
    size_t at = mime_hash(extension) & (m->room - 1);
    while (m->places[at].extension.n > 0 && !span_equal_nocase(m->places[at].extension, extension))
        at = (at + 1) & (m->room - 1);
    return &m->places[at];
}

static struct span mime_keep(struct mime *m, struct span s)
{
    struct span kept = { m->text_end, s.n };
    memcpy(m->text_end, s.p, s.n);
    m->text_end += s.n;
    return kept;
}

/* "type/subtype" of bytes that may stand in a field; parameters are not for such a table. */
static bool type_valid(struct span type)
{
    size_t slashes = 0;
    for (size_t i = 0; i < type.n; i++) {
        char byte = type.p[i];
        slashes += byte == '/';
        if (byte <= ' ' || byte > '~' || byte == ';' || byte == ',' || byte == '"')
            return false;
    }
    return slashes == 1 && type.p[0] != '/' && type.p[type.n - 1] != '/';
}

#define CHARSET "; charset=utf-8"

static void mime_add_line(struct mime *m, struct span line)
{
    struct span type, extension, kept = { NULL, 0 };
    if (!mime_word(&line, &type) || type.n > TYPE_MAX + 1 - sizeof CHARSET || !type_valid(type))
        return;
    while (mime_word(&line, &extension)) {
        struct mime_entry *e = extension.n <= EXTENSION_MAX ? mime_place(m, extension) : NULL;
        if (e == NULL || e->extension.n > 0)
            continue;
        if (kept.n == 0) {
            kept = mime_keep(m, type);
            if (type.n > 5 && strncasecmp(type.p, "text/", 5) == 0)
                kept.n += mime_keep(m, SPAN(CHARSET)).n;
        }
        *e = (struct mime_entry){ mime_keep(m, extension), kept };
    }
}

static void mime_count(struct span text, size_t *words, size_t *lines)
{
    struct span line, word;
    *words = *lines = 0;
    for (; mime_line(&text, &line); ++*lines)
        while (mime_word(&line, &word))
            ++*words;
}

struct mime *mime_new(struct span text)
{
    struct span line;
    size_t words, lines;
    struct mime *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    mime_count(text, &words, &lines);
    for (m->room = 16; m->room < 2 * words; m->room *= 2)
        ;
    m->places = calloc(m->room, sizeof *m->places);
    m->text = m->text_end = malloc(text.n + lines * sizeof CHARSET + 1);
    if (m->places == NULL || m->text == NULL) {
        mime_free(m);
        return NULL;
    }
    while (mime_line(&text, &line))
        mime_add_line(m, line);
    return m;
}

void mime_free(struct mime *m)
{
    if (m == NULL)
        return;
    free(m->places);
    free(m->text);
    free(m);
}

struct span mime_type(const struct mime *m, struct span file_name)
{
    size_t n = 0;
    while (n < file_name.n && n <= EXTENSION_MAX && file_name.p[file_name.n - 1 - n] != '.' &&
           file_name.p[file_name.n - 1 - n] != '/')
        n++;
    bool dotted = n > 0 && n <= EXTENSION_MAX && n < file_name.n && file_name.p[file_name.n - 1 - n] == '.';
    const struct mime_entry *e = NULL;
    if (dotted)
        e = mime_place(m, (struct span){ file_name.p + file_name.n - n, n });
    return e != NULL && e->extension.n > 0 ? e->type : SPAN("application/octet-stream");
}
