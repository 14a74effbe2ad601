/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of one loop, their deadlines, and what to do when descriptors run out. */
#include "driver/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "driver/sock.h"

enum {
    LOOKS = 4,                  /* within a send timeout: is the peer reading, slowly? */
    PAUSE_MS = 100,             /* between tries while descriptors are short */
    PATIENCE_MS = 1000,         /* connections wait so long in the backlog for a descriptor, then are refused */
    CALM_MS = 10000,            /* without a shortage for so long: it is over, and the next is news again */
    REFUSALS = 64,              /* at each try */
    OTHER_FDS = 1024            /* descriptors beside the connections' and their files' */
};

static void roster_survey(void *roster, struct census *c)
{
    const struct roster *r = roster;
    struct census_row row;
    for (const struct list *l = r->conns.next; l != &r->conns; l = l->next) {
        census_look(&row, LIST_ENTRY(l, struct conn, siblings));
        census_add(c, &row);
    }
}

void roster_open(struct roster *r, struct loop *l)
{
    *r = (struct roster){ .loop = l, .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
    list_init(&r->conns);
    l->survey = roster_survey;
    l->surveyed = r;
}

void roster_close(struct roster *r)
{
    heap_free(&r->timers);
    if (r->spare_fd != -1)
        close(r->spare_fd);
}

static void show_active(const struct roster *r)
{
    struct metric_slot *slot = r->loop->env->slot;
    if (slot != NULL)
        __atomic_store_n(&slot->active, r->count, __ATOMIC_RELAXED);
}

void roster_add(struct roster *r, struct conn *c)
{
    list_append(&r->conns, &c->siblings);
    r->count++;
    show_active(r);
}

void roster_remove(struct roster *r, struct conn *c)
{
    list_remove(&c->siblings);
    heap_remove(&r->timers, &c->timer);
    r->count--;
    show_active(r);
}

/* When a connection wants to be looked at: at its deadline; while output waits, a few times before that. */
/* hot */
static uint64_t look_due(const struct conn *c)
{
    uint64_t due = conn_due(c), send_ms = c->service->send_timeout_ms;
    return c->out.bytes > 0 && due != UINT64_MAX ? due - send_ms + send_ms / LOOKS : due;
}

/* hot */
void roster_touch(struct roster *r, struct conn *c)
{
    uint64_t due = look_due(c);
    if (due == UINT64_MAX || (c->timer.at != 0 && c->timer.key <= due))
        return;
    if (heap_set(&r->timers, &c->timer, due) == -1 && c->timer.at == 0)
        conn_abort(c);          /* without a deadline it could stay for ever */
}

/* The timer fired: is the deadline over?  If not, when to look again. */
static bool conn_is_late(struct roster *r, struct conn *c, uint64_t now)
{
    bool sending = c->out.bytes > 0;
    if (sending)
        sock_note_blocked(c);
    uint64_t due = conn_due(c), again = sending ? now + c->service->send_timeout_ms / LOOKS + 1 : due;
    if (due <= now)
        return true;
    return due != UINT64_MAX && heap_set(&r->timers, &c->timer, again < due ? again : due) == -1;
}

struct conn *roster_expire(struct roster *r)
{
    uint64_t now = r->loop->env->now_ms;
    struct heap_node *top;
    while ((top = heap_top(&r->timers)) != NULL && top->key <= now) {
        struct conn *c = LIST_ENTRY(top, struct conn, timer);
        heap_remove(&r->timers, top);
        if (!conn_is_late(r, c, now))
            continue;
        conn_expired(c);
        return c;
    }
    return NULL;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int roster_wait_ms(const struct roster *r)
{
    const struct heap_node *top = heap_top(&r->timers);
    uint64_t now = r->loop->env->now_ms, at = env_due(r->loop->env);
    if (top != NULL)
        at = earlier(at, top->key);
    if (r->accept_after_ms > now)
        at = earlier(at, r->accept_after_ms);
    if (r->loop->phase == LOOP_DRAIN)
        at = earlier(at, r->loop->drain_deadline_ms);
    if (at == UINT64_MAX)
        return -1;
    if (at <= now)
        return 0;
    return at - now < INT_MAX ? (int)(at - now) : INT_MAX;
}

bool roster_has_place(const struct roster *r)
{
    return r->count < r->loop->connections_max && r->loop->env->now_ms >= r->accept_after_ms;
}

void roster_last_round(struct roster *r)
{
    r->loop->connections_max += ROSTER_LAST_ACCEPTS;
    r->accept_after_ms = 0;
}

/* Gives up the spare descriptor for a moment to take connections from the backlog and close them, so that their
 * clients learn of the shortage instead of waiting. */
static void refuse_some(struct roster *r, const struct listener *l)
{
    if (r->spare_fd == -1)      /* somebody was quicker the last time */
        r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < REFUSALS && r->spare_fd != -1; i++) {
        close(r->spare_fd);
        int fd = accept(l->fd, NULL, NULL);
        if (fd != -1) {
            close(fd);
            r->loop->env->count.refused++;
        }
        r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return;
    }
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* True for what says nothing about the listener: the peer went away while it waited (accept(2)). */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == EPERM ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == EOPNOTSUPP || error == ENETUNREACH || error == ETIMEDOUT;
}

bool roster_accept_failed(struct roster *r, const struct listener *l, int error)
{
    struct env *e = r->loop->env;
    if (is_passing(error))
        return false;
    if (error == EAGAIN || error == EWOULDBLOCK)
        return true;
    if (r->short_at_ms == 0) {
        errno = error;
        log_errno(LOG_ERROR, &e->about, "worker %s: accept on %s; connections wait", e->about.worker, l->text);
    }
    r->short_at_ms = e->now_ms;
    if (r->stuck_since_ms == 0)
        r->stuck_since_ms = e->now_ms;
    else if (is_shortage(error) && e->now_ms - r->stuck_since_ms >= PATIENCE_MS)
        refuse_some(r, l);
    r->accept_after_ms = e->now_ms + PAUSE_MS;
    return true;
}

void roster_accepted(struct roster *r)
{
    struct env *e = r->loop->env;
    r->stuck_since_ms = 0;
    if (r->spare_fd == -1)      /* somebody else was quicker when it was given up */
        r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (r->short_at_ms == 0 || e->now_ms - r->short_at_ms < CALM_MS)
        return;
    r->short_at_ms = 0;
    log_write(LOG_NOTICE, &e->about, "worker %s: accepting connections again", e->about.worker);
}

/* Descriptors are given out lowest first, so a bound on how many are open bounds their numbers; those that were
 * inherited may lie higher. */
int roster_descriptors_max(const struct loop *l)
{
    struct rlimit limit = { 0 };
    unsigned long need = 2ul * l->connections_max + l->listener_count + l->watch_count + OTHER_FDS;
    getrlimit(RLIMIT_NOFILE, &limit);
    int max = (int)(limit.rlim_cur < need ? limit.rlim_cur : need);
    for (unsigned i = 0; i < l->listener_count; i++)
        max = l->listeners[i].fd >= max ? l->listeners[i].fd + 1 : max;
    for (unsigned i = 0; i < l->watch_count; i++)
        max = l->watches[i].fd >= max ? l->watches[i].fd + 1 : max;
    return max;
}
