/* SPDX-License-Identifier: BSD-2-Clause */
/* Input that a protocol did not take yet.  For core/conn and core/parcel, nobody else. */
#ifndef CORE_CONN_KEPT_H
#define CORE_CONN_KEPT_H

#include "core/conn_driver.h"

struct conn_kept {
    size_t n, room;
    char   data[];
};

/* A connection that nobody has heard of yet; NULL with ENOMEM. */
struct conn *conn_blank(struct env *e, const struct service *s, int fd, const struct peer *peer, size_t driver_size);

/* Appends to what is kept; false when memory is out. */
bool conn_keep(struct conn *c, struct span in);

/* Offers what is kept, as if it came now. */
void conn_offer_kept(struct conn *c);

/* Gives back all its memory. */
void conn_dispose(struct conn *c);

#endif
