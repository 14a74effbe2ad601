/* SPDX-License-Identifier: BSD-2-Clause */
/* The words in which scripts for driver/completion.c are written. */
#include "fake/fake_completion.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "driver/completion.h"
#include "fake/fake_net.h"

/* Once the script has said its last word, everything comes back in the end, each time in another order. */
static void engine_step(struct fake_engine *f, int timeout_ms)
{
    struct stage *s = f->arg;
    (void)timeout_ms;
    if (s->loop.phase == LOOP_HALT)
        fake_return_ended(f, f->waits % 2 == 0);
    else
        s->script(s, s->step++);
}

struct stage *engine_stage(const struct proto *proto)
{
    struct stage *s = stage_new(proto, net_listen_unix());
    struct fake_engine *f = malloc(sizeof *f);
    fake_engine_make(f);
    f->step = engine_step;
    f->arg = s;
    s->fake = f;
    return s;
}

struct fake_engine *engine_of(struct stage *s)
{
    return s->fake;
}

void engine_play(struct stage *s, stage_script *script)
{
    struct fake_engine *f = s->fake;
    ck_assert_int_eq(stage_run(s, &driver_completion, &f->ops, script), 0);
    ck_assert_uint_eq(s->ready, 1);
    ck_assert(!f->is_open);
}

void engine_stage_end(struct stage *s)
{
    fake_engine_clear(s->fake);
    free(s->fake);
    stage_free(s);
}

void engine_play_once(const struct proto *proto, stage_script *script)
{
    struct stage *s = engine_stage(proto);
    engine_play(s, script);
    engine_stage_end(s);
}

/* --- words of scripts; clients are numbers --- */

void admit(struct stage *s, int i)
{
    s->client[i] = net_connect(s->listener.fd);
    s->server[i] = fake_accept(s->fake, s->listener.fd, false);
}

void receive(struct stage *s, int i, const char *text)
{
    fake_receive(s->fake, s->server[i], text, strlen(text), false);
}

void receive_end(struct stage *s, int i)
{
    fake_return(s->fake, fake_op_find(s->fake, OP_RECV, s->server[i]), 0);
}

void spoil(struct stage *s, enum op_kind kind, int i, int error)
{
    fake_return(s->fake, fake_op_find(s->fake, kind, s->server[i]), -error);
}

void send_some(struct stage *s, int i, size_t n)
{
    fake_send(s->fake, s->server[i], n);
}

bool flies(struct stage *s, enum op_kind kind, int i)
{
    return fake_op_find(s->fake, kind, s->server[i]) != NULL;
}

void check_sent(struct stage *s, int i, const char *text)
{
    fake_check_output(s->fake, s->server[i], text);
}

void check_freed(struct stage *s, int i)
{
    net_expect_end(s->client[i]);
    ck_assert(!flies(s, OP_RECV, i) && !flies(s, OP_SEND, i));
}
