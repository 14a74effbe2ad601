/* SPDX-License-Identifier: BSD-2-Clause */
/* Draining.  A ring is released only when what was taken from it has been written: if the logger dies in between, the
 * next one takes it again.  A target that takes no more holds up the rings whose records are for it, and no others; they
 * fill, and who puts more than fits counts it.
 * Owns outputs and views of rings; the memory behind those is shared, and nothing in it is believed. */
#include "daemon/logger_drain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "base/log.h"
#include "core/access.h"
#include "daemon/logger_journal.h"
#include "daemon/logger_record.h"

enum {
    TURN_RECORDS = 4096,                /* then the channel is looked at */
    FUTURE_US = 1000000,
    TELL_MS = 10000                     /* between two lines about what was dropped from one ring */
};

static uint64_t lost_ever(const struct logger_drain *d)
{
    return __atomic_load_n(&d->rings->head->lost[LOGGER_LOG], __ATOMIC_RELAXED) +
           __atomic_load_n(&d->rings->head->lost[LOGGER_ACCESS], __ATOMIC_RELAXED);
}

void logger_drain_init(struct logger_drain *d, struct logger_rings *rings)
{
    memset(d, 0, sizeof *d);
    d->rings = rings;
    d->told_lost = lost_ever(d);
}

void logger_drain_free(struct logger_drain *d)
{
    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        logger_out_close(&d->routes[i].out[LOGGER_LOG]);
        logger_out_close(&d->routes[i].out[LOGGER_ACCESS]);
        access_form_free(d->routes[i].access);
    }
    for (unsigned i = 0; i < d->count; i++)
        logger_ring_unmap(d->sources[i].reader.shared);
    free(d->sources);
    heap_free(&d->turns);
}

static void count_lost(struct logger_drain *d, enum logger_kind kind, uint64_t n)
{
    __atomic_fetch_add(&d->rings->head->lost[kind], n, __ATOMIC_RELAXED);
}

/* ---- rings ---- */

/* What it waits for has changed: producers ring the bell again, or do not. */
static void source_block(struct logger_source *s, struct logger_out *out)
{
    s->blocked = out;
    __atomic_store_n(&s->reader.shared->deaf, out != NULL, __ATOMIC_RELAXED);
}

static void source_open(struct logger_drain *d, unsigned number)
{
    struct ring_shared *s = logger_ring_map(d->rings, number);
    struct logger_source *source = &d->sources[number];

    *source = (struct logger_source){ .kind = number > 0 && number % LOGGER_KINDS == 0 ? LOGGER_ACCESS : LOGGER_LOG };
    if (s == NULL)                      /* the next turn tries it again */
        return;
    ring_reader_open(&source->reader, s);
    source_block(source, NULL);         /* whatever the logger before this one waited for */
}

/* Those that are new since the last turn.  The heap's nodes are in the array, so it is empty here. */
static void sources_look(struct logger_drain *d)
{
    unsigned used = __atomic_load_n(&d->rings->head->used, __ATOMIC_ACQUIRE);
    struct logger_source *grown;

    if (used <= d->count)
        return;
    grown = realloc(d->sources, used * sizeof *grown);
    if (grown == NULL)
        return;
    d->sources = grown;
    for (; d->count < used; d->count++)
        source_open(d, d->count);
}

static void source_release(struct logger_source *s)
{
    s->out = NULL;
    ring_release(&s->reader);
}

/* All that this output had is written. */
static void release_all(struct logger_drain *d, const struct logger_out *out)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->sources[i].out == out)
            source_release(&d->sources[i]);
        if (d->sources[i].blocked == out)
            source_block(&d->sources[i], NULL);
    }
}

/* What this output has is not written: those that it was taken from wait with it. */
static void block_all(struct logger_drain *d, struct logger_out *out)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->sources[i].out == out)
            source_block(&d->sources[i], out);
}

/* ---- outputs ---- */

static const char *kind_word(enum logger_kind kind)
{
    return kind == LOGGER_ACCESS ? "access log" : "log";
}

/* Once when it begins to fail, and once when it works again. */
static void out_tell(struct logger_out *out, enum logger_kind kind)
{
    struct log_about about = { .event = kind == LOGGER_ACCESS ? "access-log-failed" : "log-failed" };
    bool fails = out->cause != 0 && out->cause != EAGAIN;

    if (fails && !out->told) {
        errno = out->cause;
        out->told = true;
        log_errno(LOG_ERROR, &about, "%s: cannot write, lines wait until it works again", kind_word(kind));
    } else if (out->cause == 0 && out->told) {
        out->told = false;
        about.event = kind == LOGGER_ACCESS ? "access-log-works" : "log-works";
        log_write(LOG_NOTICE, &about, "%s: works again", kind_word(kind));
    }
}

static bool out_flush(struct logger_drain *d, struct logger_out *out, enum logger_kind kind)
{
    bool whole = logger_out_flush(out, d->now_ms);

    count_lost(d, kind, out->refused);
    out->refused = 0;
    if (whole)
        release_all(d, out);
    else
        block_all(d, out);
    return whole;
}

static bool out_is_due(const struct logger_drain *d, const struct logger_out *out)
{
    return out->cause == 0 || logger_out_waits(out) || d->now_ms >= out->retry_ms;
}

static void flush_all(struct logger_drain *d)
{
    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        for (unsigned kind = 0; kind < LOGGER_KINDS; kind++) {
            struct logger_out *out = &d->routes[i].out[kind];

            if (out->form != LOGGER_NONE && out_is_due(d, out))
                out_flush(d, out, (enum logger_kind)kind);
        }
    }
}

static void tell_all(struct logger_drain *d)
{
    for (unsigned i = 0; i < LOGGER_TARGETS; i++)
        for (unsigned kind = 0; kind < LOGGER_KINDS; kind++)
            if (d->routes[i].out[kind].form != LOGGER_NONE)
                out_tell(&d->routes[i].out[kind], (enum logger_kind)kind);
}

/* ---- lines ---- */

static char *put_span(char *to, struct span s)
{
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_line(char *to, enum logger_form form, const struct logger_record *r)
{
    if (form == LOGGER_JOURNAL)
        return logger_journal_line(to, r->level, &r->about, r->line);
    if (form == LOGGER_DATED) {
        fmt_timestamp(to, (time_t)(r->when_ms / 1000), (unsigned)(r->when_ms % 1000));
        to += FMT_TIMESTAMP_SIZE;
        *to++ = ' ';
        to = put_span(to, span_of(log_level_name(r->level)));
        *to++ = ' ';
    } else {
        *to++ = '<';
        *to++ = (char)('0' + (int)r->level);
        *to++ = '>';
    }
    to = put_span(to, r->line);
    *to++ = '\n';
    return to;
}

static char *put_access(struct logger_drain *d, char *to, const struct logger_route *route, const struct access_taken *t)
{
    const struct access_source source = { .model = t->model, .worker = t->worker };
    const struct access_facts facts = { .reply = t->reply, .source = &source, .duration_us = t->duration_us };
    char *end;

    if (route->out[LOGGER_ACCESS].form != LOGGER_JOURNAL)
        return access_line_put(to, route->access, &facts);
    end = access_line_put(d->line, route->access, &facts);
    return logger_journal_access(to, t, (struct span){ d->line, (size_t)(end - d->line) - 1 });
}

/* ---- one record ---- */

/* What was taken, understood. */
struct taken {
    struct logger_route *route;
    struct logger_out   *out;           /* NULL: it is for nobody */
    enum logger_kind     kind;
    union {
        struct logger_record line;
        struct access_taken  access;
    };
};

static void understand(struct logger_drain *d, const struct ring_record *r, struct taken *t)
{
    uint32_t target = LOGGER_TARGETS;

    t->kind = r->kind == ACCESS_RECORD ? LOGGER_ACCESS : LOGGER_LOG;
    t->out = NULL;
    if (r->kind == ACCESS_RECORD && access_read(&t->access, d->record, r->n))
        target = t->access.target;
    else if (r->kind == LOG_RECORD && logger_record_read(&t->line, d->record, r->n))
        target = t->line.target;
    if (target >= LOGGER_TARGETS)
        return;
    t->route = &d->routes[target];
    if (t->route->out[t->kind].form != LOGGER_NONE && (t->kind == LOGGER_LOG || t->route->access != NULL))
        t->out = &t->route->out[t->kind];
}

/* False: its output takes no more. */
static bool write_taken(struct logger_drain *d, struct logger_source *s, struct taken *t)
{
    char *to;

    if (s->out != NULL && s->out != t->out && !out_flush(d, s->out, s->kind)) {
        source_block(s, s->out);
        return false;
    }
    to = logger_out_room(t->out, d->now_ms);
    if (to == NULL) {
        source_block(s, t->out);
        return false;
    }
    if (t->out->n == 0)                 /* it was written to make room */
        release_all(d, t->out);
    to = t->kind == LOGGER_LOG ? put_line(to, t->out->form, &t->line) : put_access(d, to, t->route, &t->access);
    logger_out_add(t->out, to);
    s->out = t->out;
    return true;
}

/* False: nothing more can be taken here now. */
static bool take_one(struct logger_drain *d, struct logger_source *s)
{
    uint64_t before = s->reader.taken, after;
    struct ring_record r;
    struct taken t;
    int got = ring_take(&s->reader, &r, d->record);

    if (got == 0)
        return false;
    if (got == -1) {
        s->out = NULL;
        count_lost(d, s->kind, 1);
        return true;
    }
    understand(d, &r, &t);
    if (t.out == NULL) {
        count_lost(d, t.kind, 1);
        if (s->out == NULL)
            ring_release(&s->reader);
        d->taken++;
        return true;
    }
    after = s->reader.taken;
    s->reader.taken = before;           /* what is released meanwhile must not be this one */
    if (!write_taken(d, s, &t))
        return false;
    s->reader.taken = after;
    d->taken++;
    return true;
}

/* ---- turns ---- */

/* A record that is younger than the turn has time until the next one, in which all that it may follow from is seen too.
 * One from the future is somebody's who has taken over a worker. */
static void turn_set(struct logger_drain *d, struct logger_source *s)
{
    struct ring_record next;

    if (s->blocked == NULL && ring_peek(&s->reader, &next) &&
        (next.when_us <= d->now_us || next.when_us > d->now_us + FUTURE_US))
        heap_set(&d->turns, &s->turn, next.when_us);    /* no memory: in the next turn, perhaps */
    else
        heap_remove(&d->turns, &s->turn);
}

static struct logger_source *source_of(struct heap_node *n)
{
    return (struct logger_source *)((char *)n - offsetof(struct logger_source, turn));
}

static void finish_endings(struct logger_drain *d);

bool logger_drain_turn(struct logger_drain *d, uint64_t now_ms)
{
    struct heap_node *top;
    unsigned n = 0;

    d->now_ms = now_ms;
    d->now_us = clock_monotonic_us();
    sources_look(d);
    flush_all(d);
    for (unsigned i = 0; i < d->count; i++)
        if (d->sources[i].reader.shared != NULL)
            turn_set(d, &d->sources[i]);
        else
            source_open(d, i);
    while (n++ < TURN_RECORDS && (top = heap_top(&d->turns)) != NULL) {
        struct logger_source *s = source_of(top);

        if (take_one(d, s))
            turn_set(d, s);
        else
            heap_remove(&d->turns, top);
    }
    while ((top = heap_top(&d->turns)) != NULL)
        heap_remove(&d->turns, top);
    flush_all(d);
    finish_endings(d);
    tell_all(d);
    return n <= TURN_RECORDS;
}

static bool is_behind(const struct logger_source *s)
{
    return s->reader.shared != NULL && s->blocked == NULL && (int64_t)(s->mark - s->reader.taken) > 0;
}

static void drain_mark(struct logger_drain *d)
{
    sources_look(d);
    for (unsigned i = 0; i < d->count; i++)
        if (d->sources[i].reader.shared != NULL)
            d->sources[i].mark = d->sources[i].reader.taken + ring_waiting(&d->sources[i].reader);
}

void logger_drain_all(struct logger_drain *d, uint64_t now_ms)
{
    bool behind = true;
    uint64_t before;

    drain_mark(d);
    do {
        before = d->taken;
        logger_drain_turn(d, now_ms);
        behind = false;
        for (unsigned i = 0; i < d->count; i++)
            behind |= is_behind(&d->sources[i]);
    } while (behind && d->taken != before);
}

bool logger_drain_has_work(const struct logger_drain *d, bool access)
{
    bool any = __atomic_load_n(&d->rings->head->used, __ATOMIC_ACQUIRE) > d->count;

    for (unsigned i = 0; i < d->count; i++) {
        const struct logger_source *s = &d->sources[i];

        any |= s->reader.shared != NULL && s->blocked == NULL && (access || s->kind == LOGGER_LOG) &&
               ring_waiting(&s->reader) > 0;
    }
    return any;
}

bool logger_drain_is_stuck(const struct logger_drain *d)
{
    bool any = false;

    for (unsigned i = 0; i < LOGGER_TARGETS; i++)
        for (unsigned kind = 0; kind < LOGGER_KINDS; kind++)
            any |= d->routes[i].out[kind].form != LOGGER_NONE && d->routes[i].out[kind].cause != 0;
    return any;
}

uint64_t logger_drain_due_ms(const struct logger_drain *d)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        const struct logger_route *r = &d->routes[i];

        if (r->ending && r->end_ms < due)
            due = r->end_ms;
        for (unsigned kind = 0; kind < LOGGER_KINDS; kind++)
            if (r->out[kind].form != LOGGER_NONE && r->out[kind].cause != 0 && r->out[kind].retry_ms < due)
                due = r->out[kind].retry_ms;
    }
    return due;
}

/* ---- targets ---- */

static void route_access(struct logger_route *r, const struct logger_target *t)
{
    char format[LOGGER_FORMAT_SIZE];

    if (r->access != NULL)
        return;
    memcpy(format, t->format, sizeof format);
    format[sizeof format - 1] = '\0';
    r->access = access_form_new(format);
}

void logger_drain_target(struct logger_drain *d, unsigned target, enum logger_kind kind, int taken)
{
    struct logger_out *out;

    if (target >= LOGGER_TARGETS || d->rings->head->targets[target].form[kind] == LOGGER_NONE) {
        close(taken);
        return;
    }
    out = &d->routes[target].out[kind];
    if (kind == LOGGER_ACCESS)
        route_access(&d->routes[target], &d->rings->head->targets[target]);
    if (out->form != LOGGER_NONE) {
        logger_out_replace(out, taken, d->now_ms);
        return;
    }
    if (logger_out_open(out, (enum logger_form)d->rings->head->targets[target].form[kind], taken) == -1)
        log_errno(LOG_ERROR, NULL, "logger: cannot open a target");
}

void logger_drain_end(struct logger_drain *d, unsigned target, uint64_t end_ms)
{
    if (target >= LOGGER_TARGETS)
        return;
    drain_mark(d);
    d->routes[target].ending = true;
    d->routes[target].end_ms = end_ms;
}

/* Nothing of it is left, or nothing may be any more: records that are still there are for nobody. */
static void route_close(struct logger_drain *d, unsigned target)
{
    struct logger_route *r = &d->routes[target];

    for (unsigned kind = 0; kind < LOGGER_KINDS; kind++) {
        count_lost(d, (enum logger_kind)kind, logger_out_close(&r->out[kind]));
        release_all(d, &r->out[kind]);
    }
    access_form_free(r->access);
    *r = (struct logger_route){ 0 };
    logger_target_publish(d->rings, (int)target, LOGGER_FREE);
}

static void finish_endings(struct logger_drain *d)
{
    bool behind = false;

    for (unsigned i = 0; i < d->count; i++)
        behind |= d->sources[i].reader.shared != NULL && (int64_t)(d->sources[i].mark - d->sources[i].reader.taken) > 0;
    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        struct logger_route *r = &d->routes[i];
        bool written = !behind && r->out[LOGGER_LOG].n == 0 && r->out[LOGGER_ACCESS].n == 0;

        if (r->ending && (written || d->now_ms >= r->end_ms))
            route_close(d, i);
    }
}

/* ---- saying ---- */

static struct logger_out *latest_log(struct logger_drain *d)
{
    struct logger_out *latest = NULL;
    uint32_t order = 0;

    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        if (d->routes[i].out[LOGGER_LOG].form == LOGGER_NONE || d->rings->head->targets[i].order < order)
            continue;
        order = d->rings->head->targets[i].order;
        latest = &d->routes[i].out[LOGGER_LOG];
    }
    return latest;
}

bool logger_drain_say(struct logger_drain *d, enum log_level level, const struct log_about *about, struct span line)
{
    struct logger_out *out = latest_log(d);
    struct logger_record r = { .level = level, .about = *about, .line = line };
    struct timespec now;
    char *to;

    if (out == NULL || out->cause != 0)
        return false;
    to = logger_out_room(out, d->now_ms);
    if (to == NULL)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    r.when_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    logger_out_add(out, put_line(to, out->form, &r));
    out_flush(d, out, LOGGER_LOG);
    return true;
}

static bool tell_is_due(const struct logger_drain *d, uint64_t told_ms, bool last)
{
    return last || told_ms == 0 || d->now_ms >= told_ms + TELL_MS;
}

/* Once its target takes records again. */
static void source_tell(struct logger_drain *d, struct logger_source *s, bool last)
{
    struct ring_shared *shared = s->reader.shared;
    uint64_t dropped = __atomic_load_n(&shared->dropped, __ATOMIC_RELAXED), n = dropped - shared->told;
    char owner[RING_OWNER_SIZE];
    struct log_about about = { .event = "log-dropped", .worker = owner };

    if (n == 0 || s->blocked != NULL || !tell_is_due(d, s->told_ms, last))
        return;
    memcpy(owner, shared->owner, sizeof owner);
    owner[sizeof owner - 1] = '\0';
    s->told_ms = d->now_ms;
    shared->told = dropped;
    log_write(LOG_WARN, &about, "%s: %" PRIu64 " %s record%s dropped: the log takes them more slowly than they come", owner,
              n, kind_word(s->kind), n == 1 ? " was" : "s were");
}

void logger_drain_tell(struct logger_drain *d, bool last)
{
    uint64_t lost = lost_ever(d);

    for (unsigned i = 0; i < d->count; i++)
        if (d->sources[i].reader.shared != NULL)
            source_tell(d, &d->sources[i], last);
    if (lost == d->told_lost || !tell_is_due(d, d->told_lost_ms, last))
        return;
    d->told_lost_ms = d->now_ms;
    log_write(LOG_WARN, &(struct log_about){ .event = "log-lost" }, "logger: %" PRIu64 " record%s could not be written",
              lost - d->told_lost, lost - d->told_lost == 1 ? "" : "s");
    d->told_lost = lost;
}
