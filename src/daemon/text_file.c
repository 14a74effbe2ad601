/* SPDX-License-Identifier: BSD-2-Clause */
/* A small file, read whole, however the file system hands it out. */
#include "daemon/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_FILE_STEP = 65536 };        /* bytes read at once */

static int text_file_grow(struct text_file *t, size_t max)
{
    char *more;

    if (t->size > max) {
        errno = EFBIG;
        return -1;
    }
    more = realloc(t->bytes, t->size + TEXT_FILE_STEP);
    if (more == NULL)
        return -1;
    t->bytes = more;
    return 0;
}

int text_file_read(struct text_file *t, const char *path, size_t max)
{
    FILE *f = fopen(path, "re");
    size_t n = 1;
    int error = 0;

    *t = (struct text_file){ 0 };
    if (f == NULL)
        return -1;
    while (error == 0 && n > 0) {
        if (text_file_grow(t, max) == -1) {
            error = errno;
            break;
        }
        n = fread(t->bytes + t->size, 1, TEXT_FILE_STEP, f);
        t->size += n;
        if (ferror(f))
            error = errno;
    }
    fclose(f);
    if (error == 0)
        return 0;
    text_file_free(t);
    errno = error;
    return -1;
}

void text_file_free(struct text_file *t)
{
    free(t->bytes);
    *t = (struct text_file){ 0 };
}
