/* SPDX-License-Identifier: BSD-2-Clause */
/* File ranges to sockets: sendfile(2) on Linux, a copy through memory elsewhere. */
#include "driver/sock.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/sendfile.h>

ssize_t sock_send_file(int fd, int file_fd, off_t offset, size_t n)
{
    return sendfile(fd, file_fd, &offset, n);
}
#else
enum { COPY_SIZE = 32 * 1024 };

ssize_t sock_send_file(int fd, int file_fd, off_t offset, size_t n)
{
    char copy[COPY_SIZE];
    ssize_t have = pread(file_fd, copy, n < sizeof copy ? n : sizeof copy, offset);
    return have > 0 ? send(fd, copy, (size_t)have, MSG_NOSIGNAL) : have;
}
#endif

#ifdef RWF_NOWAIT
static bool byte_is_cold(int file_fd, off_t offset)
{
    char byte;
    struct iovec v = { &byte, 1 };
    return preadv2(file_fd, &v, 1, offset, RWF_NOWAIT) == -1 && errno == EAGAIN;
}

/* The first and the last page tell of a piece: what the kernel reads ahead it reads in order. */
bool sock_file_is_cold(int file_fd, off_t offset, size_t n)
{
    return n > 0 && (byte_is_cold(file_fd, offset) || byte_is_cold(file_fd, offset + (off_t)n - 1));
}
#else
bool sock_file_is_cold(int file_fd, off_t offset, size_t n)
{
    (void)file_fd, (void)offset, (void)n;
    return false;
}
#endif
