/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory with a descriptor.  Knows nothing of what is kept there. */
#include "daemon/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int shared_map(struct shared *s, int fd, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        return -1;
    *s = (struct shared){ .at = at, .size = size, .fd = fd };
    return 0;
}

int shared_open(struct shared *s, const char *name, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), error;

    *s = (struct shared){ .fd = -1 };
    if (fd == -1)
        return -1;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
        shared_map(s, fd, size) == 0)
        return 0;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

int shared_adopt(struct shared *s, int taken, size_t size)
{
    struct stat st;

    *s = (struct shared){ .fd = -1 };
    if (fstat(taken, &st) == -1)
        return -1;
    if (!S_ISREG(st.st_mode) || st.st_size != (off_t)size) {
        errno = EBADMSG;
        return -1;
    }
    return shared_map(s, taken, size);
}

void shared_abandon(struct shared *s)
{
    if (s->at != NULL && s->fd != -1)
        close(s->fd);
    s->fd = -1;
}

void shared_close(struct shared *s)
{
    if (s->at == NULL)
        return;
    shared_abandon(s);
    munmap(s->at, s->size);
    *s = (struct shared){ .fd = -1 };
}
