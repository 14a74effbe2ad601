/* SPDX-License-Identifier: BSD-2-Clause */
/* Errands as jobs for helper threads.  An errand that is away counts as in flight, so that its connection stays. */
#include "core/errand.h"

#include <stdlib.h>

#include "core/conn_driver.h"

enum {
    THREADS = 4,                /* what they do is mostly work for a processor */
    STACK = 256 * 1024          /* crypt(3) and readdir(3) need a tenth */
};

struct errands {
    struct helpers *helpers;
    unsigned        away;
};

struct errands *errands_open(void)
{
    struct errands *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->helpers = helpers_open(THREADS, STACK);
    if (e->helpers == NULL) {
        free(e);
        return NULL;
    }
    return e;
}

int errands_fd(const struct errands *e)
{
    return helpers_fd(e->helpers);
}

static struct errand *errand_of(struct helper_job *j)
{
    return LIST_ENTRY(j, struct errand, job);
}

static void errand_work(struct helper_job *j)
{
    struct errand *e = errand_of(j);
    e->work(e);
}

void conn_errand(struct conn *c, struct errand *taken)
{
    struct errands *helpers = c->out.env->errands;
    taken->job.work = errand_work;
    taken->conn = c;
    taken->away = helpers != NULL && helpers_ask(helpers->helpers, &taken->job) == 0;
    c->errand = taken;
    if (!taken->away)
        return;                 /* conn_resume does it */
    helpers->away++;
    c->in_flight++;
}

struct conn *errand_back(struct env *env)
{
    struct errands *helpers = env->errands;
    if (helpers == NULL || helpers->away == 0)
        return NULL;
    struct helper_job *j = helpers_answer(helpers->helpers);
    if (j == NULL)
        return NULL;
    struct errand *e = errand_of(j);
    helpers->away--;
    e->away = false;
    e->work = NULL;             /* it is done */
    e->conn->in_flight--;
    return e->conn;
}

void errands_end(struct env *e)
{
    if (e->errands == NULL)
        return;
    helpers_end(e->errands->helpers);
    while (errand_back(e) != NULL)
        ;
}

void errands_close(struct errands *e)
{
    if (e == NULL)
        return;
    helpers_close(e->helpers);
    free(e);
}
