/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables.  Cells are kept until all are known, then the columns get their widths. */
#include "ctl/ctl_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
    if (memory != NULL)
        return memory;
    fputs("iomuxctl: out of memory\n", stderr);
    exit(1);
}

void table_begin(struct table *t, const struct table_column *columns, unsigned count)
{
    *t = (struct table){ .columns = columns, .column_count = count };
}

void table_text(struct table *t, const char *text)
{
    char *cell = need(strdup(text));

    for (char *p = cell; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    if (t->count == t->room) {
        t->room = t->room * 2 + 64;
        t->cells = need(realloc(t->cells, t->room * sizeof *t->cells));
    }
    t->cells[t->count++] = cell;
}

const char *text_of_bytes(char text[TABLE_TEXT_SIZE], int64_t n)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
    double value = (double)n;
    size_t unit = 0;

    if (n < 1024) {
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64 " B", n);
        return text;
    }
    for (value /= 1024; value >= 1023.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(text, TABLE_TEXT_SIZE, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *text_of_count(char text[TABLE_TEXT_SIZE], int64_t n)
{
    static const char units[] = "kMGT";
    double value = (double)n;
    size_t unit = 0;

    if (n < 10000) {
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64, n);
        return text;
    }
    for (value /= 1000; value >= 999.5 && unit + 2 < sizeof units; unit++)
        value /= 1000;
    snprintf(text, TABLE_TEXT_SIZE, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

const char *text_of_age(char text[TABLE_TEXT_SIZE], int64_t s)
{
    if (s < 120)
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64 " s", s);
    else if (s < 120 * 60)
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64 " min", s / 60);
    else if (s < 48 * 3600)
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64 " h", s / 3600);
    else
        snprintf(text, TABLE_TEXT_SIZE, "%" PRId64 " d", s / 86400);
    return text;
}

void table_number(struct table *t, int64_t n)
{
    char text[TABLE_TEXT_SIZE];

    snprintf(text, sizeof text, "%" PRId64, n);
    table_text(t, text);
}

void table_count(struct table *t, int64_t n)
{
    char text[TABLE_TEXT_SIZE];

    table_text(t, text_of_count(text, n));
}

void table_bytes(struct table *t, int64_t n)
{
    char text[TABLE_TEXT_SIZE];

    table_text(t, text_of_bytes(text, n));
}

void table_age(struct table *t, int64_t s)
{
    char text[TABLE_TEXT_SIZE];

    table_text(t, text_of_age(text, s));
}

void table_micros(struct table *t, int64_t us, bool known)
{
    char text[TABLE_TEXT_SIZE] = "-";

    if (known && us < 1000)
        snprintf(text, sizeof text, "%" PRId64 " us", us);
    else if (known && us < 1000000)
        snprintf(text, sizeof text, "%.1f ms", (double)us / 1000);
    else if (known)
        snprintf(text, sizeof text, "%.1f s", (double)us / 1000000);
    table_text(t, text);
}

/* Characters of a text in UTF-8. */
static size_t text_width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* A line in the making, which is cut where it would become too long. */
struct cut_line {
    FILE  *to;
    size_t at, width;
};

static void cut_put(struct cut_line *l, const char *text)
{
    for (; *text != '\0'; text++) {
        l->at += ((unsigned char)*text & 0xc0) != 0x80;
        if (l->width == 0 || l->at <= l->width)
            putc(*text, l->to);
    }
}

static void cut_pad(struct cut_line *l, size_t n)
{
    while (n-- > 0)
        cut_put(l, " ");
}

static void row_print(const struct table *t, struct cut_line *l, const char *const *cells, const size_t *widths)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        size_t pad = widths[i] - text_width(cells[i]);

        cut_pad(l, i > 0 ? 2 : 0);
        cut_pad(l, t->columns[i].right ? pad : 0);
        cut_put(l, cells[i]);
        if (i + 1 < t->column_count)
            cut_pad(l, t->columns[i].right ? 0 : pad);
    }
}

static void widths_find(const struct table *t, const char *const *heads, size_t rows, size_t *widths)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        widths[i] = text_width(heads[i]);
        for (size_t r = 0; r < rows; r++) {
            size_t w = text_width(t->cells[r * t->column_count + i]);

            widths[i] = w > widths[i] ? w : widths[i];
        }
    }
}

size_t table_end(struct table *t, FILE *to, size_t rows, size_t width, const char *end)
{
    const char *heads[TABLE_COLUMNS_MAX];
    size_t widths[TABLE_COLUMNS_MAX], there = t->count / t->column_count;

    rows = there < rows ? there : rows;
    for (unsigned i = 0; i < t->column_count; i++)
        heads[i] = t->columns[i].head;
    widths_find(t, heads, rows, widths);
    for (size_t r = 0; r <= rows; r++) {
        struct cut_line l = { .to = to, .width = width };

        row_print(t, &l, r == 0 ? heads : (const char *const *)t->cells + (r - 1) * t->column_count, widths);
        fputs(end, to);
    }
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){ 0 };
    return rows + 1;
}
