/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver for every model that asks who is ready; its ops are a struct poller_ops. */
#ifndef DRIVER_READINESS_H
#define DRIVER_READINESS_H

#include "driver/driver.h"

extern const struct driver driver_readiness;

#endif
