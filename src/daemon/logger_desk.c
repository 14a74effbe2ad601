/* SPDX-License-Identifier: BSD-2-Clause */
/* The master's side of the logger.  What targets there are the master knows by itself, and files are opened by the names
 * that it knows: it believes nothing of that kind that stands in the shared file, where the logger can write. */
#include "daemon/logger_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/ledger.h"
#include "daemon/logger_journal.h"
#include "daemon/logger_process.h"
#include "daemon/rights.h"
#include "daemon/signals.h"

_Static_assert((int)LOGGER_WORKERS == (int)LEDGER_ROOM, "each slot of the ledger has its rings");

enum {
    OWN_RING = 1024 * 1024,             /* bytes for the master's lines: thousands */
    SYNC_MS = 1000,                     /* a target that takes nothing must not hold up the master for longer */
    QUICK_DEATH_MS = 10000,             /* who dies younger is started again after a pause ... */
    PAUSE_MIN_MS = 100,                 /* ... which doubles each time ... */
    PAUSE_MAX_MS = 5000,                /* ... up to this */
    AGAIN_MS = 100,                     /* before it is told again what found no place */
    HEARD_MAX = 64,                     /* messages in one turn */
    CALL_CLOSE_RANGE = 436              /* Linux 5.9, the same on all machines; headers may be older */
};

/* ---- opening ---- */

static const struct logger_desk closed = { .rings = { .fd = -1 }, .bell = { -1, -1 }, .channel = -1,
                                           .next_start_ms = UINT64_MAX };

static void close_one(int *fd)
{
    if (*fd != -1)
        close(*fd);
    *fd = -1;
}

static struct bell bell_of(const struct logger_desk *d, uint32_t *state)
{
    return (struct bell){ .state = state, .fd = d->bell[1] };
}

static int own_ring_open(struct logger_desk *d)
{
    struct bell bell = bell_of(d, d->rings.bell);
    struct ring_shared *s;

    if (logger_ring_make(&d->rings, logger_ring_of_master(), OWN_RING, "master") == -1)
        return -1;
    s = logger_ring_map(&d->rings, logger_ring_of_master());
    if (s != NULL && ring_join(&d->own, s, &bell) == 0)
        return 0;
    logger_ring_unmap(s);
    return -1;
}

void logger_desk_init(struct logger_desk *d)
{
    *d = closed;
}

int logger_desk_open(struct logger_desk *d)
{
    *d = closed;
    if (pipe2(d->bell, O_CLOEXEC | O_NONBLOCK) == 0 && logger_rings_open(&d->rings) == 0 && own_ring_open(d) == 0)
        return 0;
    logger_desk_close(d);
    return -1;
}

void logger_desk_close(struct logger_desk *d)
{
    logger_ring_unmap(d->own.shared);
    logger_rings_close(&d->rings);
    close_one(&d->bell[0]);
    close_one(&d->bell[1]);
    close_one(&d->channel);
    *d = closed;
}

void logger_desk_describe(const struct logger_desk *d, struct logger_legacy *to)
{
    *to = (struct logger_legacy){ .rings = d->rings.fd, .bell_read = d->bell[0], .bell_write = d->bell[1],
                                  .channel = d->channel, .pid = d->pid };
}

int logger_desk_adopt(struct logger_desk *d, const struct logger_legacy *from)
{
    *d = closed;
    if (from->rings == -1 || logger_rings_adopt(&d->rings, from->rings) == -1)
        return -1;
    d->bell[0] = from->bell_read;
    d->bell[1] = from->bell_write;
    d->channel = from->channel;
    d->pid = from->pid;
    d->started = true;
    d->started_ms = clock_monotonic_ms();
    if (d->pid == 0)
        d->next_start_ms = d->started_ms;
    if (own_ring_open(d) == 0)
        return 0;
    d->rings.fd = d->bell[0] = d->bell[1] = d->channel = -1;
    logger_desk_close(d);
    return -1;
}

/* ---- telling ---- */

/* What finds no place (ETOOMANYREFS: too many descriptors of the user are on their way) is told again later: without a
 * target the logger can write nothing. */
static void tell(struct logger_desk *d, enum channel_kind kind, uint32_t value, int fd)
{
    const struct channel_message m = { .kind = kind, .value = value, .fd = fd };

    if (d->channel == -1 || channel_send(d->channel, &m) == 0 || errno == EPIPE)
        return;
    if (d->unheard++ == 0)
        log_errno(LOG_WARN, NULL, "logger (pid %d): cannot be told everything now", (int)d->pid);
    d->again_ms = clock_monotonic_ms() + AGAIN_MS;
}

static void tell_target(struct logger_desk *d, int target, enum logger_kind kind, int fd)
{
    tell(d, kind == LOGGER_LOG ? CHANNEL_LOGGER_LOG : CHANNEL_LOGGER_ACCESS, (uint32_t)target, fd);
}

/* A target by its description: where another logger goes on. */
static int target_open(const struct logger_target *t, enum logger_kind kind)
{
    if (t->path[kind][0] != '\0')
        return logger_file(t->path[kind]);
    return t->form[kind] == LOGGER_JOURNAL ? logger_journal_connect() : logger_stderr();
}

static void tell_target_anew(struct logger_desk *d, int target, enum logger_kind kind)
{
    const struct logger_target *t = &d->rings.own[target];
    int fd;

    if (t->form[kind] == LOGGER_NONE)
        return;
    fd = target_open(t, kind);
    if (fd == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot open %s again", t->path[kind][0] != '\0' ? t->path[kind] : "the journal");
        return;
    }
    tell_target(d, target, kind, fd);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void tell_everything(struct logger_desk *d)
{
    for (int i = 0; i < LOGGER_TARGETS; i++) {
        enum logger_use use = logger_target_state(&d->rings, i);

        if (use == LOGGER_FREE)
            continue;
        logger_target_show(&d->rings, i);       /* whatever the one before has made of it */
        logger_target_publish(&d->rings, i, use);
        tell_target_anew(d, i, LOGGER_LOG);
        tell_target_anew(d, i, LOGGER_ACCESS);
        if (use == LOGGER_ENDING)
            tell(d, CHANNEL_LOGGER_END, (uint32_t)i, -1);
    }
}

static void tell_again(struct logger_desk *d, uint64_t now_ms)
{
    unsigned before = d->unheard;

    if (before == 0 || d->channel == -1 || now_ms < d->again_ms)
        return;
    tell_everything(d);
    if (d->unheard == before)
        d->unheard = 0;
}

/* ---- targets ---- */

static int path_note(char to[PATH_MAX], const char *path)
{
    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to, path, strlen(path) + 1);
    return 0;
}

static int target_describe(struct logger_target *t, const struct conf *c, const struct logger *l)
{
    t->form[LOGGER_LOG] = (uint32_t)l->form;
    if (l->path != NULL && path_note(t->path[LOGGER_LOG], l->path) == -1)
        return -1;
    if (c->access_target == CONF_TARGET_JOURNAL)
        t->form[LOGGER_ACCESS] = LOGGER_JOURNAL;
    if (c->access_target == CONF_TARGET_FILE) {
        t->form[LOGGER_ACCESS] = LOGGER_LINES;
        if (path_note(t->path[LOGGER_ACCESS], c->access_file) == -1)
            return -1;
    }
    snprintf(t->format, sizeof t->format, "%s", c->access_format);
    return 0;
}

int logger_desk_add(struct logger_desk *d, const struct conf *c, const struct logger *l, int access_fd)
{
    int target = logger_target_take(&d->rings);
    struct logger_target *t;

    if (target == -1) {
        errno = EBUSY;
        return -1;
    }
    t = &d->rings.own[target];
    if (target_describe(t, c, l) == -1)
        return -1;
    logger_target_show(&d->rings, target);
    logger_target_publish(&d->rings, target, LOGGER_USED);
    if (d->channel == -1)               /* it will be told when it starts */
        return target;
    if (t->form[LOGGER_LOG] == LOGGER_JOURNAL)
        tell_target_anew(d, target, LOGGER_LOG);
    else
        tell_target(d, target, LOGGER_LOG, l->fd);
    if (access_fd != -1)
        tell_target(d, target, LOGGER_ACCESS, access_fd);
    else
        tell_target_anew(d, target, LOGGER_ACCESS);
    return target;
}

void logger_desk_again(struct logger_desk *d, int target, enum logger_kind kind, int fd)
{
    tell_target(d, target, kind, fd);
}

void logger_desk_end(struct logger_desk *d, int target)
{
    if (target == -1)
        return;
    logger_target_publish(&d->rings, target, LOGGER_ENDING);
    tell(d, CHANNEL_LOGGER_END, (uint32_t)target, -1);
}

/* ---- the process ---- */

static void close_from(int first)
{
    if (syscall(CALL_CLOSE_RANGE, (unsigned)first, UINT_MAX, 0) == 0)
        return;
    for (long fd = first, end = sysconf(_SC_OPEN_MAX); fd < end; fd++)
        close((int)fd);
}

/* The new process has inherited whatever the master had open.  What it needs is copied first: some of it is closed as
 * the master's, and its number may be another's then. */
static int copy_needed(int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1 + (int)count);
        if (fds[i] == -1)
            return -1;
    }
    return 0;
}

/* The copies get the first numbers, and all others are closed: no worker would see its master vanish otherwise. */
static int keep_only(int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fds[i] = dup3(fds[i], STDERR_FILENO + 1 + (int)i, O_CLOEXEC);
        if (fds[i] == -1)
            return -1;
    }
    close_from(STDERR_FILENO + 1 + (int)count);
    return 0;
}

static _Noreturn void logger_child(struct logger_desk *d, const struct logger_how *how, int channel,
                                   const sigset_t *before)
{
    struct logger_start start = { .rings = d->rings, .priv = how->priv, .sandbox = how->sandbox, .signals_before = before };
    int fds[] = { d->rings.fd, channel, d->bell[0], how->errors };
    unsigned count = sizeof fds / sizeof *fds;

    logger_ring_unmap(d->own.shared);
    if (copy_needed(fds, count) == -1)
        _exit(EXIT_FAILURE);            /* the master tells of it */
    how->abandon(how->abandon_arg, NULL);
    if (keep_only(fds, count) == -1)
        _exit(EXIT_FAILURE);
    start.rings.fd = fds[0];
    start.channel = fds[1];
    start.bell = fds[2];
    start.errors = fds[3];
    exit(logger_process_run(&start));
}

static void pause_before_next(struct logger_desk *d, uint64_t now_ms)
{
    if (now_ms - d->started_ms >= QUICK_DEATH_MS)
        d->pause_ms = 0;
    else if (d->pause_ms == 0)
        d->pause_ms = PAUSE_MIN_MS;
    else
        d->pause_ms = d->pause_ms * 2 < PAUSE_MAX_MS ? d->pause_ms * 2 : PAUSE_MAX_MS;
    d->next_start_ms = now_ms + d->pause_ms;
}

static int logger_start_failed(struct logger_desk *d, uint64_t now_ms)
{
    pause_before_next(d, now_ms);
    return log_errno(LOG_ERROR, &(struct log_about){ .event = "logger-failed" }, "master: cannot start the logger");
}

int logger_desk_start(struct logger_desk *d, const struct logger_how *how, uint64_t now_ms)
{
    sigset_t before;
    int ends[2];

    d->started_ms = now_ms;
    if (channel_open(ends) == -1)
        return logger_start_failed(d, now_ms);
    d->channel = ends[0];
    d->unheard = 0;
    tell_everything(d);                 /* before it looks at a record */
    if (d->unheard > 0) {               /* what it could not write would be lost: it waits in the rings */
        close(ends[1]);
        close_one(&d->channel);
        d->unheard = 0;
        pause_before_next(d, now_ms);
        return -1;
    }
    signals_hold(&before);
    d->pid = fork();
    if (d->pid == 0)
        logger_child(d, how, ends[1], &before);
    signals_release(&before);
    close(ends[1]);
    if (d->pid == -1) {
        d->pid = 0;
        close_one(&d->channel);
        return logger_start_failed(d, now_ms);
    }
    d->started = true;
    d->next_start_ms = UINT64_MAX;
    return 0;
}

/* A new logger has all that the dead one had not written: this line comes behind it. */
static void bury(struct logger_desk *d, int status, uint64_t now_ms)
{
    pid_t pid = d->pid;

    d->pid = 0;
    close_one(&d->channel);
    pause_before_next(d, now_ms);
    log_write(LOG_ERROR, &(struct log_about){ .event = "logger-died" }, "logger (pid %d): %s %d; next try in %.1f s", (int)pid,
              WIFSIGNALED(status) ? "died of signal" : "ended with status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), d->pause_ms / 1000.0);
}

/* As channel_receive; it has no descriptors to give. */
static int logger_receive(const struct logger_desk *d, struct channel_message *m)
{
    int got = channel_receive(d->channel, m);

    if (got == 1 && m->fd != -1)
        rights_close(m->fd);
    return got;
}

/* What it says has been waited for, or is late.  One that never ends to speak does not hold the master. */
static void hear(struct logger_desk *d)
{
    struct channel_message m;

    for (int i = 0; i < HEARD_MAX && d->channel != -1; i++) {
        int got = logger_receive(d, &m);

        if (got == 0 || (got == -1 && errno != EBADMSG))
            return;
    }
}

void logger_desk_leave(struct logger_desk *d, pid_t former)
{
    unsigned i = 0;

    while (i < LOGGER_FORMERS && d->former[i] != 0)
        i++;
    if (i < LOGGER_FORMERS)
        d->former[i] = former;
}

void logger_desk_look(struct logger_desk *d, uint64_t now_ms)
{
    int status;

    hear(d);
    if (d->pid != 0 && waitpid(d->pid, &status, WNOHANG) == d->pid)
        bury(d, status, now_ms);
    tell_again(d, now_ms);
    for (unsigned i = 0; i < LOGGER_FORMERS; i++)
        if (d->former[i] != 0 && waitpid(d->former[i], &status, WNOHANG) == d->former[i])
            d->former[i] = 0;
}

uint64_t logger_desk_due_ms(const struct logger_desk *d)
{
    if (d->pid == 0)
        return d->next_start_ms;
    return d->unheard > 0 ? d->again_ms : UINT64_MAX;
}

bool logger_desk_is_due(const struct logger_desk *d, uint64_t now_ms)
{
    return d->pid == 0 && d->next_start_ms <= now_ms;
}

static int time_left_ms(uint64_t until_ms)
{
    uint64_t now_ms = clock_monotonic_ms();

    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

void logger_desk_sync(struct logger_desk *d)
{
    uint64_t until_ms = clock_monotonic_ms() + SYNC_MS;
    struct channel_message m = { .kind = CHANNEL_LOGGER_SYNC, .value = ++d->syncs, .fd = -1 };
    int got = d->channel != -1 && channel_send(d->channel, &m) == 0 ? 0 : -1;

    while (got != -1) {
        struct pollfd p = { .fd = d->channel, .events = POLLIN };
        int left_ms = time_left_ms(until_ms);

        if (left_ms == 0 || poll(&p, 1, left_ms) == 0)
            return;
        got = logger_receive(d, &m);
        if (got == 1 && m.kind == CHANNEL_LOGGER_SYNCED && m.value == d->syncs)
            return;
    }
}

static bool wait_for_end(struct logger_desk *d, uint64_t until_ms)
{
    struct channel_message m;

    for (;;) {
        struct pollfd p = { .fd = d->channel, .events = POLLIN };
        int left_ms = time_left_ms(until_ms);

        if (left_ms == 0 || poll(&p, 1, left_ms) == 0)
            return false;
        if (logger_receive(d, &m) == -1 && errno != EBADMSG && errno != EINTR)
            return true;
    }
}

bool logger_desk_finish(struct logger_desk *d)
{
    bool in_time = true;
    int status = 0;

    if (d->pid == 0)
        return !d->started;
    tell(d, CHANNEL_LOGGER_FINISH, 0, -1);
    if (d->channel == -1 || !wait_for_end(d, clock_monotonic_ms() + LOGGER_FINISH_MS)) {
        kill(d->pid, SIGKILL);
        in_time = false;
    }
    while (waitpid(d->pid, &status, 0) == -1 && errno == EINTR)
        ;
    d->pid = 0;
    close_one(&d->channel);
    return !in_time || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

uint64_t logger_desk_lost(const struct logger_desk *d, enum logger_kind kind)
{
    return d->rings.head != NULL ? __atomic_load_n(&d->rings.head->lost[kind], __ATOMIC_RELAXED) : 0;
}

uint64_t logger_desk_dropped(const struct logger_desk *d)
{
    return d->own.shared != NULL ? __atomic_load_n(&d->own.shared->dropped, __ATOMIC_RELAXED) : 0;
}

/* ---- workers ---- */

int logger_desk_prepare(struct logger_desk *d, unsigned slot, size_t size, const char *worker)
{
    char owner[RING_OWNER_SIZE];

    snprintf(owner, sizeof owner, "worker %.50s", worker);
    for (unsigned kind = 0; kind < LOGGER_KINDS; kind++)
        if (logger_ring_make(&d->rings, logger_ring_of(slot, (enum logger_kind)kind), size, owner) == -1)
            return -1;
    return 0;
}

int logger_desk_enter(struct logger_desk *d, unsigned slot, struct ring rings[LOGGER_KINDS])
{
    uint32_t *state = logger_bell_map(&d->rings);
    struct bell bell = bell_of(d, state);
    int writing = d->bell[1];

    for (unsigned kind = 0; kind < LOGGER_KINDS; kind++) {
        struct ring_shared *s = logger_ring_map(&d->rings, logger_ring_of(slot, (enum logger_kind)kind));

        if (state == NULL || s == NULL || ring_join(&rings[kind], s, &bell) == -1)
            return -1;
    }
    d->bell[1] = -1;                    /* is the rings' now */
    logger_desk_close(d);
    rings[LOGGER_LOG].bell.fd = rings[LOGGER_ACCESS].bell.fd = writing;
    return 0;
}
