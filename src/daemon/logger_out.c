/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing in batches: a file or stream gets whole lines, the journal gets datagrams.  Nothing here ever waits.  A target
 * that fails (a full disk) is tried again after a while; until then it takes nothing.
 * Owns its descriptor.  Says nothing: who drains the rings does. */
#include "daemon/logger_out.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/logger_journal.h"

enum {
    BATCH_BYTES = 64 * 1024,            /* then it is written */
    BUFFER_BYTES = BATCH_BYTES + JOURNAL_ENTRY_MAX,
    ENTRIES = 64,                       /* datagrams in one call */
    RETRY_MS = 1000
};

/* A pipe or a terminal must not stop the logger; regular files do not know the flag.  What was inherited is shared with
 * others, and stays as it is. */
static void never_block(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (fd > STDERR_FILENO && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && flags != -1)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int logger_out_open(struct logger_out *o, enum logger_form form, int taken)
{
    *o = (struct logger_out){ .form = form, .fd = taken, .buffer = malloc(BUFFER_BYTES),
                              .ends = calloc(ENTRIES, sizeof *o->ends) };
    if (o->buffer != NULL && o->ends != NULL) {
        never_block(taken);
        return 0;
    }
    logger_out_close(o);
    errno = ENOMEM;
    return -1;
}

static uint64_t count_lines(const char *p, const char *end)
{
    uint64_t lines = 0;

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

uint64_t logger_out_close(struct logger_out *o)
{
    uint64_t lost = 0;

    if (o->form == LOGGER_JOURNAL)
        lost = o->count - o->next;
    else if (o->form != LOGGER_NONE && o->buffer != NULL)
        lost = count_lines(o->buffer + o->sent, o->buffer + o->n);
    if (o->form != LOGGER_NONE && o->fd > STDERR_FILENO)
        close(o->fd);
    free(o->buffer);
    free(o->ends);
    *o = (struct logger_out){ .form = LOGGER_NONE, .fd = -1 };
    return lost;
}

/* ---- gathering ---- */

char *logger_out_room(struct logger_out *o, uint64_t now_ms)
{
    if (o->cause != 0 || o->n >= BATCH_BYTES || o->count == ENTRIES)
        if (!logger_out_flush(o, now_ms))
            return NULL;
    return o->buffer + o->n;
}

void logger_out_add(struct logger_out *o, char *end)
{
    o->n = (size_t)(end - o->buffer);
    if (o->form == LOGGER_JOURNAL)
        o->ends[o->count++] = o->n;
}

/* ---- writing ---- */

static size_t entry_start(const struct logger_out *o, unsigned at)
{
    return at > 0 ? o->ends[at - 1] : 0;
}

/* Datagrams, as many as it takes; -1 with errno. */
static int send_entries(struct logger_out *o)
{
    struct mmsghdr m[ENTRIES] = { { .msg_len = 0 } };
    struct iovec iov[ENTRIES];
    unsigned n = o->count - o->next;
    int sent;

    for (unsigned i = 0; i < n; i++) {
        size_t start = entry_start(o, o->next + i);

        iov[i] = (struct iovec){ .iov_base = o->buffer + start, .iov_len = o->ends[o->next + i] - start };
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
    }
    sent = sendmmsg(o->fd, m, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        o->next += (unsigned)sent;
    return sent > 0 ? 0 : -1;
}

/* A part of the lines; -1 with errno.  A socket that is somebody's standard error must not be waited for either. */
static int write_lines(struct logger_out *o)
{
    ssize_t sent = send(o->fd, o->buffer + o->sent, o->n - o->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent == -1 && errno == ENOTSOCK)
        sent = write(o->fd, o->buffer + o->sent, o->n - o->sent);
    if (sent > 0)
        o->sent += (size_t)sent;
    else if (sent == 0)
        errno = EIO;
    return sent > 0 ? 0 : -1;
}

static bool is_empty(const struct logger_out *o)
{
    return o->form == LOGGER_JOURNAL ? o->next == o->count : o->sent == o->n;
}

/* Who listened there is another one by now. */
static void journal_again(struct logger_out *o)
{
    int fd = logger_journal_connect();

    if (fd == -1)
        return;
    if (o->fd > STDERR_FILENO)
        close(o->fd);
    o->fd = fd;
}

/* True: it is worth another try at once. */
static bool failure_answer(struct logger_out *o, int error)
{
    if (error == EINTR)
        return true;
    if (o->form == LOGGER_JOURNAL && error == EMSGSIZE) {
        o->next++;
        o->refused++;
        return true;
    }
    o->cause = error == EWOULDBLOCK || error == ENOBUFS ? EAGAIN : error;
    return false;
}

bool logger_out_flush(struct logger_out *o, uint64_t now_ms)
{
    bool journal = o->form == LOGGER_JOURNAL;

    if (is_empty(o))
        return true;
    if (journal && o->cause != 0 && o->cause != EAGAIN)
        journal_again(o);
    o->cause = 0;
    while (!is_empty(o)) {
        if ((journal ? send_entries(o) : write_lines(o)) == -1 && !failure_answer(o, errno)) {
            o->retry_ms = now_ms + RETRY_MS;
            return false;
        }
    }
    o->n = o->sent = 0;
    o->count = o->next = 0;
    return true;
}

void logger_out_replace(struct logger_out *o, int taken, uint64_t now_ms)
{
    if (!logger_out_flush(o, now_ms) && o->form != LOGGER_JOURNAL && o->sent > 0 && o->buffer[o->sent - 1] != '\n') {
        const char *end = memchr(o->buffer + o->sent, '\n', o->n - o->sent);

        o->sent = end != NULL ? (size_t)(end - o->buffer) + 1 : o->n;
        o->refused++;
    }
    if (o->fd > STDERR_FILENO)
        close(o->fd);
    o->fd = taken;
    o->cause = 0;
    never_block(taken);
}
