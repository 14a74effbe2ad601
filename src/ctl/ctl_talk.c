/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to the daemon.  It may be stopped, busy or gone: every step has the same deadline. */
#include "ctl/ctl_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    RETRY_MS = 20,                      /* while the queue of the socket is full */
    ANSWER_STEP = 65536,
    ANSWER_MAX = 64 << 20               /* bytes: ten times the longest list of connections */
};

static const char system_path[] = "/run/iomuxd/control.sock";

struct talk {
    const char *path;
    int         fd;
    uint64_t    until_ms;
    char       *answer;
    size_t      size, room;
};

void talk_default_path(char path[TALK_PATH_SIZE])
{
    const char *made = getenv("RUNTIME_DIRECTORY"), *folder = getenv("XDG_RUNTIME_DIR");

    if (made != NULL && made[0] == '/') {       /* of a unit, for what it executes */
        snprintf(path, TALK_PATH_SIZE, "%.*s/control.sock", (int)strcspn(made, ":"), made);
        return;
    }
    if (geteuid() != 0 && folder != NULL) {
        snprintf(path, TALK_PATH_SIZE, "%s/iomuxd/control.sock", folder);
        if (access(path, F_OK) == 0)
            return;
    }
    snprintf(path, TALK_PATH_SIZE, "%s", system_path);
}

static int fail_silent(const struct talk *t, unsigned limit_ms)
{
    fprintf(stderr, "iomuxctl: no answer from %s in %u s: is the daemon stuck?\n", t->path, (limit_ms + 999) / 1000);
    return CTL_SILENT;
}

static int fail_unreached(const struct talk *t, const char *why)
{
    fprintf(stderr, "iomuxctl: cannot reach iomuxd at %s: %s\n", t->path, why);
    return CTL_UNREACHED;
}

/* How long there is time, for poll(2). */
static int left_ms(const struct talk *t)
{
    uint64_t now = clock_monotonic_ms();

    return t->until_ms > now ? (int)(t->until_ms - now) : 0;
}

static bool wait_for(const struct talk *t, short what)
{
    struct pollfd one = { .fd = t->fd, .events = what };
    int left, n;

    do {
        left = left_ms(t);
        n = poll(&one, 1, left);
    } while (n == -1 && errno == EINTR && left > 0);
    return n == 1;
}

static int talk_connect(struct talk *t, unsigned limit_ms)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (strlen(t->path) >= sizeof un.sun_path)
        return fail_unreached(t, "the path is too long for a socket");
    snprintf(un.sun_path, sizeof un.sun_path, "%s", t->path);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd == -1)
        return fail_unreached(t, strerror(errno));
    while (connect(t->fd, (struct sockaddr *)&un, sizeof un) == -1) {
        if (errno != EAGAIN && errno != EINTR)
            return fail_unreached(t, strerror(errno));
        if (left_ms(t) == 0)
            return fail_silent(t, limit_ms);
        poll(NULL, 0, RETRY_MS);
    }
    return CTL_OK;
}

static int talk_send(const struct talk *t, const char *line, size_t n, unsigned limit_ms)
{
    while (n > 0) {
        ssize_t sent = send(t->fd, line, n, MSG_NOSIGNAL);

        if (sent == -1 && errno == EAGAIN && !wait_for(t, POLLOUT))
            return fail_silent(t, limit_ms);
        if (sent == -1 && errno != EAGAIN && errno != EINTR)
            return fail_unreached(t, strerror(errno));
        line += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return CTL_OK;
}

static bool answer_grow(struct talk *t)
{
    char *grown;

    if (t->room - t->size >= ANSWER_STEP)
        return true;
    grown = t->size < ANSWER_MAX ? realloc(t->answer, t->room * 2 + ANSWER_STEP) : NULL;
    if (grown == NULL)
        return false;
    t->answer = grown;
    t->room = t->room * 2 + ANSWER_STEP;
    return true;
}

/* The daemon closes behind its answer. */
static int talk_receive(struct talk *t, unsigned limit_ms)
{
    ssize_t n = 1;

    while (n != 0) {
        if (!answer_grow(t))
            return fail_unreached(t, "the answer is too long");
        n = recv(t->fd, t->answer + t->size, t->room - t->size, 0);
        if (n == -1 && errno == EAGAIN && !wait_for(t, POLLIN))
            return fail_silent(t, limit_ms);
        if (n == -1 && errno != EAGAIN && errno != EINTR)
            return fail_unreached(t, strerror(errno));
        t->size += n > 0 ? (size_t)n : 0;
    }
    return t->size > 0 ? CTL_OK : fail_unreached(t, "it has closed the connection without an answer");
}

static int talk_whole(struct talk *t, const json_t *request, unsigned limit_ms)
{
    char *line = json_dumps(request, JSON_COMPACT);
    int status;

    if (line == NULL)
        return fail_unreached(t, "out of memory");
    status = talk_connect(t, limit_ms);
    if (status == CTL_OK)
        status = talk_send(t, line, strlen(line), limit_ms);
    if (status == CTL_OK)
        status = talk_send(t, "\n", 1, limit_ms);
    if (status == CTL_OK)
        status = talk_receive(t, limit_ms);
    free(line);
    return status;
}

const char *talk_element(const json_t *array, size_t i)
{
    const char *text = json_string_value(json_array_get(array, i));

    return text != NULL ? text : "?";
}

static int say_errors(const json_t *answer)
{
    const json_t *errors = json_object_get(answer, "errors");

    if (json_array_size(errors) == 0)
        fputs("iomuxctl: the daemon has failed and says no reason\n", stderr);
    for (size_t i = 0; i < json_array_size(errors); i++)
        fprintf(stderr, "%s\n", talk_element(errors, i));
    return CTL_REFUSED;
}

json_t *talk_ask(const char *path, json_t *taken, unsigned limit_ms, int *status)
{
    struct talk t = { .path = path, .fd = -1, .until_ms = clock_monotonic_ms() + limit_ms };
    json_t *answer = NULL;
    json_error_t error;

    *status = talk_whole(&t, taken, limit_ms);
    json_decref(taken);
    if (*status == CTL_OK) {
        answer = json_loadb(t.answer, t.size, 0, &error);
        if (!json_is_object(answer))
            *status = fail_unreached(&t, "what answers there is no iomuxd");
        else if (!json_is_true(json_object_get(answer, "ok")))
            *status = say_errors(answer);
    }
    if (t.fd != -1)
        close(t.fd);
    free(t.answer);
    if (*status == CTL_OK)
        return answer;
    json_decref(answer);
    return NULL;
}

const char *talk_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

json_int_t talk_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}
