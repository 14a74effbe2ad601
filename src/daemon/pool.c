/* SPDX-License-Identifier: BSD-2-Clause */
/* The pools as they run.  Knows configuration and models; nothing of processes and sockets. */
#include "daemon/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/machine.h"

/* What io_model names; "auto" is said in the log, since nobody chose it. */
static const struct model *pool_model(const struct conf_pool *p)
{
    char why[512];
    const struct model *m;

    if (strcmp(p->io_model, "auto") != 0)
        return model_find(p->io_model);
    m = model_auto(why, sizeof why);
    if (m != NULL)
        log_write(LOG_NOTICE, &(struct log_about){ .event = "model", .model = m->name },
                  "master: pool %s: io_model \"auto\" takes %s, the first that can run here%s%s", p->name,
                  m->name, *why != '\0' ? "; " : "", why);
    return m;
}

int pool_set_init(struct pool_set *s, const struct conf *c)
{
    *s = (struct pool_set){ .v = calloc(c->pool_count, sizeof *s->v) };
    if (s->v == NULL)
        return -1;
    for (; s->count < c->pool_count; s->count++) {
        const struct conf_pool *p = &c->pools[s->count];

        s->v[s->count] = (struct pool){ .conf = p, .model = pool_model(p), .first = s->workers,
                                        .workers = p->workers > 0 ? p->workers : machine_cpus() };
        if (s->v[s->count].model == NULL) {     /* the configuration was checked in another world */
            errno = ENOTSUP;
            return -1;
        }
        s->workers += s->v[s->count].workers;
    }
    return 0;
}

void pool_set_free(struct pool_set *s)
{
    free(s->v);
    *s = (struct pool_set){ 0 };
}

const struct pool *pool_of(const struct pool_set *s, unsigned worker)
{
    const struct pool *p = s->v;

    while (worker >= p->first + p->workers)
        p++;
    return p;
}
