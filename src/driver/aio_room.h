/* SPDX-License-Identifier: BSD-2-Clause */
/* What the limits of a process leave to engine_aio: connections and signals. */
#ifndef DRIVER_AIO_ROOM_H
#define DRIVER_AIO_ROOM_H

/* So many connections of those that are wanted, one at least. */
unsigned aio_room_connections(unsigned wanted);

/* So many requests may end with a real-time signal. */
unsigned aio_room_signals(void);

#endif
