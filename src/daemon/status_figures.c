/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics as JSON.  Looks at the ledger, from which everything comes, and changes nothing. */
#include "daemon/status_figures.h"

#include <stdlib.h>
#include <string.h>

static void figure_number(json_t *to, const char *key, uint64_t n)
{
    json_object_set_new(to, key, json_integer((json_int_t)n));
}

json_t *figures_counters(const struct metric_counts *c, enum metric_level level)
{
    json_t *all = json_object();

#define FIGURE_COUNTER(name, of, ...)           \
    if (METRIC_OF_##of <= level)                \
        figure_number(all, #name, c->name);
    METRIC_COUNTERS(FIGURE_COUNTER)
#undef FIGURE_COUNTER
    return all;
}

static json_t *figures_time(const struct histogram *h)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)histogram_count(h),
                     "mean_us", (json_int_t)histogram_mean(h),
                     "p50_us", (json_int_t)histogram_quantile(h, 0.5), "p90_us", (json_int_t)histogram_quantile(h, 0.9),
                     "p99_us", (json_int_t)histogram_quantile(h, 0.99),
                     "p999_us", (json_int_t)histogram_quantile(h, 0.999), "max_us", (json_int_t)h->max_us);
}

/* What is served, whatever it is called: the measure for what it costs. */
static uint64_t served(const struct metric_counts *c)
{
    return c->requests + c->messages + c->datagrams;
}

static void figure_share(json_t *to, const char *key, uint64_t n, uint64_t of)
{
    json_object_set_new(to, key, of > 0 ? json_real((double)n / (double)of) : json_null());
}

static void figure_times(json_t *to, const struct metric_times *t)
{
#define FIGURE_TIME(name, ...) json_object_set_new(to, #name, figures_time(&t->name));
    METRIC_TIMES(FIGURE_TIME)
#undef FIGURE_TIME
}

static void figure_usage(json_t *to, const struct ledger_figures *f)
{
    const struct metric_usage *u = &f->used;
    uint64_t n = served(&f->counts);

#define FIGURE_USE(name, ...) figure_number(to, #name, u->name);
    METRIC_USES(FIGURE_USE)
#undef FIGURE_USE
    figure_share(to, "cpu_us_per_request", u->cpu_user_us + u->cpu_system_us, n);
    figure_share(to, "switches_per_request", u->switches_own + u->switches_forced, n);
    figure_share(to, "system_calls_per_request", f->counts.syscalls, n);
    figure_share(to, "events_per_wakeup", f->counts.events, f->counts.wakeups);
}

static void figures_put(json_t *to, const struct ledger_figures *f, enum metric_level level)
{
    figure_number(to, "connections", f->active);
    figure_number(to, "idle", metric_idle(&f->counts));
    figure_number(to, "waiting_bytes", metric_waiting_bytes(&f->counts));
    figure_times(to, &f->times);
    json_object_set_new(to, "totals", figures_counters(&f->counts, level));
}

/* null: not known. */
static void figure_gauges(json_t *to, const struct ledger *t, const char *service)
{
    struct metric_gauges now;
    bool known = ledger_gauges_of(t, service, &now);

#define FIGURE_GAUGE(name, ...) \
    json_object_set_new(to, #name, known ? json_integer((json_int_t)now.name) : json_null());
    METRIC_GAUGES(FIGURE_GAUGE)
#undef FIGURE_GAUGE
}

static json_t *pool_figures(const struct ledger *t, const struct ledger_owner *o, struct ledger_figures *f)
{
    json_t *one = json_object();

    ledger_gather(t, &(struct ledger_query){ .pool = o->pool, .model = o->model, .slot = -1 }, f);
    json_object_set_new(one, "pool", json_string(o->pool));
    json_object_set_new(one, "model", json_string(o->model));
    figure_number(one, "workers", f->workers);
    figures_put(one, f, METRIC_OF_WORKER);
    figure_usage(one, f);
    return one;
}

/* Those that are not empty. */
static json_t *figures_buckets(const struct histogram *h)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->counts[i] == 0)
            continue;
        json_array_append_new(all, json_integer((json_int_t)histogram_bucket_begin(i)));
        json_array_append_new(all, json_integer((json_int_t)h->counts[i]));
    }
    return all;
}

json_t *figures_pools(const struct ledger *t, bool buckets)
{
    struct ledger_figures *f = malloc(sizeof *f);
    json_t *all = json_array();
    struct ledger_owner o;

    for (unsigned i = 0; f != NULL && ledger_nth(t, i, &o); i++) {
        json_t *one;

        if (ledger_has_pool(t, i, &o))
            continue;
        one = pool_figures(t, &o, f);
        if (buckets)
            json_object_set_new(one, "request_buckets", figures_buckets(&f->times.request));
        json_array_append_new(all, one);
    }
    free(f);
    return all;
}

json_t *figures_services(const struct ledger *t)
{
    struct ledger_figures *f = malloc(sizeof *f);
    json_t *all = json_array();
    char service[LEDGER_NAME_SIZE];

    for (unsigned i = 0; f != NULL && ledger_service(t, i, service); i++) {
        json_t *one;

        if (ledger_has_service(t, i, service))
            continue;
        one = json_object();
        ledger_gather(t, &(struct ledger_query){ .service = service, .slot = -1 }, f);
        json_object_set_new(one, "service", json_string(service));
        figures_put(one, f, METRIC_OF_SERVICE);
        figure_gauges(one, t, service);
        json_array_append_new(all, one);
    }
    free(f);
    return all;
}

json_t *figures_all(const struct ledger *t)
{
    struct ledger_figures *f = malloc(sizeof *f);
    json_t *all = json_object();

    if (f == NULL)
        return all;
    ledger_gather(t, &(struct ledger_query){ .slot = -1 }, f);
    figure_number(all, "idle", metric_idle(&f->counts));
    figure_number(all, "waiting_bytes", metric_waiting_bytes(&f->counts));
    figure_times(all, &f->times);
    figure_usage(all, f);
    free(f);
    return all;
}
