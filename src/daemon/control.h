/* SPDX-License-Identifier: BSD-2-Clause */
/* The clients of the control socket: each sends one line and gets one back.  Nothing here ever waits for a client: the
 * number of them, the bytes of a request and the time for everything are bounded, and when there are too many the one
 * that has been silent for longest makes place. */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/span.h"
#include "conf/conf.h"
#include "daemon/control_socket.h"

enum {
    CONTROL_CLIENTS = 64,
    CONTROL_POLLED_MAX = CONTROL_CLIENTS + 1,
    CONTROL_REQUEST_MAX = 4096,         /* bytes with the newline: a setting may be long */
    CONTROL_REQUEST_MS = 2000,          /* for a whole request */
    CONTROL_ANSWER_MS = 5000            /* for the client to take more of its answer */
};

struct master;

enum control_state {
    CONTROL_FREE,                       /* no client */
    CONTROL_READING,                    /* the request is not whole */
    CONTROL_WAITING,                    /* for what it asked to be done */
    CONTROL_ANSWERING                   /* then it is closed */
};

struct control_client {
    enum control_state state;
    int      fd;
    pid_t    pid;                       /* who it is, as the kernel says */
    uid_t    uid;
    uint32_t id;                        /* tells this client from others in the same place */
    unsigned reload;                    /* WAITING for this attempt; 0: for something else */
    uint64_t since_ms;                  /* it has come or was last heard of */
    size_t   got, sent, answer_size;
    char    *answer;
    char     request[CONTROL_REQUEST_MAX];
};

struct control {
    struct control_socket socket;       /* that is open now */
    struct control_socket next;         /* of a configuration that does not rule yet, */
    bool                  changes;      /* and whether it is another one */
    uint64_t              accept_after_ms;
    uint32_t              last_id;
    struct pollfd        *polled;       /* the loop's, of the last wait */
    struct control_client v[CONTROL_CLIENTS];
};

/* Does what a request wants, a line without its newline: by control_answer at once, or later; then the state is to be
 * WAITING. */
typedef void control_obey(void *arg, struct control_client *c, struct span line);

void control_init(struct control *c);

/* Opens what this configuration wants, beside what is there.  -1 after logging an error; that a default one cannot be
 * made is only a warning.  Then one of the others decides. */
int control_prepare(struct control *c, const struct conf *conf);
void control_commit(struct control *c);
void control_rollback(struct control *c);

/* Closes everything and removes the file. */
void control_close(struct control *c);

/* In a worker: closes what is the master's. */
void control_abandon(struct control *c);

/* Fills in what the loop is to wait for, at most CONTROL_POLLED_MAX; how many. */
size_t control_poll(struct control *c, struct pollfd *polled);

/* When control_serve wants to be called without a client having moved; UINT64_MAX: never. */
uint64_t control_due_ms(const struct control *c);

/* After the wait: serves whoever moved, drops whoever is late. */
void control_serve(struct control *c, uint64_t now_ms, control_obey *obey, void *arg);

/* The answer, a line with its newline, which is taken over (free); NULL: the client is dropped. */
void control_answer(struct control_client *c, char *taken, size_t size);

/* The client with this id, NULL: it has gone. */
struct control_client *control_find(struct control *c, uint32_t id);

/* Those who wait for this attempt are told how it went: command.c. */
void control_reloaded(struct master *m, unsigned attempt);

#endif
