/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets of one configuration: for each address one for each worker that serves it (SO_REUSEPORT); of a
 * Unix socket, and of one that the service manager handed over, the workers have copies.  The master makes them and
 * keeps them, so that no connection in a queue is lost when a worker dies.
 *
 * A new configuration takes over the sockets of the one that is running where their addresses are the same: socket i
 * goes to the i-th worker that serves the address.  With fewer workers than sockets the others are spread over them: to
 * close a socket would reset what waits in its queue. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/handed.h"
#include "daemon/pool.h"
#include "daemon/shared.h"

enum {
    LISTEN_DEFER_S = 1,         /* a client that says nothing for so long is accepted all the same (tcp(7)) */
    LISTEN_BACKLOG = 4096,      /* waiting to be accepted; the kernel cuts it to net.core.somaxconn */
    LISTEN_TEXT_SIZE = 160,     /* "unix:" and a path of 108, or an IPv6 address with its zone and port */
    LISTEN_UNIX_MODE = 0666     /* who may connect is decided by the folder that the socket stands in */
};

/* By which the service manager keeps the sockets of a service and its n-th address; their number comes behind it. */
#define LISTEN_KEPT_NAME "kept.%s.%u."

/* A descriptor of a socket, for one worker. */
struct listen_socket {
    int      fd;                        /* -1: closed */
    unsigned number;                    /* which socket of the address: those of one number are copies of each other */
    unsigned worker;
};

/* One address of one service. */
struct listen_address {
    struct conf_place place;            /* in the configuration */
    const char *written;                /* as it stands there */
    const char *handed;                 /* the name by which the service manager has it; NULL: it is our own */
    const char *service;                /* its name */
    const char *protocol;               /* and what it speaks */
    unsigned    service_index;          /* in the configuration */
    unsigned    listen_index;           /* among the service's listeners */
    bool        datagram;               /* UDP: nothing is accepted there */
    bool        client_first;           /* the client speaks first: no need to wake a worker before it does */
    bool        dual;                   /* one IPv6 socket for IPv4 too */
    bool        any_port;               /* the configuration lets the kernel choose the port */
    bool        kept;                   /* there were sockets of it, which the service manager had kept */
    struct sockaddr_storage address;    /* with the real port */
    socklen_t   size;
    char        text[LISTEN_TEXT_SIZE]; /* the same for people */
    struct listen_socket *sockets;
    unsigned    socket_count;
    const struct listen_address *from;  /* of the running configuration, whose sockets these are; NULL: new.  Until
                                         * listen_succeed, and then: */
    bool        inherited;              /* it was there before this configuration */
    bool        made;                   /* a Unix socket that stands in the file system as this file: */
    dev_t       device;
    ino_t       inode;
};

struct listen_set {
    struct listen_address *v;
    unsigned count;                     /* addresses */
    bool    *gone;                      /* by address; workers share it: nobody else accepts there any more */
    struct shared flags;                /* where that is */
};

/* Where sockets may come from beside being made. */
struct listen_sources {
    const struct listen_set *running;   /* NULL: nothing runs yet */
    const struct handed     *handed;    /* NULL: nothing was handed over */
    const struct handed     *kept;      /* that the service manager has kept for us; NULL: nothing */
};

/* Every address of a configuration, nothing open.  `flags` is the memory for `gone` if it is there already, and is
 * taken over; -1: it is made.  -1 with errno. */
int listen_set_init(struct listen_set *s, const struct conf *c, int flags);

/* Opens everything, or nothing: -1 after logging each address that cannot be had. */
int listen_open(struct listen_set *s, const struct conf *c, const struct pool_set *pools,
                const struct listen_sources *from);

/* The new set rules: what it took over is its own now, options included; what it has not is gone, and closed in the
 * old one, as is all else there.  Files of Unix sockets that are gone are removed. */
void listen_succeed(struct listen_set *new, struct listen_set *old);

/* The set rules: sockets that were made beside others get connections from now on.  Until then, and for ever if the set is
 * abandoned, they do not, but for kernels that cannot be told so. */
void listen_rule(const struct listen_set *s);

/* The sockets that a new set has made for an address of the running one, in which connections may wait by now (see
 * listen_rule): calls `tell` for each.  Before listen_abandon. */
typedef void listen_stranded(void *arg, const struct listen_address *running, int fd);
void listen_salvage(const struct listen_set *new, listen_stranded *tell, void *arg);

/* The new set is not to be: what it has alone is gone, and all is closed. */
void listen_abandon(struct listen_set *new);

/* How many sockets the worker that has the most of them holds. */
unsigned listen_most(const struct listen_set *s, unsigned workers);

/* In a worker: closes what belongs to the others, and what is the master's. */
void listen_keep_only(struct listen_set *s, unsigned worker);

/* Closes all that is open here; with `unlink_files` Unix sockets are removed from the file system too, if
 * they are still the ones that were made.  The set may be used no more but for the texts. */
void listen_close(struct listen_set *s, bool unlink_files);
void listen_free(struct listen_set *s);

/* In a daemon that ends, and whose sockets are kept for the next one: so are the files of Unix sockets. */
void listen_leave_files(struct listen_set *s);

/* The i-th of the kept sockets that are one for this address, in the order of their numbers; NULL: there is none.  The
 * name decides only where the configuration leaves the port to the kernel. */
const struct handed_one *listen_kept(const struct handed *kept, const struct listen_address *a, unsigned i);

/* Would a kept socket be in the way of one for `a`? */
bool listen_kept_overlaps(const struct handed *kept, const struct listen_address *a);

/* The address of the running set whose sockets an address of a new one is to take over, or NULL.  `ordinal`: how many
 * like it, of the same service and written alike, stand before it. */
const struct listen_address *listen_ancestor(const struct listen_set *running, const struct listen_address *a,
                                             unsigned ordinal);

/* Would a socket there be in the way of one for `a`? */
bool listen_overlaps(const struct listen_set *running, const struct listen_address *a);

#endif
