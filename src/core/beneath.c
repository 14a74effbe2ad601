/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening beneath a folder: openat2(2) where the kernel has it, a careful walk where not. */
#include "core/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#endif

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* A step into a folder on the way; the old one is closed unless it is the first. */
static int step_into(int at, int first, const char *name)
{
    int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;
    if (at != first)
        close(at);
    errno = saved;
    return next;
}

static int walk(int dirfd, const char *path)
{
    char name[NAME_MAX + 1];
    int at = dirfd;
    for (;;) {
        size_t n = strcspn(path, "/");
        if (n > NAME_MAX || (n == 2 && memcmp(path, "..", 2) == 0)) {
            errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
            break;
        }
        memcpy(name, n > 0 ? path : ".", n > 0 ? n : 1);
        name[n > 0 ? n : 1] = '\0';
        if (path[n] == '\0') {
            int fd = openat(at, name, FLAGS | O_NOFOLLOW);
            int saved = errno;
            if (at != dirfd)
                close(at);
            errno = saved;
            return fd;
        }
        at = step_into(at, dirfd, name);
        if (at == -1)
            return -1;
        path += n + 1;
    }
    if (at != dirfd)
        close(at);
    return -1;
}

#if defined(HAVE_LINUX_OPENAT2_H) && defined(SYS_openat2)
enum { TRIES = 8 };             /* EAGAIN means that something was renamed meanwhile */

int beneath_open(int dirfd, const char *path)
{
    struct open_how how = { .flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    long fd = -1;
    for (int i = 0; i < TRIES; i++) {
        fd = syscall(SYS_openat2, dirfd, *path != '\0' ? path : ".", &how, sizeof how);
        if (fd != -1 || errno != EAGAIN)
            break;
    }
    if (fd == -1 && (errno == ENOSYS || errno == EPERM))    /* EPERM: a seccomp filter older than the call */
        return walk(dirfd, path);
    return (int)fd;
}
#else
int beneath_open(int dirfd, const char *path)
{
    return walk(dirfd, path);
}
#endif
