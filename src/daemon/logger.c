/* SPDX-License-Identifier: BSD-2-Clause */
/* Where log lines go.  What is not put into a ring is written by one system call for each line, so that lines of several
 * processes never mix.  Knows the targets, not who writes what. */
#include "daemon/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "daemon/logger_record.h"
#include "daemon/sysd.h"

enum { HEAD_SIZE = FMT_TIMESTAMP_SIZE + 16 };     /* the longest: "2026-11-22T07:54:07.123Z notice " */

static size_t head_dated(char head[HEAD_SIZE], enum log_level level)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fmt_timestamp(head, now.tv_sec, (unsigned)(now.tv_nsec / 1000000));
    return FMT_TIMESTAMP_SIZE + (size_t)snprintf(head + FMT_TIMESTAMP_SIZE, HEAD_SIZE - FMT_TIMESTAMP_SIZE,
                                                 " %s ", log_level_name(level));
}

static void line_write(int fd, enum logger_form form, enum log_level level, struct span line)
{
    char head[HEAD_SIZE];
    size_t n = form == LOGGER_DATED ? head_dated(head, level)
                                    : (size_t)snprintf(head, sizeof head, "<%d>", (int)level);
    struct iovec iov[3] = { { .iov_base = head, .iov_len = n },
                            { .iov_base = (char *)line.p, .iov_len = line.n },
                            { .iov_base = (char *)"\n", .iov_len = 1 } };

    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
    ssize_t sent;

    do                          /* a stream to the journal: it must not hold the loop */
        sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    if (sent != -1 || errno != ENOTSOCK)
        return;
    while (writev(fd, iov, 3) == -1 && errno == EINTR)
        ;                       /* what else fails has nobody left to hear of it */
}

/* stderr, without waiting for who reads it.  A pipe or a terminal is opened anew: O_NONBLOCK on the one that was
 * inherited would change it for everybody who shares it. */
int logger_stderr(void)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(STDERR_FILENO)))
        fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return fd != -1 ? fd : STDERR_FILENO;
}

static void line_enqueue(const struct logger *l, enum log_level level, const struct log_about *about, struct span line)
{
    if (!logger_record_put(l->ring, l->target, level, about, line) && l->dropped != NULL)
        __atomic_fetch_add(l->dropped, 1, __ATOMIC_RELAXED);
}

static void logger_sink(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    const struct logger *l = arg;

    if (l->ring != NULL)
        line_enqueue(l, level, about, line);
    else if (l->form != LOGGER_JOURNAL)
        line_write(l->fd, l->form, level, line);
    else if (sysd_journal(level, about, line) == -1)
        line_write(l->fd, LOGGER_PREFIXED, level, line);
    if (level > LOG_ERROR)
        return;
    if (l->starting && l->path != NULL)
        line_write(STDERR_FILENO, LOGGER_DATED, level, line);
    if (l->report != NULL)
        report_add(l->report, line);
}

/* snprintf(3) of a number or a short word asks nobody for anything in any C library that there is. */
void logger_urgent(const struct logger *l, enum log_level level, struct span line)
{
    line_write(l->fd, l->form == LOGGER_JOURNAL ? LOGGER_PREFIXED : l->form, level, line);
}

/* Is stderr a stream to the journal?  systemd says which one it made: device:inode (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *told = getenv("JOURNAL_STREAM");
    char found[64];
    struct stat st;

    if (told == NULL || fstat(STDERR_FILENO, &st) == -1)
        return false;
    snprintf(found, sizeof found, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(told, found) == 0;
}

bool logger_check(const char *target, char *why, size_t why_size)
{
    if (strcmp(target, "journal") != 0 || sysd_has_journal())
        return true;
    snprintf(why, why_size, "\"journal\" is not in this build (no libsystemd)");
    return false;
}

int logger_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

int logger_open(struct logger *l, const struct conf *c, FILE *complaints)
{
    *l = (struct logger){ .form = LOGGER_DATED, .fd = STDERR_FILENO, .level = c->log_level };
    if (c->log_target == CONF_TARGET_JOURNAL && !sysd_journal_listens()) {
        conf_complain(complaints, &c->log_place, "log.target", "no journal listens on this machine");
        return -1;
    }
    if (c->log_target == CONF_TARGET_JOURNAL)
        l->form = LOGGER_JOURNAL;
    else if (c->log_target == CONF_TARGET_AUTO && stderr_is_journal())
        l->form = LOGGER_PREFIXED;
    if (c->log_target == CONF_TARGET_FILE) {
        l->path = c->log_file;
        l->fd = logger_file(l->path);
        if (l->fd == -1) {
            conf_complain(complaints, &c->log_place, "log.target", "cannot open %s: %s", l->path,
                          strerror(errno));
            return -1;
        }
    } else {
        l->fd = logger_stderr();
    }
    return 0;
}

void logger_use(struct logger *l)
{
    log_open(logger_sink, l, l->level);
}

void logger_close(struct logger *l)
{
    if (l->fd > STDERR_FILENO)
        close(l->fd);
    l->fd = -1;
}

int logger_reopen(struct logger *l)
{
    int fd;

    if (l->path == NULL)
        return 0;
    fd = logger_file(l->path);
    if (fd == -1)
        return -1;
    logger_adopt(l, fd);
    return 0;
}

void logger_adopt(struct logger *l, int taken)
{
    logger_replace(l->fd, taken);
}

void logger_replace(int fd, int taken)
{
    dup3(taken, fd, O_CLOEXEC);     /* both are open: it cannot fail */
    close(taken);
}
