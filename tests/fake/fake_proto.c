/* SPDX-License-Identifier: BSD-2-Clause */
/* An echo and a line protocol.  They count what happens to them in the settings, which tests look at. */
#include "fake/fake_proto.h"

#include <stdlib.h>

#include "core/file.h"

enum { NUMBER_MAX = 15 };

static const struct fake_settings *fake_settings_of(const struct conn *c)
{
    return conn_settings(c);
}

char fake_byte(size_t at)
{
    return (char)('a' + at % 23);
}

/* On the blocking model each connection has a thread. */
static void count_up(unsigned *n)
{
    __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static void fake_open(struct conn *c)
{
    count_up(&fake_settings_of(c)->seen->opened);
}

static void fake_close(struct conn *c)
{
    count_up(&fake_settings_of(c)->seen->closed);
}

static void fake_drain(struct conn *c)
{
    count_up(&fake_settings_of(c)->seen->drained);
    conn_finish(c);
}

static void fake_expired(struct conn *c)
{
    count_up(&fake_settings_of(c)->seen->expired);
    outq_put(conn_out(c), SPAN("late\n"));
    conn_finish(c);
}

static size_t echo_input(struct conn *c, struct span in)
{
    outq_put(conn_out(c), in);
    return in.n;
}

static void put_big(struct conn *c, size_t n)
{
    char piece[23 * 40];
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = fake_byte(i);
    for (size_t done = 0; done < n; done += sizeof piece)
        outq_put(conn_out(c), (struct span){ piece, n - done < sizeof piece ? n - done : sizeof piece });
}

static size_t number_behind(struct span line, size_t word_n)
{
    char text[NUMBER_MAX + 1] = "";
    struct span number = span_skip(line, word_n);
    memcpy(text, number.p, number.n < NUMBER_MAX ? number.n : NUMBER_MAX);
    return strtoul(text, NULL, 10);
}

static void line_answer(struct conn *c, struct span line)
{
    const struct fake_settings *s = fake_settings_of(c);
    if (span_equal(line, SPAN("bye"))) {
        conn_finish(c);
    } else if (span_equal(line, SPAN("now"))) {
        conn_finish_now(c);
    } else if (span_equal(line, SPAN("abort"))) {
        conn_abort(c);
    } else if (span_equal(line, SPAN("file"))) {
        outq_file(conn_out(c), file_ref(s->file), 0, (size_t)s->file->size);
    } else if (span_starts_with(line, SPAN("big "))) {
        put_big(c, number_behind(line, 4));
    } else if (span_starts_with(line, SPAN("wait "))) {
        conn_timeout(c, (unsigned)number_behind(line, 5));
    } else {
        outq_put(conn_out(c), line);
        outq_put(conn_out(c), SPAN("\n"));
    }
}

static size_t line_input(struct conn *c, struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    if (end == NULL)
        return 0;
    line_answer(c, (struct span){ in.p, (size_t)(end - in.p) });
    return (size_t)(end - in.p) + 1;
}

const struct proto fake_echo = {
    .name = "echo", .open = fake_open, .input = echo_input, .expired = fake_expired, .drain = fake_drain,
    .close = fake_close,
};

const struct proto fake_line = {
    .name = "line", .open = fake_open, .input = line_input, .expired = fake_expired, .drain = fake_drain,
    .close = fake_close,
};
