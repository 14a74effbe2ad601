/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that a driver is run with. */
#include "fake/fake_stage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/file.h"
#include "fake/fake_net.h"

static void stage_ready(void *arg)
{
    struct stage *s = arg;
    s->ready++;
}

static void stage_watched(void *arg)
{
    struct stage *s = arg;
    char bytes[16];
    s->watched++;
    while (read(s->watch.fd, bytes, sizeof bytes) > 0)
        ;
}

static void stage_logged(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct stage *s = arg;
    (void)level, (void)about, (void)line;
    s->log_lines++;
}

struct stage *stage_new(const struct proto *proto, int taken_listener)
{
    struct stage *s = calloc(1, sizeof *s);
    int watch[2];
    signal(SIGPIPE, SIG_IGN);                   /* as the daemon does: sendfile(2) knows no MSG_NOSIGNAL */
    s->descriptors = net_descriptors() - 1;
    log_open(stage_logged, s, LOG_DEBUG);
    ck_assert_int_eq(pipe2(watch, O_CLOEXEC | O_NONBLOCK), 0);
    s->watch = (struct watch){ .fd = watch[0], .readable = stage_watched, .arg = s };
    s->watch_end = watch[1];
    s->settings.seen = &s->seen;
    s->service = (struct service){ .name = "test", .proto = proto, .settings = &s->settings,
                                   .message_max = 1000 };
    s->listener = (struct listener){ .fd = taken_listener, .service = &s->service, .text = "test" };
    env_init(&s->env, NULL);
    s->env.about.worker = "main.0";
    s->loop = (struct loop){ .env = &s->env, .listeners = &s->listener, .listener_count = 1,
                             .watches = &s->watch, .watch_count = 1, .connections_max = 200,
                             .ready = stage_ready, .arg = s };
    for (int i = 0; i < STAGE_CLIENTS; i++)
        s->client[i] = s->server[i] = -1;
    return s;
}

int stage_run(struct stage *s, const struct driver *driver, const void *ops, stage_script *script)
{
    s->script = script;
    errno = 0;
    return driver->run(&s->loop, ops);
}

void stage_halt(struct stage *s)
{
    s->loop.phase = LOOP_HALT;
}

void stage_drain(struct stage *s, unsigned deadline_ms)
{
    s->loop.drain_deadline_ms = clock_monotonic_ms() + deadline_ms;
    s->env.draining = s->drained = true;
    s->loop.phase = LOOP_DRAIN;
}

void stage_leave(struct stage *s, int i)
{
    close(s->client[i]);
    s->client[i] = -1;
}

void stage_free(struct stage *s)
{
    for (int i = 0; i < STAGE_CLIENTS; i++)
        if (s->client[i] != -1)
            close(s->client[i]);
    if (!s->drained)
        close(s->listener.fd);
    close(s->watch.fd);
    close(s->watch_end);
    file_unref(s->settings.file);
    env_free(&s->env);
    const struct metric_counts *n = &s->env.count;
    ck_assert_uint_eq(s->seen.opened + n->taken_over, s->seen.closed);
    ck_assert_uint_eq(n->accepted + n->taken_over, n->closed + n->passed_on);
    ck_assert_uint_eq(net_descriptors(), s->descriptors);
    free(s);
}
