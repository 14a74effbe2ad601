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
    bool                 own_listeners; /* a listener that other processes hold too can serve only one of them */
    const char *const   *calls;         /* system calls beside those of every model, up to a NULL; NULL: none */
    const char          *guard;         /* what it forbids itself, as ", TEXT"; NULL: nothing */
    /* optional: can it run here?  If not, why; if so, perhaps what bounds it (a text in `why`, without newline). */
    bool               (*available)(char *why, size_t why_size);
};

/* All models, built in or not (driver is NULL then); *count: how many. */
const struct model *model_all(size_t *count);

/* By name, or NULL. */
const struct model *model_find(const char *name);

/* Is it built in and can it run here?  If not, why; if so, perhaps a remark, else an empty text. */
bool model_available(const struct model *m, char *why, size_t why_size);

/* What io_model = "auto" takes: the first of epoll, poll, select that can run here, and in `why` the reasons against
 * those before it (empty: there were none).  NULL: none can. */
const struct model *model_auto(char *why, size_t why_size);

#endif
