/* SPDX-License-Identifier: BSD-2-Clause */
/* The words in which scripts for driver/readiness.c are written: a stage with a scripted poller, clients
 * by number, hints about them.  What holds for every poller is run with three: edge-triggered,
 * edge-triggered whose short reads prove nothing, level-triggered. */
#ifndef TESTS_FAKE_READINESS_H
#define TESTS_FAKE_READINESS_H

#include "fake/fake_poller.h"
#include "fake/fake_stage.h"

enum { EDGE, EDGE_LONG, LEVEL, POLLERS };

#define FOR_ALL_POLLERS(tcase, test) tcase_add_loop_test(tcase, test, 0, POLLERS)

struct stage *poller_stage(const struct proto *proto, int kind, int taken_listener);
void poller_stage_end(struct stage *s);
struct fake_poller *poller_of(struct stage *s);

/* Runs a script to its end, which must be a good one. */
void poller_play(struct stage *s, stage_script *script);

/* With a stage of its own, over a Unix socket. */
void poller_play_once(const struct proto *proto, int kind, stage_script *script);

/* Client i connects, and the driver is told. */
void join(struct stage *s, int i);

/* In the step after join: which descriptor did it get? */
void joined(struct stage *s, int i);

void hint(struct stage *s, int i, unsigned can);

/* The driver has let go of it. */
void check_gone(struct stage *s, int i);

/* A level-triggered poller was asked to report exactly this. */
void check_armed(struct stage *s, int fd, unsigned can);

#endif
