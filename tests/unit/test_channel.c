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

#include "core/parcel.h"
#include "daemon/channel.h"
#include "daemon/inbox.h"
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

/* `count` copies of one descriptor, as many as may travel together. */
static void send_copies(int end, struct iovec data, int fd, unsigned count)
{
    union rights_room control = { 0 };
    struct msghdr h = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
                        .msg_controllen = CMSG_SPACE(count * sizeof fd) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof fd);
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
    ck_assert_int_eq(sendmsg(end, &h, 0), (int)data.iov_len);
}

static const unsigned counts[] = { 2, 3, RIGHTS_MAX };

START_TEST(channel_closes_descriptors_that_come_in_excess)
{
    struct { uint32_t magic, kind, value; } drain = { 0x696f6d32, CHANNEL_DRAIN, 0 }, log = { 0x696f6d32, CHANNEL_LOG, 0 };
    struct iovec data[] = { { "whatever", 8 }, { &drain, sizeof drain }, { &log, sizeof log } };
    struct channel_message m;
    int before = count_fds();

    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        send_copies(ends[0], data[i], STDIN_FILENO, counts[_i]);
        ck_assert_int_eq(channel_receive(ends[1], &m), -1);
        ck_assert_int_eq(errno, EBADMSG);
        ck_assert_int_eq(count_fds(), before);
    }
    send_copies(ends[0], data[2], STDIN_FILENO, 1);     /* the form is right */
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    close(m.fd);
}
END_TEST

/* ---- close(2) of what somebody else has made ---- */

/* A socket whose close(2) would wait for an hour, if it had something to send. */
static int lingering(void)
{
    static const struct linger hour = { 1, 3600 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof hour), 0);
    return fd;
}

static bool lingers(int fd)
{
    struct linger is;
    socklen_t size = sizeof is;

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_LINGER, &is, &size), 0);
    return is.l_onoff != 0;
}

START_TEST(channel_closes_no_socket_that_lingers)
{
    struct channel_message m;
    int fd = lingering();

    send_kind(CHANNEL_DRAIN, fd);               /* which has none */
    ck_assert(lingers(fd));
    ck_assert_int_eq(channel_receive(ends[1], &m), -1);
    ck_assert(!lingers(fd));
    close(fd);
    for (int i = 0; i < 3; i++) {               /* the kernel closes what finds no room: all find some */
        fd = lingering();
        send_copies(ends[0], (struct iovec){ "x", 1 }, fd, counts[i]);
        ck_assert_int_eq(channel_peek(ends[1], &m), -1);
        ck_assert(!lingers(fd));
        channel_drop(ends[1]);
        close(fd);
    }
}
END_TEST

static bool has_room(void *arg)
{
    (void)arg;
    return true;
}

static int refuse(void *arg, struct span parcel, int fd)
{
    (void)arg;
    (void)parcel;
    (void)fd;
    errno = EPIPE;
    return -1;
}

START_TEST(inbox_closes_no_socket_that_lingers)
{
    const struct inbox_taker nobody = { .has_room = has_room, .take = refuse };
    static char room[PARCEL_MAX];
    struct span parcel;
    int fd = lingering(), other = lingering(), before, got;

    before = count_fds();
    ck_assert_int_eq(inbox_send(ends[0], SPAN("parcel"), fd), 0);
    ck_assert_int_eq(inbox_pass(ends[1], &nobody), 1);
    ck_assert(!lingers(fd));
    send_copies(ends[0], (struct iovec){ "parcel", 6 }, other, 2);
    ck_assert_int_eq(inbox_receive(ends[1], room, &parcel, &got), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert(!lingers(other));
    ck_assert_int_eq(count_fds(), before);
    close(fd);
    close(other);
}
END_TEST

/* A pipe does not linger, and a number that is nobody's is no harm; who closes may be about to say what went wrong. */
START_TEST(rights_close_takes_anything_and_leaves_errno)
{
    int pair[2], before;

    ck_assert_int_eq(pipe(pair), 0);
    before = count_fds();
    errno = EBADMSG;
    rights_close(pair[0]);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(count_fds(), before - 1);
    errno = EBADMSG;
    rights_close(pair[1]);
    rights_close(-1);
    ck_assert_int_eq(errno, EBADMSG);
    ck_assert_int_eq(count_fds(), before - 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("channel");
    TCase *tc = tcase_create("channel"), *limited = tcase_create("limited");
    SRunner *sr = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_checked_fixture(limited, setup, teardown);
    tcase_set_tags(limited, "descriptor_limit");
    tcase_add_test(tc, channel_keeps_messages_apart_and_in_order);
    tcase_add_test(tc, channel_passes_a_descriptor_that_closes_on_exec);
    tcase_add_test(tc, channel_tells_that_the_other_side_is_gone);
    tcase_add_test(tc, channel_never_waits_for_a_reader);
    tcase_add_test(tc, channel_drops_what_is_no_message_and_goes_on);
    tcase_add_test(tc, channel_refuses_a_descriptor_where_none_belongs_and_closes_it);
    tcase_add_test(limited, channel_keeps_what_there_is_no_descriptor_for);
    tcase_add_loop_test(tc, channel_closes_descriptors_that_come_in_excess, 0, 3);
    tcase_add_test(tc, channel_closes_no_socket_that_lingers);
    tcase_add_test(tc, inbox_closes_no_socket_that_lingers);
    tcase_add_test(tc, rights_close_takes_anything_and_leaves_errno);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, limited);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
