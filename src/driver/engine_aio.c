/* SPDX-License-Identifier: BSD-2-Clause */
/* POSIX asynchronous I/O (aio(7)): aio_read and aio_write are started and a real-time signal tells of their end.
 *
 * The C library does it with a pool of threads that sit in read(2) and write(2): a connection that waits for its
 * peer holds a thread.  What follows from that:
 *   - the pool must be as large as everything that may be in flight, or idle readers starve the others, so the
 *     number of connections has a ceiling;
 *   - requests for one descriptor queue behind each other, so output goes through a duplicate;
 *   - where there are no more threads, requests wait for others to end, which those of idle readers never do, and nobody
 *     hears of it.  So it gets no more than there can be threads for (aio_room.h), and nobody is let in without one;
 *   - there is no aio_accept: listeners, and what the daemon watches, are asked by poll(2), as is the descriptor that
 *     the signals are read from;
 *   - shutdown(2) brings a request back, and ends the connection.  To bring it back and leave the connection as it is,
 *     the socket is made non-blocking and the thread made to start its call again.  Helper threads block all signals but
 *     those of the C library itself, so one of these has to serve: a thread that changes the process's identity makes
 *     all others do the same (nptl(7)), by a signal whose handler lets interrupted calls start again.  A change to what
 *     it was already changes nothing else.
 * The queue of signals is bounded (RLIMIT_SIGPENDING, shared by all processes of a user), and to a completion that
 * finds it full the C library does worse than to be silent: it replaces the result by EAGAIN, so that nobody knows how
 * many bytes have gone.  So only as many requests as have a share of the queue end with a real-time signal.  The others
 * end with an ordinary one, which never fails, carries nothing, merges with its like, and means: look at all requests.
 * Where the queue is full in spite of that, the connection is broken off rather than its bytes lost or doubled. */
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "driver/aio_room.h"
#include "driver/engine_table.h"
#include "driver/sock.h"

enum {
    SPARE_THREADS = 64,         /* for file loads */
    RECV_SIZE = 8192,           /* bytes of one receive */
    SIGNALS = 64,               /* read at once */
    ACCEPTS = 64,               /* per listener and wakeup */
    POLLED_MIN = 64             /* listeners and watches of a worker, and sockets that are connecting: room at first */
};

/* A request to the pool: lives as long as its operation's owner. */
struct request {
    struct aiocb cb;
    struct op   *op;
    uint32_t     index;         /* in the table */
    uint32_t     generation;    /* of the use: an old signal must not end a new request */
    bool         busy;
    bool         recalled;      /* OP_RECV: its socket was made non-blocking for that */
    char         buffer[];      /* OP_RECV */
};

/* A listener, a watch, or a socket that is connecting: that goes when it has. */
struct polled {
    struct op *op;
    int        fd;
    bool       asked;           /* the operation is under way */
    bool       many;            /* an accept goes on until it is cancelled */
    short      events;
};

struct aio_self {
    int              signal_fd, number;
    unsigned         signals;   /* requests that may end with a real-time signal */
    unsigned         open;      /* connections */
    sigset_t         before;
    struct request **table;     /* all requests, busy or not */
    uint32_t         table_count, table_room;
    uint32_t        *gaps;      /* places in the table that are free again */
    uint32_t         gap_count;
    unsigned         busy;
    struct aio_room  room;      /* for threads */
    unsigned         coming;    /* were let in by this turn, and will be read from */
    uint64_t         calls;     /* since the last wait */
    struct op       *ended;     /* that never began; by op.next */
    int             *twins;     /* by descriptor: its duplicate for output; -1: none yet */
    int              twins_room;
    struct polled   *polled;
    struct pollfd   *fds;       /* the signal descriptor, then polled's */
    unsigned         polled_count, polled_room;
    uint32_t         sweep_at;  /* where looking at all requests goes on */
    bool             sweeping;
    bool             recalls;   /* some request is to start its call again */
    uint64_t         mark;      /* random: at the head of the buffer of a receive, until something comes */
};

static void ai_close(struct engine *e)
{
    struct aio_self *a = e->self;
    if (a->signal_fd != -1)
        close(a->signal_fd);
    free(a->table);
    free(a->gaps);
    free(a->twins);
    free(a->polled);
    free(a->fds);
    free(a);
}

static int completions_open(struct aio_self *a)
{
    sigset_t set;
    a->signals = aio_room_signals();
    random_fill(&a->mark, sizeof a->mark);
    a->number = SIGRTMIN + 2;
    sigemptyset(&set);
    sigaddset(&set, a->number);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, &a->before);
    a->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return a->signal_fd == -1 ? -1 : 0;
}

static int watched_grow(struct aio_self *a)
{
    unsigned room = a->polled_room > 0 ? 2 * a->polled_room : POLLED_MIN;
    void *polled = realloc(a->polled, room * sizeof *a->polled);
    if (polled != NULL)
        a->polled = polled;
    void *fds = realloc(a->fds, (room + 1) * sizeof *a->fds);
    if (fds != NULL)
        a->fds = fds;
    bool grown = polled != NULL && fds != NULL;
    a->polled_room = grown ? room : a->polled_room;
    return grown ? 0 : -1;
}

static int ai_open(struct engine *e)
{
    struct aio_self *a = calloc(1, sizeof *a);
    if (a == NULL)
        return -1;
    e->self = a;
    if (completions_open(a) == -1 || watched_grow(a) == -1) {
        ai_close(e);
        return -1;
    }
    e->connections_max = aio_room_connections(e->connections_max, a->signal_fd);
    int most = (int)(2 * e->connections_max) + SPARE_THREADS;
    struct aioinit init = { .aio_threads = most, .aio_num = most };
    aio_init(&init);            /* counts only before the first request: this is a new process */
    return 0;
}

/* A place in the table; -1 when memory is out. */
static int table_add(struct aio_self *a, struct request *r)
{
    if (a->gap_count == 0 && a->table_count == a->table_room) {
        uint32_t room = a->table_room > 0 ? 2 * a->table_room : 64;
        void *table = realloc(a->table, room * sizeof *a->table);
        if (table != NULL)
            a->table = table;
        void *gaps = realloc(a->gaps, room * sizeof *a->gaps);
        if (gaps != NULL)
            a->gaps = gaps;
        if (table == NULL || gaps == NULL)
            return -1;
        a->table_room = room;
    }
    r->index = a->gap_count > 0 ? a->gaps[--a->gap_count] : a->table_count++;
    a->table[r->index] = r;
    return 0;
}

static struct request *request_of(struct aio_self *a, struct op *o, size_t buffer)
{
    struct request *r = o->mine;
    if (r != NULL)
        return r;
    r = calloc(1, sizeof *r + buffer);
    if (r != NULL && table_add(a, r) == -1) {
        free(r);
        return NULL;
    }
    o->mine = r;
    return r;
}

/* An operation that ends without having begun: it comes back in the next wait. */
static void op_fail(struct aio_self *a, struct op *o, int result)
{
    o->result = result;
    o->next = a->ended;
    a->ended = o;
}

/* Fills in what all requests have in common and starts it by `start` (aio_read or aio_write). */
static void request_start(struct aio_self *a, struct request *r, struct op *o, int (*start)(struct aiocb *))
{
    if (!aio_room_for_request(&a->room, a->busy)) {
        op_fail(a, o, -EAGAIN);
        return;
    }
    r->op = o;
    r->generation++;
    r->cb.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    r->cb.aio_sigevent.sigev_signo = a->busy < a->signals ? a->number : SIGIO;
    r->cb.aio_sigevent.sigev_value.sival_ptr = (void *)((uintptr_t)r->generation << 32 | r->index);
    r->busy = true;
    a->busy++;
    a->calls++;                 /* a thread of the library makes it */
    if (start(&r->cb) == 0)
        return;
    int error = errno;
    r->busy = false;
    a->busy--;
    if (error == EAGAIN)
        aio_room_starve(&a->room, error);
    op_fail(a, o, -error);
}

static void ai_recv(struct engine *e, struct op *o, int fd, bool many)
{
    struct aio_self *a = e->self;
    struct request *r = request_of(a, o, RECV_SIZE);
    (void)many;
    if (r == NULL) {
        op_fail(a, o, -ENOMEM);
        return;
    }
    memcpy(r->buffer, &a->mark, sizeof a->mark);
    r->cb = (struct aiocb){ .aio_fildes = fd, .aio_buf = r->buffer, .aio_nbytes = RECV_SIZE };
    request_start(a, r, o, aio_read);
}

static int twins_grow(struct aio_self *a, int fd)
{
    int room = fd + 256;
    int *twins = realloc(a->twins, (size_t)room * sizeof *twins);
    if (twins == NULL)
        return -1;
    for (int i = a->twins_room; i < room; i++)
        twins[i] = -1;
    a->twins = twins;
    a->twins_room = room;
    return 0;
}

/* The duplicate for output: requests for one descriptor queue behind each other, and one that reads may last. */
static int twin_of(struct aio_self *a, int fd)
{
    if (fd >= a->twins_room && twins_grow(a, fd) == -1)
        return -1;
    if (a->twins[fd] == -1)
        a->twins[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return a->twins[fd];
}

/* aio_write knows one piece of memory at a time. */
static void ai_send(struct engine *e, struct op *o, int fd, const struct iovec *iov, int count, bool more_follows)
{
    struct aio_self *a = e->self;
    struct request *r = request_of(a, o, 0);
    int twin = twin_of(a, fd);
    (void)count, (void)more_follows;
    if (r == NULL || twin == -1) {
        aio_room_rest(&a->room, r == NULL ? ENOMEM : errno);
        op_fail(a, o, -EAGAIN);
        return;
    }
    r->cb = (struct aiocb){ .aio_fildes = twin, .aio_buf = iov->iov_base, .aio_nbytes = iov->iov_len };
    request_start(a, r, o, aio_write);
}

static void ai_load(struct engine *e, struct op *o, int fd, void *to, size_t n, off_t offset)
{
    struct aio_self *a = e->self;
    struct request *r = request_of(a, o, 0);
    if (r == NULL) {
        op_fail(a, o, -ENOMEM);
        return;
    }
    r->cb = (struct aiocb){ .aio_fildes = fd, .aio_buf = to, .aio_nbytes = n, .aio_offset = offset };
    request_start(a, r, o, aio_read);
}

static void poll_add(struct aio_self *a, struct op *o, int fd, bool many, short events)
{
    for (unsigned i = 0; i < a->polled_count; i++) {
        if (a->polled[i].op == o) {
            a->polled[i].asked = true;
            a->polled[i].many = many;
            return;
        }
    }
    if (a->polled_count == a->polled_room && watched_grow(a) == -1) {
        op_fail(a, o, -ENOBUFS);
        return;
    }
    a->polled[a->polled_count++] = (struct polled){ .op = o, .fd = fd, .asked = true, .many = many,
                                                  .events = events };
}

/* 0 or -errno. */
static int blocks_again(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags != -1 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? 0 : -errno;
}

static void ai_accept(struct engine *e, struct op *o, int fd, bool many)
{
    poll_add(e->self, o, fd, many, POLLIN);
}

static void ai_watch(struct engine *e, struct op *o, int fd)
{
    poll_add(e->self, o, fd, false, POLLIN);
}

/* There is no aio_connect either.  Only to connect the socket does not block; behind that it must, see above. */
static void ai_connect(struct engine *e, struct op *o, int fd, const struct sockaddr *to, socklen_t size)
{
    int flags = fcntl(fd, F_GETFL);
    bool ready = flags != -1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
    if (ready && connect(fd, to, size) == 0)
        op_fail(e->self, o, blocks_again(fd));
    else if (!ready || errno != EINPROGRESS)
        op_fail(e->self, o, -errno);
    else
        poll_add(e->self, o, fd, false, POLLOUT);
}

static void ai_cancel(struct engine *e, struct op *o)
{
    struct aio_self *a = e->self;
    for (unsigned i = 0; i < a->polled_count; i++) {
        if (a->polled[i].op == o && a->polled[i].asked) {
            a->polled[i].asked = false;
            op_fail(a, o, -ECANCELED);
        }
    }
}

static void ai_recall(struct engine *e, struct op *o, int fd)
{
    struct aio_self *a = e->self;
    struct request *r = o->mine;
    if (r == NULL || !r->busy || r->recalled)
        return;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
        return;
    r->recalled = a->recalls = true;
}

/* One call for all that were recalled in a turn: it costs a signal for each thread. */
static void calls_start_again(struct aio_self *a)
{
    const uid_t same = (uid_t)-1;
    a->recalls = false;
    (void)!setresuid(same, same, same);
}

static bool ai_adopted(struct engine *e)
{
    struct aio_self *a = e->self;
    return a->open++ < e->connections_max;
}

/* Sockets that connect come and go, and each must leave its place. */
static void poll_forget(struct aio_self *a, const struct op *o)
{
    for (unsigned i = 0; i < a->polled_count; i++) {
        if (a->polled[i].op == o) {
            a->polled[i] = a->polled[--a->polled_count];
            return;
        }
    }
}

static void ai_forget(struct engine *e, struct op *o)
{
    struct aio_self *a = e->self;
    struct request *r = o->mine;
    if (o->kind == OP_CONNECT)
        poll_forget(a, o);
    if (r == NULL)
        return;
    a->table[r->index] = NULL;
    a->gaps[a->gap_count++] = r->index;
    free(r);
    o->mine = NULL;
}

static void ai_close_fd(struct engine *e, int fd)
{
    struct aio_self *a = e->self;
    if (fd < a->twins_room && a->twins[fd] != -1) {
        close(a->twins[fd]);
        a->twins[fd] = -1;
    }
    a->open -= a->open > 0;     /* the driver accepts some itself when it drains */
    close(fd);
}

static int report_ended(struct aio_self *a, struct done *out, int max)
{
    int n = 0;
    while (a->ended != NULL && n < max) {
        struct op *o = a->ended;
        a->ended = o->next;
        out[n++] = (struct done){ .op = o, .result = o->result };
    }
    return n;
}

/* Is this request done?  Then it is reported.  A blocking socket never says EAGAIN: that is what the C library put in
 * the place of a result that it could not tell of, since the queue of signals was full; bytes have moved, and nobody
 * knows how many.  Files can be read again.  A socket that was made non-blocking to recall its receive says EAGAIN as
 * well: then the buffer is as it was. */
static int report_request(struct aio_self *a, struct request *r, struct done *out)
{
    int error = aio_error(&r->cb);
    if (error == EINPROGRESS)
        return 0;
    ssize_t result = aio_return(&r->cb);
    if (error == EAGAIN && r->op->kind != OP_LOAD)
        error = r->recalled && memcmp(r->buffer, &a->mark, sizeof a->mark) == 0 ? ECANCELED : EIO;
    if (r->recalled)
        (void)fcntl(r->cb.aio_fildes, F_SETFL, 0);
    r->recalled = false;
    r->busy = false;
    a->busy--;
    *out = (struct done){ .op = r->op, .result = error != 0 ? -error : (int)result, .data = r->buffer };
    return 1;
}

static void sweep_begin(struct aio_self *a)
{
    a->sweeping = a->busy > 0;
    a->sweep_at = 0;
}

static int report_signals(struct aio_self *a, struct done *out, int max)
{
    struct signalfd_siginfo si[SIGNALS];
    int n = 0;
    while (n < max) {
        size_t most = max - n < SIGNALS ? (size_t)(max - n) : SIGNALS;
        a->calls++;
        ssize_t got = read(a->signal_fd, si, most * sizeof si[0]);
        if (got <= 0)
            return n;
        for (size_t i = 0; i < (size_t)got / sizeof si[0]; i++) {
            uint32_t index = (uint32_t)si[i].ssi_ptr, generation = (uint32_t)(si[i].ssi_ptr >> 32);
            struct request *r = index < a->table_count ? a->table[index] : NULL;
            if (si[i].ssi_signo == SIGIO)
                sweep_begin(a);
            else if (r != NULL && r->busy && r->generation == generation)
                n += report_request(a, r, out + n);
        }
    }
    return n;
}

/* The library shows the result before it tells of it, and until then may still look into the request.  Both happen
 * under one lock, for which aio_cancel(3) waits; there is nothing left that it could cancel. */
static bool is_settled(struct request *r)
{
    if (aio_error(&r->cb) == EINPROGRESS)
        return false;
    (void)aio_cancel(r->cb.aio_fildes, &r->cb);
    return true;
}

/* Looks at every request, for completions that no real-time signal tells of. */
static int report_swept(struct aio_self *a, struct done *out, int max)
{
    int n = 0;
    for (; a->sweep_at < a->table_count && n < max; a->sweep_at++) {
        struct request *r = a->table[a->sweep_at];
        if (r != NULL && r->busy && is_settled(r))
            n += report_request(a, r, out + n);
    }
    if (a->sweep_at >= a->table_count)
        a->sweeping = false;
    return n;
}

/* Not more than the house holds: there would be no thread and no descriptor for them. */
static int report_accepts(struct engine *e, struct polled *p, struct done *out, int max)
{
    struct aio_self *a = e->self;
    int n = 0, most = p->many ? ACCEPTS : 1;
    for (; n < max && n < most && a->open < e->connections_max; n++) {
        struct peer peer;
        if (!aio_room_for_newcomer(&a->room, a->busy, a->coming))
            break;
        a->calls++;
        int fd = sock_accept(p->fd, SOCK_CLOEXEC, &peer);
        if (fd == -1 && n > 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        out[n] = (struct done){ .op = p->op, .result = fd != -1 ? fd : -errno, .peer = peer, .more = p->many };
        if (fd == -1)
            return n + 1;
        a->open++;
        a->coming++;
    }
    return n;
}

static struct done connect_result(struct polled *p)
{
    int error = 0;
    socklen_t size = sizeof error;
    p->asked = false;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
        error = errno;
    return (struct done){ .op = p->op, .result = error != 0 ? -error : blocks_again(p->fd) };
}

/* A listener for many stays asked for as long as it accepts (`more`); one connection, or an error, ends it, and the
 * driver asks again. */
static int report_polled(struct engine *e, struct done *out, int max)
{
    struct aio_self *a = e->self;
    int n = 0;
    for (unsigned i = 0; i < a->polled_count && n < max; i++) {
        struct polled *p = &a->polled[i];
        if (!p->asked || a->fds[i + 1].revents == 0)
            continue;
        if (p->op->kind == OP_WATCH) {
            p->asked = false;
            out[n++] = (struct done){ .op = p->op, .result = POLLIN };
            continue;
        }
        if (p->op->kind == OP_CONNECT) {
            out[n++] = connect_result(p);
            continue;
        }
        n += report_accepts(e, p, out + n, max - n);
        if (n > 0 && out[n - 1].op == p->op && (out[n - 1].result < 0 || !p->many))
            p->asked = out[n - 1].more = false;
    }
    return n;
}

/* How long to sleep: not beyond the next look at all requests, nor the next try. */
static int sleep_ms(const struct aio_self *a, int timeout_ms)
{
    if (a->sweeping)
        return 0;
    if (aio_room_is_starved(&a->room) || (a->ended != NULL && aio_room_rests(&a->room)))
        return timeout_ms < 0 || timeout_ms > AIO_ROOM_TRY_MS ? AIO_ROOM_TRY_MS : timeout_ms;
    if (a->ended != NULL)
        return 0;
    return a->busy > 0 && (timeout_ms < 0 || timeout_ms > AIO_ROOM_LOOK_MS) ? AIO_ROOM_LOOK_MS : timeout_ms;
}

/* Nobody is asked about who would not be let in: he waits in the backlog, and the wait would not last. */
static bool is_asked(const struct engine *e, const struct polled *p)
{
    const struct aio_self *a = e->self;
    return p->asked && (p->op->kind != OP_ACCEPT || (a->open < e->connections_max && !aio_room_is_starved(&a->room)));
}

static int ai_wait(struct engine *e, struct done *out, int max, int timeout_ms)
{
    struct aio_self *a = e->self;
    if (a->recalls)
        calls_start_again(a);
    a->coming = 0;
    a->fds[0] = (struct pollfd){ .fd = a->signal_fd, .events = POLLIN };
    for (unsigned i = 0; i < a->polled_count; i++)
        a->fds[i + 1] = (struct pollfd){ .fd = is_asked(e, &a->polled[i]) ? a->polled[i].fd : -1,
                                         .events = a->polled[i].events };
    int most = sleep_ms(a, timeout_ms), ready = poll(a->fds, a->polled_count + 1, most);
    if (ready == -1)
        return -1;
    int n = report_ended(a, out, max);
    if (a->sweeping)
        n += report_swept(a, out + n, max - n);
    if (ready > 0 && a->fds[0].revents != 0)
        n += report_signals(a, out + n, max - n);
    if (ready > 0)
        n += report_polled(e, out + n, max - n);
    if (aio_room_forget(&a->room, a->busy, ready == 0 && most == AIO_ROOM_LOOK_MS))
        sweep_begin(a);         /* for what was told by nobody */
    e->strained = aio_room_strain(&a->room);
    e->calls += a->calls + 1;
    a->calls = 0;
    return n;
}

const struct engine_ops engine_aio = {
    .name = "aio",
    .open = ai_open, .accept = ai_accept, .recv = ai_recv, .send = ai_send, .load = ai_load, .watch = ai_watch, .connect = ai_connect,
    .cancel = ai_cancel, .recall = ai_recall, .adopted = ai_adopted, .forget = ai_forget, .close_fd = ai_close_fd, .wait = ai_wait, .close = ai_close,
};
