/* SPDX-License-Identifier: BSD-2-Clause */
/* The master: makes the listening sockets, starts the workers, keeps them running, replaces them with others when the
 * configuration changes, ends them well. */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include "conf/conf.h"

/* Runs with this configuration, which is taken over, until it is told to end; `again` is how it was read, and how it
 * will be read anew.  Returns the exit status: 0, or 1 when the start failed (the reasons are in the log) or the end
 * was forced by a second signal. */
int master_run(const struct conf_options *again, struct conf *taken);

#endif
