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

int bench_send(struct bench *b, struct span parcel, int fd)
{
    int another;

    if (inbox_send(b->end, parcel, fd) == 0)
        return 0;
    if (errno != EAGAIN)
        return -1;
    another = put_there(b->lobby);
    if (another == -1) {
        errno = EAGAIN;                 /* there may be a place later */
        return -1;
    }
    close(b->end);
    b->end = another;
    return inbox_send(b->end, parcel, fd);
}

static int send_to(void *bench, struct span parcel, int fd)
{
    return bench_send(bench, parcel, fd);
}

bool bench_fill(struct bench *b, int inbox)
{
    int moved = 1;

    while (bench_is_open(b) && moved == 1)
        moved = inbox_pass(inbox, send_to, b);
    return moved == 0;
}
