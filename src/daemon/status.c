/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon says of itself.  Looks at everything and changes nothing. */
#include "daemon/status.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "daemon/listen_socket.h"
#include "daemon/sandbox.h"
#include "daemon/status_figures.h"
#include "driver/model.h"

/* What is no UTF-8 (it may come from a file name) is not said. */
static json_t *json_of(const char *bytes, size_t n)
{
    json_t *text = json_stringn(bytes, n);

    return text != NULL ? text : json_string("?");
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_of(text, strlen(text)) : json_null();
}

static json_t *time_of(time_t when)
{
    char text[FMT_TIMESTAMP_SIZE + 1];

    fmt_timestamp(text, when, 0);
    text[FMT_TIMESTAMP_SIZE] = '\0';
    return json_string(text);
}

static json_t *lines_of(const char *text)
{
    json_t *lines = json_array();

    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, "\n");

        if (n > 0)
            json_array_append_new(lines, json_of(text, n));
        text += n + (text[n] == '\n');
    }
    return lines;
}

json_t *status_errors(const char *lines)
{
    return json_pack("{s:b, s:o}", "ok", 0, "errors", lines_of(lines));
}

/* ---- status ---- */

/* What the workers had no room for, and what the logger could not write. */
static json_t *log_of(const struct master *m, struct metric_counts *c)
{
    c->log_dropped += logger_desk_dropped(&m->desk) + logger_desk_lost(&m->desk, LOGGER_LOG);
    c->access_dropped += logger_desk_lost(&m->desk, LOGGER_ACCESS);
    return json_pack("{s:i, s:s, s:I, s:I}", "pid", (int)m->desk.pid, "level", log_level_name(m->serving->logger.level),
                     "log_dropped", (json_int_t)c->log_dropped, "access_dropped", (json_int_t)c->access_dropped);
}

static const char *phase_word(const struct master *m)
{
    switch (m->phase) {
    case MASTER_STARTING: return "starting";
    case MASTER_STOPPING: return "stopping";
    case MASTER_RUNNING:  break;
    }
    return reload_is_idle(m) ? "running" : "reloading";
}

static const char *generation_word(const struct generation *g)
{
    switch (g->phase) {
    case GENERATION_STARTING: return "starting";
    case GENERATION_SERVING:  return "serving";
    case GENERATION_LEAVING:  break;
    }
    return "draining";
}

static const char *worker_word(const struct worker_slot *s, bool retires)
{
    if (s->pid == 0)
        return "down";
    if (s->told)
        return "draining";
    return retires ? "retiring" : s->ready ? "ready" : "starting";
}

static json_t *worker_of(const struct master *m, const struct generation *g, const struct worker_slot *s, bool retires)
{
    struct metric_slot own = { .active = 0 };
    char sandbox[SANDBOX_TEXT_SIZE];
    uint32_t word = 0;
    uint64_t dropped;

    if (s->ledger != -1)
        own = ledger_since(&m->ledger, s->ledger, &s->base);
    if (s->ledger != -1 && s->ready)
        word = __atomic_load_n(&m->ledger.slots[s->ledger].sandbox, __ATOMIC_RELAXED);
    dropped = own.total.log_dropped + own.total.access_dropped;
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
                     "worker", s->name, "pid", (int)s->pid, "generation", (int)g->number,
                     "pool", s->pool->conf->name, "model", s->pool->model->name,
                     "state", worker_word(s, retires),
                     "age_s", (json_int_t)(s->pid != 0 ? (clock_monotonic_ms() - s->started_ms) / 1000 : 0),
                     "connections", (json_int_t)own.active, "accepted", (json_int_t)own.total.accepted,
                     "passed_on", (json_int_t)own.total.passed_on, "taken_over", (json_int_t)own.total.taken_over,
                     "requests", (json_int_t)own.total.requests, "messages", (json_int_t)own.total.messages,
                     "datagrams", (json_int_t)own.total.datagrams,
                     "bytes_received", (json_int_t)own.total.bytes_received,
                     "bytes_sent", (json_int_t)own.total.bytes_sent,
                     "log_dropped", (json_int_t)dropped,
                     "sandbox", sandbox_text(word, s->pool->model, sandbox));
}

/* Places that nobody will be in again are not shown. */
static void add_workers(json_t *to, const struct master *m, const struct generation *g, const struct crew *c,
                        bool retires)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->v[i].pid != 0 || g->phase == GENERATION_SERVING)
            json_array_append_new(to, worker_of(m, g, &c->v[i], retires));
}

static json_t *workers_of(const struct master *m)
{
    json_t *all = json_array();

    for (struct list *l = m->generations.prev; l != &m->generations; l = l->prev) {
        const struct generation *g = LIST_ENTRY(l, struct generation, siblings);

        add_workers(all, m, g, &g->crew, false);
        add_workers(all, m, g, &g->leaving, true);
    }
    return all;
}

static json_t *generations_of(const struct master *m)
{
    json_t *all = json_array();

    for (struct list *l = m->generations.prev; l != &m->generations; l = l->prev) {
        const struct generation *g = LIST_ENTRY(l, struct generation, siblings);

        json_array_append_new(all, json_pack("{s:i, s:s, s:i, s:o}", "generation", (int)g->number,
                                             "state", generation_word(g), "workers", (int)generation_alive(g),
                                             "began", time_of(g->began_s)));
    }
    return all;
}

static unsigned distinct_sockets(const struct listen_address *a)
{
    unsigned n = 0;

    for (unsigned i = 0; i < a->socket_count; i++)
        n = a->sockets[i].number >= n ? a->sockets[i].number + 1 : n;
    return n;
}

static json_t *listeners_of(const struct generation *g)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < g->listens.count; i++) {
        const struct listen_address *a = &g->listens.v[i];
        long waiting = listen_waiting(a);

        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:o, s:o, s:i}", "service", a->service,
                                             "protocol", a->protocol, "address", text_or_null(a->text),
                                             "systemd", text_or_null(a->handed),
                                             "waiting", waiting < 0 ? json_null() : json_integer(waiting),
                                             "sockets", (int)distinct_sockets(a)));
    }
    return all;
}

static json_t *last_of(const struct reload_result *r)
{
    if (r->attempt == 0)
        return json_null();
    return json_pack("{s:b, s:i, s:o, s:I, s:o}", "ok", r->ok, "attempt", (int)r->attempt, "when", time_of(r->when),
                     "took_ms", (json_int_t)r->took_ms, "errors", lines_of(r->errors));
}

static json_t *overrides_of(const struct master *m)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < m->in_force.count; i++)
        json_array_append_new(all, text_or_null(m->in_force.v[i]));
    return all;
}

json_t *status_whole(const struct master *m)
{
    struct metric_slot sum;
    json_t *log;

    ledger_sum(&m->ledger, &sum);
    log = log_of(m, &sum.total);
    return json_pack("{s:b, s:s, s:i, s:s, s:o, s:I, s:o, s:o, s:s, s:o, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "ok", 1, "version", PACKAGE_VERSION, "pid", (int)getpid(), "state", phase_word(m),
                     "began", time_of((time_t)m->began_s),
                     "uptime_s", (json_int_t)((clock_monotonic_ms() - m->began_ms) / 1000),
                     "configuration", text_or_null(m->again->file), "overrides", overrides_of(m),
                     "log_level", log_level_name(m->serving->logger.level), "log", log,
                     "generation", (int)m->serving->number, "connections", (json_int_t)sum.active,
                     "totals", figures_counters(&sum.total, METRIC_OF_WORKER), "reload", last_of(&m->last),
                     "all", figures_all(&m->ledger), "pools", figures_pools(&m->ledger, false),
                     "services", figures_services(&m->ledger),
                     "generations", generations_of(m), "workers", workers_of(m),
                     "listeners", listeners_of(m->serving));
}

/* ---- the others ---- */

json_t *status_models(void)
{
    json_t *all = json_array();
    size_t count;
    const struct model *models = model_all(&count);

    for (size_t i = 0; i < count; i++) {
        char why[256] = "";
        bool can = model_available(&models[i], why, sizeof why);

        json_array_append_new(all, json_pack("{s:s, s:s, s:b, s:o}", "model", models[i].name,
                                             "family", models[i].family, "available", can,
                                             "remark", *why != '\0' ? text_or_null(why) : json_null()));
    }
    return json_pack("{s:b, s:o}", "ok", 1, "models", all);
}

json_t *status_version(void)
{
    return json_pack("{s:b, s:s, s:s, s:i}", "ok", 1, "version", PACKAGE_VERSION, "features",
                     &FEATURES[FEATURES[0] == ' '], "pid", (int)getpid());
}

json_t *status_reload(const struct reload_result *r)
{
    if (!r->ok)
        return json_pack("{s:b, s:I, s:o}", "ok", 0, "took_ms", (json_int_t)r->took_ms, "errors", lines_of(r->errors));
    return json_pack("{s:b, s:i, s:I}", "ok", 1, "generation", (int)r->generation, "took_ms", (json_int_t)r->took_ms);
}

/* ---- connections ---- */

/* A row with whose it is: the rows of all workers are sorted together. */
struct gathered {
    struct census_row          row;
    const struct survey_place *place;
};

static uint64_t gathered_value(const struct survey *s, const struct census_row *r)
{
    switch (s->key) {
    case CENSUS_BY_AGE:      return r->age_s;
    case CENSUS_BY_RECEIVED: return r->received;
    case CENSUS_BY_SENT:     return r->sent;
    case CENSUS_BY_BYTES:    break;
    }
    return r->received + r->sent;
}

static int gathered_compare(const void *a, const void *b, void *survey)
{
    uint64_t x = gathered_value(survey, &((const struct gathered *)a)->row);
    uint64_t y = gathered_value(survey, &((const struct gathered *)b)->row);

    return x > y ? -1 : x < y;
}

static json_t *connection_of(const struct gathered *g)
{
    char peer[PEER_TEXT_SIZE];

    peer_format(&g->row.peer, peer);
    return json_pack("{s:s, s:o, s:s, s:i, s:s, s:s, s:I, s:I, s:I}", "peer", peer,
                     "service", text_or_null(g->row.service), "worker", g->place->worker,
                     "generation", (int)g->place->generation, "model", g->place->model,
                     "state", census_state_name(g->row.state), "age_s", (json_int_t)g->row.age_s,
                     "received", (json_int_t)g->row.received, "sent", (json_int_t)g->row.sent);
}

/* Rows of all parts, as many as there are in *count; NULL: memory is short. */
static struct gathered *gather_rows(const struct survey *s, size_t *count, uint64_t *total)
{
    struct gathered *all = malloc(((size_t)s->parts * s->limit + 1) * sizeof *all);
    struct census_row *rows = malloc((s->limit + 1) * sizeof *rows);

    *count = 0;
    *total = 0;
    for (unsigned part = 0; all != NULL && rows != NULL && part < s->parts; part++) {
        unsigned n = 0;

        if (s->places[part].done)
            *total += survey_rows(s, part, rows, &n);
        for (unsigned i = 0; i < n; i++)
            all[(*count)++] = (struct gathered){ .row = rows[i], .place = &s->places[part] };
    }
    if (rows == NULL) {
        free(all);
        all = NULL;
    }
    free(rows);
    return all;
}

static json_t *silent_of(const struct survey *s)
{
    json_t *silent = json_array();

    for (unsigned part = 0; part < s->parts; part++)
        if (!s->places[part].done)
            json_array_append_new(silent, json_string(s->places[part].worker));
    return silent;
}

json_t *status_connections(const struct survey *s)
{
    json_t *shown;
    uint64_t total;
    size_t count;
    struct gathered *all = gather_rows(s, &count, &total);

    if (all == NULL)
        return NULL;
    shown = json_array();
    qsort_r(all, count, sizeof *all, gathered_compare, (void *)(uintptr_t)s);
    for (size_t i = 0; i < count && i < s->limit; i++)
        json_array_append_new(shown, connection_of(&all[i]));
    free(all);
    return json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "total", (json_int_t)total, "connections", shown,
                     "silent_workers", silent_of(s));
}
