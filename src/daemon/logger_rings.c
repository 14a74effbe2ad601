/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of the shared file: a page with the bell, which everybody maps; the head, for master and logger; then
 * rings, each as long as the longest may be.  What nobody has touched takes no memory.
 *
 * A process maps the rings that are its own: who takes over a worker gets at no other worker's records. */
#include "daemon/logger_rings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGGER_MAGIC UINT64_C(0x696f6d7564004c01)       /* "iomud", L, version 1 */

enum { BELL_SIZE = 4096, HEAD_SIZE = 1024 * 1024, STRIDE = RING_CONTROL_SIZE + RING_SIZE_MAX };

_Static_assert(sizeof(struct logger_head) <= HEAD_SIZE, "the head fits its place");

static off_t ring_offset(unsigned number)
{
    return (off_t)BELL_SIZE + HEAD_SIZE + (off_t)number * STRIDE;
}

static void *map_part(int fd, off_t at, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

    return p != MAP_FAILED ? p : NULL;
}

int logger_rings_map(struct logger_rings *r, int taken)
{
    struct stat st;

    *r = (struct logger_rings){ .fd = -1 };
    if (fstat(taken, &st) == -1)
        return -1;
    if (st.st_size < ring_offset(0)) {
        errno = EINVAL;
        return -1;
    }
    r->bell = map_part(taken, 0, BELL_SIZE);
    r->head = map_part(taken, BELL_SIZE, HEAD_SIZE);
    if (r->bell != NULL && r->head != NULL && r->head->magic == LOGGER_MAGIC) {
        r->fd = taken;
        return 0;
    }
    if (r->bell != NULL && r->head != NULL)
        errno = EINVAL;
    logger_rings_close(r);
    return -1;
}

/* It never shrinks, so that nobody who maps it can be made to fault. */
static int make_file(void)
{
    int fd = memfd_create("iomuxd-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint64_t magic = LOGGER_MAGIC;

    if (fd == -1)
        return -1;
    if (ftruncate(fd, ring_offset(0)) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
        pwrite(fd, &magic, sizeof magic, BELL_SIZE + (off_t)offsetof(struct logger_head, magic)) == sizeof magic)
        return fd;
    close(fd);
    return -1;
}

int logger_rings_open(struct logger_rings *r)
{
    int fd = make_file();

    *r = (struct logger_rings){ .fd = -1 };
    if (fd == -1)
        return -1;
    if (logger_rings_map(r, fd) == 0)
        return 0;
    close(fd);
    return -1;
}

void logger_rings_close(struct logger_rings *r)
{
    if (r->bell != NULL)
        munmap(r->bell, BELL_SIZE);
    if (r->head != NULL)
        munmap(r->head, HEAD_SIZE);
    if (r->fd != -1)
        close(r->fd);
    *r = (struct logger_rings){ .fd = -1 };
}

/* ---- rings ---- */

unsigned logger_ring_of_master(void)
{
    return 0;
}

unsigned logger_ring_of(unsigned slot, enum logger_kind kind)
{
    return 1 + slot * LOGGER_KINDS + (unsigned)kind;
}

static int reach(struct logger_rings *r, unsigned number)
{
    struct stat st;

    if (fstat(r->fd, &st) == -1)
        return -1;
    if (st.st_size < ring_offset(number + 1) && ftruncate(r->fd, ring_offset(number + 1)) == -1)
        return -1;
    if (__atomic_load_n(&r->head->used, __ATOMIC_RELAXED) <= number)
        __atomic_store_n(&r->head->used, number + 1, __ATOMIC_RELEASE);
    return 0;
}

int logger_ring_make(struct logger_rings *r, unsigned number, size_t size, const char *owner)
{
    struct ring_shared *s = reach(r, number) == 0 ? map_part(r->fd, ring_offset(number), RING_CONTROL_SIZE) : NULL;

    if (s == NULL)
        return -1;
    ring_prepare(s, size, owner);
    munmap(s, RING_CONTROL_SIZE);
    return 0;
}

struct ring_shared *logger_ring_map(const struct logger_rings *r, unsigned number)
{
    return map_part(r->fd, ring_offset(number), STRIDE);
}

void logger_ring_unmap(struct ring_shared *s)
{
    if (s != NULL)
        munmap(s, STRIDE);
}

uint32_t *logger_bell_map(const struct logger_rings *r)
{
    return map_part(r->fd, 0, BELL_SIZE);
}

/* ---- targets ---- */

int logger_target_take(struct logger_rings *r)
{
    for (int i = 0; i < LOGGER_TARGETS; i++) {
        struct logger_target *t = &r->head->targets[i];

        if (logger_target_use(r, i) != LOGGER_FREE)
            continue;
        memset(t, 0, sizeof *t);
        t->order = ++r->head->orders;
        return i;
    }
    return -1;
}

void logger_target_publish(struct logger_rings *r, int target, enum logger_use use)
{
    __atomic_store_n(&r->head->targets[target].use, (uint32_t)use, __ATOMIC_RELEASE);
}

enum logger_use logger_target_use(const struct logger_rings *r, int target)
{
    return (enum logger_use)__atomic_load_n(&r->head->targets[target].use, __ATOMIC_ACQUIRE);
}
