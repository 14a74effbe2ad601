/* SPDX-License-Identifier: BSD-2-Clause */
/* io_uring(7): operations are written into a ring that the kernel reads, results come back in another.
 * One system call a turn submits everything that was started and waits for what is done.
 *
 * Accepting and receiving are multishot: started once, they report again and again.  Input lands in buffers of a ring
 * that all connections share (the kernel takes one when bytes come, so a silent connection owns none); they are lent
 * to the driver until the next wait and then given back.
 * Results that find no place in the ring of completions are kept by the kernel and follow (IORING_FEAT_NODROP).  What
 * finds no place in the ring of submissions, because the kernel is out of memory and takes none, comes back undone,
 * and the driver starts it again.
 * The ring is made in the worker, after fork: a ring with a single issuer belongs to one task.  Completions run
 * only when this task asks for them (DEFER_TASKRUN), so nothing interrupts a turn; Linux 5.19 and 6.0 get fewer flags
 * and receive one by one.  What the ring may do is restricted before it is enabled: seccomp(2) does not see what a
 * ring does.  Sockets are left blocking: on a non-blocking one a receive would answer -EAGAIN instead of waiting. */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/engine_table.h"

enum {
    SUBMISSIONS = 1024,         /* started between two waits without an extra system call */
    COMPLETIONS_MIN = 2048,     /* results between two waits without the kernel keeping some aside; at least this, */
    COMPLETIONS_MAX = 65536,    /* else one for each connection, at most this: 16 bytes each */
    BUFFERS = 256,              /* a power of two; when all are lent, receivers are started again */
    BUFFER_SIZE = 8192,         /* bytes of one receive */
    BUFFER_GROUP = 0,
    STRAIN_PAUSE_MS = 10,       /* when the kernel neither takes nor gives anything; */
    STRAIN_WAITS = 500,         /* so often in a row: it is given up */
    ATTEMPTS = 2
};

/* The pieces of a send that has several: they live as long as it does. */
struct uring_send {
    int           room;
    struct msghdr header;
    struct iovec  iov[];
};

struct uring_self {
    struct io_uring           ring;
    bool                      multishot;        /* of receives: Linux 6.0 */
    struct io_uring_buf_ring *buffers;          /* shared with the kernel */
    char                     *memory;           /* of all buffers */
    unsigned short            lent[BUFFERS];    /* to be given back in the next wait */
    unsigned                  lent_count;
    struct iovec              fixed;            /* registered memory for loads; iov_len 0: none */
    struct op                *refused;          /* could not be started, by op.next: come back in the next wait */
    struct op                *unstopped;        /* could not be cancelled yet, by op.next */
    unsigned                  barren;           /* waits in a row in which the kernel neither took nor gave anything */
};

/* Newest first: a kernel that does not know a flag says EINVAL.  SINGLE_ISSUER came with 6.0, as multishot receives
 * did, DEFER_TASKRUN with 6.1. */
static unsigned setup_flags(unsigned attempt)
{
    static const unsigned flags[ATTEMPTS] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,        /* 6.1 */
        IORING_SETUP_COOP_TASKRUN,                                      /* 5.19 */
    };
    return flags[attempt] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
}

/* 0 or -errno. */
static int ring_make(struct uring_self *u, unsigned submissions, unsigned completions)
{
    int error = -EINVAL;
    for (unsigned attempt = 0; attempt < ATTEMPTS && error == -EINVAL; attempt++) {
        struct io_uring_params p = { .flags = setup_flags(attempt), .cq_entries = completions };
        error = io_uring_queue_init_params(submissions, &u->ring, &p);
        u->multishot = attempt == 0;
    }
    return error;
}

/* What a ring may do here, and nothing else; no further registration either. */
static int ring_restrict(const struct uring_self *u, bool dials)
{
    static const unsigned char allowed[] = {
        IORING_OP_ACCEPT, IORING_OP_RECV, IORING_OP_RECVMSG, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_READ,
        IORING_OP_READ_FIXED, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
        IORING_OP_CONNECT       /* the last: only for who makes connections */
    };
    enum { MOST = sizeof allowed };
    unsigned count = dials ? MOST : MOST - 1;
    struct io_uring_restriction r[MOST + 1] = { 0 };
    for (unsigned i = 0; i < count; i++) {
        r[i].opcode = IORING_RESTRICTION_SQE_OP;
        r[i].sqe_op = allowed[i];
    }
    r[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    r[count].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    /* liburing 2.3 declares functions for these two and does not export them */
    if (syscall(SYS_io_uring_register, u->ring.ring_fd, IORING_REGISTER_RESTRICTIONS, r, count + 1) == -1)
        return -errno;
    if (syscall(SYS_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == -1)
        return -errno;
    return 0;
}

static char *buffer_at(const struct uring_self *u, unsigned id)
{
    return u->memory + (size_t)id * BUFFER_SIZE;
}

/* The descriptors of the buffers first, page-aligned as the kernel wants them, the buffers behind. */
static int buffers_make(struct uring_self *u)
{
    size_t descriptors = BUFFERS * sizeof(struct io_uring_buf);
    void *p = mmap(NULL, descriptors + (size_t)BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    u->buffers = p;
    u->memory = (char *)p + descriptors;
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)p, .ring_entries = BUFFERS, .bgid = BUFFER_GROUP };
    int error = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (error < 0)
        return error;
    io_uring_buf_ring_init(u->buffers);
    for (unsigned i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(u->buffers, buffer_at(u, i), BUFFER_SIZE, (unsigned short)i,
                              io_uring_buf_ring_mask(BUFFERS), (int)i);
    io_uring_buf_ring_advance(u->buffers, BUFFERS);
    return 0;
}

static void uring_unmake(struct uring_self *u)
{
    if (u->ring.ring_fd > 0)
        io_uring_queue_exit(&u->ring);
    if (u->buffers != NULL)
        munmap(u->buffers, BUFFERS * (sizeof(struct io_uring_buf) + BUFFER_SIZE));
    free(u);
}

/* A ring that is ready but for its fixed memory and restrictions; NULL with errno. */
static struct uring_self *uring_make(unsigned submissions, unsigned completions)
{
    struct uring_self *u = calloc(1, sizeof *u);
    if (u == NULL)
        return NULL;
    int error = ring_make(u, submissions, completions);
    if (error < 0)
        u->ring.ring_fd = 0;
    else
        error = buffers_make(u);
    if (error == 0)
        return u;
    uring_unmake(u);
    errno = -error;
    return NULL;
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

static void say_why(int error, char *why, size_t why_size)
{
    if (error == EPERM && sysctl_disabled() > 0)
        snprintf(why, why_size, "forbidden: kernel.io_uring_disabled is %d", sysctl_disabled());
    else if (error == EPERM || error == EACCES)
        snprintf(why, why_size, "forbidden: io_uring_setup: %s (a seccomp filter?)", strerror(error));
    else if (error == ENOSYS)
        snprintf(why, why_size, "the kernel has no io_uring, or a seccomp filter hides it");
    else if (error == EINVAL)
        snprintf(why, why_size, "kernel: Linux 5.19 or newer is needed");
    else if (error == ENOMEM)
        snprintf(why, why_size, "io_uring_setup: %s (RLIMIT_MEMLOCK?)", strerror(error));
    else
        snprintf(why, why_size, "io_uring_setup: %s", strerror(error));
}

bool engine_uring_available(char *why, size_t why_size)
{
    struct uring_self *u = uring_make(4, 8);
    int error = u == NULL ? errno : -ring_restrict(u, false);
    if (u != NULL)
        uring_unmake(u);
    if (error != 0)
        say_why(error, why, why_size);
    return error == 0;
}

/* Loads go to this memory: once registered, its pages need not be pinned for each.  Does without where it cannot. */
static void fixed_memory_add(struct uring_self *u, struct iovec memory)
{
    if (memory.iov_len > 0 && io_uring_register_buffers(&u->ring, &memory, 1) == 0)
        u->fixed = memory;
}

static unsigned completions_for(unsigned connections)
{
    unsigned most = connections < COMPLETIONS_MAX ? connections : COMPLETIONS_MAX;
    return most > COMPLETIONS_MIN ? most : COMPLETIONS_MIN;
}

/* Memory in one piece may be short: a smaller ring serves as well, with more results kept aside. */
static struct uring_self *uring_make_for(unsigned connections)
{
    unsigned completions = completions_for(connections);
    struct uring_self *u;
    while ((u = uring_make(SUBMISSIONS, completions)) == NULL && errno == ENOMEM && completions > COMPLETIONS_MIN)
        completions /= 2;
    return u;
}

static int ur_open(struct engine *e)
{
    struct uring_self *u = uring_make_for(e->connections_max);
    if (u == NULL)
        return -1;
    fixed_memory_add(u, e->load_memory);
    int error = ring_restrict(u, e->dials);
    if (error < 0) {
        uring_unmake(u);
        errno = -error;
        return -1;
    }
    e->self = u;
    return 0;
}

/* A place in the submission ring; when it is full, what is there is submitted first.  NULL: the kernel takes none. */
/* hot */
static struct io_uring_sqe *sqe_get(struct engine *e)
{
    struct uring_self *u = e->self;
    struct io_uring_sqe *s = io_uring_get_sqe(&u->ring);
    if (s != NULL)
        return s;
    e->calls++;
    int taken = io_uring_submit(&u->ring);
    if (taken > 0)
        return io_uring_get_sqe(&u->ring);
    e->strained = taken < 0 ? -taken : EBUSY;
    return NULL;
}

/* The same for an operation, which comes back undone when there is no place. */
/* hot */
static struct io_uring_sqe *sqe_for(struct engine *e, struct op *o)
{
    struct uring_self *u = e->self;
    struct io_uring_sqe *s = sqe_get(e);
    if (s != NULL)
        return s;
    o->result = -EAGAIN;
    o->next = u->refused;
    u->refused = o;
    return NULL;
}

static void ur_accept(struct engine *e, struct op *o, int fd, bool many)
{
    struct io_uring_sqe *s = sqe_for(e, o);
    if (s == NULL)
        return;
    if (many)
        io_uring_prep_multishot_accept(s, fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(s, fd, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(s, o);
}

/* hot */
static void ur_recv(struct engine *e, struct op *o, int fd, bool many)
{
    const struct uring_self *u = e->self;
    struct io_uring_sqe *s = sqe_for(e, o);
    if (s == NULL)
        return;
    if (many && u->multishot)
        io_uring_prep_recv_multishot(s, fd, NULL, 0, 0);
    else
        io_uring_prep_recv(s, fd, NULL, BUFFER_SIZE, 0);
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = BUFFER_GROUP;
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
    struct io_uring_sqe *s = sqe_for(e, o);
    int flags = MSG_NOSIGNAL | (more_follows || (count > 1 && u == NULL) ? MSG_MORE : 0);
    if (s == NULL)
        return;
    if (u != NULL)
        io_uring_prep_sendmsg(s, fd, &u->header, (unsigned)flags);
    else
        io_uring_prep_send(s, fd, iov->iov_base, iov->iov_len, flags);
    io_uring_sqe_set_data(s, o);
}

static void ur_load(struct engine *e, struct op *o, int fd, void *to, size_t n, off_t offset)
{
    const struct uring_self *u = e->self;
    struct io_uring_sqe *s = sqe_for(e, o);
    size_t at = (size_t)((char *)to - (char *)u->fixed.iov_base);
    if (s == NULL)
        return;
    if (u->fixed.iov_len > 0 && (char *)to >= (char *)u->fixed.iov_base && at + n <= u->fixed.iov_len)
        io_uring_prep_read_fixed(s, fd, to, (unsigned)n, (uint64_t)offset, 0);
    else
        io_uring_prep_read(s, fd, to, (unsigned)n, (uint64_t)offset);
    io_uring_sqe_set_data(s, o);
}

static void ur_connect(struct engine *e, struct op *o, int fd, const struct sockaddr *to, socklen_t size)
{
    struct io_uring_sqe *s = sqe_for(e, o);
    if (s == NULL)
        return;
    io_uring_prep_connect(s, fd, to, size);
    io_uring_sqe_set_data(s, o);
}

static void ur_watch(struct engine *e, struct op *o, int fd)
{
    struct io_uring_sqe *s = sqe_for(e, o);
    if (s == NULL)
        return;
    io_uring_prep_poll_add(s, fd, POLLIN);
    io_uring_sqe_set_data(s, o);
}

/* Nobody wants to know how it went. */
/* hot */
static void sqe_be_silent(struct io_uring_sqe *s)
{
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(s, NULL);             /* failures are told of in spite of that */
}

static bool op_listed(const struct op *list, const struct op *o)
{
    while (list != NULL && list != o)
        list = list->next;
    return list != NULL;
}

static void ur_cancel(struct engine *e, struct op *o)
{
    struct uring_self *u = e->self;
    struct io_uring_sqe *s = sqe_get(e);
    if (s != NULL) {
        io_uring_prep_cancel(s, o, 0);
        sqe_be_silent(s);
    } else if (!op_listed(u->refused, o) && !op_listed(u->unstopped, o)) {
        o->next = u->unstopped;
        u->unstopped = o;
    }
}

/* The kernel only waits for the socket: nothing that it has taken from there gets lost. */
static void ur_recall(struct engine *e, struct op *o, int fd)
{
    (void)fd;
    ur_cancel(e, o);
}

static void cancels_retry(struct engine *e)
{
    struct uring_self *u = e->self;
    struct op *list = u->unstopped;
    u->unstopped = NULL;
    while (list != NULL) {
        struct op *o = list;
        list = o->next;
        ur_cancel(e, o);
    }
}

/* It came back before there was a place to cancel it, and may be started again. */
static void cancel_forget(struct uring_self *u, const struct op *o)
{
    struct op **at = &u->unstopped;
    while (*at != NULL && *at != o)
        at = &(*at)->next;
    if (*at != NULL)
        *at = o->next;
}

static void ur_forget(struct engine *e, struct op *o)
{
    (void)e;
    free(o->mine);
    o->mine = NULL;
}

/* With the next wait, which spares a call. */
/* hot */
static void ur_close_fd(struct engine *e, int fd)
{
    struct io_uring_sqe *s = sqe_get(e);
    if (s == NULL) {
        e->calls++;
        close(fd);
        return;
    }
    io_uring_prep_close(s, fd);
    sqe_be_silent(s);
}

/* A multishot accept cannot say who came. */
static struct peer peer_ask(int fd)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    if (getpeername(fd, (struct sockaddr *)&from, &size) == -1)
        size = 0;
    return peer_of(&from, size);
}

/* hot */
static void report_fill(struct uring_self *u, struct done *d, struct op *o, const struct io_uring_cqe *cqe)
{
    *d = (struct done){ .op = o, .result = cqe->res, .more = (cqe->flags & IORING_CQE_F_MORE) != 0 };
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        u->lent[u->lent_count++] = (unsigned short)id;
        d->data = buffer_at(u, id);
    }
    if (u->unstopped != NULL && !d->more)
        cancel_forget(u, o);
    if (o->kind == OP_ACCEPT && cqe->res >= 0)
        d->peer = peer_ask(cqe->res);
}

/* hot */
static int reap(struct uring_self *u, struct done *out, int max)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int n = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe) {
        if (n == max)
            break;
        seen++;
        struct op *o = io_uring_cqe_get_data(cqe);
        if (o != NULL)
            report_fill(u, &out[n++], o, cqe);
    }
    io_uring_cq_advance(&u->ring, seen);
    return n;
}

/* hot */
static void buffers_give_back(struct uring_self *u)
{
    for (unsigned i = 0; i < u->lent_count; i++)
        io_uring_buf_ring_add(u->buffers, buffer_at(u, u->lent[i]), BUFFER_SIZE, u->lent[i],
                              io_uring_buf_ring_mask(BUFFERS), (int)i);
    if (u->lent_count > 0)
        io_uring_buf_ring_advance(u->buffers, (int)u->lent_count);
    u->lent_count = 0;
}

static int report_refused(struct uring_self *u, struct done *out, int max)
{
    int n = 0;
    while (u->refused != NULL && n < max) {
        struct op *o = u->refused;
        u->refused = o->next;
        out[n++] = (struct done){ .op = o, .result = o->result };
    }
    return n;
}

/* The kernel took nothing (no memory, or it keeps too many results aside) and gave nothing: a pause, or whoever tries
 * again would spin.  Not for ever: another worker may do better. */
static int strain_bear(struct engine *e, int error)
{
    struct uring_self *u = e->self;
    e->strained = error;
    if (++u->barren > STRAIN_WAITS) {
        errno = error;
        return -1;
    }
    poll(NULL, 0, STRAIN_PAUSE_MS);
    return 0;
}

/* Results that were kept aside come into the ring by themselves: this call asks for results whenever the ring is
 * empty. */
/* hot */
static int ring_wait(struct uring_self *u, int timeout_ms)
{
    struct io_uring_cqe *first;
    struct __kernel_timespec ts = { .tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000LL };
    return io_uring_submit_and_wait_timeout(&u->ring, &first, 1, timeout_ms < 0 ? NULL : &ts, NULL);
}

/* hot */
static int ur_wait(struct engine *e, struct done *out, int max, int timeout_ms)
{
    struct uring_self *u = e->self;
    buffers_give_back(u);
    if (u->unstopped != NULL)
        cancels_retry(e);
    e->calls++;
    int result = ring_wait(u, u->refused != NULL ? 0 : timeout_ms);
    if (result < 0 && result != -ETIME && result != -EBUSY && result != -EAGAIN) {
        errno = -result;
        return -1;
    }
    int n = reap(u, out, max);
    if (n > 0 || (result != -EBUSY && result != -EAGAIN))
        u->barren = 0;
    else if (strain_bear(e, -result) == -1)
        return -1;
    return n + report_refused(u, out + n, max - n);
}

static void ur_close(struct engine *e)
{
    struct uring_self *u = e->self;
    io_uring_submit(&u->ring);                  /* descriptors that wait to be closed */
    uring_unmake(u);
}

const struct engine_ops engine_uring = {
    .name = "io_uring",
    .open = ur_open, .accept = ur_accept, .recv = ur_recv, .send = ur_send, .load = ur_load, .watch = ur_watch, .connect = ur_connect,
    .cancel = ur_cancel, .recall = ur_recall, .forget = ur_forget, .close_fd = ur_close_fd, .wait = ur_wait, .close = ur_close,
};
