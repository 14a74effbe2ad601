/* SPDX-License-Identifier: BSD-2-Clause */
/* The master: makes the listening sockets, starts the workers, keeps them running, ends them well. */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include "conf/conf.h"
#include "daemon/logger.h"
#include "daemon/priv.h"

struct master_options {
    const struct conf *conf;
    const struct priv *priv;
    struct logger     *logger;
};

/* Runs until it is told to end; returns the exit status: 0, or 1 when the start failed (the reasons are in
 * the log) or the end was forced by a second signal. */
int master_run(const struct master_options *o);

#endif
