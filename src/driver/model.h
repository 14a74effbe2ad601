/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of I/O models: each is a driver with what makes it particular. */
#ifndef DRIVER_MODEL_H
#define DRIVER_MODEL_H

#include <stdbool.h>
#include <stddef.h>

struct driver;

struct model {
    const char          *name;          /* as in io_model */
    const char          *family;        /* "multiplexing", "asynchronous" ... */
    const struct driver *driver;
    const void          *ops;           /* its struct poller_ops or engine_ops; NULL: none needed */
    /* optional: can it run here?  If not, why (a text in `why`, without newline). */
    bool               (*available)(char *why, size_t why_size);
};

/* All models, built in or not (driver is NULL then); *count: how many. */
const struct model *model_all(size_t *count);

/* By name, or NULL. */
const struct model *model_find(const char *name);

/* Is it built in and can it run here?  If not, why. */
bool model_available(const struct model *m, char *why, size_t why_size);

#endif
