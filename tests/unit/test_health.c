/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is asked, who is taken for stuck and when, and what becomes of him.  The workers are processes that do nothing;
 * what they would answer is written here, and the time is told. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/crew.h"
#include "daemon/health.h"

enum { WORKERS = 2, WATCHDOG_MS = 1000, LOOK_MS = WATCHDOG_MS / 4, STARTED_MS = 5000, PATIENCE = 6 };

static const struct model model = { .name = "epoll" };
static const struct pool pool = { .model = &model };
static struct worker_slot slots[WORKERS];
static struct metric_slot metrics[WORKERS];
static struct ledger ledger = { .slots = metrics };
static struct crew crew = { .v = slots, .ledger = &ledger, .count = WORKERS };
static struct health health;
static int worker_ends[WORKERS];
static uint64_t now_ms;
static unsigned said;           /* lines of the log */

static void count_lines(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    (void)arg, (void)level, (void)line;
    said += about->event != NULL && strcmp(about->event, "worker-stuck") == 0;
}

static pid_t idle_process(bool ignores_abort)
{
    pid_t pid = fork();

    ck_assert_int_ne(pid, -1);
    if (pid != 0)
        return pid;
    if (ignores_abort)
        signal(SIGABRT, SIG_IGN);
    for (;;)
        pause();
}

static void worker_begin_with(unsigned at, bool ignores_abort)
{
    int ends[2];

    ck_assert_int_eq(channel_open(ends), 0);
    slots[at] = (struct worker_slot){ .name = "main.0", .pool = &pool, .channel = ends[0], .ledger = (int)at, .ready = true };
    worker_ends[at] = ends[1];
    slots[at].pid = idle_process(ignores_abort);
}

static void setup(void)
{
    log_open(count_lines, NULL, LOG_DEBUG);
    memset(metrics, 0, sizeof metrics);
    said = 0;
    now_ms = STARTED_MS;
    for (unsigned i = 0; i < WORKERS; i++)
        worker_begin_with(i, false);
    health_open(&health, WATCHDOG_MS, now_ms);
}

static void teardown(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        if (slots[i].pid != 0) {
            kill(slots[i].pid, SIGKILL);
            waitpid(slots[i].pid, NULL, 0);
        }
        outbox_clear(&slots[i].owed);
        close(slots[i].channel);
        close(worker_ends[i]);
    }
}

/* The signal that ended a worker; waits for it. */
static int signal_of(unsigned at)
{
    int status;

    ck_assert_int_eq(waitpid(slots[at].pid, &status, 0), slots[at].pid);
    slots[at].pid = 0;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool lives(unsigned at)
{
    return waitpid(slots[at].pid, NULL, WNOHANG) == 0;
}

static unsigned questions(unsigned at)
{
    struct channel_message m;
    unsigned n = 0;

    while (channel_receive(worker_ends[at], &m) == 1)
        n += m.kind == CHANNEL_ASK;
    return n;
}

static void answer(unsigned at)
{
    metrics[at].answered = metrics[at].asked;
}

static uint64_t due_ms(void)
{
    uint64_t mine = health_due_ms(&health), theirs = health_crew_due_ms(&crew);

    return mine < theirs ? mine : theirs;
}

static void turn(bool judging)
{
    health_begin(&health, now_ms);
    health_look(&health, &crew, now_ms, judging);
    health_end(&health, now_ms);
}

/* Lets time pass until health wants to look again; at most `ms`. */
static void pass(uint64_t ms)
{
    uint64_t due = due_ms();

    now_ms = due < now_ms + ms ? due : now_ms + ms;
    turn(true);
}

START_TEST(health_asks_each_worker_four_times_in_the_time_of_the_watchdog)
{
    for (unsigned i = 0; i < 40; i++) {
        pass(UINT32_MAX);
        ck_assert_uint_eq(now_ms, STARTED_MS + i * LOOK_MS);
        for (unsigned w = 0; w < WORKERS; w++) {
            ck_assert_uint_eq(questions(w), 1);
            answer(w);
        }
    }
    ck_assert(lives(0) && lives(1));
    ck_assert_uint_eq(said, 0);
}
END_TEST

START_TEST(health_ends_who_is_silent_for_that_time_and_nobody_else)
{
    for (uint64_t end = now_ms + WATCHDOG_MS; now_ms < end; pass(LOOK_MS)) {
        answer(1);
        ck_assert(lives(0));
    }
    ck_assert_uint_eq(said, 1);
    ck_assert_int_eq(signal_of(0), SIGABRT);
    ck_assert(lives(1));
}
END_TEST

START_TEST(health_kills_who_does_not_end_when_told)
{
    teardown();
    worker_begin_with(0, true);
    worker_begin_with(1, false);
    while (slots[0].pulse.kill_ms == 0) {
        answer(1);
        pass(LOOK_MS);
    }
    while (!slots[0].pulse.killed) {
        answer(1);
        ck_assert_uint_le(due_ms(), slots[0].pulse.kill_ms);
        pass(LOOK_MS);
    }
    ck_assert_uint_le(now_ms, STARTED_MS + WATCHDOG_MS + LOOK_MS + 2000);
    ck_assert_int_ne(signal_of(0), 0);
    ck_assert(lives(1));
}
END_TEST

START_TEST(health_kills_who_was_stopped_at_once)
{
    siginfo_t info;

    kill(slots[0].pid, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)slots[0].pid, &info, WSTOPPED | WNOWAIT), 0);
    while (slots[0].pulse.kill_ms == 0) {
        answer(1);
        pass(LOOK_MS);
    }
    ck_assert(slots[0].pulse.killed);
    ck_assert_int_eq(signal_of(0), SIGKILL);
}
END_TEST

START_TEST(health_counts_a_time_in_which_it_did_not_run_itself_as_one_look)
{
    for (unsigned i = 0; i < 3; i++) {
        pass(LOOK_MS);
        answer(0);
        answer(1);
        now_ms += 3600 * 1000;
        turn(true);
    }
    now_ms += 3600 * 1000;
    turn(true);
    ck_assert_uint_eq(slots[0].pulse.silent_ms, LOOK_MS);
    ck_assert(lives(0) && lives(1));
}
END_TEST

START_TEST(health_has_more_patience_with_a_worker_that_starts)
{
    slots[0].ready = false;
    for (uint64_t end = now_ms + PATIENCE * WATCHDOG_MS; now_ms < end; pass(LOOK_MS)) {
        answer(1);
        ck_assert(lives(0));
        ck_assert_uint_eq(questions(0), 0);
    }
    ck_assert_int_eq(signal_of(0), SIGABRT);
}
END_TEST

START_TEST(health_ends_nobody_when_it_is_not_to_judge)
{
    for (unsigned i = 0; i < 100; i++) {
        now_ms += LOOK_MS;
        turn(false);
    }
    ck_assert(lives(0) && lives(1));
    ck_assert_uint_eq(said, 0);
}
END_TEST

START_TEST(health_without_a_watchdog_asks_nobody_and_never_wants_to_be_called)
{
    health_open(&health, 0, now_ms);
    ck_assert(due_ms() == UINT64_MAX);
    now_ms += 1000 * 1000;
    turn(true);
    ck_assert_uint_eq(questions(0), 0);
    ck_assert(lives(0) && lives(1));
}
END_TEST

START_TEST(health_follows_another_configuration)
{
    pass(LOOK_MS);
    health_set(&health, 4 * WATCHDOG_MS, now_ms);
    ck_assert_uint_eq(due_ms(), now_ms);
    pass(0);
    ck_assert_uint_eq(due_ms(), now_ms + 4 * LOOK_MS);
    health_set(&health, 0, now_ms);
    ck_assert(due_ms() == UINT64_MAX);
}
END_TEST

START_TEST(health_forgets_what_a_slot_was_asked_before)
{
    metrics[0].asked = 7;
    metrics[0].sandbox = 1;
    health_start(&metrics[0]);
    ck_assert_uint_eq(metrics[0].asked, metrics[0].answered);
    ck_assert_uint_eq(metrics[0].sandbox, 0);
}
END_TEST

START_TEST(health_stands_a_channel_that_nobody_reads)
{
    health_open(&health, 3600 * 1000, now_ms);
    for (unsigned i = 0; i < 2000; i++) {
        answer(0);
        answer(1);
        now_ms += health.interval_ms;
        turn(true);
    }
    ck_assert_uint_gt(questions(0), 10);
    ck_assert(lives(0) && lives(1));
}
END_TEST

START_TEST(health_asks_who_did_not_read_when_he_does)
{
    struct channel_message m = { .kind = CHANNEL_LEVEL, .fd = -1 };

    while (channel_send(slots[0].channel, &m) == 0)
        ;
    turn(true);
    pass(WATCHDOG_MS / 4);
    ck_assert_uint_gt(metrics[0].asked, metrics[0].answered);
    ck_assert_uint_eq(questions(0), 0);
    crew_tell_owed(&crew, now_ms);
    ck_assert_uint_eq(questions(0), 1);
    answer(0);
    pass(WATCHDOG_MS / 4);
    ck_assert_uint_eq(slots[0].pulse.silent_ms, 0);
}
END_TEST

START_TEST(health_puts_a_question_again_that_had_no_place)
{
    struct channel_message m = { .kind = CHANNEL_SERVES, .fd = -1 };

    while (crew_tell_one(&crew, 0, &m))
        ;
    pass(WATCHDOG_MS / 4);
    ck_assert_uint_gt(metrics[0].asked, metrics[0].answered);
    while (!outbox_is_empty(&slots[0].owed)) {
        ck_assert_uint_eq(questions(0), 0);
        crew_tell_owed(&crew, now_ms);
    }
    questions(0);
    pass(WATCHDOG_MS / 4);
    ck_assert_uint_eq(questions(0), 1);
}
END_TEST

/* Whatever others write. */
START_TEST(health_believes_who_says_that_he_lives)
{
    struct channel_message m;

    for (uint64_t end = now_ms + 10 * WATCHDOG_MS; now_ms < end; pass(LOOK_MS)) {
        answer(1);
        metrics[0].answered = 12345;
        while (channel_receive(worker_ends[0], &m) == 1)
            if (m.kind == CHANNEL_ASK && m.value != 0)
                ck_assert_int_eq(channel_send(worker_ends[0], &(struct channel_message){ .kind = CHANNEL_ALIVE, .fd = -1 }), 0);
        crew_hear(&crew, 0);
        ck_assert_uint_le(slots[0].pulse.silent_ms, LOOK_MS);
    }
    ck_assert(lives(0) && lives(1));
    ck_assert_uint_eq(said, 0);
}
END_TEST

START_TEST(health_tells_the_manager_twice_in_its_time_and_sooner_after_somebody_was_late)
{
    health.manager_ms = 30000;
    health.tell_ms = now_ms;
    turn(true);
    answer(0);
    answer(1);
    ck_assert_uint_eq(health.tell_ms, now_ms + 15000);
    turn(true);
    ck_assert_uint_eq(health.tell_ms, now_ms + 15000);
    now_ms += 15000;
    slots[0].pulse.silent_ms = WATCHDOG_MS / 2;
    metrics[0].asked++;                 /* and not answered */
    turn(true);
    ck_assert(health.late);
    ck_assert_uint_eq(health.tell_ms, now_ms + 3000);
    answer(0);
    now_ms += 3000;
    turn(true);
    ck_assert(!health.late);
    ck_assert_uint_eq(health.tell_ms, now_ms + 15000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("health");
    TCase *t = tcase_create("health");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, health_asks_each_worker_four_times_in_the_time_of_the_watchdog);
    tcase_add_test(t, health_ends_who_is_silent_for_that_time_and_nobody_else);
    tcase_add_test(t, health_kills_who_does_not_end_when_told);
    tcase_add_test(t, health_kills_who_was_stopped_at_once);
    tcase_add_test(t, health_counts_a_time_in_which_it_did_not_run_itself_as_one_look);
    tcase_add_test(t, health_has_more_patience_with_a_worker_that_starts);
    tcase_add_test(t, health_ends_nobody_when_it_is_not_to_judge);
    tcase_add_test(t, health_without_a_watchdog_asks_nobody_and_never_wants_to_be_called);
    tcase_add_test(t, health_follows_another_configuration);
    tcase_add_test(t, health_forgets_what_a_slot_was_asked_before);
    tcase_add_test(t, health_tells_the_manager_twice_in_its_time_and_sooner_after_somebody_was_late);
    tcase_add_test(t, health_stands_a_channel_that_nobody_reads);
    tcase_add_test(t, health_asks_who_did_not_read_when_he_does);
    tcase_add_test(t, health_puts_a_question_again_that_had_no_place);
    tcase_add_test(t, health_believes_who_says_that_he_lives);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
