/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps(1) shows of a process: its role.  Without libbsd the title stays the command line. */
#ifndef DAEMON_TITLE_H
#define DAEMON_TITLE_H

/* Early in main, before anything keeps a pointer into the environment. */
void title_init(int argc, char *argv[]);

/* "master" shows as "iomuxd: master". */
void title_set(const char *role);

#endif
