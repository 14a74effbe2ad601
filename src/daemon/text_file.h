/* SPDX-License-Identifier: BSD-2-Clause */
/* A small file, read whole. */
#ifndef DAEMON_TEXT_FILE_H
#define DAEMON_TEXT_FILE_H

#include <stddef.h>

struct text_file {
    char  *bytes;
    size_t size;
};

/* -1 with errno; EFBIG when the file has more than `max` bytes. */
int text_file_read(struct text_file *t, const char *path, size_t max);
void text_file_free(struct text_file *t);

#endif
