/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of the daemon.  Owns the memory; knows slots and names, not workers.
 *
 * Every worker can write everywhere in the shared memory, also one that somebody has taken over.  So the master never
 * believes what stands there of slots and parts: it keeps a register of its own, and the one in the shared memory is a copy
 * for others to read.  Those take nothing in it for granted either. */
#include "daemon/ledger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { ORPHANS_LOOK_MS = 1000 };        /* they end by themselves, and nobody is told */

/* Which part of which slot is whose. */
struct ledger_place {
    int  slot;
    char service[LEDGER_NAME_SIZE];
};

/* A name stays in its place: who reads it meanwhile finds it whole. */
struct ledger_gauged {
    char                 service[LEDGER_NAME_SIZE];
    uint32_t             known;         /* a number: of a bool not every byte may be read */
    struct metric_gauges now;
};

/* Who has what: the master's own, and its copy in the shared memory. */
struct ledger_register {
    char                layout[LEDGER_LAYOUT_SIZE];
    unsigned            used, parts;    /* how many have been somebody's; of the own one: see struct ledger */
    struct ledger_owner owners[LEDGER_ROOM];
    struct ledger_place places[LEDGER_PARTS];
    struct ledger_life  life;
    uint64_t            events;         /* how many there have been */
    struct ledger_event event[LEDGER_EVENTS];
    unsigned            gauged;         /* how many of these have a name */
    struct ledger_gauged gauges[LEDGER_GAUGED];
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
    METRIC_GAUGES(LEDGER_WORD)
#undef LEDGER_WORD
}

static int ledger_bind(struct ledger *t)
{
    char *page = t->page.at;

    t->slots = t->page.at;
    t->names = (void *)(page + slots_size);
    t->parts = (void *)(page + slots_size + names_size);
    t->taken = calloc(LEDGER_ROOM, sizeof *t->taken);
    t->own = calloc(1, sizeof *t->own);         /* what is not used of it takes no memory */
    return t->taken != NULL && t->own != NULL ? 0 : -1;
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

/* Is it the slot of a worker that this master has not started? */
static bool is_orphan(const struct ledger *t, unsigned slot)
{
    return !t->taken[slot] && t->own->owners[slot].pid != 0;
}

/* Slots of those that still live stay theirs; the connections of all others died with them. */
void ledger_reclaim(struct ledger *t, uint64_t now_ms)
{
    t->look_ms = UINT64_MAX;
    for (unsigned i = 0; i < t->used; i++) {
        if (!is_orphan(t, i))
            continue;
        if (process_lives(t->own->owners[i].pid))
            t->look_ms = now_ms + ORPHANS_LOOK_MS;
        else
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

static unsigned lesser(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Names have an end, and nothing in them that could mean something where they are shown. */
static void name_tame(char name[LEDGER_NAME_SIZE])
{
    static const char sound[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

    name[LEDGER_NAME_SIZE - 1] = '\0';
    for (size_t n = strspn(name, sound); name[n] != '\0'; n += strspn(name + n, sound))
        name[n] = '_';
}

static void owner_tame(struct ledger_owner *o)
{
    name_tame(o->worker);
    name_tame(o->pool);
    name_tame(o->model);
}

/* A part of no slot that there can be is nobody's. */
static void place_tame(struct ledger_place *p)
{
    if (p->slot < 0 || p->slot >= LEDGER_ROOM)
        p->slot = -1;
    name_tame(p->service);
}

/* What is wrong in the memory is not believed, and counts for nothing: were it refused, any worker could keep a master
 * from taking over. */
static void register_adopt(struct ledger *t)
{
    const struct ledger_register *from = t->names;
    struct ledger_register *to = t->own;

    t->used = lesser(__atomic_load_n(&from->used, __ATOMIC_ACQUIRE), LEDGER_ROOM);
    to->parts = lesser(__atomic_load_n(&from->parts, __ATOMIC_ACQUIRE), LEDGER_PARTS);
    memcpy(to->owners, from->owners, t->used * sizeof *to->owners);
    memcpy(to->places, from->places, to->parts * sizeof *to->places);
    for (unsigned i = 0; i < t->used; i++)
        owner_tame(&to->owners[i]);
    for (unsigned i = 0; i < to->parts; i++)
        place_tame(&to->places[i]);
    to->life = from->life;
    to->events = from->events;
    memcpy(to->event, from->event, sizeof to->event);
    to->gauged = lesser(__atomic_load_n(&from->gauged, __ATOMIC_ACQUIRE), LEDGER_GAUGED);
    memcpy(to->gauges, from->gauges, to->gauged * sizeof *to->gauges);
    for (unsigned i = 0; i < to->gauged; i++)
        name_tame(to->gauges[i].service);
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
    if (orphans && !layout_is_ours(t)) {        /* of the others it is known from who hands over */
        errno = EBADMSG;
        return -1;
    }
    register_adopt(t);
    if (orphans)
        ledger_reclaim(t, 0);
    return 0;
}

void ledger_close(struct ledger *t)
{
    shared_close(&t->page);
    free(t->taken);
    free(t->own);
    *t = (struct ledger){ .slots = NULL };
}

void ledger_abandon(struct ledger *t)
{
    shared_abandon(&t->page);
    free(t->own);                       /* the master goes on writing in another */
    t->own = NULL;
}

/* What there is to read: in the master its own. */
static struct ledger_register *register_of(const struct ledger *t)
{
    return t->own != NULL ? t->own : t->names;
}

static unsigned parts_used(const struct ledger *t)
{
    return lesser(__atomic_load_n(&register_of(t)->parts, __ATOMIC_ACQUIRE), LEDGER_PARTS);
}

static unsigned slots_used(const struct ledger *t)
{
    return t->own != NULL ? t->used : lesser(__atomic_load_n(&t->names->used, __ATOMIC_ACQUIRE), LEDGER_ROOM);
}

/* The slot that a part is of; -1: there is no such slot. */
static int slot_of(const struct ledger *t, unsigned part)
{
    int slot = __atomic_load_n(&register_of(t)->places[part].slot, __ATOMIC_RELAXED);

    return slot >= 0 && slot < LEDGER_ROOM ? slot : -1;
}

/* Names in the shared memory may be without an end. */
static bool names_equal(const char *a, const char *b)
{
    return strncmp(a, b, LEDGER_NAME_SIZE) == 0;
}

/* ---- giving ---- */

static bool is_same(const struct ledger_owner *a, const struct ledger_owner *b)
{
    return names_equal(a->worker, b->worker) && names_equal(a->model, b->model);
}

/* The slot of somebody of the same name, a fresh one, or, when there are no fresh ones, any, of an orphan if it must be:
 * LEDGER_ROOM is none. */
static unsigned find_free(const struct ledger *t, const struct ledger_owner *who)
{
    unsigned any = LEDGER_ROOM;

    for (unsigned i = 0; i < t->used; i++) {
        if (t->taken[i])
            continue;
        if (any == LEDGER_ROOM || !is_orphan(t, i))
            any = i;
        if (is_orphan(t, i))
            continue;
        if (is_same(&t->own->owners[i], who))
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
    t->own->owners[at] = *who;
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
    t->own->owners[slot].pid = pid;
    __atomic_store_n(&t->names->owners[slot].pid, pid, __ATOMIC_RELAXED);
}

void ledger_put_back(struct ledger *t, int slot)
{
    t->taken[slot] = false;
    ledger_own(t, slot, 0);
    __atomic_store_n(&t->slots[slot].active, 0, __ATOMIC_RELAXED);      /* its connections died with the worker */
    metric_settle(&t->slots[slot].total);
    for (unsigned i = 0; i < parts_used(t); i++)
        if (slot_of(t, i) == slot)
            metric_settle(&t->parts[i].total);
}

struct metric_part *ledger_part(const struct ledger *t, int slot, const char *service)
{
    for (unsigned i = 0; i < parts_used(t); i++)
        if (slot_of(t, i) == slot && names_equal(register_of(t)->places[i].service, service))
            return &t->parts[i];
    return NULL;
}

void ledger_serve(struct ledger *t, int slot, const char *service)
{
    unsigned at = parts_used(t);
    struct ledger_place *p = &t->own->places[at];

    if (at == LEDGER_PARTS || ledger_part(t, slot, service) != NULL)
        return;
    p->slot = slot;
    snprintf(p->service, LEDGER_NAME_SIZE, "%s", service);
    t->own->parts = at + 1;
    t->names->places[at] = *p;
    __atomic_store_n(&t->names->parts, at + 1, __ATOMIC_RELEASE);
}

/* ---- looking ---- */

static bool word_fits(const char *wanted, const char *is)
{
    return wanted == NULL || names_equal(wanted, is);
}

static bool slot_fits(const struct ledger *t, const struct ledger_query *q, int slot)
{
    const struct ledger_owner *o;

    if (slot == -1)
        return false;
    o = &register_of(t)->owners[slot];
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
    sum->workers += __atomic_load_n(&register_of(t)->owners[slot].pid, __ATOMIC_RELAXED) != 0;
}

void ledger_gather(const struct ledger *t, const struct ledger_query *which, struct ledger_figures *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; which->service == NULL && i < slots_used(t); i++)
        if (slot_fits(t, which, (int)i))
            gather_slot(t, i, sum);
    for (unsigned i = 0; i < parts_used(t); i++) {
        if (!slot_fits(t, which, slot_of(t, i)) || !word_fits(which->service, register_of(t)->places[i].service))
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
        if (slot_of(t, i) >= (int)from && slot_of(t, i) < (int)to)
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

bool ledger_server(const struct ledger *t, unsigned part, struct ledger_owner *o)
{
    int slot = part < parts_used(t) ? slot_of(t, part) : -1;

    if (slot == -1)
        return false;
    *o = register_of(t)->owners[slot];
    owner_tame(o);
    return true;
}

/* ---- the daemon itself ---- */

/* Each member is a word of its own, and a reader may see some of them a moment before the others. */
void ledger_live(struct ledger *t, const struct ledger_life *life)
{
    t->own->life = *life;
    t->names->life = *life;
}

struct ledger_life ledger_life_of(const struct ledger *t)
{
    return register_of(t)->life;
}

uint64_t ledger_last_event(const struct ledger *t)
{
    uint64_t last = __atomic_load_n(&register_of(t)->events, __ATOMIC_ACQUIRE);

    return last <= INT64_MAX ? last : 0;
}

/* Without a number while it is written: who reads meanwhile sees that it is not whole. */
void ledger_note(struct ledger *t, const char *what, const char *whom)
{
    uint64_t number = ledger_last_event(t) + 1;
    struct ledger_event *e = &t->names->event[number % LEDGER_EVENTS], *own = &t->own->event[number % LEDGER_EVENTS];

    *own = (struct ledger_event){ .number = number, .wall_ms = clock_wall_ms() };
    snprintf(own->what, sizeof own->what, "%s", what);
    snprintf(own->whom, sizeof own->whom, "%s", whom);
    t->own->events = number;
    __atomic_store_n(&e->number, 0, __ATOMIC_SEQ_CST);
    e->wall_ms = own->wall_ms;
    memcpy(e->what, own->what, sizeof e->what);
    memcpy(e->whom, own->whom, sizeof e->whom);
    __atomic_store_n(&e->number, number, __ATOMIC_SEQ_CST);
    __atomic_store_n(&t->names->events, number, __ATOMIC_RELEASE);
}

bool ledger_event_at(const struct ledger *t, uint64_t number, struct ledger_event *e)
{
    const struct ledger_event *kept = &register_of(t)->event[number % LEDGER_EVENTS];

    if (number == 0 || __atomic_load_n(&kept->number, __ATOMIC_SEQ_CST) != number)
        return false;
    *e = *kept;
    e->what[sizeof e->what - 1] = e->whom[sizeof e->whom - 1] = '\0';
    return __atomic_load_n(&kept->number, __ATOMIC_SEQ_CST) == number;
}

static unsigned gauges_used(const struct ledger *t)
{
    return lesser(__atomic_load_n(&register_of(t)->gauged, __ATOMIC_ACQUIRE), LEDGER_GAUGED);
}

/* gauges_used: it has none yet. */
static unsigned gauges_find(const struct ledger *t, const char *service)
{
    unsigned at = 0;

    while (at < gauges_used(t) && !names_equal(register_of(t)->gauges[at].service, service))
        at++;
    return at;
}

void ledger_tell_gauges(struct ledger *t, const char *service, const struct metric_gauges *now)
{
    unsigned at = gauges_find(t, service);
    struct ledger_gauged *own = &t->own->gauges[at], *shown = &t->names->gauges[at];

    if (at == LEDGER_GAUGED)
        return;
    if (at == t->own->gauged)
        snprintf(own->service, sizeof own->service, "%s", service);
    own->now = *now;
    own->known = 1;
#define LEDGER_SHOW(name, ...) __atomic_store_n(&shown->now.name, now->name, __ATOMIC_RELAXED);
    METRIC_GAUGES(LEDGER_SHOW)
#undef LEDGER_SHOW
    if (at == t->own->gauged) {
        memcpy(shown->service, own->service, sizeof shown->service);
        t->own->gauged = at + 1;
        __atomic_store_n(&t->names->gauged, at + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&shown->known, 1, __ATOMIC_RELEASE);
}

void ledger_forget_gauges(struct ledger *t)
{
    for (unsigned i = 0; i < t->own->gauged; i++) {
        t->own->gauges[i].known = 0;
        __atomic_store_n(&t->names->gauges[i].known, 0, __ATOMIC_RELEASE);
    }
}

bool ledger_gauges_of(const struct ledger *t, const char *service, struct metric_gauges *now)
{
    unsigned at = gauges_find(t, service);
    const struct ledger_gauged *kept = &register_of(t)->gauges[at];

    if (at >= gauges_used(t) || __atomic_load_n(&kept->known, __ATOMIC_ACQUIRE) == 0)
        return false;
#define LEDGER_LOOK(name, ...) now->name = __atomic_load_n(&kept->now.name, __ATOMIC_RELAXED);
    METRIC_GAUGES(LEDGER_LOOK)
#undef LEDGER_LOOK
    return true;
}

bool ledger_nth(const struct ledger *t, unsigned slot, struct ledger_owner *o)
{
    if (slot >= slots_used(t))
        return false;
    *o = register_of(t)->owners[slot];
    owner_tame(o);
    return true;
}

bool ledger_has_pool(const struct ledger *t, unsigned below, const struct ledger_owner *o)
{
    for (unsigned i = 0; i < below && i < slots_used(t); i++)
        if (names_equal(register_of(t)->owners[i].pool, o->pool) && names_equal(register_of(t)->owners[i].model, o->model))
            return true;
    return false;
}

bool ledger_has_service(const struct ledger *t, unsigned below, const char *service)
{
    for (unsigned i = 0; i < below && i < parts_used(t); i++)
        if (names_equal(register_of(t)->places[i].service, service))
            return true;
    return false;
}

bool ledger_service(const struct ledger *t, unsigned part, char name[LEDGER_NAME_SIZE])
{
    if (part >= parts_used(t))
        return false;
    memcpy(name, register_of(t)->places[part].service, LEDGER_NAME_SIZE);
    name_tame(name);
    return true;
}
