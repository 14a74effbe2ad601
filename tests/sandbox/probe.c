/* SPDX-License-Identifier: BSD-2-Clause */
/* A service that tries what a worker must not be able to do, and one that fails in the ways in which a worker can.
 * It is in no program but the test binary, where it stands in the place of the protocol discard (Makefile.am, --wrap).
 * A line is a command, the answer is "ok" or the name of an error:
 *
 *     open PATH, write PATH    a file, by openat(2)
 *     exec                     /bin/true, in a new process or, if there can be none, in place of this one
 *     netlink                  a socket
 *     connect PORT             by TCP, on 127.0.0.1
 *     bind                     any TCP port of 127.0.0.1
 *     ptrace, signal           the parent, which is the master
 *     code                     memory that can be written and executed
 *     ring PATH                a file, by a new io_uring
 *     own-ring PATH            a file, by the worker's io_uring
 *     pid                      answers with the worker's
 *     forge N                  what a worker has answered to its master, N places behind in their shared memory
 *     spin, hang, segv, abort  nothing is answered */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "core/conn.h"

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

extern const struct proto __wrap_proto_discard;

/* ---- what must not be possible; 0, or -1 with errno ---- */

static int closed(int fd)
{
    return fd == -1 ? -1 : close(fd);
}

static int probe_open(const char *path)
{
    return closed(open(path, O_RDONLY | O_CLOEXEC));
}

static int probe_write(const char *path)
{
    return closed(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int probe_exec(const char *nothing)
{
    char program[] = "/bin/true", *const arguments[] = { program, NULL }, *const environment[] = { NULL };
    pid_t pid = fork();
    int status;

    (void)nothing;
    if (pid == -1)
        return execve(program, arguments, environment);
    if (pid == 0) {
        execve(program, arguments, environment);
        _exit(1);
    }
    if (waitpid(pid, &status, 0) == pid && status == 0)
        return 0;
    errno = ECHILD;
    return -1;
}

static int probe_netlink(const char *nothing)
{
    (void)nothing;
    return closed(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static struct sockaddr_in local_address(const char *port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons((uint16_t)atoi(port)) };
}

static int probe_connect(const char *port)
{
    struct sockaddr_in to = local_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    if (fd == -1)
        return -1;
    rc = connect(fd, (struct sockaddr *)&to, sizeof to);
    close(fd);
    return rc;
}

static int probe_bind(const char *nothing)
{
    struct sockaddr_in to = local_address("0");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    (void)nothing;
    if (fd == -1)
        return -1;
    rc = bind(fd, (struct sockaddr *)&to, sizeof to);
    close(fd);
    return rc;
}

static int probe_ptrace(const char *nothing)
{
    pid_t master = getppid();

    (void)nothing;
    if (ptrace(PTRACE_SEIZE, master, NULL, NULL) == -1)
        return -1;
    ptrace(PTRACE_INTERRUPT, master, NULL, NULL);
    waitpid(master, NULL, __WALL);
    return (int)ptrace(PTRACE_DETACH, master, NULL, NULL);
}

static int probe_signal(const char *nothing)
{
    (void)nothing;
    return kill(getppid(), 0);
}

static int probe_code(const char *nothing)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)nothing;
    return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

#ifdef HAVE_LIBURING
/* The worker's ring, as it was when it was made. */
static struct io_uring *ring_of_worker;

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    ring_of_worker = ring;
    return __real_io_uring_queue_init_params(entries, ring, p);
}

/* Results that nobody owns have no user data: the worker passes over them, as it does over this one. */
static int ring_result(struct io_uring *ring, unsigned before)
{
    struct io_uring_cqe *cqe;
    unsigned head, at = 0;

    io_uring_for_each_cqe(ring, head, cqe) {
        if (at++ >= before && io_uring_cqe_get_data(cqe) == NULL)
            return cqe->res;
    }
    return -ETIME;
}

static int ring_open(struct io_uring *ring, const char *path)
{
    struct io_uring_sqe *s = io_uring_get_sqe(ring);
    unsigned before = io_uring_cq_ready(ring);
    int result;

    io_uring_prep_openat(s, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    io_uring_sqe_set_data(s, NULL);
    result = io_uring_submit_and_wait(ring, before + 1);
    if (result >= 0)
        result = ring_result(ring, before);
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : close(result);
}

static int probe_ring(const char *path)
{
    struct io_uring_params p = { 0 };
    struct io_uring ring;
    int rc = __real_io_uring_queue_init_params(4, &ring, &p), error;

    if (rc < 0) {
        errno = -rc;
        return -1;
    }
    rc = ring_open(&ring, path);
    error = errno;
    io_uring_queue_exit(&ring);
    errno = error;
    return rc;
}

static int probe_own_ring(const char *path)
{
    errno = ENODEV;
    return ring_of_worker != NULL ? ring_open(ring_of_worker, path) : -1;
}
#else
static int probe_ring(const char *path)
{
    (void)path;
    errno = ENODEV;
    return -1;
}

static int probe_own_ring(const char *path)
{
    return probe_ring(path);
}
#endif

/* ---- failing; not inlined, for the backtrace ---- */

__attribute__((noinline)) static int probe_spin(const char *nothing)
{
    (void)nothing;
    for (volatile unsigned turns = 1; turns != 0; turns |= 1)
        ;
    return 0;
}

__attribute__((noinline)) static int probe_hang(const char *nothing)
{
    (void)nothing;
    log_write(LOG_INFO, NULL, "probe: hangs");
    while (poll(NULL, 0, 1000) == 0 || errno == EINTR)
        ;
    return -1;
}

__attribute__((noinline)) static int probe_segv(const char *nothing)
{
    volatile char *volatile p = (volatile char *)(uintptr_t)8;

    (void)nothing;
    return *p;
}

__attribute__((noinline)) static int probe_abort(const char *nothing)
{
    (void)nothing;
    abort();
}

/* ---- the protocol ---- */

static const struct { const char *name; int (*run)(const char *argument); } commands[] = {
    { "open", probe_open }, { "write", probe_write }, { "exec", probe_exec }, { "netlink", probe_netlink },
    { "connect", probe_connect }, { "bind", probe_bind }, { "ptrace", probe_ptrace }, { "signal", probe_signal },
    { "code", probe_code }, { "ring", probe_ring }, { "own-ring", probe_own_ring },
    { "spin", probe_spin }, { "hang", probe_hang }, { "segv", probe_segv }, { "abort", probe_abort },
};

static void command_run(const char *name, const char *argument, char *answer, size_t size)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        int rc = commands[i].run(argument);
        snprintf(answer, size, "%s\n", rc == 0 ? "ok" : strerrorname_np(errno));
        return;
    }
    if (strcmp(name, "pid") == 0)
        snprintf(answer, size, "%d\n", (int)getpid());
    else
        snprintf(answer, size, "unknown\n");
}

static void probe_forge(struct metric_slot *own, const char *offset)
{
    __atomic_store_n(&own[atoi(offset)].answered, 12345, __ATOMIC_RELAXED);
}

static size_t probe_input(struct conn *c, struct span in)
{
    const char *end = memchr(in.p, '\n', in.n);
    size_t n = end != NULL ? (size_t)(end - in.p) : 0;
    char line[512], answer[64], *space;

    if (end == NULL || n >= sizeof line)
        return 0;
    memcpy(line, in.p, n);
    line[n] = '\0';
    space = strchr(line, ' ');
    if (space != NULL)
        *space++ = '\0';
    if (strcmp(line, "forge") == 0)
        probe_forge(conn_env(c)->slot, space != NULL ? space : "");
    command_run(line, space != NULL ? space : "", answer, sizeof answer);
    outq_put(conn_out(c), span_of(answer));
    return n + 1;
}

const struct proto __wrap_proto_discard = { .name = "discard", .peer_speaks_first = true, .input = probe_input };
