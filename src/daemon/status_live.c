/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics as JSON for the page that shows them, from the ledger alone: workers say this.  What it sums up is what
 * iomuxctl says too; beside that it has the buckets of times, of which the page makes those of a while. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/live.h"
#include "daemon/status_figures.h"

static json_t *reload_live(const struct ledger_life *life)
{
    if (life->attempt == 0)
        return json_null();
    return json_pack("{s:b, s:I, s:I}", "ok", life->reload_ok, "when_s", (json_int_t)life->reload_s,
                     "took_ms", (json_int_t)life->reload_ms);
}

static json_t *worker_live(const struct ledger *t, unsigned slot, const struct ledger_owner *o)
{
    const struct metric_slot *s = &t->slots[slot];
    struct metric_slot sum;

    ledger_read(t, (int)slot, &sum);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I}", "worker", o->worker, "pool", o->pool,
                     "model", o->model, "generation", (int)o->generation, "pid", (int)o->pid,
                     "connections", (json_int_t)__atomic_load_n(&s->active, __ATOMIC_RELAXED),
                     "requests", (json_int_t)sum.total.requests,
                     "messages", (json_int_t)sum.total.messages, "datagrams", (json_int_t)sum.total.datagrams);
}

static json_t *workers_live(const struct ledger *t)
{
    json_t *all = json_array();
    struct ledger_owner o;

    for (unsigned i = 0; ledger_nth(t, i, &o); i++)
        if (o.pid != 0)
            json_array_append_new(all, worker_live(t, i, &o));
    return all;
}

static json_t *events_live(const struct ledger *t)
{
    uint64_t last = ledger_last_event(t), at = last > LEDGER_EVENTS ? last - LEDGER_EVENTS : 0;
    json_t *all = json_array();
    struct ledger_event e;

    while (++at <= last)
        if (ledger_event_at(t, at, &e))
            json_array_append_new(all, json_pack("{s:I, s:I, s:s, s:s}", "number", (json_int_t)e.number,
                                                 "when_ms", (json_int_t)e.wall_ms, "what", e.what, "whom", e.whom));
    return all;
}

char *live_status(const struct ledger *t, size_t *n)
{
    struct ledger_life life = ledger_life_of(t);
    uint64_t now_ms = clock_wall_ms();
    struct metric_slot sum;
    char *text;
    json_t *all;

    ledger_sum(t, &sum);
    all = json_pack("{s:s, s:I, s:I, s:i, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
                    "version", PACKAGE_VERSION, "now_ms", (json_int_t)now_ms, "began_s", (json_int_t)life.began_s,
                    "generation", (int)life.generation, "reload", reload_live(&life),
                    "reloads_ok", (json_int_t)life.reloads_ok, "reloads_failed", (json_int_t)life.reloads_failed,
                    "connections", (json_int_t)sum.active, "all", figures_all(t),
                    "totals", figures_counters(&sum.total, METRIC_OF_WORKER), "pools", figures_pools(t, true),
                    "services", figures_services(t), "workers", workers_live(t), "events", events_live(t));
    text = all != NULL ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    *n = text != NULL ? strlen(text) : 0;
    return text;
}
