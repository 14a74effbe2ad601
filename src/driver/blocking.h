/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of the blocking model: a thread for each connection.  It needs no ops. */
#ifndef DRIVER_BLOCKING_H
#define DRIVER_BLOCKING_H

#include "driver/driver.h"

extern const struct driver driver_blocking;

#endif
