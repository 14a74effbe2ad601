/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of core/conn.c share: a line protocol that tells what happened to it, and a connection
 * without a driver.  The clock stands still until a test moves it. */
#ifndef TESTS_CONN_RIG_H
#define TESTS_CONN_RIG_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/conn_driver.h"

/* bytes: more than any address space */
__attribute__((unused)) static const size_t IMPOSSIBLE = (size_t)1 << 48;

/* AddressSanitizer ends a program that asks for too much, unless told to answer as malloc(3) does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

enum { BIG = CONN_OUT_HIGH + 1000, MESSAGE_MAX = 200, SEND_MS = 3000, NOW_MS = 50000 };

/* --- a line protocol: each line is answered by itself; some words do more --- */

struct seen {
    char     told[8192];        /* o: open, l: a line, e: eof, x: expired, d: drain, r: room, c: close */
    unsigned offered;           /* calls of input */
    bool     finish_in_open;
    unsigned room_n;            /* bytes that room puts */
};

static const char big[BIG];

static inline void tell(struct conn *c, char what)
{
    struct seen *s = *(struct seen *const *)conn_settings(c);
    size_t n = strlen(s->told);
    if (n + 1 < sizeof s->told)
        s->told[n] = what;
}

static inline struct seen *seen_by(struct conn *c)
{
    return *(struct seen *const *)conn_settings(c);
}

static inline void line_open(struct conn *c)
{
    tell(c, 'o');
    ck_assert_uint_eq(*(unsigned *)conn_state(c), 0);
    if (seen_by(c)->finish_in_open)
        conn_finish(c);
}

static inline bool is_word(struct span line, const char *word)
{
    return span_equal(line, span_of(word));
}

static inline void line_obey(struct conn *c, struct span line)
{
    if (is_word(line, "bye"))
        conn_finish(c);
    else if (is_word(line, "now"))
        conn_finish_now(c);
    else if (is_word(line, "abort"))
        conn_abort(c);
    else if (is_word(line, "big"))
        outq_lend(conn_out(c), (struct span){ big, sizeof big }, NULL);
    else if (is_word(line, "lend"))
        outq_lend(conn_out(c), SPAN("l"), NULL);
    else if (is_word(line, "wait"))
        conn_timeout(c, 700);
    else
        outq_put(conn_out(c), line);
}

static inline size_t line_input(struct conn *c, struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    seen_by(c)->offered++;
    if (end == NULL)
        return 0;
    ++*(unsigned *)conn_state(c);
    tell(c, 'l');
    line_obey(c, (struct span){ in.p, (size_t)(end - in.p) });
    return (size_t)(end - in.p) + 1;
}

static inline void line_eof(struct conn *c)
{
    tell(c, 'e');
    conn_finish_now(c);
}

static inline void line_expired(struct conn *c)
{
    tell(c, 'x');
    outq_put(conn_out(c), SPAN("late"));
    conn_finish(c);
}

static inline void line_drain(struct conn *c)
{
    tell(c, 'd');
}

static inline void line_room(struct conn *c)
{
    tell(c, 'r');
    for (unsigned i = 0; i < seen_by(c)->room_n; i++)
        outq_put(conn_out(c), SPAN("."));
}

static inline void line_close(struct conn *c)
{
    tell(c, 'c');
}

__attribute__((unused)) static const struct proto bare = {
    .name = "bare", .state_size = sizeof(unsigned), .open = line_open, .input = line_input,
    .close = line_close,
};

__attribute__((unused)) static const struct proto full = {
    .name = "full", .state_size = sizeof(unsigned), .open = line_open, .input = line_input, .eof = line_eof,
    .expired = line_expired, .drain = line_drain, .close = line_close,
};

static inline void half_eof(struct conn *c)
{
    tell(c, 'e');
}

/* Goes on speaking to a peer that has said its last word. */
__attribute__((unused)) static const struct proto half_open = {
    .name = "half-open", .state_size = sizeof(unsigned), .open = line_open, .input = line_input,
    .eof = half_eof, .close = line_close,
};

__attribute__((unused)) static const struct proto chatty = {
    .name = "chatty", .state_size = sizeof(unsigned), .open = line_open, .input = line_input,
    .room = line_room, .close = line_close,
};

/* --- the rig: an env, a service, a connection, and what went out --- */

struct rig {
    struct env      env;
    struct seen     seen, *seen_at;
    struct service  service;
    struct conn    *c;
    char            out[4096];
    size_t          out_n;
};

static inline void rig_prepare(struct rig *g, const struct proto *proto)
{
    *g = (struct rig){ .c = NULL };
    g->seen_at = &g->seen;
    env_init(&g->env, NULL);
    g->env.now_ms = NOW_MS;
    g->service = (struct service){ .name = "test", .proto = proto, .settings = &g->seen_at,
                                   .message_max = MESSAGE_MAX, .send_timeout_ms = SEND_MS };
}

static inline void rig_connect(struct rig *g)
{
    struct peer peer = { .port = 77 };
    g->c = conn_new(&g->env, &g->service, 5, &peer, 24);
    ck_assert_ptr_nonnull(g->c);
}

static inline void rig_open(struct rig *g, const struct proto *proto)
{
    rig_prepare(g, proto);
    rig_connect(g);
}

static inline void rig_close(struct rig *g)
{
    uint64_t closed = g->env.count.closed;
    conn_free(g->c);
    ck_assert_uint_eq(g->env.count.closed, closed + 1);
    ck_assert_ptr_nonnull(strchr(g->seen.told, 'c'));
    env_free(&g->env);
}

/* The bytes are lent for the call only: a copy that is freed behind it tells on whoever keeps them. */
static inline void in(struct rig *g, const char *text, size_t n)
{
    char *lent = malloc(n > 0 ? n : 1);
    memcpy(lent, text, n);
    conn_input(g->c, (struct span){ lent, n });
    free(lent);
}

static inline void say(struct rig *g, const char *text)
{
    in(g, text, strlen(text));
}

/* n bytes go out. */
static inline void send_out(struct rig *g, size_t n)
{
    struct iovec iov[16];
    size_t bytes;
    while (n > 0) {
        int count = outq_iov(conn_out(g->c), iov, 16, &bytes);
        ck_assert_int_gt(count, 0);
        size_t part = iov[0].iov_len < n ? iov[0].iov_len : n;
        size_t room = sizeof g->out - g->out_n, kept = part < room ? part : room;
        memcpy(g->out + g->out_n, iov[0].iov_base, kept);
        g->out_n += kept;
        conn_sent(g->c, part);
        n -= part;
    }
}

static inline void send_all(struct rig *g)
{
    send_out(g, g->c->out.bytes);
}

static inline void check_out(struct rig *g, const char *expected)
{
    send_all(g);
    ck_assert_uint_eq(g->out_n, strlen(expected));
    ck_assert_mem_eq(g->out, expected, g->out_n);
}

static inline void check_told(const struct rig *g, const char *expected)
{
    ck_assert_str_eq(g->seen.told, expected);
}

#endif
