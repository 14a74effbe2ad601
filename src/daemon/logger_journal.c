/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): NAME=value and a newline for each field.  No value
 * has a newline, whoever wrote it: control characters and what is no UTF-8 are escaped as \xNN, as in lines.
 * sd_journal_sendv(3) would wait for the journal; this socket does not. */
#include "daemon/logger_journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/utf8.h"

enum {
    SEND_BUFFER = 8 * 1024 * 1024,      /* as libsystemd has it: an entry may be large */
    VALUE_MAX = 4096,                   /* bytes of a field that is no message */
    ESCAPED_MAX = 4                     /* bytes that stand for one */
};

int logger_journal_connect_to(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd, size = SEND_BUFFER;

    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);      /* as much as the system allows */
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    size = errno;
    close(fd);
    errno = size;
    return -1;
}

int logger_journal_connect(void)
{
    return logger_journal_connect_to("/run/systemd/journal/socket");
}

static char *entry_put(char *to, struct span s)
{
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *entry_escaped(char *to, struct span s)
{
    const char *end = s.p + s.n;

    while (s.p < end) {
        size_t n = utf8_printable(s.p, end);

        if (n > 0)
            to = entry_put(to, (struct span){ s.p, n });
        else
            to += sprintf(to, "\\x%02x", (unsigned char)*s.p);
        s.p += n > 0 ? n : 1;
    }
    return to;
}

/* `name` with its "=".  What is not there has no field. */
static char *entry_field(char *to, struct span name, struct span value)
{
    if (value.p == NULL)
        return to;
    value.n = value.n < VALUE_MAX ? value.n : VALUE_MAX;
    to = entry_escaped(entry_put(to, name), value);
    *to++ = '\n';
    return to;
}

static char *entry_number(char *to, struct span name, uint64_t value)
{
    char text[FMT_U64_MAX];
    size_t n = fmt_u64(text, value);

    return entry_field(to, name, (struct span){ text, n });
}

/* The message first: it is what a reader looks for.  It was escaped when it was made. */
static char *entry_message(char *to, struct span line, enum log_level level)
{
    to = entry_put(entry_put(to, SPAN("MESSAGE=")), line);
    *to++ = '\n';
    to = entry_put(to, SPAN("SYSLOG_IDENTIFIER=iomuxd\n"));
    return entry_number(to, SPAN("PRIORITY="), (uint64_t)level);
}

_Static_assert(ACCESS_LINE_MAX + ESCAPED_MAX * (ACCESS_TARGET_MAX + ACCESS_METHOD_MAX + 3 * 256) + 1024 < JOURNAL_ENTRY_MAX &&
               LOG_LINE_MAX + ESCAPED_MAX * 5 * 256 + 1024 < JOURNAL_ENTRY_MAX, "any entry fits");

char *logger_journal_line(char *to, enum log_level level, const struct log_about *about, struct span line)
{
    to = entry_message(to, line, level);
    to = entry_field(to, SPAN("IOMUXD_EVENT="), span_of(about->event));
    to = entry_field(to, SPAN("IOMUXD_SERVICE="), span_of(about->service));
    to = entry_field(to, SPAN("IOMUXD_WORKER="), span_of(about->worker));
    to = entry_field(to, SPAN("IOMUXD_MODEL="), span_of(about->model));
    return entry_field(to, SPAN("IOMUXD_PEER="), span_of(about->peer));
}

char *logger_journal_access(char *to, const struct access_taken *t, struct span line)
{
    const struct access *a = t->reply;
    char peer[PEER_TEXT_SIZE];
    size_t peer_n = peer_format(&a->peer, peer);

    to = entry_message(to, line, LOG_INFO);
    to = entry_put(to, SPAN("IOMUXD_EVENT=access\n"));
    to = entry_field(to, SPAN("IOMUXD_SERVICE="), span_of(a->service));
    to = entry_field(to, SPAN("IOMUXD_WORKER="), span_of(t->worker));
    to = entry_field(to, SPAN("IOMUXD_MODEL="), span_of(t->model));
    to = entry_field(to, SPAN("IOMUXD_PEER="), (struct span){ peer, peer_n });
    to = entry_field(to, SPAN("IOMUXD_METHOD="), (struct span){ a->text, a->method_n });
    to = entry_field(to, SPAN("IOMUXD_TARGET="), (struct span){ a->text + a->method_n, a->target_n });
    to = entry_number(to, SPAN("IOMUXD_STATUS="), a->status);
    to = entry_number(to, SPAN("IOMUXD_BYTES="), a->body_bytes);
    return entry_number(to, SPAN("IOMUXD_DURATION_US="), t->duration_us);
}
