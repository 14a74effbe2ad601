/* SPDX-License-Identifier: BSD-2-Clause */
/* The bare floor: what the kernel alone costs for a request.  An epoll loop that reads and sends a ready
 * reply, one recv and one send for a request, and looks at nothing: it knows the size of a request and
 * counts bytes.  A measure, no server: only for a peer that sends requests of exactly that size and reads
 * its replies.
 *
 *     floor [-c] [-s COUNTS] [-r REQUEST_SIZE] [-f BODY_FILE] REPLY_FILE
 *     floor [-s COUNTS] -e | -u
 *
 * Listens on a free port of 127.0.0.1 and prints it.  REPLY_FILE holds the reply; with -f it holds only the
 * head, and the body goes out by sendfile.  -c closes the connection after each reply.  Without -r each
 * recv is one request.  -e sends back what came; -u does so with datagrams.  COUNTS is a file of at least a
 * page, in which struct counts stands at the begin. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BURST = 256,            /* events taken, and connections accepted, at once */
    COPIES = 64,            /* replies that one send can carry: more than a peer pipelines */
    INPUT_SIZE = 65536,
    BACKLOG = 4096,
    DEFER_S = 5             /* TCP_DEFER_ACCEPT: the peer speaks first */
};

/* All that is remembered of a connection. */
struct peer {
    uint64_t left;          /* bytes of replies still to send */
    uint32_t got;           /* bytes of a request that is not complete yet */
    uint32_t unread;        /* input was announced while replies were still to send */
};

/* For whoever looks on; what stands there is read while it changes. */
struct counts {
    uint64_t served;        /* requests, messages, datagrams */
    uint64_t open;          /* connections */
    uint64_t wakeups;
    uint64_t calls;         /* system calls */
};

struct floor {
    struct counts *counts;
    int          epoll;
    int          listener;
    int          body;              /* -1: the reply is all in memory */
    bool         close_each;
    bool         echo;              /* what came is the reply */
    bool         datagrams;
    char        *replies;           /* COPIES times the reply; once the head with a body file */
    size_t       head_size;         /* bytes of one reply in memory */
    size_t       reply_size;        /* head and body */
    size_t       request_size;      /* 0: each recv is one request */
    struct peer *peers;             /* by descriptor */
    size_t       peer_count;
    char         input[INPUT_SIZE];
};

static void peer_close(struct floor *f, int fd)
{
    f->peers[fd] = (struct peer){ 0 };
    f->counts->open--;
    f->counts->calls++;
    close(fd);
}

/* Replies are all alike, so what is left to send says where in a reply we are. */
static ssize_t reply_send(const struct floor *f, int fd, uint64_t left)
{
    size_t at = (f->reply_size - left % f->reply_size) % f->reply_size;

    if (f->body == -1) {
        size_t most = f->reply_size * COPIES - at;
        return send(fd, f->replies + at, left < most ? left : most, MSG_NOSIGNAL);
    }
    if (at < f->head_size)
        return send(fd, f->replies + at, f->head_size - at, MSG_NOSIGNAL | MSG_MORE);
    off_t offset = (off_t)(at - f->head_size);
    return sendfile(fd, f->body, &offset, f->reply_size - at);
}

/* Returns false if the connection is gone. */
static bool peer_flush(struct floor *f, int fd)
{
    struct peer *p = &f->peers[fd];

    while (p->left != 0) {
        ssize_t n = reply_send(f, fd, p->left);
        f->counts->calls++;
        if (n == -1 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            peer_close(f, fd);
            return false;
        }
        p->left -= (uint64_t)n;
        if (p->left == 0 && f->close_each) {
            peer_close(f, fd);
            return false;
        }
    }
    return true;
}

/* Sends back what was read.  What does not fit is not kept: the peer's messages are small, and it waits for
 * each of them to come back. */
static bool peer_echo(struct floor *f, int fd, size_t n)
{
    ssize_t sent = send(fd, f->input, n, MSG_NOSIGNAL);

    f->counts->calls++;
    f->counts->served++;
    if (sent != (ssize_t)n) {
        peer_close(f, fd);
        return false;
    }
    return true;
}

static uint64_t requests_in(const struct floor *f, struct peer *p, size_t n)
{
    if (f->request_size == 0)
        return 1;
    uint64_t bytes = p->got + n;
    p->got = (uint32_t)(bytes % f->request_size);
    return bytes / f->request_size;
}

/* Reads once: a short read proves the socket empty unless the peer has closed.
 * Returns false if the connection is gone. */
static bool peer_read(struct floor *f, int fd, bool to_the_end)
{
    struct peer *p = &f->peers[fd];

    for (;;) {
        ssize_t n = recv(fd, f->input, sizeof f->input, 0);
        f->counts->calls++;
        if (n == -1 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            peer_close(f, fd);
            return false;
        }
        bool more = to_the_end || (size_t)n == sizeof f->input;
        if (f->echo) {
            if (!peer_echo(f, fd, (size_t)n))
                return false;
            if (!more)
                return true;
            continue;
        }
        uint64_t requests = requests_in(f, p, (size_t)n);
        f->counts->served += requests;
        p->left += requests * f->reply_size;
        if (!peer_flush(f, fd))
            return false;
        if (p->left != 0)
            p->unread = more;
        if (p->left != 0 || !more)
            return true;
    }
}

static void peer_event(struct floor *f, int fd, uint32_t events)
{
    struct peer *p = &f->peers[fd];
    bool readable = (events & (uint32_t)~EPOLLOUT) != 0;

    if (p->left != 0) {
        p->unread |= readable;
        if (!peer_flush(f, fd) || p->left != 0)
            return;
        readable = p->unread != 0;
        p->unread = 0;
    }
    if (readable)
        peer_read(f, fd, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

static void peer_watch(struct floor *f, int fd)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd };

    f->counts->calls++;
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &e) == -1)
        err(1, "epoll_ctl");
}

static void listener_event(struct floor *f)
{
    for (int i = 0; i < BURST; i++) {
        int fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        f->counts->calls++;
        if (fd == -1 && errno == EAGAIN)
            return;
        if (fd == -1)
            err(1, "accept4");
        if ((size_t)fd >= f->peer_count)
            errx(1, "too many connections");
        f->counts->open++;
        /* One request for each connection: its bytes came with the connection, and it is closed by now. */
        if (!f->close_each || peer_read(f, fd, false))
            peer_watch(f, fd);
    }
}

/* One datagram in, one out, until there is none. */
static void datagrams_event(struct floor *f)
{
    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        ssize_t n = recvfrom(f->listener, f->input, sizeof f->input, 0, (struct sockaddr *)&peer, &size);

        f->counts->calls++;
        if (n == -1)
            return;
        f->counts->calls++;
        f->counts->served++;
        sendto(f->listener, f->input, (size_t)n, 0, (struct sockaddr *)&peer, size);
    }
}

static void floor_run(struct floor *f)
{
    struct epoll_event events[BURST];

    for (;;) {
        int n = epoll_wait(f->epoll, events, BURST, -1);
        f->counts->wakeups++;
        f->counts->calls++;
        if (n == -1 && errno != EINTR)
            err(1, "epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != f->listener)
                peer_event(f, events[i].data.fd, events[i].events);
            else if (f->datagrams)
                datagrams_event(f);
            else
                listener_event(f);
        }
    }
}

static void floor_listen(struct floor *f)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    struct epoll_event e = { .events = EPOLLIN };
    int kind = f->datagrams ? SOCK_DGRAM : SOCK_STREAM;

    f->listener = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->listener == -1)
        err(1, "socket");
    if (!f->datagrams
        && (setsockopt(f->listener, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == -1
            || setsockopt(f->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ DEFER_S }, sizeof(int)) == -1))
        err(1, "setsockopt");
    if (bind(f->listener, (struct sockaddr *)&at, sizeof at) == -1
        || (!f->datagrams && listen(f->listener, BACKLOG) == -1)
        || getsockname(f->listener, (struct sockaddr *)&at, &size) == -1)
        err(1, "listen");
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    e.data.fd = f->listener;
    if (f->epoll == -1 || epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->listener, &e) == -1)
        err(1, "epoll");
    printf("%u\n", (unsigned)ntohs(at.sin_port));
    fflush(stdout);
}

static size_t file_open(const char *name, int *fd)
{
    struct stat st;

    *fd = open(name, O_RDONLY | O_CLOEXEC);
    if (*fd == -1 || fstat(*fd, &st) == -1)
        err(1, "%s", name);
    if (st.st_size <= 0)
        errx(1, "%s: empty", name);
    return (size_t)st.st_size;
}

static void reply_load(struct floor *f, const char *name, const char *body_name)
{
    int fd;

    f->head_size = file_open(name, &fd);
    f->replies = calloc(COPIES, f->head_size);
    if (f->replies == NULL)
        err(1, "memory");
    if (read(fd, f->replies, f->head_size) != (ssize_t)f->head_size)
        err(1, "%s", name);
    close(fd);
    for (size_t i = 1; i < COPIES; i++)
        memcpy(f->replies + i * f->head_size, f->replies, f->head_size);
    f->body = -1;
    f->reply_size = f->head_size;
    if (body_name != NULL)
        f->reply_size += file_open(body_name, &f->body);
}

static void peers_make(struct floor *f)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        err(1, "getrlimit");
    f->peer_count = files.rlim_cur < (1 << 20) ? (size_t)files.rlim_cur : (1 << 20);
    f->peers = calloc(f->peer_count, sizeof *f->peers);
    if (f->peers == NULL)
        err(1, "memory");
}

static void counts_share(struct floor *f, const char *name)
{
    int fd = open(name, O_RDWR | O_CLOEXEC);
    void *page = fd == -1 ? MAP_FAILED : mmap(NULL, sizeof *f->counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        err(1, "%s", name);
    close(fd);
    f->counts = page;
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: floor [-c] [-s COUNTS] [-r REQUEST_SIZE] [-f BODY_FILE] REPLY_FILE\n"
                                "       floor [-s COUNTS] -e | -u\n";
    const char *body_name = NULL;
    struct counts own = { 0 };
    struct floor *f = calloc(1, sizeof *f);
    int option;

    if (f == NULL)
        err(1, "memory");
    f->counts = &own;
    while ((option = getopt(argc, argv, "cr:f:s:eu")) != -1) {
        if (option == 'c')
            f->close_each = true;
        else if (option == 'r')
            f->request_size = strtoul(optarg, NULL, 10);
        else if (option == 'f')
            body_name = optarg;
        else if (option == 's')
            counts_share(f, optarg);
        else if (option == 'e')
            f->echo = true;
        else if (option == 'u')
            f->datagrams = true;
        else
            break;
    }
    bool back = f->echo || f->datagrams;
    if (option != -1 || optind != argc - (back ? 0 : 1)) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);       /* sendfile has no MSG_NOSIGNAL */
    if (!back)
        reply_load(f, argv[optind], body_name);
    peers_make(f);
    floor_listen(f);
    floor_run(f);
}
