/* SPDX-License-Identifier: BSD-2-Clause */
/* Non-blocking polling: nobody is asked who is ready, every socket is tried in turn, again and again.
 * The simplest of all models and the fastest to notice, at the price of a whole CPU, busy or idle; a pause between
 * sweeps (poll_interval) gives the CPU back and takes the quickness. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "driver/poller.h"
#include "driver/poller_table.h"

struct spin_self {
    unsigned char *want;        /* by descriptor */
    int            top;         /* one more than the highest descriptor in use */
    int            next;        /* where the sweep goes on; 0: a new one begins */
};

static int sp_open(struct poller *p)
{
    struct spin_self *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -1;
    s->want = calloc((size_t)p->fds_max, 1);
    if (s->want == NULL) {
        free(s);
        return -1;
    }
    p->self = s;
    return 0;
}

static int sp_add(struct poller *p, int fd, uint32_t generation)
{
    struct spin_self *s = p->self;
    (void)generation;
    if (fd >= s->top)
        s->top = fd + 1;
    return 0;
}

static void sp_arm(struct poller *p, int fd, uint32_t generation, unsigned can)
{
    struct spin_self *s = p->self;
    (void)generation;
    s->want[fd] = (unsigned char)can;
}

static void sp_remove(struct poller *p, int fd, bool closing)
{
    struct spin_self *s = p->self;
    (void)closing;
    s->want[fd] = 0;
    if (fd + 1 == s->top)
        s->top--;
}

static void sp_pause(struct poller *p, int timeout_ms)
{
    uint64_t us = p->interval_us;
    if (timeout_ms >= 0 && us > (uint64_t)timeout_ms * 1000)
        us = (uint64_t)timeout_ms * 1000;
    struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
    if (us == 0)
        return;
    p->calls++;
    nanosleep(&t, NULL);
}

static int sp_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct spin_self *s = p->self;
    int n = 0;
    if (s->next == 0)
        sp_pause(p, timeout_ms);
    for (; s->next < s->top && n < max; s->next++)
        if (s->want[s->next] != 0)
            out[n++] = (struct ready){ .fd = s->next, .can = s->want[s->next] };
    if (s->next >= s->top)
        s->next = 0;
    return n;
}

static void sp_close(struct poller *p)
{
    struct spin_self *s = p->self;
    free(s->want);
    free(s);
}

const struct poller_ops poller_spin = {
    .name = "nonblocking", .edge = false, .short_read = true,
    .open = sp_open, .add = sp_add, .arm = sp_arm, .remove = sp_remove, .wait = sp_wait, .close = sp_close,
};
