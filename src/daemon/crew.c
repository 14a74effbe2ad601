/* SPDX-License-Identifier: BSD-2-Clause */
/* The workers as their master sees them.  Owns their places, channels and pids; does not decide when to
 * start, drain or end them. */
#include "daemon/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/inbox.h"
#include "daemon/rights.h"
#include "daemon/signals.h"

enum { HEARD_MAX = 64 };                /* messages in one turn */

int crew_init(struct crew *c, const struct pool_set *pools, struct ledger *ledger)
{
    c->ledger = ledger;
    c->v = calloc(pools->workers, sizeof *c->v);
    if (c->v == NULL)
        return -1;
    c->count = pools->workers;
    for (unsigned i = 0; i < c->count; i++) {
        struct worker_slot *s = &c->v[i];

        *s = (struct worker_slot){ .pool = pool_of(pools, i), .channel = -1, .inbox = { -1, -1 }, .ledger = -1,
                                   .kill_ms = UINT64_MAX, .ready_by_ms = UINT64_MAX,
                                   .next_start_ms = UINT64_MAX };
        snprintf(s->name, sizeof s->name, "%s.%u", s->pool->conf->name, i - s->pool->first);
    }
    return 0;
}

static void slot_close_channel(struct worker_slot *s)
{
    if (s->channel != -1)
        close(s->channel);
    s->channel = -1;
    outbox_clear(&s->owed);
}

void crew_close_inbox(struct worker_slot *s)
{
    for (unsigned i = 0; i < 2; i++) {
        if (s->inbox[i] != -1)
            close(s->inbox[i]);
        s->inbox[i] = -1;
    }
}

void crew_abandon(struct crew *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        slot_close_channel(&c->v[i]);
        crew_close_inbox(&c->v[i]);
    }
}

void crew_free(struct crew *c)
{
    crew_abandon(c);
    free(c->v);
    c->v = NULL;
    c->count = 0;
}

static struct log_about slot_about(const struct crew *c, unsigned at, const char *event)
{
    return (struct log_about){ .event = event, .worker = c->v[at].name, .model = c->v[at].pool->model->name };
}

/* The new process: every copy of what is the master's must go, or no worker would see its master vanish. */
static _Noreturn void crew_child(struct crew *c, unsigned at, int channel, const sigset_t *before)
{
    struct worker_start start = c->common;

    start.inbox = c->v[at].inbox[0];
    c->v[at].inbox[0] = -1;             /* is not abandoned */
    start.abandon(start.abandon_arg, start.listens);
    start.pool = c->v[at].pool;
    start.name = c->v[at].name;
    start.index = at;
    start.again = c->v[at].was_filled;
    start.slot = &c->ledger->slots[c->v[at].ledger];
    start.ledger = c->ledger;
    start.ledger_slot = c->v[at].ledger;
    start.channel = channel;
    start.signals_before = before;
    exit(worker_run(&start));
}

/* Connections wait for whoever comes: the first time that it dies is an accident.  Who was never ready would not be the
 * next time either. */
static void slot_pause(struct worker_slot *s, uint64_t now_ms)
{
    bool quick = now_ms - s->started_ms < CREW_QUICK_DEATH_MS;

    s->quick_deaths = quick ? s->quick_deaths + 1 : 0;
    if (!quick || (s->quick_deaths == 1 && s->ready))
        s->pause_ms = 0;
    else if (s->pause_ms == 0)
        s->pause_ms = CREW_PAUSE_MIN_MS;
    else
        s->pause_ms = s->pause_ms * 2 < CREW_PAUSE_MAX_MS ? s->pause_ms * 2 : CREW_PAUSE_MAX_MS;
    s->next_start_ms = now_ms + s->pause_ms;
}

static void slot_give_ledger(struct crew *c, struct worker_slot *s)
{
    if (s->ledger != -1)
        ledger_put_back(c->ledger, s->ledger);
    s->ledger = -1;
}

/* A slot for its counters, and a part of it for each of its services. */
static int slot_take_ledger(struct crew *c, struct worker_slot *s)
{
    const struct conf_pool *pool = s->pool->conf;
    struct ledger_owner who = { .generation = c->common.generation };

    snprintf(who.worker, sizeof who.worker, "%s", s->name);
    snprintf(who.pool, sizeof who.pool, "%s", pool->name);
    snprintf(who.model, sizeof who.model, "%s", s->pool->model->name);
    s->ledger = ledger_take(c->ledger, &who);
    for (unsigned i = 0; i < pool->service_count && s->ledger != -1; i++)
        ledger_serve(c->ledger, s->ledger, pool->services[i]->name);
    return s->ledger;
}

/* A channel, an inbox, a slot for counters, rings for log lines; the end of the worker, or -1 with errno. */
static int slot_equip(struct crew *c, struct worker_slot *s)
{
    int ends[2];

    if (slot_take_ledger(c, s) == -1)
        return -1;
    ledger_read(c->ledger, s->ledger, &s->base);
    health_start(&c->ledger->slots[s->ledger]);
    if (logger_desk_prepare(c->common.desk, (unsigned)s->ledger, c->common.conf->log_buffer, s->name) == -1 ||
        (s->inbox[0] == -1 && inbox_open(s->inbox) == -1) || channel_open(ends) == -1) {
        slot_give_ledger(c, s);
        return -1;
    }
    s->channel = ends[0];
    return ends[1];
}

int crew_start(struct crew *c, unsigned at, uint64_t now_ms)
{
    struct worker_slot *s = &c->v[at];
    struct log_about about = slot_about(c, at, "worker-failed");
    sigset_t before;
    int end;

    s->started_ms = now_ms;
    s->ready = s->told = s->passes = s->shut = false;
    s->kill_ms = s->ready_by_ms = UINT64_MAX;
    s->pulse = (struct pulse){ 0 };
    end = slot_equip(c, s);
    if (end == -1) {
        slot_pause(s, now_ms);
        return log_errno(LOG_ERROR, &about, "worker %s: cannot have a channel and rings for its log", s->name);
    }
    signals_hold(&before);
    s->pid = fork();
    if (s->pid == 0)
        crew_child(c, at, end, &before);
    signals_release(&before);
    close(end);
    if (s->pid == -1) {
        s->pid = 0;
        slot_close_channel(s);
        slot_give_ledger(c, s);
        slot_pause(s, now_ms);
        return log_errno(LOG_ERROR, &about, "worker %s: cannot fork", s->name);
    }
    ledger_own(c->ledger, s->ledger, s->pid);
    s->next_start_ms = UINT64_MAX;
    s->was_filled = true;
    return 0;
}

static void slot_ready(struct crew *c, unsigned at)
{
    struct worker_slot *s = &c->v[at];
    struct log_about about = slot_about(c, at, "worker-ready");

    if (s->ready)
        return;
    s->ready = true;
    ledger_note(c->ledger, "worker-ready", s->name);
    log_write(LOG_INFO, &about, "worker %s (pid %d): ready", s->name, (int)s->pid);
}

/* What is left is heard in the next turn, which poll(2) begins at once: one that never ends to speak holds nobody. */
void crew_hear(struct crew *c, unsigned at)
{
    struct worker_slot *s = &c->v[at];
    struct channel_message m;
    int got;

    for (int i = 0; i < HEARD_MAX && s->channel != -1 && (got = channel_receive(s->channel, &m)) != 0; i++) {
        if (got == 1 && m.kind == CHANNEL_READY) {
            slot_ready(c, at);
        } else if (got == 1 && m.kind == CHANNEL_SHUT) {
            s->shut = true;
        } else if (got == 1 && m.kind == CHANNEL_ALIVE) {
            s->pulse.heard = true;
        } else if (got == 1 && c->word != NULL) {
            c->word(c->word_arg, s, &m);
        } else if (got == 1 && m.fd != -1) {
            rights_close(m.fd);
        } else if (got == -1 && errno != EBADMSG) {
            slot_close_channel(s);      /* its end will be told by wait */
        }
    }
}

/* "ended", or "died of signal 11 (Segmentation fault), core dumped", and after how long. */
static void slot_obituary(const struct worker_slot *s, int status, uint64_t now_ms, char *text, size_t size)
{
    double age_s = (double)(now_ms - s->started_ms) / 1000;

    if (WIFSIGNALED(status))
        snprintf(text, size, "died of signal %d (%s)%s after %.1f s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped," : "", age_s);
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, size, "failed with status %d after %.1f s", WEXITSTATUS(status), age_s);
    else
        snprintf(text, size, "ended after %.1f s", age_s);
}

static void slot_bury(struct crew *c, unsigned at, int status, uint64_t now_ms, bool again)
{
    struct worker_slot *s = &c->v[at];
    bool well = (WIFEXITED(status) && WEXITSTATUS(status) == 0) || c->killed;
    struct log_about about = slot_about(c, at, well ? "worker-ended" : "worker-died");
    char text[160], next[48] = "";

    slot_obituary(s, status, now_ms, text, sizeof text);
    ledger_note(c->ledger, about.event, s->name);
    if (again) {
        slot_pause(s, now_ms);
        if (well && s->pause_ms == 0) {         /* told to go, perhaps as its master is being told just now */
            s->pause_ms = CREW_PAUSE_MIN_MS;
            s->next_start_ms = now_ms + s->pause_ms;
        }
        snprintf(next, sizeof next, "; next try in %.1f s", s->pause_ms / 1000.0);
    }
    if (again && s->pause_ms == 0)
        snprintf(next, sizeof next, "; next try at once");
    log_write(well ? LOG_INFO : LOG_ERROR, &about, "worker %s (pid %d): %s%s", s->name,
              (int)s->pid, text, next);
    s->pid = 0;
    s->ready = s->told = s->shut = false;
    s->kill_ms = s->ready_by_ms = UINT64_MAX;
    slot_close_channel(s);
    slot_give_ledger(c, s);
}

bool crew_bury(struct crew *c, unsigned at, uint64_t now_ms, bool again)
{
    struct worker_slot *s = &c->v[at];
    struct rusage used;
    int status;

    if (s->pid == 0 || wait4(s->pid, &status, WNOHANG, &used) != s->pid)
        return false;
    if (s->ledger != -1)
        metric_use_end(&c->ledger->slots[s->ledger], &used);
    slot_bury(c, at, status, now_ms, again);
    return true;
}

static int slot_owe(struct worker_slot *s, const struct channel_message *m)
{
    struct channel_message copy = *m;

    if (m->fd != -1)
        copy.fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
    return m->fd == -1 || copy.fd != -1 ? outbox_put(&s->owed, copy) : -1;
}

/* Is it a question that is worth nothing later, or that somebody else can be asked? */
static bool is_for_now(enum channel_kind kind)
{
    return kind == CHANNEL_SURVEY || kind == CHANNEL_SWEEP;
}

bool crew_tell_one(struct crew *c, unsigned at, const struct channel_message *m)
{
    struct worker_slot *s = &c->v[at];
    struct log_about about = slot_about(c, at, NULL);
    bool later = !outbox_is_empty(&s->owed);

    if (s->channel == -1)
        return false;
    if ((!later || m->kind == CHANNEL_ASK) && channel_send(s->channel, m) == 0)
        return true;            /* whether somebody lives can be asked at any time */
    if (!later && !inbox_is_busy(errno)) {
        if (errno != EPIPE)
            log_errno(LOG_WARN, &about, "worker %s (pid %d): cannot be told anything", s->name, (int)s->pid);
        return false;
    }
    if (is_for_now(m->kind))
        return false;
    if (slot_owe(s, m) == 0)
        return true;
    if (!s->owed.complained)
        log_errno(LOG_WARN, &about, "worker %s (pid %d): does not read what it is told, and there is no place for more",
                  s->name, (int)s->pid);
    s->owed.complained = true;
    return false;
}

void crew_tell_owed(struct crew *c, uint64_t now_ms)
{
    for (unsigned i = 0; i < c->count; i++)
        if (!outbox_is_empty(&c->v[i].owed))
            outbox_send(&c->v[i].owed, c->v[i].channel, now_ms);
}

void crew_tell(struct crew *c, const struct channel_message *m)
{
    for (unsigned i = 0; i < c->count; i++)
        crew_tell_one(c, i, m);
}

void crew_drain_one(struct crew *c, unsigned at, enum channel_drain how, uint64_t kill_ms)
{
    struct worker_slot *s = &c->v[at];
    bool passes = how == CHANNEL_DRAIN_SERVED;

    s->next_start_ms = UINT64_MAX;
    if (s->pid == 0)
        return;
    if (!s->told || (s->passes && !passes))     /* nobody serves after all to whom he could pass what he has */
        crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_DRAIN, .value = how, .fd = -1 });
    s->told = true;
    s->passes = passes;
    s->kill_ms = kill_ms < s->kill_ms ? kill_ms : s->kill_ms;
}

void crew_drain(struct crew *c, enum channel_drain how, uint64_t kill_ms)
{
    for (unsigned i = 0; i < c->count; i++)
        crew_drain_one(c, i, how, kill_ms);
}

void crew_kill_unready(struct crew *c, uint64_t ready_by_ms)
{
    for (unsigned i = 0; i < c->count; i++)
        c->v[i].ready_by_ms = ready_by_ms;
}

/* When its time is over. */
static uint64_t slot_kill_ms(const struct worker_slot *s)
{
    return !s->ready && s->ready_by_ms < s->kill_ms ? s->ready_by_ms : s->kill_ms;
}

unsigned crew_kill_late(struct crew *c, uint64_t now_ms)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++) {
        struct worker_slot *s = &c->v[i];

        if (s->pid == 0 || slot_kill_ms(s) > now_ms)
            continue;
        kill(s->pid, SIGKILL);
        s->kill_ms = s->ready_by_ms = UINT64_MAX;
        n++;
    }
    return n;
}

int crew_retire(struct crew *c, unsigned at, struct crew *leaving)
{
    struct worker_slot *s = &c->v[at], *grown = realloc(leaving->v, (leaving->count + 1) * sizeof *grown);

    if (grown == NULL)
        return -1;
    leaving->v = grown;
    leaving->v[leaving->count++] = *s;
    s->pid = 0;
    s->channel = s->ledger = s->inbox[0] = s->inbox[1] = -1;
    s->owed = (struct outbox){ .v = NULL };
    s->ready = s->told = s->shut = false;
    s->kill_ms = s->ready_by_ms = UINT64_MAX;
    return 0;
}

void crew_shrink(struct crew *c)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < c->count; i++)
        if (c->v[i].pid != 0 || c->v[i].inbox[0] != -1)
            c->v[kept++] = c->v[i];
    c->count = kept;
}

unsigned crew_find(const struct crew *c, const char *name)
{
    unsigned at = 0;

    while (at < c->count && strcmp(c->v[at].name, name) != 0)
        at++;
    return at;
}

void crew_kill(struct crew *c)
{
    c->killed = true;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->v[i].pid != 0)
            kill(c->v[i].pid, SIGKILL);
    }
}

unsigned crew_alive(const struct crew *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++)
        n += c->v[i].pid != 0;
    return n;
}

bool crew_has_mail(const struct crew *c)
{
    bool any = false;

    for (unsigned i = 0; i < c->count; i++)
        any |= c->v[i].inbox[0] != -1;
    return any;
}

unsigned crew_ready(const struct crew *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++)
        n += c->v[i].ready;
    return n;
}

bool crew_accepts(const struct crew *c)
{
    bool any = false;

    for (unsigned i = 0; i < c->count; i++)
        any |= c->v[i].pid != 0 && !c->v[i].shut;
    return any;
}

unsigned crew_ready_in(const struct crew *c, const struct pool *p)
{
    unsigned n = 0;

    for (unsigned i = p->first; i < p->first + p->workers; i++)
        n += c->v[i].ready;
    return n;
}

uint64_t crew_due_ms(const struct crew *c)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < c->count; i++) {
        const struct worker_slot *s = &c->v[i];
        uint64_t own = s->pid == 0 ? s->next_start_ms : slot_kill_ms(s);

        due = own < due ? own : due;
        if (s->owed.again_ms != 0 && s->owed.again_ms < due)
            due = s->owed.again_ms;
    }
    return due;
}
