/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints: gathered while reading, written in the order in which the settings stand, each in the one form
 * "FILE:LINE: path: message".  What a file says is quoted in them, so control characters never get through.
 * */
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

static void write_escaped(FILE *to, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        size_t n = utf8_printable(text, end);

        if (n == 0)
            fprintf(to, "\\x%02X", (unsigned char)*text);
        else
            fwrite(text, 1, n, to);
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

static void write_complaint(FILE *to, const struct conf_place *place, const char *text)
{
    if (place != NULL && place->file != NULL) {
        write_escaped(to, place->file);
        if (place->line > 0)
            fprintf(to, ":%u", place->line);
        fputs(": ", to);
    }
    write_escaped(to, text);
    putc('\n', to);
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

static struct conf_complaint *complaint_slot(struct conf_complaints *c)
{
    if (c->count == c->room) {
        size_t room = c->room == 0 ? 16 : 2 * c->room;
        struct conf_complaint *v = realloc(c->v, room * sizeof(*v));

        if (v == NULL)
            return NULL;
        c->v = v;
        c->room = room;
    }
    return &c->v[c->count];
}

void conf_complaints_vadd(struct conf_complaints *c, const struct conf_origin *where, const char *path,
                          const char *format, va_list args)
{
    char text[LINE_MAX_BYTES];
    struct conf_complaint *slot = complaint_slot(c);

    format_complaint(text, sizeof(text), path, format, args);
    if (slot == NULL) {
        c->lost = true;
        return;
    }
    *slot = (struct conf_complaint){ where->place, where->order, c->count, strdup(text) };
    c->lost |= slot->text == NULL;
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
