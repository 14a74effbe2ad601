/* SPDX-License-Identifier: BSD-2-Clause */
/* An outbox: a list that is filled at one end and emptied at the other, and begins anew when it is empty. */
#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/inbox.h"

enum {
    ROOM_MIN = 16,
    AGAIN_MS = 20,
    PATIENCE_MS = 1000          /* with the kernel, for heirs: then what is owed behind them matters more */
};

bool outbox_is_empty(const struct outbox *o)
{
    return o->first == o->count;
}

void outbox_clear(struct outbox *o)
{
    for (unsigned i = o->first; i < o->count; i++)
        if (o->v[i].fd != -1)
            close(o->v[i].fd);
    free(o->v);
    *o = (struct outbox){ .v = NULL };
}

/* Does what is said now make void what was to be said before? */
static bool is_void(enum channel_kind before, enum channel_kind now)
{
    switch (now) {
    case CHANNEL_HEIRS:
        return before == CHANNEL_HEIRS || before == CHANNEL_SERVES || before == CHANNEL_HEIR;
    case CHANNEL_DRAIN:
    case CHANNEL_LEVEL:
    case CHANNEL_LOG:
    case CHANNEL_ASK:
    case CHANNEL_RECLAIM:
    case CHANNEL_HURRY:
        return before == now;
    default:
        return false;
    }
}

static void drop_void(struct outbox *o, enum channel_kind now)
{
    unsigned kept = 0;

    for (unsigned i = o->first; i < o->count; i++) {
        if (!is_void(o->v[i].kind, now))
            o->v[kept++] = o->v[i];
        else if (o->v[i].fd != -1)
            close(o->v[i].fd);
    }
    o->first = 0;
    o->count = kept;
}

static int outbox_grow(struct outbox *o)
{
    unsigned room = o->room > 0 ? 2 * o->room : ROOM_MIN;
    struct channel_message *grown;

    if (room > OUTBOX_MAX) {
        errno = ENOBUFS;
        return -1;
    }
    grown = realloc(o->v, room * sizeof *grown);
    if (grown == NULL)
        return -1;
    o->v = grown;
    o->room = room;
    return 0;
}

int outbox_put(struct outbox *o, struct channel_message taken)
{
    if (o->first > 0 || is_void(taken.kind, taken.kind))
        drop_void(o, taken.kind);
    if (o->count == o->room && outbox_grow(o) == -1) {
        if (taken.fd != -1)
            close(taken.fd);
        return -1;
    }
    o->v[o->count++] = taken;
    return 0;
}

/* No descriptor could be sent for long, and this one is not worth more waiting.  errno stays. */
static bool is_given_up(struct outbox *o, const struct channel_message *m, uint64_t now_ms)
{
    if (errno == EAGAIN || !inbox_is_busy(errno) || m->kind != CHANNEL_HEIR)
        return false;
    if (o->short_since_ms == 0)
        o->short_since_ms = now_ms;
    return now_ms - o->short_since_ms >= PATIENCE_MS;
}

void outbox_send(struct outbox *o, int channel, uint64_t now_ms)
{
    while (!outbox_is_empty(o)) {
        const struct channel_message *m = &o->v[o->first];

        if (channel_send(channel, m) == 0)
            o->short_since_ms = m->fd == -1 ? o->short_since_ms : 0;
        else if (!is_given_up(o, m, now_ms))
            break;
        if (m->fd != -1)
            close(m->fd);
        o->first++;
    }
    if (outbox_is_empty(o) || !inbox_is_busy(errno))
        outbox_clear(o);
    else
        o->again_ms = errno == EAGAIN ? 0 : now_ms + AGAIN_MS;
}
