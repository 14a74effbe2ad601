/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the logger's inside: records, the file with the rings, draining, targets that take nothing, the journal. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "core/access.h"
#include "daemon/logger_drain.h"
#include "daemon/logger_journal.h"
#include "daemon/logger_record.h"

enum { SLOTS = 3 };

/* A logger without its process: rings of the master and of some workers, and what drains them. */
static struct rig {
    struct logger_rings  rings;
    struct ring          own;
    struct ring          of[SLOTS][LOGGER_KINDS];
    struct access_log   *access[SLOTS];
    struct logger_drain *drain;
    int                  bell[2];
    uint64_t             now_ms;
    unsigned             said[LOG_DEBUG + 1];
    char                 last[256];
} f;

static void hear(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    (void)arg, (void)about;
    f.said[level]++;
    snprintf(f.last, sizeof f.last, "%.*s", (int)line.n, line.p);
}

static void ring_of(struct ring *r, unsigned number, const char *owner)
{
    const struct bell bell = { f.rings.bell, f.bell[1] };

    ck_assert_int_eq(logger_ring_make(&f.rings, number, RING_SIZE_MIN, owner), 0);
    ck_assert_int_eq(ring_join(r, logger_ring_map(&f.rings, number), &bell), 0);
}

static void setup(void)
{
    static const struct access_source source = { "epoll", "main.0" };

    memset(&f, 0, sizeof f);
    f.now_ms = 1000;
    ck_assert_int_eq(pipe2(f.bell, O_NONBLOCK), 0);
    ck_assert_int_eq(logger_rings_open(&f.rings), 0);
    ring_of(&f.own, logger_ring_of_master(), "master");
    for (unsigned i = 0; i < SLOTS; i++) {
        ring_of(&f.of[i][LOGGER_LOG], logger_ring_of(i, LOGGER_LOG), "worker w");
        ring_of(&f.of[i][LOGGER_ACCESS], logger_ring_of(i, LOGGER_ACCESS), "worker w");
        f.access[i] = access_log_new(&f.of[i][LOGGER_ACCESS], 0, &source);
    }
    f.drain = malloc(sizeof *f.drain);
    ck_assert_ptr_nonnull(f.drain);
    logger_drain_init(f.drain, &f.rings);
    log_open(hear, NULL, LOG_DEBUG);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static void teardown(void)
{
    logger_drain_free(f.drain);
    free(f.drain);
    logger_ring_unmap(f.own.shared);
    for (unsigned i = 0; i < SLOTS; i++) {
        logger_ring_unmap(f.of[i][LOGGER_LOG].shared);
        logger_ring_unmap(f.of[i][LOGGER_ACCESS].shared);
        access_log_free(f.access[i]);
    }
    logger_rings_close(&f.rings);
    close(f.bell[0]);
    close(f.bell[1]);
}

/* A target for log lines and access lines, with these descriptors, which are taken over. */
static unsigned target(enum logger_form log, int log_fd, enum logger_form access, int access_fd)
{
    int t = logger_target_take(&f.rings);

    ck_assert_int_ge(t, 0);
    f.rings.head->targets[t].form[LOGGER_LOG] = log;
    f.rings.head->targets[t].form[LOGGER_ACCESS] = access;
    strcpy(f.rings.head->targets[t].format, "$method $target $status");
    logger_target_publish(&f.rings, t, LOGGER_USED);
    if (log_fd != -1)
        logger_drain_target(f.drain, (unsigned)t, LOGGER_LOG, log_fd);
    if (access_fd != -1)
        logger_drain_target(f.drain, (unsigned)t, LOGGER_ACCESS, access_fd);
    return (unsigned)t;
}

static int file_new(void)
{
    char name[] = "/tmp/test_logger.XXXXXX";
    int fd = mkostemp(name, O_APPEND);

    ck_assert_int_ne(fd, -1);
    unlink(name);
    return fd;
}

/* All that is in a file; valid until the next call. */
static const char *text_of(int fd)
{
    static char text[1 << 20];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

static unsigned lines_in(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void say(struct ring *r, unsigned to, const char *line)
{
    ck_assert(logger_record_put(r, to, LOG_INFO, &(struct log_about){ .event = "e" }, span_of(line)));
}

static bool reply(unsigned slot, unsigned number)
{
    union {
        struct access a;
        char room[sizeof(struct access) + 64];
    } r = { .a = { .status = number, .service = "s", .method_n = 3, .target_n = 2 } };

    memcpy(r.a.text, "GET/x", 5);
    return access_log_add(f.access[slot], &r.a, 1);
}

/* ---- lines ---- */

START_TEST(logger_writes_the_lines_of_all_in_the_order_of_time)
{
    int fd = file_new();
    unsigned t = target(LOGGER_PREFIXED, dup(fd), LOGGER_NONE, -1);

    say(&f.own, t, "one");
    say(&f.of[2][LOGGER_LOG], t, "two");
    usleep(10);
    say(&f.of[0][LOGGER_LOG], t, "three");
    usleep(10);
    say(&f.own, t, "four");
    ck_assert(logger_drain_turn(f.drain, f.now_ms));
    const char *text = text_of(fd);
    ck_assert_ptr_nonnull(strstr(text, "<6>three\n<6>four\n"));
    ck_assert_uint_eq(lines_in(text), 4);
    close(fd);
}
END_TEST

START_TEST(logger_dates_lines_by_when_they_were_said)
{
    int fd = file_new();
    unsigned t = target(LOGGER_DATED, dup(fd), LOGGER_NONE, -1);
    char wanted[] = "####-##-##T##:##:##.###Z info text\n";

    say(&f.own, t, "text");
    logger_drain_turn(f.drain, f.now_ms);
    const char *text = text_of(fd);
    ck_assert_uint_eq(strlen(text), sizeof wanted - 1);
    for (size_t i = 0; i < sizeof wanted - 1; i++)
        ck_assert_msg(wanted[i] == '#' || wanted[i] == text[i], "%s", text);
    close(fd);
}
END_TEST

START_TEST(logger_makes_access_lines_of_the_format_of_their_target)
{
    int fd = file_new();

    target(LOGGER_NONE, -1, LOGGER_LINES, dup(fd));
    ck_assert(reply(0, 200));
    ck_assert(reply(1, 404));
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_uint_eq(lines_in(text_of(fd)), 2);
    ck_assert_ptr_nonnull(strstr(text_of(fd), "GET /x 200\n"));
    ck_assert_ptr_nonnull(strstr(text_of(fd), "GET /x 404\n"));
    close(fd);
}
END_TEST

/* ---- targets that take nothing ---- */

/* A pipe with room for a page, whose other end is read by the test. */
static void narrow_pipe(int ends[2])
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
}

/* Reads what is there; returns how many lines. */
static unsigned pipe_lines(int fd)
{
    static char bytes[1 << 16];
    unsigned n = 0;
    ssize_t got;

    while ((got = read(fd, bytes, sizeof bytes - 1)) > 0) {
        bytes[got] = '\0';
        n += lines_in(bytes);
    }
    return n;
}

START_TEST(logger_holds_up_only_who_logs_to_a_target_that_takes_nothing)
{
    int ends[2], fd = file_new();
    unsigned put = 0, got = 0, t;

    narrow_pipe(ends);
    t = target(LOGGER_PREFIXED, dup(fd), LOGGER_LINES, ends[1]);
    while (reply(0, 200 + put % 100))
        put++;
    say(&f.of[0][LOGGER_LOG], t, "said");
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_uint_eq(lines_in(text_of(fd)), 1);
    ck_assert(!logger_drain_has_work(f.drain, true));
    ck_assert(logger_drain_is_stuck(f.drain));
    ck_assert_uint_eq(f.of[0][LOGGER_ACCESS].shared->deaf, 1);
    for (int i = 0; i < 1000 && got < put; i++) {
        got += pipe_lines(ends[0]);
        logger_drain_turn(f.drain, ++f.now_ms);
    }
    ck_assert_uint_eq(got, put);
    ck_assert(!logger_drain_is_stuck(f.drain));
    ck_assert_uint_eq(f.of[0][LOGGER_ACCESS].shared->deaf, 0);
    close(ends[0]);
    close(fd);
}
END_TEST

START_TEST(logger_tells_what_was_dropped_when_the_target_takes_lines_again)
{
    int ends[2];
    unsigned put = 0, got = 0;

    narrow_pipe(ends);
    target(LOGGER_NONE, -1, LOGGER_LINES, ends[1]);
    while (reply(0, 200))
        put++;
    logger_drain_turn(f.drain, f.now_ms);
    while (reply(0, 200))
        put++;
    logger_drain_tell(f.drain, false);
    ck_assert_uint_eq(f.said[LOG_WARN], 0);
    for (int i = 0; i < 1000 && got < put; i++) {
        got += pipe_lines(ends[0]);
        logger_drain_turn(f.drain, ++f.now_ms);
    }
    logger_drain_tell(f.drain, false);
    ck_assert_uint_eq(f.said[LOG_WARN], 1);
    ck_assert_str_eq(f.last, "worker w: 2 access log records were dropped: the log takes them more slowly than they come");
    while (reply(0, 200))
        put++;
    logger_drain_turn(f.drain, ++f.now_ms);
    pipe_lines(ends[0]);
    logger_drain_turn(f.drain, ++f.now_ms);
    logger_drain_tell(f.drain, false);
    ck_assert_msg(f.said[LOG_WARN] == 1, "not again so soon");
    do {
        pipe_lines(ends[0]);
        logger_drain_turn(f.drain, f.now_ms += 10000);
    } while (logger_drain_is_stuck(f.drain));
    logger_drain_tell(f.drain, false);
    ck_assert_uint_eq(f.said[LOG_WARN], 2);
    close(ends[0]);
}
END_TEST

/* The next logger finds what this one had not written. */
START_TEST(logger_releases_only_what_is_written)
{
    int ends[2];
    unsigned put = 0, got = 0;
    struct logger_drain *next = malloc(sizeof *next);

    narrow_pipe(ends);
    target(LOGGER_NONE, -1, LOGGER_LINES, dup(ends[1]));
    while (reply(0, 200))
        put++;
    logger_drain_turn(f.drain, f.now_ms);
    got += pipe_lines(ends[0]);
    logger_drain_free(f.drain);         /* it dies */
    free(f.drain);
    f.drain = next;
    logger_drain_init(next, &f.rings);
    logger_drain_target(next, 0, LOGGER_ACCESS, ends[1]);
    for (int i = 0; i < 1000; i++) {
        logger_drain_turn(f.drain, ++f.now_ms);
        got += pipe_lines(ends[0]);
    }
    ck_assert_uint_ge(got, put);        /* what was written last may be there twice */
    ck_assert(!logger_drain_has_work(f.drain, true));
    close(ends[0]);
}
END_TEST

START_TEST(logger_waits_for_room_on_a_full_disk_and_says_so_once)
{
    int fd = file_new();

    target(LOGGER_NONE, -1, LOGGER_LINES, open("/dev/full", O_WRONLY | O_APPEND));
    reply(0, 200);
    for (int i = 0; i < 5; i++)
        logger_drain_turn(f.drain, f.now_ms += 1000);
    ck_assert_uint_eq(f.said[LOG_ERROR], 1);
    ck_assert_str_eq(f.last, "access log: cannot write, lines wait until it works again: No space left on device");
    ck_assert_uint_eq(logger_drain_due_ms(f.drain), f.now_ms + 1000);
    logger_drain_target(f.drain, 0, LOGGER_ACCESS, dup(fd));
    reply(0, 201);
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(text_of(fd), "GET /x 200\nGET /x 201\n");
    ck_assert_uint_eq(f.said[LOG_NOTICE], 1);
    ck_assert_str_eq(f.last, "access log: works again");
    close(fd);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ bytes, RLIM_INFINITY });
}

/* The file takes a part of a batch, then no more, then all again; no assertion in between, for the test library writes
 * files of its own. */
START_TEST(logger_writes_whole_lines_into_a_file_that_was_full)
{
    int fd = file_new();
    const char *text;

    target(LOGGER_NONE, -1, LOGGER_LINES, dup(fd));
    for (unsigned i = 0; i < 4; i++)
        reply(0, 200 + i);
    limit_file_size((rlim_t)_i);
    logger_drain_turn(f.drain, f.now_ms);
    logger_drain_turn(f.drain, f.now_ms += 1000);
    limit_file_size(RLIM_INFINITY);
    logger_drain_turn(f.drain, f.now_ms += 1000);
    text = text_of(fd);
    ck_assert_str_eq(text, "GET /x 200\nGET /x 201\nGET /x 202\nGET /x 203\n");
    close(fd);
}
END_TEST

/* The end of a line whose begin is in the old file is nothing for the new one. */
START_TEST(logger_takes_no_torn_line_to_another_file)
{
    int old = file_new(), new = file_new();

    target(LOGGER_NONE, -1, LOGGER_LINES, dup(old));
    reply(0, 200);
    reply(0, 201);
    limit_file_size(15);
    logger_drain_turn(f.drain, f.now_ms);
    logger_drain_target(f.drain, 0, LOGGER_ACCESS, dup(new));
    limit_file_size(RLIM_INFINITY);
    reply(0, 202);
    logger_drain_turn(f.drain, f.now_ms += 1000);
    ck_assert_str_eq(text_of(old), "GET /x 200\nGET ");
    ck_assert_str_eq(text_of(new), "GET /x 202\n");
    ck_assert_uint_eq(f.rings.head->lost[LOGGER_ACCESS], 1);
    close(old);
    close(new);
}
END_TEST

START_TEST(logger_writes_to_the_new_file_as_soon_as_it_has_it)
{
    int old = file_new(), new = file_new();

    target(LOGGER_NONE, -1, LOGGER_LINES, dup(old));
    reply(0, 200);
    logger_drain_turn(f.drain, f.now_ms);
    reply(0, 201);
    logger_drain_target(f.drain, 0, LOGGER_ACCESS, dup(new));
    reply(0, 202);
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(text_of(old), "GET /x 200\n");
    ck_assert_str_eq(text_of(new), "GET /x 201\nGET /x 202\n");
    close(old);
    close(new);
}
END_TEST

/* ---- ends ---- */

START_TEST(logger_frees_a_target_when_everything_is_written)
{
    int fd = file_new();
    unsigned t = target(LOGGER_PREFIXED, dup(fd), LOGGER_NONE, -1);

    say(&f.own, t, "last");
    logger_target_publish(&f.rings, (int)t, LOGGER_ENDING);
    logger_drain_end(f.drain, t, f.now_ms + 5000);
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(text_of(fd), "<6>last\n");
    ck_assert_int_eq(logger_target_use(&f.rings, (int)t), LOGGER_FREE);
    close(fd);
}
END_TEST

START_TEST(logger_gives_up_a_target_that_takes_nothing_to_the_end)
{
    int ends[2], fd = file_new();
    unsigned put = 0;

    narrow_pipe(ends);
    target(LOGGER_NONE, -1, LOGGER_LINES, ends[1]);
    while (reply(0, 200))
        put++;
    logger_target_publish(&f.rings, 0, LOGGER_ENDING);
    logger_drain_end(f.drain, 0, f.now_ms + 5000);
    logger_drain_turn(f.drain, f.now_ms + 4999);
    ck_assert_int_eq(logger_target_use(&f.rings, 0), LOGGER_ENDING);
    logger_drain_turn(f.drain, f.now_ms + 5000);
    logger_drain_turn(f.drain, f.now_ms + 5000);
    ck_assert_int_eq(logger_target_use(&f.rings, 0), LOGGER_FREE);
    ck_assert_uint_eq(f.rings.head->lost[LOGGER_ACCESS] + pipe_lines(ends[0]), put);
    target(LOGGER_NONE, -1, LOGGER_LINES, dup(fd));
    ck_assert(reply(0, 200));           /* the ring is free for others */
    logger_drain_turn(f.drain, f.now_ms + 5000);
    ck_assert_str_eq(text_of(fd), "GET /x 200\n");
    close(ends[0]);
    close(fd);
}
END_TEST

START_TEST(logger_has_room_for_many_targets_and_says_when_there_is_none)
{
    for (int i = 0; i < LOGGER_TARGETS; i++)
        target(LOGGER_PREFIXED, -1, LOGGER_NONE, -1);
    ck_assert_int_eq(logger_target_take(&f.rings), -1);
    logger_target_publish(&f.rings, 7, LOGGER_FREE);
    ck_assert_int_eq(logger_target_take(&f.rings), 7);
}
END_TEST

/* ---- what nobody may believe ---- */

START_TEST(logger_counts_records_that_are_none)
{
    int fd = file_new();
    unsigned t = target(LOGGER_PREFIXED, dup(fd), LOGGER_NONE, -1);
    const struct span junk = SPAN("0123456789012345678901234567890123456789");

    ring_put(&f.of[0][LOGGER_LOG], LOG_RECORD, 1, false, &junk, 1);
    ring_put(&f.of[0][LOGGER_LOG], ACCESS_RECORD, 1, false, &junk, 1);
    ring_put(&f.of[0][LOGGER_LOG], 99, 1, false, &junk, 1);
    say(&f.of[0][LOGGER_LOG], 63, "for nobody");
    say(&f.of[0][LOGGER_LOG], 1u << 30, "for nobody");
    logger_record_put(&f.of[0][LOGGER_LOG], t, LOG_INFO, &(struct log_about){ 0 }, SPAN("a\n<3>forged"));
    say(&f.of[0][LOGGER_LOG], t, "good");
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(text_of(fd), "<6>good\n");
    ck_assert_uint_eq(f.rings.head->lost[LOGGER_LOG] + f.rings.head->lost[LOGGER_ACCESS], 6);
    logger_drain_tell(f.drain, false);
    ck_assert_str_eq(f.last, "logger: 6 records could not be written");
    close(fd);
}
END_TEST

START_TEST(record_survives_any_byte_and_any_length)
{
    static char bytes[RING_RECORD_MAX], copy[RING_RECORD_MAX];
    struct ring_reader reader;
    struct ring_record r;
    struct logger_record read;

    ring_reader_open(&reader, f.own.shared);
    logger_record_put(&f.own, 3, LOG_WARN, &(struct log_about){ .event = "e", .worker = "w", .peer = "p" }, SPAN("line"));
    ck_assert_int_eq(ring_take(&reader, &r, bytes), 1);
    ck_assert(logger_record_read(&read, bytes, r.n));
    ck_assert_uint_eq(read.target, 3);
    ck_assert_int_eq(read.level, LOG_WARN);
    ck_assert(span_equal(read.line, SPAN("line")));
    ck_assert_str_eq(read.about.event, "e");
    ck_assert_str_eq(read.about.worker, "w");
    ck_assert_str_eq(read.about.peer, "p");
    ck_assert_ptr_null(read.about.model);
    for (size_t n = 0; n < r.n + 9; n++)
        ck_assert_int_eq(logger_record_read(&read, bytes, n), n == r.n);
    for (size_t i = 0; i < r.n; i++) {
        for (int value = 0; value < 256; value++) {
            memcpy(copy, bytes, r.n);
            copy[i] = (char)value;
            if (logger_record_read(&read, copy, r.n))
                ck_assert_uint_le((size_t)(read.line.p - copy) + read.line.n, r.n);
        }
    }
}
END_TEST

/* ---- the file ---- */

START_TEST(rings_are_found_again_by_the_descriptor)
{
    struct logger_rings again;
    struct ring_reader reader;
    struct ring_record r;
    static char bytes[RING_RECORD_MAX];

    target(LOGGER_PREFIXED, -1, LOGGER_NONE, -1);
    say(&f.of[1][LOGGER_LOG], 0, "kept");
    ck_assert_int_eq(logger_rings_map(&again, dup(f.rings.fd)), 0);
    ck_assert_uint_eq(again.head->used, f.rings.head->used);
    ck_assert_int_eq(logger_target_use(&again, 0), LOGGER_USED);
    ring_reader_open(&reader, logger_ring_map(&again, logger_ring_of(1, LOGGER_LOG)));
    ck_assert_int_eq(ring_take(&reader, &r, bytes), 1);
    logger_ring_unmap(reader.shared);
    logger_rings_close(&again);
}
END_TEST

START_TEST(rings_of_another_version_are_refused)
{
    struct logger_rings again;
    int fd = file_new();

    errno = 0;
    ck_assert_int_eq(logger_rings_map(&again, fd), -1);
    ck_assert_int_eq(errno, EINVAL);
    f.rings.head->magic++;
    ck_assert_int_eq(logger_rings_map(&again, f.rings.fd), -1);
    ck_assert_int_eq(errno, EINVAL);
    close(fd);
}
END_TEST

/* ---- the journal ---- */

static int journal_listen(char path[64])
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    snprintf(path, 64, "/tmp/test_logger.%d.sock", (int)getpid());
    unlink(path);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static const char *entry_of(int fd)
{
    static char bytes[JOURNAL_ENTRY_MAX];
    ssize_t n = recv(fd, bytes, sizeof bytes - 1, 0);

    if (n < 0)
        return NULL;
    bytes[n] = '\0';
    return bytes;
}

START_TEST(journal_gets_entries_with_fields)
{
    char path[64];
    int fd = journal_listen(path);
    unsigned t = target(LOGGER_JOURNAL, logger_journal_connect_to(path), LOGGER_JOURNAL, logger_journal_connect_to(path));
    const struct log_about about = { .event = "listening", .service = "web", .worker = "main.0", .model = "epoll",
                                     .peer = "192.0.2.1:5" };

    logger_record_put(&f.own, t, LOG_NOTICE, &about, SPAN("listening: web"));
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(entry_of(fd), "MESSAGE=listening: web\nSYSLOG_IDENTIFIER=iomuxd\nPRIORITY=5\nIOMUXD_EVENT=listening\n"
                                   "IOMUXD_SERVICE=web\nIOMUXD_WORKER=main.0\nIOMUXD_MODEL=epoll\n"
                                   "IOMUXD_PEER=192.0.2.1:5\n");
    ck_assert(reply(0, 200));
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert_str_eq(entry_of(fd), "MESSAGE=GET /x 200\nSYSLOG_IDENTIFIER=iomuxd\nPRIORITY=6\nIOMUXD_EVENT=access\n"
                                   "IOMUXD_SERVICE=s\nIOMUXD_WORKER=main.0\nIOMUXD_MODEL=epoll\nIOMUXD_PEER=unknown\n"
                                   "IOMUXD_METHOD=GET\nIOMUXD_TARGET=/x\nIOMUXD_STATUS=200\nIOMUXD_BYTES=0\n"
                                   "IOMUXD_DURATION_US=1\n");
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(journal_entries_cannot_be_forged)
{
    static char entry[JOURNAL_ENTRY_MAX];
    union {
        struct access a;
        char room[sizeof(struct access) + 64];
    } r = { .a = { .service = "s", .method_n = 1, .target_n = 14 } };
    const struct access_taken t = { .reply = &r.a, .model = "m\nPRIORITY=0", .worker = "w" };
    char *end;

    memcpy(r.a.text, "G/\nPRIORITY=0\n", 15);
    end = logger_journal_access(entry, &t, SPAN("line"));
    *end = '\0';
    ck_assert_ptr_null(strstr(entry, "\nPRIORITY=0"));
    ck_assert_ptr_nonnull(strstr(entry, "IOMUXD_TARGET=/\\x0aPRIORITY=0\\x0a"));
    end = logger_journal_line(entry, LOG_INFO, &(struct log_about){ .event = "e\nPRIORITY=0" }, SPAN("line"));
    *end = '\0';
    ck_assert_ptr_null(strstr(entry, "\nPRIORITY=0"));
}
END_TEST

START_TEST(journal_that_stands_still_gets_everything_later)
{
    char path[64];
    int fd = journal_listen(path);
    unsigned put = 0, got = 0;
    const char *entry;

    target(LOGGER_NONE, -1, LOGGER_JOURNAL, logger_journal_connect_to(path));
    while (put < 300 && reply(0, put))
        put++;
    logger_drain_turn(f.drain, f.now_ms);
    ck_assert(logger_drain_is_stuck(f.drain));
    for (int i = 0; i < 1000 && got < put; i++) {
        while ((entry = entry_of(fd)) != NULL) {
            char wanted[32];

            snprintf(wanted, sizeof wanted, "IOMUXD_STATUS=%u\n", got++);
            ck_assert_ptr_nonnull(strstr(entry, wanted));
        }
        logger_drain_turn(f.drain, ++f.now_ms);
    }
    ck_assert_uint_eq(got, put);
    close(fd);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("logger");
    TCase *t = tcase_create("logger");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, logger_writes_the_lines_of_all_in_the_order_of_time);
    tcase_add_test(t, logger_dates_lines_by_when_they_were_said);
    tcase_add_test(t, logger_makes_access_lines_of_the_format_of_their_target);
    tcase_add_test(t, logger_holds_up_only_who_logs_to_a_target_that_takes_nothing);
    tcase_add_test(t, logger_tells_what_was_dropped_when_the_target_takes_lines_again);
    tcase_add_test(t, logger_releases_only_what_is_written);
    tcase_add_test(t, logger_waits_for_room_on_a_full_disk_and_says_so_once);
    tcase_add_loop_test(t, logger_writes_whole_lines_into_a_file_that_was_full, 0, 50);
    tcase_add_test(t, logger_takes_no_torn_line_to_another_file);
    tcase_add_test(t, logger_writes_to_the_new_file_as_soon_as_it_has_it);
    tcase_add_test(t, logger_frees_a_target_when_everything_is_written);
    tcase_add_test(t, logger_gives_up_a_target_that_takes_nothing_to_the_end);
    tcase_add_test(t, logger_has_room_for_many_targets_and_says_when_there_is_none);
    tcase_add_test(t, logger_counts_records_that_are_none);
    tcase_add_test(t, record_survives_any_byte_and_any_length);
    tcase_add_test(t, rings_are_found_again_by_the_descriptor);
    tcase_add_test(t, rings_of_another_version_are_refused);
    tcase_add_test(t, journal_gets_entries_with_fields);
    tcase_add_test(t, journal_entries_cannot_be_forged);
    tcase_add_test(t, journal_that_stands_still_gets_everything_later);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
