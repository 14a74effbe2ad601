/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sockets of an address the kernel gives connections and datagrams to, where several share it (SO_REUSEPORT). */
#ifndef DAEMON_LISTEN_STEER_H
#define DAEMON_LISTEN_STEER_H

/* From now on to the first `count` that listened there, whoever else comes to share it.  `fd` is any of them.  -1 with
 * errno: to all, as always. */
int listen_steer(int fd, unsigned count);

/* To all of them again, of which there are `count`.  Where none was preferred nothing happens. */
void listen_steer_to_all(int fd, unsigned count);

#endif
