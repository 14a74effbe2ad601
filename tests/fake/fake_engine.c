/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine that a test scripts, and that holds the driver to the contract of driver/engine.h. */
#include "fake/fake_engine.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/sock.h"
#include "fake/fake_proto.h"

enum { WAITS_MAX = 100000, IDLE_MAX = 2000, NAP_MS = 20 };

static int engine_open(struct engine *e)
{
    struct fake_engine *f = (struct fake_engine *)(uintptr_t)e->ops;
    if (f->open_errno != 0) {
        errno = f->open_errno;
        return -1;
    }
    e->self = f;
    f->is_open = true;
    return 0;
}

/* The record of an operation, made at its first start and freed by forget. */
static struct fake_op *op_start(struct engine *e, struct op *o, enum op_kind kind, int fd)
{
    struct fake_engine *f = e->self;
    struct fake_op *r = o->mine;
    if (r == NULL) {
        ck_assert_int_lt(f->op_count, FAKE_OPS);
        r = o->mine = calloc(1, sizeof *r);
        f->all[f->op_count++] = r;
    }
    ck_assert_msg(!r->in_flight, "an operation on %d is started twice", fd);
    ck_assert_int_eq(o->kind, kind);
    r->op = o;
    r->fd = fd;
    r->in_flight = true;
    r->cancelled = r->recalled = false;
    f->started[kind]++;
    return r;
}

static void engine_accept(struct engine *e, struct op *o, int fd, bool many)
{
    op_start(e, o, OP_ACCEPT, fd)->many = many;
}

static void engine_recv(struct engine *e, struct op *o, int fd, bool many)
{
    op_start(e, o, OP_RECV, fd)->many = many;
}

static void engine_send(struct engine *e, struct op *o, int fd, const struct iovec *iov, int count,
                        bool more_follows)
{
    struct fake_op *r = op_start(e, o, OP_SEND, fd);
    ck_assert_int_gt(count, 0);
    free(r->iov);
    r->iov = calloc((size_t)count, sizeof *iov);    /* the array is lent for this call only */
    memcpy(r->iov, iov, (size_t)count * sizeof *iov);
    r->iov_count = count;
    r->more_follows = more_follows;
    r->n = 0;
    for (int i = 0; i < count; i++)
        r->n += iov[i].iov_len;
    ck_assert_uint_gt(r->n, 0);
}

static void engine_load(struct engine *e, struct op *o, int fd, void *to, size_t n, off_t offset)
{
    struct fake_op *r = op_start(e, o, OP_LOAD, fd);
    ck_assert_uint_gt(n, 0);
    r->to = to;
    r->n = n;
    r->offset = offset;
}

static void engine_watch(struct engine *e, struct op *o, int fd)
{
    op_start(e, o, OP_WATCH, fd);
}

static void engine_connect(struct engine *e, struct op *o, int fd, const struct sockaddr *to, socklen_t size)
{
    ck_assert(e->dials);
    ck_assert_uint_gt(size, 0);
    ck_assert_ptr_nonnull(to);
    op_start(e, o, OP_CONNECT, fd);
}

static void engine_cancel(struct engine *e, struct op *o)
{
    struct fake_op *r = o->mine;
    (void)e;
    ck_assert(o->kind == OP_ACCEPT || o->kind == OP_WATCH || o->kind == OP_RECV || o->kind == OP_CONNECT);
    if (o->kind == OP_RECV && r != NULL && !r->in_flight)
        return;                 /* its last report is on the way: there is nothing to cancel any more */
    ck_assert_msg(r != NULL && r->in_flight, "what is cancelled is not in flight");
    r->cancelled = true;
}

static void engine_recall(struct engine *e, struct op *o, int fd)
{
    struct fake_op *r = o->mine;
    ck_assert(o->kind == OP_RECV && r != NULL && r->in_flight && r->fd == fd);
    r->recalled = true;
    engine_cancel(e, o);
}

static void engine_forget(struct engine *e, struct op *o)
{
    struct fake_engine *f = e->self;
    struct fake_op *r = o->mine;
    if (r == NULL)
        return;
    ck_assert_msg(!r->in_flight || f->gave_up, "an operation in flight is forgotten");
    for (int i = 0; i < f->op_count; i++)
        if (f->all[i] == r)
            f->all[i--] = f->all[--f->op_count];
    free(r->iov);
    free(r);
    o->mine = NULL;
}

static void engine_close_fd(struct engine *e, int fd)
{
    struct fake_engine *f = e->self;
    for (int i = 0; i < f->op_count; i++)
        ck_assert_msg(f->all[i]->fd != fd || !f->all[i]->in_flight, "%d is closed under an operation", fd);
    close(fd);
    f->closed++;
}

static void take_lent_back(struct fake_engine *f)
{
    while (f->lent_count > 0)
        free(f->lent[--f->lent_count]);
}

static int engine_wait(struct engine *e, struct done *out, int max, int timeout_ms)
{
    struct fake_engine *f = e->self;
    ck_assert_int_ge(max, FAKE_DONE);
    ck_assert_msg(++f->waits < WAITS_MAX, "the driver spins");
    take_lent_back(f);
    f->done_count = 0;
    f->wait_errno = 0;
    f->step(f, timeout_ms);
    e->strained = f->strain_errno;
    if (f->wait_errno != 0) {
        f->gave_up = f->wait_errno != EINTR;
        errno = f->wait_errno;
        return -1;
    }
    memcpy(out, f->done, (size_t)f->done_count * sizeof *out);
    f->idle_waits = f->done_count > 0 || timeout_ms >= 0 ? 0 : f->idle_waits + 1;
    ck_assert_msg(f->idle_waits < IDLE_MAX, "the driver waits for ever for what the script does not return");
    if (f->done_count == 0 && timeout_ms > 0)
        poll(NULL, 0, timeout_ms < NAP_MS ? timeout_ms : NAP_MS);
    return f->done_count;
}

static void engine_close(struct engine *e)
{
    struct fake_engine *f = e->self;
    take_lent_back(f);
    if (!f->gave_up)
        ck_assert_int_eq(f->op_count, 0);
    f->is_open = false;
}

void fake_engine_make(struct fake_engine *f)
{
    *f = (struct fake_engine){
        .ops = { .name = "fake", .open = engine_open, .accept = engine_accept, .recv = engine_recv,
                 .send = engine_send, .load = engine_load, .watch = engine_watch, .connect = engine_connect, .cancel = engine_cancel,
                 .recall = engine_recall,
                 .forget = engine_forget, .close_fd = engine_close_fd, .wait = engine_wait,
                 .close = engine_close },
    };
}

void fake_engine_clear(struct fake_engine *f)
{
    for (int i = 0; i < FAKE_ENGINE_FDS; i++) {
        free(f->out[i].p);
        f->out[i] = (struct fake_output){ 0 };
    }
}

struct fake_op *fake_op_find(struct fake_engine *f, enum op_kind kind, int fd)
{
    for (int i = 0; i < f->op_count; i++)
        if (f->all[i]->in_flight && f->all[i]->op->kind == kind && (fd == -1 || f->all[i]->fd == fd))
            return f->all[i];
    return NULL;
}

static struct done *report(struct fake_engine *f, struct fake_op *o, int result)
{
    ck_assert_msg(o != NULL && o->in_flight, "the script returns what is not in flight");
    ck_assert_int_lt(f->done_count, FAKE_DONE);
    struct done *d = &f->done[f->done_count++];
    *d = (struct done){ .op = o->op, .result = result };
    return d;
}

/* Reads or writes all memory that the operation names: it must still be there. */
static void touch(const struct fake_op *o)
{
    unsigned sum = 0;
    for (int i = 0; o->op->kind == OP_SEND && i < o->iov_count; i++)
        for (size_t j = 0; j < o->iov[i].iov_len; j++)
            sum += ((const unsigned char *)o->iov[i].iov_base)[j];
    __asm__ volatile("" : : "r"(sum));          /* the reads are the point */
    if (o->op->kind == OP_LOAD)
        memset(o->to, '?', o->n);
}

void fake_return(struct fake_engine *f, struct fake_op *o, int result)
{
    report(f, o, result);
    touch(o);
    o->in_flight = false;
}

void fake_return_more(struct fake_engine *f, struct fake_op *o, int result)
{
    report(f, o, result)->more = true;
}

int fake_accept(struct fake_engine *f, int listener_fd, bool more)
{
    struct fake_op *o = fake_op_find(f, OP_ACCEPT, listener_fd);
    struct peer peer;
    int fd = sock_accept(listener_fd, SOCK_CLOEXEC, &peer);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_lt(fd, FAKE_ENGINE_FDS);
    struct done *d = report(f, o, fd);
    d->peer = peer;
    d->more = more;
    o->in_flight = more;
    ck_assert_msg(!more || o->many, "one connection was asked for");
    free(f->out[fd].p);
    f->out[fd] = (struct fake_output){ 0 };
    return fd;
}

void fake_receive(struct fake_engine *f, int fd, const char *bytes, size_t n, bool more)
{
    struct fake_op *o = fake_op_find(f, OP_RECV, fd);
    struct done *d = report(f, o, (int)n);
    char *lent = malloc(n > 0 ? n : 1);
    memcpy(lent, bytes, n);
    f->lent[f->lent_count++] = lent;
    d->data = lent;
    d->more = more;
    ck_assert_msg(!more || o->many, "one piece was asked for");
    o->in_flight = more;
}

size_t fake_send(struct fake_engine *f, int fd, size_t n)
{
    struct fake_op *o = fake_op_find(f, OP_SEND, fd);
    ck_assert_msg(o != NULL, "nothing is being sent");
    struct fake_output *out = &f->out[fd];
    n = n < o->n ? n : o->n;
    out->p = realloc(out->p, out->n + n);
    size_t left = n;
    for (int i = 0; i < o->iov_count && left > 0; i++) {
        size_t part = o->iov[i].iov_len < left ? o->iov[i].iov_len : left;
        memcpy(out->p + out->n, o->iov[i].iov_base, part);
        out->n += part;
        left -= part;
    }
    fake_return(f, o, (int)n);
    return n;
}

void fake_load(struct fake_engine *f, struct fake_op *o, size_t n)
{
    n = n < o->n ? n : o->n;
    fake_return(f, o, (int)n);
    for (size_t i = 0; i < n; i++)
        o->to[i] = fake_byte((size_t)o->offset + i);
}

static bool is_shut(int fd)
{
    struct pollfd p = { .fd = fd };
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void return_if_ended(struct fake_engine *f, struct fake_op *o)
{
    if (!o->in_flight || f->done_count == FAKE_DONE)
        return;
    switch (o->op->kind) {
    case OP_ACCEPT:
    case OP_WATCH:
    case OP_CONNECT:
        if (o->cancelled)
            fake_return(f, o, -ECANCELED);
        break;
    case OP_RECV:
        if (o->recalled)
            fake_return(f, o, -ECANCELED);
        else if (is_shut(o->fd))
            fake_return(f, o, 0);
        break;
    case OP_SEND:
        if (is_shut(o->fd))
            fake_return(f, o, -EPIPE);
        break;
    case OP_LOAD:
        fake_return(f, o, (int)o->n);
    }
}

void fake_return_ended(struct fake_engine *f, bool backwards)
{
    for (int i = 0; i < f->op_count; i++)
        return_if_ended(f, f->all[backwards ? f->op_count - 1 - i : i]);
}

void fake_check_output(struct fake_engine *f, int fd, const char *text)
{
    const struct fake_output *out = &f->out[fd];
    ck_assert_msg(out->n == strlen(text) && (out->n == 0 || memcmp(out->p, text, out->n) == 0),
                  "sent \"%.*s\", expected \"%s\"", (int)out->n, out->p != NULL ? out->p : "", text);
}
