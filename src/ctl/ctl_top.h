/* SPDX-License-Identifier: BSD-2-Clause */
/* A screen that shows what the daemon does, and goes on until q. */
#ifndef CTL_CTL_TOP_H
#define CTL_CTL_TOP_H

/* Returns the exit status.  The terminal is as before afterwards, whatever ends it. */
int top_run(const char *path, double interval_s);

#endif
