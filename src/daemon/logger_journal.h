/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries for the journal, in its native protocol: a datagram for each, fields in it. */
#ifndef DAEMON_LOGGER_JOURNAL_H
#define DAEMON_LOGGER_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "core/access.h"
#include "core/access_line.h"

enum { JOURNAL_ENTRY_MAX = ACCESS_LINE_MAX + 32 * 1024 };      /* bytes of the largest one */

/* A socket to the journal that never blocks; -1 with errno. */
int logger_journal_connect(void);

/* The same to whoever listens at this path. */
int logger_journal_connect_to(const char *path);

/* Each writes an entry into JOURNAL_ENTRY_MAX bytes and returns where it ends.  `about` may have NULLs. */
char *logger_journal_line(char *to, enum log_level level, const struct log_about *about, struct span line);

/* `line` is the access line without its newline. */
char *logger_journal_access(char *to, const struct access_taken *t, struct span line);

#endif
