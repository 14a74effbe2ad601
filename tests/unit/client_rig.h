/* SPDX-License-Identifier: BSD-2-Clause */
/* A seat without a loop: its connection on a wire, a sheet that is looked at. */
#ifndef TESTS_CLIENT_RIG_H
#define TESTS_CLIENT_RIG_H

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proto/client.h"
#include "wire.h"

struct rig {
    struct client_times    times;
    struct client_plan     plan;
    struct client_sheet   *sheet;
    struct client_course   course;
    struct client_settings settings;
    struct proto           proto;
    struct service         service;
    struct heap            due;
    struct wire            w;
};

/* A closed loop that has begun long ago; what a test changes it changes before rig_open. */
static inline void rig_init(struct rig *r, enum client_kind kind, const char *request)
{
    *r = (struct rig){ .times = { .start_us = 1, .measure_us = 1, .end_us = UINT64_MAX },
                       .course = { .left = UINT64_MAX } };
    r->sheet = calloc(1, sizeof *r->sheet);
    r->plan = (struct client_plan){ .kind = kind, .request = span_of(request), .request_size = strlen(request), .depth = 1,
                                    .timeout_ms = 1000 };
    wire_init(&r->w);
}

static inline void rig_open(struct rig *r)
{
    r->plan.times = &r->times;
    r->settings.plan = &r->plan;
    r->settings.sheet = r->sheet;
    r->settings.course = &r->course;
    r->proto = client_proto(&r->plan);
    r->service = (struct service){ .name = "load", .proto = &r->proto, .settings = &r->settings,
                                   .message_max = 128 * 1024, .send_timeout_ms = 1000 };
    wire_open(&r->w, &r->service);
}

static inline void rig_free(struct rig *r)
{
    wire_free(&r->w);
    ck_assert_uint_eq(r->due.count, 0);
    ck_assert_uint_eq(r->sheet->waiting, 0);
    heap_free(&r->due);
    free(r->sheet);
}

#endif
