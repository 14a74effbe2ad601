/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of driver/roster.c.  The clock stands still until a test moves it; shortages are real ones. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "core/tally.h"
#include "driver/roster.h"
#include "driver/sock.h"

enum { START_MS = 1000000, CONNECTIONS_MAX = 5 };

static size_t take_all(struct conn *c, struct span in)
{
    (void)c;
    return in.n;
}

static void push_back(struct conn *c)
{
    conn_timeout(c, 500);
}

static const struct proto quiet = { .name = "quiet", .input = take_all, .expired = push_back };
static const struct service service = { .name = "test", .proto = &quiet, .message_max = 10 };

static const struct listener nowhere = { .fd = -1, .service = &service, .text = "127.0.0.1:80" };

struct journal {
    unsigned errors, notices;
    char     last[LOG_LINE_MAX];
};

static void journal_add(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct journal *j = arg;
    (void)about;
    j->errors += level == LOG_ERROR;
    j->notices += level == LOG_NOTICE;
    memcpy(j->last, line.p, line.n);
    j->last[line.n] = '\0';
}

struct house {
    struct env         env;
    struct metric_slot slot;
    struct loop        loop;
    struct roster      roster;
    struct journal     journal;
};

static void house_open(struct house *h)
{
    *h = (struct house){ .loop.connections_max = CONNECTIONS_MAX };
    env_init(&h->env, &h->slot);
    h->env.now_ms = START_MS;
    h->env.about.worker = "main.0";
    h->loop.env = &h->env;
    log_open(journal_add, &h->journal, LOG_DEBUG);
    roster_open(&h->roster, &h->loop);
}

static struct conn *house_conn(struct house *h)
{
    struct peer nobody = { 0 };
    struct conn *c = conn_new(&h->env, &service, -1, &nobody, 0);
    roster_add(&h->roster, c);
    return c;
}

static void leave(struct house *h, struct conn *c)
{
    roster_remove(&h->roster, c);
    conn_free(c);
}

static void house_close(struct house *h)
{
    while (!list_empty(&h->roster.conns))
        leave(h, LIST_ENTRY(h->roster.conns.next, struct conn, siblings));
    ck_assert_uint_eq(h->roster.count, 0);
    ck_assert_uint_eq(h->slot.active, 0);
    roster_close(&h->roster);
    env_free(&h->env);
}

static void set_timeout(struct house *h, struct conn *c, unsigned ms)
{
    conn_timeout(c, ms);
    roster_touch(&h->roster, c);
}

/* --- who is there --- */

START_TEST(roster_counts_its_connections)
{
    struct house h;
    house_open(&h);
    struct conn *a = house_conn(&h), *b = house_conn(&h);
    ck_assert_uint_eq(h.roster.count, 2);
    ck_assert_uint_eq(h.slot.active, 2);
    leave(&h, a);
    ck_assert_uint_eq(h.slot.active, 1);
    ck_assert_ptr_eq(LIST_ENTRY(h.roster.conns.next, struct conn, siblings), b);
    house_close(&h);
}
END_TEST

START_TEST(roster_has_place_up_to_its_limit)
{
    struct house h;
    struct conn *c = NULL;
    house_open(&h);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        ck_assert(roster_has_place(&h.roster, &nowhere));
        c = house_conn(&h);
    }
    ck_assert(!roster_has_place(&h.roster, &nowhere));
    leave(&h, c);
    ck_assert(roster_has_place(&h.roster, &nowhere));
    house_close(&h);
}
END_TEST

/* --- a full house --- */

#define WORDS "no place\n"

static bool is_always_idle(const struct conn *c)
{
    (void)c;
    return true;
}

static size_t put_back(struct conn *c, struct span in)
{
    outq_put(conn_out(c), in);
    return in.n;
}

static const struct proto polite = { .name = "polite", .input = put_back, .idle = is_always_idle,
                                     .refusal = { WORDS, sizeof WORDS - 1 } };
static const struct service polite_service = { .name = "polite", .proto = &polite, .message_max = 10 };
static const struct listener polite_door = { .fd = -1, .service = &polite_service, .text = "127.0.0.1:81" };

/* A guest with a socket; its other end is *peer_fd. */
static struct conn *polite_conn(struct house *h, int *peer_fd)
{
    struct peer somebody = { .family = AF_INET, .address = { 127, 0, 0, 1 } };
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    struct conn *c = conn_new(&h->env, &polite_service, ends[0], &somebody, 0);
    roster_add(&h->roster, c);
    *peer_fd = ends[1];
    return c;
}

/* Something was asked and answered now. */
static void ask(struct house *h, struct conn *c)
{
    conn_input(c, SPAN("x"));
    conn_sent(c, c->out.bytes);
    roster_touch(&h->roster, c);
}

static void polite_leave(struct house *h, struct conn *c, int peer_fd)
{
    int fd = c->fd;
    leave(h, c);
    close(fd);
    close(peer_fd);
}

START_TEST(roster_lets_the_one_give_way_that_has_been_idle_for_the_longest_time)
{
    static const int order[CONNECTIONS_MAX] = { 3, 0, 4, 2, 1 };
    struct conn *c[CONNECTIONS_MAX + 1];
    int peer[CONNECTIONS_MAX + 1];
    char byte;
    struct house h;
    house_open(&h);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        ck_assert_ptr_null(roster_yield(&h.roster));
        c[i] = polite_conn(&h, &peer[i]);
        ask(&h, c[i]);
    }
    for (int round = 0; round < 3; round++) {   /* each works again and again: only the last time counts */
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            h.env.now_ms++;
            ask(&h, c[order[i]]);
        }
        ck_assert(roster_has_place(&h.roster, &polite_door));   /* looks, and takes nobody away */
    }
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        ck_assert_ptr_eq(roster_yield(&h.roster), c[order[i]]);
        ck_assert_int_eq(recv(c[order[i]]->fd, &byte, 1, MSG_DONTWAIT), 0);
        ck_assert_ptr_null(roster_yield(&h.roster));            /* its place is free */
        c[CONNECTIONS_MAX] = polite_conn(&h, &peer[CONNECTIONS_MAX]);
        ck_assert(!c[CONNECTIONS_MAX]->refused);
        polite_leave(&h, c[order[i]], peer[order[i]]);
        c[order[i]] = c[CONNECTIONS_MAX];
        peer[order[i]] = peer[CONNECTIONS_MAX];
    }
    ck_assert_uint_eq(h.env.count.gave_way, CONNECTIONS_MAX);
    ck_assert_uint_eq(h.journal.notices, 1);
    ck_assert_uint_eq(h.roster.leaving, 0);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        polite_leave(&h, c[i], peer[i]);
    house_close(&h);
}
END_TEST

START_TEST(roster_spares_who_has_sent_a_request_already)
{
    struct conn *c[CONNECTIONS_MAX];
    int peer[CONNECTIONS_MAX];
    struct house h;
    house_open(&h);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        h.env.now_ms++;
        c[i] = polite_conn(&h, &peer[i]);
        ask(&h, c[i]);
    }
    for (int i = 0; i < CONNECTIONS_MAX - 1; i++)
        ck_assert_int_eq(send(peer[i], "y", 1, 0), 1);
    ck_assert_ptr_eq(roster_yield(&h.roster), c[CONNECTIONS_MAX - 1]);
    h.roster.leaving = 0;
    c[CONNECTIONS_MAX - 1]->leaving = false;            /* as if another had come for its place */
    ck_assert_int_eq(send(peer[CONNECTIONS_MAX - 1], "y", 1, MSG_NOSIGNAL), -1);
    conn_input(c[CONNECTIONS_MAX - 1], SPAN("z"));
    ck_assert_ptr_null(roster_yield(&h.roster));
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        polite_leave(&h, c[i], peer[i]);
    house_close(&h);
}
END_TEST

START_TEST(roster_refuses_in_words_up_to_a_number_and_then_lets_wait)
{
    enum { ALL = CONNECTIONS_MAX + ROSTER_EXTRA_MIN, BURST = ALL + 20 };
    struct conn *c[BURST];
    int peer[BURST];
    struct house h;
    house_open(&h);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        c[i] = polite_conn(&h, &peer[i]);
        conn_input(c[i], SPAN("x"));                    /* busy: its answer waits */
    }
    ck_assert(!roster_has_place(&h.roster, &nowhere));  /* whose protocol has no words */
    for (int i = CONNECTIONS_MAX; i < ALL; i++) {
        ck_assert(roster_has_place(&h.roster, &polite_door));
        ck_assert_ptr_null(roster_yield(&h.roster));
        c[i] = polite_conn(&h, &peer[i]);
        ck_assert(c[i]->refused && !conn_over(c[i]));
        ck_assert_uint_eq(c[i]->out.bytes, sizeof WORDS - 1);
    }
    ck_assert(!roster_has_place(&h.roster, &polite_door));
    for (int i = ALL; i < BURST; i++) {                 /* these came all the same */
        c[i] = polite_conn(&h, &peer[i]);
        ck_assert(c[i]->refused && !conn_over(c[i]));
    }
    ck_assert_uint_eq(h.env.count.refused_full, BURST - CONNECTIONS_MAX);
    ck_assert_uint_eq(h.journal.notices, 1);
    for (int i = ALL; i < BURST; i++)
        polite_leave(&h, c[i], peer[i]);
    polite_leave(&h, c[ALL - 1], peer[ALL - 1]);
    ck_assert(roster_has_place(&h.roster, &polite_door) && roster_is_full(&h.roster));
    polite_leave(&h, c[0], peer[0]);
    ck_assert(roster_has_place(&h.roster, &nowhere) && !roster_is_full(&h.roster));
    for (int i = 1; i < ALL - 1; i++)
        polite_leave(&h, c[i], peer[i]);
    ck_assert_uint_eq(h.roster.refused, 0);
    house_close(&h);
}
END_TEST

START_TEST(roster_tells_one_address_so_often_and_no_more)
{
    enum { GUESTS = ROSTER_EXTRA_MIN + 3 };
    struct conn *c[GUESTS];
    int peer[GUESTS];
    struct house h;
    house_open(&h);
    h.loop.connections_max = 1000;
    h.env.tally = tally_new(1, 1000, 5);
    for (int i = 0; i < GUESTS; i++) {
        c[i] = polite_conn(&h, &peer[i]);
        ck_assert(c[i]->refused == (i > 0));
        ck_assert(conn_over(c[i]) == (i > ROSTER_EXTRA_MIN));
        ck_assert(roster_has_place(&h.roster, &polite_door));
    }
    ck_assert_uint_eq(h.env.count.refused_address, GUESTS - 1);
    for (int i = 0; i < GUESTS; i++)
        polite_leave(&h, c[i], peer[i]);
    ck_assert_uint_eq(h.roster.refused, 0);
    tally_free(h.env.tally);
    house_close(&h);
}
END_TEST

START_TEST(roster_lets_in_beyond_the_limit_who_cannot_be_told)
{
    struct house h;
    house_open(&h);
    for (int i = 0; i < CONNECTIONS_MAX + 2; i++)
        ck_assert(!house_conn(&h)->refused);
    ck_assert(!roster_has_place(&h.roster, &nowhere));
    house_close(&h);
}
END_TEST

START_TEST(roster_finds_somebody_idle_among_very_many)
{
    enum { MANY = 20000 };
    struct house h;
    struct conn *last = NULL;
    house_open(&h);
    h.loop.connections_max = MANY;
    struct peer nobody = { 0 };
    for (int i = 0; i < MANY; i++) {
        struct conn *c = conn_new(&h.env, &polite_service, -1, &nobody, 0);
        roster_add(&h.roster, c);
        if (i == MANY / 2)
            last = c;
        else
            conn_input(c, SPAN("x"));                   /* busy */
    }
    conn_input(last, SPAN("x"));
    conn_sent(last, 1);
    ck_assert_ptr_eq(roster_yield(&h.roster), last);
    ck_assert_uint_eq(h.roster.leaving, 1);
    house_close(&h);
}
END_TEST

/* --- deadlines --- */

START_TEST(roster_waits_for_ever_when_nothing_is_due)
{
    struct house h;
    house_open(&h);
    house_conn(&h);
    ck_assert_int_eq(roster_wait_ms(&h.roster), -1);
    ck_assert_ptr_null(roster_expire(&h.roster));
    house_close(&h);
}
END_TEST

START_TEST(roster_fires_once_at_the_right_time)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    set_timeout(&h, c, 300);
    ck_assert_int_eq(roster_wait_ms(&h.roster), 300);
    h.env.now_ms += 299;
    ck_assert_ptr_null(roster_expire(&h.roster));
    ck_assert_int_eq(roster_wait_ms(&h.roster), 1);
    h.env.now_ms += 1;
    ck_assert_int_eq(roster_wait_ms(&h.roster), 0);
    ck_assert_ptr_eq(roster_expire(&h.roster), c);
    ck_assert_ptr_null(roster_expire(&h.roster));
    roster_touch(&h.roster, c);     /* as the driver does after each event: push_back set 500 ms */
    ck_assert_int_eq(roster_wait_ms(&h.roster), 500);
    house_close(&h);
}
END_TEST

START_TEST(roster_follows_a_deadline_that_moves_earlier)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    set_timeout(&h, c, 1000);
    set_timeout(&h, c, 100);
    ck_assert_int_eq(roster_wait_ms(&h.roster), 100);
    h.env.now_ms += 100;
    ck_assert_ptr_eq(roster_expire(&h.roster), c);
    house_close(&h);
}
END_TEST

START_TEST(roster_asks_again_when_a_deadline_has_moved_later)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    set_timeout(&h, c, 100);
    h.env.now_ms += 50;
    set_timeout(&h, c, 100);
    ck_assert_int_eq(roster_wait_ms(&h.roster), 50);    /* lazily: the old time stands */
    h.env.now_ms += 50;
    ck_assert_ptr_null(roster_expire(&h.roster));
    ck_assert_uint_eq(h.env.count.timeouts, 0);
    ck_assert_int_eq(roster_wait_ms(&h.roster), 50);
    h.env.now_ms += 50;
    ck_assert_ptr_eq(roster_expire(&h.roster), c);
    house_close(&h);
}
END_TEST

START_TEST(roster_forgets_a_deadline_that_was_taken_back)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    set_timeout(&h, c, 100);
    set_timeout(&h, c, 0);
    h.env.now_ms += 100;
    ck_assert_ptr_null(roster_expire(&h.roster));
    ck_assert_int_eq(roster_wait_ms(&h.roster), -1);
    ck_assert_uint_eq(h.env.count.timeouts, 0);
    house_close(&h);
}
END_TEST

START_TEST(roster_fires_many_in_order_and_none_that_left)
{
    enum { MANY = 200 };
    struct house h;
    struct conn *all[MANY];
    house_open(&h);
    for (unsigned i = 0; i < MANY; i++) {
        all[i] = house_conn(&h);
        set_timeout(&h, all[i], 1 + i * 37 % MANY);
    }
    for (unsigned i = 0; i < MANY; i += 3) {
        leave(&h, all[i]);
        all[i] = NULL;
    }
    for (unsigned ms = 1; ms <= MANY; ms++) {
        h.env.now_ms++;
        for (struct conn *c; (c = roster_expire(&h.roster)) != NULL;) {
            unsigned i = 0;
            while (i < MANY && all[i] != c)
                i++;
            ck_assert_uint_lt(i, MANY);
            ck_assert_uint_eq(1 + i * 37 % MANY, ms);
            leave(&h, c);
            all[i] = NULL;
        }
    }
    ck_assert_uint_eq(h.roster.count, 0);
    house_close(&h);
}
END_TEST

START_TEST(roster_tells_a_connection_that_waits_for_its_last_operation_nothing)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    set_timeout(&h, c, 100);
    c->in_flight = 1;
    conn_broke(c);
    h.env.now_ms += 100;
    ck_assert_ptr_null(roster_expire(&h.roster));
    ck_assert_uint_eq(h.env.count.timeouts, 0);
    ck_assert_int_eq(roster_wait_ms(&h.roster), -1);
    house_close(&h);
}
END_TEST

START_TEST(roster_ends_a_connection_whose_deadline_it_cannot_keep)
{
    struct house h;
    house_open(&h);
    struct conn *c = house_conn(&h);
    h.roster.timers.room = h.roster.timers.count + 1 + UINT32_MAX / 2;  /* a heap that cannot grow */
    h.roster.timers.count = h.roster.timers.room - 1;
    set_timeout(&h, c, 100);
    h.roster.timers = (struct heap){ 0 };
    ck_assert(conn_over(c));
    house_close(&h);
}
END_TEST

START_TEST(roster_wakes_for_the_end_of_a_drain)
{
    struct house h;
    house_open(&h);
    h.loop.drain_deadline_ms = START_MS + 700;
    ck_assert_int_eq(roster_wait_ms(&h.roster), -1);
    h.loop.phase = LOOP_DRAIN;
    ck_assert_int_eq(roster_wait_ms(&h.roster), 700);
    h.env.now_ms += 900;
    ck_assert_int_eq(roster_wait_ms(&h.roster), 0);
    house_close(&h);
}
END_TEST

START_TEST(roster_never_waits_longer_than_poll_can)
{
    struct house h;
    house_open(&h);
    h.loop.phase = LOOP_DRAIN;
    h.loop.drain_deadline_ms = UINT64_MAX - 1;
    ck_assert_int_eq(roster_wait_ms(&h.roster), INT_MAX);
    house_close(&h);
}
END_TEST

/* --- shortages --- */

START_TEST(roster_goes_on_after_what_is_the_peers_affair)
{
    static const int passing[] = { EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH, ETIMEDOUT };
    struct house h;
    house_open(&h);
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        ck_assert(!roster_accept_failed(&h.roster, &nowhere, passing[i]));
    ck_assert(roster_accept_failed(&h.roster, &nowhere, EAGAIN));
    ck_assert(roster_has_place(&h.roster, &nowhere));
    ck_assert_uint_eq(h.journal.errors, 0);
    house_close(&h);
}
END_TEST

START_TEST(roster_pauses_and_logs_a_shortage_once)
{
    static const int shortages[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
    struct house h;
    house_open(&h);
    for (int i = 0; i < 9; i++) {
        ck_assert(roster_accept_failed(&h.roster, &nowhere, shortages[i % 4]));
        ck_assert(!roster_has_place(&h.roster, &nowhere));
        ck_assert_int_eq(roster_wait_ms(&h.roster), 100);
        h.env.now_ms += 99;
        ck_assert(!roster_has_place(&h.roster, &nowhere));
        h.env.now_ms += 1;
        ck_assert(roster_has_place(&h.roster, &nowhere));
    }
    ck_assert_uint_eq(h.journal.errors, 1);
    ck_assert_ptr_nonnull(strstr(h.journal.last, "worker main.0: accept on 127.0.0.1:80"));
    ck_assert_ptr_nonnull(strstr(h.journal.last, strerror(EMFILE)));
    roster_accepted(&h.roster);
    ck_assert(roster_accept_failed(&h.roster, &nowhere, EMFILE));
    ck_assert_uint_eq(h.journal.errors, 1);             /* it comes and goes: the same shortage */
    h.env.now_ms += 10000;
    roster_accepted(&h.roster);
    roster_accepted(&h.roster);
    ck_assert_uint_eq(h.journal.notices, 1);
    ck_assert(roster_accept_failed(&h.roster, &nowhere, EMFILE));
    ck_assert_uint_eq(h.journal.errors, 2);
    house_close(&h);
}
END_TEST

START_TEST(roster_pauses_for_other_shortages_unless_it_goes)
{
    struct house h;
    house_open(&h);
    ck_assert(roster_runs_short(&h.roster));
    ck_assert(!roster_has_place(&h.roster, &nowhere));
    h.env.now_ms += 100;
    ck_assert(roster_has_place(&h.roster, &nowhere));
    roster_accepted(&h.roster);
    ck_assert(!roster_runs_short(&h.roster));           /* it comes and goes: no news */
    h.env.now_ms += 10000;
    roster_accepted(&h.roster);
    h.loop.phase = LOOP_DRAIN;
    ck_assert(roster_runs_short(&h.roster));
    ck_assert(roster_has_place(&h.roster, &nowhere));
    house_close(&h);
}
END_TEST

/* A listener that the kernel names; with clients that wait in its backlog. */
struct gate {
    struct listener listener;
    int             clients[8];
};

static void gate_open(struct gate *g)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t size = sizeof address.sun_family;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    for (int i = 0; i < 8; i++) {
        g->clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(g->clients[i], (struct sockaddr *)&address, size), 0);
    }
    g->listener = (struct listener){ .fd = fd, .service = &service, .text = "gate" };
}

static void gate_close(struct gate *g)
{
    close(g->listener.fd);
    for (int i = 0; i < 8; i++)
        close(g->clients[i]);
}

static bool was_refused(int client)
{
    struct pollfd p = { .fd = client, .events = POLLIN };
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

/* From here on no descriptor can be had. */
static struct rlimit descriptors_end(void)
{
    struct rlimit limit, low;
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(next);
    low = (struct rlimit){ (rlim_t)next, limit.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    return limit;
}

/* Tries to accept, as a driver would; the answer of roster_accept_failed. */
static bool try_accept(struct house *h, const struct gate *g)
{
    struct peer peer;
    int fd = sock_accept(g->listener.fd, SOCK_CLOEXEC, &peer);
    ck_assert_int_eq(fd, -1);
    return roster_accept_failed(&h->roster, &g->listener, errno);
}

/* Valgrind lets the kernel accept, closes what came and then says EMFILE: that is no shortage to learn
 * from. */
static bool shortage_is_played(const struct gate *g, const struct rlimit *limit)
{
    if (!was_refused(g->clients[0]))
        return false;
    setrlimit(RLIMIT_NOFILE, limit);
    fprintf(stderr, "a shortage of descriptors is only played here: left out\n");
    return true;
}

START_TEST(roster_refuses_who_waits_when_descriptors_stay_short)
{
    struct house h;
    struct gate g;
    house_open(&h);
    gate_open(&g);
    struct rlimit limit = descriptors_end();
    ck_assert(try_accept(&h, &g));
    if (shortage_is_played(&g, &limit)) {
        gate_close(&g);
        house_close(&h);
        return;
    }
    ck_assert(!was_refused(g.clients[0]));      /* at first they wait */
    h.env.now_ms += 999;
    ck_assert(try_accept(&h, &g));
    ck_assert(!was_refused(g.clients[0]));
    h.env.now_ms += 1;
    ck_assert(try_accept(&h, &g));
    for (int i = 0; i < 8; i++)
        ck_assert(was_refused(g.clients[i]));
    ck_assert_uint_eq(h.env.count.refused, 8);
    ck_assert_int_ne(h.roster.spare_fd, -1);
    ck_assert_uint_eq(h.journal.errors, 1);
    setrlimit(RLIMIT_NOFILE, &limit);
    gate_close(&g);
    house_close(&h);
}
END_TEST

START_TEST(roster_serves_who_waited_when_the_shortage_ends_soon)
{
    struct house h;
    struct gate g;
    struct peer peer;
    house_open(&h);
    gate_open(&g);
    struct rlimit limit = descriptors_end();
    ck_assert(try_accept(&h, &g));
    if (shortage_is_played(&g, &limit)) {
        gate_close(&g);
        house_close(&h);
        return;
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    h.env.now_ms += 100;
    ck_assert(roster_has_place(&h.roster, &nowhere));
    for (int i = 0; i < 8; i++) {
        int fd = sock_accept(g.listener.fd, SOCK_CLOEXEC, &peer);
        ck_assert_int_ne(fd, -1);
        ck_assert_int_eq(peer.family, AF_UNIX);
        roster_accepted(&h.roster);
        close(fd);
    }
    ck_assert_uint_eq(h.env.count.refused, 0);
    ck_assert_uint_eq(h.journal.errors, 1);
    gate_close(&g);
    house_close(&h);
}
END_TEST

START_TEST(roster_gets_its_spare_descriptor_back_after_it_was_lost)
{
    struct house h;
    house_open(&h);
    roster_accept_failed(&h.roster, &nowhere, EMFILE);
    close(h.roster.spare_fd);
    h.roster.spare_fd = -1;                     /* another process was quicker */
    h.env.now_ms += 5000;
    ck_assert(roster_accept_failed(&h.roster, &nowhere, ENFILE));
    roster_accepted(&h.roster);
    ck_assert_int_ne(h.roster.spare_fd, -1);
    house_close(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roster");
    TCase *t = tcase_create("roster");
    tcase_add_test(t, roster_counts_its_connections);
    tcase_add_test(t, roster_has_place_up_to_its_limit);
    tcase_add_test(t, roster_lets_the_one_give_way_that_has_been_idle_for_the_longest_time);
    tcase_add_test(t, roster_spares_who_has_sent_a_request_already);
    tcase_add_test(t, roster_refuses_in_words_up_to_a_number_and_then_lets_wait);
    tcase_add_test(t, roster_tells_one_address_so_often_and_no_more);
    tcase_add_test(t, roster_lets_in_beyond_the_limit_who_cannot_be_told);
    tcase_add_test(t, roster_finds_somebody_idle_among_very_many);
    tcase_add_test(t, roster_waits_for_ever_when_nothing_is_due);
    tcase_add_test(t, roster_fires_once_at_the_right_time);
    tcase_add_test(t, roster_follows_a_deadline_that_moves_earlier);
    tcase_add_test(t, roster_asks_again_when_a_deadline_has_moved_later);
    tcase_add_test(t, roster_forgets_a_deadline_that_was_taken_back);
    tcase_add_test(t, roster_fires_many_in_order_and_none_that_left);
    tcase_add_test(t, roster_tells_a_connection_that_waits_for_its_last_operation_nothing);
    tcase_add_test(t, roster_ends_a_connection_whose_deadline_it_cannot_keep);
    tcase_add_test(t, roster_wakes_for_the_end_of_a_drain);
    tcase_add_test(t, roster_never_waits_longer_than_poll_can);
    tcase_add_test(t, roster_goes_on_after_what_is_the_peers_affair);
    tcase_add_test(t, roster_pauses_and_logs_a_shortage_once);
    tcase_add_test(t, roster_pauses_for_other_shortages_unless_it_goes);
    tcase_add_test(t, roster_refuses_who_waits_when_descriptors_stay_short);
    tcase_add_test(t, roster_serves_who_waited_when_the_shortage_ends_soon);
    tcase_add_test(t, roster_gets_its_spare_descriptor_back_after_it_was_lost);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
