/* SPDX-License-Identifier: BSD-2-Clause */
/* From one set of listening sockets to the next: which sockets stay, who gets them, what is made new and what is
 * gone.  On real addresses of the loopback. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
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

enum { LISTENS_MAX = 4 };

/* A configuration with one service. */
struct plan {
    struct conf_listen  listens[LISTENS_MAX];
    struct conf_service service;
    struct conf         conf;
    const struct conf_service *served[1];
    struct conf_pool    everything;
    struct pool         pool;
    struct pool_set     pools;
    struct listen_set   set;
};

static const struct model can_share, cannot_share = { .own_listeners = true };
static struct plan old, new;
static struct handed handed;
static char folder[64], path[96], logged[4096];

static void keep_line(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    size_t n = strlen(logged);

    (void)arg;
    (void)level;
    (void)about;
    snprintf(logged + n, sizeof logged - n, "%.*s\n", (int)line.n, line.p);
}

static void plan_init(struct plan *p, const char *service)
{
    memset(p, 0, sizeof *p);
    p->service = (struct conf_service){ .name = service, .protocol = CONF_ECHO, .listens = p->listens };
    p->conf = (struct conf){ .services = &p->service, .service_count = 1 };
    p->served[0] = &p->service;
    p->everything = (struct conf_pool){ .name = "main", .services = p->served, .service_count = 1 };
    p->pool = (struct pool){ .conf = &p->everything, .model = &can_share };
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/test_listen_over.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    plan_init(&old, "web");
    plan_init(&new, "web");
    handed = (struct handed){ 0 };
    logged[0] = '\0';
    log_open(keep_line, NULL, LOG_DEBUG);
}

static void teardown(void)
{
    listen_close(&old.set, true);
    listen_close(&new.set, true);
    listen_free(&old.set);
    listen_free(&new.set);
    unlink(path);
    rmdir(folder);
}

static struct conf_listen *add(struct plan *p, const char *text)
{
    struct conf_listen *l = &p->listens[p->service.listen_count++];

    l->text = text;
    l->place = (struct conf_place){ .file = "test.conf", .line = p->service.listen_count };
    return l;
}

static void add_ipv4(struct plan *p, const char *host, in_port_t port, bool datagram)
{
    struct conf_listen *l = add(p, host);
    struct sockaddr_in *in = (struct sockaddr_in *)&l->address;

    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
    l->address_size = sizeof *in;
    l->datagram = datagram;
}

static void add_unix(struct plan *p)
{
    struct conf_listen *l = add(p, path);
    struct sockaddr_un *un = (struct sockaddr_un *)&l->address;

    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "%s", path);
    l->address_size = sizeof *un;
}

static int open_plan(struct plan *p, unsigned workers, const struct plan *running)
{
    struct listen_sources from = { .running = running != NULL ? &running->set : NULL, .handed = &handed };

    p->pool.workers = workers;
    p->pools = (struct pool_set){ .v = &p->pool, .count = 1, .workers = workers };
    return listen_open(&p->set, &p->conf, &p->pools, &from);
}

static in_port_t port_of(const struct plan *p, unsigned address)
{
    return ntohs(((const struct sockaddr_in *)&p->set.v[address].address)->sin_port);
}

static ino_t inode_of(int fd)
{
    struct stat st;

    ck_assert_int_eq(fstat(fd, &st), 0);
    return st.st_ino;
}

/* "0:0 1:1": socket number and worker of each descriptor. */
static void dealt(const struct plan *p, unsigned address, const char *expected)
{
    char text[256] = "";
    const struct listen_address *a = &p->set.v[address];

    for (unsigned i = 0; i < a->socket_count; i++) {
        size_t n = strlen(text);

        snprintf(text + n, sizeof text - n, "%s%u:%u", i > 0 ? " " : "", a->sockets[i].number, a->sockets[i].worker);
    }
    ck_assert_str_eq(text, expected);
}

/* How many sockets of the new address are those of the old one: by number, which stays. */
static unsigned kept(unsigned new_address, unsigned old_address)
{
    unsigned n = 0;
    const struct listen_address *a = &new.set.v[new_address], *b = &old.set.v[old_address];

    for (unsigned i = 0; i < a->socket_count; i++)
        for (unsigned j = 0; j < b->socket_count; j++)
            if (a->sockets[i].number == b->sockets[j].number &&
                inode_of(a->sockets[i].fd) == inode_of(b->sockets[j].fd))
                n++;
    return n;
}

static int client_of(in_port_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

START_TEST(over_the_same_address_keeps_its_sockets_by_worker)
{
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 3, NULL), 0);
    add_ipv4(&new, "127.0.0.1", port_of(&old, 0), false);
    ck_assert_int_eq(open_plan(&new, 3, &old), 0);
    dealt(&new, 0, "0:0 1:1 2:2");
    ck_assert_uint_eq(kept(0, 0), 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_ne(fcntl(new.set.v[0].sockets[i].fd, F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_ne(new.set.v[0].sockets[i].fd, old.set.v[0].sockets[i].fd);
    }
    listen_succeed(&new.set, &old.set);
    ck_assert(!old.set.gone[0]);
    ck_assert(new.set.v[0].inherited);
    ck_assert_int_eq(old.set.v[0].sockets[0].fd, -1);
}
END_TEST

START_TEST(over_a_port_that_the_kernel_chose_stays)
{
    add_ipv4(&old, "127.0.0.1", 0, false);
    add_ipv4(&old, "127.0.0.1", 0, false);
    add_ipv4(&old, "127.0.0.1", 0, true);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, true);
    add_ipv4(&new, "127.0.0.1", 0, false);
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    ck_assert_uint_eq(kept(0, 2), 1);
    ck_assert_uint_eq(kept(1, 0), 1);
    ck_assert_uint_eq(kept(2, 1), 1);
    ck_assert_uint_eq(port_of(&new, 1), port_of(&old, 0));
}
END_TEST

START_TEST(over_another_service_with_port_0_is_another_wish)
{
    plan_init(&new, "other");
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    ck_assert_uint_eq(kept(0, 0), 0);
    listen_succeed(&new.set, &old.set);
    ck_assert(old.set.gone[0]);
}
END_TEST

START_TEST(over_a_real_port_is_the_same_for_any_service)
{
    plan_init(&new, "other");
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", port_of(&old, 0), false);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    ck_assert_uint_eq(kept(0, 0), 1);
}
END_TEST

START_TEST(over_fewer_workers_have_all_sockets_between_them)
{
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 5, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 2, &old), 0);
    dealt(&new, 0, "0:0 1:1 2:0 3:1 4:0");
    ck_assert_uint_eq(kept(0, 0), 5);
    ck_assert_uint_eq(listen_most(&new.set, 2), 3);
}
END_TEST

START_TEST(over_more_workers_get_new_sockets)
{
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 3, &old), 0);
    dealt(&new, 0, "0:0 1:1 2:2");
    ck_assert_uint_eq(kept(0, 0), 1);
    ck_assert_uint_eq(port_of(&new, 0), port_of(&old, 0));
}
END_TEST

static unsigned told, told_fds;

static void count_stranded(void *arg, const struct listen_address *running, int fd)
{
    ck_assert_ptr_eq(arg, &old);
    ck_assert_ptr_eq(running, &old.set.v[0]);
    ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
    told++;
    told_fds |= inode_of(fd) == inode_of(old.set.v[0].sockets[0].fd);
}

START_TEST(over_what_was_made_for_nothing_is_told_and_closed)
{
    int client;

    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, false);
    add_ipv4(&new, "127.0.0.2", 0, false);
    ck_assert_int_eq(open_plan(&new, 3, &old), 0);
    told = told_fds = 0;
    listen_salvage(&new.set, count_stranded, &old);
    ck_assert_uint_eq(told, 2);
    ck_assert_uint_eq(told_fds, 0);
    listen_abandon(&new.set);
    ck_assert(!new.set.gone[0]);
    ck_assert(new.set.gone[1]);
    client = client_of(port_of(&old, 0));
    close(client);
}
END_TEST

enum { CLIENTS = 64 };

/* False: nothing waits there. */
static bool take_one(const struct listen_address *a, int from)
{
    char byte;
    int fd = a->datagram ? -1 : accept(from, NULL, NULL);

    if (fd != -1)
        close(fd);
    return a->datagram ? recv(from, &byte, 1, 0) == 1 : fd != -1;
}

/* How many of the address's sockets that were made for this plan have got something: connections are accepted, datagrams
 * received, from all of them, and there must be as many as were sent. */
static unsigned new_ones_with_clients(struct plan *p, const struct plan *before, unsigned address)
{
    struct listen_address *a = &p->set.v[address];
    unsigned with = 0, got = 0;

    for (unsigned i = 0; i < a->socket_count; i++) {
        unsigned here = 0;

        while (take_one(a, a->sockets[i].fd))
            here++;
        got += here;
        with += here > 0 && a->sockets[i].number >= before->set.v[address].socket_count;
    }
    ck_assert_uint_eq(got, CLIENTS);
    return with;
}

static void send_clients(const struct plan *p, unsigned address, int fds[CLIENTS])
{
    const struct listen_address *a = &p->set.v[address];

    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(a->address.ss_family, a->datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
        ck_assert_int_eq(connect(fds[i], (const struct sockaddr *)&a->address, a->size), 0);
        ck_assert_int_eq(send(fds[i], "x", 1, 0), 1);
    }
}

static void leave_clients(int fds[CLIENTS])
{
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

static void add_ipv6(struct plan *p)
{
    struct conf_listen *l = add(p, "[::1]:0");
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&l->address;

    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    l->address_size = sizeof *in6;
}

static void add_of_kind(struct plan *p, int kind)
{
    if (kind == 2)
        add_ipv6(p);
    else
        add_ipv4(p, "127.0.0.1", 0, kind == 1);
}

/* Streams, datagrams, and streams over IPv6. */
START_TEST(over_new_sockets_get_nothing_before_their_configuration_rules)
{
    int fds[CLIENTS];

    if (_i == 2 && !listen_ipv6_works())
        return;
    add_of_kind(&old, _i);
    ck_assert_int_eq(open_plan(&old, 2, NULL), 0);
    add_of_kind(&new, _i);
    ck_assert_int_eq(open_plan(&new, 6, &old), 0);
    send_clients(&new, 0, fds);
    ck_assert_uint_eq(new_ones_with_clients(&new, &old, 0), 0);
    leave_clients(fds);
    listen_rule(&new.set);
    send_clients(&new, 0, fds);
    ck_assert_uint_gt(new_ones_with_clients(&new, &old, 0), 0);     /* by chance none: 1 in 3^64 */
    leave_clients(fds);
}
END_TEST

START_TEST(over_old_sockets_get_everything_when_new_ones_are_given_up)
{
    struct plan again;
    int fds[CLIENTS];

    add_of_kind(&old, _i);
    ck_assert_int_eq(open_plan(&old, 2, NULL), 0);
    add_of_kind(&new, _i);
    ck_assert_int_eq(open_plan(&new, 6, &old), 0);
    listen_abandon(&new.set);
    send_clients(&old, 0, fds);
    ck_assert_uint_eq(new_ones_with_clients(&old, &old, 0), 0);
    leave_clients(fds);
    plan_init(&again, "web");
    add_of_kind(&again, _i);
    ck_assert_int_eq(open_plan(&again, 3, &old), 0);
    send_clients(&again, 0, fds);
    ck_assert_uint_eq(new_ones_with_clients(&again, &old, 0), 0);
    leave_clients(fds);
    listen_rule(&again.set);
    send_clients(&again, 0, fds);
    ck_assert_uint_eq(new_ones_with_clients(&again, &old, 0), 1);
    leave_clients(fds);
    listen_close(&again.set, true);
    listen_free(&again.set);
}
END_TEST

START_TEST(over_the_queue_of_a_socket_stays)
{
    int client, server;
    char byte = 0;

    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 2, NULL), 0);
    client = client_of(port_of(&old, 0));
    ck_assert_int_eq(send(client, "x", 1, 0), 1);
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    listen_succeed(&new.set, &old.set);
    server = -1;
    for (unsigned i = 0; i < new.set.v[0].socket_count && server == -1; i++)
        server = accept(new.set.v[0].sockets[i].fd, NULL, NULL);
    ck_assert_int_ne(server, -1);
    ck_assert_int_eq(recv(server, &byte, 1, 0), 1);
    close(client);
    close(server);
}
END_TEST

static void plans_start_again(void)
{
    listen_close(&old.set, true);
    listen_close(&new.set, true);
    listen_free(&old.set);
    listen_free(&new.set);
    plan_init(&old, "web");
    plan_init(&new, "web");
}

/* On another address the port may be somebody else's by chance: then another one is tried. */
START_TEST(over_a_port_may_move_between_one_address_and_all)
{
    int rc = -1;

    for (int tries = 0; tries < 50 && rc == -1; tries++) {
        plans_start_again();
        add_ipv4(&old, "127.0.0.1", 0, false);
        ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
        add_ipv4(&new, "0.0.0.0", port_of(&old, 0), false);
        rc = open_plan(&new, 1, &old);
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(kept(0, 0), 0);
    ck_assert_uint_eq(port_of(&new, 0), port_of(&old, 0));
}
END_TEST

START_TEST(over_somebody_else_is_noticed)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof in;
    int other = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(other, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(listen(other, 1), 0);
    ck_assert_int_eq(getsockname(other, (struct sockaddr *)&in, &size), 0);
    add_ipv4(&old, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_ipv4(&new, "127.0.0.1", 0, false);
    add_ipv4(&new, "127.0.0.1", ntohs(in.sin_port), false);
    ck_assert_int_eq(open_plan(&new, 1, &old), -1);
    ck_assert_ptr_nonnull(strstr(logged, "test.conf:2: services.web: listen 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(logged, "Address already in use"));
    listen_salvage(&new.set, count_stranded, &old);
    listen_abandon(&new.set);
    close(client_of(port_of(&old, 0)));
    close(other);
}
END_TEST

START_TEST(over_a_unix_socket_is_kept_with_its_file)
{
    struct stat before, after;

    add_unix(&old);
    ck_assert_int_eq(open_plan(&old, 2, NULL), 0);
    ck_assert_int_eq(lstat(path, &before), 0);
    add_unix(&new);
    ck_assert_int_eq(open_plan(&new, 3, &old), 0);
    dealt(&new, 0, "0:0 0:1 0:2");
    ck_assert_uint_eq(inode_of(new.set.v[0].sockets[2].fd), inode_of(old.set.v[0].sockets[0].fd));
    listen_succeed(&new.set, &old.set);
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    listen_close(&new.set, true);
    ck_assert_int_eq(lstat(path, &after), -1);
}
END_TEST

START_TEST(over_a_unix_socket_that_is_given_up_loses_its_file_and_a_failure_does_not)
{
    struct stat st;

    add_unix(&old);
    ck_assert_int_eq(open_plan(&old, 1, NULL), 0);
    add_unix(&new);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    listen_abandon(&new.set);
    ck_assert_int_eq(lstat(path, &st), 0);
    listen_free(&new.set);
    plan_init(&new, "web");
    add_ipv4(&new, "127.0.0.1", 0, false);
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    listen_succeed(&new.set, &old.set);
    ck_assert_int_eq(lstat(path, &st), -1);
    ck_assert(old.set.gone[0]);
}
END_TEST

/* So many listening sockets under one name. */
static void hand_over(const char *name, unsigned count)
{
    handed.v = calloc(count, sizeof *handed.v);
    for (; handed.count < count; handed.count++) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct handed_one *one = &handed.v[handed.count];

        one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        one->stream = true;
        snprintf(one->name, sizeof one->name, "%s", name);
        ck_assert_int_eq(bind(one->fd, (struct sockaddr *)&in, sizeof in), 0);
        ck_assert_int_eq(listen(one->fd, 8), 0);
    }
}

START_TEST(over_sockets_of_the_service_manager_are_spread)
{
    hand_over("web", 2);
    add(&old, "systemd:web")->handed = "web";
    ck_assert_int_eq(open_plan(&old, 3, NULL), 0);
    dealt(&old, 0, "0:0 1:1 0:2");
    add(&new, "systemd:web")->handed = "web";
    ck_assert_int_eq(open_plan(&new, 1, &old), 0);
    dealt(&new, 0, "0:0 1:0");
    listen_succeed(&new.set, &old.set);
    ck_assert(!old.set.gone[0]);
    handed_close(&handed);
}
END_TEST

START_TEST(over_one_worker_only_has_a_socket_where_the_model_cannot_share)
{
    hand_over("web", 1);
    add(&old, "systemd:web")->handed = "web";
    old.pool.model = &cannot_share;
    ck_assert_int_eq(open_plan(&old, 3, NULL), 0);
    dealt(&old, 0, "0:0");
    ck_assert_ptr_nonnull(strstr(logged, "worker main.1 does not serve web"));
    ck_assert_ptr_nonnull(strstr(logged, "worker main.2 does not serve web"));
    handed_close(&handed);
}
END_TEST

START_TEST(over_a_name_that_was_not_handed_over_is_an_error)
{
    hand_over("www", 1);
    add(&old, "systemd:web")->handed = "web";
    ck_assert_int_eq(open_plan(&old, 1, NULL), -1);
    ck_assert_str_eq(logged, "test.conf:1: services.web: listen systemd:web: the service manager has handed over no "
                             "listening socket of this name; what it has handed over: www\n");
    handed_close(&handed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listen_over");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, over_the_same_address_keeps_its_sockets_by_worker);
    tcase_add_test(all, over_a_port_that_the_kernel_chose_stays);
    tcase_add_test(all, over_another_service_with_port_0_is_another_wish);
    tcase_add_test(all, over_a_real_port_is_the_same_for_any_service);
    tcase_add_test(all, over_fewer_workers_have_all_sockets_between_them);
    tcase_add_test(all, over_more_workers_get_new_sockets);
    tcase_add_test(all, over_what_was_made_for_nothing_is_told_and_closed);
    tcase_add_loop_test(all, over_new_sockets_get_nothing_before_their_configuration_rules, 0, 3);
    tcase_add_loop_test(all, over_old_sockets_get_everything_when_new_ones_are_given_up, 0, 2);
    tcase_add_test(all, over_the_queue_of_a_socket_stays);
    tcase_add_test(all, over_a_port_may_move_between_one_address_and_all);
    tcase_add_test(all, over_somebody_else_is_noticed);
    tcase_add_test(all, over_a_unix_socket_is_kept_with_its_file);
    tcase_add_test(all, over_a_unix_socket_that_is_given_up_loses_its_file_and_a_failure_does_not);
    tcase_add_test(all, over_sockets_of_the_service_manager_are_spread);
    tcase_add_test(all, over_one_worker_only_has_a_socket_where_the_model_cannot_share);
    tcase_add_test(all, over_a_name_that_was_not_handed_over_is_an_error);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
