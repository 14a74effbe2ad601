/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of I/O models.  A model is one row here, one file beside, one line in the build. */
#include "driver/model.h"

#include <stdio.h>
#include <string.h>

#include "driver/completion.h"
#include "driver/engine_table.h"
#include "driver/poller_table.h"
#include "driver/readiness.h"

#ifdef HAVE_EPOLL
#define EPOLL(table) .driver = &driver_readiness, .ops = (table)
#else
#define EPOLL(table) .driver = NULL
#endif

#ifdef HAVE_LIBURING
#define URING(name) .driver = &driver_completion, .ops = &engine_##name, .available = engine_##name##_available
#else
#define URING(name) .driver = NULL
#endif

static const struct model models[] = {
    { .name = "epoll",       .family = "multiplexing", EPOLL(&poller_epoll) },
    { .name = "epoll-level", .family = "multiplexing", EPOLL(&poller_epoll_level) },
    { .name = "io_uring",    .family = "asynchronous", URING(uring) },
};

const struct model *model_all(size_t *count)
{
    *count = sizeof models / sizeof *models;
    return models;
}

const struct model *model_find(const char *name)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

bool model_available(const struct model *m, char *why, size_t why_size)
{
    if (m->driver == NULL) {
        snprintf(why, why_size, "not built in");
        return false;
    }
    return m->available == NULL || m->available(why, why_size);
}
