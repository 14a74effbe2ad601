/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of a running daemon that rule over its file: "PATH=VALUE", in the order in which they were given.  What was
 * given on the command line stands before them. */
#ifndef DAEMON_OVERRIDES_H
#define DAEMON_OVERRIDES_H

#include <stdbool.h>
#include <stddef.h>

enum { OVERRIDES_MAX = 256 };           /* each has a path of its own */

struct overrides {
    char   **v;
    unsigned count;
};

/* In the place of what there is for the same path, or behind all.  -1 with errno; EINVAL: it has no '=', or nothing
 * before it; E2BIG: there are too many. */
int overrides_put(struct overrides *o, const char *text);

/* Is there one for this path?  What stands behind a '=' in it is not looked at. */
bool overrides_has(const struct overrides *o, const char *path);

/* Takes what there is for this path away, again up to a '='; false: nothing is. */
bool overrides_remove(struct overrides *o, const char *path);

/* Makes `to` what `from` is.  -1 with errno, and then it is as it was. */
int overrides_copy(struct overrides *to, const struct overrides *from);

/* Makes `to` what `from` is, which is empty then. */
void overrides_move(struct overrides *to, struct overrides *from);
void overrides_free(struct overrides *o);

#endif
