/* SPDX-License-Identifier: BSD-2-Clause */
/* Signal-driven I/O: the kernel queues a real-time signal for each thing that happens to a socket (fcntl(2), F_SETSIG),
 * with the descriptor and what happened inside; sigtimedwait(2) takes them from the queue.
 *
 * Signals are edge-like and are not merged: three segments are three signals.  Nothing is said about what was there
 * before a socket was armed, so each newly added one is hinted at once, unasked.  The queue is bounded
 * (RLIMIT_SIGPENDING, shared by all processes of a user): when it is full the kernel sends one plain SIGIO, and the
 * only right answer is to take every socket for ready.  A signal may be about a descriptor that is somebody else's by
 * now: a hint like any other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "driver/poller.h"
#include "driver/poller_table.h"

struct sigio_self {
    sigset_t       signals, before;
    int            number;      /* the real-time signal */
    unsigned char *added;       /* by descriptor */
    int            top;         /* one more than the highest descriptor in use */
    int            sweep;       /* descriptor that a sweep over all has come to; -1: no sweep */
    int           *fresh;       /* added since the last wait */
    int            fresh_count;
};

bool poller_sigio_available(char *why, size_t why_size)
{
    struct rlimit limit = { 0 };
    if (getrlimit(RLIMIT_SIGPENDING, &limit) == 0)
        snprintf(why, why_size, "RLIMIT_SIGPENDING is %lld, shared by all processes of a user",
                 limit.rlim_cur == RLIM_INFINITY ? -1LL : (long long)limit.rlim_cur);
    if (limit.rlim_cur > 0)
        return true;
    snprintf(why, why_size, "RLIMIT_SIGPENDING is 0: no signal can be queued");
    return false;
}

static int sg_open(struct poller *p)
{
    struct sigio_self *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -1;
    s->added = calloc((size_t)p->fds_max, 1);
    s->fresh = calloc((size_t)p->fds_max, sizeof *s->fresh);
    if (s->added == NULL || s->fresh == NULL) {
        free(s->added);
        free(s->fresh);
        free(s);
        return -1;
    }
    s->number = SIGRTMIN + 1;
    s->sweep = -1;
    sigemptyset(&s->signals);
    sigaddset(&s->signals, s->number);
    sigaddset(&s->signals, SIGIO);
    sigprocmask(SIG_BLOCK, &s->signals, &s->before);
    p->self = s;
    return 0;
}

/* A listener may be another process's too, as are its flags: the others stay as they are.  The kernel remembers under
 * which number a socket was armed, and forgets that only when it is disarmed; there it may have another one. */
static int arm_shared(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags == -1 || ((flags & O_ASYNC) != 0 && fcntl(fd, F_SETFL, flags & ~O_ASYNC) == -1))
        return -1;
    return fcntl(fd, F_SETFL, flags | O_ASYNC);
}

static int sg_add(struct poller *p, int fd, uint32_t generation)
{
    struct sigio_self *s = p->self;
    struct f_owner_ex me = { F_OWNER_TID, gettid() };
    p->calls += generation == ANY_GENERATION ? 4 : 3;
    if (fcntl(fd, F_SETOWN_EX, &me) == -1 || fcntl(fd, F_SETSIG, s->number) == -1 ||
        (generation == ANY_GENERATION ? arm_shared(fd) : fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC)) == -1)
        return -1;
    s->added[fd] = 1;
    if (fd >= s->top)
        s->top = fd + 1;
    if (s->fresh_count < p->fds_max)
        s->fresh[s->fresh_count++] = fd;
    else
        s->sweep = 0;
    return 0;
}

static void sg_remove(struct poller *p, int fd, bool closing)
{
    struct sigio_self *s = p->self;
    struct f_owner_ex owner = { 0 };
    s->added[fd] = 0;
    p->calls += closing ? 0 : 3;
    if (closing || fcntl(fd, F_GETOWN_EX, &owner) == -1 || owner.type != F_OWNER_TID || owner.pid != gettid())
        return;                 /* the next worker has taken the listener over */
    int flags = fcntl(fd, F_GETFL);
    if (flags != -1)
        (void)fcntl(fd, F_SETFL, flags & ~O_ASYNC);
}

/* Which of them nobody knows any more; each is hinted at. */
static void sg_reclaim(struct poller *p)
{
    const struct sigio_self *s = p->self;
    for (int fd = 0; fd < s->top; fd++)
        if (s->added[fd])
            (void)sg_add(p, fd, ANY_GENERATION);
}

static int report_fresh(struct sigio_self *s, struct ready *out, int max)
{
    int n = 0;
    while (s->fresh_count > 0 && n < max) {
        int fd = s->fresh[--s->fresh_count];
        if (s->added[fd])
            out[n++] = (struct ready){ .fd = fd, .can = CAN_READ | CAN_WRITE };
    }
    return n;
}

static int report_all(struct sigio_self *s, struct ready *out, int max)
{
    int n = 0;
    for (; s->sweep < s->top && n < max; s->sweep++)
        if (s->added[s->sweep])
            out[n++] = (struct ready){ .fd = s->sweep, .can = CAN_READ | CAN_WRITE };
    if (s->sweep >= s->top)
        s->sweep = -1;
    return n;
}

static struct ready ready_of(const siginfo_t *si)
{
    long band = si->si_band;
    return (struct ready){
        .fd = si->si_fd,
        .can = (band & (POLLIN | POLLPRI | POLLHUP | POLLERR) ? CAN_READ : 0u) |
               (band & (POLLOUT | POLLHUP | POLLERR) ? CAN_WRITE : 0u),
    };
}

static int sg_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct sigio_self *s = p->self;
    struct timespec t = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L }, none = { 0, 0 };
    int n = report_fresh(s, out, max);
    if (s->sweep >= 0)
        n += report_all(s, out + n, max - n);
    while (n < max && s->sweep < 0) {
        siginfo_t si;
        p->calls++;
        int number = n > 0 || timeout_ms == 0 ? sigtimedwait(&s->signals, &si, &none) :
                     timeout_ms < 0 ? sigwaitinfo(&s->signals, &si) : sigtimedwait(&s->signals, &si, &t);
        if (number == -1)
            return n > 0 || errno == EAGAIN ? n : -1;
        if (number == SIGIO)
            s->sweep = 0;
        else
            out[n++] = ready_of(&si);
    }
    return n;
}

static void sg_close(struct poller *p)
{
    struct sigio_self *s = p->self;
    struct timespec none = { 0, 0 };

    /* What others hold by now, a listener or a connection that was passed on, may still name this process: that must
     * not end it. */
    signal(s->number, SIG_IGN);
    signal(SIGIO, SIG_IGN);
    while (sigtimedwait(&s->signals, NULL, &none) > 0)
        ;
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    free(s->added);
    free(s->fresh);
    free(s);
}

const struct poller_ops poller_sigio = {
    .name = "sigio", .edge = true, .short_read = false,
    .open = sg_open, .add = sg_add, .remove = sg_remove, .wait = sg_wait, .reclaim = sg_reclaim,
    .close = sg_close,
};
