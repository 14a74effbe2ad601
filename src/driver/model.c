/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of I/O models.  A model is one row here, one file beside, one line in the build. */
#include "driver/model.h"

#include <stdio.h>
#include <string.h>

#include "driver/blocking.h"
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

/* What a loop calls once it runs, by the names of the kernel on any machine. */
static const char *const calls_epoll[] = { "epoll_wait", "epoll_pwait", "epoll_ctl", NULL };
static const char *const calls_select[] = { "select", "_newselect", "pselect6", "pselect6_time64", NULL };
static const char *const calls_sigio[] = { "rt_sigtimedwait", "rt_sigtimedwait_time64", NULL };
static const char *const calls_aio[] = { "pwrite64", "rt_sigqueueinfo", "sched_getparam", "sched_getscheduler",
                                         "setresuid", "setresuid32", NULL };
static const char *const calls_uring[] = { "io_uring_enter", NULL };

static const struct model models[] = {
    { .name = "epoll",       .family = "multiplexing",  EPOLL(&poller_epoll),
      .calls = calls_epoll },
    { .name = "epoll-level", .family = "multiplexing",  EPOLL(&poller_epoll_level),
      .calls = calls_epoll },
    { .name = "poll",        .family = "multiplexing",  .driver = &driver_readiness, .ops = &poller_poll },
    { .name = "select",      .family = "multiplexing",  .driver = &driver_readiness, .ops = &poller_select,
      .calls = calls_select },
    { .name = "nonblocking", .family = "non-blocking",  .driver = &driver_readiness, .ops = &poller_spin },
    { .name = "blocking",    .family = "blocking",      .driver = &driver_blocking },
    { .name = "sigio",       .family = "signal-driven", .driver = &driver_readiness, .ops = &poller_sigio,
      .own_listeners = true, .available = poller_sigio_available, .calls = calls_sigio },
    { .name = "aio",         .family = "asynchronous",  .driver = &driver_completion, .ops = &engine_aio,
      .available = engine_aio_available, .calls = calls_aio },
    { .name = "io_uring",    .family = "asynchronous",  URING(uring),
      .calls = calls_uring, .guard = ", ring restrictions" },
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
    why[0] = '\0';
    if (m->driver == NULL) {
        snprintf(why, why_size, "not built in");
        return false;
    }
    return m->available == NULL || m->available(why, why_size);
}

const struct model *model_auto(char *why, size_t why_size)
{
    static const char *const order[] = { "epoll", "poll", "select" };
    size_t n = 0;
    why[0] = '\0';
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const struct model *m = model_find(order[i]);
        char reason[160];
        if (m != NULL && model_available(m, reason, sizeof reason))
            return m;
        if (m != NULL && n < why_size)
            n += (size_t)snprintf(why + n, why_size - n, "%s%s: %s", n > 0 ? "; " : "", m->name, reason);
    }
    return NULL;
}
