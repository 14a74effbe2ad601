/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of how driver/sock.c sends a file that is read past the page cache: it asks for loads and sends from the
 * stage.  A memfd stands for the file; it takes reads of any alignment, which direct.c's own tests look at. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/file.h"
#include "driver/direct.h"
#include "driver/sock.h"
#include "driver/stage.h"
#include "driver/warm.h"

enum { SIZE = 3 * STAGE_SIZE + 77 };

static size_t nothing_taken(struct conn *c, struct span in)
{
    (void)c;
    return in.n;
}

static const struct proto silent = { .name = "silent", .input = nothing_taken };

struct link {
    struct env     env;
    struct service service;
    struct conn   *conn;
    struct file   *file;
    struct root   *root;
    struct direct_load load;
    int            peer;
    unsigned       loads, log_lines;
};

static char byte_at(size_t at)
{
    return (char)(at * 2654435761u >> 13);
}

static void line_counted(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct link *k = arg;
    (void)level, (void)about, (void)line;
    k->log_lines++;
}

static struct file *pattern_file(struct root *root, unsigned align)
{
    struct file *f = calloc(1, sizeof *f);
    char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    *f = (struct file){ .fd = memfd_create("file", MFD_CLOEXEC), .refs = 1, .size = SIZE, .root = root,
                        .direct_align = align };
    ck_assert_int_eq(write(f->fd, bytes, SIZE), SIZE);
    free(bytes);
    return f;
}

static void link_open(struct link *k, unsigned align)
{
    int fds[2], room = 4 * SIZE;
    *k = (struct link){ .service = { .name = "test", .proto = &silent } };
    log_open(line_counted, k, LOG_DEBUG);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    env_init(&k->env, NULL);
    k->root = root_open("/");
    k->file = pattern_file(k->root, align);
    k->conn = conn_new(&k->env, &k->service, fds[0], &(struct peer){ 0 }, 0);
    k->peer = fds[1];
    k->load.stage = stage_alone();
    ck_assert_ptr_nonnull(k->load.stage);
}

static void link_close(struct link *k)
{
    close(k->conn->fd);
    conn_free(k->conn);
    close(k->peer);
    file_unref(k->file);
    root_close(k->root);
    free(k->load.stage);
    env_free(&k->env);
    log_open(NULL, NULL, LOG_NOTICE);
}

static bool link_load(struct link *k)
{
    sock_plan_load(k->conn, &k->load);
    k->loads++;
    return sock_end_load(k->conn, &k->load, warm_load(&(struct warm_range){
        .fd = k->file->fd, .offset = k->load.offset, .n = k->load.n, .to = k->load.stage }));
}

/* Takes what has come and checks it against the file from *at on. */
static void link_take(struct link *k, size_t *at)
{
    char got[8192];
    ssize_t n;
    while ((n = recv(k->peer, got, sizeof got, 0)) > 0)
        for (ssize_t i = 0; i < n; i++, ++*at)
            if (got[i] != byte_at(*at))         /* an assertion for each byte would cost a message each */
                ck_abort_msg("byte %zu is wrong", *at);
}

static void check_sent(struct link *k, size_t first, size_t n)
{
    size_t at = first;
    outq_file(&k->conn->out, file_ref(k->file), (off_t)first, n);
    for (int rounds = 0; k->conn->out.bytes > 0; rounds++) {
        ck_assert_int_lt(rounds, 1000);
        enum sock_flushed f = k->load.ready > 0 ? sock_flush_load(k->conn, &k->load) : sock_flush(k->conn, true);
        ck_assert_int_ne(f, SOCK_BROKEN);
        if (f == SOCK_DIRECT)
            ck_assert(link_load(k));
        link_take(k, &at);
    }
    link_take(k, &at);
    ck_assert_uint_eq(at, first + n);
    ck_assert_uint_eq(k->load.ready, 0);
}

START_TEST(sock_sends_every_range_of_a_direct_file)
{
    static const size_t at[] = { 0, 1, 511, 512, 4095, 4096, 4097, STAGE_SIZE - 1, STAGE_SIZE, STAGE_SIZE + 1,
                                 SIZE - 1 };
    static const size_t n[] = { 1, 512, 4096, STAGE_SIZE - 4095, STAGE_SIZE, STAGE_SIZE + 1, SIZE };
    struct link k;
    link_open(&k, _i == 0 ? 512 : 4096);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        for (size_t j = 0; j < sizeof n / sizeof n[0]; j++)
            check_sent(&k, at[i], n[j] < SIZE - at[i] ? n[j] : SIZE - at[i]);
    ck_assert_uint_gt(k.loads, 0);
    link_close(&k);
}
END_TEST

START_TEST(sock_asks_for_no_load_of_a_cached_file)
{
    struct link k;
    link_open(&k, 0);
    check_sent(&k, 1, SIZE - 1);
    ck_assert_uint_eq(k.loads, 0);
    link_close(&k);
}
END_TEST

/* A small buffer makes the kernel take pieces of pieces. */
START_TEST(sock_goes_on_in_the_stage_where_the_socket_blocked)
{
    struct link k;
    int room = 4096;
    link_open(&k, 4096);
    setsockopt(k.conn->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    check_sent(&k, 4095, SIZE - 4095);
    ck_assert_uint_le(k.loads, 4);
    link_close(&k);
}
END_TEST

START_TEST(sock_goes_through_the_cache_when_a_direct_read_is_refused)
{
    struct link k;
    size_t at = 100;
    link_open(&k, 512);
    outq_file(&k.conn->out, file_ref(k.file), 100, SIZE - 100);
    ck_assert_int_eq(sock_flush(k.conn, true), SOCK_DIRECT);
    sock_plan_load(k.conn, &k.load);
    struct direct_load other = k.load;          /* of a second connection, under way at the same time */
    ck_assert(sock_end_load(k.conn, &k.load, -EINVAL));
    ck_assert(sock_end_load(k.conn, &other, -EINVAL));
    ck_assert_uint_eq(k.load.ready, 0);
    ck_assert_uint_eq(k.file->direct_align, 0);
    ck_assert_uint_eq(k.log_lines, 1);
    while (k.conn->out.bytes > 0) {
        ck_assert_int_le(sock_flush(k.conn, true), SOCK_BLOCKED);
        link_take(&k, &at);
    }
    link_take(&k, &at);
    ck_assert_uint_eq(at, SIZE);
    link_close(&k);
}
END_TEST

START_TEST(sock_says_broken_when_a_load_fails_or_the_file_shrank)
{
    struct link k;
    link_open(&k, 512);
    outq_file(&k.conn->out, file_ref(k.file), STAGE_SIZE + 100, 1000);
    sock_plan_load(k.conn, &k.load);
    ck_assert(!sock_end_load(k.conn, &k.load, -EIO));
    ck_assert_int_eq(ftruncate(k.file->fd, STAGE_SIZE + 100), 0);
    ck_assert(!link_load(&k));
    ck_assert_int_eq(ftruncate(k.file->fd, 0), 0);
    ck_assert(!link_load(&k));
    k.load.align = 0;                           /* -EINVAL of a read that was not direct has another cause */
    ck_assert(!sock_end_load(k.conn, &k.load, -EINVAL));
    ck_assert_uint_eq(k.file->direct_align, 512);
    link_close(&k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sock_load");
    TCase *t = tcase_create("sock_load");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, sock_sends_every_range_of_a_direct_file, 0, 2);
    tcase_add_test(t, sock_asks_for_no_load_of_a_cached_file);
    tcase_add_test(t, sock_goes_on_in_the_stage_where_the_socket_blocked);
    tcase_add_test(t, sock_goes_through_the_cache_when_a_direct_read_is_refused);
    tcase_add_test(t, sock_says_broken_when_a_load_fails_or_the_file_shrank);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
