/* SPDX-License-Identifier: BSD-2-Clause */
/* systemd, in a build without libsystemd: nobody to tell, no journal but by stderr. */
#include "daemon/sysd.h"

#include <errno.h>

bool sysd_notify(const char *state)
{
    (void)state;
    return true;
}

bool sysd_store(const char *name, int fd)
{
    (void)name;
    (void)fd;
    return true;
}

bool sysd_store_remove(const char *name)
{
    (void)name;
    return true;
}

uint64_t sysd_watchdog_us(void)
{
    return 0;
}

bool sysd_listens(void)
{
    return false;
}

bool sysd_has_journal(void)
{
    return false;
}

bool sysd_journal_listens(void)
{
    return false;
}

int sysd_journal(enum log_level level, const struct log_about *about, struct span line)
{
    (void)level;
    (void)about;
    (void)line;
    errno = ENOSYS;
    return -1;
}
