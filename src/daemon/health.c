/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether workers make progress.  A worker that sleeps because there is nothing to do must not be taken for one that
 * hangs, so it is asked: a message on its channel, which wakes its loop as a client would, and an answer in shared
 * memory, which wakes nobody.  Four questions in the time of `watchdog`: that is all that an idle worker has to do.
 * Where the answer is missing it is asked again, for a word on the channel: other workers write in the shared memory as
 * well, and one that has fallen into the wrong hands must not make its master end the others.
 *
 * Silence is counted in looks, never longer than the time between two: when this process itself was held up (stopped, a
 * machine that slept), workers that were held up with it get their time to answer.  Who is held by a debugger is not
 * judged.  A worker that has not been ready yet gets longer.
 *
 * Who is stuck gets SIGABRT, to which it answers with backtraces (daemon/crash), and SIGKILL if it is still there
 * shortly after; one that was stopped by a signal could not answer. */
#include "daemon/health.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "daemon/crew.h"
#include "daemon/sysd.h"
#include "daemon/text_file.h"

enum {
    QUESTIONS = 4,              /* within the time of `watchdog` */
    START_PATIENCE = 6,         /* a start may take so many times as long: it opens folders and reads files */
    LAST_WORDS_MS = 2000,       /* for the backtraces */
    TELLS = 2,                  /* within the time that the service manager gives: as sd_watchdog_enabled(3) advises */
    TELLS_AGAIN = 10,           /* within that time, while it could not be told or somebody is late */
    MARGIN = 3                  /* it must give so many times `watchdog`, or it ends all before one is replaced: half of
                                 * its time may be over by then, and to replace one takes a little longer */
};

static void health_pace(struct health *h, unsigned watchdog_ms, uint64_t now_ms)
{
    h->watchdog_ms = watchdog_ms;
    h->interval_ms = watchdog_ms / QUESTIONS;
    h->look_ms = h->looked_ms = now_ms;
}

void health_resume(struct health *h, unsigned watchdog_ms, uint64_t now_ms)
{
    h->manager_ms = (unsigned)(sysd_watchdog_us() / 1000);
    health_pace(h, watchdog_ms, now_ms);
}

void health_set(struct health *h, unsigned watchdog_ms, uint64_t now_ms)
{
    if (watchdog_ms == h->watchdog_ms)
        return;
    health_pace(h, watchdog_ms, now_ms);
    if (h->manager_ms > 0 && h->manager_ms < (uint64_t)watchdog_ms * MARGIN)
        log_write(LOG_WARN, NULL, "master: the service manager waits %.1f s for a sign of life (WatchdogSec): with "
                  "watchdog = %.1f it may end the daemon before a stuck worker is replaced",
                  h->manager_ms / 1000.0, watchdog_ms / 1000.0);
}

void health_open(struct health *h, unsigned watchdog_ms, uint64_t now_ms)
{
    *h = (struct health){ .manager_ms = (unsigned)(sysd_watchdog_us() / 1000), .tell_ms = now_ms };
    health_set(h, watchdog_ms, now_ms);
}

void health_start(struct metric_slot *m)
{
    __atomic_store_n(&m->asked, __atomic_load_n(&m->answered, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(&m->sandbox, 0, __ATOMIC_RELAXED);
}

/* ---- one worker ---- */

static bool has_answered(const struct metric_slot *m)
{
    return __atomic_load_n(&m->answered, __ATOMIC_RELAXED) == __atomic_load_n(&m->asked, __ATOMIC_RELAXED);
}

/* Who does not read is asked when he does. */
static void pulse_ask(struct crew *c, unsigned at, bool aloud)
{
    (void)crew_tell_one(c, at, &(struct channel_message){ .kind = CHANNEL_ASK, .value = aloud, .fd = -1 });
}

static bool is_stopped(pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };

    return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* False also where /proc does not show it. */
static bool is_traced(pid_t pid)
{
    char path[32];
    struct text_file stat;
    const char *name_end;
    bool traced;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (text_file_read(&stat, path, 4096) == -1)
        return false;
    name_end = memrchr(stat.bytes, ')', stat.size);
    traced = name_end != NULL && strncmp(name_end, ") t", 3) == 0;
    text_file_free(&stat);
    return traced;
}

static struct log_about stuck_about(const struct worker_slot *s)
{
    return (struct log_about){ .event = "worker-stuck", .worker = s->name, .model = s->pool->model->name };
}

static void pulse_end(struct worker_slot *s, uint64_t now_ms)
{
    struct log_about about = stuck_about(s);
    bool stopped = is_stopped(s->pid);

    log_write(LOG_ERROR, &about, "worker %s (pid %d): stuck: %s for %.1f s%s", s->name, (int)s->pid,
              s->ready ? "its loop has made no turn" : "it has not been ready", s->pulse.silent_ms / 1000.0,
              stopped ? ", since it was stopped by a signal; killing it" : "; it is to say where, and to end");
    s->pulse.killed = stopped;
    s->pulse.kill_ms = now_ms + LAST_WORDS_MS;
    kill(s->pid, stopped ? SIGKILL : SIGABRT);
}

static void pulse_judge(const struct health *h, struct worker_slot *s, uint64_t now_ms)
{
    struct log_about about = stuck_about(s);
    unsigned patience_ms = s->ready ? h->watchdog_ms : h->watchdog_ms * START_PATIENCE;

    if (s->pulse.kill_ms != 0 || s->pulse.silent_ms < patience_ms)
        return;
    if (!is_traced(s->pid)) {
        pulse_end(s, now_ms);
        return;
    }
    log_write(LOG_NOTICE, &about, "worker %s (pid %d): no turn of its loop for %.1f s; it is held by a debugger",
              s->name, (int)s->pid, s->pulse.silent_ms / 1000.0);
    s->pulse.silent_ms = 0;
}

static void pulse_look(struct crew *c, unsigned at, unsigned elapsed_ms)
{
    struct worker_slot *s = &c->v[at];
    struct metric_slot *m = &c->ledger->slots[s->ledger];

    if (s->ready && (has_answered(m) || s->pulse.heard)) {
        s->pulse.silent_ms = 0;
        s->pulse.heard = false;
        __atomic_fetch_add(&m->asked, 1, __ATOMIC_RELAXED);
        pulse_ask(c, at, false);
        return;
    }
    s->pulse.silent_ms += elapsed_ms;
    if (s->ready)
        pulse_ask(c, at, true);
}

static void pulse_kill(struct worker_slot *s, uint64_t now_ms)
{
    struct log_about about = stuck_about(s);

    if (s->pulse.kill_ms == 0 || s->pulse.killed || now_ms < s->pulse.kill_ms)
        return;
    log_write(LOG_ERROR, &about, "worker %s (pid %d): stuck: does not end; killing it", s->name, (int)s->pid);
    s->pulse.killed = true;
    kill(s->pid, SIGKILL);
}

/* Not yet stuck, but nobody should vouch for it. */
static bool pulse_is_late(const struct health *h, const struct worker_slot *s)
{
    unsigned patience_ms = s->ready ? h->watchdog_ms : h->watchdog_ms * START_PATIENCE;

    return s->pid != 0 && (s->pulse.kill_ms != 0 || s->pulse.silent_ms >= patience_ms / 2);
}

/* ---- all of them ---- */

void health_begin(struct health *h, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - h->looked_ms;

    h->late = false;
    h->looking = h->watchdog_ms > 0 && now_ms >= h->look_ms;
    if (!h->looking)
        return;
    h->elapsed_ms = elapsed_ms < h->interval_ms ? (unsigned)elapsed_ms : h->interval_ms;
    h->looked_ms = now_ms;
    h->look_ms = now_ms + h->interval_ms;
}

void health_look(struct health *h, struct crew *c, uint64_t now_ms, bool judging)
{
    for (unsigned i = 0; h->watchdog_ms > 0 && i < c->count; i++) {
        struct worker_slot *s = &c->v[i];

        if (s->pid == 0)
            continue;
        if (h->looking)
            pulse_look(c, i, h->elapsed_ms);
        if (judging) {
            pulse_judge(h, s, now_ms);
            pulse_kill(s, now_ms);
        }
        h->late |= judging && pulse_is_late(h, s);
    }
}

void health_end(struct health *h, uint64_t now_ms)
{
    bool told;

    if (h->manager_ms == 0 || now_ms < h->tell_ms)
        return;
    told = !h->late && sysd_notify("WATCHDOG=1");
    h->tell_ms = now_ms + h->manager_ms / (told ? TELLS : TELLS_AGAIN);
}

uint64_t health_due_ms(const struct health *h)
{
    uint64_t look = h->watchdog_ms > 0 ? h->look_ms : UINT64_MAX, tell = h->manager_ms > 0 ? h->tell_ms : UINT64_MAX;

    return look < tell ? look : tell;
}

uint64_t health_crew_due_ms(const struct crew *c)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < c->count; i++) {
        const struct pulse *p = &c->v[i].pulse;

        if (c->v[i].pid != 0 && p->kill_ms != 0 && !p->killed && p->kill_ms < due)
            due = p->kill_ms;
    }
    return due;
}
