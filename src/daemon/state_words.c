/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of the state of a master.  Knows JSON and descriptors, not what is said. */
#include "daemon/state_words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void state_wrong(struct state_reader *r, const char *format, ...)
{
    va_list args;

    if (r->failed)
        return;
    r->failed = true;
    va_start(args, format);
    vsnprintf(r->why, STATE_WHY_SIZE, format, args);
    va_end(args);
}

/* ---- words ---- */

uint64_t state_integer(struct state_reader *r, const json_t *n, const char *name, uint64_t max)
{
    if (json_is_integer(n) && (uint64_t)json_integer_value(n) <= max)
        return (uint64_t)json_integer_value(n);
    state_wrong(r, "\"%s\" is no number up to %ju", name, (uintmax_t)max);
    return 0;
}

uint64_t state_number(struct state_reader *r, const json_t *from, const char *name, uint64_t max)
{
    return state_integer(r, json_object_get(from, name), name, max);
}

uint64_t state_moment(struct state_reader *r, const json_t *n, const char *name)
{
    return json_is_null(n) ? UINT64_MAX : state_integer(r, n, name, INT64_MAX);
}

uint64_t state_moment_in(struct state_reader *r, const json_t *from, const char *name)
{
    return state_moment(r, json_object_get(from, name), name);
}

bool state_flag(struct state_reader *r, const json_t *from, const char *name)
{
    const json_t *f = json_object_get(from, name);

    if (!json_is_boolean(f))
        state_wrong(r, "\"%s\" is neither true nor false", name);
    return json_is_true(f);
}

const json_t *state_list(struct state_reader *r, const json_t *from, const char *name)
{
    const json_t *all = json_object_get(from, name);

    if (!json_is_array(all))
        state_wrong(r, "\"%s\" is no list", name);
    return all;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes that the caller frees, with a NUL behind them; NULL: it is no such text. */
char *state_hex(const json_t *text, size_t *size)
{
    const char *from = json_string_value(text);
    size_t n = json_string_length(text) / 2;
    char *bytes = from != NULL && json_string_length(text) % 2 == 0 ? malloc(n + 1) : NULL;

    if (bytes == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(from[2 * i]), low = hex_digit(from[2 * i + 1]);

        if (high == -1 || low == -1) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (char)(high << 4 | low);
    }
    bytes[n] = '\0';
    *size = n;
    return bytes;
}

/* A copy for the caller to free, never NULL unless something is wrong. */
char *state_bytes(struct state_reader *r, const json_t *text, const char *name, size_t *size)
{
    char *bytes = NULL;

    *size = 0;
    if (json_is_string(text)) {
        bytes = strndup(json_string_value(text), json_string_length(text));
        *size = bytes != NULL ? strlen(bytes) : 0;
    } else if (json_is_object(text)) {
        bytes = state_hex(json_object_get(text, "hex"), size);
    }
    if (bytes == NULL)
        state_wrong(r, "\"%s\" is no text", name);
    return bytes;
}

/* ... into an array of `room` bytes. */
void state_text(struct state_reader *r, const json_t *from, const char *name, char *to, size_t room)
{
    size_t size;
    char *bytes = state_bytes(r, json_object_get(from, name), name, &size);

    if (bytes != NULL && size < room)
        memcpy(to, bytes, size + 1);
    else
        state_wrong(r, "\"%s\" is longer than %zu bytes", name, room - 1);
    free(bytes);
}

/* ---- descriptors ---- */

int state_descriptor(struct state_reader *r, const json_t *n, const char *name)
{
    json_int_t fd = json_integer_value(n);

    if (!json_is_integer(n) || fd < -1 || fd > INT32_MAX) {
        state_wrong(r, "\"%s\" is no descriptor", name);
        return -1;
    }
    if (!r->adopt || fd == -1 || r->failed)
        return -1;
    if (fd > STDERR_FILENO && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
        return (int)fd;
    state_wrong(r, "\"%s\": descriptor %d is not open", name, (int)fd);
    return -1;
}

int state_descriptor_in(struct state_reader *r, const json_t *from, const char *name)
{
    return state_descriptor(r, json_object_get(from, name), name);
}
