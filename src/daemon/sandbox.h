/* SPDX-License-Identifier: BSD-2-Clause */
/* The sandbox: what a worker, or the logger, gives up once it has what it needs, so that who takes it over has little. */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "driver/model.h"

/* For conf_read: is there everything that "require" asks for?  False says what is missing. */
bool sandbox_check(const char *word, char *why, size_t why_size);

struct sandbox {
    enum conf_sandbox want;
    bool              no_new_privs, no_capabilities;
    int               landlock;         /* the version that is enforced; 0: none */
    int               calls;            /* system calls that are left; 0: all */
    char              missing[256];     /* and why; "": nothing */
};

/* The master gives up what it does not need.  Never fails: what cannot be had is told in the log. */
void sandbox_master(enum conf_sandbox want);

/* In a worker, before it becomes another user; -1 with errno. */
int sandbox_begin(struct sandbox *s, enum conf_sandbox want);

/* When its files are open, before its loop is: no capabilities, and no files but those beneath `folders` (open
 * descriptors).  -1 with errno, only if all of it is required. */
int sandbox_close_files(struct sandbox *s, const int *folders, unsigned folder_count);

/* When everything is open: no system calls but those that it needs.  -1 with errno, only if all of it is required. */
int sandbox_close_calls(struct sandbox *s, const struct model *m);

/* In the logger, after sandbox_begin: everything at once, and no file at all.  -1 with errno, only if all of it is
 * required. */
int sandbox_logger(struct sandbox *s);

/* What is enforced as a word for shared memory, and that word as a text for people: "no_new_privs, no capabilities,
 * landlock ABI 7, seccomp 90 calls, ring restrictions", or "off", or "" for 0. */
uint32_t sandbox_word(const struct sandbox *s);
enum { SANDBOX_TEXT_SIZE = 160 };
const char *sandbox_text(uint32_t word, const struct model *m, char text[SANDBOX_TEXT_SIZE]);

#endif
