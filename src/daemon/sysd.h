/* SPDX-License-Identifier: BSD-2-Clause */
/* systemd, as far as libsystemd is there: the state of the service, and journal entries with fields. */
#ifndef DAEMON_SYSD_H
#define DAEMON_SYSD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

/* Tells the service manager a state, as sd_notify(3) has it: "READY=1\nSTATUS=...".  Does nothing when none listens.
 * Never waits; false: it cannot hear more just now, say it again later. */
bool sysd_notify(const char *state);

/* It is to keep a copy of this descriptor by this name for the next start, or to forget what it has by that name; as
 * sysd_notify. */
bool sysd_store(const char *name, int fd);
bool sysd_store_remove(const char *name);

/* Does one listen? */
bool sysd_listens(void);

/* How long it waits for "WATCHDOG=1", in microseconds; 0: it does not. */
uint64_t sysd_watchdog_us(void);

/* Can sysd_journal be used in this build? */
bool sysd_has_journal(void);

/* Does a journal listen on this machine?  Entries for one that is not there are lost without an error. */
bool sysd_journal_listens(void);

/* Sends one entry to the journal; 0, or -1 with errno. */
int sysd_journal(enum log_level level, const struct log_about *about, struct span line);

#endif
