/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver for every model that starts operations and hears when they are done; its ops are a
 * struct engine_ops. */
#ifndef DRIVER_COMPLETION_H
#define DRIVER_COMPLETION_H

#include "driver/driver.h"

extern const struct driver driver_completion;

#endif
