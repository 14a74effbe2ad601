/* SPDX-License-Identifier: BSD-2-Clause */
/* How a line of the access log looks: one of two well-known forms, or a text with fields. */
#ifndef CORE_ACCESS_LINE_H
#define CORE_ACCESS_LINE_H

#include <stddef.h>
#include <stdint.h>

struct access;

/* Whose lines they are; constant strings. */
struct access_source {
    const char *model, *worker;
};

/* The names of the fields of a text, without the dollar; NULL ends them. */
extern const char *const access_field_names[];

enum { ACCESS_LINE_MAX = 64 * 1024 };       /* bytes of a line, whatever the texts of a record hold */

/* A form: "combined", "json", or a text with fields ($peer, ${peer}, $$ for a dollar), for which it is kept.
 * NULL with errno: EINVAL (no such field), EMSGSIZE (lines could be longer than ACCESS_LINE_MAX), ENOMEM. */
struct access_form;
struct access_form *access_form_new(const char *text);
void access_form_free(struct access_form *f);

/* What is to be said about one reply. */
struct access_facts {
    const struct access        *reply;
    const struct access_source *source;
    uint64_t                    duration_us;
};

/* At most so many bytes, whatever the texts hold. */
size_t access_line_max(const struct access_form *f, const struct access_facts *facts);

/* Writes the line, with its newline, and returns where it ends. */
char *access_line_put(char *to, const struct access_form *f, const struct access_facts *facts);

#endif
