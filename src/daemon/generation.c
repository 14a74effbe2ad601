/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending a generation.  Owns what is made for it; decides nothing: when one starts, serves and goes is the
 * master's affair. */
#include "daemon/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/machine.h"
#include "daemon/service.h"
#include "daemon/sysd.h"

struct generation *generation_new(unsigned number, struct conf *taken)
{
    struct generation *g = calloc(1, sizeof *g);

    if (g == NULL)
        return NULL;
    g->report = report_new();
    if (g->report == NULL) {
        free(g);
        return NULL;
    }
    list_init(&g->siblings);
    g->number = number;
    g->conf = taken;
    g->access_fd = g->logger.fd = g->target = -1;
    g->began_ms = clock_monotonic_ms();
    g->began_s = clock_wall_s();
    return g;
}

static int open_access(struct generation *g)
{
    const struct conf *c = g->conf;
    char place[CONF_PLACE_SIZE];

    if (c->access_target == CONF_TARGET_JOURNAL && !sysd_journal_listens()) {
        log_write(LOG_ERROR, NULL, "%saccess_log.target: no journal listens on this machine",
                  conf_place_text(&c->access_place, place));
        return -1;
    }
    if (c->access_target != CONF_TARGET_FILE)
        return 0;
    g->access_fd = logger_file(c->access_file);
    if (g->access_fd != -1)
        return 0;
    return log_errno(LOG_ERROR, NULL, "%saccess_log.target: cannot open %s", conf_place_text(&c->access_place, place),
                     c->access_file);
}

/* The limit of connections that the descriptors allow, in the worker that has the least room. */
static unsigned fit_connections(const struct generation *g, unsigned long descriptors)
{
    unsigned wanted = g->conf->limits.connections;
    unsigned fit = machine_fit_connections(wanted, descriptors, listen_most(&g->listens, g->pools.workers));

    if (fit < wanted)
        log_write(LOG_WARN, NULL,
                  "master: limits.connections: %u for each worker instead of %u, since this process may "
                  "open only %lu descriptors (RLIMIT_NOFILE)", fit, wanted, descriptors);
    return fit;
}

void generation_equip(struct generation *g, const struct generation_sources *from, unsigned connections_max)
{
    g->desk = from->desk;
    g->crew.common = (struct worker_start){ .conf = g->conf, .priv = &g->priv, .logger = &g->logger,
                                            .listens = &g->listens, .desk = g->desk, .notes = g->notes.at,
                                            .connections_max = connections_max, .generation = g->number,
                                            .lobby = from->lobby,
                                            .abandon = from->abandon, .abandon_arg = from->abandon_arg };
    g->leaving.ledger = from->ledger;
}

static int open_crew(struct generation *g, const struct generation_sources *from)
{
    (void)shared_open(&g->notes, "iomuxd-notes", service_notes_size(g->conf));  /* without it more is said than need be */
    generation_equip(g, from, fit_connections(g, from->descriptors));
    if (crew_init(&g->crew, &g->pools, from->ledger) == 0)
        return 0;
    return log_errno(LOG_ERROR, NULL, "master: cannot hold %u worker%s", g->pools.workers,
                     g->pools.workers == 1 ? "" : "s");
}

/* Lines go there by way of the logger, as soon as there is one. */
static int open_target(struct generation *g)
{
    g->target = logger_desk_add(g->desk, g->conf, &g->logger, g->access_fd);
    if (g->target == -1)
        return -1;
    g->logger.target = (uint32_t)g->target;
    g->logger.ring = g->desk->started ? &g->desk->own : NULL;
    return 0;
}

int generation_open(struct generation *g, const struct generation_sources *from, FILE *complaints)
{
    bool known = priv_resolve(&g->priv, g->conf, complaints);
    bool logs = logger_open(&g->logger, g->conf, complaints) == 0;
    int accesses;

    g->desk = from->desk;
    if (!known || !logs)
        return -1;
    g->logger.report = g->report;               /* of its workers, until they are ready */
    if (from->listens.running == NULL) {        /* the first: nobody else has a log yet */
        g->logger.starting = true;
        logger_use(&g->logger);
    }
    accesses = open_access(g);
    if (pool_set_init(&g->pools, g->conf) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot hold the pools");
    if (listen_open(&g->listens, g->conf, &g->pools, &from->listens) == -1 || accesses == -1)
        return -1;
    if (open_target(g) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot tell the logger where lines go");
    return open_crew(g, from);
}

void generation_free(struct generation *g)
{
    if (g == NULL)
        return;
    list_remove(&g->siblings);
    listen_close(&g->listens, true);
    listen_free(&g->listens);
    crew_free(&g->crew);
    crew_free(&g->leaving);
    pool_set_free(&g->pools);
    shared_close(&g->notes);
    if (g->access_fd != -1)
        close(g->access_fd);
    logger_desk_end(g->desk, g->target);
    logger_close(&g->logger);
    report_free(g->report);
    conf_free(g->conf);
    free(g);
}

void generation_abandon(struct generation *g, const struct listen_set *kept)
{
    crew_abandon(&g->crew);
    crew_abandon(&g->leaving);
    shared_abandon(&g->notes);
    if (g->access_fd != -1)             /* its access lines go to a ring; only log lines may have to be written at once */
        close(g->access_fd);
    g->access_fd = -1;
    if (&g->listens == kept)
        return;
    shared_abandon(&g->listens.flags);
    listen_close(&g->listens, false);
    logger_close(&g->logger);
}

bool generation_may_start(const struct generation *g, unsigned at)
{
    const struct pool *p = g->crew.v[at].pool;

    if (at != p->first)
        return g->crew.v[p->first].ready;
    return p == g->pools.v || g->crew.v[p[-1].first].ready;
}

unsigned generation_alive(const struct generation *g)
{
    return crew_alive(&g->crew) + crew_alive(&g->leaving);
}

bool generation_is_over(const struct generation *g)
{
    return generation_alive(g) == 0 && !g->stranded && !crew_has_mail(&g->crew) && !crew_has_mail(&g->leaving);
}

bool generation_is_ready(const struct generation *g)
{
    return crew_ready(&g->crew) == g->crew.count;
}

void generation_tell(struct generation *g, const struct channel_message *m)
{
    crew_tell(&g->crew, m);
    crew_tell(&g->leaving, m);
}

void generation_drain(struct generation *g, enum channel_drain how, uint64_t now_ms)
{
    uint64_t kill_ms = now_ms + g->conf->timeouts.drain_ms + GENERATION_GRACE_MS;

    g->phase = GENERATION_LEAVING;
    crew_drain(&g->crew, how, kill_ms);
    crew_drain(&g->leaving, how, kill_ms);
}

void generation_hurry(struct generation *g, uint64_t now_ms)
{
    generation_tell(g, &(struct channel_message){ .kind = CHANNEL_HURRY, .fd = -1 });
    crew_drain(&g->crew, CHANNEL_DRAIN_SERVED, now_ms + GENERATION_GRACE_MS);
    crew_drain(&g->leaving, CHANNEL_DRAIN_SERVED, now_ms + GENERATION_GRACE_MS);
}

void generation_kill(struct generation *g)
{
    crew_kill(&g->crew);
    crew_kill(&g->leaving);
}

void generation_describe(const struct generation *g, char *text, size_t size)
{
    size_t n = 0;

    if (g->pools.count == 1) {
        snprintf(text, size, ", model %s", g->pools.v[0].model->name);
        return;
    }
    for (unsigned i = 0; i < g->pools.count && n < size; i++) {
        const struct pool *p = &g->pools.v[i];

        n += (size_t)snprintf(text + n, size - n, "; %s: %u of %u, model %s", p->conf->name,
                              crew_ready_in(&g->crew, p), p->workers, p->model->name);
    }
}

const char *generation_model(const struct generation *g)
{
    return g->pools.count == 1 ? g->pools.v[0].model->name : NULL;
}
