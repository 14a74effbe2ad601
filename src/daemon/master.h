/* SPDX-License-Identifier: BSD-2-Clause */
/* The master: makes the listening sockets, starts the workers, keeps them running, replaces them with others when the
 * configuration changes, ends them well. */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/conf.h"

struct master_start {
    const struct conf_options *again;   /* how the configuration is read, and will be read anew */
    struct conf *taken;                 /* what was read, which is taken over; NULL: ... */
    int          state;                 /* ... it goes on from what another program left behind in this process */
    const char  *program;               /* the path of this one; "": it is not known */
};

/* Runs until it is told to end.  Returns the exit status: 0, or 1 when the start failed (the reasons are in the log) or
 * the end was forced by a second signal. */
int master_run(const struct master_start *start);

/* Could this program go on from that state, whose descriptor is taken over?  False after complaining. */
bool master_test_state(const struct conf_options *again, int taken, FILE *complaints);

#endif
