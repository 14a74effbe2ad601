/* SPDX-License-Identifier: BSD-2-Clause */
/* The master and its log: the logger is started, and again when it has died; files are opened again; levels change. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/master_state.h"

static struct generation *generation_at(struct list *l)
{
    return LIST_ENTRY(l, struct generation, siblings);
}

/* ---- the logger ---- */

enum { FIRST_MS = 3000 };       /* for which the start waits for its logger */

static int start_logger(struct master *m, uint64_t now_ms)
{
    const struct generation *g = m->serving;
    const struct logger_how how = { .priv = &g->priv, .sandbox = g->conf->sandbox, .errors = g->logger.fd,
                                    .abandon = master_abandon, .abandon_arg = m };

    return logger_desk_start(&m->desk, &how, now_ms);
}

/* What is short at the start may be so for a moment only. */
static int start_first_logger(struct master *m)
{
    uint64_t until_ms = clock_monotonic_ms() + FIRST_MS;

    while (start_logger(m, clock_monotonic_ms()) == -1) {
        uint64_t now_ms = clock_monotonic_ms(), due_ms = logger_desk_due_ms(&m->desk);

        if (due_ms > until_ms) {
            log_write(LOG_ERROR, NULL, "master: there is no logger after %.1f s", FIRST_MS / 1000.0);
            return -1;
        }
        poll(NULL, 0, due_ms > now_ms ? (int)(due_ms - now_ms) : 0);
    }
    return 0;
}

int master_log_begin(struct master *m)
{
    if (start_first_logger(m) == -1)
        return -1;
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        generation_at(l)->logger.ring = &m->desk.own;
    return 0;
}

/* What the logger before knew of targets stood in its own file. */
static int target_anew(struct generation *g)
{
    g->target = logger_desk_add(g->desk, g->conf, &g->logger, g->access_fd);
    if (g->target == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot tell the logger where lines go");
    g->logger.target = (uint32_t)g->target;
    return 0;
}

int master_log_resume(struct master *m)
{
    bool anew = !m->desk.started;
    int rc = 0;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        struct generation *g = generation_at(l);

        g->desk = &m->desk;
        rc = rc == 0 && anew ? target_anew(g) : rc;
        g->logger.ring = anew ? NULL : &m->desk.own;
    }
    logger_use(&m->serving->logger);
    if (rc == 0 && anew)
        rc = master_log_begin(m);
    return rc;
}

void master_log_step(struct master *m, uint64_t now_ms)
{
    logger_desk_look(&m->desk, now_ms);
    if (logger_desk_is_due(&m->desk, now_ms))
        start_logger(m, now_ms);
}

/* One that has just died leaves records behind: another writes them, but for a master
 * that could not take over. */
void master_log_end(struct master *m)
{
    if (logger_desk_finish(&m->desk) || m->serving == NULL)
        return;
    if (start_logger(m, clock_monotonic_ms()) == 0)
        (void)logger_desk_finish(&m->desk);
}

/* ---- opening files again ---- */

static bool reopen_access(struct generation *g)
{
    const char *path = g->conf->access_file;
    int fd;

    if (g->access_fd == -1)
        return true;
    fd = logger_file(path);
    if (fd == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot open the access log %s again", path);
        return false;
    }
    logger_replace(g->access_fd, fd);
    logger_desk_again(g->desk, g->target, LOGGER_ACCESS, g->access_fd);
    return true;
}

static bool reopen_log(struct generation *g)
{
    if (g->logger.path == NULL)
        return true;
    if (logger_reopen(&g->logger) == -1) {
        log_errno(LOG_ERROR, NULL, "master: cannot open the log %s again", g->logger.path);
        return false;
    }
    logger_desk_again(g->desk, g->target, LOGGER_LOG, g->logger.fd);
    generation_tell(g, &(struct channel_message){ .kind = CHANNEL_LOG, .fd = g->logger.fd });
    return true;
}

bool master_reopen(struct master *m, const char *who)
{
    bool all = true;

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        all &= reopen_log(generation_at(l));
        all &= reopen_access(generation_at(l));
    }
    if (all)
        log_write(LOG_NOTICE, &(struct log_about){ .event = "reopened" }, "master: %s: log files are open again", who);
    logger_desk_sync(&m->desk);         /* who rotates files may compress the old ones at once */
    return all;
}

void master_set_level(struct master *m, enum log_level level)
{
    m->serving->logger.level = level;
    log_set_level(level);
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        generation_tell(generation_at(l), &(struct channel_message){ .kind = CHANNEL_LEVEL, .value = level, .fd = -1 });
}
