/* SPDX-License-Identifier: BSD-2-Clause */
/* The lobby: where connections wait from one daemon to the next, as the master has it.
 *
 * It is a channel whose reading end the service manager keeps, as it keeps listening sockets (daemon/store); workers have
 * the other end.  When the daemon stops, or its master has died, they put benches there (daemon/bench), and on them what
 * can be passed.  The next master finds the lobbies of those before it, takes over their benches, and seats whoever waits
 * at places of its own workers, for as long as somebody may still come.
 *
 * A bench is put into the new lobby before it is taken out of the old one, so that it is kept whoever dies when.  A
 * connection leaves its bench just before it is put into an inbox that has room for it: if the master is killed between the
 * two it ends; the other way round two workers might have it, each of them with a part of what its client sends. */
#ifndef DAEMON_LOBBY_H
#define DAEMON_LOBBY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bench.h"
#include "daemon/handed.h"

struct generation;

/* By which the service manager keeps it; its number comes behind it. */
#define LOBBY_KEPT_NAME "kept.lobby."

enum { LOBBY_NAME_SIZE = sizeof LOBBY_KEPT_NAME "4294967295" };

/* One of a master before. */
struct lobby_former {
    int      fd;
    unsigned number;
};

struct lobby {
    int      ends[2];                   /* ours: what is to be kept of it, and the end of the workers; -1: nobody keeps */
    unsigned number;
    bool     kept;                      /* the service manager has it */
    struct lobby_former *former;
    unsigned former_count;
    int     *benches;                   /* their reading ends */
    unsigned bench_count;
    struct bench bench;                 /* of the master itself, when it stops */
    uint64_t again_ms;                  /* all inboxes were full, or something was short: again then; 0: they were not */
    uint64_t pause_ms;                  /* how long that is from when it was seen */
    bool     moves, waits;              /* in this turn: something has moved, something is to be tried again */
    unsigned next;                      /* the place that is asked first */
    uint64_t seated, lost, failed;      /* connections that go on, that nobody has a service for, that nobody took */
};

/* Nothing yet. */
void lobby_init(struct lobby *l);

/* At the start: takes copies of what was kept, and makes one of our own.  -1 with errno. */
int lobby_open(struct lobby *l, const struct handed *kept);
void lobby_close(struct lobby *l);

/* In a new process: closes what is the master's; a worker has an end of it. */
void lobby_abandon(struct lobby *l, bool is_worker);

/* Notes a former one, a bench: they are taken over.  -1 with errno, and then they are the caller's. */
int lobby_add_former(struct lobby *l, int taken, unsigned number);
int lobby_add_bench(struct lobby *l, int taken);

/* By which name one is kept. */
void lobby_name(char name[LOBBY_NAME_SIZE], unsigned number);

/* What to wait for just now: writes at most `room` and returns how many there are; how many there may be. */
size_t lobby_poll(const struct lobby *l, struct pollfd *polled, size_t room);
size_t lobby_polled(const struct lobby *l);

/* Seats those who wait with the workers of `to`, some in each turn.  Nothing is taken out of another lobby before ours is
 * kept.  True when one is over and needs to be kept no more. */
bool lobby_turn(struct lobby *l, const struct generation *to, uint64_t now_ms);

/* When there has to be such a turn although nothing is heard; UINT64_MAX: not. */
uint64_t lobby_due_ms(const struct lobby *l);

#endif
