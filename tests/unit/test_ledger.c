/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the daemon when a worker, which can write everywhere in their memory, has written nonsense. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/ledger.h"

static struct ledger t;
static int web, mail;                   /* slots */
static struct ledger_figures figures;
static struct metric_gauges gauges;

static const struct ledger_query every = { .slot = -1 };

static int take(const char *worker)
{
    struct ledger_owner who = { .pool = "main", .model = "epoll", .generation = 1 };
    int slot;

    strcpy(who.worker, worker);
    slot = ledger_take(&t, &who);
    ck_assert_int_ge(slot, 0);
    ledger_own(&t, slot, 1000000000);   /* nobody is called that */
    return slot;
}

static void setup(void)
{
    ck_assert_int_eq(ledger_open(&t), 0);
    web = take("main.0");
    mail = take("main.1");
    ledger_serve(&t, web, "web");
    ledger_serve(&t, mail, "mail");
    ledger_note(&t, "worker-ready", "main.0");
    ledger_tell_gauges(&t, "web", &(struct metric_gauges){ .accept_queue = 7 });
    t.slots[web].total.accepted = 3;
    ledger_part(&t, mail, "mail")->total.requests = 5;
}

static void teardown(void)
{
    ledger_close(&t);
}

/* All that is said there of slots, parts and what has happened; the layout stays if it is to. */
static void scribble(int byte, bool layout)
{
    size_t from = layout ? LEDGER_LAYOUT_SIZE : 0;

    memset((char *)t.names + from, byte, (size_t)((char *)t.parts - (char *)t.names) - from);
}

#define SOUND "abcdefghijklmnopqrstuvwxyz0123456789._"

static void read_everything(void)
{
    struct ledger_event e;
    struct metric_slot sum;
    struct ledger_owner o;
    char service[LEDGER_NAME_SIZE];
    unsigned n = 0;

    ledger_gather(&t, &every, &figures);
    ledger_gather(&t, &(struct ledger_query){ .service = "mail", .slot = -1 }, &figures);
    ledger_gather(&t, &(struct ledger_query){ .worker = "main.1", .slot = -1 }, &figures);
    ledger_sum(&t, &sum);
    ledger_read(&t, mail, &sum);
    for (; ledger_service(&t, n, service); n++) {
        ck_assert_uint_lt(strlen(service), LEDGER_NAME_SIZE);
        ck_assert_uint_eq(strspn(service, SOUND), strlen(service));
        (void)ledger_server(&t, n, &o);
    }
    ck_assert_uint_le(n, LEDGER_PARTS);
    for (n = 0; ledger_nth(&t, n, &o); n++) {
        ck_assert_uint_eq(strspn(o.worker, SOUND), strlen(o.worker));
        ck_assert_uint_lt(strlen(o.worker) + strlen(o.pool) + strlen(o.model), 3 * LEDGER_NAME_SIZE);
    }
    ck_assert_uint_le(n, LEDGER_ROOM);
    ck_assert_uint_lt(ledger_last_event(&t), UINT64_MAX);       /* who goes up to it comes to an end */
    (void)ledger_event_at(&t, ledger_last_event(&t), &e);
    (void)ledger_gauges_of(&t, "web", &gauges);
    (void)ledger_gauges_of(&t, "nobody", &gauges);
}

static const int bytes[] = { 0xff, 0x7f, 0x80, 0x01, 0x00 };

START_TEST(ledger_of_the_master_believes_nothing_that_a_worker_writes)
{
    struct ledger_event e;
    struct ledger_owner o;
    char service[LEDGER_NAME_SIZE];
    int slot;

    scribble(bytes[_i], true);
    read_everything();
    ledger_gather(&t, &every, &figures);
    ck_assert_uint_eq(figures.workers, 2);
    ck_assert_uint_eq(figures.counts.accepted, 3);
    ck_assert_uint_eq(figures.counts.requests, 5);
    ck_assert(ledger_server(&t, 1, &o));
    ck_assert_str_eq(o.worker, "main.1");
    ck_assert(ledger_event_at(&t, 1, &e));
    ck_assert_str_eq(e.whom, "main.0");
    ck_assert(ledger_gauges_of(&t, "web", &gauges));
    ck_assert_uint_eq(gauges.accept_queue, 7);
    ledger_tell_gauges(&t, "mail", &(struct metric_gauges){ .accept_queue = 1 });
    ck_assert(ledger_gauges_of(&t, "mail", &gauges));
    ledger_put_back(&t, mail);
    slot = take("main.1");
    ck_assert_int_eq(slot, mail);
    ledger_serve(&t, slot, "mail");
    ledger_serve(&t, slot, "news");
    ck_assert(ledger_service(&t, 2, service));
    ck_assert_str_eq(service, "news");
    ck_assert_int_eq(take("main.2"), 2);
    ledger_note(&t, "worker-died", "main.2");
    ck_assert_uint_eq(ledger_last_event(&t), 2);
}
END_TEST

START_TEST(ledger_of_a_worker_is_not_led_astray_by_another)
{
    scribble(bytes[_i], true);
    ledger_abandon(&t);
    read_everything();
    (void)ledger_part(&t, mail, "mail");
}
END_TEST

START_TEST(ledger_that_is_nonsense_is_adopted_without_it)
{
    struct ledger from = t;

    scribble(bytes[_i], false);
    ck_assert_int_eq(ledger_adopt(&t, dup(from.page.fd), false), 0);
    read_everything();
    if (t.used > 0)
        ledger_put_back(&t, (int)t.used - 1);
    ledger_close(&from);
}
END_TEST

START_TEST(ledger_that_was_kept_and_is_nonsense_is_not_gone_on_with)
{
    struct ledger from = t;

    scribble(bytes[_i], bytes[_i] != 0);        /* nothing but zeros is a register, too, if the layout is right */
    ck_assert_int_eq(ledger_adopt(&t, dup(from.page.fd), true), -1);
    ck_assert_int_eq(errno, EBADMSG);
    ledger_close(&t);
    ledger_close(&from);
}
END_TEST

START_TEST(ledger_part_of_a_slot_that_cannot_be_is_nobodys)
{
    struct ledger from = t;
    bool orphans = _i % 2 == 0;
    size_t size = (size_t)((char *)t.parts - (char *)t.names);
    char *service = memmem(t.names, size, "mail", sizeof "mail");
    struct ledger_owner o;
    int slot = _i == 0 ? LEDGER_ROOM : _i == 1 ? INT_MAX : INT_MIN;

    ck_assert_ptr_nonnull(service);
    memcpy(service - sizeof slot, &slot, sizeof slot);
    ck_assert_int_eq(ledger_adopt(&t, dup(from.page.fd), orphans), 0);
    ck_assert(!ledger_server(&t, 1, &o));
    ck_assert_ptr_null(ledger_part(&t, mail, "mail"));
    ck_assert(ledger_server(&t, 0, &o));
    ck_assert_str_eq(o.worker, "main.0");
    read_everything();
    ledger_close(&from);
}
END_TEST

/* Workers and the next program read what the master tells; what it tells of no longer is not known. */
START_TEST(ledger_has_the_gauges_that_are_told_until_they_are_forgotten)
{
    struct ledger worker = t, next;
    char name[16];

    worker.own = NULL;
    ck_assert(ledger_gauges_of(&worker, "web", &gauges));
    ck_assert_uint_eq(gauges.accept_queue, 7);
    ck_assert(!ledger_gauges_of(&worker, "mail", &gauges));
    ledger_tell_gauges(&t, "web", &(struct metric_gauges){ .accept_queue = 0 });
    ck_assert(ledger_gauges_of(&worker, "web", &gauges));
    ck_assert_uint_eq(gauges.accept_queue, 0);
    ck_assert_int_eq(ledger_adopt(&next, dup(t.page.fd), false), 0);
    ck_assert(ledger_gauges_of(&next, "web", &gauges));
    ledger_close(&next);
    ledger_forget_gauges(&t);
    ck_assert(!ledger_gauges_of(&t, "web", &gauges));
    ck_assert(!ledger_gauges_of(&worker, "web", &gauges));
    for (int i = 0; i <= LEDGER_GAUGED; i++) {          /* more than there is room for */
        snprintf(name, sizeof name, "s%d", i);
        ledger_tell_gauges(&t, name, &(struct metric_gauges){ .accept_queue = (uint64_t)i });
    }
    ck_assert(ledger_gauges_of(&worker, "s4094", &gauges));
    ck_assert_uint_eq(gauges.accept_queue, 4094);
    ck_assert(!ledger_gauges_of(&worker, "s4095", &gauges));
    ledger_tell_gauges(&t, "web", &(struct metric_gauges){ .accept_queue = 3 });
    ck_assert(ledger_gauges_of(&worker, "web", &gauges));
    ck_assert_uint_eq(gauges.accept_queue, 3);
}
END_TEST

/* A process that ends when a byte comes, or nobody is left to write one. */
static pid_t orphan_new(int *end)
{
    int ends[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    close(ends[0]);
    *end = ends[1];
    return pid;
}

/* The next master leaves it alone, as long as it lives. */
START_TEST(ledger_of_an_orphan_is_taken_back_when_it_is_gone)
{
    struct ledger from = t;
    struct ledger_owner who = { .worker = "main.0", .pool = "main", .model = "epoll", .generation = 2 };
    int end;
    pid_t pid = orphan_new(&end);

    ledger_own(&t, web, pid);
    t.slots[web].active = 7;
    ck_assert_int_eq(ledger_adopt(&t, dup(from.page.fd), _i == 0), 0);
    ledger_reclaim(&t, 5000);
    ck_assert_uint_gt(t.look_ms, 5000);
    ck_assert_uint_ne(t.look_ms, UINT64_MAX);
    ck_assert_int_eq(ledger_take(&t, &who), 2);
    ledger_gather(&t, &every, &figures);
    ck_assert_uint_eq(figures.active, 7);
    close(end);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ledger_reclaim(&t, t.look_ms);
    ck_assert_uint_eq(t.look_ms, UINT64_MAX);
    ledger_gather(&t, &every, &figures);
    ck_assert_uint_eq(figures.active, 0);
    ck_assert_uint_eq(figures.counts.accepted, 3);
    ck_assert_int_eq(ledger_take(&t, &who), web);
    ledger_close(&from);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ledger");
    TCase *c = tcase_create("ledger");
    SRunner *r = srunner_create(s);
    int failed, count = sizeof bytes / sizeof *bytes;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, ledger_of_the_master_believes_nothing_that_a_worker_writes, 0, count);
    tcase_add_loop_test(c, ledger_of_a_worker_is_not_led_astray_by_another, 0, count);
    tcase_add_loop_test(c, ledger_that_is_nonsense_is_adopted_without_it, 0, count);
    tcase_add_loop_test(c, ledger_that_was_kept_and_is_nonsense_is_not_gone_on_with, 0, count);
    tcase_add_loop_test(c, ledger_part_of_a_slot_that_cannot_be_is_nobodys, 0, 3);
    tcase_add_test(c, ledger_has_the_gauges_that_are_told_until_they_are_forgotten);
    tcase_add_loop_test(c, ledger_of_an_orphan_is_taken_back_when_it_is_gone, 0, 2);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
