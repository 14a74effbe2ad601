/* SPDX-License-Identifier: BSD-2-Clause */
/* The errors of a start or a reload, gathered from the master and from the workers that it started, for who asked for
 * it: lines in a page that they share. */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { REPORT_SIZE = 32 * 1024 };       /* bytes: two hundred long lines; what does not fit is only in the log */

struct report {
    uint32_t used;                      /* atomic: bytes that were asked for, perhaps more than there are */
    char     text[REPORT_SIZE];         /* lines, each with a newline behind it */
};

/* NULL with errno. */
struct report *report_new(void);
void report_free(struct report *r);

/* May be called by several processes and threads at once. */
void report_add(struct report *r, struct span line);

/* Adds what stands in a text, a line each. */
void report_add_lines(struct report *r, const char *text);

/* The next line from *at on, which moves behind it; false: there is none. */
bool report_next(const struct report *r, size_t *at, struct span *line);

bool report_is_cut(const struct report *r);

#endif
