/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel between master and worker: whole messages, descriptors, a full socket, the other side's death,
 * and what is no message at all. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/rights.h"

static int ends[2];

static void setup(void)
{
    ck_assert_int_eq(channel_open(ends), 0);
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] != -1)
            close(ends[i]);
    }
}

static void send_kind(enum channel_kind kind, int fd)
{
    ck_assert_int_eq(channel_send(ends[0], &(struct channel_message){ .kind = kind, .fd = fd }), 0);
}

/* How many descriptors of this process are open. */
static int count_fds(void)
{
    struct rlimit limit;
    int n = 0;

    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; fd < 1024 && fd < (int)limit.rlim_cur; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

START_TEST(channel_keeps_messages_apart_and_in_order)
{
    struct channel_message m;

    send_kind(CHANNEL_READY, -1);
    send_kind(CHANNEL_DRAIN, -1);
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(m.kind, CHANNEL_READY);
    ck_assert_int_eq(m.fd, -1);
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(m.kind, CHANNEL_DRAIN);
    ck_assert_int_eq(channel_receive(ends[1], &m), 0);
}
END_TEST

START_TEST(channel_passes_a_descriptor_that_closes_on_exec)
{
    int pair[2];
    struct channel_message m;
    struct stat sent, got;

    ck_assert_int_eq(pipe(pair), 0);
    send_kind(CHANNEL_LOG, pair[1]);
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(m.kind, CHANNEL_LOG);
    ck_assert_int_ne(m.fd, pair[1]);
    ck_assert_int_eq(fstat(pair[1], &sent), 0);
    ck_assert_int_eq(fstat(m.fd, &got), 0);
    ck_assert(sent.st_ino == got.st_ino && sent.st_dev == got.st_dev);
    ck_assert_int_ne(fcntl(m.fd, F_GETFD) & FD_CLOEXEC, 0);
    close(m.fd);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(channel_tells_that_the_other_side_is_gone)
{
    struct channel_message m;

    send_kind(CHANNEL_READY, -1);
    close(ends[0]);
    ends[0] = -1;
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(channel_receive(ends[1], &m), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(channel_send(ends[1], &(struct channel_message){ .kind = CHANNEL_READY, .fd = -1 }), -1);
    ck_assert_int_eq(errno, EPIPE);
}
END_TEST

START_TEST(channel_never_waits_for_a_reader)
{
    struct channel_message m = { .kind = CHANNEL_DRAIN, .fd = -1 };
    int sent = 0;

    while (sent < 1000000 && channel_send(ends[0], &m) == 0)
        sent++;
    ck_assert_int_gt(sent, 8);
    ck_assert_int_lt(sent, 1000000);
    ck_assert_int_eq(errno, EAGAIN);
    for (int i = 0; i < sent; i++)
        ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(channel_receive(ends[1], &m), 0);
}
END_TEST

START_TEST(channel_drops_what_is_no_message_and_goes_on)
{
    static const char *const wrong[] = { "x", "ready\n", "eight by", "much longer than any message of ours" };
    struct channel_message m;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(send(ends[0], wrong[i], strlen(wrong[i]), 0), (int)strlen(wrong[i]));
        ck_assert_int_eq(channel_receive(ends[1], &m), -1);
        ck_assert_int_eq(errno, EBADMSG);
    }
    send_kind(CHANNEL_READY, -1);
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
}
END_TEST

START_TEST(channel_refuses_a_descriptor_where_none_belongs_and_closes_it)
{
    struct channel_message m;
    int before = count_fds();

    send_kind(CHANNEL_DRAIN, STDIN_FILENO);
    ck_assert_int_eq(channel_receive(ends[1], &m), -1);
    ck_assert_int_eq(errno, EBADMSG);
    send_kind(CHANNEL_LOG, -1);
    ck_assert_int_eq(channel_receive(ends[1], &m), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(channel_keeps_what_there_is_no_descriptor_for)
{
    struct rlimit before, none;
    struct rights_spares spares = { .count = 0 };
    struct channel_message m;

    send_kind(CHANNEL_DRAIN, -1);
    send_kind(CHANNEL_LOG, STDIN_FILENO);
    rights_save(&spares, ends[1]);
    ck_assert_uint_eq(spares.count, RIGHTS_SPARES);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){ .rlim_cur = (rlim_t)spares.v[RIGHTS_SPARES - 1] + 1, .rlim_max = before.rlim_max };
    setrlimit(RLIMIT_NOFILE, &none);
    while (dup(STDIN_FILENO) != -1)
        ;
    ck_assert_int_eq(channel_peek(ends[1], &m), 1);     /* this one needs none */
    ck_assert_int_eq(m.kind, CHANNEL_DRAIN);
    channel_drop(ends[1]);
    ck_assert_int_eq(channel_peek(ends[1], &m), -1);
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_int_eq(m.kind, CHANNEL_LOG);
    ck_assert(rights_spend(&spares));
    ck_assert_int_eq(channel_peek(ends[1], &m), 1);
    ck_assert_int_ne(m.fd, -1);
    channel_drop(ends[1]);
    close(m.fd);
    ck_assert_int_eq(channel_peek(ends[1], &m), 0);
    rights_save(&spares, ends[1]);
    ck_assert_uint_eq(spares.count, RIGHTS_SPARES);
    while (rights_spend(&spares))
        ;
    setrlimit(RLIMIT_NOFILE, &before);
}
END_TEST

START_TEST(channel_closes_descriptors_that_come_in_excess)
{
    int fds[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO }, before = count_fds();
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof fds)]; } control = { 0 };
    char text[] = "whatever";
    struct iovec iov = { text, sizeof text };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = &control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    struct channel_message m;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    ck_assert_int_gt(sendmsg(ends[0], &h, 0), 0);
    ck_assert_int_eq(channel_receive(ends[1], &m), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("channel");
    TCase *tc = tcase_create("channel");
    SRunner *sr = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, channel_keeps_messages_apart_and_in_order);
    tcase_add_test(tc, channel_passes_a_descriptor_that_closes_on_exec);
    tcase_add_test(tc, channel_tells_that_the_other_side_is_gone);
    tcase_add_test(tc, channel_never_waits_for_a_reader);
    tcase_add_test(tc, channel_drops_what_is_no_message_and_goes_on);
    tcase_add_test(tc, channel_refuses_a_descriptor_where_none_belongs_and_closes_it);
    tcase_add_test(tc, channel_keeps_what_there_is_no_descriptor_for);
    tcase_add_test(tc, channel_closes_descriptors_that_come_in_excess);
    suite_add_tcase(suite, tc);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
