/* SPDX-License-Identifier: BSD-2-Clause */
/* One listening socket, or one for datagrams.  Options that accepted sockets inherit are set here, once, and cost
 * nothing later.
 * Knows addresses, not workers. */
#include "daemon/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Closes without touching errno. */
static void close_quietly(int fd)
{
    int kept = errno;

    close(fd);
    errno = kept;
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

bool listen_ipv6_works(void)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works;

    if (fd == -1)
        return false;
    works = bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    close(fd);
    return works;
}

/* SO_REUSEADDR: connections of an earlier run in TIME_WAIT do not count as "in use"; listeners do.  There is no such
 * thing with datagrams, where it would let two programs have the same address (socket(7)). */
static int inet_socket(const struct listen_address *a)
{
    int type = a->datagram ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(a->address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd == -1)
        return -1;
    if ((a->datagram || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0) &&
        (a->address.ss_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !a->dual) == 0))
        return fd;
    close_quietly(fd);
    return -1;
}

bool listen_port_is_zero(const struct listen_address *a)
{
    if (a->address.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&a->address)->sin_port == 0;
    return a->address.ss_family == AF_INET6 && ((const struct sockaddr_in6 *)&a->address)->sin6_port == 0;
}

static int probe_inet(const struct listen_address *a)
{
    int fd, rc;

    if (listen_port_is_zero(a))
        return 0;
    fd = inet_socket(a);
    if (fd == -1)
        return -1;
    rc = bind(fd, (const struct sockaddr *)&a->address, a->size);
    close_quietly(fd);
    return rc;
}

/* Can a file be made there? */
static int probe_folder(const char *path)
{
    char folder[sizeof ((struct sockaddr_un *)0)->sun_path + 1];

    snprintf(folder, sizeof folder, "%s", path);
    return faccessat(AT_FDCWD, dirname(folder), W_OK | X_OK, AT_EACCESS);
}

/* What is in the way of a Unix socket: nothing (0 with *there false), the file of one that nobody listens on
 * any more (0), or something else (-1 with errno). */
static int probe_unix(const struct listen_address *a, bool *there)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    struct stat st;
    int fd, rc;

    *there = lstat(un->sun_path, &st) == 0;
    if (!*there)
        return probe_folder(un->sun_path);
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    rc = connect(fd, (const struct sockaddr *)un, a->size);
    rc = rc == -1 && errno == ECONNREFUSED ? 0 : -1;
    close(fd);
    errno = EADDRINUSE;
    return rc;
}

int listen_probe(const struct listen_address *a)
{
    bool there;

    return a->address.ss_family == AF_UNIX ? probe_unix(a, &there) : probe_inet(a);
}

/* A client that asked one address of many takes an answer from no other one: the socket is to say which it was. */
static int set_packet_options(int fd, const struct listen_address *a)
{
    if (a->address.ss_family == AF_INET6)
        return set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static int set_stream_options(int fd, const struct listen_address *a)
{
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1)
        return -1;
    return a->client_first ? set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, LISTEN_DEFER_S) : 0;
}

bool listen_is_one_address(const struct listen_address *a)
{
    if (a->address.ss_family == AF_INET6)
        return !IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->address)->sin6_addr);
    return ((const struct sockaddr_in *)&a->address)->sin_addr.s_addr != htonl(INADDR_ANY);
}

static int set_options(int fd, const struct listen_address *a)
{
    if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
        return -1;
    if (!a->datagram)
        return set_stream_options(fd, a);
    return listen_is_one_address(a) ? 0 : set_packet_options(fd, a);
}

void listen_set_options(int fd, const struct listen_address *a)
{
    if (a->address.ss_family == AF_UNIX)
        return;
    if (a->datagram) {
        if (a->handed != NULL || !listen_is_one_address(a))
            (void)set_packet_options(fd, a);
        return;
    }
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, a->client_first ? LISTEN_DEFER_S : 0);
}

static int bind_inet(struct listen_address *a)
{
    int fd = inet_socket(a);

    if (fd == -1)
        return -1;
    if (set_options(fd, a) == 0 && bind(fd, (struct sockaddr *)&a->address, a->size) == 0 &&
        (a->datagram || listen(fd, LISTEN_BACKLOG) == 0) &&
        getsockname(fd, (struct sockaddr *)&a->address, &a->size) == 0)
        return fd;
    close_quietly(fd);
    return -1;
}

/* The mode comes from the umask alone: a chmod(2) of the path later could hit another file. */
static int bind_with_mode(int fd, const struct listen_address *a)
{
    mode_t before = umask(0777 & ~LISTEN_UNIX_MODE);
    int rc = bind(fd, (const struct sockaddr *)&a->address, a->size);

    umask(before);
    return rc;
}

static int bind_unix(struct listen_address *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    struct stat st;
    bool there;
    int fd;

    if (probe_unix(a, &there) == -1 || (there && unlink(un->sun_path) == -1))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    if (bind_with_mode(fd, a) == 0) {
        a->made = lstat(un->sun_path, &st) == 0;
        a->device = st.st_dev;
        a->inode = st.st_ino;
        if (listen(fd, LISTEN_BACKLOG) == 0)
            return fd;
    }
    close_quietly(fd);
    return -1;
}

int listen_bind(struct listen_address *a)
{
    return a->address.ss_family == AF_UNIX ? bind_unix(a) : bind_inet(a);
}

void listen_unlink(struct listen_address *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    struct stat st;

    if (!a->made)
        return;
    a->made = false;
    if (lstat(un->sun_path, &st) == 0 && st.st_dev == a->device && st.st_ino == a->inode)
        unlink(un->sun_path);
}

/* Of a listening socket tcpi_unacked is the length of its queue (tcp(7) has the structure, not this). */
long listen_queue(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;

    return fd != -1 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? (long)info.tcpi_unacked : 0;
}

long listen_waiting(const struct listen_address *a)
{
    unsigned counted = 0;
    long n = 0;

    if (a->datagram || a->address.ss_family == AF_UNIX)
        return -1;
    for (unsigned i = 0; i < a->socket_count; i++) {
        if (a->sockets[i].number < counted)
            continue;           /* a copy of one that was asked */
        counted = a->sockets[i].number + 1;
        n += listen_queue(a->sockets[i].fd);
    }
    return n;
}

void listen_describe(struct listen_address *a)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (a->address.ss_family == AF_UNIX && a->size <= (socklen_t)sizeof(sa_family_t)) {
        snprintf(a->text, sizeof a->text, "unix:");         /* handed over without a name in the file system */
        return;
    }
    if (a->address.ss_family == AF_UNIX) {
        snprintf(a->text, sizeof a->text, "unix:%.*s", (int)sizeof ((struct sockaddr_un *)0)->sun_path,
                 ((const struct sockaddr_un *)&a->address)->sun_path);
        return;
    }
    if (getnameinfo((const struct sockaddr *)&a->address, a->size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(a->text, sizeof a->text, "%s", a->written);
        return;
    }
    snprintf(a->text, sizeof a->text, a->address.ss_family == AF_INET6 ? "%s[%.100s]:%.10s" : "%s%.100s:%.10s",
             a->datagram ? "udp:" : "", host, port);
}
