/* SPDX-License-Identifier: BSD-2-Clause */
/* Who the workers are, when the daemon is started as root. */
#ifndef DAEMON_PRIV_H
#define DAEMON_PRIV_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "conf/conf.h"

struct priv {
    bool  drop;                 /* started as root: workers become somebody else */
    bool  chosen;               /* by the configuration, not by default */
    uid_t uid;
    gid_t gid;
    char  user[64], group[64];  /* names, for log lines and for initgroups(3) */
};

/* For conf_read: is there such an account?  user NULL: is there one of those that serve when none is named?
 * Always true for a daemon that was not started as root: it stays who it is. */
bool priv_check_user(const char *user, char *why, size_t why_size);
bool priv_check_group(const char *group, char *why, size_t why_size);

/* Looks the accounts up, while every database can still be read.  False after complaining: one has gone since
 * it was checked. */
bool priv_resolve(struct priv *p, const struct conf *c, FILE *complaints);

/* Becomes that user for good; -1 with errno.  Nothing to do unless `drop`. */
int priv_drop(const struct priv *p);

#endif
