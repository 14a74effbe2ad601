/* SPDX-License-Identifier: BSD-2-Clause */
/* The pools as they run: with the model that was chosen, and a number for each worker of all of them. */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include <stdbool.h>

#include "conf/conf.h"
#include "driver/model.h"

struct pool {
    const struct conf_pool *conf;
    const struct model     *model;
    unsigned                first;      /* the number of its first worker */
    unsigned                workers;
};

struct pool_set {
    struct pool *v;
    unsigned     count;
    unsigned     workers;               /* of all pools: their numbers are 0, 1 ... workers - 1 */
};

/* Chooses what the configuration leaves open: models, and says so in the log, and numbers of workers.
 * -1 with errno. */
int pool_set_init(struct pool_set *s, const struct conf *c);
void pool_set_free(struct pool_set *s);

/* The pool of a worker. */
const struct pool *pool_of(const struct pool_set *s, unsigned worker);

#endif
