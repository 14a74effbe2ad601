/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of a configuration, taken into memory whole.  Knows nothing of what is in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_source.h"

static char *read_whole(int fd, size_t *size)
{
    char *text = malloc(CONF_TEXT_MAX + 2);
    ssize_t n = 1;

    for (*size = 0; text != NULL && n > 0 && *size <= CONF_TEXT_MAX; *size += n > 0 ? (size_t)n : 0)
        do
            n = read(fd, text + *size, CONF_TEXT_MAX + 1 - *size);
        while (n == -1 && errno == EINTR);
    if (n == -1 || text == NULL) {
        free(text);
        return NULL;
    }
    text[*size] = '\0';
    return text;
}

/* NULL: it may be read, else why not. */
static const char *judge_file(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return "is a folder, not a file";
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_size > CONF_TEXT_MAX)
        return "is too long: a configuration has at most 1 MiB";
    return NULL;
}

/* O_NONBLOCK: a FIFO must not hold us up. */
char *conf_file_load(const char *path, size_t *size, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = NULL;
    struct stat st;

    *why = NULL;
    if (fd != -1 && fstat(fd, &st) == 0 && (*why = judge_file(&st)) == NULL)
        text = read_whole(fd, size);
    if (text == NULL && *why == NULL)
        *why = strerror(errno);
    if (fd != -1)
        close(fd);
    return text;
}
