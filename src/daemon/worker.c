/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker: composes services, listeners and the loop, lets the model's driver run it, and hears the master
 * and signals in between.  Owns everything that is made after fork.  Does not know how a driver works. */
#include "daemon/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/access.h"
#include "core/access_line.h"
#include "core/env.h"
#include "core/errand.h"
#include "core/file.h"
#include "core/parcel.h"
#include "core/rate.h"
#include "core/tally.h"
#include "core/verified.h"
#include "daemon/channel.h"
#include "daemon/crash.h"
#include "daemon/heir_list.h"
#include "daemon/inbox.h"
#include "daemon/rights.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "daemon/survey.h"
#include "daemon/title.h"
#include "driver/driver.h"

enum {
    WATCH_CHANNEL, WATCH_SIGNALS, WATCH_BELL, WATCH_INBOX, WATCHES
};

enum {
    INBOX_BUDGET = 64,          /* connections taken over in one turn */
    INBOX_PAUSE_MS = 10,        /* while there is no descriptor for them, or something else is short */
    ORPHAN_GRACE_S = 3          /* after timeouts.drain: for the end itself */
};

struct worker {
    const struct worker_start *start;
    struct env          env;
    struct service_set *services;
    struct listener    *listeners;
    unsigned            listener_count;
    struct watch        watches[WATCHES];
    struct loop         loop;
    struct ring         rings[LOGGER_KINDS];
    int                 channel, signals;
    struct rights_spares spares;        /* for what the master passes, and to leave connections to the next daemon */
    struct heir_list   *heirs;
    char               *parcel;         /* PARCEL_MAX bytes */
    struct sandbox      sandbox;
    bool                failed;         /* when its loop was ready */
    bool                orphaned;
    char                who[96];        /* for what is said of a crash */
};

/* Says what failed, from errno. */
static int worker_fail(const struct worker *w, const char *what)
{
    return log_errno(LOG_ERROR, &w->env.about, "worker %s (pid %d): cannot %s", w->start->name,
                     (int)getpid(), what);
}

/* From now on no connection is accepted, and those that are there have `timeouts.drain` to end well.  `passed`: others
 * accept on the listeners. */
static void worker_drain(struct worker *w, const char *why, bool passed)
{
    if (w->loop.phase != LOOP_RUN)
        return;
    log_write(LOG_INFO, &w->env.about, "worker %s (pid %d): %s: draining", w->start->name,
              (int)getpid(), why);
    w->loop.drain_deadline_ms = clock_monotonic_ms() + w->start->conf->timeouts.drain_ms;
    if (passed)
        heir_list_be_patient(w->heirs);
    w->env.draining = true;
    w->loop.passed = passed;
    w->loop.phase = LOOP_DRAIN;
}

/* The daemon is going: nobody serves any more.  `kept`: what can be passed waits for the next one, if somebody keeps it. */
static void worker_drain_last(struct worker *w, const char *why, bool kept)
{
    bool again = w->loop.phase == LOOP_DRAIN;

    while (rights_spend(&w->spares))    /* benches need descriptors */
        ;
    if (!kept || w->start->lobby == -1)
        heir_list_end(w->heirs);
    else if (heir_list_keep(w->heirs, w->start->lobby) == -1 && errno != EPIPE)
        log_errno(LOG_WARN, &w->env.about, "worker %s (pid %d): cannot leave connections for the next daemon: they end",
                  w->start->name, (int)getpid());
    worker_drain(w, why, false);
    w->loop.passed = false;
    w->loop.review |= again;
}

/* At an end of file there is something to read for ever, and nothing in it: UINT64_MAX. */
static void worker_hear_later(struct worker *w, unsigned which, uint64_t again_ms)
{
    w->watches[which].again_ms = again_ms;
    w->loop.paused = true;
}

/* ---- connections of other workers ---- */

static void worker_adopt(struct worker *w, struct span bytes, int fd)
{
    struct parcel p;
    const struct service *s = NULL;

    if (parcel_open(&p, bytes) && rights_is_stream(fd))
        s = service_find(w->services, p.service, p.proto);
    if (s != NULL) {
        w->loop.adopt(w->loop.self, s, fd, &p);
        return;
    }
    w->env.count.refused++;
    log_write(LOG_ERROR, &w->env.about, "worker %s (pid %d): was passed a connection that it cannot go on with",
              w->start->name, (int)getpid());
    close(fd);
}

/* Without a descriptor or a thread for it, a connection stays where it is for a while.  The master holds the other end, so
 * that the end comes with his. */
static void worker_hear_inbox(void *arg)
{
    struct worker *w = arg;
    struct span parcel;
    int fd, got = 1;

    for (int i = 0; i < INBOX_BUDGET && got != 0; i++) {
        if (loop_holds(&w->loop)) {
            worker_hear_later(w, WATCH_INBOX, w->env.now_ms + INBOX_PAUSE_MS);
            return;
        }
        got = inbox_receive(w->start->inbox, w->parcel, &parcel, &fd);
        if (got == 1)
            worker_adopt(w, parcel, fd);
        if (got == -1 && errno != EBADMSG) {
            worker_hear_later(w, WATCH_INBOX, errno == EPIPE && w->orphaned ? UINT64_MAX : w->env.now_ms + INBOX_PAUSE_MS);
            return;
        }
    }
    w->loop.unread |= got != 0;
}

/* ---- the master's word ---- */

/* A part of shared memory is filled with the connections, which takes a microsecond for every few of them. */
static void worker_survey(struct worker *w, int fd, unsigned part)
{
    struct survey_part p;
    uint32_t id;

    if (w->loop.survey == NULL || survey_open(&p, fd, part) == -1) {
        close(fd);
        return;
    }
    close(fd);
    w->loop.survey(w->loop.surveyed, &p.census);
    id = survey_write(&p);
    (void)channel_send(w->channel, &(struct channel_message){ .kind = CHANNEL_SURVEYED, .value = id, .fd = -1 });
}

/* A socket that goes away, of an address that is served here. */
static void worker_sweep(struct worker *w, int fd, unsigned address)
{
    for (unsigned i = 0; i < w->listener_count && w->loop.sweep != NULL && address < w->start->listens->count; i++) {
        if (w->listeners[i].gone != &w->start->listens->gone[address])
            continue;
        w->loop.sweep(w->loop.self, &w->listeners[i], fd);
        break;
    }
    close(fd);
}

static void worker_hurry(struct worker *w)
{
    worker_drain(w, "told by the master", true);
    w->loop.drain_deadline_ms = clock_monotonic_ms();
}

/* What is written can be spoilt by other workers, what is said cannot. */
static void worker_answer(struct worker *w, bool aloud)
{
    struct metric_slot *s = w->start->slot;

    __atomic_store_n(&s->answered, __atomic_load_n(&s->asked, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    if (aloud)
        (void)channel_send(w->channel, &(struct channel_message){ .kind = CHANNEL_ALIVE, .fd = -1 });
}

static void worker_obey(struct worker *w, const struct channel_message *m)
{
    switch (m->kind) {
    case CHANNEL_DRAIN:
        if (m->value != CHANNEL_DRAIN_SERVED) {
            worker_drain_last(w, "told by the master", m->value == CHANNEL_DRAIN_KEPT);
            break;
        }
        w->loop.review |= w->loop.phase == LOOP_DRAIN;      /* again: there are other heirs */
        worker_drain(w, "told by the master", true);
        break;
    case CHANNEL_HURRY:
        worker_hurry(w);
        break;
    case CHANNEL_RECLAIM:
        w->loop.reclaim = true;
        break;
    case CHANNEL_SWEEP:
        worker_sweep(w, m->fd, m->value);
        break;
    case CHANNEL_LEVEL:
        log_set_level((enum log_level)m->value);
        break;
    case CHANNEL_SURVEY:
        worker_survey(w, m->fd, m->value);
        break;
    case CHANNEL_LOG:
        logger_adopt(w->start->logger, m->fd);
        break;
    case CHANNEL_ASK:
        worker_answer(w, m->value != 0);
        break;
    case CHANNEL_HEIRS:
        heir_list_begin(w->heirs, m->value);
        break;
    case CHANNEL_SERVES:
        heir_list_serves(w->heirs, m->value);
        break;
    case CHANNEL_HEIR:
        heir_list_add(w->heirs, m->value, m->fd);
        break;
    default:                    /* is what workers say, or the logger hears */
        if (m->fd != -1)
            close(m->fd);
        break;
    }
}

/* Nobody is left to end this process when it hangs: that is the kernel's affair from now on. */
static void worker_orphaned(struct worker *w)
{
    if (w->orphaned)
        return;
    w->orphaned = true;
    alarm(w->start->conf->timeouts.drain_ms / 1000 + ORPHAN_GRACE_S);
    worker_drain_last(w, "the master is gone", true);
}

/* What was passed to it and not taken over is for the next daemon too; if there is a master he looks again. */
static void worker_leave_mail(struct worker *w)
{
    if (w->heirs == NULL || !heir_list_keeps(w->heirs))
        return;
    inbox_shut(w->start->inbox);
    (void)heir_list_fill(w->heirs, w->start->inbox);
}

/* Where there is no place for a descriptor that comes, a spare one makes place; when there is none left either, what came is
 * lost. */
static int worker_next_word(struct worker *w, struct channel_message *m)
{
    int got, error;

    while ((got = channel_peek(w->channel, m)) == -1 && errno == EMFILE && rights_spend(&w->spares))
        ;
    error = errno;
    if (got == 1 || (got == -1 && (error == EMFILE || error == EBADMSG)))
        channel_drop(w->channel);
    errno = error;
    return got;
}

/* Heirs are not missed where there is one. */
static void worker_hear_master(void *arg)
{
    struct worker *w = arg;
    struct channel_message m;
    unsigned lost = 0;
    int got;

    while ((got = worker_next_word(w, &m)) == 1 || (got == -1 && (errno == EBADMSG || errno == EMFILE))) {
        if (got == 1)
            worker_obey(w, &m);
        else
            lost += errno != EMFILE || m.kind != CHANNEL_HEIR || !heir_list_has_any(w->heirs);
    }
    if (lost > 0)
        log_write(LOG_ERROR, &w->env.about, "worker %s (pid %d): messages of the master are lost (no descriptor left for "
                  "them?): %u", w->start->name, (int)getpid(), lost);
    if (got == -1) {
        worker_hear_later(w, WATCH_CHANNEL, UINT64_MAX);
        worker_orphaned(w);
    }
    if (!heir_list_keeps(w->heirs))
        rights_save(&w->spares, w->channel);
}

static void worker_hear_signal(void *arg)
{
    struct worker *w = arg;

    while (signals_next(w->signals) != 0)
        worker_drain(w, "SIGTERM", false);      /* no other is heard */
}

/* The drivers look for errands that are back whenever they have been woken. */
static void worker_hear_bell(void *arg)
{
    (void)arg;
}

/* The first worker of a pool says it for all, once. */
static void worker_tell_sandbox(const struct worker *w)
{
    const struct worker_start *s = w->start;
    struct log_about about = { .event = "sandbox", .model = s->pool->model->name };
    uint32_t word = sandbox_word(&w->sandbox);
    char text[SANDBOX_TEXT_SIZE];
    bool missing = w->sandbox.missing[0] != '\0';

    __atomic_store_n(&s->slot->sandbox, word, __ATOMIC_RELAXED);
    if (s->index == s->pool->first && !s->again)
        log_write(missing ? LOG_NOTICE : LOG_INFO, &about, "sandbox: pool %s: %s%s%s", s->pool->conf->name,
                  sandbox_text(word, s->pool->model, text), missing ? "; missing: " : "", w->sandbox.missing);
}

/* The master must not hear of a worker that is less closed than it has to be. */
static void worker_say_ready(void *arg)
{
    struct worker *w = arg;
    const struct worker_start *s = w->start;

    if (sandbox_close_calls(&w->sandbox, s->pool->model) == -1) {
        worker_fail(w, "give up system calls, as sandbox = \"require\" wants it");
        w->failed = true;
        w->loop.phase = LOOP_HALT;
        return;
    }
    worker_tell_sandbox(w);
    s->logger->starting = false;
    s->logger->report = NULL;
    if (channel_send(w->channel, &(struct channel_message){ .kind = CHANNEL_READY, .fd = -1 }) == -1)
        log_errno(LOG_ERROR, &w->env.about, "worker %s (pid %d): cannot tell the master that it is ready",
                  s->name, (int)getpid());
}

static void worker_say_shut(void *arg)
{
    const struct worker *w = arg;

    (void)channel_send(w->channel, &(struct channel_message){ .kind = CHANNEL_SHUT, .fd = -1 });
}

/* SIGINT and SIGHUP come from a terminal to all processes at once: the master acts on them. */
static int worker_signals(struct worker *w)
{
    static const int ignored[] = { SIGPIPE, SIGINT, SIGHUP, SIGUSR1 };

    w->signals = signals_open();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signals_ignore(ignored[i]);
    signals_default(SIGCHLD);
    signals_hear(SIGTERM);
    signals_release(w->start->signals_before);
    return w->signals == -1 ? -1 : 0;
}

static void worker_title(const struct worker *w)
{
    char role[96];

    snprintf(role, sizeof role, "worker %s (%s)", w->start->name, w->start->pool->model->name);
    title_set(role);
}

static unsigned count_sockets(const struct listen_set *set)
{
    unsigned n = 0;

    for (unsigned i = 0; i < set->count; i++)
        n += set->v[i].socket_count;
    return n;
}

/* Those of its sockets that are this worker's. */
static void worker_listen_on(struct worker *w, const struct listen_set *set, unsigned at)
{
    const struct listen_address *a = &set->v[at];

    for (unsigned i = 0; i < a->socket_count; i++) {
        if (a->sockets[i].worker != w->start->index)
            continue;
        w->listeners[w->listener_count++] = (struct listener){ .fd = a->sockets[i].fd, .datagram = a->datagram,
                                             .service = service_at(w->services, a->service_index, a->listen_index),
                                             .text = a->text, .gone = &set->gone[at] };
    }
}

static int worker_listeners(struct worker *w)
{
    const struct listen_set *set = w->start->listens;

    w->listeners = calloc(count_sockets(set) + 1, sizeof *w->listeners);
    if (w->listeners == NULL)
        return -1;
    for (unsigned i = 0; i < set->count; i++)
        worker_listen_on(w, set, i);
    return 0;
}

static int worker_env(struct worker *w)
{
    const struct worker_start *s = w->start;
    env_init(&w->env, s->slot);
    w->env.about = (struct log_about){ .worker = s->name, .model = s->pool->model->name };
    w->env.files = file_cache_new();
    w->env.errands = errands_open();
    w->heirs = heir_list_new(s->conf);
    w->parcel = malloc(PARCEL_MAX);
    if (w->env.files == NULL || w->env.errands == NULL || w->heirs == NULL || w->parcel == NULL)
        return -1;
    w->env.heirs = heir_list_face(w->heirs);
    if (s->conf->access_target == CONF_TARGET_OFF)
        return 0;
    w->env.access = access_log_new(&w->rings[LOGGER_ACCESS], s->logger->target,
                                   &(struct access_source){ .model = w->env.about.model, .worker = s->name });
    return w->env.access == NULL ? -1 : 0;
}

/* Only who asks for passwords has something to remember. */
static int worker_verified(struct worker *w)
{
    const struct conf *c = w->start->conf;
    bool wanted = false;

    for (unsigned i = 0; i < c->service_count; i++)
        for (unsigned j = 0; j < c->services[i].route_count; j++)
            wanted |= c->services[i].routes[j].auth.user_count > 0;
    if (!wanted)
        return 0;
    w->env.verified = verified_new();
    return w->env.verified == NULL ? -1 : 0;
}

static uint64_t worker_secret(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == -1)
        seed = clock_monotonic_us();    /* at boot, before the kernel has any to give */
    return seed;
}

static int rate_make(struct rate **rate, unsigned per_second)
{
    if (per_second > 0)
        *rate = rate_new(per_second, worker_secret());
    return per_second > 0 && *rate == NULL ? -1 : 0;
}

/* What an address may have.  Only who answers datagrams needs a limit for them. */
static int worker_limits(struct worker *w)
{
    const struct conf_limits *limits = &w->start->conf->limits;
    bool datagrams = false;

    for (unsigned i = 0; i < w->listener_count; i++)
        datagrams |= w->listeners[i].datagram;
    if (datagrams && rate_make(&w->env.rate, limits->datagrams_per_address) == -1)
        return -1;
    if (rate_make(&w->env.request_rate, limits->requests_per_second) == -1)
        return -1;
    if (limits->connections_per_address == 0)
        return 0;
    w->env.tally = tally_new(limits->connections_per_address, w->start->connections_max, worker_secret());
    return w->env.tally == NULL ? -1 : 0;
}

static void worker_loop(struct worker *w)
{
    rights_save(&w->spares, w->channel);
    w->watches[WATCH_CHANNEL] = (struct watch){ .fd = w->channel, .readable = worker_hear_master, .arg = w };
    w->watches[WATCH_SIGNALS] = (struct watch){ .fd = w->signals, .readable = worker_hear_signal, .arg = w };
    w->watches[WATCH_BELL] = (struct watch){ .fd = errands_fd(w->env.errands), .readable = worker_hear_bell };
    w->watches[WATCH_INBOX] = (struct watch){ .fd = w->start->inbox, .readable = worker_hear_inbox, .arg = w };
    w->loop = (struct loop){ .env = &w->env,
                             .listeners = w->listeners, .listener_count = w->listener_count,
                             .watches = w->watches, .watch_count = WATCHES,
                             .connections_max = w->start->connections_max,
                             .poll_interval_us = w->start->conf->poll_interval_us,
                             .ready = worker_say_ready, .shut = worker_say_shut, .arg = w };
}

/* What it opens by name from here on lies beneath its roots. */
static int worker_close_files(struct worker *w)
{
    unsigned count = service_folders(w->services, NULL, 0);
    int *folders = calloc(count + 1, sizeof *folders), rc;

    if (folders == NULL)
        return worker_fail(w, "list its folders");
    service_folders(w->services, folders, count);
    rc = sandbox_close_files(&w->sandbox, folders, count);
    free(folders);
    return rc == 0 ? 0 : worker_fail(w, "give up files and privileges, as sandbox = \"require\" wants it");
}

/* Before it says anything. */
static int worker_logs(struct worker *w)
{
    const struct worker_start *s = w->start;

    s->logger->ring = NULL;
    if (logger_desk_enter(s->desk, (unsigned)s->ledger_slot, w->rings) == -1) {
        logger_use(s->logger);
        return worker_fail(w, "map its rings for log lines");
    }
    s->logger->ring = &w->rings[LOGGER_LOG];
    s->logger->dropped = &s->slot->total.log_dropped;
    logger_use(s->logger);
    return 0;
}

static int worker_begin(struct worker *w)
{
    if (worker_logs(w) == -1)
        return -1;
    worker_title(w);
    snprintf(w->who, sizeof w->who, "worker %s", w->start->name);
    crash_watch(w->start->logger, w->who);
    if (worker_signals(w) == -1)
        return worker_fail(w, "hear signals");
    listen_keep_only(w->start->listens, w->start->index);
    if (sandbox_begin(&w->sandbox, w->start->conf->sandbox) == -1)
        return worker_fail(w, "give up privileges, as sandbox = \"require\" wants it");
    if (priv_drop(w->start->priv) == -1)
        return worker_fail(w, "become the configured user");
    if (worker_env(w) == -1)
        return worker_fail(w, "make its caches");
    w->services = service_set_new(w->start->conf, w->start->pool->conf, w->start->notes,
                                  w->start->ledger);
    if (w->services == NULL)
        return -1;              /* every reason is in the log */
    service_count_in(w->services, w->start->ledger, w->start->ledger_slot);
    if (worker_listeners(w) == -1)
        return worker_fail(w, "hold its listeners");
    if (worker_limits(w) == -1)
        return worker_fail(w, "make its limits for addresses");
    if (worker_verified(w) == -1)
        return worker_fail(w, "remember who has proved to be whom");
    worker_loop(w);
    return worker_close_files(w);
}

/* In the reverse order: files before the cache's memory, services when nothing refers to them any more. */
static void worker_end(struct worker *w)
{
    access_log_free(w->env.access);
    file_cache_free(w->env.files);
    errands_close(w->env.errands);
    rate_free(w->env.rate);
    rate_free(w->env.request_rate);
    tally_free(w->env.tally);
    verified_free(w->env.verified);
    heir_list_free(w->heirs);
    free(w->parcel);
    env_publish(&w->env);
    env_free(&w->env);
    free(w->listeners);
    service_set_free(w->services);
}

int worker_run(const struct worker_start *start)
{
    struct worker w = { .start = start, .channel = start->channel, .signals = -1 };
    const struct model *model = start->pool->model;
    int rc = worker_begin(&w);

    if (rc == 0 && model->driver->run(&w.loop, model->ops) == -1)
        rc = log_errno(LOG_ERROR, &w.env.about, "worker %s (pid %d): cannot run the model %s", start->name,
                       (int)getpid(), model->name);
    worker_leave_mail(&w);
    worker_end(&w);
    return rc == 0 && !w.failed ? 0 : 1;
}
