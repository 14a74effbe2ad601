/* SPDX-License-Identifier: BSD-2-Clause */
/* The protocol of reload and handover, with crashes, for spin; tests/model/run checks it.
 *
 * A connection is at every moment in one place: in the queue of a listening socket, in an inbox, or with a worker that
 * serves it; or it has ended, or died with the worker that served it.  The kernel keeps it only while somebody holds
 * what it is in, so all descriptors are counted here.  What is claimed:
 *
 *   SAFE    no queue and no inbox with a connection in it is without somebody who holds it, and no descriptor is closed
 *           before somebody else has the connection: whatever crashes
 *   ONE     no connection is served by two workers
 *   SERVES  while nothing crashes there is at every moment somebody who accepts
 *   KIND    the master kills nobody who has clients
 *   QUIET   when nothing moves any more nobody waits in a queue or an inbox, every worker of the generation that serves
 *           is ready, and nobody is left of the others: a reload has happened whole, or not at all
 *
 * What stands here for what in src/daemon (other folders are named):
 *
 *   Worker   accept         driver/: a share of a socket is a descriptor of it, dealt by listen_deal
 *            learn heirs    CHANNEL_HEIRS, CHANNEL_HEIR: heir_list_begin, heir_list_add
 *            told           CHANNEL_DRAIN: worker_drain; driver/: no more accepts
 *            pass           driver/: roster_pass, heirs->take, inbox_send; then the connection is dropped
 *            adopt          worker_hear_inbox, worker_take_over; driver/: loop.adopt
 *            sweep          CHANNEL_SWEEP: worker_sweep
 *   Master   hear, replace  crew_hear; crew_bury, crew_start: the place stays, with its sockets and its inbox
 *            settle, move   succession_bury, settle_inbox, inbox_move
 *            test, exec     program_test_step, program_become: descriptors are carried over (state_write)
 *            open, start    reload_open, generation_may_start, crew_start
 *            commit         commit, old_goes: listen_succeed, succession_tell, generation_drain
 *            abandon        reload_fail, take_down: succession_tell, generation_drain, crew_kill_unready
 *            salvage        salvage, pass_stranded
 *
 * Not here: the death of the master itself, for which see lobby.pml; addresses that come and go; services that differ between
 * generations.  Taken for granted: who sweeps does not die before
 * it has, and between its last accept and the close nothing comes (for the kernel that is a moment, in which it does).
 *
 * Each BREAK_ macro is a mistake that somebody could make; tests/model/run sees to it that a claim finds it. */

#define GENERATIONS 3           /* the first, and one for each reload that is tried */
#define WORKERS     6           /* two places in each */
#define SOCKETS     2
#define CONNS       2
#define CRASHES     1           /* of workers, in all */
#define ROOM        1           /* connections in an inbox: soon full */

#define BIT(n)          (1 << (n))
#define GENERATION(w)   ((w) / 2)
#define INDEX(w)        ((w) % 2)
#define FIRST(g)        ((g) * 2)
#define PLACE(w)        (INDEX(w) < size[GENERATION(w)])
/* Who holds a descriptor: worker w as bit w; the master, in its set of generation g, as a bit behind those. */
#define MASTER(g)       BIT(WORKERS + (g))

mtype:worker = { NOBODY, STARTING, READY, TOLD, DEAD };
mtype:step = { SERVE, TEST, EXEC, OPEN, START, COMMIT, TELL, DRAIN, ABANDON };

byte  queue[CONNS];             /* 1 + the socket in whose queue it is; 0: none */
byte  mail[CONNS];              /* 1 + the worker in whose inbox it is; 0: none */
byte  served[CONNS];            /* by which workers, a bit each */
bool  came[CONNS], gone[CONNS];
bool  busy[CONNS];              /* its request, the only one, is being answered */

short holders[SOCKETS];         /* of each listening socket */
short readers[WORKERS];         /* of the reading end of each inbox */
bool  shut[WORKERS];            /* nothing more can be passed there */

mtype:worker state[WORKERS] = NOBODY;
bool  heard[WORKERS];           /* the master knows that it is ready */
byte  will[WORKERS];            /* 1 + the generation of its heirs, as it was written to it; 0: no message */
byte  heirs[WORKERS];           /* ... and as it knows them; 0: it has none */
bool  must_go[WORKERS];         /* CHANNEL_DRAIN was sent */
byte  sweep[WORKERS];           /* CHANNEL_SWEEP was sent: 1 + the socket */

mtype:step step = SERVE;
byte  size[GENERATIONS];        /* workers of each */
byte  serving, made;            /* generations */
byte  conns, reloads;           /* how many there may be */
byte  crashes;
hidden byte k, j;

#define LIVES(w)        (state[w] == STARTING || state[w] == READY || state[w] == TOLD)
#define HAS(w, c)       ((served[c] & BIT(w)) != 0)
#define HAS_ANY(w)      (((served[0] | served[1]) & BIT(w)) != 0)
#define MAILED(w)       ((mail[0] == (w) + 1) + (mail[1] == (w) + 1))
#define IS_OPEN(w)      (state[w] == READY)
#define WAITS(c, w)     (queue[c] != 0 && (holders[queue[c] - 1] & BIT(w)) != 0)

/* SAFE and ONE */
inline check()
{
    for (k : 0 .. CONNS - 1) {
        if
        :: came[k] && !gone[k] ->
            assert(queue[k] == 0 || holders[queue[k] - 1] != 0);
            assert(mail[k] == 0 || readers[mail[k] - 1] != 0);
            assert(queue[k] != 0 || mail[k] != 0 || served[k] != 0);
            assert((served[k] & (served[k] - 1)) == 0);
            assert(served[k] == 0 || (queue[k] == 0 && mail[k] == 0))
        :: else
        fi
    }
    k = 0                       /* a d_step must not end with a loop */
}

/* What the kernel does when a process ends. */
inline end_of(w)
{
    for (k : 0 .. CONNS - 1) {
        gone[k] = gone[k] || HAS(w, k);
        served[k] = served[k] & ~BIT(w)
    }
    for (k : 0 .. SOCKETS - 1) {
        holders[k] = holders[k] & ~BIT(w)
    }
    readers[w] = readers[w] & ~BIT(w);
    will[w] = 0;
    heirs[w] = 0;
    must_go[w] = false;
    sweep[w] = 0;
    heard[w] = false;
    state[w] = DEAD;
    check()
}

/* ---- a worker ---- */

inline serve(w, c)
{
    served[c] = served[c] | BIT(w);
    check()
}

inline finish(c)
{
    gone[c] = true;
    served[c] = 0
}

/* What was passed is not served any more. */
inline pass(w, c, heir)
{
    mail[c] = heir + 1;
#ifndef BREAK_SERVES_ON
    served[c] = served[c] & ~BIT(w);
#endif
    check()
}

#define PASSES(w, c)    (HAS(w, c) && state[w] == TOLD && heirs[w] != 0 && !busy[c])
#define HEIR(w, i)      (FIRST(heirs[w] - 1) + (i))
#define HAS_ROOM(h)     (PLACE(h) && !shut[h] && MAILED(h) < ROOM)

/* Accept, with the request; it is answered; its client leaves; adopt; pass.  Who has no heir ends his connections between
 * two requests, at the latest when his time is over. */
#ifdef BREAK_LETS_GO_UNSENT
#define BROKEN_PASS(w, c)   :: d_step { PASSES(w, c) && MAILED(HEIR(w, 0)) == ROOM -> served[c] = 0; check() }
#else
#define BROKEN_PASS(w, c)
#endif
#define WITH_CONNECTION(w, c)                                                                                       \
    :: d_step { state[w] == READY && WAITS(c, w) -> queue[c] = 0; busy[c] = true; serve(w, c) }                     \
    :: d_step { HAS(w, c) && busy[c] -> busy[c] = false }                                                           \
    :: d_step { HAS(w, c) && !busy[c] -> finish(c) }                                                                \
    :: d_step { (state[w] == READY || state[w] == TOLD) && mail[c] == w + 1 -> mail[c] = 0; serve(w, c) }           \
    :: d_step { PASSES(w, c) && HAS_ROOM(HEIR(w, 0)) -> pass(w, c, HEIR(w, 0)) }                                    \
    :: d_step { PASSES(w, c) && HAS_ROOM(HEIR(w, 1)) -> pass(w, c, HEIR(w, 1)) }                                    \
    BROKEN_PASS(w, c)

/* Who stops to accept leaves somebody who does. */
inline close_sockets(w)
{
    for (k : 0 .. SOCKETS - 1) {
        if
        :: sweep[w] != k + 1 -> holders[k] = holders[k] & ~BIT(w)
        :: else
        fi
    }
    assert(crashes > 0 || IS_OPEN(0) || IS_OPEN(1) || IS_OPEN(2) || IS_OPEN(3) || IS_OPEN(4));
    check()
}

proctype Worker(byte w)
{
    if
    :: atomic { state[w] == STARTING && crashes < CRASHES -> crashes++; end_of(w); goto over }
    :: d_step { state[w] == STARTING -> state[w] = READY }
    :: !LIVES(w) -> goto over                                           /* the master has killed it */
    fi;
end:
    do
    WITH_CONNECTION(w, 0)
    WITH_CONNECTION(w, 1)

    :: d_step { LIVES(w) && will[w] != 0 -> heirs[w] = will[w]; will[w] = 0 }
    :: d_step { state[w] == READY && must_go[w] && will[w] == 0 ->
        must_go[w] = false;
        state[w] = TOLD;
        close_sockets(w) }
    /* all that waits on a socket that goes away is accepted, then it is closed */
    :: d_step { (state[w] == READY || state[w] == TOLD) && sweep[w] != 0 ->
        for (k : 0 .. CONNS - 1) {
            if
            :: queue[k] == sweep[w] -> queue[k] = 0; served[k] = BIT(w)
            :: else
            fi
        }
        holders[sweep[w] - 1] = holders[sweep[w] - 1] & ~BIT(w);
        sweep[w] = 0;
        check() }
    /* nothing is left to do; an inbox is looked into no more */
    :: atomic { state[w] == TOLD && !HAS_ANY(w) && sweep[w] == 0 -> end_of(w); break }
    :: atomic { LIVES(w) && crashes < CRASHES && sweep[w] == 0 -> crashes++; end_of(w); break }
    :: !LIVES(w) -> break
    od;
over:
    skip
}

/* ---- the master ---- */

inline start(w)
{
    d_step {
        for (k : 0 .. SOCKETS - 1) {
            if
            :: k % size[GENERATION(w)] == INDEX(w) && (holders[k] & MASTER(GENERATION(w))) != 0 ->
                holders[k] = holders[k] | BIT(w)
            :: else
            fi
        }
        readers[w] = readers[w] | BIT(w) | MASTER(0);
        state[w] = STARTING
    }
    run Worker(w)
}

/* Whoever is left of other generations hears who goes on with his connections, and in the next step that he is to go. */
inline tell_heirs()
{
    for (k : 0 .. WORKERS - 1) {
        if
        :: GENERATION(k) != serving && LIVES(k) -> will[k] = 1 + serving
        :: else
        fi
    }
    k = 0
}

inline drain_all()
{
    for (k : 0 .. WORKERS - 1) {
        if
        :: GENERATION(k) != serving && (state[k] == STARTING || state[k] == READY) -> must_go[k] = true
        :: else
        fi
    }
    k = 0
}

#define IS_READY(w)     (heard[w] && state[w] != DEAD)
#define ALL_READY(g)    (IS_READY(FIRST(g)) && (size[g] == 1 || IS_READY(FIRST(g) + 1)))
#define IS_MAKING       (step == START || step == COMMIT)
/* No other process will be in this place. */
#define IS_LEFT(w)      (state[w] == DEAD && GENERATION(w) != serving && !(IS_MAKING && GENERATION(w) == made))

/* Nothing can be passed to somebody who is left any more; what waits there is passed again, to a place and not to a
 * process. */
inline settle(w)
{
    shut[w] = true;
    if
    :: MAILED(w) == 0 -> readers[w] = 0; state[w] = NOBODY
    :: else
    fi
}

#ifdef BREAK_FORGETS_INBOX
#define MAY_PASS_ON(w, to)  false
#else
#define MAY_PASS_ON(w, to)  (IS_LEFT(w) && shut[w] && MAILED(w) > 0 && HAS_ROOM(to))
#endif

#define IS_GIVEN_UP     (step == SERVE && made != serving)
#define ACCEPTS(w)      (state[w] == STARTING || state[w] == READY)
#ifdef BREAK_SWEEPS_EARLY
#define MAY_SWEEP       true
#else
#define MAY_SWEEP       (!ACCEPTS(FIRST(made)) && !ACCEPTS(FIRST(made) + 1))
#endif
#define HOLDS_ANY(g)    (((holders[0] | holders[1]) & MASTER(g)) != 0)
#ifdef BREAK_KILLS_UNHEARD
#define MAY_BE_KILLED(w)    (ACCEPTS(w) && !heard[w])
#else
#define MAY_BE_KILLED(w)    (state[w] == STARTING)
#endif

inline kill(w)
{
    assert(!HAS_ANY(w));                                                /* KIND */
    end_of(w)
}

#define WITH_WORKER(w)                                                                                              \
    :: d_step { (state[w] == READY || state[w] == TOLD) && !heard[w] -> heard[w] = true }                           \
    :: atomic { state[w] == DEAD && GENERATION(w) == serving && step != TELL -> start(w) }                          \
    :: d_step { IS_LEFT(w) && (!shut[w] || MAILED(w) == 0) -> settle(w); check() }                                  \
    :: d_step { MAY_PASS_ON(w, FIRST(serving)) && mail[0] == w + 1 -> mail[0] = FIRST(serving) + 1 }                \
    :: d_step { MAY_PASS_ON(w, FIRST(serving)) && mail[1] == w + 1 -> mail[1] = FIRST(serving) + 1 }

proctype Master()
{
end:
    do
    WITH_WORKER(0)
    WITH_WORKER(1)
    WITH_WORKER(2)
    WITH_WORKER(3)
    WITH_WORKER(4)

    /* the program that stands there now tests the configuration, in a process of its own, and becomes the master */
    :: d_step { step == SERVE && made < reloads && (crashes > 0 || ALL_READY(serving)) -> made++; step = TEST }
    :: step == TEST -> step = SERVE                                     /* it is wrong */
    :: step == TEST -> step = EXEC
    :: step == EXEC -> step = SERVE                                     /* it does not start */
    :: d_step { step == EXEC ->
#ifdef BREAK_EXEC_CLOSES
        for (k : 0 .. WORKERS - 1) {
            readers[k] = readers[k] & ~MASTER(0)
        }
#endif
        step = OPEN;
        check() }
    :: step == OPEN -> step = SERVE                                     /* not everything can be had */
    :: d_step { step == OPEN ->
        for (k : 0 .. SOCKETS - 1) {
            if
            :: k < size[made] || (holders[k] & MASTER(serving)) != 0 -> holders[k] = holders[k] | MASTER(made)
            :: else
            fi
        }
#ifdef BREAK_DRAINS_EARLY
        must_go[FIRST(serving)] = LIVES(FIRST(serving));
#endif
        step = START }

    /* in a pool the first one goes ahead; then all are ready, or one has died, or the time is over */
    :: atomic { step == START && state[FIRST(made)] == NOBODY -> start(FIRST(made)) }
    :: atomic { step == START && size[made] == 2 && heard[FIRST(made)] && state[FIRST(made) + 1] == NOBODY ->
        start(FIRST(made) + 1) }
    :: step == START && ALL_READY(made) -> step = COMMIT
    :: step == START && !ALL_READY(made) -> step = ABANDON
    :: d_step { step == COMMIT ->
        for (k : 0 .. SOCKETS - 1) {
            holders[k] = holders[k] & ~MASTER(serving)
        }
        serving = made;
        tell_heirs();
        step = DRAIN }
    :: d_step { step == DRAIN -> drain_all(); step = SERVE }

    /* who is not ready after a while has no clients, and is killed; what waits on sockets that only the new ones had is for one who
     * serves, as soon as none of the new ones accepts there any more */
    :: d_step { step == ABANDON -> tell_heirs(); step = DRAIN }
    :: d_step { IS_GIVEN_UP && MAY_BE_KILLED(FIRST(made)) -> kill(FIRST(made)) }
    :: d_step { IS_GIVEN_UP && MAY_BE_KILLED(FIRST(made) + 1) -> kill(FIRST(made) + 1) }
    :: d_step { IS_GIVEN_UP && MAY_SWEEP && IS_READY(FIRST(serving)) &&
            sweep[FIRST(serving)] == 0 && HOLDS_ANY(made) ->
        for (k : 0 .. SOCKETS - 1) {
            if
            :: (holders[k] & MASTER(made)) != 0 && (holders[k] & MASTER(serving)) == 0 ->
#ifndef BREAK_NO_SALVAGE
                sweep[FIRST(serving)] = k + 1;
                holders[k] = holders[k] | BIT(FIRST(serving))
#endif
            :: else
            fi;
            holders[k] = holders[k] & ~MASTER(made)
        }
        check() }
    od
}

/* The kernel puts a connection into any queue of the group. */
proctype Client()
{
    do
    :: d_step { !came[0] && holders[0] != 0 -> came[0] = true; queue[0] = 1 }
    :: d_step { !came[0] && holders[1] != 0 -> came[0] = true; queue[0] = 2 }
    :: d_step { conns == 2 && came[0] && !came[1] && holders[0] != 0 -> came[1] = true; queue[1] = 1 }
    :: d_step { conns == 2 && came[0] && !came[1] && holders[1] != 0 -> came[1] = true; queue[1] = 2 }
    :: came[conns - 1] -> break
    od
}

/* QUIET: `timeout` is true when nobody else can do anything. */
active proctype Judge()
{
    timeout ->
    d_step {
        for (j : 0 .. CONNS - 1) {
            assert(queue[j] == 0 && mail[j] == 0)
        }
        for (j : 0 .. WORKERS - 1) {
            if
            :: GENERATION(j) == serving && PLACE(j) -> assert(state[j] == READY && heard[j])
            :: else -> assert(state[j] == NOBODY)
            fi
        }
        j = 0
    }
}

init {
    atomic {
        size[2] = 1;
        if
        :: size[0] = 1; size[1] = 1; conns = 1; reloads = 2
        :: size[0] = 1; size[1] = 1; conns = 2; reloads = 1
        :: size[0] = 2; size[1] = 1; conns = 1; reloads = 1             /* fewer workers */
        :: size[0] = 1; size[1] = 2; conns = 1; reloads = 1             /* more */
        fi;
        for (j : 0 .. size[0] - 1) {
            holders[j] = MASTER(0)
        }
        j = 0;
        start(0);
        if
        :: size[0] == 2 -> start(1)
        :: else
        fi;
        run Master();
        run Client()
    }
}
