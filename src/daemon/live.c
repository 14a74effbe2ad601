/* SPDX-License-Identifier: BSD-2-Clause */
/* What HTTP shows of the daemon, composed of the ledger.  Runs in workers, but for live_tell. */
#include "daemon/live.h"

#include "daemon/master_state.h"

static char *live_make(const void *ledger, enum http_live_kind kind, size_t *n)
{
    return kind == HTTP_LIVE_METRICS ? live_metrics(ledger, n) : live_status(ledger, n);
}

struct http_live live_of(const struct ledger *ledger, unsigned *watchers)
{
    return (struct http_live){ .make = live_make, .arg = ledger, .parts = live_parts, .part_count = live_part_count,
                               .watchers = watchers };
}

void live_tell(struct master *m)
{
    struct ledger_life life = ledger_life_of(&m->ledger);
    uint64_t log_lost = logger_desk_dropped(&m->desk) + logger_desk_lost(&m->desk, LOGGER_LOG);
    uint64_t access_lost = logger_desk_lost(&m->desk, LOGGER_ACCESS);
    bool news = m->last.attempt != 0 && m->last.attempt != life.attempt;

    if (log_lost > life.log_lost || access_lost > life.access_lost) {
        life.log_lost = log_lost;
        life.access_lost = access_lost;
        ledger_live(&m->ledger, &life);
    }
    if (!news && life.generation == m->serving->number && life.began_s == m->began_s)
        return;
    if (life.began_s != m->began_s)
        life.attempt = 0;               /* another daemon, which found the statistics of the one before */
    life.began_s = m->began_s;
    life.generation = m->serving->number;
    if (news) {
        life.attempt = m->last.attempt;
        life.reload_ok = m->last.ok;
        life.reload_s = m->last.when;
        life.reload_ms = m->last.took_ms;
        life.reloads_ok += m->last.ok;
        life.reloads_failed += !m->last.ok;
        ledger_note(&m->ledger, m->last.ok ? "reloaded" : "reload-failed", "");
    }
    ledger_live(&m->ledger, &life);
}
