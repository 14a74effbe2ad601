/* SPDX-License-Identifier: BSD-2-Clause */
/* What came of it, as lines for people and as JSON for programs, and whether the client itself was the limit. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/model.h"
#include "load/load.h"

enum {
    LATE_US = 1000              /* one request in a hundred sent later than this: the client was the limit */
};

static const double BUSY = 0.9; /* of a CPU: the client has no time left to measure with */

static const struct quantile {
    const char *name;
    double      part;
} quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 }, { "max", 1 } };

enum { QUANTILES = sizeof quantiles / sizeof *quantiles };

struct result {
    const struct load  *load;
    struct client_sheet sum;
    double   seconds;           /* that were measured */
    double   rate;              /* answers a second */
    double   busiest;           /* part of a CPU that the busiest worker took */
    double   cpu_s, user_s, system_s;
    bool     cpu_known;         /* a model that never waits takes a whole CPU, and that says nothing */
    bool     busy, late;
    uint64_t idle_open;
    struct metric_counts calls;
};

void load_sum(const struct load *l, struct client_sheet *sum)
{
    for (unsigned i = 0; i < l->options->workers; i++) {
        const struct client_sheet *s = &l->page->slots[i].sheet;
#define SHEET_ADD(name, help) sum->name += __atomic_load_n(&s->name, __ATOMIC_RELAXED);
        CLIENT_COUNTERS(SHEET_ADD)
#undef SHEET_ADD
        uint64_t last_us = __atomic_load_n(&s->last_us, __ATOMIC_RELAXED);
        sum->last_us = last_us > sum->last_us ? last_us : sum->last_us;
        histogram_merge(&sum->latency, &s->latency);
        histogram_merge(&sum->service, &s->service);
        histogram_merge(&sum->late, &s->late);
    }
}

uint64_t load_errors(const struct client_sheet *s)
{
    uint64_t n = 0;
#define ERROR_ADD(name) n += s->name;
    CLIENT_ERRORS(ERROR_ADD)
#undef ERROR_ADD
    return n;
}

/* A run that ends after so many requests lasts until the last of them was answered; one that is stopped, until then. */
static double seconds_of(const struct result *r)
{
    const struct client_times *t = &r->load->page->times;
    uint64_t end_us = t->stop > 1 && t->stop < t->end_us ? t->stop : t->end_us;
    if (r->load->options->requests > 0 && r->sum.last_us > 0 && r->sum.last_us < end_us)
        end_us = r->sum.last_us;
    return t->measure_us > 0 && end_us > t->measure_us && end_us != UINT64_MAX ? (double)(end_us - t->measure_us) / 1e6 : 0;
}

static void add_worker(struct result *r, const struct load_slot *s)
{
    double cpu_us = (double)(s->user_us + s->system_us), part = 0;
    if (s->end_us > s->begin_us)
        part = cpu_us / (double)(s->end_us - s->begin_us);
    r->busiest = part > r->busiest ? part : r->busiest;
    r->user_s += (double)s->user_us / 1e6;
    r->system_s += (double)s->system_us / 1e6;
    r->idle_open += s->idle_open;
    r->calls.wakeups += s->metric.total.wakeups;
    r->calls.receives += s->metric.total.receives;
    r->calls.sends += s->metric.total.sends;
    r->calls.bytes_received += s->metric.total.bytes_received;
    r->calls.bytes_sent += s->metric.total.bytes_sent;
}

static void result_make(struct result *r, const struct load *l)
{
    r->load = l;
    load_sum(l, &r->sum);
    for (unsigned i = 0; i < l->options->workers; i++)
        add_worker(r, &l->page->slots[i]);
    r->seconds = seconds_of(r);
    uint64_t answers = l->options->requests > 0 ? r->sum.measured : r->sum.in_time;
    r->rate = r->seconds > 0 ? (double)answers / r->seconds : 0;
    r->cpu_s = r->user_s + r->system_s;
    r->cpu_known = strcmp(l->model->family, "non-blocking") != 0;
    r->busy = r->cpu_known && r->busiest >= BUSY;
    r->late = histogram_quantile(&r->sum.late, 0.99) > LATE_US;
}

static const char *time_text(char text[32], uint64_t us)
{
    if (us < 1000)
        snprintf(text, 32, "%llu us", (unsigned long long)us);
    else if (us < 1000000)
        snprintf(text, 32, "%.2f ms", (double)us / 1e3);
    else
        snprintf(text, 32, "%.2f s", (double)us / 1e6);
    return text;
}

static void print_times(const char *name, const struct histogram *h)
{
    char text[32];
    printf("%-10s", name);
    for (size_t i = 0; i < QUANTILES; i++)
        printf("%s %s  ", quantiles[i].name, time_text(text, histogram_quantile(h, quantiles[i].part)));
    printf("mean %s\n", time_text(text, histogram_mean(h)));
}

static void print_errors(const struct client_sheet *s)
{
    const char *between = "";
    printf("errors    ");
    if (load_errors(s) == 0)
        printf("none");
#define ERROR_PRINT(name)                                                               \
    if (s->name > 0) {                                                                  \
        printf("%s%s %llu", between, #name, (unsigned long long)s->name);               \
        between = ", ";                                                                 \
    }
    CLIENT_ERRORS(ERROR_PRINT)
#undef ERROR_PRINT
    putchar('\n');
}

static void print_client(const struct result *r)
{
    char text[32];
    printf("client    ");
    if (r->cpu_known)
        printf("%.0f %% of a CPU in the busiest worker", 100 * r->busiest);
    else
        printf("a whole CPU, as this model always takes");
    if (r->load->options->rate > 0)
        printf("; sent late by %s in p99", time_text(text, histogram_quantile(&r->sum.late, 0.99)));
    printf(r->busy || r->late ? "\nlimit     the client, not the server, was the limit: %s%s%s\n" : "%s%s%s\n",
           r->busy ? "it had no CPU time left" : "", r->busy && r->late ? ", and " : "", r->late ? "it sent too late" : "");
}

static const char *plural_end(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void print_lines(const struct result *r)
{
    const struct load_options *o = r->load->options;
    const struct client_sheet *s = &r->sum;
    printf("%s: %u connection%s, %u idle, %u worker%s, model %s, %s loop\n", o->url, o->connections,
           plural_end(o->connections), o->idle, o->workers, plural_end(o->workers), r->load->model->name,
           o->rate > 0 ? "open" : "closed");
    printf("requests  %llu in %.2f s, %.1f a second", (unsigned long long)s->measured, r->seconds, r->rate);
    if (o->rate > 0)
        printf(" (asked for: %g)", o->rate);
    printf("; %llu sent in all\n", (unsigned long long)s->sent);
    print_times("latency", &s->latency);
    if (o->rate > 0)
        print_times("  if sent", &s->service);
    printf("bytes     %llu, %.2f MB a second\n", (unsigned long long)s->bytes,
           r->seconds > 0 ? (double)s->bytes / r->seconds / 1e6 : 0);
    if (o->idle > 0)
        printf("idle      %llu of %u rested when it began, %llu were closed by the server\n",
               (unsigned long long)r->idle_open, o->idle, (unsigned long long)s->idle_lost);
    print_errors(s);
    print_client(r);
}

static json_t *json_of_times(const struct histogram *h)
{
    json_t *o = json_pack("{s:I, s:I}", "count", (json_int_t)histogram_count(h), "mean_us", (json_int_t)histogram_mean(h));
    json_t *buckets = json_array();
    for (size_t i = 0; i < QUANTILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s_us", quantiles[i].name);
        json_object_set_new(o, name, json_integer((json_int_t)histogram_quantile(h, quantiles[i].part)));
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->counts[i] > 0)
            json_array_append_new(buckets, json_pack("[I, I]", (json_int_t)histogram_bucket_begin(i),
                                                     (json_int_t)h->counts[i]));
    json_object_set_new(o, "histogram_us", buckets);
    return o;
}

static json_t *json_of_counts(const struct client_sheet *s)
{
    json_t *o = json_object();
#define COUNT_SET(name, help) json_object_set_new(o, #name, json_integer((json_int_t)s->name));
    CLIENT_COUNTERS(COUNT_SET)
#undef COUNT_SET
    return o;
}

static json_t *json_of_errors(const struct client_sheet *s)
{
    json_t *o = json_pack("{s:I}", "total", (json_int_t)load_errors(s));
#define ERROR_SET(name) json_object_set_new(o, #name, json_integer((json_int_t)s->name));
    CLIENT_ERRORS(ERROR_SET)
#undef ERROR_SET
    return o;
}

static json_t *json_of_client(const struct result *r)
{
    json_t *o = json_pack("{s:f, s:f, s:f, s:b, s:b, s:b}", "busiest_worker_cpu", r->busiest, "user_s", r->user_s,
                          "system_s", r->system_s, "limit", r->busy || r->late, "limit_cpu", r->busy, "limit_late", r->late);
    json_object_set_new(o, "wakeups", json_integer((json_int_t)r->calls.wakeups));
    json_object_set_new(o, "receives", json_integer((json_int_t)r->calls.receives));
    json_object_set_new(o, "sends", json_integer((json_int_t)r->calls.sends));
    json_object_set_new(o, "bytes_received", json_integer((json_int_t)r->calls.bytes_received));
    json_object_set_new(o, "bytes_sent", json_integer((json_int_t)r->calls.bytes_sent));
    return o;
}

static json_t *json_of_options(const struct load *l)
{
    const struct load_options *o = l->options;
    json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:b}", "url", o->url, "io_model", l->model->name, "connections",
                          (int)o->connections, "idle", (int)o->idle, "workers", (int)o->workers, "pipeline", (int)o->depth,
                          "keep_alive", !o->one_each);
    json_object_set_new(j, "rate", o->rate > 0 ? json_real(o->rate) : json_null());
    json_object_set_new(j, "requests", o->requests > 0 ? json_integer((json_int_t)o->requests) : json_null());
    json_object_set_new(j, "duration_s", json_real(o->duration_s));
    json_object_set_new(j, "warm_up_s", json_real(o->warm_s));
    json_object_set_new(j, "timeout_s", json_real(o->timeout_s));
    json_object_set_new(j, "sources", json_integer((json_int_t)l->target->source_count));
    return j;
}

static json_t *json_of_result(const struct result *r)
{
    json_t *o = json_pack("{s:s, s:o, s:f, s:I, s:f}", "program", "iomux-load " PACKAGE_VERSION,
                          "options", json_of_options(r->load), "seconds", r->seconds,
                          "requests", (json_int_t)r->sum.measured, "rate", r->rate);
    json_object_set_new(o, "latency", json_of_times(&r->sum.latency));
    json_object_set_new(o, "latency_if_sent", json_of_times(&r->sum.service));
    json_object_set_new(o, "late", json_of_times(&r->sum.late));
    json_object_set_new(o, "counts", json_of_counts(&r->sum));
    json_object_set_new(o, "errors", json_of_errors(&r->sum));
    json_object_set_new(o, "idle_open", json_integer((json_int_t)r->idle_open));
    json_object_set_new(o, "client", json_of_client(r));
    return o;
}

static int json_write(const struct result *r, const char *path)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(path, "we");
    json_t *o = json_of_result(r);
    int result = f != NULL && o != NULL && json_dumpf(o, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 ? 0 : -1;
    json_decref(o);
    if (f != NULL)
        fputc('\n', f);
    if (f != NULL && (to_stdout ? fflush(f) : fclose(f)) != 0)
        result = -1;
    if (result == -1)
        fprintf(stderr, "iomux-load: cannot write %s: %s\n", path, strerror(errno));
    return result;
}

/* Nothing answered is no success either. */
int load_report(const struct load *l)
{
    const char *json = l->options->json;
    struct result *r = calloc(1, sizeof *r);
    if (r == NULL)
        return EXIT_FAILURE;
    result_make(r, l);
    int status = load_errors(&r->sum) == 0 && r->sum.measured > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (json == NULL || strcmp(json, "-") != 0)
        print_lines(r);
    if (json != NULL && json_write(r, json) == -1)
        status = EXIT_FAILURE;
    if (fflush(stdout) != 0)
        status = EXIT_FAILURE;
    free(r);
    return status;
}
