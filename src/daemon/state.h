/* SPDX-License-Identifier: BSD-2-Clause */
/* What a master hands to the program that takes its process over: everything that it knows, as a text (JSON) in memory
 * that has a descriptor, and the numbers of the descriptors that stay open.
 *
 * The form has a number.  A program reads only the form that it writes, and only where counters are laid out as its own:
 * which it says when it is asked to test a configuration, before it is let in. */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include <stdbool.h>

#include "daemon/master_state.h"

enum {
    STATE_FORM = 3,
    STATE_MAX = 256 << 20,              /* bytes: nobody has so many workers and settings */
    STATE_WHY_SIZE = 512
};

struct state {
    int      fd;                        /* the text; -1: none */
    int     *kept;                      /* descriptors that it names, and its own */
    unsigned kept_count;
    bool     gaps;                      /* memory was short: something is missing */
};

/* Writes it down; the master goes on unchanged.  -1 with errno. */
int state_write(struct state *s, const struct master *m);
void state_close(struct state *s);

/* Fills a master that has nothing yet but lists and `again`.  The descriptor is closed.  With `adopt` false only the text
 * is looked at: the master has no descriptors, and is only to be freed.  -1, with the reason in `why`: what was made by
 * then is there to be freed. */
int state_read(struct master *m, int taken, bool adopt, char why[STATE_WHY_SIZE]);

#endif
