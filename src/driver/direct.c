/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of loads, direct or not. */
#include "driver/direct.h"

void direct_plan(struct direct_load *l, off_t offset, size_t left, size_t room)
{
    size_t mask = l->align > 0 ? l->align - 1 : 0;
    l->skip = (size_t)offset & mask;
    l->offset = offset - (off_t)l->skip;
    l->n = left < room - l->skip ? (l->skip + left + mask) & ~mask : room;
    l->at = l->ready = 0;
}

bool direct_loaded(struct direct_load *l, size_t got, size_t left)
{
    size_t brought = got > l->skip ? got - l->skip : 0;
    l->at = l->skip;
    l->ready = brought < left ? brought : left;
    return l->ready > 0;
}

void direct_sent(struct direct_load *l, size_t n)
{
    l->at += n;
    l->ready -= n;
}
