/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox: what a full channel did not take follows in order, what is void is dropped, nothing grows for ever
 * or waits for ever. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/crew.h"
#include "daemon/outbox.h"
#include "daemon/pool.h"
#include "driver/model.h"

enum { NOBODY = 65534 };

static int ends[2];
static struct outbox owed;

static void setup(void)
{
    ck_assert_int_eq(channel_open(ends), 0);
    owed = (struct outbox){ .v = NULL };
}

static void teardown(void)
{
    outbox_clear(&owed);
    for (int i = 0; i < 2; i++)
        if (ends[i] != -1)
            close(ends[i]);
}

static int put(enum channel_kind kind, uint32_t value, int fd)
{
    return outbox_put(&owed, (struct channel_message){ .kind = kind, .value = value, .fd = fd });
}

/* Until the channel takes no more; how many. */
static unsigned fill_channel(void)
{
    unsigned n = 0;

    while (channel_send(ends[0], &(struct channel_message){ .kind = CHANNEL_LEVEL, .fd = -1 }) == 0)
        n++;
    return n;
}

static unsigned count_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

START_TEST(outbox_sends_in_order_what_the_channel_takes)
{
    unsigned before = fill_channel(), next = 0;
    struct channel_message m;

    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(put(CHANNEL_SERVES, i, -1), 0);
    outbox_send(&owed, ends[0], 5);
    ck_assert_uint_eq(owed.count - owed.first, 1000);
    ck_assert_uint_eq(owed.again_ms, 0);                /* poll(2) says when */
    for (unsigned i = 0; i < before; i++)
        ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    while (!outbox_is_empty(&owed)) {
        outbox_send(&owed, ends[0], 5);
        if (next == 0)          /* one more behind the others, when some have gone */
            ck_assert_int_eq(put(CHANNEL_DRAIN, 1000, -1), 0);
        while (channel_receive(ends[1], &m) == 1) {
            ck_assert_uint_eq(m.value, next);
            next++;
        }
    }
    ck_assert_uint_eq(next, 1001);
    ck_assert_int_eq(m.kind, CHANNEL_DRAIN);
    ck_assert_ptr_null(owed.v);
}
END_TEST

START_TEST(outbox_owns_descriptors)
{
    unsigned before = count_fds();
    struct channel_message m;

    ck_assert_int_eq(put(CHANNEL_HEIR, 1, dup(STDERR_FILENO)), 0);
    ck_assert_int_eq(put(CHANNEL_HEIR, 2, dup(STDERR_FILENO)), 0);
    outbox_send(&owed, ends[0], 5);
    ck_assert(outbox_is_empty(&owed));
    ck_assert_uint_eq(count_fds(), before);
    for (uint32_t i = 1; i <= 2; i++) {
        ck_assert_int_eq(channel_receive(ends[1], &m), 1);
        ck_assert_uint_eq(m.value, i);
        ck_assert_int_ne(m.fd, -1);
        close(m.fd);
    }
    ck_assert_int_eq(put(CHANNEL_HEIR, 3, dup(STDERR_FILENO)), 0);
    outbox_clear(&owed);
    ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* Other heirs are told of; a level is set; the log is opened again: only the last counts. */
START_TEST(outbox_drops_what_is_void)
{
    unsigned before = count_fds();

    for (uint32_t i = 0; i < 3 * OUTBOX_MAX; i++) {
        ck_assert_int_eq(put(CHANNEL_HEIRS, i, -1), 0);
        ck_assert_int_eq(put(CHANNEL_HEIR, i, dup(STDERR_FILENO)), 0);
        ck_assert_int_eq(put(CHANNEL_SERVES, i, -1), 0);
        ck_assert_int_eq(put(CHANNEL_LOG, i, dup(STDERR_FILENO)), 0);
        ck_assert_int_eq(put(CHANNEL_LEVEL, i, -1), 0);
        ck_assert_int_eq(put(CHANNEL_RECLAIM, i, -1), 0);
        ck_assert_int_eq(put(CHANNEL_ASK, i, -1), 0);
        ck_assert_int_eq(put(CHANNEL_DRAIN, i, -1), 0);
    }
    ck_assert_uint_eq(owed.count - owed.first, 8);
    ck_assert_int_eq(owed.v[owed.count - 1].kind, CHANNEL_DRAIN);       /* behind the heirs whom it is about */
    ck_assert_uint_eq(count_fds(), before + 2);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(owed.v[owed.first + i].value, 3 * OUTBOX_MAX - 1);
}
END_TEST

START_TEST(outbox_has_a_bound)
{
    unsigned before = count_fds();

    for (uint32_t i = 0; i < OUTBOX_MAX; i++)
        ck_assert_int_eq(put(CHANNEL_SERVES, i, -1), 0);
    ck_assert_int_eq(put(CHANNEL_HEIR, 0, dup(STDERR_FILENO)), -1);
    ck_assert_int_eq(errno, ENOBUFS);
    ck_assert_uint_eq(count_fds(), before);
    outbox_send(&owed, ends[0], 5);
    ck_assert_int_eq(put(CHANNEL_DRAIN, 0, -1), 0);     /* some have gone */
}
END_TEST

START_TEST(outbox_owes_nothing_to_who_is_gone)
{
    unsigned before;

    close(ends[1]);
    ends[1] = -1;
    before = count_fds();
    ck_assert_int_eq(put(CHANNEL_HEIR, 0, dup(STDERR_FILENO)), 0);
    outbox_send(&owed, ends[0], 5);
    ck_assert(outbox_is_empty(&owed));
    ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* The kernel lets nobody send descriptors while more are on their way than he may have open, unless he is root. */
START_TEST(outbox_gives_heirs_up_when_no_descriptor_can_be_sent)
{
    struct rlimit before, none;
    struct channel_message m;
    uid_t self = geteuid();
    bool poor;

    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(put(CHANNEL_HEIR, i, dup(STDERR_FILENO)), 0);
    ck_assert_int_eq(put(CHANNEL_DRAIN, 4, -1), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
    ck_assert_int_eq(channel_send(ends[0], &(struct channel_message){ .kind = CHANNEL_HEIR, .fd = STDERR_FILENO }), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    poor = (self != 0 || seteuid(NOBODY) == 0) &&
           channel_send(ends[0], &(struct channel_message){ .kind = CHANNEL_HEIR, .fd = STDERR_FILENO }) == -1;
    if (poor) {
        ck_assert_int_eq(errno, ETOOMANYREFS);
        outbox_send(&owed, ends[0], 5);
        ck_assert_uint_eq(owed.again_ms, 25);
        outbox_send(&owed, ends[0], 1004);
        ck_assert_uint_eq(owed.count - owed.first, 4);
        outbox_send(&owed, ends[0], 1005);
        ck_assert(outbox_is_empty(&owed));
    }
    ck_assert_int_eq(seteuid(self), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    (void)prctl(PR_SET_DUMPABLE, 1);    /* the leak sanitizer looks at the end */
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    close(m.fd);
    ck_assert_int_eq(channel_receive(ends[1], &m), poor);
    ck_assert(!poor || (m.kind == CHANNEL_DRAIN && m.value == 4));
}
END_TEST

/* Who has not read yet is asked all the same whether he lives; everything else has its turn. */
START_TEST(crew_asks_past_what_is_owed)
{
    struct model model = { .name = "epoll" };
    struct pool pool = { .model = &model };
    struct worker_slot slot = { .pool = &pool, .name = "main.0", .pid = 1, .channel = ends[0] };
    struct crew crew = { .v = &slot, .count = 1 };
    struct channel_message m;

    ck_assert_int_eq(outbox_put(&slot.owed, (struct channel_message){ .kind = CHANNEL_DRAIN, .fd = -1 }), 0);
    ck_assert(crew_tell_one(&crew, 0, &(struct channel_message){ .kind = CHANNEL_LEVEL, .fd = -1 }));
    ck_assert(crew_tell_one(&crew, 0, &(struct channel_message){ .kind = CHANNEL_ASK, .value = 1, .fd = -1 }));
    ck_assert_int_eq(channel_receive(ends[1], &m), 1);
    ck_assert_int_eq(m.kind, CHANNEL_ASK);
    ck_assert_int_eq(channel_receive(ends[1], &m), 0);
    fill_channel();
    ck_assert(crew_tell_one(&crew, 0, &(struct channel_message){ .kind = CHANNEL_ASK, .fd = -1 }));
    ck_assert_uint_eq(slot.owed.count - slot.owed.first, 3);
    outbox_clear(&slot.owed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tc = tcase_create("outbox"), *limited = tcase_create("limited");
    SRunner *sr = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_checked_fixture(limited, setup, teardown);
    tcase_set_tags(limited, "descriptor_limit");
    tcase_add_test(tc, outbox_sends_in_order_what_the_channel_takes);
    tcase_add_test(tc, outbox_owns_descriptors);
    tcase_add_test(tc, outbox_drops_what_is_void);
    tcase_add_test(tc, outbox_has_a_bound);
    tcase_add_test(tc, outbox_owes_nothing_to_who_is_gone);
    tcase_add_test(limited, outbox_gives_heirs_up_when_no_descriptor_can_be_sent);
    tcase_add_test(tc, crew_asks_past_what_is_owed);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, limited);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
