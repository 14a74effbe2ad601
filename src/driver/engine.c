/* SPDX-License-Identifier: BSD-2-Clause */
/* What a driver says of its engine, whichever it is. */
#include "driver/engine.h"

#include <errno.h>

#include "base/log.h"
#include "core/env.h"

enum { STRAIN_MS = 10000 };     /* without strain for so long, the next is news again */

void engine_tell_strain(struct engine *e, const struct env *env)
{
    uint64_t now = env->now_ms;
    errno = e->strained;
    if (e->strained_ms == 0 || now - e->strained_ms >= STRAIN_MS)
        log_errno(LOG_ERROR, &env->about, "worker %s: the model %s cannot start operations; they are tried again",
                  env->about.worker, e->ops->name);
    e->strained_ms = now;
    e->strained = 0;
}
