/* SPDX-License-Identifier: BSD-2-Clause */
/* A bench: where connections wait for the next daemon.
 *
 * The service manager holds the reading end of a lobby, which outlives the daemon (daemon/lobby.h has the side of who comes
 * next).  Who has connections to leave makes a bench, an inbox, and puts its reading end into the lobby; what is passed to
 * the bench from then on is in good hands, whoever dies.  A bench has room for some hundred connections; when it is full
 * another one is put beside it. */
#ifndef DAEMON_BENCH_H
#define DAEMON_BENCH_H

#include <stdbool.h>

#include "base/span.h"

struct bench {
    int lobby;                          /* the writing end, somebody else's; -1: there is none */
    int end;                            /* where connections are passed; -1: there is no bench */
};

/* None yet. */
void bench_init(struct bench *b);

/* Puts one into the lobby.  -1 with errno, EPIPE: nobody will ever look there. */
int bench_open(struct bench *b, int lobby);
bool bench_is_open(const struct bench *b);

/* As inbox_send; puts another bench there when this one is full. */
int bench_send(struct bench *b, struct span parcel, int fd);

/* All that waits in an inbox; false: something is left. */
bool bench_fill(struct bench *b, int inbox);

/* Nothing more is passed there; what waits, waits on. */
void bench_close(struct bench *b);

#endif
