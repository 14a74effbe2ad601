/* SPDX-License-Identifier: BSD-2-Clause */
/* From one generation to the next, as a transaction: when the configuration is tested and read (reexec.c), its sockets
 * and files are opened, its workers started; when all of them are ready the old ones are asked to go.  Whatever fails
 * before that takes the new generation down and leaves the old one as it was.
 * Owns the decision; what is opened belongs to the generations. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/command.h"
#include "daemon/master_state.h"
#include "daemon/sandbox.h"
#include "daemon/succession.h"

enum {
    SETTLE_MS = 2000            /* for old workers to stop accepting; they may be stuck */
};

/* Errors that are logged from here on are about the fresh generation, which keeps them; NULL: no more. */
static void gather_into(struct master *m, struct report *report)
{
    if (m->serving != NULL)
        m->serving->logger.report = report;
}

void reload_result_free(struct reload_result *r)
{
    free(r->errors);
    *r = (struct reload_result){ 0 };
}

/* NULL: there are none, or memory is short. */
static char *report_text(const struct report *r)
{
    struct span line;
    size_t at = 0, size = 0;
    char *text = NULL;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL)
        return NULL;
    while (report_next(r, &at, &line))
        fprintf(to, "%.*s\n", (int)line.n, line.p);
    if (report_is_cut(r))
        fputs("there were more errors: the log has them all\n", to);
    fclose(to);
    return text;
}

static void reload_note(struct master *m, const struct generation *g, bool ok)
{
    unsigned attempt = m->attempts;

    if (attempt == 0)           /* the start of the daemon */
        return;
    reload_result_free(&m->last);
    m->last = (struct reload_result){ .attempt = attempt, .ok = ok, .generation = ok ? g->number : 0,
                                      .when = clock_wall_s(), .took_ms = clock_monotonic_ms() - m->reload_began_ms,
                                      .errors = ok ? NULL : report_text(g->report) };
}

/* ---- making it ---- */

void master_abandon(void *arg, const struct listen_set *kept)
{
    struct master *m = arg;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        generation_abandon(LIST_ENTRY(l, struct generation, siblings), kept);
    control_abandon(&m->control);
    survey_abandon(&m->surveys);
    program_test_abandon(&m->test);
    handed_close(&m->handed);
    handed_close(&m->kept);
    lobby_abandon(&m->lobby, kept != NULL);
    ledger_abandon(&m->ledger);
}

static struct generation_sources sources_of(struct master *m)
{
    return (struct generation_sources){
        .listens = { .running = m->serving != NULL ? &m->serving->listens : NULL, .handed = &m->handed, .kept = &m->kept },
        .ledger = &m->ledger, .desk = &m->desk, .lobby = m->lobby.ends[1], .descriptors = m->descriptors, .abandon = master_abandon,
        .abandon_arg = m
    };
}

/* What is complained about before a generation has its log goes to the log line by line; at the very start there is
 * none, and stderr is where it belongs. */
static void pass_complaints(struct master *m, const char *text)
{
    if (m->serving == NULL)
        fputs(text, stderr);
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        if (n > 0 && m->serving != NULL)
            log_write(LOG_ERROR, &(struct log_about){ .event = "reload-error" }, "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static int open_with_complaints(struct master *m, struct generation *g)
{
    struct generation_sources from = sources_of(m);
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    int opened, controlled;

    if (to == NULL)
        return log_errno(LOG_ERROR, NULL, "master: cannot gather complaints");
    opened = generation_open(g, &from, to);
    controlled = g->logger.fd == -1 ? -1 : control_prepare(&m->control, g->conf);
    fclose(to);
    pass_complaints(m, text);
    free(text);
    return opened == 0 && controlled == 0 ? 0 : -1;
}

static void hear_words(struct master *m, struct generation *g)
{
    g->crew.word = g->leaving.word = command_hear;
    g->crew.word_arg = g->leaving.word_arg = m;
}

void reload_adopt(struct master *m, struct generation *g)
{
    struct generation_sources from = sources_of(m);

    generation_equip(g, &from, g->crew.common.connections_max);
    hear_words(m, g);
}

int reload_open(struct master *m, struct conf *taken)
{
    struct generation *g = generation_new(m->last_number + 1, taken);
    int rc;

    if (g == NULL) {
        conf_free(taken);
        return log_errno(LOG_ERROR, NULL, "master: cannot hold another generation");
    }
    m->last_number = g->number;
    list_append(&m->generations, &g->siblings);
    m->fresh = g;
    gather_into(m, g->report);
    rc = open_with_complaints(m, g);
    gather_into(m, NULL);
    if (m->serving == NULL)
        m->serving = g;         /* its log is the one there is */
    if (rc == 0)
        g->crew.v[0].next_start_ms = 0;
    hear_words(m, g);
    return rc;
}

static void say_failed(struct master *m, const char *why)
{
    log_write(LOG_ERROR, &(struct log_about){ .event = "reload-failed" },
              "master: the reload failed: %s; generation %u goes on as it was", why, m->serving->number);
    notice_tell(m, "READY=1");
    control_reloaded(m, m->attempts);
}

void reload_fail_early(struct master *m, const char *lines, const char *why)
{
    pass_complaints(m, lines);
    overrides_free(&m->trying);
    reload_result_free(&m->last);
    m->last = (struct reload_result){ .attempt = m->attempts, .when = clock_wall_s(),
                                      .took_ms = clock_monotonic_ms() - m->reload_began_ms, .errors = strdup(lines) };
    say_failed(m, why);
}

/* ---- giving it up ---- */

struct stranding {
    struct master *m;
    bool           left;        /* nobody was there for one */
};

/* A socket goes away in which connections may wait: a worker that serves the address takes them. */
static void pass_stranded(void *arg, const struct listen_address *running, int fd)
{
    struct stranding *s = arg;
    struct master *m = s->m;
    struct crew *c = &m->serving->crew;
    unsigned at = (unsigned)(running - m->serving->listens.v);

    for (unsigned i = 0; i < running->socket_count; i++) {
        if (c->v[running->sockets[i].worker].ready &&
            crew_tell_one(c, running->sockets[i].worker,
                          &(struct channel_message){ .kind = CHANNEL_SWEEP, .value = at, .fd = fd }))
            return;
    }
    s->left = true;
}

/* What waits on the sockets of a generation that was given up is taken once nobody of it accepts there any more: what came
 * after the last look would be lost. */
static void salvage(struct master *m, struct generation *g)
{
    struct stranding s = { .m = m };

    if (!g->stranded || (crew_accepts(&g->crew) && m->phase == MASTER_RUNNING))
        return;
    if (m->phase == MASTER_RUNNING)
        listen_salvage(&g->listens, pass_stranded, &s);
    if (s.left)
        return;                 /* somebody will be ready soon */
    listen_abandon(&g->listens);
    g->stranded = false;
}

/* Who is ready may have clients; who is not has none, but may be so any moment: he has a little time. */
static void take_down(struct master *m, struct generation *g)
{
    uint64_t now_ms = clock_monotonic_ms();

    listen_salvage(&g->listens, pass_stranded, &(struct stranding){ .m = m });
    g->stranded = true;
    succession_tell(g, m->serving);
    generation_drain(g, CHANNEL_DRAIN_SERVED, now_ms);
    crew_kill_unready(&g->crew, now_ms + GENERATION_GRACE_MS);
    generation_tell(m->serving, &(struct channel_message){ .kind = CHANNEL_RECLAIM, .fd = -1 });
}

void reload_fail(struct master *m, const char *why)
{
    struct generation *g = m->fresh;

    m->fresh = NULL;
    if (g == NULL)
        return;
    g->failed = true;
    reload_note(m, g, false);
    overrides_free(&m->trying);
    control_rollback(&m->control);
    take_down(m, g);
    say_failed(m, why);
}

/* ---- the change ---- */

/* The addresses that are new; `gone` NULL: ... or of an old set those that are not served any more. */
static void announce_addresses(const struct listen_set *s, const bool *gone, const char *model)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct listen_address *a = &s->v[i];
        struct log_about about = { .event = gone == NULL ? "listening" : "not-listening", .service = a->service,
                                   .model = model };

        if (gone == NULL ? !a->inherited : gone[i])
            log_write(LOG_NOTICE, &about, "%slistening: %s %s (%s)", gone == NULL ? "" : "no longer ", a->service,
                      a->text, a->protocol);
    }
}

static void announce(const struct master *m, const struct generation *g)
{
    announce_addresses(&g->listens, NULL, generation_model(g));
    for (unsigned i = 0; i < g->pools.count; i++) {
        const struct pool *p = &g->pools.v[i];
        struct log_about about = { .event = "ready", .model = p->model->name };

        log_write(LOG_NOTICE, &about, "ready: pool %s, model %s, %u worker%s", p->conf->name, p->model->name,
                  p->workers, p->workers == 1 ? "" : "s");
    }
    if (m->last.attempt > 0)
        log_write(LOG_NOTICE, &(struct log_about){ .event = "reloaded" },
                  "master: reloaded: generation %u serves, after %.1f s", g->number, (double)m->last.took_ms / 1000);
}

/* The oldest make place: their time is over when there are more than the configuration allows. */
static void hurry_oldest(struct master *m, uint64_t now_ms)
{
    unsigned living = 0;

    for (struct list *l = m->generations.prev; l != &m->generations; l = l->prev) {
        struct generation *g = LIST_ENTRY(l, struct generation, siblings);

        if (generation_alive(g) == 0 || ++living <= m->serving->conf->generations)
            continue;
        log_write(LOG_WARN, &(struct log_about){ .event = "hurried" },
                  "master: generation %u still has %u worker%s, and more than %u generations at once are not allowed: "
                  "its connections end now", g->number, generation_alive(g), generation_alive(g) == 1 ? "" : "s",
                  m->serving->conf->generations);
        generation_hurry(g, now_ms);
    }
}

static void old_goes(struct master *m, struct generation *old, uint64_t now_ms)
{
    sandbox_master(m->serving->conf->sandbox);
    listen_succeed(&m->serving->listens, &old->listens);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        struct generation *g = LIST_ENTRY(l, struct generation, siblings);

        if (g != m->serving)
            succession_tell(g, m->serving);
    }
    generation_drain(old, CHANNEL_DRAIN_SERVED, now_ms);
    hurry_oldest(m, now_ms);
    m->settling = old;
    m->settle_until_ms = now_ms + SETTLE_MS;
}

/* Whoever asked for it hears of it when no old worker accepts any more: what he tries then is new. */
static void reload_settle(struct master *m)
{
    if (m->settling != NULL)
        announce_addresses(&m->settling->listens, m->settling->listens.gone, generation_model(m->settling));
    m->settling = NULL;
    announce(m, m->serving);
    notice_tell(m, "READY=1");
    control_reloaded(m, m->attempts);
}

static void commit(struct master *m, uint64_t now_ms)
{
    struct generation *old = m->serving, *g = m->fresh;

    m->fresh = NULL;
    m->serving = g;
    g->phase = GENERATION_SERVING;
    g->logger.starting = false;
    g->logger.report = NULL;
    logger_use(&g->logger);
    control_commit(&m->control);
    health_set(&m->health, g->conf->watchdog_ms, now_ms);
    reload_note(m, g, true);
    overrides_move(&m->in_force, &m->trying);
    store_sync(&m->store, &g->listens, &m->ledger, &m->lobby);
    handed_close(&m->kept);
    if (old != g)
        old_goes(m, old, now_ms);
    listen_rule(&g->listens);
    m->phase = MASTER_RUNNING;
    m->served = true;
    if (m->settling == NULL)
        reload_settle(m);
}

bool reload_may_begin(const struct master *m)
{
    bool stranded = false;

    for (const struct list *l = m->generations.next; l != &m->generations; l = l->next)
        stranded |= LIST_ENTRY(l, const struct generation, siblings)->stranded;
    return reload_is_idle(m) && !stranded;
}

bool reload_is_idle(const struct master *m)
{
    return m->phase == MASTER_RUNNING && m->fresh == NULL && m->settling == NULL && m->test.pid == 0;
}

void reload_cancel(struct master *m)
{
    bool unfinished = m->reload_wanted || m->test.pid != 0 || (m->fresh != NULL && m->fresh != m->serving);

    program_test_end(&m->test);
    if (m->settling != NULL)
        control_reloaded(m, m->attempts);
    m->fresh = m->settling = NULL;
    m->reload_wanted = false;
    if (!unfinished)
        return;
    reload_result_free(&m->last);
    m->last = (struct reload_result){ .attempt = m->attempts + 1, .when = clock_wall_s(),
                                      .errors = strdup("the daemon is stopping\n") };
    control_reloaded(m, m->last.attempt);
}

void reload_step(struct master *m, bool died, uint64_t now_ms)
{
    struct generation *g = m->fresh;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        salvage(m, LIST_ENTRY(l, struct generation, siblings));
    if (m->settling != NULL && ((!crew_accepts(&m->settling->crew) && !crew_accepts(&m->settling->leaving)) ||
                                now_ms >= m->settle_until_ms))
        reload_settle(m);
    if (g == NULL || m->phase == MASTER_STOPPING)
        return;
    if (died) {
        reload_fail(m, "a worker ended before it was ready");
    } else if (generation_is_ready(g)) {
        commit(m, now_ms);
    } else if (m->phase == MASTER_RUNNING && now_ms >= m->reload_until_ms) {
        gather_into(m, g->report);
        log_write(LOG_ERROR, NULL, "master: %u of %u workers of generation %u are ready after %d s",
                  crew_ready(&g->crew), g->crew.count, g->number, RELOAD_READY_MS / 1000);
        gather_into(m, NULL);
        reload_fail(m, "a worker was not ready in time");
    } else {
        for (unsigned i = 0; i < g->crew.count; i++)
            if (g->crew.v[i].pid == 0 && generation_may_start(g, i))
                g->crew.v[i].next_start_ms = now_ms;
    }
}
