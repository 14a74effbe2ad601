/* SPDX-License-Identifier: BSD-2-Clause */
/* The small services over a connection.  Each is a few lines over core/conn; none knows how bytes move.
 * greet alone has a state worth the name: the begin of a line whose end has not come yet. */
#include "proto/tiny.h"

#include <stdlib.h>

#include "base/log.h"
#include "proto/tiny_text.h"

static unsigned tiny_idle_ms(const struct conn *c)
{
    const struct tiny_settings *s = conn_settings(c);
    return s->idle_ms;
}

static void tiny_begin(struct conn *c)
{
    conn_timeout(c, tiny_idle_ms(c));
}

static void tiny_heard(struct conn *c)
{
    conn_env(c)->count.messages++;
    conn_timeout(c, tiny_idle_ms(c));
}

static size_t drop_input(struct conn *c, struct span in)
{
    (void)c;
    return in.n;
}

/* A message is a line.  What comes without a line end is a message too, once nothing follows it for a moment:
 * so a line that the network cut in two stays one message, and a peer that sends no line ends is heard. */
enum { GREET_PAUSE_MS = 200 };

struct greet {
    char  *held;                /* TINY_MESSAGE_MAX bytes; NULL: no line has begun */
    size_t held_n;
    bool   goes_on;             /* a piece of the current line was logged already */
};

static struct log_about greet_about(struct conn *c, const char *event, char peer[PEER_TEXT_SIZE])
{
    struct log_about about = conn_env(c)->about;
    peer_format(conn_peer(c), peer);
    about.event = event;
    about.service = conn_service(c)->name;
    about.peer = peer;
    return about;
}

static void greet_log(struct conn *c, struct span message)
{
    char peer[PEER_TEXT_SIZE];
    struct log_about about = greet_about(c, "message", peer);
    log_write(LOG_INFO, &about, "%s: %s says \"%.*s\"", about.service, peer, (int)message.n, message.p);
}

enum { GREET_SHOWN_MAX = LOG_LINE_MAX - 1024 };     /* bytes: leaves room for names around the message */

/* For "%.*s" a NUL byte ends the message; written like other control bytes it cannot hide what follows. */
__attribute__((noinline))
static void greet_log_with_nuls(struct conn *c, struct span message)
{
    char shown[GREET_SHOWN_MAX + 3];
    size_t n = 0, i;
    for (i = 0; i < message.n && n + 4 <= GREET_SHOWN_MAX; i++) {
        if (message.p[i] != '\0') {
            shown[n++] = message.p[i];
        } else {
            memcpy(shown + n, "\\x00", 4);
            n += 4;
        }
    }
    if (i < message.n) {
        memcpy(shown + n, "...", 3);
        n += 3;
    }
    greet_log(c, (struct span){ shown, n });
}

static void greet_message(struct conn *c, struct span message)
{
    conn_env(c)->count.messages++;
    if (!log_wants(LOG_INFO))
        return;
    if (message.n > 0 && memchr(message.p, '\0', message.n) != NULL)
        greet_log_with_nuls(c, message);
    else
        greet_log(c, message);
}

/* Logs what is held; the line goes on behind it. */
static void greet_say_held(struct conn *c, struct greet *g)
{
    greet_message(c, (struct span){ g->held, g->held_n });
    g->held_n = 0;
    g->goes_on = true;
}

static void greet_forget(struct greet *g)
{
    free(g->held);
    g->held = NULL;
    g->held_n = 0;
}

/* Holds bytes of a line that is not complete, and logs a piece whenever they are too many.
 * Without memory to hold them they are a message as they came, or at least their begin. */
static void greet_hold(struct conn *c, struct greet *g, struct span s)
{
    if (g->held == NULL && s.n > 0)
        g->held = malloc(TINY_MESSAGE_MAX);
    if (g->held == NULL && s.n > 0) {
        greet_message(c, (struct span){ s.p, s.n < TINY_MESSAGE_MAX ? s.n : TINY_MESSAGE_MAX });
        g->goes_on = true;
        return;
    }
    while (s.n > 0) {
        size_t room = TINY_MESSAGE_MAX - g->held_n;
        size_t n = s.n < room ? s.n : room;
        memcpy(g->held + g->held_n, s.p, n);
        g->held_n += n;
        s = span_skip(s, n);
        if (g->held_n == TINY_MESSAGE_MAX)
            greet_say_held(c, g);
    }
}

static struct span without_cr(struct span line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* A line is complete; `end` is its last part, the rest of it may be held. */
static void greet_line(struct conn *c, struct greet *g, struct span end)
{
    struct span line = end;
    if (g->held_n > 0 || end.n > TINY_MESSAGE_MAX) {
        greet_hold(c, g, end);
        line = (struct span){ g->held, g->held != NULL ? g->held_n : 0 };
    }
    line = without_cr(line);
    if (line.n > 0 || !g->goes_on)      /* the end of a line that was logged in pieces is no message */
        greet_message(c, line);
    g->held_n = 0;
    g->goes_on = false;
}

static void greet_open(struct conn *c)
{
    const struct tiny_settings *s = conn_settings(c);
    outq_lend(conn_out(c), s->greeting, NULL);
    tiny_begin(c);
}

static size_t greet_input(struct conn *c, struct span in)
{
    struct greet *g = conn_state(c);
    struct span rest = in;
    const char *end;
    while (rest.n > 0 && (end = memchr(rest.p, '\n', rest.n)) != NULL) {
        size_t n = (size_t)(end - rest.p);
        greet_line(c, g, (struct span){ rest.p, n });
        rest = span_skip(rest, n + 1);
    }
    greet_hold(c, g, rest);
    if (g->held_n == 0)
        greet_forget(g);
    conn_timeout(c, g->held_n > 0 ? GREET_PAUSE_MS : tiny_idle_ms(c));
    return in.n;
}

static void greet_expired(struct conn *c)
{
    struct greet *g = conn_state(c);
    if (g->held_n == 0) {
        conn_finish(c);
        return;
    }
    greet_say_held(c, g);
    greet_forget(g);
    conn_timeout(c, tiny_idle_ms(c));
}

static void greet_close(struct conn *c)
{
    struct greet *g = conn_state(c);
    char peer[PEER_TEXT_SIZE];
    if (g->held_n > 0)
        greet_say_held(c, g);
    greet_forget(g);
    if (conn_passed(c))
        return;
    struct log_about about = greet_about(c, "left", peer);
    log_write(LOG_INFO, &about, "%s: %s left", about.service, peer);
}

/* A line that has begun is said within GREET_PAUSE_MS; so long it stays. */
static bool greet_portable(const struct conn *c)
{
    const struct greet *g = conn_state_const(c);
    return g->held_n == 0;
}

static size_t greet_pack(const struct conn *c, char *to, size_t room)
{
    const struct greet *g = conn_state_const(c);
    (void)room;
    *to = (char)g->goes_on;
    return 1;
}

static bool greet_unpack(struct conn *c, struct span state)
{
    struct greet *g = conn_state(c);
    if (state.n != 1 || (*state.p & ~1) != 0)
        return false;
    g->goes_on = *state.p != 0;
    return true;
}

const struct proto proto_greet = {
    .name = "greet",
    .state_size = sizeof(struct greet),
    .open = greet_open,
    .input = greet_input,
    .expired = greet_expired,
    .close = greet_close,
    .portable = greet_portable,
    .pack = greet_pack,
    .unpack = greet_unpack,
};

/* hot */
static size_t echo_input(struct conn *c, struct span in)
{
    outq_put(conn_out(c), in);
    tiny_heard(c);
    return in.n;
}

const struct proto proto_echo = {
    .name = "echo",
    .peer_speaks_first = true,
    .open = tiny_begin,
    .input = echo_input,
    .expired = conn_finish,
};

static size_t discard_input(struct conn *c, struct span in)
{
    tiny_heard(c);
    return in.n;
}

const struct proto proto_discard = {
    .name = "discard",
    .peer_speaks_first = true,
    .open = tiny_begin,
    .input = discard_input,
    .expired = conn_finish,
};

enum {
    CHARGEN_QUEUED = 16 * 1024, /* bytes: more is made as these drain */
    CHARGEN_BATCH = OUTQ_RESERVE_MAX / CHARGEN_LINE
};

struct chargen {
    unsigned first;             /* of the next line, in the ring */
};

/* The send timeout watches over a peer that does not read: this connection always has output. */
static void chargen_fill(struct conn *c)
{
    struct chargen *g = conn_state(c);
    struct outq *q = conn_out(c);
    while (q->bytes < CHARGEN_QUEUED) {
        char *to = outq_reserve(q, CHARGEN_BATCH * CHARGEN_LINE);
        if (to == NULL)
            return;
        for (unsigned i = 0; i < CHARGEN_BATCH; i++) {
            chargen_line(to + i * CHARGEN_LINE, g->first);
            g->first = (g->first + 1) % CHARGEN_RING;
        }
        outq_commit(q, CHARGEN_BATCH * CHARGEN_LINE);
    }
}

/* It speaks in whole lines, and is asked when it is silent. */
static bool chargen_portable(const struct conn *c)
{
    (void)c;
    return true;
}

static size_t chargen_pack(const struct conn *c, char *to, size_t room)
{
    const struct chargen *g = conn_state_const(c);
    (void)room;
    *to = (char)g->first;
    return 1;
}

static bool chargen_unpack(struct conn *c, struct span state)
{
    struct chargen *g = conn_state(c);
    if (state.n != 1 || *state.p < 0 || *state.p >= CHARGEN_RING)
        return false;
    g->first = (unsigned)*state.p;
    return true;
}

const struct proto proto_chargen = {
    .name = "chargen",
    .state_size = sizeof(struct chargen),
    .open = chargen_fill,
    .input = drop_input,
    .room = chargen_fill,
    .portable = chargen_portable,
    .pack = chargen_pack,
    .unpack = chargen_unpack,
};

static void daytime_open(struct conn *c)
{
    char text[DAYTIME_MAX];
    size_t n = daytime_text(text, conn_env(c)->now_s);
    outq_put(conn_out(c), (struct span){ text, n });
    conn_finish(c);
}

const struct proto proto_daytime = {
    .name = "daytime",
    .open = daytime_open,
    .input = drop_input,
};

static void time_open(struct conn *c)
{
    char bytes[TIME_SIZE];
    time_bytes(bytes, conn_env(c)->now_s);
    outq_put(conn_out(c), (struct span){ bytes, sizeof bytes });
    conn_finish(c);
}

const struct proto proto_time = {
    .name = "time",
    .open = time_open,
    .input = drop_input,
};
