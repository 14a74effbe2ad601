/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that a driver is run with, and a script: a function that is called again and again, with a
 * number that grows, while the driver waits.  A stage that is closed must be as empty as it was. */
#ifndef TESTS_FAKE_STAGE_H
#define TESTS_FAKE_STAGE_H

#include "base/log.h"
#include "driver/driver.h"
#include "fake/fake_proto.h"

enum { STAGE_CLIENTS = 256 };

struct stage;
typedef void stage_script(struct stage *s, unsigned step);

struct stage {
    struct env           env;
    struct loop          loop;
    struct listener      listener;
    struct watch         watch;
    struct service       service;
    struct fake_settings settings;
    struct fake_seen     seen;
    stage_script        *script;
    unsigned             step;
    unsigned             ready;         /* calls of loop.ready */
    unsigned             watched;       /* calls of the watch */
    int                  watch_end;     /* bytes that are written here wake the watch */
    int                  client[STAGE_CLIENTS];
    int                  server[STAGE_CLIENTS];     /* the driver's descriptor for it */
    size_t               note;          /* the script's */
    void                *fake;          /* the poller or engine, already made */
    unsigned             descriptors;
    unsigned             log_lines;
    bool                 drained;
};

/* A stage around a listener, which it takes over. */
struct stage *stage_new(const struct proto *proto, int taken_listener);

/* Runs the driver with these ops until it ends; returns what it returned, errno kept. */
int stage_run(struct stage *s, const struct driver *driver, const void *ops, stage_script *script);

/* The script's last words.  A driver that drains closes the listener. */
void stage_halt(struct stage *s);
void stage_drain(struct stage *s, unsigned deadline_ms);

/* Closes the clients' ends and checks that nothing is left. */
void stage_free(struct stage *s);

void stage_leave(struct stage *s, int i);       /* client i closes its end */

#endif
