/* SPDX-License-Identifier: BSD-2-Clause */
/* Every engine that may be built in; each lives in a file of its own name. */
#ifndef DRIVER_ENGINE_TABLE_H
#define DRIVER_ENGINE_TABLE_H

#include "driver/engine.h"

extern const struct engine_ops engine_uring, engine_aio;

/* Can a ring be made here?  If not, why: kernel, sysctl kernel.io_uring_disabled, seccomp, limits. */
bool engine_uring_available(char *why, size_t why_size);

/* Can completions be told here?  Says what bounds it. */
bool engine_aio_available(char *why, size_t why_size);

#endif
