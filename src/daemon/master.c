/* SPDX-License-Identifier: BSD-2-Clause */
/* The master.  It has one thread and one loop that sleeps in poll(2) until a signal, a worker's word or a
 * time that it set itself.
 *
 *              all workers ready             SIGTERM, SIGINT
 *   STARTING --------------------> RUNNING --------------------> STOPPING --(all workers gone)--> end
 *       \_____________ a worker ends, SIGTERM, SIGINT ______________/
 *
 * Owns the listening sockets, the log files and the crew.  Knows no protocol and no driver. */
#include "daemon/master.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/crew.h"
#include "daemon/health.h"
#include "daemon/listen.h"
#include "daemon/machine.h"
#include "daemon/pool.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "daemon/sysd.h"
#include "daemon/title.h"

/* Workers end by themselves at `timeouts.drain`; who is still there so long after that hangs. */
enum { DRAIN_GRACE_MS = 2000 };

/* timeout(1), and some shells, send a signal to a process and to its group: that is one wish, not two. */
enum { SAME_WISH_MS = 20 };

enum master_phase {
    MASTER_STARTING,            /* not all workers have been ready yet */
    MASTER_RUNNING,             /* who dies is started again */
    MASTER_STOPPING             /* all were told to drain */
};

struct master {
    const struct master_options *options;
    enum master_phase phase;
    int               status;           /* to exit with */
    bool              served;           /* was RUNNING */
    int               signals;          /* the pipe */
    int               access_fd;        /* -1: no access log */
    struct listen_set listens;
    struct pool_set   pools;
    struct crew       crew;
    struct health     health;
    struct pollfd    *polled;           /* the pipe, then a channel for each worker */
    uint64_t          told_ms;          /* STOPPING: since when */
    uint64_t          kill_ms;          /* STOPPING: who is there then is killed */
};

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

/* ", model epoll", or of several pools "; main: 2 of 2, model epoll; trial: ..." */
static void describe_pools(const struct master *m, char *text, size_t size)
{
    size_t n = 0;

    if (m->pools.count == 1) {
        snprintf(text, size, ", model %s", m->pools.v[0].model->name);
        return;
    }
    for (unsigned i = 0; i < m->pools.count && n < size; i++) {
        const struct pool *p = &m->pools.v[i];

        n += (size_t)snprintf(text + n, size - n, "; %s: %u of %u, model %s", p->conf->name,
                              crew_ready_in(&m->crew, p), p->workers, p->model->name);
    }
}

/* What `systemctl status` shows. */
static void tell_systemd(const struct master *m, const char *state)
{
    const struct crew *c = &m->crew;
    char pools[1024], text[1280];       /* a longer list of pools is cut */

    describe_pools(m, pools, sizeof pools);
    snprintf(text, sizeof text, "%s%sSTATUS=%s: %u of %u worker%s ready%s", state,
             *state != '\0' ? "\n" : "", m->phase == MASTER_STOPPING ? "Stopping" : "Serving", crew_ready(c),
             c->count, plural(c->count), pools);
    sysd_notify(text);
}

static void announce(const struct master *m)
{
    const char *model = m->pools.count == 1 ? m->pools.v[0].model->name : NULL;

    for (unsigned i = 0; i < m->listens.count; i++) {
        const struct listen_address *a = &m->listens.v[i];
        struct log_about about = { .event = "listening", .service = a->service, .model = model };

        log_write(LOG_NOTICE, &about, "listening: %s %s (%s)", a->service, a->text, a->protocol);
    }
    for (unsigned i = 0; i < m->pools.count; i++) {
        const struct pool *p = &m->pools.v[i];
        struct log_about about = { .event = "ready", .model = p->model->name };

        log_write(LOG_NOTICE, &about, "ready: pool %s, model %s, %u worker%s", p->conf->name, p->model->name,
                  p->workers, plural(p->workers));
    }
}

/* All that live are told to go.  From here on new connections are refused as soon as the workers have
 * closed their sockets too. */
static void stop_begin(struct master *m)
{
    m->phase = MASTER_STOPPING;
    m->told_ms = clock_monotonic_ms();
    m->kill_ms = m->told_ms + m->options->conf->timeouts.drain_ms + DRAIN_GRACE_MS;
    tell_systemd(m, "STOPPING=1");
    listen_close(&m->listens, true);
    crew_tell(&m->crew, &(struct channel_message){ .kind = CHANNEL_DRAIN, .fd = -1 });
}

static void start_failed(struct master *m, const char *why)
{
    log_write(LOG_ERROR, &(struct log_about){ .event = "start-failed" }, "master: the start failed: %s", why);
    m->status = 1;
    stop_begin(m);
}

static void stop_by_force(struct master *m, const char *why)
{
    log_write(LOG_WARN, &(struct log_about){ .event = "killed" }, "master: %s: killing %u worker%s", why,
              crew_alive(&m->crew), plural(crew_alive(&m->crew)));
    crew_kill(&m->crew);
    m->kill_ms = UINT64_MAX;
}

static int master_reopen_access(struct master *m)
{
    const char *path = m->options->conf->access_file;
    int fd;

    if (m->access_fd == -1)
        return 0;
    fd = logger_file(path);
    if (fd == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot open the access log %s again", path);
    logger_replace(m->access_fd, fd);
    crew_tell(&m->crew, &(struct channel_message){ .kind = CHANNEL_ACCESS, .fd = m->access_fd });
    return 0;
}

static int master_reopen_log(struct master *m)
{
    struct logger *l = m->options->logger;

    if (l->path == NULL)
        return 0;
    if (logger_reopen(l) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot open the log %s again", l->path);
    crew_tell(&m->crew, &(struct channel_message){ .kind = CHANNEL_LOG, .fd = l->fd });
    return 0;
}

static void master_reopen(struct master *m)
{
    bool log = master_reopen_log(m) == 0;
    bool access = master_reopen_access(m) == 0;

    if (log && access)
        log_write(LOG_NOTICE, &(struct log_about){ .event = "reopened" },
                  "master: SIGUSR1: log files are open again");
}

static void master_told_to_stop(struct master *m, const char *name)
{
    unsigned alive = crew_alive(&m->crew);

    if (m->phase == MASTER_STOPPING) {
        if (clock_monotonic_ms() - m->told_ms < SAME_WISH_MS)
            return;
        m->status = 1;          /* what was in flight is lost */
        stop_by_force(m, name);
        return;
    }
    log_write(LOG_NOTICE, &(struct log_about){ .event = "stopping" },
              "master: %s: stopping, %u worker%s may take %.1f s", name, alive, plural(alive),
              m->options->conf->timeouts.drain_ms / 1000.0);
    stop_begin(m);
}

static void master_signal(struct master *m, int number)
{
    switch (number) {
    case SIGTERM:
        master_told_to_stop(m, "SIGTERM");
        break;
    case SIGINT:
        master_told_to_stop(m, "SIGINT");
        break;
    case SIGHUP:
        log_write(LOG_WARN, NULL,
                  "master: SIGHUP: this version cannot reload; a new configuration needs a restart");
        break;
    case SIGUSR1:
        master_reopen(m);
        break;
    default:                    /* SIGCHLD: the loop looks after its workers in each turn */
        break;
    }
}

static void master_start_due(struct master *m, uint64_t now_ms)
{
    struct crew *c = &m->crew;

    for (unsigned i = 0; i < c->count && m->phase != MASTER_STOPPING; i++) {
        if (c->v[i].pid != 0 || c->v[i].next_start_ms > now_ms)
            continue;
        if (crew_start(c, i, now_ms) == -1 && m->phase == MASTER_STARTING)
            start_failed(m, "there is no process for a worker");
    }
}

/* A worker that ends before it ever was ready would do so again: the start fails. */
static void master_bury(struct master *m, uint64_t now_ms)
{
    struct crew *c = &m->crew;
    bool any = false;

    for (unsigned i = 0; i < c->count; i++) {
        bool dead = crew_bury(c, i, now_ms, m->phase == MASTER_RUNNING);

        any |= dead;
        if (dead && m->phase == MASTER_STARTING)
            start_failed(m, "a worker ended before it was ready");
    }
    if (any)
        tell_systemd(m, "");
}

/* In each pool the first worker goes ahead, and before it those of the earlier pools: what fails in one would
 * fail in those behind it, and is said once. */
static bool master_may_start(const struct master *m, unsigned at)
{
    const struct pool *p = m->crew.v[at].pool;

    if (at != p->first)
        return m->crew.v[p->first].ready;
    return p == m->pools.v || m->crew.v[p[-1].first].ready;
}

static void master_progress(struct master *m, unsigned ready_before, uint64_t now_ms)
{
    struct crew *c = &m->crew;
    unsigned ready = crew_ready(c);

    for (unsigned i = 0; i < c->count && m->phase == MASTER_STARTING; i++) {
        if (c->v[i].pid == 0 && master_may_start(m, i))
            c->v[i].next_start_ms = now_ms;
    }
    if (m->phase == MASTER_STARTING && ready == c->count) {
        m->phase = MASTER_RUNNING;
        m->served = true;
        announce(m);
        m->options->logger->starting = false;
        tell_systemd(m, "READY=1");
    } else if (m->phase == MASTER_RUNNING && ready > ready_before) {
        tell_systemd(m, "");
    }
}

/* How long there is nothing to do, in the form that poll(2) wants. */
static int master_idle_ms(const struct master *m)
{
    uint64_t now_ms = clock_monotonic_ms(), due_ms;

    due_ms = m->phase == MASTER_STOPPING ? m->kill_ms : crew_next_start_ms(&m->crew);
    if (health_due(&m->health, &m->crew) < due_ms)
        due_ms = health_due(&m->health, &m->crew);
    if (due_ms == UINT64_MAX)
        return -1;
    if (due_ms <= now_ms)
        return 0;
    return due_ms - now_ms < INT_MAX ? (int)(due_ms - now_ms) : INT_MAX;
}

static void master_wait(struct master *m)
{
    const struct crew *c = &m->crew;

    m->polled[0] = (struct pollfd){ .fd = m->signals, .events = POLLIN };
    for (unsigned i = 0; i < c->count; i++)
        m->polled[i + 1] = (struct pollfd){ .fd = c->v[i].channel, .events = POLLIN };
    poll(m->polled, c->count + 1, master_idle_ms(m));   /* whatever it says, everything is looked at */
}

static void master_turn(struct master *m)
{
    unsigned ready_before = crew_ready(&m->crew);
    uint64_t now_ms;
    int number;

    master_wait(m);
    while ((number = signals_next(m->signals)) != 0)
        master_signal(m, number);
    now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < m->crew.count; i++)
        crew_hear(&m->crew, i);
    master_bury(m, now_ms);
    master_progress(m, ready_before, now_ms);
    health_turn(&m->health, &m->crew, now_ms, m->phase != MASTER_STOPPING);
    master_start_due(m, now_ms);
    if (m->phase == MASTER_STOPPING && now_ms >= m->kill_ms && crew_alive(&m->crew) > 0)
        stop_by_force(m, "timeouts.drain is over");
}

static void say_totals(const struct master *m)
{
    struct metric_slot sum;

    metric_sum(m->crew.metrics, m->crew.count, &sum);
    log_write(LOG_NOTICE, &(struct log_about){ .event = "stopped" },
              "stopped: %" PRIu64 " connections, %" PRIu64 " requests", sum.total.accepted,
              sum.total.requests);
}

/* The limit of connections that the descriptors allow, in the worker that has the least room. */
static unsigned fit_connections(const struct master *m, unsigned long descriptors)
{
    unsigned wanted = m->options->conf->limits.connections;
    unsigned fit = machine_fit_connections(wanted, descriptors, listen_most(&m->listens));

    if (fit < wanted)
        log_write(LOG_WARN, NULL,
                  "master: limits.connections: %u for each worker instead of %u, since this process may "
                  "open only %lu descriptors (RLIMIT_NOFILE)", fit, wanted, descriptors);
    return fit;
}

static void say_who(const struct priv *p)
{
    if (p->drop && p->uid == 0)
        log_write(LOG_WARN, NULL, "master: workers stay root, as the setting user wants");
    else if (p->drop)
        log_write(p->chosen ? LOG_INFO : LOG_NOTICE, NULL, "master: workers become user %s, group %s%s",
                  p->user, p->group, p->chosen ? "" : " (user is not set)");
}

static void master_signals(struct master *m)
{
    static const int heard[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

    m->signals = signals_open();
    for (size_t i = 0; m->signals != -1 && i < sizeof heard / sizeof *heard; i++)
        signals_hear(heard[i]);
    signals_ignore(SIGPIPE);
}

static int master_open_access(struct master *m)
{
    const struct conf *c = m->options->conf;
    char place[CONF_PLACE_SIZE];

    if (c->access_target != CONF_TARGET_FILE)
        return 0;
    m->access_fd = logger_file(c->access_file);
    if (m->access_fd != -1)
        return 0;
    return log_errno(LOG_ERROR, NULL, "%saccess_log.target: cannot open %s", conf_place_text(&c->access_place, place),
                     c->access_file);
}

/* Everything that can fail without a worker, before the first is forked. */
static int master_begin(struct master *m)
{
    const struct master_options *o = m->options;
    unsigned long descriptors;
    int opened;

    title_set("master");
    master_signals(m);
    if (m->signals == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot hear signals");
        return -1;
    }
    descriptors = machine_raise_descriptors();
    opened = master_open_access(m);
    if (pool_set_init(&m->pools, o->conf) == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot hold the pools");
        return -1;
    }
    if (listen_open(&m->listens, o->conf, &m->pools) == -1 || opened == -1)
        return -1;
    m->crew.common = (struct worker_start){ .conf = o->conf, .priv = o->priv,
                                            .logger = o->logger, .listens = &m->listens,
                                            .connections_max = fit_connections(m, descriptors),
                                            .access_fd = m->access_fd, .notes = service_notes_new(o->conf) };
    m->polled = calloc(m->pools.workers + 1, sizeof *m->polled);
    if (m->polled == NULL || crew_init(&m->crew, &m->pools) == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot hold %u worker%s", m->pools.workers,
                  plural(m->pools.workers));
        return -1;
    }
    say_who(o->priv);
    sandbox_master(o->conf->sandbox);
    health_open(&m->health, o->conf->watchdog_ms, clock_monotonic_ms());
    m->crew.v[0].next_start_ms = 0;
    return 0;
}

static void master_end(struct master *m)
{
    listen_close(&m->listens, true);
    listen_free(&m->listens);
    crew_free(&m->crew);
    pool_set_free(&m->pools);
    free(m->polled);
    if (m->access_fd != -1)
        close(m->access_fd);
}

int master_run(const struct master_options *o)
{
    struct master m = { .options = o, .phase = MASTER_STARTING, .access_fd = -1 };

    if (master_begin(&m) == -1) {
        master_end(&m);
        return 1;
    }
    master_start_due(&m, clock_monotonic_ms());
    while (m.phase != MASTER_STOPPING || crew_alive(&m.crew) > 0)
        master_turn(&m);
    if (m.served)
        say_totals(&m);
    master_end(&m);
    return m.status;
}
