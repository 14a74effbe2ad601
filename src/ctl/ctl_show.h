/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's answers as text for people. */
#ifndef CTL_CTL_SHOW_H
#define CTL_CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

void show_status(const json_t *answer, FILE *to);
void show_connections(const json_t *answer, FILE *to);
void show_models(const json_t *answer, FILE *to);
void show_version(const json_t *answer, FILE *to);

/* Parts of them, for a screen: at most so many rows and characters; how many lines that were. */
size_t show_connection_rows(const json_t *list, FILE *to, size_t rows, size_t width, const char *end);

#endif
