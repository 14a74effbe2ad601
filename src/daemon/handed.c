/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager hands over, as it says in the environment: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES.  These
 * words are all there is to it, so no library is asked.  Knows descriptors and names, no service. */
#include "daemon/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More is a mistake: what is kept for us is at most 4096 (FileDescriptorStoreMax in our unit); sockets of units come to
 * it. */
enum { HANDED_MAX = 8192 };

/* What systemd calls a socket whose name it does not say. */
static const char nameless[] = "unknown";

static bool number_read(const char *word, long max, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == '\0' && errno == 0 && *number <= max;
}

/* The name of the i-th: names are separated by colons. */
static void handed_name(struct handed_one *one, const char **names)
{
    const char *from = *names == NULL ? nameless : *names;
    size_t n = strcspn(from, ":");

    if (n >= sizeof one->name)
        n = sizeof one->name - 1;
    memcpy(one->name, from, n);
    one->name[n] = '\0';
    if (*names != NULL)
        *names = strchr(*names, ':');
    if (*names != NULL)
        (*names)++;
}

static int handed_make(struct handed *h, unsigned count, const char *names)
{
    h->v = calloc(count + 1u, sizeof *h->v);
    if (h->v == NULL)
        return -1;
    for (; h->count < count; h->count++) {
        h->v[h->count].fd = HANDED_FIRST + (int)h->count;
        handed_name(&h->v[h->count], &names);
    }
    return 0;
}

bool handed_parse(struct handed *h, const struct handed_words *w, char *why, size_t why_size)
{
    long owner, n;

    *h = (struct handed){ 0 };
    if (w->pid == NULL || w->count == NULL)
        return true;
    if (!number_read(w->pid, LONG_MAX, &owner)) {
        snprintf(why, why_size, "LISTEN_PID=%.40s is no process id", w->pid);
        return false;
    }
    if (owner != w->self)       /* meant for a process that started this one */
        return true;
    if (!number_read(w->count, HANDED_MAX, &n)) {
        snprintf(why, why_size, "LISTEN_FDS=%.40s is no number from 0 to %d", w->count, HANDED_MAX);
        return false;
    }
    if (handed_make(h, (unsigned)n, w->names) == 0)
        return true;
    snprintf(why, why_size, "%s", strerror(errno));
    return false;
}

/* What kind of socket it is; something else is left alone. */
static void handed_look(struct handed_one *one)
{
    int type = 0, listens = 0, family = AF_UNSPEC, flags = fcntl(one->fd, F_GETFL);
    socklen_t size = sizeof type;

    if (flags == -1 || getsockopt(one->fd, SOL_SOCKET, SO_TYPE, &type, &size) == -1)
        return;
    size = sizeof listens;
    if (getsockopt(one->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == -1)
        listens = 0;
    size = sizeof family;
    if (getsockopt(one->fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == -1)
        family = AF_UNSPEC;
    one->stream = type == SOCK_STREAM && listens;
    one->datagram = type == SOCK_DGRAM && (family == AF_INET || family == AF_INET6);
    fcntl(one->fd, F_SETFD, FD_CLOEXEC);
    fcntl(one->fd, F_SETFL, flags | O_NONBLOCK);
}

bool handed_take(struct handed *h, char *why, size_t why_size)
{
    struct handed_words words = { getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"), (long)getpid() };
    bool sound = handed_parse(h, &words, why, why_size);

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < h->count; i++)
        handed_look(&h->v[i]);
    return sound;
}

void handed_close(struct handed *h)
{
    for (unsigned i = 0; i < h->count; i++)
        close(h->v[i].fd);
    free(h->v);
    *h = (struct handed){ 0 };
}

const struct handed_one *handed_find(const struct handed *h, const char *name, bool datagram, unsigned i)
{
    for (unsigned at = 0; at < h->count; at++) {
        const struct handed_one *one = &h->v[at];

        if (strcmp(one->name, name) == 0 && (datagram ? one->datagram : one->stream) && i-- == 0)
            return one;
    }
    return NULL;
}

const char *handed_names(const struct handed *h, char *to, size_t size)
{
    size_t n = (size_t)snprintf(to, size, "%s", h->count == 0 ? "none" : "");

    for (unsigned at = 0; at < h->count && n < size; at++) {
        const struct handed_one *one = &h->v[at];

        n += (size_t)snprintf(to + n, size - n, "%s%s%s", at > 0 ? ", " : "", one->name,
                              one->datagram ? " (datagrams)" : one->stream ? "" : " (no listening socket)");
    }
    return to;
}
