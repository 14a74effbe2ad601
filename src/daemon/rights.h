/* SPDX-License-Identifier: BSD-2-Clause */
/* A descriptor beside a message on a Unix socket. */
#ifndef DAEMON_RIGHTS_H
#define DAEMON_RIGHTS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Room for the control message that carries one descriptor, aligned as recvmsg(2) wants it. */
union rights {
    struct cmsghdr header;
    char           bytes[CMSG_SPACE(sizeof(int))];
};

/* The buffer must stay alive until the message was sent. */
void rights_attach(struct msghdr *h, union rights *r, int fd);

/* The descriptor that came with a message, -1: none. */
int rights_detach(struct msghdr *h);

/* A message whose descriptor finds no place in this process is lost, so there must be one before; `end`: any open one. */
bool rights_have_place(int end);

enum { RIGHTS_SPARES = 8 };

/* Descriptors that are open to be closed: where a process has no more, there is place for what must not be lost. */
struct rights_spares {
    int      v[RIGHTS_SPARES];
    unsigned count;
};

/* Takes as many as it can, up to all; `end`: any open one. */
void rights_save(struct rights_spares *s, int end);

/* Gives one place back; false: there is none left. */
bool rights_spend(struct rights_spares *s);

#endif
