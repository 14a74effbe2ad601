/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics in the text format of Prometheus (version 0.0.4): for each worker what it counts, for each of its
 * services what is counted by service; times by service and pool. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/live.h"

/* Where a series comes from, with what it has; `service` "": the worker itself. */
struct source {
    struct ledger_owner  owner;
    char                 service[LEDGER_NAME_SIZE];
    struct metric_counts counts;
    struct metric_usage  used;
    unsigned             alive;         /* workers of the name: two while one hands over to the next */
};

struct sources {
    struct source *v;
    unsigned       count;
};

static bool is_worker(const struct source *s)
{
    return s->service[0] == '\0';
}

static bool owner_is(const struct ledger_owner *a, const struct ledger_owner *b)
{
    return strcmp(a->worker, b->worker) == 0 && strcmp(a->model, b->model) == 0;
}

static bool source_is_known(const struct sources *s, const struct source *one)
{
    for (unsigned i = 0; i < s->count; i++)
        if (owner_is(&s->v[i].owner, &one->owner) && strcmp(s->v[i].service, one->service) == 0)
            return true;
    return false;
}

static void series_add(struct sources *s, const struct ledger *t, struct source *one, struct ledger_figures *f)
{
    if (source_is_known(s, one))
        return;
    ledger_gather(t, &(struct ledger_query){ .worker = one->owner.worker, .model = one->owner.model, .slot = -1,
                                             .service = is_worker(one) ? NULL : one->service }, f);
    one->counts = f->counts;
    one->used = f->used;
    one->alive = f->workers;
    s->v[s->count++] = *one;
}

/* Workers first, then their services. */
static void sources_find(struct sources *s, const struct ledger *t, struct ledger_figures *f)
{
    struct source one = { .service = "" };
    unsigned slots = 0, parts = 0;

    while (ledger_nth(t, slots, &one.owner))
        slots++;
    while (ledger_service(t, parts, one.service))
        parts++;
    *s = (struct sources){ .v = calloc(slots + parts + 1, sizeof *s->v) };
    one.service[0] = '\0';
    for (unsigned i = 0; i < slots && s->v != NULL && ledger_nth(t, i, &one.owner); i++)
        series_add(s, t, &one, f);
    for (unsigned i = 0; i < parts && s->v != NULL; i++)
        if (ledger_service(t, i, one.service) && ledger_server(t, i, &one.owner))
            series_add(s, t, &one, f);
}

/* Names are made of letters, digits, '-', '_' and '.': nothing needs to be escaped. */
static void labels_put(FILE *to, const struct source *s)
{
    if (!is_worker(s))
        fprintf(to, "service=\"%s\",", s->service);
    fprintf(to, "pool=\"%s\",model=\"%s\",worker=\"%s\"", s->owner.pool, s->owner.model, s->owner.worker);
}

static void head_put(FILE *to, const char *family, const char *suffix, const char *type, const char *help)
{
    fprintf(to, "# HELP iomuxd_%s%s %s\n# TYPE iomuxd_%s%s %s\n", family, suffix, help, family, suffix, type);
}

/* ---- counters ---- */

static const struct counter_row {
    size_t            at;
    enum metric_level level;
    const char       *family, *label, *help;
} counter_rows[] = {
#define COUNTER_ROW(name, of, family, label, help) \
    { offsetof(struct metric_counts, name), METRIC_OF_##of, family, label, help },
    METRIC_COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
};

static void counter_line(FILE *to, const struct counter_row *row, const struct source *s)
{
    uint64_t value;

    if (is_worker(s) != (row->level == METRIC_OF_WORKER))
        return;
    memcpy(&value, (const char *)&s->counts + row->at, sizeof value);
    fprintf(to, "iomuxd_%s_total{%s%s", row->family, row->label, *row->label != '\0' ? "," : "");
    labels_put(to, s);
    fprintf(to, "} %" PRIu64 "\n", value);
}

static void counters_put(FILE *to, const struct sources *s)
{
    const char *family = "";

    for (size_t i = 0; i < sizeof counter_rows / sizeof *counter_rows; i++) {
        const struct counter_row *row = &counter_rows[i];

        if (strcmp(row->family, family) != 0)
            head_put(to, row->family, "_total", "counter", row->help);
        family = row->family;
        for (unsigned j = 0; j < s->count; j++)
            counter_line(to, row, &s->v[j]);
    }
}

/* ---- what processes have used ---- */

static const struct use_row {
    size_t      at;
    double      scale;
    const char *family, *label, *help;
} use_rows[] = {
#define USE_ROW(name, family, label, scale, help) { offsetof(struct metric_usage, name), scale, family, label, help },
    METRIC_USES(USE_ROW)
#undef USE_ROW
};

static void uses_put(FILE *to, const struct sources *s)
{
    const char *family = "";

    for (size_t i = 0; i < sizeof use_rows / sizeof *use_rows; i++) {
        const struct use_row *row = &use_rows[i];

        if (strcmp(row->family, family) != 0)
            head_put(to, row->family, "_total", "counter", row->help);
        family = row->family;
        for (unsigned j = 0; j < s->count; j++) {
            uint64_t value;

            if (!is_worker(&s->v[j]))
                continue;
            memcpy(&value, (const char *)&s->v[j].used + row->at, sizeof value);
            fprintf(to, "iomuxd_%s_total{%s,", row->family, row->label);
            labels_put(to, &s->v[j]);
            fprintf(to, "} %.10g\n", (double)value * row->scale);
        }
    }
}

/* ---- times ---- */

/* Bounds of buckets: 1, 2 and 5 in each power of ten.  Finer ones, of which these are made, are right within 1 %. */
static const uint64_t bounds_us[] = {
    10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000,
    10000000, 20000000, 50000000, 100000000
};

static void time_labels_put(FILE *to, const struct source *s)
{
    fprintf(to, "service=\"%s\",pool=\"%s\",model=\"%s\"", s->service, s->owner.pool, s->owner.model);
}

static void histogram_put(FILE *to, const char *family, const struct histogram *h, const struct source *s)
{
    uint64_t below = 0;
    unsigned at = 0;

    for (size_t i = 0; i < sizeof bounds_us / sizeof *bounds_us; i++) {
        while (at < HISTOGRAM_BUCKETS && histogram_bucket_begin(at) <= bounds_us[i] &&
               histogram_bucket_begin(at) < HISTOGRAM_TOP_US)
            below += h->counts[at++];
        fprintf(to, "iomuxd_%s_seconds_bucket{", family);
        time_labels_put(to, s);
        fprintf(to, ",le=\"%.10g\"} %" PRIu64 "\n", (double)bounds_us[i] * 1e-6, below);
    }
    while (at < HISTOGRAM_BUCKETS)
        below += h->counts[at++];
    fprintf(to, "iomuxd_%s_seconds_bucket{", family);
    time_labels_put(to, s);
    fprintf(to, ",le=\"+Inf\"} %" PRIu64 "\niomuxd_%s_seconds_sum{", below, family);
    time_labels_put(to, s);
    fprintf(to, "} %.10g\niomuxd_%s_seconds_count{", (double)h->sum_us * 1e-6, family);
    time_labels_put(to, s);
    fprintf(to, "} %" PRIu64 "\n", below);
}

/* The first of the same service, pool and model speaks for all of them. */
static bool speaks_for_pool(const struct sources *s, unsigned at)
{
    const struct source *one = &s->v[at];

    for (unsigned i = 0; i < at; i++)
        if (strcmp(s->v[i].service, one->service) == 0 &&
            strcmp(s->v[i].owner.pool, one->owner.pool) == 0 && strcmp(s->v[i].owner.model, one->owner.model) == 0)
            return false;
    return true;
}

static void time_family_put(FILE *to, const struct sources *s, const struct ledger *t, const char *family, size_t offset,
                            struct ledger_figures *f)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct source *one = &s->v[i];

        if (is_worker(one) || !speaks_for_pool(s, i))
            continue;
        ledger_gather(t, &(struct ledger_query){ .pool = one->owner.pool, .model = one->owner.model,
                                                 .service = one->service, .slot = -1 }, f);
        histogram_put(to, family, (const void *)((const char *)&f->times + offset), one);
    }
}

static void times_put(FILE *to, const struct sources *s, const struct ledger *t, struct ledger_figures *f)
{
#define TIME_FAMILY(name, family, help)                                     \
    head_put(to, family, "_seconds", "histogram", help);                    \
    time_family_put(to, s, t, family, offsetof(struct metric_times, name), f);
    METRIC_TIMES(TIME_FAMILY)
#undef TIME_FAMILY
}

/* ---- what is now ---- */

static void connections_put(FILE *to, const struct sources *s)
{
    head_put(to, "connections", "", "gauge", "connections that are open, by what they do");
    for (unsigned i = 0; i < s->count; i++) {
        uint64_t open = metric_open(&s->v[i].counts), idle = metric_idle(&s->v[i].counts);

        if (is_worker(&s->v[i]))
            continue;
        fputs("iomuxd_connections{state=\"active\",", to);
        labels_put(to, &s->v[i]);
        fprintf(to, "} %" PRIu64 "\niomuxd_connections{state=\"idle\",", open > idle ? open - idle : 0);
        labels_put(to, &s->v[i]);
        fprintf(to, "} %" PRIu64 "\n", idle);
    }
    head_put(to, "waiting_bytes", "", "gauge", "bytes in output queues that wait to be sent");
    for (unsigned i = 0; i < s->count; i++) {
        if (is_worker(&s->v[i]))
            continue;
        fputs("iomuxd_waiting_bytes{", to);
        labels_put(to, &s->v[i]);
        fprintf(to, "} %" PRIu64 "\n", metric_waiting_bytes(&s->v[i].counts));
    }
    head_put(to, "worker_up", "", "gauge", "whether a worker of this name lives");
    for (unsigned i = 0; i < s->count; i++) {
        if (!is_worker(&s->v[i]))
            continue;
        fputs("iomuxd_worker_up{", to);
        labels_put(to, &s->v[i]);
        fprintf(to, "} %d\n", s->v[i].alive > 0);
    }
}

static const struct gauge_row {
    size_t      at;
    const char *family, *help;
} gauge_rows[] = {
#define GAUGE_ROW(name, family, help) { offsetof(struct metric_gauges, name), family, help },
    METRIC_GAUGES(GAUGE_ROW)
#undef GAUGE_ROW
};

/* Of each service once, whoever serves it. */
static void gauge_put(FILE *to, const struct ledger *t, const struct gauge_row *row)
{
    char service[LEDGER_NAME_SIZE];

    head_put(to, row->family, "", "gauge", row->help);
    for (unsigned i = 0; ledger_service(t, i, service); i++) {
        struct metric_gauges now;
        uint64_t value;

        if (ledger_has_service(t, i, service) || !ledger_gauges_of(t, service, &now))
            continue;
        memcpy(&value, (const char *)&now + row->at, sizeof value);
        fprintf(to, "iomuxd_%s{service=\"%s\"} %" PRIu64 "\n", row->family, service, value);
    }
}

static void gauges_put(FILE *to, const struct ledger *t)
{
    for (size_t i = 0; i < sizeof gauge_rows / sizeof *gauge_rows; i++)
        gauge_put(to, t, &gauge_rows[i]);
}

static void life_put(FILE *to, const struct ledger *t)
{
    struct ledger_life life = ledger_life_of(t);

    head_put(to, "info", "", "gauge", "the version of the daemon");
    fprintf(to, "iomuxd_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
    head_put(to, "start_time_seconds", "", "gauge", "when the daemon began, seconds since 1970");
    fprintf(to, "iomuxd_start_time_seconds %lld\n", (long long)life.began_s);
    head_put(to, "generation", "", "gauge", "the number of the configuration that serves");
    fprintf(to, "iomuxd_generation %u\n", life.generation);
    head_put(to, "reloads", "_total", "counter", "reloads, by how they ended");
    fprintf(to, "iomuxd_reloads_total{result=\"ok\"} %" PRIu64 "\niomuxd_reloads_total{result=\"failed\"} %" PRIu64 "\n",
            life.reloads_ok, life.reloads_failed);
    head_put(to, "log_lines_lost", "_total", "counter", "log lines lost behind the workers, by log: no room, or an error");
    fprintf(to, "iomuxd_log_lines_lost_total{log=\"daemon\"} %" PRIu64 "\niomuxd_log_lines_lost_total{log=\"access\"} %" PRIu64
            "\n", life.log_lost, life.access_lost);
    head_put(to, "last_reload_successful", "", "gauge", "whether the last reload was taken over; 1 also before the first");
    fprintf(to, "iomuxd_last_reload_successful %d\n", life.attempt == 0 || life.reload_ok);
    head_put(to, "last_reload_time_seconds", "", "gauge", "when the last reload ended, seconds since 1970; 0: there was none");
    fprintf(to, "iomuxd_last_reload_time_seconds %lld\n", (long long)life.reload_s);
}

char *live_metrics(const struct ledger *t, size_t *n)
{
    struct ledger_figures *f = malloc(sizeof *f);
    char *text = NULL;
    FILE *to = f != NULL ? open_memstream(&text, n) : NULL;
    struct sources s;

    if (to == NULL) {
        free(f);
        return NULL;
    }
    sources_find(&s, t, f);
    life_put(to, t);
    connections_put(to, &s);
    gauges_put(to, t);
    counters_put(to, &s);
    uses_put(to, &s);
    times_put(to, &s, t, f);
    if (fclose(to) != 0 || s.v == NULL) {
        free(text);
        text = NULL;
    }
    free(s.v);
    free(f);
    return text;
}
