/* SPDX-License-Identifier: BSD-2-Clause */
/* The live screen, by the sequences that every terminal knows (ECMA-48): the alternate screen, the cursor to the
 * corner, erase to the end of a line and of the screen.  A frame is made in memory and written at once. */
#include "ctl/ctl_top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl_show.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_talk.h"

#define LINE_END "\033[K\r\n"

enum {
    LINES_DEFAULT = 24, COLUMNS_DEFAULT = 80,
    CONNECTIONS_LIMIT = 200             /* more than any screen has lines */
};

struct top {
    const char    *path;
    struct termios before;
    int            signals;             /* of those that end it or change the size */
    size_t         lines, columns;
    json_t        *last;                /* the status before, for rates */
    uint64_t       last_ms;
};

/* ---- the terminal ---- */

static void terminal_say(const char *text)
{
    (void)!write(STDOUT_FILENO, text, strlen(text));
}

static int terminal_take(struct top *t)
{
    struct termios raw;
    sigset_t caught;

    if (tcgetattr(STDIN_FILENO, &t->before) == -1)
        return -1;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGQUIT);
    sigaddset(&caught, SIGWINCH);
    sigprocmask(SIG_BLOCK, &caught, NULL);
    t->signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    if (t->signals == -1)
        return -1;
    raw = t->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    terminal_say("\033[?1049h\033[?25l\033[H\033[2J");
    return 0;
}

static void terminal_give_back(struct top *t)
{
    terminal_say("\033[?25h\033[?1049l");
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
    close(t->signals);
}

static void terminal_measure(struct top *t)
{
    struct winsize size = { .ws_row = 0 };

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    t->lines = size.ws_row > 0 ? size.ws_row : LINES_DEFAULT;
    t->columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

/* ---- a frame ---- */

/* One line, cut to the screen. */
static void frame_line(const struct top *t, FILE *to, size_t *left, const char *text)
{
    if (*left == 0)
        return;
    fprintf(to, "%.*s" LINE_END, (int)t->columns, text);
    --*left;
}

/* The same worker in the status before: its process is the same. */
static const json_t *worker_before(const struct top *t, const json_t *now)
{
    const json_t *all = json_object_get(t->last, "workers");

    for (size_t i = 0; i < json_array_size(all); i++)
        if (talk_number(json_array_get(all, i), "pid") == talk_number(now, "pid"))
            return json_array_get(all, i);
    return NULL;
}

static int64_t rate(const struct top *t, const json_t *now, const json_t *before, const char *key, double seconds)
{
    int64_t moved = (int64_t)(talk_number(now, key) - talk_number(before, key));

    if (t->last == NULL || before == NULL || seconds <= 0 || moved < 0)
        return 0;
    return (int64_t)((double)moved / seconds + 0.5);
}

static void frame_head(const struct top *t, FILE *to, size_t *left, const json_t *status, double seconds)
{
    const json_t *totals = json_object_get(status, "totals"), *before = json_object_get(t->last, "totals");
    char text[256], age[TABLE_TEXT_SIZE], in[TABLE_TEXT_SIZE], out[TABLE_TEXT_SIZE], conns[TABLE_TEXT_SIZE];
    char served[TABLE_TEXT_SIZE];

    snprintf(text, sizeof text, "iomuxd %s (pid %lld): %s, generation %lld, up %s   q ends", talk_text(status, "version"),
             (long long)talk_number(status, "pid"), talk_text(status, "state"),
             (long long)talk_number(status, "generation"), text_of_age(age, talk_number(status, "uptime_s")));
    frame_line(t, to, left, text);
    snprintf(text, sizeof text, "%s connections, %s requests/s, %s/s received, %s/s sent",
             text_of_count(conns, talk_number(status, "connections")),
             text_of_count(served, rate(t, totals, before, "requests", seconds)),
             text_of_bytes(in, rate(t, totals, before, "bytes_received", seconds)),
             text_of_bytes(out, rate(t, totals, before, "bytes_sent", seconds)));
    frame_line(t, to, left, text);
    frame_line(t, to, left, "");
}

static void frame_workers(const struct top *t, FILE *to, size_t *left, const json_t *status, double seconds)
{
    static const struct table_column columns[] = {
        { "WORKER", false }, { "PID", true }, { "GEN", true }, { "MODEL", false }, { "STATE", false },
        { "CONNS", true }, { "REQ/s", true }, { "RECV/s", true }, { "SENT/s", true }
    };
    const json_t *all = json_object_get(status, "workers");
    size_t room = *left > 4 ? *left - 4 : 0;     /* some connections are to be seen too */
    struct table table;

    if (room < 2)
        return;
    table_begin(&table, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i), *before = worker_before(t, one);

        table_text(&table, talk_text(one, "worker"));
        table_number(&table, talk_number(one, "pid"));
        table_number(&table, talk_number(one, "generation"));
        table_text(&table, talk_text(one, "model"));
        table_text(&table, talk_text(one, "state"));
        table_count(&table, talk_number(one, "connections"));
        table_count(&table, rate(t, one, before, "requests", seconds));
        table_bytes(&table, rate(t, one, before, "bytes_received", seconds));
        table_bytes(&table, rate(t, one, before, "bytes_sent", seconds));
    }
    *left -= table_end(&table, to, room - 1, t->columns, LINE_END);
    frame_line(t, to, left, "");
}

static void frame_connections(const struct top *t, FILE *to, size_t *left, const json_t *answer)
{
    if (*left < 2)
        return;
    *left -= show_connection_rows(json_object_get(answer, "connections"), to, *left - 1, t->columns, LINE_END);
}

/* The last line ends without a newline: the screen would move. */
static void frame_draw(struct top *t, const json_t *status, const json_t *connections)
{
    size_t size = 0, left;
    char *text = NULL;
    FILE *to = open_memstream(&text, &size);
    uint64_t now_ms = clock_monotonic_ms();

    if (to == NULL)
        return;
    terminal_measure(t);
    left = t->lines - 1;
    fputs("\033[H", to);
    frame_head(t, to, &left, status, (double)(now_ms - t->last_ms) / 1000);
    frame_workers(t, to, &left, status, (double)(now_ms - t->last_ms) / 1000);
    frame_connections(t, to, &left, connections);
    fputs("\033[J", to);
    fclose(to);
    terminal_say(text);
    free(text);
    t->last_ms = now_ms;
}

static int top_ask(struct top *t)
{
    int status;
    json_t *now = talk_ask(t->path, json_pack("{s:s}", "command", "status"), CTL_ANSWER_MS, &status);
    json_t *connections;

    if (now == NULL)
        return status;
    connections = talk_ask(t->path, json_pack("{s:s, s:s, s:i}", "command", "connections", "sort", "bytes",
                                              "limit", CONNECTIONS_LIMIT), CTL_ANSWER_MS, &status);
    if (connections == NULL) {
        json_decref(now);
        return status;
    }
    frame_draw(t, now, connections);
    json_decref(connections);
    json_decref(t->last);
    t->last = now;
    return CTL_OK;
}

/* ---- until q ---- */

enum wish { WISH_NOTHING, WISH_REDRAW, WISH_END };

static enum wish signal_wish(const struct top *t)
{
    struct signalfd_siginfo one;

    if (read(t->signals, &one, sizeof one) != (ssize_t)sizeof one)
        return WISH_NOTHING;
    return one.ssi_signo == SIGWINCH ? WISH_REDRAW : WISH_END;
}

static enum wish key_wish(void)
{
    char key;
    ssize_t n = read(STDIN_FILENO, &key, 1);

    if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
        return WISH_END;        /* the terminal is gone */
    return n == 1 && (key == 'q' || key == 'Q') ? WISH_END : n == 1 ? WISH_REDRAW : WISH_NOTHING;
}

static enum wish top_wait(const struct top *t, int ms)
{
    struct pollfd polled[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = t->signals, .events = POLLIN } };
    int n = poll(polled, 2, ms);

    if (n <= 0)
        return WISH_REDRAW;
    if (polled[1].revents != 0)
        return signal_wish(t);
    return key_wish();
}

/* What goes wrong is said when the terminal shows it again. */
int top_run(const char *path, double interval_s)
{
    struct top t = { .path = path, .signals = -1 };
    enum wish wish = WISH_REDRAW;
    int status;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("iomuxctl: top needs a terminal; status --watch does not\n", stderr);
        return CTL_USAGE;
    }
    json_decref(talk_ask(path, json_pack("{s:s}", "command", "version"), CTL_ANSWER_MS, &status));
    if (status != CTL_OK)
        return status;
    if (terminal_take(&t) == -1) {
        perror("iomuxctl: the terminal");
        return CTL_REFUSED;
    }
    while (wish != WISH_END && status == CTL_OK) {
        if (wish == WISH_REDRAW)
            status = top_ask(&t);
        if (status == CTL_OK)
            wish = top_wait(&t, (int)(interval_s * 1000));
    }
    terminal_give_back(&t);
    json_decref(t.last);
    if (status != CTL_OK)
        fputs("iomuxctl: top has ended: the daemon does not answer any more\n", stderr);
    return status;
}
