/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets: for each address one for each worker that serves it (SO_REUSEPORT), for a Unix
 * socket one that these workers share.  The master makes them and keeps them, so that no connection in a
 * queue is lost when a worker dies. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/pool.h"

enum {
    LISTEN_DEFER_S = 1,         /* a client that says nothing for so long is accepted all the same (tcp(7)) */
    LISTEN_BACKLOG = 4096,      /* waiting to be accepted; the kernel cuts it to net.core.somaxconn */
    LISTEN_TEXT_SIZE = 160,     /* "unix:" and a path of 108, or an IPv6 address with its zone and port */
    LISTEN_UNIX_MODE = 0666     /* who may connect is decided by the folder that the socket stands in */
};

/* One address of one service. */
struct listen_address {
    struct conf_place place;            /* in the configuration */
    const char *written;                /* as it stands there */
    const char *service;                /* its name */
    const char *protocol;               /* and what it speaks */
    unsigned    service_index;          /* in the configuration */
    unsigned    listen_index;           /* among the service's listeners */
    bool        datagram;               /* UDP: nothing is accepted there */
    bool        client_first;           /* the client speaks first: no need to wake a worker before it does */
    bool        dual;                   /* one IPv6 socket for IPv4 too */
    struct sockaddr_storage address;    /* with the real port */
    socklen_t   size;
    char        text[LISTEN_TEXT_SIZE]; /* the same for people */
    int        *fds;                    /* by worker, in the set's array; -1: closed, or not this worker's */
    bool        made;                   /* a Unix socket that stands in the file system as this file: */
    dev_t       device;
    ino_t       inode;
};

struct listen_set {
    struct listen_address *v;
    int     *fds;                       /* of all addresses, one after the other */
    unsigned count;                     /* addresses */
    unsigned workers;
};

/* Opens everything, or nothing: -1 after logging each address that cannot be had. */
int listen_open(struct listen_set *s, const struct conf *c, const struct pool_set *pools);

/* How many addresses the worker that has the most of them serves. */
unsigned listen_most(const struct listen_set *s);

/* In a worker: closes what belongs to the others. */
void listen_keep_only(struct listen_set *s, unsigned worker);

/* Closes all that is open here; with `unlink_files` Unix sockets are removed from the file system too, if
 * they are still the ones that were made.  The set may be used no more but for the texts. */
void listen_close(struct listen_set *s, bool unlink_files);
void listen_free(struct listen_set *s);

#endif
