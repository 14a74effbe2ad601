/* SPDX-License-Identifier: BSD-2-Clause */
/* Landlock by the system calls themselves, for glibc has no functions for them, with what each version of the
 * interface knows: the headers of the machine that iomuxd is built on may be older than the kernel that it runs on. */
#include "daemon/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all machines, like every call since Linux 5.1. */
enum { CALL_CREATE = 444, CALL_ADD = 445, CALL_RESTRICT = 446 };

enum { CREATE_ASK_VERSION = 1, RULE_BENEATH = 1 };      /* flags and kinds of those calls */

struct ruleset {
    uint64_t files;             /* what is forbidden unless a rule allows it */
    uint64_t net;               /* version 4 */
    uint64_t scoped;            /* version 6: what stays among those that are restricted like this process */
};

struct rule {
    uint64_t allowed;
    int32_t  beneath;           /* a descriptor */
} __attribute__((packed));

enum {
    FILE_EXECUTE = 1 << 0, FILE_WRITE = 1 << 1, FILE_READ = 1 << 2, FILE_READ_FOLDER = 1 << 3,
    FILES_V1 = (1 << 13) - 1,   /* these, and making and removing all kinds of files */
    FILES_V2 = 1 << 13,         /* renaming and linking into another folder */
    FILES_V3 = 1 << 14,         /* truncating */
    FILES_V5 = 1 << 15,         /* ioctl(2) on devices */
    NET_V4 = 3,                 /* TCP: bind, connect */
    SCOPED_V6 = 3               /* abstract Unix sockets, signals */
};

int landlock_version(void)
{
    long version = syscall(CALL_CREATE, NULL, 0, CREATE_ASK_VERSION);

    return version > 0 ? (int)version : 0;
}

static struct ruleset ruleset_of(int version)
{
    return (struct ruleset){ .files = (uint64_t)FILES_V1 | (version >= 2 ? FILES_V2 : 0) |
                                      (version >= 3 ? FILES_V3 : 0) | (version >= 5 ? FILES_V5 : 0),
                             .net = version >= 4 ? NET_V4 : 0, .scoped = version >= 6 ? SCOPED_V6 : 0 };
}

/* A kernel takes a structure that ends where its version ended. */
static size_t ruleset_size(int version)
{
    if (version >= 6)
        return sizeof(struct ruleset);
    return version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int rule_add(int ruleset, int beneath, uint64_t allowed)
{
    struct rule rule = { .allowed = allowed, .beneath = beneath };

    return (int)syscall(CALL_ADD, ruleset, RULE_BENEATH, &rule, 0);
}

static int rule_add_file(int ruleset, const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC), rc;

    if (fd == -1)
        return 0;
    rc = rule_add(ruleset, fd, FILE_READ);
    close(fd);
    return rc;
}

static int rules_add(int ruleset, const int *folders, unsigned folder_count, const char *const *files)
{
    for (unsigned i = 0; i < folder_count; i++)
        if (rule_add(ruleset, folders[i], FILE_READ | FILE_READ_FOLDER) == -1)
            return -1;
    for (; *files != NULL; files++)
        if (rule_add_file(ruleset, *files) == -1)
            return -1;
    return 0;
}

int landlock_enter(const int *folders, unsigned folder_count, const char *const *files)
{
    int version = landlock_version(), fd, rc, error;
    struct ruleset rules = ruleset_of(version);

    if (version == 0)
        return 0;
    fd = (int)syscall(CALL_CREATE, &rules, ruleset_size(version), 0);
    if (fd == -1)
        return 0;
    rc = rules_add(fd, folders, folder_count, files);
    if (rc == 0)
        rc = (int)syscall(CALL_RESTRICT, fd, 0);
    error = errno;
    close(fd);
    errno = error;
    return rc == 0 ? version : 0;
}
