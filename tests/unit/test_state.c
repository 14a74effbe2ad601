/* SPDX-License-Identifier: BSD-2-Clause */
/* What a master hands over: it is read as it was written, and what is mutilated is refused, with a reason. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/command.h"
#include "daemon/inbox.h"
#include "daemon/state.h"

static const char text[] =
    "workers = 2; io_model = \"poll\"; timeouts : { drain = 7; };\n"
    "services = ( { name = \"web\"; protocol = \"http\"; listen = [ \"127.0.0.1:0\", \"127.0.0.1:0\" ];\n"
    "               routes = ( { path = \"/\"; root = \"/nonexistent\\xff\"; } ); },\n"
    "             { name = \"e\"; protocol = \"echo\"; listen = \"udp:127.0.0.1:0\"; } );\n";

static struct master m, other;
static struct conf_options again;
static char *written;
static size_t written_size;

static void master_blank(struct master *to)
{
    *to = (struct master){ .again = &again, .program = "/sbin/iomuxd", .signals = -1, .phase = MASTER_RUNNING };
    list_init(&to->generations);
    lobby_init(&to->lobby);
    logger_desk_init(&to->desk);
    control_init(&to->control);
    survey_init(&to->surveys, command_surveyed, to);
}

static void nobody_abandons(void *arg, const struct listen_set *kept)
{
    (void)arg;
    (void)kept;
}

static struct generation *add_generation(unsigned number, enum generation_phase phase)
{
    struct conf_options carried = { .file = "t.conf", .carried = true };
    struct conf *c = conf_read_text(&carried, text, strlen(text), stderr);
    struct generation *g;
    struct generation_sources from = { .ledger = &m.ledger, .desk = &m.desk, .descriptors = 1000000, .abandon = nobody_abandons };

    ck_assert_ptr_nonnull(c);
    g = generation_new(number, c);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(generation_open(g, &from, stderr), 0);
    list_append(&m.generations, &g->siblings);
    g->phase = phase;
    return g;
}

/* As if it ran: nobody is ever signalled. */
static void fill_worker(struct generation *g, unsigned at)
{
    struct worker_slot *s = &g->crew.v[at];
    int ends[2];

    ck_assert_int_eq(channel_open(ends), 0);
    s->channel = ends[0];
    ck_assert_int_eq(inbox_open(s->inbox), 0);
    s->told = s->passes = at == 1;
    s->pid = 1000000000 + (pid_t)(10 * g->number + at);
    s->ledger = ledger_take(&m.ledger, &(struct ledger_owner){ .generation = g->number });
    s->ready = true;
    s->started_ms = 4711;
    s->base.total.requests = UINT64_MAX - 5;
    s->kill_ms = at == 0 ? UINT64_MAX : 99999;
    ck_assert_int_eq(outbox_put(&s->owed, (struct channel_message){ .kind = CHANNEL_LEVEL, .value = at, .fd = -1 }), 0);
    ck_assert_int_eq(outbox_put(&s->owed, (struct channel_message){ .kind = CHANNEL_HEIR, .value = UINT32_MAX, .fd = dup(ends[1]) }), 0);
}

/* Its generation has gone, and the logger, which can write in the shared file, has made something else of it; and of the
 * one that is used. */
static void leave_target(void)
{
    int t = logger_target_take(&m.desk.rings);

    ck_assert_int_eq(t, 2);
    m.desk.rings.own[t].form[LOGGER_ACCESS] = LOGGER_LINES;
    strcpy(m.desk.rings.own[t].path[LOGGER_ACCESS], "/var/log/old \xff");
    strcpy(m.desk.rings.own[t].format, "$path");
    logger_target_show(&m.desk.rings, t);
    logger_target_publish(&m.desk.rings, t, LOGGER_ENDING);
    strcpy(m.desk.rings.head->targets[t].path[LOGGER_ACCESS], "/etc/passwd");
    strcpy(m.desk.rings.head->targets[1].path[LOGGER_LOG], "/etc/passwd");
    m.desk.rings.head->targets[1].use = LOGGER_FREE;
}

/* One of our own, that of a master before, and a bench. */
static void open_lobbies(void)
{
    static const struct handed none;

    ck_assert_int_eq(lobby_open(&m.lobby, &none), 0);
    ck_assert_int_eq(lobby_add_former(&m.lobby, dup(m.lobby.ends[0]), 7), 0);
    ck_assert_int_eq(lobby_add_bench(&m.lobby, dup(m.lobby.ends[0])), 0);
    m.lobby.kept = true;
    m.lobby.seated = 99;
}

static void read_memory(int fd, char **to, size_t *size)
{
    struct stat st;

    ck_assert_int_eq(fstat(fd, &st), 0);
    *size = (size_t)st.st_size;
    *to = malloc(*size + 1);
    ck_assert_int_eq(pread(fd, *to, *size, 0), st.st_size);
    (*to)[*size] = '\0';
}

static void setup(void)
{
    struct generation *old, *g;
    struct state s;

    log_set_level(LOG_ERROR);
    again = (struct conf_options){ .file = "t.conf" };
    master_blank(&m);
    ck_assert_int_eq(ledger_open(&m.ledger), 0);
    ck_assert_int_eq(logger_desk_open(&m.desk), 0);
    logger_desk_leave(&m.desk, 77);
    logger_desk_leave(&m.desk, 99);
    old = add_generation(3, GENERATION_LEAVING);
    g = add_generation(4, GENERATION_SERVING);
    fill_worker(old, 1);
    fill_worker(g, 0);
    fill_worker(g, 1);
    ck_assert_int_eq(crew_retire(&g->crew, 0, &g->leaving), 0);
    m.serving = g;
    leave_target();
    open_lobbies();
    m.last_number = 4;
    m.attempts = 3;
    m.last = (struct reload_result){ .attempt = 2, .when = 77, .errors = strdup("one\ntwo \xfe\n") };
    ck_assert_int_eq(overrides_put(&m.in_force, "workers=2"), 0);
    ck_assert_int_eq(overrides_put(&m.trying, "io_model=poll"), 0);
    ck_assert_int_eq(store_note(&m.store, "kept.web.0.0", 123456), 0);
    m.control.v[5] = (struct control_client){ .state = CONTROL_WAITING, .fd = dup(STDERR_FILENO), .id = 9, .reload = 3,
                                              .got = 3, .request = "a\0c" };
    ck_assert_int_eq(state_write(&s, &m), 0);
    read_memory(s.fd, &written, &written_size);
    state_close(&s);
}

static int memory_of(const char *bytes, size_t n)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    return fd;
}

/* It is blank afterwards. */
static void master_free(struct master *of)
{
    control_close(&of->control);
    while (!list_empty(&of->generations))
        generation_free(LIST_ENTRY(of->generations.next, struct generation, siblings));
    handed_close(&of->handed);
    store_free(&of->store);
    lobby_close(&of->lobby);
    overrides_free(&of->in_force);
    overrides_free(&of->trying);
    overrides_free(&of->wanted);
    overrides_free(&of->dropped);
    reload_result_free(&of->last);
    logger_desk_close(&of->desk);
    ledger_close(&of->ledger);
    master_blank(of);
}

static void teardown(void)
{
    master_free(&m);
    free(written);
}

/* 0 or -1; what was made is freed. */
static int look(const char *bytes, size_t n, char why[STATE_WHY_SIZE])
{
    int rc;

    why[0] = '\0';
    master_blank(&other);
    rc = state_read(&other, memory_of(bytes, n), false, why);
    master_free(&other);
    return rc;
}

static void refused(const char *bytes, size_t n)
{
    char why[STATE_WHY_SIZE];

    ck_assert_int_eq(look(bytes, n, why), -1);
    ck_assert_str_ne(why, "");
}

START_TEST(state_is_taken_over_as_it_was_left)
{
    char why[STATE_WHY_SIZE], *later, *rest;
    size_t later_size;
    struct state s;
    struct generation *g;

    master_blank(&other);
    ck_assert_msg(state_read(&other, memory_of(written, written_size), true, why) == 0, "%s", why);
    g = other.serving;
    ck_assert_ptr_nonnull(g);
    ck_assert_uint_eq(g->number, 4);
    ck_assert_uint_eq(g->conf->timeouts.drain_ms, 7000);
    ck_assert_uint_eq(g->leaving.count, 1);
    ck_assert_str_eq(g->leaving.v[0].name, "main.0");
    ck_assert_uint_eq(g->crew.v[1].base.total.requests, UINT64_MAX - 5);
    ck_assert_ptr_eq(g->crew.v[1].pool->model, model_find("poll"));
    ck_assert_uint_eq(g->crew.v[0].owed.count, 0);
    ck_assert_uint_eq(g->crew.v[1].owed.count, 2);
    ck_assert_int_eq(g->crew.v[1].owed.v[0].kind, CHANNEL_LEVEL);
    ck_assert_uint_eq(g->crew.v[1].owed.v[0].value, 1);
    ck_assert_uint_eq(g->crew.v[1].owed.v[1].value, UINT32_MAX);
    ck_assert_int_eq(fcntl(g->crew.v[1].owed.v[1].fd, F_GETFD), FD_CLOEXEC);
    ck_assert_str_eq(g->listens.v[2].text, m.serving->listens.v[2].text);
    ck_assert_int_eq(fcntl(g->listens.v[0].sockets[1].fd, F_GETFD), FD_CLOEXEC);
    ck_assert_str_eq(other.last.errors, "one\ntwo \xfe\n");
    ck_assert_uint_eq(other.control.v[0].reload, 3);
    ck_assert_uint_eq(other.control.v[0].got, 3);
    ck_assert_mem_eq(other.control.v[0].request, "a\0c", 3);
    ck_assert_str_eq(other.desk.rings.own[2].path[LOGGER_ACCESS], "/var/log/old \xff");
    ck_assert_str_eq(other.desk.rings.own[2].format, "$path");
    ck_assert_uint_eq(other.desk.rings.own[2].use, LOGGER_ENDING);
    ck_assert_str_eq(other.desk.rings.own[1].path[LOGGER_LOG], "");
    ck_assert_uint_eq(other.desk.rings.own[1].use, LOGGER_USED);
    ck_assert_int_eq(other.desk.former[0], 77);
    ck_assert_int_eq(other.desk.former[1], 99);
    ck_assert_int_eq(other.desk.former[2], 0);
    ck_assert_int_eq(logger_target_take(&other.desk.rings), 3);
    ck_assert_int_eq(other.lobby.ends[1], m.lobby.ends[1]);
    ck_assert_uint_eq(other.lobby.former[0].number, 7);
    ck_assert(other.lobby.kept);
    ck_assert_int_eq(state_write(&s, &other), 0);
    read_memory(s.fd, &later, &later_size);
    rest = memmem(later, later_size, "\"generations\"", 13);
    ck_assert_str_eq(rest, strstr(written, "\"generations\""));
    free(later);
    state_close(&s);
    master_free(&other);
}
END_TEST

START_TEST(state_keeps_every_descriptor_that_it_names)
{
    struct state s;

    ck_assert_int_eq(state_write(&s, &m), 0);
    for (unsigned i = 0; i < s.kept_count; i++)
        ck_assert_int_ne(fcntl(s.kept[i], F_GETFD), -1);
    /* counters; 2 x (flags, notes, 6 sockets); 3 x (channel, 2 ends of an inbox); a client; the state; the rings and
     * both ends of their bell; both ends of the lobby, another one, a bench; where each logs, if it is not standard error
     * itself */
    ck_assert_uint_eq(s.kept_count, 1 + 2 * 8 + 3 * 4 + 1 + 1 + 3 + 4 + 2 * (m.serving->logger.fd > STDERR_FILENO));
    state_close(&s);
}
END_TEST

START_TEST(state_is_looked_at_without_its_descriptors)
{
    char why[STATE_WHY_SIZE];

    ck_assert_msg(look(written, written_size, why) == 0, "%s", why);
    ck_assert_int_ne(fcntl(m.serving->listens.v[0].sockets[0].fd, F_GETFD), -1);
}
END_TEST

START_TEST(state_that_is_cut_off_is_refused)
{
    for (size_t n = 0; n < written_size; n += 1 + n / 16)
        refused(written, n);
    refused(written, written_size - 1);
}
END_TEST

static const struct { const char *from, *to; } changes[] = {
    { "\"form\":3", "\"form\":4" },
    { "\"form\":3", "\"form\":\"3\"" },
    { "\"layout\":\"", "\"layout\":\"x" },
    { "\"phase\":1", "\"phase\":7" },
    { "\"phase\":1", "\"phase\":2" },                   /* nobody serves */
    { "\"phase\":2", "\"phase\":1" },                   /* two serve */
    { "\"model\":\"poll\"", "\"model\":\"none\"" },
    { "\"workers\":2", "\"workers\":3" },
    { "\"pool\":0", "\"pool\":1" },
    { "\"slot\":1", "\"slot\":0" },                     /* which is another one's */
    { "\"slot\":1", "\"slot\":16384" },
    { "\"ready\":true", "\"ready\":1" },
    { "io_model", "io_modell" },                        /* in a configuration */
    { "\"address\":\"0", "\"address\":\"x0" },
    { "\"name\":\"main.0\"", "\"name\":\"main.0000000000000000000000000000000000000000000000000000000\"" },
    { "\"number\":2,\"use\"", "\"number\":64,\"use\"" },
    { "\"form\":4", "\"form\":5" },                     /* of a target */
    { "\"use\":2", "\"use\":3" },
    { "\"generations\":", "\"generations\":[],\"rest\":" },
    { "\"control\":", "\"kontrol\":" },
    { "workers=2", "workers" },                         /* an override */
    { "\"kept\":true", "\"kept\":1" },
    { "\"benches\":[", "\"benches\":[\"x\"," },
    { "\"former\":[[", "\"former\":[[-2,7],[" },
};

START_TEST(state_that_makes_no_sense_is_refused)
{
    const char *at = strstr(written, changes[_i].from);
    size_t before = (size_t)(at - written), from = strlen(changes[_i].from), n;
    char *changed = malloc(written_size + 128);

    ck_assert_ptr_nonnull(at);
    n = (size_t)sprintf(changed, "%.*s%s%s", (int)before, written, changes[_i].to, at + from);
    refused(changed, n);
    free(changed);
}
END_TEST

START_TEST(state_of_another_process_is_not_adopted)
{
    char why[STATE_WHY_SIZE], *changed = malloc(written_size + 32), *at = strstr(written, "\"pid\":");

    sprintf(changed, "%.*s\"pid\":1%s", (int)(at - written), written, strchr(at, ','));
    master_blank(&other);
    ck_assert_int_eq(state_read(&other, memory_of(changed, strlen(changed)), true, why), -1);
    ck_assert_str_eq(why, "it is of another process");
    free(changed);
    master_free(&other);
}
END_TEST

START_TEST(state_with_a_descriptor_that_is_not_open_is_not_adopted)
{
    char why[STATE_WHY_SIZE];

    close(m.serving->listens.v[0].sockets[0].fd);
    master_blank(&other);
    ck_assert_int_eq(state_read(&other, memory_of(written, written_size), true, why), -1);
    ck_assert_ptr_nonnull(strstr(why, "is not open"));
    master_free(&other);
}
END_TEST

/* Whatever a byte becomes: it is read or refused, and nothing else happens. */
START_TEST(state_with_any_wrong_byte_does_no_harm)
{
    char why[STATE_WHY_SIZE], *changed = malloc(written_size);
    unsigned seed = 4711;

    for (int i = 0; i < 1500; i++) {
        memcpy(changed, written, written_size);
        changed[(size_t)rand_r(&seed) % written_size] = (char)rand_r(&seed);
        changed[(size_t)rand_r(&seed) % written_size] = "0123456789,:[]{}\"tfn-"[(size_t)rand_r(&seed) % 21];
        (void)look(changed, written_size, why);
    }
    free(changed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("state");
    TCase *t = tcase_create("state");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, state_is_taken_over_as_it_was_left);
    tcase_add_test(t, state_keeps_every_descriptor_that_it_names);
    tcase_add_test(t, state_is_looked_at_without_its_descriptors);
    tcase_add_test(t, state_that_is_cut_off_is_refused);
    tcase_add_loop_test(t, state_that_makes_no_sense_is_refused, 0, sizeof changes / sizeof *changes);
    tcase_add_test(t, state_of_another_process_is_not_adopted);
    tcase_add_test(t, state_with_a_descriptor_that_is_not_open_is_not_adopted);
    tcase_add_test(t, state_with_any_wrong_byte_does_no_harm);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
