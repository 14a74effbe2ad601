/* SPDX-License-Identifier: BSD-2-Clause */
/* systemd, by libsystemd. */
#include "daemon/sysd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#define SD_JOURNAL_SUPPRESS_LOCATION    /* the place in the source would be this file's, each time */
#include <systemd/sd-journal.h>

enum {
    JOURNAL_FIELDS_MAX = 8,
    JOURNAL_FIELD_SIZE = 192            /* bytes of a short field with its name; longer ones are cut */
};

/* A journal entry in the making: short fields are copied, the message is lent. */
struct journal_entry {
    struct iovec iov[JOURNAL_FIELDS_MAX];
    char         text[JOURNAL_FIELDS_MAX][JOURNAL_FIELD_SIZE];
    int          count;
};

/* A path, or a name that is in no folder; false: neither. */
static bool manager_address(const char *text, struct sockaddr_un *to, socklen_t *size)
{
    size_t n = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof to->sun_path)
        return false;
    *to = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(to->sun_path, text, n);
    if (text[0] == '@')
        to->sun_path[0] = '\0';
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/'));
    return true;
}

static bool may_pass(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EMFILE || error == ENFILE;
}

/* One datagram, with a descriptor or -1. */
static bool manager_send(int from, const struct sockaddr_un *to, socklen_t size, const char *state, int fd)
{
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof fd)]; } control = { .bytes = { 0 } };
    struct iovec iov = { .iov_base = (char *)state, .iov_len = strlen(state) };
    struct msghdr h = { .msg_name = (struct sockaddr_un *)to, .msg_namelen = size, .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd != -1) {
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(sizeof fd) };
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        h.msg_control = control.bytes;
        h.msg_controllen = sizeof control.bytes;
    }
    return sendmsg(from, &h, MSG_NOSIGNAL) != -1 || !may_pass(errno);
}

/* sd_notify(3) waits while the socket is full; it is left to what is no socket of this machine. */
static bool manager_tell(const char *state, int fd)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to;
    socklen_t size;
    bool told;
    int from;

    if (name == NULL)
        return true;
    if (!manager_address(name, &to, &size)) {
        if (fd == -1)
            sd_notify(0, state);
        return true;
    }
    from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (from == -1)
        return !may_pass(errno);
    told = manager_send(from, &to, size, state, fd);
    close(from);
    return told;
}

bool sysd_notify(const char *state)
{
    return manager_tell(state, -1);
}

/* FDPOLL=0: it would drop what reports an error. */
bool sysd_store(const char *name, int fd)
{
    char state[320];

    snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    return manager_tell(state, fd);
}

bool sysd_store_remove(const char *name)
{
    char state[320];

    snprintf(state, sizeof state, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    return manager_tell(state, -1);
}

uint64_t sysd_watchdog_us(void)
{
    uint64_t us = 0;

    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

bool sysd_listens(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

bool sysd_has_journal(void)
{
    return true;
}

bool sysd_journal_listens(void)
{
    return access("/run/systemd/journal/socket", F_OK) == 0;
}

static void journal_field(struct journal_entry *e, const char *name, const char *value)
{
    char *text = e->text[e->count];

    if (value == NULL)
        return;
    snprintf(text, JOURNAL_FIELD_SIZE, "%s=%s", name, value);
    e->iov[e->count++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

/* MESSAGE may be as long as a log line: its own buffer would be copied for nothing, so the line is used
 * where it stands if it fits, by way of the caller's buffer. */
static void journal_message(struct journal_entry *e, char *to, size_t room, struct span line)
{
    static const char name[] = "MESSAGE=";
    size_t n = sizeof name - 1;

    if (line.n > room - n)
        line.n = room - n;
    memcpy(to, name, n);
    memcpy(to + n, line.p, line.n);
    e->iov[e->count++] = (struct iovec){ .iov_base = to, .iov_len = n + line.n };
}

int sysd_journal(enum log_level level, const struct log_about *about, struct span line)
{
    struct journal_entry e = { .count = 0 };
    char message[sizeof "MESSAGE=" - 1 + LOG_LINE_MAX], priority[4];
    int rc;

    journal_message(&e, message, sizeof message, line);
    snprintf(priority, sizeof priority, "%d", (int)level);
    journal_field(&e, "PRIORITY", priority);
    if (about != NULL) {
        journal_field(&e, "IOMUXD_EVENT", about->event);
        journal_field(&e, "IOMUXD_SERVICE", about->service);
        journal_field(&e, "IOMUXD_WORKER", about->worker);
        journal_field(&e, "IOMUXD_MODEL", about->model);
        journal_field(&e, "IOMUXD_PEER", about->peer);
    }
    journal_field(&e, "SYSLOG_IDENTIFIER", "iomuxd");
    rc = sd_journal_sendv(e.iov, e.count);
    if (rc >= 0)
        return 0;
    errno = -rc;
    return -1;
}
