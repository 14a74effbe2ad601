/* SPDX-License-Identifier: BSD-2-Clause */
/* The logger's loop: hears the master, drains, sleeps until a bell, a time, or a target that takes more.
 *
 * It knows neither configuration nor files: descriptors come from the master, what they are for stands in the shared
 * file.  It ends when the master says so, or when master and workers are gone, with everything written that its targets
 * take.
 *
 * Sleeping has two depths.  While there are records now and then it naps and looks again by itself, so that who answers
 * requests makes no system call to log them; after a while without any it sleeps, and the next record wakes it.  Now and
 * then it wakes by itself: the word that it sleeps is in memory where all workers write, and one that has fallen into the
 * wrong hands could say for ever that it is awake, so that nobody would ring. */
#include "daemon/logger_process.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/crash.h"
#include "daemon/logger.h"
#include "daemon/logger_drain.h"
#include "daemon/sandbox.h"
#include "daemon/signals.h"
#include "daemon/title.h"

enum {
    NAP_MS = 100,                       /* an access line waits at most so long */
    NAPPING_MS = 1000,                  /* without a record; then it sleeps */
    LOOK_MS = 2000,                     /* it sleeps no longer without a look */
    LAST_MS = 4000,                     /* for what is left at the end; the master kills it a little later */
    ENDING_MS = 5000,                   /* for what is left of a target whose workers are gone */
    POLLED_MAX = 2 + LOGGER_TARGETS * LOGGER_KINDS
};

struct logger_process {
    const struct logger_start *start;
    struct logger_drain drain;
    struct logger       own;            /* where the lines go that cannot be logged */
    int                 channel;        /* -1: the master is gone */
    bool                alone;          /* nobody puts any more */
    uint64_t            last_ms;        /* the end, whatever is left; 0: it has not come */
    uint64_t            busy_ms;        /* there was a record */
};

/* ---- the master ---- */

static void process_sync(struct logger_process *p, uint32_t number)
{
    logger_drain_all(&p->drain, clock_monotonic_ms());
    (void)channel_send(p->channel, &(struct channel_message){ .kind = CHANNEL_LOGGER_SYNCED, .value = number, .fd = -1 });
}

static void process_last(struct logger_process *p)
{
    if (p->last_ms == 0)
        p->last_ms = clock_monotonic_ms() + LAST_MS;
}

static void process_obey(struct logger_process *p, const struct channel_message *m)
{
    switch (m->kind) {
    case CHANNEL_LOGGER_LOG:
        logger_drain_target(&p->drain, m->value, LOGGER_LOG, m->fd);
        break;
    case CHANNEL_LOGGER_ACCESS:
        logger_drain_target(&p->drain, m->value, LOGGER_ACCESS, m->fd);
        break;
    case CHANNEL_LOGGER_END:
        logger_drain_end(&p->drain, m->value, clock_monotonic_ms() + ENDING_MS);
        break;
    case CHANNEL_LOGGER_SYNC:
        process_sync(p, m->value);
        break;
    case CHANNEL_LOGGER_FINISH:
        process_last(p);
        break;
    default:                            /* a worker's */
        if (m->fd != -1)
            close(m->fd);
        break;
    }
}

static void process_hear(struct logger_process *p)
{
    struct channel_message m;
    int got = 0;

    while (p->channel != -1 && ((got = channel_receive(p->channel, &m)) == 1 || (got == -1 && errno == EBADMSG)))
        if (got == 1)
            process_obey(p, &m);
    if (p->channel == -1 || got == 0)
        return;
    close(p->channel);                  /* workers may live on for a while */
    p->channel = -1;
}

/* ---- waiting ---- */

static int process_wait_ms(const struct logger_process *p, uint64_t now_ms, bool napping)
{
    uint64_t due = logger_drain_due_ms(&p->drain), look = now_ms + (napping ? NAP_MS : LOOK_MS);

    if (p->last_ms != 0 && p->last_ms < due)
        due = p->last_ms;
    if ((napping || !p->alone) && look < due)
        due = look;
    if (due == UINT64_MAX)
        return -1;
    return due > now_ms ? (int)(due - now_ms) : 0;
}

static nfds_t process_wait_fill(const struct logger_process *p, struct pollfd *polled)
{
    nfds_t n = 0;

    polled[n++] = (struct pollfd){ .fd = p->channel, .events = POLLIN };
    polled[n++] = (struct pollfd){ .fd = p->alone ? -1 : p->start->bell, .events = POLLIN };
    for (unsigned i = 0; i < LOGGER_TARGETS; i++) {
        for (unsigned kind = 0; kind < LOGGER_KINDS; kind++) {
            const struct logger_out *out = &p->drain.routes[i].out[kind];

            if (out->form != LOGGER_NONE && logger_out_waits(out))
                polled[n++] = (struct pollfd){ .fd = out->fd, .events = POLLOUT };
        }
    }
    return n;
}

static void bell_hear(struct logger_process *p, short events)
{
    char bytes[256];

    while (read(p->start->bell, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        ;
    if ((events & POLLHUP) != 0)
        p->alone = true;
}

static void process_wait(struct logger_process *p)
{
    struct pollfd polled[POLLED_MAX];
    nfds_t n = process_wait_fill(p, polled);
    uint64_t now_ms = clock_monotonic_ms();
    bool napping = now_ms < p->busy_ms + NAPPING_MS;

    bell_set(p->drain.rings->bell, napping ? BELL_NAPPING : BELL_ASLEEP);
    if (logger_drain_has_work(&p->drain, !napping)) {
        bell_set(p->drain.rings->bell, BELL_AWAKE);
        return;
    }
    polled[1].revents = 0;
    poll(polled, n, process_wait_ms(p, now_ms, napping));
    bell_set(p->drain.rings->bell, BELL_AWAKE);
    if (polled[1].revents != 0)
        bell_hear(p, polled[1].revents);
}

/* ---- the loop ---- */

static void process_turn(struct logger_process *p)
{
    uint64_t before = p->drain.taken, now_ms;

    process_hear(p);
    now_ms = clock_monotonic_ms();
    while (!logger_drain_turn(&p->drain, now_ms)) {
        process_hear(p);
        now_ms = clock_monotonic_ms();
    }
    logger_drain_tell(&p->drain, false);
    if (p->drain.taken != before)
        p->busy_ms = now_ms;
    if (p->channel == -1 && p->alone)
        process_last(p);
}

static bool process_is_over(const struct logger_process *p)
{
    if (p->last_ms == 0)
        return false;
    return clock_monotonic_ms() >= p->last_ms ||
           (!logger_drain_has_work(&p->drain, true) && !logger_drain_is_stuck(&p->drain));
}

/* ---- beginning ---- */

/* Lines of the logger itself. */
static void process_sink(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct logger_process *p = arg;

    if (!logger_drain_say(&p->drain, level, about, line))
        logger_urgent(&p->own, level, line);
}

/* A terminal's signals are for the master, which tells everybody what they mean. */
static void process_signals(const struct logger_process *p)
{
    static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXFSZ };

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signals_ignore(ignored[i]);
    signals_default(SIGCHLD);
    signals_release(p->start->signals_before);
}

static int process_begin(struct logger_process *p)
{
    struct sandbox s;

    title_set("logger");
    prctl(PR_SET_NAME, "iomuxd-logger", 0, 0, 0);
    crash_watch(&p->own, "logger");
    process_signals(p);
    if (sandbox_begin(&s, p->start->sandbox) == -1 || priv_drop(p->start->priv) == -1)
        return log_errno(LOG_ERROR, NULL, "logger (pid %d): cannot give up privileges", (int)getpid());
    if (sandbox_logger(&s) == -1)
        return log_errno(LOG_ERROR, NULL, "logger (pid %d): cannot enter its sandbox, as sandbox = \"require\" wants it",
                         (int)getpid());
    return 0;
}

static int process_live(struct logger_process *p)
{
    if (process_begin(p) == -1)
        return 1;
    p->busy_ms = clock_monotonic_ms();
    for (;;) {
        process_turn(p);
        if (process_is_over(p))
            break;
        process_wait(p);
    }
    logger_drain_tell(&p->drain, true);
    if (logger_drain_is_stuck(&p->drain))
        logger_urgent(&p->own, LOG_WARN, SPAN("logger: what was left is lost: a log did not take it in time"));
    return 0;
}

int logger_process_run(const struct logger_start *start)
{
    struct logger_process *p = calloc(1, sizeof *p);
    struct logger_rings rings;
    int status;

    if (p == NULL || logger_rings_map(&rings, start->rings.fd) == -1)
        return log_errno(LOG_ERROR, NULL, "logger (pid %d): cannot map the rings", (int)getpid()) == -1;
    p->start = start;
    p->channel = start->channel;
    p->own = (struct logger){ .form = LOGGER_DATED, .fd = start->errors, .level = LOG_DEBUG };
    logger_drain_init(&p->drain, &rings);
    log_open(process_sink, p, LOG_DEBUG);
    status = process_live(p);
    logger_drain_free(&p->drain);
    logger_rings_close(&rings);
    free(p);
    return status;
}
