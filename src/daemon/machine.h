/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine gives this process: processors and descriptors. */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

/* Processors that this process may use, at least 1. */
unsigned machine_cpus(void);

/* Raises the limit of open descriptors as far as that needs no privilege; returns what it is now. */
unsigned long machine_raise_descriptors(void);

/* How many of `wanted` connections fit below a limit of descriptors, beside so many others. */
unsigned machine_fit_connections(unsigned wanted, unsigned long descriptors, unsigned others);

#endif
