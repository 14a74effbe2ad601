/* SPDX-License-Identifier: BSD-2-Clause */
/* Surveys: the shared memory that workers list their connections in.  Owns that memory; does not know how a worker
 * finds its connections, nor what becomes of the list. */
#include "daemon/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* The page begins with this; then come the heads of all parts, then their rows. */
struct page_head {
    uint32_t id;
    uint32_t parts;
    uint32_t room;                      /* rows of a part */
    uint32_t key;                       /* enum census_key */
};

struct page_part {
    uint64_t total;
    uint32_t count;
};

static struct page_part *page_part(void *page, unsigned part)
{
    return (struct page_part *)(void *)((char *)page + sizeof(struct page_head)) + part;
}

static struct census_row *page_rows(void *page, unsigned parts, unsigned room, unsigned part)
{
    return (struct census_row *)(void *)page_part(page, parts) + (size_t)part * room;
}

static size_t page_size(unsigned parts, unsigned room)
{
    return sizeof(struct page_head) + parts * sizeof(struct page_part) +
           (size_t)parts * room * sizeof(struct census_row);
}

/* ---- the master's side ---- */

void survey_init(struct survey_desk *d, survey_done *tell, void *arg)
{
    *d = (struct survey_desk){ .done = tell, .arg = arg };
}

void survey_cancel(struct survey *s)
{
    if (s->id == 0)
        return;
    munmap(s->page, s->size);
    close(s->fd);
    free(s->places);
    *s = (struct survey){ 0 };
}

void survey_close(struct survey_desk *d)
{
    for (unsigned i = 0; i < SURVEYS_MAX; i++)
        survey_cancel(&d->v[i]);
}

void survey_abandon(struct survey_desk *d)
{
    survey_close(d);
}

static struct survey *desk_place(struct survey_desk *d)
{
    for (unsigned i = 0; i < SURVEYS_MAX; i++)
        if (d->v[i].id == 0)
            return &d->v[i];
    return NULL;
}

/* Nobody can take memory away again that the others look at. */
static int page_make(struct survey *s)
{
    s->fd = memfd_create("iomuxd-survey", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd == -1)
        return -1;
    if (ftruncate(s->fd, (off_t)s->size) == 0 &&
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        s->page = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
        if (s->page != MAP_FAILED)
            return 0;
    }
    close(s->fd);
    return -1;
}

struct survey *survey_new(struct survey_desk *d, unsigned parts, enum census_key key, unsigned limit)
{
    struct survey *s = desk_place(d);

    if (s == NULL) {
        errno = EBUSY;
        return NULL;
    }
    *s = (struct survey){ .key = key, .limit = limit, .parts = parts, .size = page_size(parts, limit) };
    s->places = calloc(parts + 1, sizeof *s->places);
    if (s->places == NULL || page_make(s) == -1) {
        free(s->places);
        *s = (struct survey){ 0 };
        return NULL;
    }
    if (++d->last_id == 0)
        d->last_id = 1;
    s->id = d->last_id;
    s->until_ms = clock_monotonic_ms() + SURVEY_MS;
    *(struct page_head *)s->page = (struct page_head){ .id = s->id, .parts = parts, .room = limit, .key = key };
    return s;
}

static void survey_end(struct survey_desk *d, struct survey *s)
{
    d->done(d->arg, s);
    survey_cancel(s);
}

void survey_check(struct survey_desk *d, struct survey *s)
{
    if (s->waiting == 0)
        survey_end(d, s);
}

void survey_heard(struct survey_desk *d, pid_t pid, uint32_t id)
{
    for (unsigned i = 0; i < SURVEYS_MAX; i++) {
        struct survey *s = &d->v[i];

        if (s->id == 0 || s->id != id)
            continue;
        for (unsigned part = 0; part < s->parts; part++) {
            if (s->places[part].pid != pid || !s->places[part].told || s->places[part].done)
                continue;
            s->places[part].done = true;
            s->waiting--;
        }
        survey_check(d, s);
        return;
    }
}

void survey_expire(struct survey_desk *d, uint64_t now_ms)
{
    for (unsigned i = 0; i < SURVEYS_MAX; i++)
        if (d->v[i].id != 0 && d->v[i].until_ms <= now_ms)
            survey_end(d, &d->v[i]);
}

uint64_t survey_due_ms(const struct survey_desk *d)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < SURVEYS_MAX; i++)
        if (d->v[i].id != 0 && d->v[i].until_ms < due)
            due = d->v[i].until_ms;
    return due;
}

uint64_t survey_rows(const struct survey *s, unsigned part, struct census_row *rows, unsigned *count)
{
    const struct page_part *p = page_part(s->page, part);
    uint32_t wrote = __atomic_load_n(&p->count, __ATOMIC_ACQUIRE);
    uint64_t total = __atomic_load_n(&p->total, __ATOMIC_ACQUIRE);

    *count = wrote < s->limit ? wrote : s->limit;
    memcpy(rows, page_rows(s->page, s->parts, s->limit, part), *count * sizeof *rows);
    for (unsigned i = 0; i < *count; i++)
        rows[i].service[CENSUS_NAME_SIZE - 1] = '\0';
    return total;
}

/* ---- a worker's side ---- */

/* Is it as large as it says, and is the part one of its parts? */
static bool page_is_sound(const struct survey_part *p, const struct page_head *h)
{
    return p->size >= sizeof *h && h->room <= SURVEY_ROWS_MAX && p->part < h->parts &&
           page_size(h->parts, h->room) == p->size;
}

int survey_open(struct survey_part *p, int fd, unsigned part)
{
    struct stat st;
    struct page_head *h;

    *p = (struct survey_part){ .part = part };
    if (fstat(fd, &st) == -1)
        return -1;
    p->size = (size_t)st.st_size;
    p->page = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p->page == MAP_FAILED)
        return -1;
    h = p->page;
    if (!page_is_sound(p, h)) {
        munmap(p->page, p->size);
        errno = EBADMSG;
        return -1;
    }
    p->census = (struct census){ .key = h->key, .room = h->room,
                                 .rows = page_rows(p->page, h->parts, h->room, part) };
    return 0;
}

uint32_t survey_write(struct survey_part *p)
{
    struct page_part *own = page_part(p->page, p->part);
    uint32_t id = ((const struct page_head *)p->page)->id;

    __atomic_store_n(&own->total, p->census.total, __ATOMIC_RELEASE);
    __atomic_store_n(&own->count, p->census.count, __ATOMIC_RELEASE);
    munmap(p->page, p->size);
    return id;
}
