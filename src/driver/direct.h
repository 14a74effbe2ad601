/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of files that are loaded into a stage and sent from there, and the arithmetic of direct I/O: a read must
 * begin and end on multiples of the alignment, so it brings bytes that nobody asked for before and behind the range;
 * the last block of a file is read whole and comes back short.
 * Pure: knows neither files nor stages, only numbers. */
#ifndef DRIVER_DIRECT_H
#define DRIVER_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct direct_load {
    char    *stage;             /* the driver's memory; NULL while no file is on its way */
    unsigned align;             /* of the read: 0: any, it goes through the page cache */
    off_t    offset;            /* the read */
    size_t   n;
    size_t   skip;              /* bytes at its start that lie before the range */
    size_t   at, ready;         /* bytes in the stage that are to be sent; ready 0: load first */
};

/* Plans the read for the first piece of the range of `left` > 0 bytes at `offset`.  `room` is the size of the stage, a
 * multiple of the alignment. */
void direct_plan(struct direct_load *l, off_t offset, size_t left, size_t room);

/* The read brought `got` bytes, of a range of `left`: what of them is to be sent.  False when the range had none: the
 * file shrank. */
bool direct_loaded(struct direct_load *l, size_t got, size_t left);

/* n of the bytes are sent. */
void direct_sent(struct direct_load *l, size_t n);

#endif
