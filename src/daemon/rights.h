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

/* The same for all that may come with one (SCM_MAX_FD in the kernel), and for what else a socket may be told to say
 * (SO_PASSCRED): descriptors without room are closed by the kernel, within recvmsg(2), as they are. */
enum { RIGHTS_MAX = 253 };

union rights_room {
    struct cmsghdr header;
    char           bytes[CMSG_SPACE(RIGHTS_MAX * sizeof(int)) + 512];
};

/* The buffer must stay alive until the message was sent. */
void rights_attach(struct msghdr *h, union rights *r, int fd);

/* The descriptor that came with a message, -1: none.  Of several one is given, and the message is marked as cut
 * (MSG_CTRUNC). */
int rights_detach(struct msghdr *h);

/* close(2) of a descriptor that came.  It may be anything that another process has thought of, also a socket that is told to
 * wait in close(2), for as long as it likes, until all is sent (SO_LINGER): it is told not to.  errno stays. */
void rights_close(int fd);

/* Is it a socket of a connection? */
bool rights_is_stream(int fd);

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
