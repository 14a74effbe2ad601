/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers' ends of real sockets. */
#include "fake/fake_net.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake/fake_proto.h"

enum { WAIT_MS = 20000, BACKLOG = 512 };

static int listen_on(int type, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(bind(fd, address, size), 0);
    ck_assert_int_eq(listen(fd, BACKLOG), 0);
    return fd;
}

int net_listen_unix(void)
{
    struct sockaddr_un any = { .sun_family = AF_UNIX };
    return listen_on(SOCK_STREAM, (struct sockaddr *)&any, sizeof any.sun_family);
}

int net_listen_packets(void)
{
    struct sockaddr_un any = { .sun_family = AF_UNIX };
    return listen_on(SOCK_SEQPACKET, (struct sockaddr *)&any, sizeof any.sun_family);
}

int net_listen_tcp(void)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return listen_on(SOCK_STREAM, (struct sockaddr *)&any, sizeof any);
}

int net_connect(int listener_fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address, type_size = sizeof(int);
    int type;
    ck_assert_int_eq(getsockname(listener_fd, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(getsockopt(listener_fd, SOL_SOCKET, SO_TYPE, &type, &type_size), 0);
    int fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ne(fd, -1);
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, size) == 0, "connect: %s", strerror(errno));
    return fd;
}

void net_send_bytes(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t part = send(fd, bytes, n, MSG_NOSIGNAL);
        ck_assert_msg(part > 0, "send: %s", strerror(errno));
        bytes += part;
        n -= (size_t)part;
    }
}

void net_send(int fd, const char *text)
{
    net_send_bytes(fd, text, strlen(text));
}

void net_shut(int fd)
{
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
}

bool net_ready(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    return poll(&p, 1, 0) == 1;
}

void net_wait(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n = poll(&p, 1, WAIT_MS);
    ck_assert_msg(n == 1, "waited in vain for the other side");
}

size_t net_take(int fd, char *to, size_t n)
{
    ssize_t part = recv(fd, to, n, MSG_DONTWAIT);
    return part > 0 ? (size_t)part : 0;
}

static void read_whole(int fd, char *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        net_wait(fd, POLLIN);
        ssize_t part = recv(fd, to + done, n - done, MSG_DONTWAIT);
        ck_assert_msg(part != 0, "the end after %zu of %zu bytes: \"%.*s\"", done, n, (int)done, to);
        ck_assert_msg(part > 0, "recv: %s", strerror(errno));
        done += (size_t)part;
    }
}

void net_expect(int fd, const char *text)
{
    size_t n = strlen(text);
    char *got = calloc(1, n + 1);
    read_whole(fd, got, n);
    ck_assert_str_eq(got, text);
    free(got);
}

void net_check_big(const char *bytes, size_t at, size_t n)
{
    size_t i = 0;
    while (i < n && bytes[i] == fake_byte(at + i))
        i++;
    ck_assert_msg(i == n, "byte %zu is wrong", at + i);
}

void net_expect_big(int fd, size_t at, size_t n)
{
    char *got = malloc(n + 1);
    read_whole(fd, got, n);
    net_check_big(got, at, n);
    free(got);
}

void net_expect_end(int fd)
{
    char byte;
    net_wait(fd, POLLIN);
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    ck_assert_msg(n == 0, "expected the end, got %s", n == -1 ? strerror(errno) : "a byte");
}

void net_expect_quiet(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    ck_assert_msg(n == -1 && errno == EAGAIN, "expected nothing, got %s",
                  n == 0 ? "the end" : "a byte or an error");
}

unsigned net_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 8192; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}
