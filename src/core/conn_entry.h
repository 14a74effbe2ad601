/* SPDX-License-Identifier: BSD-2-Clause */
/* How a connection comes in, before its protocol hears of it: the header of a proxy, a place for its address.
 * For core/conn.c, nobody else. */
#ifndef CORE_CONN_ENTRY_H
#define CORE_CONN_ENTRY_H

#include <stddef.h>

#include "base/span.h"

struct conn;

/* A new connection: opened by its protocol, or waiting for a header, or refused. */
void conn_entry_begin(struct conn *c);

/* While header_due: the same contract as proto.input. */
size_t conn_entry_header(struct conn *c, struct span in);

/* It goes: its address has one less. */
void conn_entry_end(struct conn *c);

#endif
