/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers as tables.  What is not in an answer is shown as nothing, so that another version of the daemon can be
 * asked too. */
#include "ctl/ctl_show.h"

#include <stdint.h>
#include <string.h>

#include "ctl/ctl_table.h"
#include "ctl/ctl_talk.h"

/* "4.7 us", or "-" where there is nothing to share. */
static void table_share(struct table *t, const json_t *share, const char *unit)
{
    char text[TABLE_TEXT_SIZE] = "-";

    if (json_is_number(share))
        snprintf(text, sizeof text, json_number_value(share) < 99.5 ? "%.2f%s" : "%.0f%s", json_number_value(share), unit);
    table_text(t, text);
}

#define COLUMNS(list) (list), sizeof(list) / sizeof *(list)

static void show_reload(const json_t *r, FILE *to)
{
    const json_t *errors = json_object_get(r, "errors");

    if (!json_is_object(r))
        return;
    fprintf(to, "%-14s%s at %s, after %lld ms\n", "last reload", json_is_true(json_object_get(r, "ok")) ? "ok" : "failed",
            talk_text(r, "when"), (long long)talk_number(r, "took_ms"));
    for (size_t i = 0; i < json_array_size(errors); i++)
        fprintf(to, "%-14s%s\n", "", talk_element(errors, i));
}

static void show_overrides(const json_t *all, FILE *to)
{
    for (size_t i = 0; i < json_array_size(all); i++)
        fprintf(to, "%-14s%s\n", i == 0 ? "set" : "", talk_element(all, i));
}

static void show_totals(const json_t *answer, FILE *to)
{
    const json_t *totals = json_object_get(answer, "totals");
    char in[TABLE_TEXT_SIZE], out[TABLE_TEXT_SIZE];

    fprintf(to, "%-14s%lld now, %lld since the start\n", "connections", (long long)talk_number(answer, "connections"),
            (long long)talk_number(totals, "accepted"));
    fprintf(to, "%-14s%lld requests, %lld messages, %lld datagrams\n", "served", (long long)talk_number(totals, "requests"),
            (long long)talk_number(totals, "messages"), (long long)talk_number(totals, "datagrams"));
    fprintf(to, "%-14s%s received, %s sent\n", "traffic", text_of_bytes(in, talk_number(totals, "bytes_received")),
            text_of_bytes(out, talk_number(totals, "bytes_sent")));
}

static void show_log(const json_t *answer, FILE *to)
{
    const json_t *log = json_object_get(answer, "log");
    long long lines = (long long)talk_number(log, "log_dropped"), access = (long long)talk_number(log, "access_dropped");

    fprintf(to, "%-14slevel %s", "log", talk_text(answer, "log_level"));
    if (talk_number(log, "pid") > 0)
        fprintf(to, ", logger pid %lld", (long long)talk_number(log, "pid"));
    else if (json_is_object(log))
        fputs(", no logger", to);
    if (lines + access > 0)
        fprintf(to, "; dropped: %lld line%s, %lld access line%s", lines, lines == 1 ? "" : "s", access,
                access == 1 ? "" : "s");
    putc('\n', to);
}

static void show_generations(const json_t *answer, FILE *to)
{
    static const struct table_column columns[] = {
        { "GENERATION", true }, { "STATE", false }, { "WORKERS", true }, { "BEGAN", false }
    };
    const json_t *all = json_object_get(answer, "generations");
    struct table t;

    if (json_array_size(all) < 2)
        return;
    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        table_number(&t, talk_number(one, "generation"));
        table_text(&t, talk_text(one, "state"));
        table_number(&t, talk_number(one, "workers"));
        table_text(&t, talk_text(one, "began"));
    }
    putc('\n', to);
    table_end(&t, to, SIZE_MAX, 0, "\n");
}

static void show_listeners(const json_t *answer, FILE *to)
{
    static const struct table_column columns[] = {
        { "SERVICE", false }, { "PROTOCOL", false }, { "SOCKETS", true }, { "WAITING", true }, { "ADDRESS", false }
    };
    const json_t *all = json_object_get(answer, "listeners");
    struct table t;

    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        table_text(&t, talk_text(one, "service"));
        table_text(&t, talk_text(one, "protocol"));
        table_number(&t, talk_number(one, "sockets"));
        if (json_is_integer(json_object_get(one, "waiting")))
            table_number(&t, talk_number(one, "waiting"));
        else
            table_text(&t, "-");
        table_text(&t, talk_text(one, "address"));
    }
    putc('\n', to);
    table_end(&t, to, SIZE_MAX, 0, "\n");
}

static void show_workers(const json_t *answer, FILE *to)
{
    static const struct table_column columns[] = {
        { "WORKER", false }, { "PID", true }, { "GEN", true }, { "MODEL", false }, { "STATE", false }, { "AGE", true },
        { "CONNECTIONS", true }, { "REQUESTS", true }, { "RECEIVED", true }, { "SENT", true }, { "SANDBOX", false }
    };
    const json_t *all = json_object_get(answer, "workers");
    struct table t;

    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        table_text(&t, talk_text(one, "worker"));
        table_number(&t, talk_number(one, "pid"));
        table_number(&t, talk_number(one, "generation"));
        table_text(&t, talk_text(one, "model"));
        table_text(&t, talk_text(one, "state"));
        table_age(&t, talk_number(one, "age_s"));
        table_count(&t, talk_number(one, "connections"));
        table_count(&t, talk_number(one, "requests"));
        table_bytes(&t, talk_number(one, "bytes_received"));
        table_bytes(&t, talk_number(one, "bytes_sent"));
        table_text(&t, talk_text(one, "sandbox"));
    }
    putc('\n', to);
    table_end(&t, to, SIZE_MAX, 0, "\n");
}

/* Two models on the same traffic are told apart here. */
static void show_pools(const json_t *answer, FILE *to)
{
    static const struct table_column columns[] = {
        { "POOL", false }, { "MODEL", false }, { "WORKERS", true }, { "CONNECTIONS", true }, { "REQUESTS", true },
        { "P50", true }, { "P99", true }, { "P99.9", true }, { "CPU/REQ", true }, { "SWITCHES/REQ", true },
        { "CALLS/REQ", true }
    };
    const json_t *all = json_object_get(answer, "pools");
    struct table t;

    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i), *totals = json_object_get(one, "totals");
        const json_t *times = json_object_get(one, "request");

        table_text(&t, talk_text(one, "pool"));
        table_text(&t, talk_text(one, "model"));
        table_number(&t, talk_number(one, "workers"));
        table_count(&t, talk_number(one, "connections"));
        table_count(&t, talk_number(totals, "requests") + talk_number(totals, "messages") +
                        talk_number(totals, "datagrams"));
        table_micros(&t, talk_number(times, "p50_us"), talk_number(times, "count") > 0);
        table_micros(&t, talk_number(times, "p99_us"), talk_number(times, "count") > 0);
        table_micros(&t, talk_number(times, "p999_us"), talk_number(times, "count") > 0);
        table_share(&t, json_object_get(one, "cpu_us_per_request"), " us");
        table_share(&t, json_object_get(one, "switches_per_request"), "");
        table_share(&t, json_object_get(one, "system_calls_per_request"), "");
    }
    putc('\n', to);
    table_end(&t, to, SIZE_MAX, 0, "\n");
}

void show_status(const json_t *answer, FILE *to)
{
    char age[TABLE_TEXT_SIZE];

    fprintf(to, "iomuxd %s (pid %lld): %s, generation %lld, up %s\n", talk_text(answer, "version"),
            (long long)talk_number(answer, "pid"), talk_text(answer, "state"),
            (long long)talk_number(answer, "generation"), text_of_age(age, talk_number(answer, "uptime_s")));
    fprintf(to, "%-14s%s\n", "configuration", talk_text(answer, "configuration"));
    show_overrides(json_object_get(answer, "overrides"), to);
    show_log(answer, to);
    show_reload(json_object_get(answer, "reload"), to);
    show_totals(answer, to);
    show_generations(answer, to);
    show_listeners(answer, to);
    show_pools(answer, to);
    show_workers(answer, to);
}

size_t show_connection_rows(const json_t *list, FILE *to, size_t rows, size_t width, const char *end)
{
    static const struct table_column columns[] = {
        { "PEER", false }, { "SERVICE", false }, { "WORKER", false }, { "MODEL", false }, { "STATE", false },
        { "AGE", true }, { "RECEIVED", true }, { "SENT", true }
    };
    struct table t;

    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(list) && i < rows; i++) {
        const json_t *one = json_array_get(list, i);

        table_text(&t, talk_text(one, "peer"));
        table_text(&t, talk_text(one, "service"));
        table_text(&t, talk_text(one, "worker"));
        table_text(&t, talk_text(one, "model"));
        table_text(&t, talk_text(one, "state"));
        table_age(&t, talk_number(one, "age_s"));
        table_bytes(&t, talk_number(one, "received"));
        table_bytes(&t, talk_number(one, "sent"));
    }
    return table_end(&t, to, SIZE_MAX, width, end);
}

void show_connections(const json_t *answer, FILE *to)
{
    const json_t *list = json_object_get(answer, "connections");
    const json_t *silent = json_object_get(answer, "silent_workers");

    show_connection_rows(list, to, SIZE_MAX, 0, "\n");
    if ((json_int_t)json_array_size(list) < talk_number(answer, "total"))
        fprintf(to, "%zu of %lld connections are shown (--limit)\n", json_array_size(list),
                (long long)talk_number(answer, "total"));
    for (size_t i = 0; i < json_array_size(silent); i++)
        fprintf(to, "worker %s has not answered: its connections are missing\n", talk_element(silent, i));
}

void show_models(const json_t *answer, FILE *to)
{
    static const struct table_column columns[] = {
        { "MODEL", false }, { "FAMILY", false }, { "HERE", false }, { "REMARK", false }
    };
    const json_t *all = json_object_get(answer, "models");
    struct table t;

    table_begin(&t, COLUMNS(columns));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        table_text(&t, talk_text(one, "model"));
        table_text(&t, talk_text(one, "family"));
        table_text(&t, json_is_true(json_object_get(one, "available")) ? "yes" : "no");
        table_text(&t, talk_text(one, "remark"));
    }
    table_end(&t, to, SIZE_MAX, 0, "\n");
}

void show_version(const json_t *answer, FILE *to)
{
    fprintf(to, "iomuxctl %s\niomuxd   %s (pid %lld; features: %s)\n", PACKAGE_VERSION, talk_text(answer, "version"),
            (long long)talk_number(answer, "pid"), talk_text(answer, "features"));
}
