/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of the daemon.  Owns the memory; knows slots and names, not workers. */
#include "daemon/ledger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* Which part of which slot is whose. */
struct ledger_place {
    int  slot;
    char service[LEDGER_NAME_SIZE];
};

/* Who has what; only the master writes here. */
struct ledger_register {
    char                layout[LEDGER_LAYOUT_SIZE];
    unsigned            used, parts;    /* how many have been somebody's */
    struct ledger_owner owners[LEDGER_ROOM];
    struct ledger_place places[LEDGER_PARTS];
    struct ledger_life  life;
    uint64_t            events;         /* how many there have been */
    struct ledger_event event[LEDGER_EVENTS];
};

static const size_t slots_size = LEDGER_ROOM * sizeof(struct metric_slot);
static const size_t names_size = (sizeof(struct ledger_register) + 63) / 64 * 64;
static const size_t ledger_size = LEDGER_ROOM * sizeof(struct metric_slot) +
                                  (sizeof(struct ledger_register) + 63) / 64 * 64 +
                                  LEDGER_PARTS * sizeof(struct metric_part);

void ledger_layout(char text[LEDGER_LAYOUT_SIZE])
{
    size_t n = (size_t)snprintf(text, LEDGER_LAYOUT_SIZE, "%zu %zu %zu:", sizeof(struct metric_slot),
                                sizeof(struct metric_part), sizeof(struct ledger_register));

#define LEDGER_WORD(name, ...) n += (size_t)snprintf(text + n, LEDGER_LAYOUT_SIZE - n, " " #name);
    METRIC_COUNTERS(LEDGER_WORD)
    METRIC_TIMES(LEDGER_WORD)
    METRIC_USES(LEDGER_WORD)
#undef LEDGER_WORD
}

static int ledger_bind(struct ledger *t)
{
    char *page = t->page.at;

    t->slots = t->page.at;
    t->names = (void *)(page + slots_size);
    t->parts = (void *)(page + slots_size + names_size);
    t->taken = calloc(LEDGER_ROOM, sizeof *t->taken);
    return t->taken != NULL ? 0 : -1;
}

int ledger_open(struct ledger *t)
{
    *t = (struct ledger){ .slots = NULL };
    if (shared_open(&t->page, "iomuxd-statistics", ledger_size) == -1 || ledger_bind(t) == -1)
        return -1;
    ledger_layout(t->names->layout);
    return 0;
}

static bool process_lives(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Slots of those that still live stay theirs; the connections of all others died with them. */
static void leave_to_orphans(struct ledger *t)
{
    for (unsigned i = 0; i < t->used; i++) {
        t->taken[i] = process_lives(t->names->owners[i].pid);
        if (!t->taken[i])
            ledger_put_back(t, (int)i);
    }
}

static bool layout_is_ours(const struct ledger *t)
{
    char layout[LEDGER_LAYOUT_SIZE] = "";

    ledger_layout(layout);
    return memcmp(layout, t->names->layout, strlen(layout) + 1) == 0 && t->names->used <= LEDGER_ROOM &&
           t->names->parts <= LEDGER_PARTS;
}

int ledger_adopt(struct ledger *t, int taken, bool orphans)
{
    int error;

    *t = (struct ledger){ .slots = NULL };
    if (shared_adopt(&t->page, taken, ledger_size) == -1) {
        error = errno;
        close(taken);
        errno = error;
        return -1;
    }
    if (ledger_bind(t) == -1)
        return -1;
    if (!layout_is_ours(t)) {
        errno = EBADMSG;
        return -1;
    }
    t->used = t->names->used;
    if (orphans)
        leave_to_orphans(t);
    return 0;
}

void ledger_close(struct ledger *t)
{
    shared_close(&t->page);
    free(t->taken);
    *t = (struct ledger){ .slots = NULL };
}

void ledger_abandon(struct ledger *t)
{
    shared_abandon(&t->page);
}

static unsigned parts_used(const struct ledger *t)
{
    return __atomic_load_n(&t->names->parts, __ATOMIC_ACQUIRE);
}

static unsigned slots_used(const struct ledger *t)
{
    return __atomic_load_n(&t->names->used, __ATOMIC_ACQUIRE);
}

/* ---- giving ---- */

static bool is_same(const struct ledger_owner *a, const struct ledger_owner *b)
{
    return strcmp(a->worker, b->worker) == 0 && strcmp(a->model, b->model) == 0;
}

/* The slot of somebody of the same name, a fresh one, or, when there are no fresh ones, any: LEDGER_ROOM is none. */
static unsigned find_free(const struct ledger *t, const struct ledger_owner *who)
{
    unsigned any = LEDGER_ROOM;

    for (unsigned i = 0; i < t->used; i++) {
        if (t->taken[i])
            continue;
        any = i;
        if (is_same(&t->names->owners[i], who))
            return i;
    }
    return t->used < LEDGER_ROOM ? t->used : any;
}

bool ledger_claim(struct ledger *t, int slot)
{
    if (slot < 0 || (unsigned)slot >= t->used || t->taken[slot])
        return false;
    t->taken[slot] = true;
    return true;
}

int ledger_take(struct ledger *t, const struct ledger_owner *who)
{
    unsigned at = find_free(t, who);

    if (at == LEDGER_ROOM) {
        errno = EAGAIN;
        return -1;
    }
    t->taken[at] = true;
    t->names->owners[at] = *who;
    if (at >= t->used) {
        t->used = at + 1;
        __atomic_store_n(&t->names->used, t->used, __ATOMIC_RELEASE);
    }
    metric_use_begin(&t->slots[at]);
    return (int)at;
}

void ledger_own(struct ledger *t, int slot, pid_t pid)
{
    __atomic_store_n(&t->names->owners[slot].pid, pid, __ATOMIC_RELAXED);
}

void ledger_put_back(struct ledger *t, int slot)
{
    t->taken[slot] = false;
    ledger_own(t, slot, 0);
    __atomic_store_n(&t->slots[slot].active, 0, __ATOMIC_RELAXED);      /* its connections died with the worker */
    metric_settle(&t->slots[slot].total);
    for (unsigned i = 0; i < parts_used(t); i++)
        if (t->names->places[i].slot == slot)
            metric_settle(&t->parts[i].total);
}

struct metric_part *ledger_part(const struct ledger *t, int slot, const char *service)
{
    for (unsigned i = 0; i < parts_used(t); i++)
        if (t->names->places[i].slot == slot && strcmp(t->names->places[i].service, service) == 0)
            return &t->parts[i];
    return NULL;
}

void ledger_serve(struct ledger *t, int slot, const char *service)
{
    unsigned at = parts_used(t);

    if (at == LEDGER_PARTS || ledger_part(t, slot, service) != NULL)
        return;
    t->names->places[at].slot = slot;
    snprintf(t->names->places[at].service, LEDGER_NAME_SIZE, "%s", service);
    __atomic_store_n(&t->names->parts, at + 1, __ATOMIC_RELEASE);
}

/* ---- looking ---- */

static bool word_fits(const char *wanted, const char *is)
{
    return wanted == NULL || strcmp(wanted, is) == 0;
}

static bool slot_fits(const struct ledger *t, const struct ledger_query *q, int slot)
{
    const struct ledger_owner *o = &t->names->owners[slot];

    return (q->slot == -1 || q->slot == slot) && word_fits(q->worker, o->worker) && word_fits(q->pool, o->pool) &&
           word_fits(q->model, o->model);
}

/* One that was never used is not read: that would make memory of it. */
static void histogram_take(struct histogram *to, const struct histogram *from)
{
    if (__atomic_load_n(&from->max_us, __ATOMIC_RELAXED) > 0 || __atomic_load_n(&from->counts[0], __ATOMIC_RELAXED) > 0)
        histogram_merge(to, from);
}

static void gather_slot(const struct ledger *t, unsigned slot, struct ledger_figures *sum)
{
    const struct metric_slot *s = &t->slots[slot];

    metric_add(&sum->counts, &s->total);
    metric_use_add(&sum->used, &s->used);
    sum->active += __atomic_load_n(&s->active, __ATOMIC_RELAXED);
    sum->workers += __atomic_load_n(&t->names->owners[slot].pid, __ATOMIC_RELAXED) != 0;
}

void ledger_gather(const struct ledger *t, const struct ledger_query *which, struct ledger_figures *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; which->service == NULL && i < slots_used(t); i++)
        if (slot_fits(t, which, (int)i))
            gather_slot(t, i, sum);
    for (unsigned i = 0; i < parts_used(t); i++) {
        const struct ledger_place *p = &t->names->places[i];

        if (!slot_fits(t, which, p->slot) || !word_fits(which->service, p->service))
            continue;
        metric_add(&sum->counts, &t->parts[i].total);
#define LEDGER_MERGE(name, ...) histogram_take(&sum->times.name, &t->parts[i].times.name);
        METRIC_TIMES(LEDGER_MERGE)
#undef LEDGER_MERGE
    }
    if (which->service != NULL)
        sum->active = metric_open(&sum->counts);
}

static void read_slots(const struct ledger *t, unsigned from, unsigned to, struct metric_slot *sum)
{
    *sum = (struct metric_slot){ .active = 0 };
    for (unsigned i = from; i < to; i++) {
        const struct metric_slot *s = &t->slots[i];

        metric_add(&sum->total, &s->total);
        metric_use_add(&sum->used, &s->used);
        sum->progress += __atomic_load_n(&s->progress, __ATOMIC_RELAXED);
        sum->active += __atomic_load_n(&s->active, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < parts_used(t); i++)
        if (t->names->places[i].slot >= (int)from && t->names->places[i].slot < (int)to)
            metric_add(&sum->total, &t->parts[i].total);
}

void ledger_sum(const struct ledger *t, struct metric_slot *sum)
{
    read_slots(t, 0, slots_used(t), sum);
}

void ledger_read(const struct ledger *t, int slot, struct metric_slot *sum)
{
    read_slots(t, (unsigned)slot, (unsigned)slot + 1, sum);
}

struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base)
{
    struct metric_slot now;

    ledger_read(t, slot, &now);
#define LEDGER_LESS(name, ...) now.total.name -= base->total.name;
    METRIC_COUNTERS(LEDGER_LESS)
#undef LEDGER_LESS
    now.progress -= base->progress;
    return now;
}

const struct ledger_owner *ledger_server(const struct ledger *t, unsigned part)
{
    return part < parts_used(t) ? &t->names->owners[t->names->places[part].slot] : NULL;
}

/* ---- the daemon itself ---- */

/* Each member is a word of its own, and a reader may see some of them a moment before the others. */
void ledger_live(struct ledger *t, const struct ledger_life *life)
{
    t->names->life = *life;
}

struct ledger_life ledger_life_of(const struct ledger *t)
{
    return t->names->life;
}

uint64_t ledger_last_event(const struct ledger *t)
{
    return __atomic_load_n(&t->names->events, __ATOMIC_ACQUIRE);
}

/* Without a number while it is written: who reads meanwhile sees that it is not whole. */
void ledger_note(struct ledger *t, const char *what, const char *whom)
{
    uint64_t number = t->names->events + 1;
    struct ledger_event *e = &t->names->event[number % LEDGER_EVENTS];

    __atomic_store_n(&e->number, 0, __ATOMIC_SEQ_CST);
    e->wall_ms = clock_wall_ms();
    snprintf(e->what, sizeof e->what, "%s", what);
    snprintf(e->whom, sizeof e->whom, "%s", whom);
    __atomic_store_n(&e->number, number, __ATOMIC_SEQ_CST);
    __atomic_store_n(&t->names->events, number, __ATOMIC_RELEASE);
}

bool ledger_event_at(const struct ledger *t, uint64_t number, struct ledger_event *e)
{
    const struct ledger_event *kept = &t->names->event[number % LEDGER_EVENTS];

    if (number == 0 || __atomic_load_n(&kept->number, __ATOMIC_SEQ_CST) != number)
        return false;
    *e = *kept;
    e->what[sizeof e->what - 1] = e->whom[sizeof e->whom - 1] = '\0';
    return __atomic_load_n(&kept->number, __ATOMIC_SEQ_CST) == number;
}

const struct ledger_owner *ledger_nth(const struct ledger *t, unsigned slot)
{
    return slot < slots_used(t) ? &t->names->owners[slot] : NULL;
}

const char *ledger_service(const struct ledger *t, unsigned part)
{
    return part < parts_used(t) ? t->names->places[part].service : NULL;
}
