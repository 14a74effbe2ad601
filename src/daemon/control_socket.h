/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket that iomuxctl talks to: where it stands, who may open it, making and removing it. */
#ifndef DAEMON_CONTROL_SOCKET_H
#define DAEMON_CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

enum {
    CONTROL_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path),
    CONTROL_MODE = 0660                 /* of the socket; its group is CONTROL_GROUP if there is one */
};

#define CONTROL_GROUP "iomuxd"

struct control_socket {
    int   fd;                           /* -1: none */
    char  path[CONTROL_PATH_SIZE];
    dev_t device;                       /* the file that was made */
    ino_t inode;
};

/* Where it stands when nobody says so: in the folder that the service manager made for this service
 * ($RUNTIME_DIRECTORY), as root in /run/iomuxd, else in $XDG_RUNTIME_DIR/iomuxd.  -1: there is no such place. */
int control_default_path(char path[CONTROL_PATH_SIZE]);

/* Makes it; the folder it stands in too, if only that is missing.  A socket that nobody listens on is replaced.
 * -1, with the reason in `why`. */
int control_socket_open(struct control_socket *s, const char *path, char *why, size_t why_size);

/* Closes it, and removes the file if it is still the one that was made. */
void control_socket_close(struct control_socket *s);

#endif
