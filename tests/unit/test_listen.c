/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets, on real addresses of the loopback: who gets one, who is refused, what is left
 * behind. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/listen.h"
#include "daemon/listen_socket.h"

enum { LISTENS_MAX = 4, WORKERS = 3 };

static struct conf_listen listens[LISTENS_MAX];
static struct conf_service service;
static const struct conf_service *served[] = { &service };
static const struct conf_pool everything = { .name = "main", .services = served, .service_count = 1 },
                              nothing = { .name = "none" };
static const struct model can_share, cannot_share = { .own_listeners = true };
static struct conf conf;
static struct listen_set set;
static char folder[64], path[96];
static unsigned worker_count;
static char logged[4096];

static void keep_line(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    size_t n = strlen(logged);

    (void)arg;
    (void)level;
    (void)about;
    snprintf(logged + n, sizeof logged - n, "%.*s\n", (int)line.n, line.p);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/test_listen.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    memset(listens, 0, sizeof listens);
    service = (struct conf_service){ .name = "web", .protocol = CONF_ECHO, .listens = listens };
    conf = (struct conf){ .services = &service, .service_count = 1 };
    set = (struct listen_set){ 0 };
    logged[0] = '\0';
    log_open(keep_line, NULL, LOG_DEBUG);
}

static void teardown(void)
{
    listen_close(&set, true);
    listen_free(&set);
    unlink(path);
    rmdir(folder);
}

static int opened_by(struct pool *pools, unsigned count)
{
    struct pool_set all = { .v = pools, .count = count };

    for (unsigned i = 0; i < count; i++) {
        pools[i].first = all.workers;
        all.workers += pools[i].workers;
    }
    worker_count = all.workers;
    return listen_open(&set, &conf, &all, &(struct listen_sources){ 0 });
}

/* The first socket that a worker has of an address; -1: none. */
static int fd_of(unsigned address, unsigned worker)
{
    const struct listen_address *a = &set.v[address];

    for (unsigned i = 0; i < a->socket_count; i++)
        if (a->sockets[i].worker == worker && a->sockets[i].fd != -1)
            return a->sockets[i].fd;
    return -1;
}

/* One pool of everything, with so many workers. */
static int opened(unsigned workers)
{
    struct pool main = { .conf = &everything, .model = &can_share, .workers = workers };

    return opened_by(&main, 1);
}

/* Who has the first address: "+-" is the first of two workers. */
static void held_by(const char *workers)
{
    char text[16] = "";

    for (unsigned w = 0; w < worker_count; w++)
        text[w] = fd_of(0, w) != -1 ? '+' : '-';
    ck_assert_str_eq(text, workers);
}

/* A port that the kernel gave for one kind of socket, or on one address, may be somebody else's on others by chance: then
 * another one is tried.  No more is open. */
enum { PORTS_TRIED = 50 };

static void start_again(void)
{
    listen_close(&set, true);
    listen_free(&set);
    memset(listens, 0, sizeof listens);
    service.listen_count = 0;
}

static struct conf_listen *add_listen(void)
{
    struct conf_listen *l = &listens[service.listen_count++];

    l->place = (struct conf_place){ .file = "test.conf", .line = 10 + service.listen_count };
    return l;
}

static void add_ipv4(const char *host, in_port_t port)
{
    struct conf_listen *l = add_listen();
    struct sockaddr_in *in = (struct sockaddr_in *)&l->address;

    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
    l->address_size = sizeof *in;
    l->text = host;
}

static void add_ipv6(const struct in6_addr *host, in_port_t port, bool wildcard)
{
    struct conf_listen *l = add_listen();
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&l->address;

    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_addr = *host;
    l->address_size = sizeof *in6;
    l->wildcard = wildcard;
    l->text = "ipv6";
}

static struct sockaddr_un unix_address(const char *where)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    snprintf(un.sun_path, sizeof un.sun_path, "%s", where);
    return un;
}

static void add_unix(const char *where)
{
    struct conf_listen *l = add_listen();
    struct sockaddr_un un = unix_address(where);

    memcpy(&l->address, &un, sizeof un);
    l->address_size = sizeof un;
    l->text = where;
}

static in_port_t port_of(int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t size = sizeof at;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&at)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)&at)->sin_port);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* A socket of somebody else on a port of the loopback, chosen by the kernel; shares if it is allowed to.  One that does not
 * listen leaves the port to whoever asks for it by number and says SO_REUSEADDR, and to nobody by chance. */
static int other_listener(bool listening)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    if (listening)
        ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

static int connect_ipv4(in_port_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static int connect_ipv6(in_port_t port)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
                                .sin6_addr = in6addr_loopback };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in6, sizeof in6), 0);
    return fd;
}

START_TEST(listen_gives_each_worker_a_socket_on_the_port_that_came)
{
    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened(WORKERS), 0);
    ck_assert_uint_eq(set.count, 1);
    for (unsigned w = 0; w < WORKERS; w++) {
        ck_assert_uint_ne(port_of(fd_of(0, w)), 0);
        ck_assert_uint_eq(port_of(fd_of(0, w)), port_of(fd_of(0, 0)));
        ck_assert_int_eq(option_of(fd_of(0, w), SOL_SOCKET, SO_ACCEPTCONN), 1);
        ck_assert_int_ne(fcntl(fd_of(0, w), F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_ne(fcntl(fd_of(0, w), F_GETFD) & FD_CLOEXEC, 0);
    }
}
END_TEST

START_TEST(listen_says_the_real_address)
{
    char text[64];

    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened(1), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", port_of(fd_of(0, 0)));
    ck_assert_str_eq(set.v[0].text, text);
    ck_assert_str_eq(set.v[0].protocol, "echo");
}
END_TEST

START_TEST(listen_sets_what_accepted_sockets_inherit)
{
    int client, server;

    service.protocol = CONF_GREET;      /* is accepted before the client says anything */
    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened(1), 0);
    client = connect_ipv4(port_of(fd_of(0, 0)));
    server = accept(fd_of(0, 0), NULL, NULL);
    ck_assert_int_ne(server, -1);
    ck_assert_int_eq(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
    close(client);
    close(server);
}
END_TEST

START_TEST(listen_defers_a_client_that_speaks_first)
{
    service.protocol = CONF_HTTP;
    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened(1), 0);
    ck_assert_int_gt(option_of(fd_of(0, 0), IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    listen_close(&set, true);
    listen_free(&set);
    service.protocol = CONF_GREET;
    ck_assert_int_eq(opened(1), 0);
    ck_assert_int_eq(option_of(fd_of(0, 0), IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
}
END_TEST

START_TEST(listen_takes_ipv4_and_ipv6_with_a_bare_port)
{
    in_port_t port;
    int client;

    add_ipv6(&in6addr_any, 0, true);
    ck_assert_int_eq(opened(2), 0);
    port = port_of(fd_of(0, 0));
    client = connect_ipv4(port);
    close(client);
    if (!listen_ipv6_works())
        return;
    client = connect_ipv6(port);
    close(client);
}
END_TEST

START_TEST(listen_leaves_ipv4_to_others_when_an_ipv6_address_is_named)
{
    in_port_t port;

    if (!listen_ipv6_works())
        return;
    add_ipv6(&in6addr_any, 0, false);
    ck_assert_int_eq(opened(1), 0);
    port = port_of(fd_of(0, 0));
    ck_assert_int_eq(option_of(fd_of(0, 0), IPPROTO_IPV6, IPV6_V6ONLY), 1);
    ck_assert_uint_ne(port, 0);
}
END_TEST

START_TEST(listen_does_not_share_a_port_with_another_program)
{
    int other = other_listener(true);
    in_port_t port = port_of(other);
    char said[160];

    add_ipv4("127.0.0.1", port);
    ck_assert_int_eq(opened(WORKERS), -1);
    snprintf(said, sizeof said, "test.conf:11: services.web: listen 127.0.0.1:%u: Address already in use\n",
             port);
    ck_assert_str_eq(logged, said);
    close(other);
}
END_TEST

START_TEST(listen_does_not_take_all_addresses_from_one_that_is_in_use)
{
    int other = other_listener(true);

    add_ipv6(&in6addr_any, port_of(other), true);
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "Address already in use"));
    close(other);
}
END_TEST

START_TEST(listen_is_not_kept_out_by_connections_of_an_earlier_run)
{
    int listener = other_listener(true), client, server;
    in_port_t port = port_of(listener);

    client = connect_ipv4(port);
    server = accept(listener, NULL, NULL);
    close(server);              /* closed first on this side: the port stays in TIME_WAIT */
    close(client);
    close(listener);
    add_ipv4("127.0.0.1", port);
    ck_assert_int_eq(opened(2), 0);
}
END_TEST

START_TEST(listen_names_every_address_that_fails_and_keeps_none)
{
    int one = other_listener(true), two = other_listener(true), free_one = other_listener(false);

    add_ipv4("127.0.0.1", port_of(one));
    add_ipv4("127.0.0.1", port_of(free_one));
    add_ipv4("127.0.0.1", port_of(two));
    add_unix("/nonexistent/folder/socket");
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:11: "));
    ck_assert_ptr_null(strstr(logged, "test.conf:12: "));
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:13: "));
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:14: services.web: listen "
                                         "unix:/nonexistent/folder/socket: No such file or directory"));
    for (unsigned i = 0; i < set.count; i++)
        ck_assert_int_eq(fd_of(i, 0), -1);
    close(free_one);
    close(one);
    close(two);
}
END_TEST

START_TEST(listen_refuses_the_same_address_twice)
{
    int other = other_listener(false);
    in_port_t port = port_of(other);

    close(other);
    add_ipv4("127.0.0.1", port);
    add_ipv4("127.0.0.1", port);
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:12: "));
}
END_TEST

START_TEST(listen_takes_port_0_twice)
{
    add_ipv4("127.0.0.1", 0);
    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened(2), 0);
    ck_assert_uint_ne(port_of(fd_of(0, 0)), port_of(fd_of(1, 0)));
}
END_TEST

START_TEST(listen_takes_a_port_on_all_addresses_and_on_one)
{
    int rc = -1;

    for (int tries = 0; tries < PORTS_TRIED && rc == -1; tries++) {
        int other = other_listener(false);

        start_again();
        add_ipv6(&in6addr_any, port_of(other), true);
        add_ipv4("127.0.0.1", port_of(other));
        rc = opened(2);
        close(other);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(listen_shares_one_unix_socket_among_workers)
{
    struct stat a, b;

    add_unix(path);
    ck_assert_int_eq(opened(2), 0);
    ck_assert_int_ne(fd_of(0, 0), fd_of(0, 1));
    ck_assert_int_eq(fstat(fd_of(0, 0), &a), 0);
    ck_assert_int_eq(fstat(fd_of(0, 1), &b), 0);
    ck_assert_uint_eq(a.st_ino, b.st_ino);
    ck_assert_int_eq(stat(path, &a), 0);
    ck_assert_uint_eq(a.st_mode & 0777, LISTEN_UNIX_MODE);
    ck_assert_ptr_nonnull(strstr(set.v[0].text, path));
}
END_TEST

/* Somebody else's datagram socket, which would share by either option. */
static int other_datagrams(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

START_TEST(listen_gives_each_worker_a_datagram_socket_on_the_port_that_came)
{
    char text[64];

    add_ipv4("127.0.0.1", 0);
    listens[0].datagram = true;
    ck_assert_int_eq(opened(WORKERS), 0);
    for (unsigned w = 0; w < WORKERS; w++) {
        ck_assert_uint_eq(port_of(fd_of(0, w)), port_of(fd_of(0, 0)));
        ck_assert_int_eq(option_of(fd_of(0, w), SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
        ck_assert_int_eq(option_of(fd_of(0, w), SOL_SOCKET, SO_REUSEADDR), 0);
        ck_assert_int_eq(option_of(fd_of(0, w), IPPROTO_IP, IP_PKTINFO), 0);
    }
    snprintf(text, sizeof text, "udp:127.0.0.1:%u", port_of(fd_of(0, 0)));
    ck_assert_str_eq(set.v[0].text, text);
}
END_TEST

START_TEST(listen_learns_the_address_that_a_datagram_was_sent_to)
{
    add_ipv4("0.0.0.0", 0);
    add_ipv6(&in6addr_any, 0, true);
    listens[0].datagram = listens[1].datagram = true;
    ck_assert_int_eq(opened(1), 0);
    ck_assert_int_eq(option_of(fd_of(0, 0), IPPROTO_IP, IP_PKTINFO), 1);
    if (set.v[1].address.ss_family == AF_INET6)
        ck_assert_int_eq(option_of(fd_of(1, 0), IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
}
END_TEST

START_TEST(listen_takes_a_port_for_streams_and_for_datagrams)
{
    int rc = -1;

    for (int tries = 0; tries < PORTS_TRIED && rc == -1; tries++) {
        int stream = other_listener(true);

        start_again();
        add_ipv4("127.0.0.1", port_of(stream));
        listens[0].datagram = true;
        rc = opened(2);
        close(stream);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(listen_takes_a_port_twice_in_one_daemon)
{
    int rc = -1;

    for (int tries = 0; tries < PORTS_TRIED && rc == -1; tries++) {
        int datagrams = other_datagrams();
        in_port_t port = port_of(datagrams);

        close(datagrams);
        start_again();
        add_ipv4("127.0.0.1", port);
        add_ipv4("127.0.0.1", port);
        listens[0].datagram = true;
        rc = opened(2);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(listen_does_not_share_a_datagram_port_with_another_program)
{
    int other = other_datagrams();

    add_ipv4("127.0.0.1", port_of(other));
    listens[0].datagram = true;
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "listen udp:127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(logged, "Address already in use"));
    close(other);
}
END_TEST

START_TEST(listen_refuses_the_same_datagram_address_twice)
{
    int other = other_datagrams();
    in_port_t port = port_of(other);

    close(other);
    add_ipv4("127.0.0.1", port);
    add_ipv4("127.0.0.1", port);
    listens[0].datagram = listens[1].datagram = true;
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:12: "));
}
END_TEST

/* A Unix socket's file as a daemon that was killed leaves it. */
static int bound_unix(void)
{
    struct sockaddr_un un = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    return fd;
}

START_TEST(listen_replaces_a_unix_socket_that_nobody_serves)
{
    close(bound_unix());
    add_unix(path);
    ck_assert_int_eq(opened(1), 0);
}
END_TEST

START_TEST(listen_leaves_a_unix_socket_that_somebody_serves)
{
    int other = bound_unix();
    struct stat before, after;

    ck_assert_int_eq(listen(other, 8), 0);
    ck_assert_int_eq(stat(path, &before), 0);
    add_unix(path);
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "Address already in use"));
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    close(other);
}
END_TEST

START_TEST(listen_leaves_a_file_that_is_no_socket)
{
    struct stat st;

    close(open(path, O_CREAT | O_WRONLY, 0600));
    add_unix(path);
    ck_assert_int_eq(opened(1), -1);
    ck_assert_ptr_nonnull(strstr(logged, "File exists"));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(listen_removes_its_unix_socket_but_not_another_one)
{
    struct stat st;

    add_unix(path);
    ck_assert_int_eq(opened(1), 0);
    listen_close(&set, true);
    ck_assert_int_eq(stat(path, &st), -1);
    listen_free(&set);
    ck_assert_int_eq(opened(1), 0);
    ck_assert_int_eq(unlink(path), 0);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    listen_close(&set, true);
    ck_assert_int_eq(stat(path, &st), 0);
}
END_TEST

START_TEST(listen_keeps_only_what_is_a_workers_own)
{
    add_ipv4("127.0.0.1", 0);
    add_unix(path);
    ck_assert_int_eq(opened(WORKERS), 0);
    listen_keep_only(&set, 1);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(fd_of(i, 0), -1);
        ck_assert_int_ne(fcntl(fd_of(i, 1), F_GETFD), -1);
        ck_assert_int_eq(fd_of(i, 2), -1);
    }
}
END_TEST

START_TEST(listen_gives_sockets_to_the_workers_of_the_pools_that_serve)
{
    struct pool pools[] = { { .conf = &nothing, .model = &can_share, .workers = 2 },
                            { .conf = &everything, .model = &cannot_share, .workers = 2 },
                            { .conf = &nothing, .model = &cannot_share, .workers = 1 },
                            { .conf = &everything, .model = &can_share, .workers = 1 } };

    add_ipv4("127.0.0.1", 0);
    ck_assert_int_eq(opened_by(pools, 4), 0);
    held_by("--++-+");
    ck_assert_uint_eq(port_of(fd_of(0, 2)), port_of(fd_of(0, 5)));
    ck_assert_uint_eq(listen_most(&set, worker_count), 1);
}
END_TEST

START_TEST(listen_shares_a_unix_socket_among_the_pools_that_serve)
{
    struct pool pools[] = { { .conf = &nothing, .model = &can_share, .workers = 1 },
                            { .conf = &everything, .model = &can_share, .workers = 2 },
                            { .conf = &everything, .model = &can_share, .workers = 1 } };
    struct stat a, b;

    add_unix(path);
    ck_assert_int_eq(opened_by(pools, 3), 0);
    held_by("-+++");
    ck_assert_int_eq(fstat(fd_of(0, 1), &a), 0);
    ck_assert_int_eq(fstat(fd_of(0, 3), &b), 0);
    ck_assert_uint_eq(a.st_ino, b.st_ino);
}
END_TEST

START_TEST(listen_gives_a_unix_socket_to_one_worker_of_models_that_cannot_share)
{
    struct pool pools[] = { { .conf = &nothing, .model = &cannot_share, .workers = 1 },
                            { .conf = &everything, .model = &cannot_share, .workers = 2 },
                            { .conf = &everything, .model = &cannot_share, .workers = 2 } };

    add_unix(path);
    ck_assert_int_eq(opened_by(pools, 3), 0);
    held_by("-+---");
}
END_TEST

START_TEST(listen_lets_one_worker_that_cannot_share_beside_all_that_can)
{
    struct pool pools[] = { { .conf = &everything, .model = &can_share, .workers = 2 },
                            { .conf = &everything, .model = &cannot_share, .workers = 2 },
                            { .conf = &everything, .model = &can_share, .workers = 1 } };

    add_unix(path);
    ck_assert_int_eq(opened_by(pools, 3), 0);
    held_by("+++-+");
}
END_TEST

static Suite *listen_suite(void)
{
    Suite *suite = suite_create("listen");
    TCase *tc = tcase_create("listen");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, listen_gives_each_worker_a_socket_on_the_port_that_came);
    tcase_add_test(tc, listen_says_the_real_address);
    tcase_add_test(tc, listen_sets_what_accepted_sockets_inherit);
    tcase_add_test(tc, listen_defers_a_client_that_speaks_first);
    tcase_add_test(tc, listen_takes_ipv4_and_ipv6_with_a_bare_port);
    tcase_add_test(tc, listen_leaves_ipv4_to_others_when_an_ipv6_address_is_named);
    tcase_add_test(tc, listen_does_not_share_a_port_with_another_program);
    tcase_add_test(tc, listen_does_not_take_all_addresses_from_one_that_is_in_use);
    tcase_add_test(tc, listen_is_not_kept_out_by_connections_of_an_earlier_run);
    tcase_add_test(tc, listen_names_every_address_that_fails_and_keeps_none);
    tcase_add_test(tc, listen_refuses_the_same_address_twice);
    tcase_add_test(tc, listen_takes_port_0_twice);
    tcase_add_test(tc, listen_takes_a_port_on_all_addresses_and_on_one);
    tcase_add_test(tc, listen_gives_each_worker_a_datagram_socket_on_the_port_that_came);
    tcase_add_test(tc, listen_learns_the_address_that_a_datagram_was_sent_to);
    tcase_add_test(tc, listen_takes_a_port_for_streams_and_for_datagrams);
    tcase_add_test(tc, listen_takes_a_port_twice_in_one_daemon);
    tcase_add_test(tc, listen_does_not_share_a_datagram_port_with_another_program);
    tcase_add_test(tc, listen_refuses_the_same_datagram_address_twice);
    tcase_add_test(tc, listen_shares_one_unix_socket_among_workers);
    tcase_add_test(tc, listen_replaces_a_unix_socket_that_nobody_serves);
    tcase_add_test(tc, listen_leaves_a_unix_socket_that_somebody_serves);
    tcase_add_test(tc, listen_leaves_a_file_that_is_no_socket);
    tcase_add_test(tc, listen_removes_its_unix_socket_but_not_another_one);
    tcase_add_test(tc, listen_keeps_only_what_is_a_workers_own);
    tcase_add_test(tc, listen_gives_sockets_to_the_workers_of_the_pools_that_serve);
    tcase_add_test(tc, listen_shares_a_unix_socket_among_the_pools_that_serve);
    tcase_add_test(tc, listen_gives_a_unix_socket_to_one_worker_of_models_that_cannot_share);
    tcase_add_test(tc, listen_lets_one_worker_that_cannot_share_beside_all_that_can);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *sr = srunner_create(listen_suite());
    int failed;

    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
