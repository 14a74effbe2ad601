/* SPDX-License-Identifier: BSD-2-Clause */
/* The protocol of the lobby (daemon/lobby, daemon/bench), with masters that are killed at any moment, for spin;
 * tests/model/run checks it.  What one daemon leaves to the next, and nothing of a reload: that is handover.pml's.
 *
 * A connection is at every moment in one place: in the queue of a listening socket, which the service manager holds; with a
 * worker that serves it; in a worker's inbox; on a bench; in the hand of who moves it between the two; or it has ended.  The
 * kernel keeps a bench only while somebody holds it, or a lobby that it is in, and so on.  What is claimed:
 *
 *   SAFE    no bench and no inbox with a connection on it is without somebody who holds it, whoever is killed
 *   ONE     no connection is served by two workers, or is in two places
 *   KEPT    no daemon ends a connection while there is a lobby that is kept; who is killed, a master or a worker that leaves
 *           what it has not taken over, takes with him at most the one connection that is in his hand
 *   QUIET   when nothing moves any more every connection is served by a worker of the last daemon
 *
 * What stands here for what in src/daemon:
 *
 *   Worker  leave           worker_drain_last, heir_list_keep, bench_open
 *           pass            list_leave, bench_send
 *           end             worker_leave_mail: inbox_shut, bench_fill, inbox_pass
 *   Master  store           store_sync; between that and the service manager nothing is lost
 *           take over       former_look, bench_adopt; channel_drop
 *           seat            seat_first: inbox_receive; inbox_send
 *           over            formers_look, inbox_is_over
 *           stop            stop_begin, CHANNEL_DRAIN_KEPT; settle_inbox, bench_fill
 *
 * Not here: what does not fit on a bench, which is put on another; workers that crash while they serve, which lose what
 * they serve; a worker that crashes and then its master, before he has left what waits in its inbox.
 *
 * Each BREAK_ macro is a mistake that somebody could make; tests/model/run sees to it that a claim finds it. */

#define DAEMONS 3
#define CONNS   2
#define ENDS    2               /* daemons that end: the last one goes on */

#define BIT(n)  (1 << (n))

mtype:master = { NONE, STARTING, RUNNING, STOPPING, OVER };
mtype:worker = { NOBODY, READY, LEAVING, SHUT, DEAD };

mtype:master master[DAEMONS] = NONE;
mtype:worker state[DAEMONS] = NOBODY;

bool  queue[CONNS];
byte  served[CONNS];            /* by which workers, a bit each */
byte  mail[CONNS];              /* in which inboxes, */
byte  seat[CONNS];              /* on which benches, */
byte  hand[CONNS];              /* in whose hand: a bit for each master, behind those one for each worker */
bool  busy[CONNS];              /* its request, the only one, is being answered */
bool  came[CONNS], gone[CONNS];

bool  kept[DAEMONS];            /* this lobby, by the service manager */
byte  former[DAEMONS];          /* lobbies that a master has found */
byte  inside[DAEMONS];          /* benches in a lobby: a bit for that of each worker, behind those one for each master's own */
byte  known[DAEMONS];           /* benches that a master has taken over */
byte  put[DAEMONS];             /* ... and put into his own lobby, and not out of the other one yet */
bool  opened[DAEMONS], own[DAEMONS];    /* the worker has a bench; the master */
byte  ends;                     /* how many have ended */
bool  crashed;                  /* one worker, at its end */
hidden byte k;

#define OWN(d)          (DAEMONS + (d))
#define LIVES(d)        (master[d] == STARTING || master[d] == RUNNING || master[d] == STOPPING)
#define WORKS(d)        (state[d] == READY || state[d] == LEAVING || state[d] == SHUT)
#define HAS_LOBBY(d, l) (LIVES(d) && ((d) == (l) || (former[d] & BIT(l)) != 0))
#define HELD(l)         (kept[l] || HAS_LOBBY(0, l) || HAS_LOBBY(1, l) || HAS_LOBBY(2, l))
#define IN(l, b)        (HELD(l) && (inside[l] & BIT(b)) != 0)
#define KNOWS(d, b)     (LIVES(d) && (known[d] & BIT(b)) != 0)
#define BENCH(b)        (IN(0, b) || IN(1, b) || IN(2, b) || KNOWS(0, b) || KNOWS(1, b) || KNOWS(2, b))
#define INBOX(d)        (WORKS(d) || LIVES(d))

#define ONE_BIT(n)      (((n) & ((n) - 1)) == 0)
#define UNHELD(c, b)    ((seat[c] & BIT(b)) != 0 && !BENCH(b))
#define UNREAD(c, d)    ((mail[c] & BIT(d)) != 0 && !INBOX(d))
#define PLACES(c)       (queue[c] + (served[c] != 0) + (mail[c] != 0) + (seat[c] != 0) + (hand[c] != 0))

/* SAFE and ONE */
inline check()
{
    for (k : 0 .. CONNS - 1) {
        if
        :: came[k] && !gone[k] ->
            assert(!UNREAD(k, 0) && !UNREAD(k, 1) && !UNREAD(k, 2));
            assert(!UNHELD(k, 0) && !UNHELD(k, 1) && !UNHELD(k, 2) && !UNHELD(k, 3) && !UNHELD(k, 4) && !UNHELD(k, 5));
            assert(ONE_BIT(served[k]) && (served[k] == 0 || PLACES(k) == 1));
            assert(PLACES(k) > 0)
        :: else
        fi
    }
    k = 0                       /* a d_step must not end with a loop */
}

/* What a dead process has held, and benches on which nobody sits and nobody ever will, make no difference any more: they are
 * forgotten, so that there are fewer states to look at. */
#define SITS(b)         (((seat[0] | seat[1]) & BIT(b)) != 0)
#define FILLS(b)        (((b) < DAEMONS && WORKS((b) % DAEMONS)) || ((b) >= DAEMONS && LIVES((b) % DAEMONS)))
#define FORGET(b)       inside[0] = inside[0] & ~BIT(b); inside[1] = inside[1] & ~BIT(b); inside[2] = inside[2] & ~BIT(b); \
                        known[0] = known[0] & ~BIT(b); known[1] = known[1] & ~BIT(b); known[2] = known[2] & ~BIT(b);       \
                        put[0] = put[0] & ~BIT(b); put[1] = put[1] & ~BIT(b); put[2] = put[2] & ~BIT(b)
inline forget()
{
    for (k : 0 .. DAEMONS - 1) {
        if
        :: !LIVES(k) -> former[k] = 0; known[k] = 0; put[k] = 0; own[k] = false
        :: else
        fi;
        if
        :: !WORKS(k) -> opened[k] = false
        :: else
        fi;
        if
        :: !HELD(k) -> inside[k] = 0
        :: else
        fi
    }
    for (k : 0 .. 2 * DAEMONS - 1) {
        if
        :: !SITS(k) && !FILLS(k) -> FORGET(k)
        :: else
        fi
    }
    k = 0
}

/* ---- a worker ---- */

#define HAS(d, c)       ((served[c] & BIT(d)) != 0)
#define HAS_MAIL(d)     (((mail[0] | mail[1]) & BIT(d)) != 0)
#define HAS_ANY(d)      (((served[0] | served[1]) & BIT(d)) != 0)

/* It leaves when it is told, or when its master has died.  A bench is in the lobby before anybody is on it. */
inline leave(d)
{
    state[d] = LEAVING;
    if
    :: HELD(d) -> opened[d] = true; inside[d] = inside[d] | BIT(d)
    :: else
    fi
}

inline adopt(d, c)
{
    mail[c] = mail[c] & ~BIT(d);
    served[c] = served[c] | BIT(d);
    check()
}

inline pass(d, c, from)
{
    from = from & ~BIT(d);
    seat[c] = seat[c] | BIT(d);
    check()
}

/* What it has not taken over is taken out of the inbox, then put on the bench: else the master, who looks there again when it
 * has been killed, finds it too. */
#define OF_WORKER(d)    (DAEMONS + (d))
#ifdef BREAK_SENDS_MAIL_FIRST
#define MAIL_OUT(d, c)  seat[c] = seat[c] | BIT(d)
#define MAIL_IN(d, c)   mail[c] = mail[c] & ~BIT(d)
#else
#define MAIL_OUT(d, c)  mail[c] = mail[c] & ~BIT(d)
#define MAIL_IN(d, c)   seat[c] = seat[c] | BIT(d)
#endif
#define HOLDS(d, c)     (hand[c] == BIT(OF_WORKER(d)))

inline crash(d)
{
    crashed = true;
    state[d] = DEAD;
    for (k : 0 .. CONNS - 1) {
        if
        :: HOLDS(d, k) ->
            hand[k] = 0;
            gone[k] = (PLACES(k) == 0)
        :: else
        fi
    }
    check();
    forget()
}

/* Accept, with the request; it is answered; its client leaves; adopt; pass; without a bench it is ended. */
#define WITH_CONNECTION(d, c)                                                                                       \
    :: d_step { state[d] == READY && queue[c] -> queue[c] = false; busy[c] = true; served[c] = BIT(d); check() }    \
    :: d_step { HAS(d, c) && busy[c] -> busy[c] = false }                                                           \
    :: d_step { (state[d] == READY || state[d] == LEAVING) && (mail[c] & BIT(d)) != 0 -> adopt(d, c) }              \
    :: d_step { state[d] == LEAVING && HAS(d, c) && !busy[c] && opened[d] && BENCH(d) -> pass(d, c, served[c]) }    \
    :: d_step { state[d] == LEAVING && HAS(d, c) && !busy[c] && !(opened[d] && BENCH(d)) ->                         \
        assert(!kept[d]);                                               /* KEPT */                                  \
        gone[c] = true;                                                                                             \
        served[c] = 0 }                                                                                             \
    :: d_step { state[d] == SHUT && (mail[c] & BIT(d)) != 0 && opened[d] && BENCH(d) && hand[c] == 0 ->             \
        hand[c] = BIT(OF_WORKER(d));                                                                                \
        MAIL_OUT(d, c) }                                                                                            \
    :: d_step { state[d] == SHUT && hand[c] == BIT(OF_WORKER(d)) && BENCH(d) -> hand[c] = 0; MAIL_IN(d, c); check() }

#ifdef BREAK_ORPHAN_LEAVES_MAIL
#define MAY_END(d)      true
#else
#define MAY_END(d)      (!HOLDS(d, 0) && !HOLDS(d, 1) && (!HAS_MAIL(d) || !opened[d]))
#endif

proctype Worker(byte d)
{
end:
    do
    WITH_CONNECTION(d, 0)
    WITH_CONNECTION(d, 1)
    :: d_step { state[d] == READY && (master[d] == STOPPING || master[d] == OVER) -> leave(d) }
    :: d_step { state[d] == LEAVING && !HAS_ANY(d) -> state[d] = SHUT }
    :: d_step { state[d] == SHUT && MAY_END(d) -> state[d] = DEAD; check(); forget() }
    :: d_step { state[d] == SHUT && (HOLDS(d, 0) || HOLDS(d, 1)) && LIVES(d) && !crashed -> crash(d) }
    :: state[d] == DEAD -> break
    od
}

/* ---- a master ---- */

#define ALL_HAVE_GONE(l)    (!LIVES(l) && !WORKS(l))

inline found(d)
{
    for (k : 0 .. DAEMONS - 1) {
        former[d] = former[d] | (kept[k] * BIT(k))
    }
    k = 0
}

/* A bench goes into his own lobby, then out of the other one. */
#ifdef BREAK_KEEPS_NO_BENCH
#define PUT(d, b)       inside[d] = inside[d]
#else
#define PUT(d, b)       inside[d] = inside[d] | BIT(b)
#endif
#ifdef BREAK_TAKES_OVER_EARLY
#define MAY_TAKE(d)     true
#else
#define MAY_TAKE(d)     kept[d]
#endif
#define WITH_BENCH(d, l, b)                                                                                         \
    :: d_step { master[d] == RUNNING && MAY_TAKE(d) && (former[d] & BIT(l)) != 0 && (inside[l] & BIT(b)) != 0 &&    \
            (put[d] & BIT(b)) == 0 ->                                                                               \
        known[d] = known[d] | BIT(b);                                                                               \
        PUT(d, b);                                                                                                  \
        put[d] = put[d] | BIT(b) }                                                                                  \
    :: d_step { master[d] == RUNNING && (former[d] & BIT(l)) != 0 && (inside[l] & BIT(b)) != 0 &&                   \
            (put[d] & BIT(b)) != 0 ->                                                                               \
        inside[l] = inside[l] & ~BIT(b);                                                                            \
        put[d] = put[d] & ~BIT(b);                                                                                  \
        check() }

/* A connection is taken from its bench, then put into the inbox. */
#ifdef BREAK_SEATS_FIRST
#define TAKE(d, c, b)   hand[c] = BIT(d)
#define SEAT(d, c)      seat[c] = 0
#define FIRST_SEAT(d, c)    mail[c] = mail[c] | BIT(d)
#else
#define TAKE(d, c, b)   hand[c] = BIT(d); seat[c] = seat[c] & ~BIT(b)
#define SEAT(d, c)      mail[c] = mail[c] | BIT(d)
#define FIRST_SEAT(d, c)    skip
#endif
#define WITH_SEAT(d, c, b)                                                                                          \
    :: d_step { master[d] == RUNNING && (known[d] & BIT(b)) != 0 && (seat[c] & BIT(b)) != 0 && hand[c] == 0 ->      \
        TAKE(d, c, b);                                                                                              \
        FIRST_SEAT(d, c) }

#define WITH_HAND(d, c)                                                                                             \
    :: d_step { master[d] == RUNNING && hand[c] == BIT(d) -> hand[c] = 0; SEAT(d, c); check(); forget() }

/* What his worker has not taken over when it has ended he leaves on a bench of his own. */
#define WITH_MAIL(d, c)                                                                                             \
    :: d_step { master[d] == STOPPING && state[d] == DEAD && (mail[c] & BIT(d)) != 0 && own[d] && hand[c] == 0 ->   \
        hand[c] = BIT(d);                                                                                           \
        mail[c] = mail[c] & ~BIT(d) }                                                                               \
    :: d_step { master[d] == STOPPING && hand[c] == BIT(d) -> hand[c] = 0; seat[c] = seat[c] | BIT(OWN(d)); check() }

/* Who is killed takes with him what he has in his hand. */
inline killed(d)
{
    ends++;
    master[d] = OVER;
    for (k : 0 .. CONNS - 1) {
        if
        :: hand[k] == BIT(d) ->
            hand[k] = 0;
            gone[k] = (PLACES(k) == 0)
        :: else
        fi
    }
    check();
    forget()
}

proctype Master(byte d)
{
    d_step { found(d); master[d] = STARTING }
end:
    do
    :: atomic { master[d] == STARTING -> state[d] = READY; master[d] = RUNNING; run Worker(d) }
    :: d_step { master[d] == RUNNING && !kept[d] -> kept[d] = true }
    WITH_BENCH(d, 0, 0) WITH_BENCH(d, 0, OWN(0))
    WITH_BENCH(d, 1, 0) WITH_BENCH(d, 1, OWN(0)) WITH_BENCH(d, 1, 1) WITH_BENCH(d, 1, OWN(1))
    WITH_SEAT(d, 0, 0) WITH_SEAT(d, 0, OWN(0)) WITH_SEAT(d, 0, 1) WITH_SEAT(d, 0, OWN(1))
    WITH_SEAT(d, 1, 0) WITH_SEAT(d, 1, OWN(0)) WITH_SEAT(d, 1, 1) WITH_SEAT(d, 1, OWN(1))
    WITH_HAND(d, 0) WITH_HAND(d, 1)
    WITH_MAIL(d, 0) WITH_MAIL(d, 1)
    :: d_step { master[d] == RUNNING && (former[d] & BIT(0)) != 0 && inside[0] == 0 && ALL_HAVE_GONE(0) ->
        former[d] = former[d] & ~BIT(0);
        kept[0] = false;
        check() }
    :: d_step { master[d] == RUNNING && (former[d] & BIT(1)) != 0 && inside[1] == 0 && ALL_HAVE_GONE(1) ->
        former[d] = former[d] & ~BIT(1);
        kept[1] = false;
        check() }
    /* its end, but for the last one: killed, or stopped when its lobby is kept */
    :: d_step { LIVES(d) && ends < ENDS && ends == d && !(crashed && state[d] == DEAD && HAS_MAIL(d)) -> killed(d) }
    :: d_step { master[d] == RUNNING && ends < ENDS && ends == d && kept[d] && hand[0] == 0 && hand[1] == 0 ->
        master[d] = STOPPING;
        own[d] = true;
        inside[d] = inside[d] | BIT(OWN(d)) }
    :: d_step { master[d] == STOPPING && state[d] == DEAD && !HAS_MAIL(d) && hand[0] != BIT(d) && hand[1] != BIT(d) ->
        ends++;
        master[d] = OVER;
        check();
        forget() }
    :: master[d] == OVER -> break
    od
}

/* The service manager, for which a daemon is over when its master is. */
proctype Manager()
{
    byte d;
end:
    do
    :: atomic { d < DAEMONS && (d == 0 || master[d - 1] == OVER) -> run Master(d); d++ }
    :: d == DAEMONS -> break
    od
}

proctype Client()
{
    do
    :: d_step { !came[0] -> came[0] = true; queue[0] = true }
    :: d_step { came[0] && !came[1] -> came[1] = true; queue[1] = true }
    :: came[1] -> break
    od
}

/* QUIET: `timeout` is true when nobody else can do anything. */
active proctype Judge()
{
    timeout ->
    d_step {
        for (k : 0 .. CONNS - 1) {
            assert(gone[k] || (served[k] == BIT(ends) && master[ends] == RUNNING))
        }
        k = 0
    }
}

init {
    atomic {
        run Manager();
        run Client()
    }
}
