/* SPDX-License-Identifier: BSD-2-Clause */
/* The master.  It has one thread and one loop that sleeps in poll(2) until a signal, a worker's word, a client of the
 * control socket or a time that it set itself.
 *
 *              all workers ready             SIGTERM, SIGINT, stop
 *   STARTING --------------------> RUNNING --------------------> STOPPING --(all workers gone)--> end
 *       \_____________ a worker ends, SIGTERM, SIGINT ______________/
 *
 * While it is RUNNING one generation serves, another may be starting (reload.c), and older ones finish what they have.
 * Owns the generations.  Knows no protocol and no driver. */
#include "daemon/master.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/command.h"
#include "daemon/gauge.h"
#include "daemon/live.h"
#include "daemon/master_state.h"
#include "daemon/relief.h"
#include "daemon/signals.h"
#include "daemon/state.h"
#include "daemon/succession.h"

/* timeout(1), and some shells, send a signal to a process and to its group: that is one wish, not two. */
enum { SAME_WISH_MS = 20 };

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static struct generation *generation_of(struct list *l)
{
    return LIST_ENTRY(l, struct generation, siblings);
}

static unsigned all_alive(const struct master *m)
{
    unsigned n = 0;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        n += generation_alive(generation_of(l));
    return n;
}

/* ---- what is said of it ---- */

uint64_t master_connections(const struct master *m)
{
    struct metric_slot sum;

    ledger_sum(&m->ledger, &sum);
    return sum.active;
}

static void say_totals(const struct master *m)
{
    struct metric_slot sum;

    ledger_sum(&m->ledger, &sum);
    log_write(LOG_NOTICE, &(struct log_about){ .event = "stopped" },
              "stopped: %" PRIu64 " connections, %" PRIu64 " requests", sum.total.accepted,
              sum.total.requests);
}

/* ---- stopping ---- */

/* A service manager that thinks of a shorter time is told how long it may take. */
static void tell_stopping(struct master *m)
{
    uint64_t longest_ms = 0;
    char state[NOTICE_STATE_SIZE];

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        uint64_t drain_ms = generation_of(l)->conf->timeouts.drain_ms;

        longest_ms = drain_ms > longest_ms ? drain_ms : longest_ms;
    }
    snprintf(state, sizeof state, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
             (longest_ms + 2 * GENERATION_GRACE_MS + LOGGER_FINISH_MS) * 1000);  /* the second one for the end itself */
    notice_tell(m, state);
}

/* All that live are told to go.  From here on new connections are refused as soon as the workers have
 * closed their sockets too, but for those that the service manager keeps.  `again`: what can be passed waits for the next
 * daemon. */
static void stop_begin(struct master *m, bool again)
{
    bool kept = again && m->lobby.kept && bench_open(&m->lobby.bench, m->lobby.ends[1]) == 0;

    m->phase = MASTER_STOPPING;
    m->told_ms = clock_monotonic_ms();
    reload_cancel(m);
    tell_stopping(m);
    control_rollback(&m->control);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        if (m->store.count > 0)
            listen_leave_files(&generation_of(l)->listens);
        listen_close(&generation_of(l)->listens, true);
        generation_drain(generation_of(l), kept ? CHANNEL_DRAIN_KEPT : CHANNEL_DRAIN_ALONE, m->told_ms);
    }
}

static void start_failed(struct master *m, const char *why)
{
    log_write(LOG_ERROR, &(struct log_about){ .event = "start-failed" }, "master: the start failed: %s", why);
    m->status = 1;
    stop_begin(m, false);
}

static void stop_by_force(struct master *m, const char *why)
{
    unsigned alive = all_alive(m);

    log_write(LOG_WARN, &(struct log_about){ .event = "killed" }, "master: %s: killing %u worker%s", why, alive,
              plural(alive));
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        generation_kill(generation_of(l));
}

void master_stop(struct master *m, const char *who, bool again)
{
    unsigned alive = all_alive(m);

    if (m->phase == MASTER_STOPPING) {
        if (clock_monotonic_ms() - m->told_ms < SAME_WISH_MS)
            return;
        m->status = 1;          /* what was in flight is lost */
        stop_by_force(m, who);
        return;
    }
    log_write(LOG_NOTICE, &(struct log_about){ .event = "stopping" },
              "master: %s: stopping, %u worker%s may take %.1f s", who, alive, plural(alive),
              m->serving->conf->timeouts.drain_ms / 1000.0);
    stop_begin(m, again);
}

/* ---- what it is told ---- */

bool master_replace(struct master *m, const char *worker, char *why, size_t why_size)
{
    struct generation *g = m->serving;
    unsigned at = crew_find(&g->crew, worker);

    if (at == g->crew.count) {
        snprintf(why, why_size, "there is no worker \"%.60s\"", worker);
        return false;
    }
    if (m->phase != MASTER_RUNNING || !g->crew.v[at].ready) {
        snprintf(why, why_size, "worker %s is not ready: there is nothing to drain", worker);
        return false;
    }
    if (crew_retire(&g->crew, at, &g->leaving) == -1) {
        snprintf(why, why_size, "%s", strerror(errno));
        return false;
    }
    log_write(LOG_NOTICE, &(struct log_about){ .event = "replaced", .worker = worker },
              "worker %s (pid %d): is to be replaced", worker, (int)g->leaving.v[g->leaving.count - 1].pid);
    g->crew.v[at].next_start_ms = 0;
    return true;
}

static void master_signal(struct master *m, int number)
{
    switch (number) {
    case SIGTERM:
        master_stop(m, "SIGTERM", true);
        break;
    case SIGINT:
        master_stop(m, "SIGINT", false);
        break;
    case SIGHUP:
        log_write(LOG_NOTICE, &(struct log_about){ .event = "reloading" },
                  "master: SIGHUP: reading the configuration again");
        m->reload_wanted = true;
        break;
    case SIGUSR1:
        master_reopen(m, "SIGUSR1");
        break;
    default:                    /* SIGCHLD: the loop looks after its workers in each turn */
        break;
    }
}

/* ---- looking after the workers ---- */

static void start_due(struct master *m, struct generation *g, uint64_t now_ms)
{
    struct crew *c = &g->crew;

    for (unsigned i = 0; i < c->count && g->phase != GENERATION_LEAVING; i++) {
        if (c->v[i].pid != 0 || c->v[i].next_start_ms > now_ms || crew_start(c, i, now_ms) == 0 ||
            g->phase != GENERATION_STARTING)
            continue;
        if (m->phase == MASTER_STARTING)
            start_failed(m, "there is no process for a worker");
        else
            reload_fail(m, "there is no process for a worker");
    }
}

static void hear_crew(struct crew *c, uint64_t now_ms)
{
    for (unsigned i = 0; i < c->count; i++)
        crew_hear(c, i);
    crew_tell_owed(c, now_ms);
}

/* Errors about the fresh generation are kept in its report. */
static bool attend(struct master *m, struct generation *g, uint64_t now_ms)
{
    bool dead;

    m->serving->logger.report = g == m->fresh ? g->report : NULL;
    hear_crew(&g->crew, now_ms);
    hear_crew(&g->leaving, now_ms);
    succession_retire(g, now_ms);
    dead = succession_bury(m, g, now_ms);
    m->serving->logger.report = NULL;
    return dead;
}

/* Takes leave of generations that are empty.  The one that serves has the log, and is there to the end. */
static void free_empty(struct master *m)
{
    struct list *l = m->generations.next;

    while (l != &m->generations) {
        struct generation *g = generation_of(l);

        l = l->next;
        if (g == m->serving || g->phase != GENERATION_LEAVING || !generation_is_over(g))
            continue;
        if (!g->failed)
            log_write(LOG_INFO, &(struct log_about){ .event = "generation-ended" },
                      "master: the last worker of generation %u has ended", g->number);
        generation_free(g);
    }
}

static void kill_late(struct master *m, uint64_t now_ms)
{
    unsigned killed = 0;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        killed += crew_kill_late(&generation_of(l)->crew, now_ms) + crew_kill_late(&generation_of(l)->leaving, now_ms);
    if (killed > 0)
        log_write(LOG_WARN, &(struct log_about){ .event = "killed" },
                  "master: timeouts.drain is over: killing %u worker%s", killed, plural(killed));
}

static void look_after_workers(struct master *m, uint64_t now_ms)
{
    unsigned ready = crew_ready(&m->serving->crew);
    bool changed = false, died = false, steady = reload_is_idle(m);

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        bool dead = attend(m, generation_of(l), now_ms);

        changed |= dead;
        died |= dead && generation_of(l) == m->fresh;
    }
    if (died && m->phase == MASTER_STARTING)
        start_failed(m, "a worker ended before it was ready");
    else
        reload_step(m, died, now_ms);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        start_due(m, generation_of(l), now_ms);
    kill_late(m, now_ms);
    free_empty(m);
    if (changed || (steady && crew_ready(&m->serving->crew) > ready))
        notice_tell(m, "");
}

static void watch_health(struct master *m, uint64_t now_ms)
{
    bool judging = m->phase != MASTER_STOPPING;     /* else each has its time, and is killed after that */

    health_begin(&m->health, now_ms);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        health_look(&m->health, &generation_of(l)->crew, now_ms, judging);
        health_look(&m->health, &generation_of(l)->leaving, now_ms, judging);
    }
    health_end(&m->health, now_ms);
}

/* ---- the loop ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t due_ms(const struct master *m)
{
    uint64_t due = sooner(control_due_ms(&m->control), health_due_ms(&m->health));

    if (m->reload_wanted && reload_may_begin(m))
        return 0;
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        due = sooner(due, crew_due_ms(&generation_of(l)->crew));
        due = sooner(due, crew_due_ms(&generation_of(l)->leaving));
        due = sooner(due, health_crew_due_ms(&generation_of(l)->crew));
        due = sooner(due, health_crew_due_ms(&generation_of(l)->leaving));
    }
    if (m->fresh != NULL && m->phase == MASTER_RUNNING)
        due = sooner(due, m->reload_until_ms);
    if (m->settling != NULL)
        due = sooner(due, m->settle_until_ms);
    due = sooner(due, logger_desk_due_ms(&m->desk));
    if (m->test.pid != 0)
        due = sooner(due, m->test.until_ms);
    if (m->phase == MASTER_RUNNING)
        due = sooner(due, sooner(store_due_ms(&m->store), lobby_due_ms(&m->lobby)));
    due = sooner(sooner(due, relief_due_ms(m)), sooner(gauge_due_ms(m), m->ledger.look_ms));
    return sooner(sooner(due, notice_due_ms(m)), survey_due_ms(&m->surveys));
}

/* How long there is nothing to do, in the form that poll(2) wants. */
static int idle_ms(const struct master *m)
{
    uint64_t now_ms = clock_monotonic_ms(), due = due_ms(m);

    if (due == UINT64_MAX)
        return -1;
    if (due <= now_ms)
        return 0;
    return due - now_ms < INT_MAX ? (int)(due - now_ms) : INT_MAX;
}

size_t master_polled(const struct master *m)
{
    size_t n = 2 + CONTROL_POLLED_MAX + lobby_polled(&m->lobby);

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        n += generation_of(l)->crew.count + generation_of(l)->leaving.count;
    return n;
}

static size_t poll_crew(struct pollfd *polled, const struct crew *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        const struct outbox *owed = &c->v[i].owed;
        bool writes = !outbox_is_empty(owed) && owed->again_ms == 0;

        polled[i] = (struct pollfd){ .fd = c->v[i].channel, .events = writes ? POLLIN | POLLOUT : POLLIN };
    }
    return c->count;
}

/* Without memory for a longer list some are looked at a little later. */
static void polled_grow(struct master *m)
{
    size_t need = master_polled(m);
    struct pollfd *grown;

    if (need <= m->polled_room)
        return;
    grown = realloc(m->polled, need * sizeof *grown);
    if (grown == NULL)
        return;
    m->polled = grown;
    m->polled_room = need;
}

static void master_wait(struct master *m)
{
    size_t n = 0;
    int wait_ms = idle_ms(m);

    polled_grow(m);
    m->polled[n++] = (struct pollfd){ .fd = m->signals, .events = POLLIN };
    m->polled[n++] = (struct pollfd){ .fd = m->test.pid != 0 ? m->test.output : -1, .events = POLLIN };
    n += control_poll(&m->control, m->polled + n);
    if (m->phase == MASTER_RUNNING)
        n += lobby_poll(&m->lobby, m->polled + n, m->polled_room - n);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        const struct generation *g = generation_of(l);

        if (n + g->crew.count + g->leaving.count > m->polled_room) {
            wait_ms = wait_ms == -1 || wait_ms > 100 ? 100 : wait_ms;
            break;
        }
        n += poll_crew(m->polled + n, &g->crew);
        n += poll_crew(m->polled + n, &g->leaving);
    }
    if (n > m->descriptors) {           /* poll(2) looks at no more than a process may have */
        n = m->descriptors;
        wait_ms = wait_ms == -1 || wait_ms > 100 ? 100 : wait_ms;
    }
    poll(m->polled, n, wait_ms);        /* whatever it says, everything is looked at */
}

/* What the service manager has for us, and is to have.  Not of one who stops: he has closed the sockets. */
static void look_after_kept(struct master *m, uint64_t now_ms)
{
    bool over = lobby_turn(&m->lobby, m->serving, now_ms);

    if (over || now_ms >= store_due_ms(&m->store))
        store_sync(&m->store, &m->serving->listens, &m->ledger, &m->lobby);
}

static void master_turn(struct master *m)
{
    uint64_t now_ms;
    int number;

    master_wait(m);
    while ((number = signals_next(m->signals)) != 0)
        master_signal(m, number);
    now_ms = clock_monotonic_ms();
    control_serve(&m->control, now_ms, command_obey, m);
    if (m->reload_wanted && reload_may_begin(m))
        reload_begin(m);
    reload_test_step(m, now_ms);
    watch_health(m, now_ms);
    master_log_step(m, now_ms);
    look_after_workers(m, now_ms);
    relief_step(m, now_ms);
    if (now_ms >= m->ledger.look_ms)
        ledger_reclaim(&m->ledger, now_ms);
    live_tell(m);
    gauge_step(m, now_ms);
    survey_expire(&m->surveys, now_ms);
    notice_turn(m, now_ms);
    if (m->phase == MASTER_RUNNING)
        look_after_kept(m, now_ms);
}

/* ---- beginning and end ---- */

static void master_end(struct master *m)
{
    control_close(&m->control);
    survey_close(&m->surveys);
    master_log_end(m);
    while (!list_empty(&m->generations))
        generation_free(generation_of(m->generations.next));
    program_test_end(&m->test);
    handed_close(&m->handed);
    handed_close(&m->kept);
    store_free(&m->store);
    lobby_close(&m->lobby);
    overrides_free(&m->in_force);
    overrides_free(&m->trying);
    overrides_free(&m->wanted);
    overrides_free(&m->dropped);
    ledger_close(&m->ledger);
    reload_result_free(&m->last);
    logger_desk_close(&m->desk);
    free(m->polled);
}

static void master_init(struct master *m, const struct conf_options *again, const char *program)
{
    *m = (struct master){ .again = again, .program = program, .signals = -1, .began_s = clock_wall_s(),
                          .began_ms = clock_monotonic_ms() };
    list_init(&m->generations);
    lobby_init(&m->lobby);
    logger_desk_init(&m->desk);
    control_init(&m->control);
    survey_init(&m->surveys, command_surveyed, m);
}

bool master_test_state(const struct conf_options *again, int taken, FILE *complaints)
{
    struct master *m = calloc(1, sizeof *m);
    char why[STATE_WHY_SIZE] = "out of memory";
    bool sound = false;

    if (m != NULL) {
        master_init(m, again, "");
        sound = state_read(m, taken, false, why) == 0;
        master_end(m);
    }
    if (!sound)
        fprintf(complaints, "iomuxd: cannot take over from the running daemon, which must be restarted: %s\n", why);
    free(m);
    return sound;
}

int master_run(const struct master_start *start)
{
    struct master m;

    master_init(&m, start->again, start->program);
    if ((start->taken != NULL ? master_begin(&m, start->taken) : master_take_over(&m, start->state)) == -1) {
        master_end(&m);
        return 1;
    }
    while (m.phase != MASTER_STOPPING || all_alive(&m) > 0)
        master_turn(&m);
    if (m.served)
        say_totals(&m);
    master_end(&m);
    return m.status;
}
