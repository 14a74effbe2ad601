/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints: gathered while reading, written in the order in which the settings stand, each in the one form
 * "FILE:LINE: path: message".  What a file says is quoted in them, so control bytes never get through. */
#include "conf/conf_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { LINE_MAX_BYTES = 2048 };     /* of path and message; a longer one is cut */

struct conf_complaint {
    struct conf_place place;
    size_t            order, number;
    char             *text;
};

/* stderr has no buffer of its own: a complaint goes out whole, unless it is longer than this. */
struct told_line {
    FILE  *to;
    size_t size;
    char   bytes[2 * LINE_MAX_BYTES];
};

static void told_flush(struct told_line *l)
{
    fwrite(l->bytes, 1, l->size, l->to);
    l->size = 0;
}

static void told_put(struct told_line *l, const char *bytes, size_t n)
{
    if (n > sizeof(l->bytes) - l->size)
        told_flush(l);
    memcpy(l->bytes + l->size, bytes, n);
    l->size += n;
}

static void told_put_escaped(struct told_line *l, const char *text)
{
    const char *end = text + strlen(text);
    char code[8] = "";

    while (text < end) {
        size_t n = utf8_printable(text, end);

        if (n == 0)
            told_put(l, code, (size_t)snprintf(code, sizeof(code), "\\x%02X", (unsigned char)*text));
        else
            told_put(l, text, n);
        text += n > 0 ? n : 1;
    }
}

const char *conf_place_text(const struct conf_place *place, char text[CONF_PLACE_SIZE])
{
    if (place->file == NULL)
        text[0] = '\0';
    else if (place->line > 0)
        snprintf(text, CONF_PLACE_SIZE, "%s:%u: ", place->file, place->line);
    else
        snprintf(text, CONF_PLACE_SIZE, "%s: ", place->file);
    return text;
}

const char *conf_place_seen(const struct conf_place *from, const struct conf_place *of,
                            char text[CONF_PLACE_SIZE])
{
    if (of->line == 0)
        snprintf(text, CONF_PLACE_SIZE, "%s", of->file);
    else if (strcmp(from->file, of->file) == 0)
        snprintf(text, CONF_PLACE_SIZE, "line %u", of->line);
    else
        snprintf(text, CONF_PLACE_SIZE, "%s:%u", of->file, of->line);
    return text;
}

static void write_complaint(FILE *to, const struct conf_place *place, const char *text)
{
    struct told_line l = { .to = to, .size = 0 };
    char number[24] = "";

    if (place != NULL && place->file != NULL) {
        told_put_escaped(&l, place->file);
        if (place->line > 0)
            told_put(&l, number, (size_t)snprintf(number, sizeof(number), ":%u", place->line));
        told_put(&l, ": ", 2);
    }
    told_put_escaped(&l, text);
    told_put(&l, "\n", 1);
    told_flush(&l);
}

static void format_complaint(char *text, size_t size, const char *path, const char *format, va_list args)
{
    int n = 0;

    if (path != NULL)
        n = snprintf(text, size, "%s: ", path);
    if (n >= 0 && (size_t)n < size)
        vsnprintf(text + n, size - (size_t)n, format, args);
}

void conf_complain(FILE *to, const struct conf_place *place, const char *path, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    format_complaint(text, sizeof(text), path, format, args);
    va_end(args);
    write_complaint(to, place, text);
}

void conf_complaints_vadd(struct conf_complaints *c, const struct conf_origin *where, const char *path,
                          const char *format, va_list args)
{
    char text[LINE_MAX_BYTES];

    format_complaint(text, sizeof(text), path, format, args);
    if (conf_memory_grow(&c->v, &c->room, c->count + 1, sizeof(*c->v)) == -1) {
        c->lost = true;
        return;
    }
    c->v[c->count] = (struct conf_complaint){ where->place, where->order, c->count, strdup(text) };
    c->lost |= c->v[c->count].text == NULL;
    c->count++;
}

void conf_complaints_add(struct conf_complaints *c, const struct conf_origin *where, const char *path,
                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    conf_complaints_vadd(c, where, path, format, args);
    va_end(args);
}

static int complaint_compare(const void *a, const void *b)
{
    const struct conf_complaint *x = a, *y = b;

    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

void conf_complaints_write(struct conf_complaints *c, FILE *to)
{
    if (c->count > 0)
        qsort(c->v, c->count, sizeof(*c->v), complaint_compare);
    for (size_t i = 0; i < c->count; i++)
        if (c->v[i].text != NULL)
            write_complaint(to, &c->v[i].place, c->v[i].text);
    if (c->lost)
        fputs("out of memory: some complaints are not shown\n", to);
}

void conf_complaints_free(struct conf_complaints *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->v[i].text);
    free(c->v);
}
