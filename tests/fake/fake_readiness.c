/* SPDX-License-Identifier: BSD-2-Clause */
/* The words in which scripts for driver/readiness.c are written. */
#include "fake/fake_readiness.h"

#include <check.h>
#include <stdlib.h>

#include "driver/readiness.h"
#include "fake/fake_net.h"

static void poller_step(struct fake_poller *f, int timeout_ms)
{
    struct stage *s = f->arg;
    (void)timeout_ms;
    s->script(s, s->step++);
}

struct stage *poller_stage(const struct proto *proto, int kind, int taken_listener)
{
    struct stage *s = stage_new(proto, taken_listener);
    struct fake_poller *f = malloc(sizeof *f);
    fake_poller_make(f, kind != LEVEL, kind != EDGE_LONG);
    f->step = poller_step;
    f->arg = s;
    s->fake = f;
    return s;
}

/* Runs a script to its end, which must be a good one. */
void poller_play(struct stage *s, stage_script *script)
{
    struct fake_poller *f = s->fake;
    ck_assert_int_eq(stage_run(s, &driver_readiness, &f->ops, script), 0);
    ck_assert_uint_eq(s->ready, 1);
    ck_assert_uint_eq(f->conn_adds, f->conn_removes);
    ck_assert(!f->is_open);
}

void poller_stage_end(struct stage *s)
{
    free(s->fake);
    stage_free(s);
}

void poller_play_once(const struct proto *proto, int kind, stage_script *script)
{
    struct stage *s = poller_stage(proto, kind, net_listen_unix());
    poller_play(s, script);
    poller_stage_end(s);
}

/* --- words of scripts --- */

struct fake_poller *poller_of(struct stage *s)
{
    return s->fake;
}

/* Client i connects, and the driver is told. */
void join(struct stage *s, int i)
{
    s->client[i] = net_connect(s->listener.fd);
    fake_hint(s->fake, s->listener.fd, CAN_READ);
}

/* In the step after join: which descriptor did it get? */
void joined(struct stage *s, int i)
{
    s->server[i] = poller_of(s)->last_added;
    ck_assert(poller_of(s)->entries[s->server[i]].added);
}

void hint(struct stage *s, int i, unsigned can)
{
    fake_hint(s->fake, s->server[i], can);
}

void check_gone(struct stage *s, int i)
{
    ck_assert(!poller_of(s)->entries[s->server[i]].added);
}

void check_armed(struct stage *s, int fd, unsigned can)
{
    if (!poller_of(s)->ops.edge)
        ck_assert_uint_eq(poller_of(s)->entries[fd].armed, can);
}
