/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of one loop, their deadlines, and what to do when descriptors run out. */
#include "driver/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/heirs.h"
#include "driver/sock.h"

enum {
    LOOKS = 4,                  /* within a send timeout: is the peer reading, slowly?  At least so many, */
    LOOK_MS = 500,              /* and this far apart at most: so much later is a peer that has stopped let go */
    PAUSE_MS = 100,             /* between tries while descriptors are short */
    PATIENCE_MS = 1000,         /* connections wait so long in the backlog for a descriptor, then are refused */
    CALM_MS = 10000,            /* without a shortage for so long: it is over, and the next is news again */
    REFUSALS = 64,              /* at each try */
    EXTRA_SHARE = 4,            /* of the places: see extra_max */
    CALM_SHARE = 4,             /* the house is crowded until so large a part of its places is free again */
    NEWS_MS = 60000,            /* between two lines about a full house */
    PASS_PAUSE_MS = 5,          /* for heirs that are busy to read on; */
    PASS_PATIENCE_MS = 100,     /* so long connections wait for them, then they go on here in the meantime, and heirs
                                 * are asked as seldom as this */
    OTHER_FDS = 1024,           /* descriptors beside the connections' and their files' */
    ADOPTED_FDS = 1 << 20       /* ... and so many at least: another worker may have let in more than this one would */
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

static struct conn *conn_of_idle(const struct heap_node *node)
{
    return LIST_ENTRY(node, struct conn, idle);
}

static uint64_t roster_idle_since(const struct heap_node *node)
{
    const struct conn *c = conn_of_idle(node);
    return c->leaving ? 0 : conn_idle_since(c);
}

static unsigned clamp(unsigned value, unsigned least, unsigned most)
{
    return value < least ? least : value < most ? value : most;
}

void roster_open(struct roster *r, struct loop *l)
{
    *r = (struct roster){ .loop = l, .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
    r->extra_max = clamp(l->connections_max / EXTRA_SHARE, ROSTER_EXTRA_MIN, ROSTER_EXTRA_MAX);
    r->idlers.since = roster_idle_since;
    list_init(&r->conns);
    l->survey = roster_survey;
    l->surveyed = r;
}

void roster_close(struct roster *r)
{
    heap_free(&r->timers);
    idlers_free(&r->idlers);
    if (r->spare_fd != -1)
        close(r->spare_fd);
}

static void show_active(const struct roster *r)
{
    struct metric_slot *slot = r->loop->env->slot;
    if (slot != NULL)
        __atomic_store_n(&slot->active, r->count, __ATOMIC_RELAXED);
}

void roster_tell_full(struct roster *r)
{
    const struct env *e = r->loop->env;
    if (e->now_ms < r->full_news_ms)
        return;
    r->full_news_ms = e->now_ms + NEWS_MS;
    log_write(LOG_NOTICE, &e->about, "worker %s: all %u connections are in use (limits.connections): idle ones give way, "
              "else new ones are refused or wait", e->about.worker, r->loop->connections_max);
}

/* No place for it.  Who has no words for that is let in after all.  An engine may bring many at once, and then all of
 * them are told; but one address, of which any number may come while there are places, is told so often, no more. */
static void conn_turn_away(struct roster *r, struct conn *c)
{
    bool by_address = c->refused;
    if (!by_address && c->service->proto->refusal.n > 0) {
        r->loop->env->count.refused_full++;
        roster_tell_full(r);
        conn_refuse(c);
    }
    if (!c->refused)
        return;
    c->extra = true;
    r->refused++;
    if (by_address && r->refused > r->extra_max)
        conn_abort(c);
}

void roster_add(struct roster *r, struct conn *c)
{
    if (c->refused || roster_is_full(r))
        conn_turn_away(r, c);
    list_append(&r->conns, &c->siblings);
    r->count++;
    show_active(r);
}

void roster_adopt(struct roster *r, struct conn *c)
{
    list_append(&r->conns, &c->siblings);
    r->count++;
    show_active(r);
}

static bool roster_may_part(const struct conn *c)
{
    return conn_has_heir(c) && conn_portable(c);
}

bool roster_parts(const struct roster *r, const struct conn *c)
{
    return r->loop->env->now_ms >= r->pass_after_ms && roster_may_part(c);
}

bool roster_awaits_heir(const struct roster *r, const struct conn *c)
{
    uint64_t now = r->loop->env->now_ms;
    return now < r->pass_after_ms && now - r->busy_since_ms < PASS_PATIENCE_MS && roster_may_part(c);
}

unsigned roster_pass_pause(uint64_t busy_since_ms, uint64_t now_ms)
{
    return now_ms - busy_since_ms < PASS_PATIENCE_MS ? PASS_PAUSE_MS : PASS_PATIENCE_MS;
}

bool roster_pass(struct roster *r, struct conn *c)
{
    struct env *e = r->loop->env;
    switch (e->heirs->take(e->heirs, c, c->fd)) {
    case HEIR_TOOK:
        r->busy_since_ms = 0;
        conn_taken(c);
        return true;
    case HEIR_BUSY:
        r->busy_since_ms = r->busy_since_ms != 0 ? r->busy_since_ms : e->now_ms;
        r->pass_after_ms = e->now_ms + roster_pass_pause(r->busy_since_ms, e->now_ms);
        break;
    case HEIR_NONE:
        break;
    }
    return false;
}

bool roster_reviews(struct roster *r)
{
    bool due = r->pass_after_ms != 0 && r->loop->env->now_ms >= r->pass_after_ms;
    bool asked = r->loop->review;
    if (due || asked)
        r->pass_after_ms = 0;
    r->loop->review = false;
    return due || asked;
}

void roster_remove(struct roster *r, struct conn *c)
{
    list_remove(&c->siblings);
    heap_remove(&r->timers, &c->timer);
    idlers_forget(&r->idlers, &c->idle);
    r->refused -= c->extra;
    r->leaving -= c->leaving;
    r->count--;
    if (r->crowded)
        r->crowded = r->count >= r->loop->connections_max - r->loop->connections_max / CALM_SHARE;
    show_active(r);
}

/* Between two looks at a peer to which output waits. */
static uint64_t look_ms(const struct conn *c)
{
    unsigned ms = c->service->send_timeout_ms / LOOKS;
    return ms < LOOK_MS ? ms : LOOK_MS;
}

/* When a connection wants to be looked at: at its deadline; while output waits, often before that. */
/* hot */
static uint64_t look_due(const struct conn *c)
{
    uint64_t due = conn_due(c);
    return c->out.bytes > 0 && due != UINT64_MAX ? due - c->service->send_timeout_ms + look_ms(c) : due;
}

/* hot */
void roster_touch(struct roster *r, struct conn *c)
{
    uint64_t due = look_due(c);
    conn_look(c);
    if (r->crowded)
        idlers_note(&r->idlers, &c->idle);
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
    uint64_t due = conn_due(c), again = sending ? now + look_ms(c) + 1 : due;
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

static uint64_t watches_due(const struct loop *l)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < l->watch_count; i++)
        if (watch_pauses(&l->watches[i]))
            at = earlier(at, l->watches[i].again_ms);
    return at;
}

int roster_wait_ms(const struct roster *r)
{
    const struct heap_node *top = heap_top(&r->timers);
    uint64_t now = r->loop->env->now_ms, at = top != NULL ? top->key : UINT64_MAX;
    if (r->accept_after_ms > now)
        at = earlier(at, r->accept_after_ms);
    if (r->loop->phase == LOOP_DRAIN)
        at = earlier(at, r->loop->drain_deadline_ms);
    if (r->pass_after_ms != 0)
        at = earlier(at, r->pass_after_ms);
    if (r->loop->paused)
        at = earlier(at, watches_due(r->loop));
    if (r->loop->unread || r->loop->review)
        return 0;
    if (at == UINT64_MAX)
        return -1;
    if (at <= now)
        return 0;
    return at - now < INT_MAX ? (int)(at - now) : INT_MAX;
}

bool roster_pauses(const struct roster *r)
{
    return r->loop->env->now_ms < r->accept_after_ms;
}

bool roster_is_full(const struct roster *r)
{
    return r->count - r->refused - r->leaving >= r->loop->connections_max;
}

bool roster_can_refuse(const struct roster *r, const struct listener *l)
{
    return l->service->proto->refusal.n > 0 && r->refused < r->extra_max;
}

bool roster_input_waits(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

bool roster_hears_more(const struct roster *r)
{
    for (const struct list *l = r->conns.next; l != &r->conns; l = l->next) {
        const struct conn *c = LIST_ENTRY(l, struct conn, siblings);
        if (conn_wants_input(c) && roster_input_waits(c->fd))
            return true;
    }
    return false;
}

/* The first look at a full house finds everybody who is idle; from then on each is noted when he becomes so.  A quarter
 * of the house has to leave before there is another first look. */
static void roster_crowd(struct roster *r)
{
    if (r->crowded)
        return;
    r->crowded = true;
    for (struct list *l = r->conns.next; l != &r->conns; l = l->next)
        idlers_note(&r->idlers, &LIST_ENTRY(l, struct conn, siblings)->idle);
}

/* Who has a request on the way is not idle: he is noted again behind the answer. */
static struct conn *roster_oldest(struct roster *r)
{
    struct heap_node *node;
    if (r->leaving >= r->extra_max)
        return NULL;
    roster_crowd(r);
    while ((node = idlers_oldest(&r->idlers)) != NULL) {
        if (!roster_input_waits(conn_of_idle(node)->fd))
            return conn_of_idle(node);
        idlers_forget(&r->idlers, node);
    }
    return NULL;
}

bool roster_has_place(struct roster *r, const struct listener *l)
{
    if (roster_pauses(r))
        return false;
    return !roster_is_full(r) || roster_can_refuse(r, l) || roster_oldest(r) != NULL;
}

struct conn *roster_yield(struct roster *r)
{
    struct conn *c = roster_is_full(r) ? roster_oldest(r) : NULL;
    if (c == NULL)
        return NULL;
    idlers_forget(&r->idlers, &c->idle);
    c->leaving = true;
    r->leaving++;
    conn_count(c);
    r->loop->env->count.gave_way++;
    roster_tell_full(r);
    shutdown(c->fd, SHUT_RD);
    return c;
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
    env_count_for(r->loop->env, l->service->part);
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

bool roster_runs_short(struct roster *r)
{
    uint64_t now = r->loop->env->now_ms;
    bool news = r->short_at_ms == 0;
    r->short_at_ms = now;
    if (r->loop->phase == LOOP_RUN)     /* else nobody can wait: the listeners are to be closed */
        r->accept_after_ms = now + PAUSE_MS;
    return news;
}

bool roster_accept_failed(struct roster *r, const struct listener *l, int error)
{
    struct env *e = r->loop->env;
    if (is_passing(error))
        return false;
    if (error == EAGAIN || error == EWOULDBLOCK)
        return true;
    if (roster_runs_short(r)) {
        errno = error;
        log_errno(LOG_ERROR, &e->about, "worker %s: accept on %s; connections wait", e->about.worker, l->text);
    }
    if (r->stuck_since_ms == 0)
        r->stuck_since_ms = e->now_ms;
    else if (is_shortage(error) && e->now_ms - r->stuck_since_ms >= PATIENCE_MS)
        refuse_some(r, l);
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
 * inherited may lie higher.  A table of as many takes memory only where it is used. */
int roster_descriptors_max(const struct loop *l)
{
    struct rlimit limit = { 0 };
    unsigned long need = 2ul * l->connections_max + l->listener_count + l->watch_count + OTHER_FDS;
    need = need > ADOPTED_FDS ? need : ADOPTED_FDS;
    getrlimit(RLIMIT_NOFILE, &limit);
    int max = (int)(limit.rlim_cur < need ? limit.rlim_cur : need);
    for (unsigned i = 0; i < l->listener_count; i++)
        max = l->listeners[i].fd >= max ? l->listeners[i].fd + 1 : max;
    for (unsigned i = 0; i < l->watch_count; i++)
        max = l->watches[i].fd >= max ? l->watches[i].fd + 1 : max;
    return max;
}
