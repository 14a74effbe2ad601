/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables for people: columns as wide as what stands in them, numbers to the right. */
#ifndef CTL_CTL_TABLE_H
#define CTL_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table_column {
    const char *head;
    bool        right;
};

struct table {
    const struct table_column *columns;
    unsigned   column_count;
    char     **cells;                   /* row by row */
    size_t     count, room;
};

void table_begin(struct table *t, const struct table_column *columns, unsigned count);

/* The next cell; control bytes become question marks. */
void table_text(struct table *t, const char *text);
void table_number(struct table *t, int64_t n);

/* "17", "1.2k", "3.4M" */
void table_count(struct table *t, int64_t n);

/* "512 B", "1.5 KiB" ... */
void table_bytes(struct table *t, int64_t n);

/* "42 s", "3 min", "5 h", "12 d" */
void table_age(struct table *t, int64_t s);

/* "740 us", "1.2 ms", "3.4 s"; "-" if nothing is known. */
void table_micros(struct table *t, int64_t us, bool known);

/* Prints the heads and at most `rows` rows, no line longer than `width` (0: as long as it is), each ended by `end`;
 * returns how many lines.  Frees the table. */
size_t table_end(struct table *t, FILE *to, size_t rows, size_t width, const char *end);

/* The same as texts. */
enum { TABLE_TEXT_SIZE = 32 };
const char *text_of_bytes(char text[TABLE_TEXT_SIZE], int64_t n);
const char *text_of_count(char text[TABLE_TEXT_SIZE], int64_t n);
const char *text_of_age(char text[TABLE_TEXT_SIZE], int64_t s);

#endif
