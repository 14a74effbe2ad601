/* SPDX-License-Identifier: BSD-2-Clause */
/* The clients of the control socket, as bytes.  Owns their descriptors and buffers; does not know what is said. */
#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    ACCEPTS_MAX = 16,                   /* in one turn: workers want to be looked after too */
    ACCEPT_PAUSE_MS = 100               /* descriptors are short */
};

/* ---- the socket ---- */

void control_init(struct control *c)
{
    memset(c, 0, sizeof *c);
    c->socket.fd = c->next.fd = -1;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        c->v[i].fd = -1;
}

static int prepare_path(struct control *c, const struct conf *conf, const char *path)
{
    struct log_about about = { .event = "control-failed" };
    char why[CONTROL_PATH_SIZE + 160], place[CONF_PLACE_SIZE];

    c->changes = c->socket.fd == -1 || strcmp(c->socket.path, path) != 0;
    if (!c->changes || control_socket_open(&c->next, path, why, sizeof why) == 0)
        return 0;
    if (conf->control == NULL) {
        log_write(LOG_WARN, &about, "master: iomuxctl will not work: control: %s", why);
        return 0;
    }
    log_write(LOG_ERROR, &about, "%scontrol: %s", conf_place_text(&conf->control_place, place), why);
    return -1;
}

int control_prepare(struct control *c, const struct conf *conf)
{
    char path[CONTROL_PATH_SIZE];

    c->changes = true;
    if (conf->control != NULL && strcmp(conf->control, "off") == 0)
        return 0;
    if (conf->control != NULL)
        return prepare_path(c, conf, conf->control);
    if (control_default_path(path) == 0)
        return prepare_path(c, conf, path);
    log_write(LOG_WARN, &(struct log_about){ .event = "control-failed" }, "master: iomuxctl will not work: there is "
              "no place for its socket: neither control nor XDG_RUNTIME_DIR is set");
    return 0;
}

void control_commit(struct control *c)
{
    if (!c->changes)
        return;
    control_socket_close(&c->socket);
    c->socket = c->next;
    c->next = (struct control_socket){ .fd = -1 };
    c->changes = false;
    if (c->socket.fd != -1)
        log_write(LOG_INFO, &(struct log_about){ .event = "control" }, "master: iomuxctl is answered at %s",
                  c->socket.path);
}

void control_rollback(struct control *c)
{
    control_socket_close(&c->next);
    c->changes = false;
}

/* ---- one client ---- */

static void client_drop(struct control_client *c)
{
    if (c->fd != -1)
        close(c->fd);
    free(c->answer);
    *c = (struct control_client){ .fd = -1 };
}

void control_close(struct control *c)
{
    control_socket_close(&c->next);
    control_socket_close(&c->socket);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        client_drop(&c->v[i]);
}

void control_abandon(struct control *c)
{
    c->socket.inode = c->next.inode = 0;        /* the files stay */
    control_close(c);
}

struct control_client *control_find(struct control *c, uint32_t id)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->v[i].state != CONTROL_FREE && c->v[i].id == id)
            return &c->v[i];
    return NULL;
}

static void client_send(struct control_client *c)
{
    while (c->sent < c->answer_size) {
        ssize_t n = send(c->fd, c->answer + c->sent, c->answer_size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno == EAGAIN)
            return;
        if (n <= 0)
            break;
        c->sent += (size_t)n;
        c->since_ms = clock_monotonic_ms();
    }
    client_drop(c);
}

void control_answer(struct control_client *c, char *taken, size_t size)
{
    if (taken == NULL) {
        client_drop(c);
        return;
    }
    free(c->answer);
    c->state = CONTROL_ANSWERING;
    c->answer = taken;
    c->answer_size = size;
    c->sent = 0;
    c->since_ms = clock_monotonic_ms();
    client_send(c);
}

/* What comes behind the first line is not looked at. */
static void client_hear(struct control_client *c, control_obey *obey, void *arg)
{
    ssize_t n = recv(c->fd, c->request + c->got, sizeof c->request - c->got, MSG_DONTWAIT);
    char *end;

    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_drop(c);
        return;
    }
    c->got += (size_t)n;
    end = memchr(c->request, '\n', c->got);
    if (end != NULL)
        obey(arg, c, (struct span){ c->request, (size_t)(end - c->request) });
    else if (c->got == sizeof c->request)
        client_drop(c);         /* longer than any request */
}

/* ---- all of them ---- */

static uint64_t client_due_ms(const struct control_client *c)
{
    switch (c->state) {
    case CONTROL_READING:   return c->since_ms + CONTROL_REQUEST_MS;
    case CONTROL_ANSWERING: return c->since_ms + CONTROL_ANSWER_MS;
    case CONTROL_FREE:
    case CONTROL_WAITING:   break;      /* who works for it sees to the end */
    }
    return UINT64_MAX;
}

uint64_t control_due_ms(const struct control *c)
{
    uint64_t due = c->accept_after_ms > 0 ? c->accept_after_ms : UINT64_MAX;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        uint64_t own = client_due_ms(&c->v[i]);

        due = own < due ? own : due;
    }
    return due;
}

size_t control_poll(struct control *c, struct pollfd *polled)
{
    c->polled = polled;
    polled[0] = (struct pollfd){ .fd = c->accept_after_ms > 0 ? -1 : c->socket.fd, .events = POLLIN };
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        const struct control_client *one = &c->v[i];

        polled[i + 1] = (struct pollfd){ .fd = one->fd, .events = one->state == CONTROL_READING ? POLLIN :
                                                                  one->state == CONTROL_ANSWERING ? POLLOUT : 0 };
    }
    return CONTROL_POLLED_MAX;
}

/* A free place, or that of whoever has been silent for longest; NULL: all have asked for something. */
static struct control_client *find_place(struct control *c)
{
    struct control_client *oldest = NULL;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *one = &c->v[i];

        if (one->state == CONTROL_FREE)
            return one;
        if (one->state == CONTROL_READING && (oldest == NULL || one->since_ms < oldest->since_ms))
            oldest = one;
    }
    if (oldest != NULL)
        client_drop(oldest);
    return oldest;
}

static void client_come(struct control *c, int fd, uint64_t now_ms)
{
    struct ucred who;
    socklen_t size = sizeof who;
    struct control_client *one = find_place(c);

    if (one == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == -1) {
        close(fd);
        return;
    }
    one->state = CONTROL_READING;
    one->fd = fd;
    one->pid = who.pid;
    one->uid = who.uid;
    one->id = ++c->last_id;
    one->since_ms = now_ms;
}

static void accept_some(struct control *c, uint64_t now_ms)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(c->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd != -1) {
            client_come(c, fd, now_ms);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno != EAGAIN)
                c->accept_after_ms = now_ms + ACCEPT_PAUSE_MS;
            return;
        }
    }
}

static void client_turn(struct control_client *c, short moved, uint64_t now_ms, control_obey *obey, void *arg)
{
    if (c->state == CONTROL_READING && moved != 0)
        client_hear(c, obey, arg);
    else if (c->state == CONTROL_ANSWERING && moved != 0)
        client_send(c);
    else if (c->state == CONTROL_WAITING && moved != 0)
        client_drop(c);         /* it has not waited for the answer */
    if (client_due_ms(c) <= now_ms)
        client_drop(c);
}

void control_serve(struct control *c, uint64_t now_ms, control_obey *obey, void *arg)
{
    if (c->accept_after_ms <= now_ms)
        c->accept_after_ms = 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->v[i].fd == c->polled[i + 1].fd)
            client_turn(&c->v[i], c->polled[i + 1].revents, now_ms, obey, arg);
    if (c->socket.fd != -1 && c->socket.fd == c->polled[0].fd && c->polled[0].revents != 0)
        accept_some(c, now_ms);
}
