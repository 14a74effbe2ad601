/* SPDX-License-Identifier: BSD-2-Clause */
/* The words in which scripts for driver/completion.c are written: a stage with a scripted engine, clients
 * by number, what comes back for them.  A client's socket is real, so that a test sees what the driver
 * does to it (shut down, close); its bytes are not. */
#ifndef TESTS_FAKE_COMPLETION_H
#define TESTS_FAKE_COMPLETION_H

#include "fake/fake_engine.h"
#include "fake/fake_stage.h"

static const size_t ALL = (size_t)1 << 30;      /* bytes: whatever is there */

struct stage *engine_stage(const struct proto *proto);
void engine_stage_end(struct stage *s);
struct fake_engine *engine_of(struct stage *s);

/* Runs a script.  Once it has halted, everything comes back in the end, each time in another order. */
void engine_play(struct stage *s, stage_script *script);
void engine_play_once(const struct proto *proto, stage_script *script);

/* Client i connects and is accepted; its receive brings bytes, its receive brings the end, an operation of
 * this kind fails, its send takes n bytes. */
void admit(struct stage *s, int i);
void receive(struct stage *s, int i, const char *text);
void receive_end(struct stage *s, int i);
void spoil(struct stage *s, enum op_kind kind, int i, int error);
void send_some(struct stage *s, int i, size_t n);

/* Is an operation of this kind in flight? */
bool flies(struct stage *s, enum op_kind kind, int i);

void check_sent(struct stage *s, int i, const char *text);
void check_freed(struct stage *s, int i);

#endif
