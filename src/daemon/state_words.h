/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of the state of a master, for the files that read it (state_read.c, state_generation.c).  What is wrong is noted
 * once; what is read after that is zero, and nobody may use it. */
#ifndef DAEMON_STATE_WORDS_H
#define DAEMON_STATE_WORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/state.h"

struct state_reader {
    struct master *m;
    bool           adopt;               /* descriptors are this process's */
    bool           failed;
    char          *why;                 /* STATE_WHY_SIZE */
};

void state_wrong(struct state_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number from 0 to max, by itself or as a member. */
uint64_t state_integer(struct state_reader *r, const json_t *n, const char *name, uint64_t max);
uint64_t state_number(struct state_reader *r, const json_t *from, const char *name, uint64_t max);

/* A time in milliseconds; null is never: UINT64_MAX. */
uint64_t state_moment(struct state_reader *r, const json_t *n, const char *name);
uint64_t state_moment_in(struct state_reader *r, const json_t *from, const char *name);

bool state_flag(struct state_reader *r, const json_t *from, const char *name);
const json_t *state_list(struct state_reader *r, const json_t *from, const char *name);

/* Bytes with a NUL behind them, for the caller to free: written in hex, or as text and in hex only where they have to be;
 * NULL: they are not. */
char *state_hex(const json_t *text, size_t *size);
char *state_bytes(struct state_reader *r, const json_t *text, const char *name, size_t *size);

/* ... into an array of `room` bytes. */
void state_text(struct state_reader *r, const json_t *from, const char *name, char *to, size_t room);

/* A descriptor that was carried over, which is closed on exec from now on; -1: there is none, or the text is only looked
 * at. */
int state_descriptor(struct state_reader *r, const json_t *n, const char *name);
int state_descriptor_in(struct state_reader *r, const json_t *from, const char *name);

/* state_generation.c: all of them. */
void state_generations_read(struct state_reader *r, const json_t *from);

#endif
