/* SPDX-License-Identifier: BSD-2-Clause */
/* The program that this process runs, by its name in the file system: what stands there now may be a newer one.  It is
 * asked to test a configuration, in a process of its own, and takes this process over. */
#ifndef DAEMON_PROGRAM_H
#define DAEMON_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"

enum {
    PROGRAM_TEST_MS = 10000,            /* for a test: it reads a few files */
    PROGRAM_SAID_MAX = 64 * 1024        /* bytes of its complaints */
};

/* The absolute path of what was started by this first argument, looked for as a shell does it; links are not followed:
 * they are how another version is put in its place.  -1: it cannot be found. */
int program_path(const char *argument, char path[PATH_MAX]);

/* The words of a command line, the first is the path: the file and overrides that the options name, `more` of them
 * behind, and the descriptor of the state.  NULL: memory is short.  They point into what they were made of; only the
 * list is to be freed. */
struct overrides;
struct program_words {
    const char                *path;
    const struct conf_options *again;
    const struct overrides    *more;    /* NULL: none */
    int                        state;
    bool                       test;
    char                       number[16];      /* room for the descriptor as a word */
};
char **program_command(struct program_words *w);

/* A test that goes on. */
struct program_test {
    pid_t    pid;                       /* 0: none */
    int      output;                    /* -1: its end was read */
    char    *said;                      /* a text */
    size_t   size;
    bool     late;
    bool     refused;                   /* it has ended by itself: what it was asked about is wrong */
    uint64_t until_ms;
};

/* Starts it; -1 with errno. */
int program_test_begin(struct program_test *t, char *const command[], int state, uint64_t now_ms);

/* Hears it.  True: it has ended, and *ok says how; why it has failed is in t->said, a line each. */
bool program_test_step(struct program_test *t, const char *path, uint64_t now_ms, bool *ok);

/* Ends it, if it goes on, and frees what it said.  Does not wait: who is that late is buried by init. */
void program_test_end(struct program_test *t);

/* In another process: closes what is the master's. */
void program_test_abandon(struct program_test *t);

/* This process becomes that program: it keeps the descriptors of the list and the first three, all others are closed.
 * Only comes back if that cannot be, -1 with errno; then everything is as it was. */
int program_become(char *const command[], const int *kept, unsigned count);

#endif
