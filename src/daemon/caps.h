/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities (capabilities(7)): what is left of root's power, and taking it away. */
#ifndef DAEMON_CAPS_H
#define DAEMON_CAPS_H

/* Limits a process that has root's power to what a master needs, for itself and for everything that it will ever
 * execute.  What it has not got is left as it is.  -1 with errno. */
int caps_keep_master(void);

/* Empties the bounding set, which needs a power that is gone once the process is another user's: so before that.
 * Does nothing where that power is missing.  -1 with errno. */
int caps_bound(void);

/* Gives up all capabilities for good; -1 with errno. */
int caps_drop(void);

#endif
