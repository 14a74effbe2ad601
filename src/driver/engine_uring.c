/* SPDX-License-Identifier: BSD-2-Clause */
/* io_uring(7): operations are written into a ring that the kernel reads, results come back in another.
 * One system call a turn submits everything that was started and waits for what is done.
 *
 * The ring is made in the worker, after fork: a ring with a single issuer belongs to one task.  Completions run
 * only when this task asks for them (DEFER_TASKRUN), so nothing interrupts a turn; older kernels get fewer flags.
 * Sockets are left blocking: on a non-blocking one the ring would answer -EAGAIN instead of waiting. */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/engine_table.h"

enum {
    SUBMISSIONS = 1024,         /* started between two waits without an extra system call */
    COMPLETIONS = 8192,
    RECV_SIZE = 8192            /* bytes of one receive */
};

/* What an operation needs to live as long as it does. */
struct uring_accept {
    struct sockaddr_storage from;
    socklen_t               size;
};

struct uring_send {
    int           room;
    struct msghdr header;
    struct iovec  iov[];
};

static unsigned setup_flags(unsigned attempt)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,        /* 6.1 */
        IORING_SETUP_COOP_TASKRUN,                                      /* 5.19 */
        0
    };
    return attempt < sizeof flags / sizeof *flags ? flags[attempt] : 0;
}

/* 0 or -errno.  Newest flags first: a kernel that does not know one says EINVAL. */
static int ring_make(struct io_uring *ring, unsigned submissions, unsigned completions)
{
    int error = -EINVAL;
    for (unsigned attempt = 0; attempt < 3 && error == -EINVAL; attempt++) {
        struct io_uring_params p = { .flags = setup_flags(attempt) | IORING_SETUP_CQSIZE, .cq_entries = completions };
        error = io_uring_queue_init_params(submissions, ring, &p);
    }
    return error;
}

static int sysctl_disabled(void)
{
    char text[16] = "0";
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (f == NULL)
        return 0;
    if (fgets(text, sizeof text, f) == NULL)
        text[0] = '0';
    fclose(f);
    return (int)strtol(text, NULL, 10);
}

bool engine_uring_available(char *why, size_t why_size)
{
    struct io_uring ring;
    int error = ring_make(&ring, 4, 8);
    if (error == 0) {
        io_uring_queue_exit(&ring);
        return true;
    }
    if (error == -EPERM && sysctl_disabled() > 0)
        snprintf(why, why_size, "forbidden: kernel.io_uring_disabled is %d", sysctl_disabled());
    else if (error == -EPERM || error == -EACCES)
        snprintf(why, why_size, "forbidden: io_uring_setup: %s (a seccomp filter?)", strerror(-error));
    else if (error == -ENOSYS)
        snprintf(why, why_size, "the kernel has no io_uring, or a seccomp filter hides it");
    else if (error == -ENOMEM)
        snprintf(why, why_size, "io_uring_setup: %s (RLIMIT_MEMLOCK?)", strerror(-error));
    else
        snprintf(why, why_size, "io_uring_setup: %s", strerror(-error));
    return false;
}

static int ur_open(struct engine *e)
{
    struct io_uring *ring = malloc(sizeof *ring);
    if (ring == NULL)
        return -1;
    int error = ring_make(ring, SUBMISSIONS, COMPLETIONS);
    if (error < 0) {
        free(ring);
        errno = -error;
        return -1;
    }
    e->self = ring;
    return 0;
}

/* A place in the submission ring; when it is full, what is there is submitted first. */
/* hot */
static struct io_uring_sqe *sqe_get(struct engine *e)
{
    struct io_uring *ring = e->self;
    struct io_uring_sqe *s;
    while ((s = io_uring_get_sqe(ring)) == NULL)
        io_uring_submit(ring);
    return s;
}

/* Memory that an operation keeps from use to use; NULL when there is none. */
static void *mine_get(struct op *o, size_t size)
{
    if (o->mine == NULL)
        o->mine = malloc(size);
    return o->mine;
}

static void ur_accept(struct engine *e, struct op *o, int fd)
{
    struct uring_accept *a = mine_get(o, sizeof *a);
    struct io_uring_sqe *s = sqe_get(e);
    if (a != NULL)
        a->size = sizeof a->from;
    io_uring_prep_accept(s, fd, a != NULL ? (struct sockaddr *)&a->from : NULL, a != NULL ? &a->size : NULL,
                         SOCK_CLOEXEC);
    io_uring_sqe_set_data(s, o);
}

/* hot */
static void ur_recv(struct engine *e, struct op *o, int fd)
{
    char *buffer = mine_get(o, RECV_SIZE);      /* NULL: answers -EFAULT once bytes come, and that connection ends */
    struct io_uring_sqe *s = sqe_get(e);
    io_uring_prep_recv(s, fd, buffer, RECV_SIZE, 0);
    io_uring_sqe_set_data(s, o);
}

/* A copy of the pieces that lives as long as the operation; NULL when there is no memory. */
static struct uring_send *pieces_keep(struct op *o, const struct iovec *iov, int count)
{
    struct uring_send *u = o->mine;
    size_t size = (size_t)count * sizeof *iov;
    if (u == NULL || u->room < count) {
        free(u);
        u = o->mine = malloc(sizeof *u + size);
        if (u == NULL)
            return NULL;
        u->room = count;
    }
    memcpy(u->iov, iov, size);
    u->header = (struct msghdr){ .msg_iov = u->iov, .msg_iovlen = (size_t)count };
    return u;
}

/* hot */
static void ur_send(struct engine *e, struct op *o, int fd, const struct iovec *iov, int count, bool more_follows)
{
    struct uring_send *u = count > 1 ? pieces_keep(o, iov, count) : NULL;
    struct io_uring_sqe *s = sqe_get(e);
    int flags = MSG_NOSIGNAL | (more_follows || (count > 1 && u == NULL) ? MSG_MORE : 0);
    if (u != NULL)
        io_uring_prep_sendmsg(s, fd, &u->header, (unsigned)flags);
    else
        io_uring_prep_send(s, fd, iov->iov_base, iov->iov_len, flags);
    io_uring_sqe_set_data(s, o);
}

static void ur_load(struct engine *e, struct op *o, int fd, void *to, size_t n, off_t offset)
{
    struct io_uring_sqe *s = sqe_get(e);
    io_uring_prep_read(s, fd, to, (unsigned)n, (uint64_t)offset);
    io_uring_sqe_set_data(s, o);
}

static void ur_watch(struct engine *e, struct op *o, int fd)
{
    struct io_uring_sqe *s = sqe_get(e);
    io_uring_prep_poll_add(s, fd, POLLIN);
    io_uring_sqe_set_data(s, o);
}

static void ur_cancel(struct engine *e, struct op *o)
{
    struct io_uring_sqe *s = sqe_get(e);
    io_uring_prep_cancel(s, o, 0);
    io_uring_sqe_set_data(s, NULL);             /* nobody wants to know how the request to cancel went */
}

static void ur_forget(struct engine *e, struct op *o)
{
    (void)e;
    free(o->mine);
    o->mine = NULL;
}

static void ur_close_fd(struct engine *e, int fd)
{
    (void)e;
    close(fd);
}

/* hot */
static void report_fill(struct done *d, struct op *o, const struct io_uring_cqe *cqe)
{
    *d = (struct done){ .op = o, .result = cqe->res, .more = (cqe->flags & IORING_CQE_F_MORE) != 0 };
    if (o->kind == OP_RECV)
        d->data = o->mine;
    if (o->kind == OP_ACCEPT && cqe->res >= 0 && o->mine != NULL) {
        const struct uring_accept *a = o->mine;
        d->peer = peer_of(&a->from, a->size);
    }
}

/* hot */
static int reap(struct io_uring *ring, struct done *out, int max)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int n = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
        if (n == max)
            break;
        seen++;
        struct op *o = io_uring_cqe_get_data(cqe);
        if (o != NULL)
            report_fill(&out[n++], o, cqe);
    }
    io_uring_cq_advance(ring, seen);
    return n;
}

/* hot */
static int ur_wait(struct engine *e, struct done *out, int max, int timeout_ms)
{
    struct io_uring *ring = e->self;
    struct io_uring_cqe *first;
    struct __kernel_timespec ts = { .tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000LL };
    int result = io_uring_submit_and_wait_timeout(ring, &first, 1, timeout_ms < 0 ? NULL : &ts, NULL);
    if (result < 0 && result != -ETIME && result != -EBUSY && result != -EAGAIN) {
        errno = -result;
        return -1;
    }
    return reap(ring, out, max);
}

static void ur_close(struct engine *e)
{
    io_uring_queue_exit(e->self);
    free(e->self);
}

const struct engine_ops engine_uring = {
    .name = "io_uring",
    .open = ur_open, .accept = ur_accept, .recv = ur_recv, .send = ur_send, .load = ur_load, .watch = ur_watch,
    .cancel = ur_cancel, .forget = ur_forget, .close_fd = ur_close_fd, .wait = ur_wait, .close = ur_close,
};
