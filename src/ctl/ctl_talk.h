/* SPDX-License-Identifier: BSD-2-Clause */
/* One question to the daemon, one answer: connect, send a line, read a line, all within a time. */
#ifndef CTL_CTL_TALK_H
#define CTL_CTL_TALK_H

#include <jansson.h>

/* The exit statuses of iomuxctl. */
enum {
    CTL_OK = 0,
    CTL_REFUSED = 1,                    /* the daemon says no, or failed */
    CTL_USAGE = 2,
    CTL_UNREACHED = 3,                  /* nobody answers at the socket, or it may not be opened */
    CTL_SILENT = 4                      /* no answer in time */
};

enum {
    CTL_ANSWER_MS = 1900,               /* with what it takes to start: within 2 s */
    CTL_RELOAD_MS = 45000               /* the daemon gives a reload 10 s for the test and 30 s for the change */
};

/* Where the daemon's socket is when nobody says so: it is written to `path`. */
enum { TALK_PATH_SIZE = 256 };
void talk_default_path(char path[TALK_PATH_SIZE]);

/* Asks; the request is taken over.  The answer, an object whose "ok" is true, or NULL after saying on stderr what is
 * wrong, and then *status is what to exit with. */
json_t *talk_ask(const char *path, json_t *taken, unsigned limit_ms, int *status);

/* Members of an answer; what is missing or of another type is "" or 0. */
const char *talk_text(const json_t *object, const char *key);
const char *talk_element(const json_t *array, size_t i);
json_int_t talk_number(const json_t *object, const char *key);

#endif
