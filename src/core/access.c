/* SPDX-License-Identifier: BSD-2-Clause */
/* Access records: from a worker into its ring, and out of it in the process that writes lines.  Copies what it is given
 * and formats nothing: that is for who has the time.  Knows neither lines nor files. */
#include "core/access.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"
#include "core/access_line.h"

enum { NAME_MAX_BYTES = 255 };          /* of a service, a model or a worker */

static const int64_t LAST_SECOND = 253402300799;        /* of the year 9999: later ones are not written in four digits */

/* A record in a ring: this, the reply with its texts, and three names, each with its NUL. */
struct access_wire {
    uint64_t duration_us;
    uint32_t target;
    uint8_t  service_n, model_n, worker_n;      /* without the NUL */
    uint8_t  nothing;
};

_Static_assert(sizeof(struct access_wire) % _Alignof(struct access) == 0, "a reply behind it is aligned");
_Static_assert(sizeof(struct access_wire) + sizeof(struct access) + ACCESS_TEXT_MAX + 3 * (NAME_MAX_BYTES + 1) <
               RING_RECORD_MAX - 64, "any record fits a ring");

struct access_log {
    struct ring *ring;
    uint32_t     target;
    uint8_t      model_n, worker_n;
    size_t       names_n;
    char         names[];               /* of model and worker, each with its NUL */
};

static uint8_t name_size(const char *name)
{
    return (uint8_t)strnlen(name, NAME_MAX_BYTES);
}

struct access_log *access_log_new(struct ring *ring, uint32_t target, const struct access_source *source)
{
    uint8_t model_n = name_size(source->model), worker_n = name_size(source->worker);
    size_t n = (size_t)model_n + worker_n + 2;
    struct access_log *l = calloc(1, sizeof *l + n);
    if (l == NULL)
        return NULL;
    l->ring = ring;
    l->target = target;
    l->model_n = model_n;
    l->worker_n = worker_n;
    l->names_n = n;
    memcpy(l->names, source->model, model_n);
    memcpy(l->names + model_n + 1, source->worker, worker_n);
    return l;
}

void access_log_free(struct access_log *l)
{
    free(l);
}

/* Of a reply with its texts. */
static size_t reply_size(const struct access *a)
{
    return offsetof(struct access, text) + a->method_n + a->target_n + a->version_n + a->referer_n + a->agent_n +
           a->host_n + a->user_n;
}

/* hot */
bool access_log_add(struct access_log *l, const struct access *a, uint64_t now_us)
{
    struct access_wire w = { .duration_us = now_us > a->started_us ? now_us - a->started_us : 0, .target = l->target,
                             .service_n = name_size(a->service), .model_n = l->model_n, .worker_n = l->worker_n };
    const struct span parts[] = {
        { (const char *)&w, sizeof w },
        { (const char *)a, reply_size(a) },
        { a->service, w.service_n }, SPAN("\0"),
        { l->names, l->names_n }
    };
    return ring_put(l->ring, ACCESS_RECORD, now_us, false, parts, sizeof parts / sizeof *parts);
}

static bool reply_is_sound(const struct access *a)
{
    return a->method_n <= ACCESS_METHOD_MAX && a->target_n <= ACCESS_TARGET_MAX && a->version_n <= ACCESS_VERSION_MAX &&
           a->referer_n <= ACCESS_REFERER_MAX && a->agent_n <= ACCESS_AGENT_MAX && a->host_n <= ACCESS_HOST_MAX &&
           a->user_n <= ACCESS_USER_MAX && a->when_s >= 0 && a->when_s <= LAST_SECOND;
}

/* The name at *at, which moves behind it; NULL: it does not end where it should. */
static const char *name_at(const char **at, uint8_t n)
{
    const char *name = *at;
    *at += n + 1;
    return memchr(name, '\0', (size_t)n + 1) == name + n ? name : NULL;
}

bool access_read(struct access_taken *t, void *bytes, size_t n)
{
    struct access_wire w;
    struct access *a = (struct access *)(void *)((char *)bytes + sizeof w);
    if (n < sizeof w + sizeof *a)
        return false;
    memcpy(&w, bytes, sizeof w);
    if (!reply_is_sound(a) || n != sizeof w + reply_size(a) + w.service_n + w.model_n + w.worker_n + 3)
        return false;
    const char *at = (const char *)a + reply_size(a);
    a->service = name_at(&at, w.service_n);
    *t = (struct access_taken){ .target = w.target, .duration_us = w.duration_us, .reply = a };
    t->model = name_at(&at, w.model_n);
    t->worker = name_at(&at, w.worker_n);
    return a->service != NULL && t->model != NULL && t->worker != NULL;
}
