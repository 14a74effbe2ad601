/* SPDX-License-Identifier: BSD-2-Clause */
/* Benches, as who leaves connections sees them. */
#include "daemon/bench.h"

#include <errno.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/inbox.h"

void bench_init(struct bench *b)
{
    *b = (struct bench){ .lobby = -1, .end = -1 };
}

void bench_close(struct bench *b)
{
    if (b->end != -1)
        close(b->end);
    bench_init(b);
}

bool bench_is_open(const struct bench *b)
{
    return b->end != -1;
}

/* From when it is in the lobby it is kept there, before anything is on it. */
static int put_there(int lobby)
{
    int ends[2], rc, error;

    if (inbox_open(ends) == -1)
        return -1;
    rc = channel_send(lobby, &(struct channel_message){ .kind = CHANNEL_BENCH, .fd = ends[0] });
    error = errno;
    close(ends[0]);
    if (rc == 0)
        return ends[1];
    close(ends[1]);
    errno = error;
    return -1;
}

int bench_open(struct bench *b, int lobby)
{
    int end = put_there(lobby);

    bench_close(b);
    *b = (struct bench){ .lobby = lobby, .end = end };
    return end != -1 ? 0 : -1;
}

/* False: there is no place for another one now. */
static bool bench_change(struct bench *b)
{
    int another = put_there(b->lobby);

    if (another == -1)
        return false;
    close(b->end);
    b->end = another;
    return true;
}

int bench_send(struct bench *b, struct span parcel, int fd)
{
    if (inbox_send(b->end, parcel, fd) == 0)
        return 0;
    if (errno != EAGAIN)
        return -1;
    if (!bench_change(b)) {
        errno = EAGAIN;                 /* there may be a place later */
        return -1;
    }
    return inbox_send(b->end, parcel, fd);
}

static bool fill_has_room(void *bench)
{
    struct bench *b = bench;

    return inbox_has_room(b->end) || bench_change(b);
}

static int fill_take(void *bench, struct span parcel, int fd)
{
    return bench_send(bench, parcel, fd);
}

bool bench_fill(struct bench *b, int inbox)
{
    const struct inbox_taker taker = { .has_room = fill_has_room, .take = fill_take, .arg = b };
    int moved = 1;

    while (bench_is_open(b) && moved == 1)
        moved = inbox_pass(inbox, &taker);
    return moved == 0;
}
