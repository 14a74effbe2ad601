/* SPDX-License-Identifier: BSD-2-Clause */
/* The lobby, as the master sees it.  Owns the reading ends of lobbies and benches; knows of a connection no more than whose
 * it was: name and protocol of its service. */
#include "daemon/lobby.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/parcel.h"
#include "daemon/channel.h"
#include "daemon/generation.h"
#include "daemon/inbox.h"
#include "daemon/rights.h"
#include "daemon/service.h"

enum {
    LOBBY_SEATS = 64,           /* connections of a bench in one turn: there are others */
    LOBBY_BENCHES = 64,         /* taken over in one turn */
    LOBBY_BENCHES_MAX = 4096,   /* at a time: a worker of a daemon before may put in as many as it likes */
    LOBBY_AGAIN_MS = 5,         /* when all inboxes are full: a worker empties its own in such a time; it doubles ... */
    LOBBY_AGAIN_MAX_MS = 100    /* ... up to this while nothing moves */
};

/* ---- what there is ---- */

void lobby_init(struct lobby *l)
{
    *l = (struct lobby){ .ends = { -1, -1 } };
    bench_init(&l->bench);
}

void lobby_name(char name[LOBBY_NAME_SIZE], unsigned number)
{
    snprintf(name, LOBBY_NAME_SIZE, LOBBY_KEPT_NAME "%u", number);
}

int lobby_add_former(struct lobby *l, int taken, unsigned number)
{
    struct lobby_former *grown = realloc(l->former, (l->former_count + 1) * sizeof *grown);

    if (grown == NULL)
        return -1;
    l->former = grown;
    l->former[l->former_count++] = (struct lobby_former){ .fd = taken, .number = number };
    return 0;
}

int lobby_add_bench(struct lobby *l, int taken)
{
    int *grown = realloc(l->benches, (l->bench_count + 1) * sizeof *grown);

    if (grown == NULL)
        return -1;
    l->benches = grown;
    l->benches[l->bench_count++] = taken;
    return 0;
}

/* A service may be called "lobby": names of its sockets have another number behind this one. */
static bool is_lobby(const struct handed_one *one, unsigned *number)
{
    const size_t n = strlen(LOBBY_KEPT_NAME);
    char name[LOBBY_NAME_SIZE];

    if (strncmp(one->name, LOBBY_KEPT_NAME, n) != 0)
        return false;
    *number = (unsigned)strtoul(one->name + n, NULL, 10);
    lobby_name(name, *number);
    return strcmp(name, one->name) == 0;
}

static int find_former(struct lobby *l, const struct handed *kept)
{
    for (unsigned i = 0; i < kept->count; i++) {
        unsigned number;
        int copy;

        if (!is_lobby(&kept->v[i], &number))
            continue;
        copy = fcntl(kept->v[i].fd, F_DUPFD_CLOEXEC, HANDED_FIRST);
        if (copy == -1)
            return -1;
        if (lobby_add_former(l, copy, number) == -1) {
            close(copy);
            return -1;
        }
    }
    return 0;
}

/* The service manager forgets by name, so no two have the same. */
static unsigned free_number(const struct lobby *l)
{
    unsigned number = 0, i = 0;

    while (i < l->former_count) {
        bool taken = l->former[i].number == number;

        number += taken;
        i = taken ? 0 : i + 1;
    }
    return number;
}

int lobby_open(struct lobby *l, const struct handed *kept)
{
    if (find_former(l, kept) == -1)
        return -1;
    l->number = free_number(l);
    return channel_open(l->ends);
}

static void shut_end(int *fd)
{
    if (*fd != -1)
        close(*fd);
    *fd = -1;
}

void lobby_abandon(struct lobby *l, bool is_worker)
{
    shut_end(&l->ends[0]);
    if (!is_worker)
        shut_end(&l->ends[1]);
    for (unsigned i = 0; i < l->former_count; i++)
        shut_end(&l->former[i].fd);
    for (unsigned i = 0; i < l->bench_count; i++)
        shut_end(&l->benches[i]);
    l->former_count = l->bench_count = 0;
    bench_close(&l->bench);
}

void lobby_close(struct lobby *l)
{
    lobby_abandon(l, false);
    free(l->former);
    free(l->benches);
    lobby_init(l);
}

/* ---- benches of former lobbies ---- */

static bool will_pass(int error)
{
    return inbox_is_busy(error) || error == EMFILE || error == ENFILE;
}

/* Workers put in what they like. */
static bool is_bench(int fd)
{
    int type = 0, domain = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* If our own lobby has no room for it, it is kept by nobody but us, which is better than to leave those waiting who are
 * there.  A lobby or bench whose writing end was put in as a bench would keep itself for ever; it is over now.  False: not
 * now. */
static bool bench_adopt(struct lobby *l, int bench)
{
    if (lobby_add_bench(l, bench) == -1)
        return false;
    (void)shutdown(bench, SHUT_WR);
    if (l->ends[1] != -1)
        (void)channel_send(l->ends[1], &(struct channel_message){ .kind = CHANNEL_BENCH, .fd = bench });
    return true;
}

/* False: not now. */
static bool message_take(struct lobby *l, const struct channel_message *m)
{
    bool wanted = m->kind == CHANNEL_BENCH && is_bench(m->fd) && !inbox_is_over(m->fd);
    bool taken = wanted && bench_adopt(l, m->fd);

    if (!taken && m->fd != -1)
        rights_close(m->fd);
    return taken || !wanted;
}

/* False: nobody will put anything there any more. */
static bool former_look(struct lobby *l, int former)
{
    struct channel_message m;

    for (int i = 0; i < LOBBY_BENCHES; i++) {
        int got = channel_peek(former, &m);
        bool later = got == 1 ? !message_take(l, &m) : got == -1 && will_pass(errno);

        l->waits |= later;
        if (later || got == 0)
            return true;
        if (got == -1 && errno != EBADMSG)
            return false;
        channel_drop(former);
        l->moves = true;
    }
    return true;
}

static bool formers_look(struct lobby *l)
{
    unsigned before = l->former_count, i = 0;

    while (i < l->former_count) {
        if (former_look(l, l->former[i].fd)) {
            i++;
            continue;
        }
        close(l->former[i].fd);
        l->former[i] = l->former[--l->former_count];
    }
    return l->former_count < before;
}

/* ---- who waits ---- */

static bool pool_goes_on(const struct generation *g, const struct pool *p, const struct parcel *parcel)
{
    for (unsigned i = 0; i < g->conf->service_count; i++) {
        const struct conf_service *s = &g->conf->services[i];

        if (span_equal(parcel->service, span_of(s->name)) &&
            span_equal(parcel->proto, span_of(service_proto(s->protocol)->name)))
            return conf_pool_serves(p->conf, s);
    }
    return false;
}

/* The place whose turn it is, or the next one that has room; NULL: there is none, and *busy says whether there may be one
 * later. */
static const struct worker_slot *find_seat(const struct lobby *l, const struct generation *to, struct span bytes, bool *busy)
{
    const struct crew *c = &to->crew;
    struct parcel p;
    bool sound = parcel_open(&p, bytes);

    *busy = false;
    for (unsigned i = 0; i < c->count && sound; i++) {
        unsigned at = (l->next + i) % c->count;

        if (!pool_goes_on(to, c->v[at].pool, &p))
            continue;
        *busy = true;
        if (!inbox_has_room(c->v[at].inbox[1]))
            continue;
        return &c->v[at];
    }
    return NULL;
}

/* It is on no bench any more: the place that had room takes it, or if it does not after all, any that serves it. */
static bool seat_take(struct lobby *l, const struct generation *to, const struct worker_slot *seat, struct span bytes, int fd)
{
    const struct crew *c = &to->crew;
    struct parcel p;
    bool sound = parcel_open(&p, bytes);

    for (unsigned i = 0; i < c->count && sound; i++) {
        unsigned at = ((unsigned)(seat - c->v) + i) % c->count;

        if (!pool_goes_on(to, c->v[at].pool, &p) || inbox_send(c->v[at].inbox[1], bytes, fd) == -1)
            continue;
        l->next = at + 1;
        return true;
    }
    return false;
}

/* Whoever waits first on a bench.  1: he does not any more.  0: there is nobody now.  -1 with errno. */
static int seat_first(struct lobby *l, const struct generation *to, int bench, char *room)
{
    const struct worker_slot *seat;
    struct span bytes = { room, 0 };
    bool busy;
    int fd, got = inbox_peek(bench, room, &bytes);

    if (got != 1)
        return got;
    seat = find_seat(l, to, bytes, &busy);
    if (seat == NULL && busy) {
        errno = EAGAIN;
        return -1;
    }
    got = inbox_receive(bench, room, &bytes, &fd);
    if (got != 1)
        return got == -1 && errno == EBADMSG ? 1 : got;
    if (seat == NULL)
        l->lost++;
    else if (seat_take(l, to, seat, bytes, fd))
        l->seated++;
    else
        l->failed++;
    rights_close(fd);
    return 1;
}

/* False: nobody will wait there any more. */
static bool bench_look(struct lobby *l, const struct generation *to, int bench, char *room)
{
    int got = 1;
    bool later;

    for (int i = 0; i < LOBBY_SEATS && got == 1; i++) {
        got = seat_first(l, to, bench, room);
        l->moves |= got == 1;
    }
    later = got == -1 && will_pass(errno);
    l->waits |= later;
    return got != -1 || later;
}

static void benches_look(struct lobby *l, const struct generation *to)
{
    char *room = malloc(PARCEL_MAX);
    unsigned i = 0;

    l->waits |= room == NULL;
    while (i < l->bench_count && room != NULL) {
        if (bench_look(l, to, l->benches[i], room)) {
            i++;
            continue;
        }
        close(l->benches[i]);
        l->benches[i] = l->benches[--l->bench_count];
    }
    free(room);
}

/* Once, when nobody will come any more. */
static void say_seated(struct lobby *l)
{
    if (l->seated > 0)
        log_write(LOG_INFO, &(struct log_about){ .event = "went-on" },
                  "master: %" PRIu64 " connection%s of the daemon before went on", l->seated, l->seated == 1 ? "" : "s");
    if (l->lost > 0)
        log_write(LOG_NOTICE, &(struct log_about){ .event = "not-kept" },
                  "master: %" PRIu64 " connection%s of the daemon before ended: no service goes on with %s", l->lost,
                  l->lost == 1 ? "" : "s", l->lost == 1 ? "it" : "them");
    if (l->failed > 0)
        log_write(LOG_ERROR, &(struct log_about){ .event = "not-kept" },
                  "master: %" PRIu64 " connection%s of the daemon before ended: no worker could take %s over", l->failed,
                  l->failed == 1 ? "" : "s", l->failed == 1 ? "it" : "them");
    l->seated = l->lost = l->failed = 0;
}

/* If there is none of our own there is nothing to wait for. */
static bool may_take_over(const struct lobby *l)
{
    return (l->kept || l->ends[0] == -1) && l->bench_count < LOBBY_BENCHES_MAX;
}

/* When all are over, so are those that our own lobby has: there is to be room in it for the benches of our workers. */
static void forget_benches(struct lobby *l)
{
    struct channel_message m;
    bool over = true;

    for (int i = 0; i < LOBBY_BENCHES_MAX && over && l->ends[0] != -1 && channel_peek(l->ends[0], &m) == 1; i++) {
        over = m.fd == -1 || inbox_is_over(m.fd);
        if (m.fd != -1)
            rights_close(m.fd);
        if (over)
            channel_drop(l->ends[0]);
    }
}

/* Who is first in line for inboxes that stay full holds up those behind him: that is not worth a turn every few
 * milliseconds. */
static void lobby_pause(struct lobby *l, uint64_t now_ms)
{
    if (!l->waits)
        l->pause_ms = 0;
    else if (l->moves || l->pause_ms == 0)
        l->pause_ms = LOBBY_AGAIN_MS;
    else
        l->pause_ms = l->pause_ms * 2 < LOBBY_AGAIN_MAX_MS ? l->pause_ms * 2 : LOBBY_AGAIN_MAX_MS;
    l->again_ms = l->waits ? now_ms + l->pause_ms : 0;
}

bool lobby_turn(struct lobby *l, const struct generation *to, uint64_t now_ms)
{
    bool over;

    if (lobby_polled(l) == 0 || now_ms < l->again_ms)
        return false;
    l->moves = l->waits = false;
    over = may_take_over(l) && formers_look(l);
    benches_look(l, to);
    lobby_pause(l, now_ms);
    if (lobby_polled(l) == 0) {
        forget_benches(l);
        say_seated(l);
    }
    return over;
}

/* ---- waiting ---- */

size_t lobby_polled(const struct lobby *l)
{
    return (size_t)l->former_count + l->bench_count;
}

size_t lobby_poll(const struct lobby *l, struct pollfd *polled, size_t room)
{
    size_t n = 0;

    if (l->again_ms != 0)
        return 0;
    for (unsigned i = 0; i < l->former_count && n < room && may_take_over(l); i++)
        polled[n++] = (struct pollfd){ .fd = l->former[i].fd, .events = POLLIN };
    for (unsigned i = 0; i < l->bench_count && n < room; i++)
        polled[n++] = (struct pollfd){ .fd = l->benches[i], .events = POLLIN };
    return n;
}

uint64_t lobby_due_ms(const struct lobby *l)
{
    return l->again_ms != 0 ? l->again_ms : UINT64_MAX;
}
