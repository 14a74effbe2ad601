/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver in miniature: everything that may happen is tried until nothing changes. */
#include "wire.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "core/file.h"

enum {
    RECEIVE_MAX = 64 * 1024,    /* bytes in one input, as drivers do it */
    PIECES_MAX = 64,
    ROUNDS_MAX = 10000000,      /* of one settling: beyond that a protocol goes round in circles */
    OUTPUT_MAX = 256 * 1024 * 1024      /* bytes: a protocol that speaks for ever wants a window */
};

static void wire_clock(struct wire *w, uint64_t now_ms)
{
    struct env *e = &w->env;
    e->now_ms = now_ms;
    e->now_s = WIRE_NOW_S + (time_t)((now_ms - WIRE_NOW_MS) / 1000);
    e->now_part_ms = (unsigned)((now_ms - WIRE_NOW_MS) % 1000);
    e->date_s = e->now_s;
    e->turn++;
    memcpy(e->date, "Date: ", 6);
    fmt_http_date(e->date + 6, e->now_s);
    memcpy(e->date + 6 + FMT_HTTP_DATE_SIZE, "\r\n", 2);
}

/* Always leaves room for a NUL behind. */
static char *buffer_room(struct wire_buffer *b, size_t n)
{
    if (b->n + n + 1 > b->room) {
        b->room = (b->n + n + 1) * 2;
        b->p = realloc(b->p, b->room);
        assert(b->p != NULL);
    }
    return b->p + b->n;
}

static void buffer_put(struct wire_buffer *b, const void *p, size_t n)
{
    if (n > 0)
        memcpy(buffer_room(b, n), p, n);
    b->n += n;
}

static void buffer_drop(struct wire_buffer *b, size_t n)
{
    b->n -= n;
    if (n > 0)
        memmove(b->p, b->p + n, b->n);
}

static void buffer_free(struct wire_buffer *b)
{
    free(b->p);
    *b = (struct wire_buffer){ 0 };
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t send_memory(struct wire *w, size_t max)
{
    struct iovec iov[PIECES_MAX];
    size_t bytes, sent = 0;
    int n = outq_iov(&w->conn->out, iov, PIECES_MAX, &bytes);
    for (int i = 0; i < n && sent < max; i++) {
        size_t part = smaller(iov[i].iov_len, max - sent);
        buffer_put(&w->output, iov[i].iov_base, part);
        sent += part;
    }
    return sent;
}

/* A file that became shorter under its reply breaks the connection, as in real drivers. */
static size_t send_file(struct wire *w, const struct outq_item *item, size_t max)
{
    size_t want = smaller(smaller(item->left, max), RECEIVE_MAX);
    ssize_t n = pread(item->file->fd, buffer_room(&w->output, want), want, item->offset);
    if (n <= 0) {
        conn_broke(w->conn);
        return 0;
    }
    w->output.n += (size_t)n;
    return (size_t)n;
}

/* Sends once; true when bytes went out. */
static bool wire_push(struct wire *w)
{
    size_t max = smaller(w->window, w->send_max);
    if (w->conn->out.bytes == 0 || max == 0 || conn_over(w->conn))
        return false;
    const struct outq_item *item = outq_head_file(&w->conn->out);
    size_t n = item != NULL ? send_file(w, item, max) : send_memory(w, max);
    if (n == 0)
        return false;
    if (w->window != SIZE_MAX)
        w->window -= n;
    w->sent += n;
    conn_sent(w->conn, n);
    return true;
}

/* Hands over waiting input, or the end of it, if it is wanted. */
static bool wire_pull(struct wire *w)
{
    if (!conn_wants_input(w->conn) || (w->waiting.n == 0 && !w->eof_waiting))
        return false;
    if (w->waiting.n == 0) {
        w->eof_waiting = false;
        conn_eof(w->conn);
        return true;
    }
    size_t n = smaller(w->waiting.n, RECEIVE_MAX);
    char *lent = malloc(n);
    assert(lent != NULL);
    memcpy(lent, w->waiting.p, n);
    buffer_drop(&w->waiting, n);
    conn_input(w->conn, (struct span){ lent, n });
    free(lent);
    return true;
}

static bool wire_shut_if_due(struct wire *w)
{
    if (!conn_wants_shut(w->conn))
        return false;
    w->shut = true;
    conn_shut(w->conn);
    return true;
}

static void wire_end(struct wire *w)
{
    conn_free(w->conn);
    w->conn = NULL;
    w->over = true;
}

static void wire_settle(struct wire *w)
{
    bool changed = true;
    for (int rounds = 0; changed && w->conn != NULL; rounds++) {
        assert(rounds < ROUNDS_MAX && w->output.n < OUTPUT_MAX);
        changed = wire_push(w);
        changed |= conn_resume(w->conn);
        changed |= wire_shut_if_due(w);
        changed |= wire_pull(w);
        if (conn_over(w->conn))
            wire_end(w);
    }
}

void wire_init(struct wire *w)
{
    *w = (struct wire){ .window = SIZE_MAX, .send_max = SIZE_MAX };
    w->peer = (struct peer){ .family = AF_INET, .port = 5000, .address = { 127, 0, 0, 1 } };
    env_init(&w->env, NULL);
    w->env.blocks.spare_max = w->env.items.spare_max = 0;      /* reuse would hide errors from a sanitizer */
    wire_clock(w, WIRE_NOW_MS);
}

void wire_open(struct wire *w, const struct service *s)
{
    assert(w->conn == NULL);
    w->shut = w->over = w->eof_waiting = false;
    w->sent = w->output.n = w->waiting.n = 0;
    w->env.turn++;
    w->conn = conn_new(&w->env, s, -1, &w->peer, 0);
    assert(w->conn != NULL);
    wire_settle(w);
}

void wire_send(struct wire *w, struct span bytes)
{
    w->env.turn++;
    if (w->conn == NULL)
        return;
    buffer_put(&w->waiting, bytes.p, bytes.n);
    wire_settle(w);
}

void wire_send_steps(struct wire *w, struct span bytes, size_t step)
{
    while (bytes.n > 0) {
        size_t n = smaller(step, bytes.n);
        wire_send(w, (struct span){ bytes.p, n });
        bytes = span_skip(bytes, n);
    }
}

void wire_send_split(struct wire *w, struct span bytes, size_t n)
{
    wire_send(w, (struct span){ bytes.p, n });
    wire_send(w, span_skip(bytes, n));
}

void wire_eof(struct wire *w)
{
    if (w->conn == NULL)
        return;
    w->eof_waiting = true;
    wire_settle(w);
}

void wire_break(struct wire *w)
{
    if (w->conn == NULL)
        return;
    conn_broke(w->conn);
    wire_settle(w);
}

void wire_read(struct wire *w, size_t n)
{
    assert(w->window != SIZE_MAX);
    w->window += n;
    if (w->conn != NULL)
        wire_settle(w);
}

void wire_pass(struct wire *w, uint64_t ms)
{
    uint64_t end = w->env.now_ms + ms;
    while (w->conn != NULL && conn_due(w->conn) <= end) {
        uint64_t due = conn_due(w->conn);
        wire_clock(w, due > w->env.now_ms ? due : w->env.now_ms);
        conn_expired(w->conn);
        /* A deadline that is not moved by its own expiry would fire for ever. */
        assert(conn_over(w->conn) || conn_due(w->conn) > w->env.now_ms);
        wire_settle(w);
    }
    wire_clock(w, end);
}

void wire_drain(struct wire *w)
{
    w->env.draining = true;
    if (w->conn == NULL)
        return;
    conn_drain(w->conn);
    wire_settle(w);
}

struct span wire_output(const struct wire *w)
{
    if (w->output.p == NULL)
        return SPAN("");
    w->output.p[w->output.n] = '\0';
    return (struct span){ w->output.p, w->output.n };
}

void wire_forget(struct wire *w)
{
    w->output.n = 0;
}

bool wire_over(const struct wire *w)
{
    return w->over;
}

void wire_close(struct wire *w)
{
    if (w->conn != NULL)
        wire_end(w);
    w->output.n = w->waiting.n = 0;
}

void wire_free(struct wire *w)
{
    wire_close(w);
    buffer_free(&w->output);
    buffer_free(&w->waiting);
    env_free(&w->env);
}
