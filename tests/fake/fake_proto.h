/* SPDX-License-Identifier: BSD-2-Clause */
/* Two protocols for tests of drivers, which never meet those of src/proto.
 *
 * fake_echo: what comes goes back; at the peer's end and when the worker goes, the connection is finished.
 * fake_line: each line is answered by itself, with its line end.  Some words do more:
 *
 *     bye       conn_finish             now     conn_finish_now         abort    conn_abort
 *     big N     N bytes, see fake_byte  file    the file of the settings        wait N   a deadline of N ms
 */
#ifndef TESTS_FAKE_PROTO_H
#define TESTS_FAKE_PROTO_H

#include "core/conn.h"

struct file;

struct fake_seen {
    unsigned opened, closed, expired, drained;
};

struct fake_settings {
    struct fake_seen *seen;
    struct file      *file;
};

extern const struct proto fake_echo, fake_line;

/* The byte that stands at this place of "big". */
char fake_byte(size_t at);

#endif
