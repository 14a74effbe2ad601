/* SPDX-License-Identifier: BSD-2-Clause */
/* Output of a connection that waits for readiness, whose bytes are on a disk: a helper fetches them. */
#include "core/file.h"
#include "driver/readiness_inner.h"
#include "driver/sock.h"

static void stage_end(struct readiness *r, struct half *h)
{
    if (h->load.ready > 0)
        return;
    stage_put_back(&r->stages, h->load.stage);
    h->load.stage = NULL;
}

static void load_end(struct readiness *r, struct conn *c, ssize_t result)
{
    struct half *h = half_of(c);
    h->loading = false;
    if (c->phase != CONN_OVER && !sock_end_load(c, &h->load, result))
        conn_broke(c);
    stage_end(r, h);
}

enum sock_flushed half_load_flush(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    enum sock_flushed f = sock_flush_load(c, &h->load);
    stage_end(r, h);
    return f;
}

void half_await_cache(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    struct outq_item *i = outq_head_file(&c->out);
    struct warm_range range = { .fd = i->file->fd, .offset = i->offset };
    range.n = i->left < SOCK_PIECE ? i->left : SOCK_PIECE;
    h->warmed = true;           /* whatever comes of it, do not ask twice */
    if (r->warm == NULL || warm_ask(r->warm, c, &range) == -1)
        return;
    h->warming = true;
    c->in_flight++;
    r->env->count.cold_reads++;
}

/* A helper loads the next piece; where none can be had the loop waits. */
void half_await_load(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    h->load.stage = stage_get(&r->stages);
    if (h->load.stage == NULL) {
        conn_broke(c);
        return;
    }
    sock_plan_load(c, &h->load);
    struct warm_range range = { .fd = outq_head_file(&c->out)->file->fd, .offset = h->load.offset, .n = h->load.n,
                                .to = h->load.stage };
    if (r->warm != NULL && warm_ask(r->warm, c, &range) == 0) {
        h->warming = h->loading = true;
        c->in_flight++;
    } else {
        load_end(r, c, warm_load(&range));
    }
}

void half_loaded(struct readiness *r, struct conn *c, ssize_t result)
{
    half_of(c)->warming = false;
    c->in_flight--;
    if (half_of(c)->loading)
        load_end(r, c, result);
}
