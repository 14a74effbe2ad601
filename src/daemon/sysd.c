/* SPDX-License-Identifier: BSD-2-Clause */
/* systemd, by libsystemd. */
#include "daemon/sysd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
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

void sysd_notify(const char *state)
{
    sd_notify(0, state);
}

/* FDPOLL=0: it would drop what reports an error. */
void sysd_store(const char *name, int fd)
{
    char state[320];

    snprintf(state, sizeof state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

void sysd_store_remove(const char *name)
{
    char state[320];

    snprintf(state, sizeof state, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    sd_notify(0, state);
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
