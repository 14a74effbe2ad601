/* SPDX-License-Identifier: BSD-2-Clause */
/* One listening socket: is its address free, and making it. */
#ifndef DAEMON_LISTEN_SOCKET_H
#define DAEMON_LISTEN_SOCKET_H

#include <stdbool.h>

#include "daemon/listen.h"

/* Can this machine listen on [::] now? */
bool listen_ipv6_works(void);

/* Is the kernel to choose a port? */
bool listen_port_is_zero(const struct listen_address *a);

/* Is it one address of the machine, not all of them? */
bool listen_is_one_address(const struct listen_address *a);

/* Would a socket that shares with nobody get the address?  SO_REUSEPORT alone would let a second daemon of
 * the same user take half of the connections unnoticed.  0, or -1 with errno. */
int listen_probe(const struct listen_address *a);

/* A new socket that listens there (or is there, for datagrams), non-blocking; -1 with errno.  Port 0 in a->address
 * becomes the port that came; a stale file in the way of a Unix socket is replaced. */
int listen_bind(struct listen_address *a);

/* What the service needs of a socket that another service had, or another program made.  What the kernel refuses is
 * done without. */
void listen_set_options(int fd, const struct listen_address *a);

/* How many connections wait in a listening socket; 0 where the kernel does not say it. */
long listen_queue(int fd);

/* Connections that wait there to be accepted, in all of its sockets; -1: this kind of socket does not say it. */
long listen_waiting(const struct listen_address *a);

/* Removes the file of a Unix socket if it is still the one that listen_bind made. */
void listen_unlink(struct listen_address *a);

/* Writes a->text from a->address. */
void listen_describe(struct listen_address *a);

#endif
