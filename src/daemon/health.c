/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether workers make progress.  A worker that sleeps because there is nothing to do must not be taken for one that
 * hangs, so it is asked: a message on its channel, which wakes its loop as a client would, and an answer in shared
 * memory, which wakes nobody.  Four questions in the time of `watchdog`: that is all that an idle worker has to do.
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
    MARGIN = 2                  /* it must give so many times `watchdog`, or it ends all before one is replaced */
};

void health_open(struct health *h, unsigned watchdog_ms, uint64_t now_ms)
{
    uint64_t patience_ms = sysd_watchdog_us() / 1000;

    *h = (struct health){ .watchdog_ms = watchdog_ms, .interval_ms = watchdog_ms / QUESTIONS,
                          .look_ms = now_ms, .looked_ms = now_ms, .told_ms = now_ms,
                          .tell_ms = (unsigned)(patience_ms / TELLS) };
    if (patience_ms > 0 && patience_ms < (uint64_t)watchdog_ms * MARGIN)
        log_write(LOG_WARN, NULL, "master: the service manager waits %.1f s for a sign of life (WatchdogSec): with "
                  "watchdog = %.1f it may end the daemon before a stuck worker is replaced",
                  (double)patience_ms / 1000, watchdog_ms / 1000.0);
}

/* ---- one worker ---- */

static bool has_answered(const struct metric_slot *m)
{
    return __atomic_load_n(&m->answered, __ATOMIC_RELAXED) == __atomic_load_n(&m->asked, __ATOMIC_RELAXED);
}

/* A channel that is full has questions enough in it. */
static void pulse_ask(const struct worker_slot *s, struct metric_slot *m)
{
    __atomic_fetch_add(&m->asked, 1, __ATOMIC_RELAXED);
    channel_send(s->channel, &(struct channel_message){ .kind = CHANNEL_ASK, .fd = -1 });
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
    log_write(LOG_NOTICE, &about, "worker %s (pid %d): no turn of its loop for %.1f s; it is held by a debugger", s->name,
              (int)s->pid, s->pulse.silent_ms / 1000.0);
    s->pulse.silent_ms = 0;
}

static void pulse_look(struct worker_slot *s, struct metric_slot *m, unsigned elapsed_ms)
{
    if (!s->ready || !has_answered(m)) {
        s->pulse.silent_ms += elapsed_ms;
        return;
    }
    s->pulse.silent_ms = 0;
    pulse_ask(s, m);
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

static void workers_look(struct health *h, struct crew *c, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - h->looked_ms;

    if (elapsed_ms > h->interval_ms)
        elapsed_ms = h->interval_ms;
    for (unsigned i = 0; i < c->count; i++)
        if (c->v[i].pid != 0)
            pulse_look(&c->v[i], &c->metrics[i], (unsigned)elapsed_ms);
    h->looked_ms = now_ms;
    h->look_ms = now_ms + h->interval_ms;
}

static void manager_tell(struct health *h, const struct crew *c, uint64_t now_ms)
{
    bool late = false;

    for (unsigned i = 0; i < c->count; i++)
        late |= h->watchdog_ms > 0 && pulse_is_late(h, &c->v[i]);
    if (!late)
        sysd_notify("WATCHDOG=1");
    h->told_ms = now_ms;
}

void health_turn(struct health *h, struct crew *c, uint64_t now_ms, bool judging)
{
    if (h->watchdog_ms > 0 && now_ms >= h->look_ms)
        workers_look(h, c, now_ms);
    for (unsigned i = 0; h->watchdog_ms > 0 && judging && i < c->count; i++) {
        if (c->v[i].pid == 0)
            continue;
        pulse_judge(h, &c->v[i], now_ms);
        pulse_kill(&c->v[i], now_ms);
    }
    if (h->tell_ms > 0 && now_ms >= h->told_ms + h->tell_ms)
        manager_tell(h, c, now_ms);
}

uint64_t health_due(const struct health *h, const struct crew *c)
{
    uint64_t due = h->watchdog_ms > 0 ? h->look_ms : UINT64_MAX;

    if (h->tell_ms > 0 && h->told_ms + h->tell_ms < due)
        due = h->told_ms + h->tell_ms;
    for (unsigned i = 0; i < c->count; i++) {
        const struct pulse *p = &c->v[i].pulse;

        if (c->v[i].pid != 0 && p->kill_ms != 0 && !p->killed && p->kill_ms < due)
            due = p->kill_ms;
    }
    return due;
}
